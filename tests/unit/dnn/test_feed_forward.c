/* Layers run together give the bits of each by itself. The whole program is run again under caps. */
#include "caps.h"
#include "linear.h"

static bool same_bits(const float *a, const float *b, int64_t n)
{
    return memcmp(a, b, (size_t)n * sizeof *a) == 0;
}

static void layers_of_one_input_give_the_bits_of_each_by_itself(void **unused)
{
    (void)unused;
    enum { IN = 96, MOST = 600 };
    static const enum lay_dtype mixes[][3] = {{LAY_F32, LAY_F32, LAY_F32},
                                              {LAY_BF16, LAY_BF16, LAY_BF16},
                                              {LAY_I8, LAY_I8, LAY_I8},
                                              {LAY_I8, LAY_BF16, LAY_I8}};
    static const int64_t outs[] = {128, 24, 33}, row_counts[] = {0, 1, 7, 64, MOST};
    struct lay_dnn *dnn = open_dnn();
    float *x = random_floats(MOST * IN), *bias = random_floats(128);
    for (size_t m = 0; m < sizeof mixes / sizeof *mixes; m++) {
        struct lay_linear *layers[3];
        float *w[3], *y[3], *alone = random_floats(MOST * 128);
        for (int i = 0; i < 3; i++) {
            w[i] = random_floats(outs[i] * IN);
            y[i] = random_floats(MOST * outs[i]);
            layers[i] = make(dnn, mixes[m][i], &(struct lay_matrix){w[i], LAY_F32, outs[i], IN, false}, 1,
                             i ? bias : NULL);
        }
        for (size_t k = 0; k < sizeof row_counts / sizeof *row_counts; k++) {
            const struct lay_linear *const each[] = {layers[0], layers[1], layers[2]};
            assert_int_equal(lay_linear_forward_each(each, 3, x, y, row_counts[k], NULL), LAY_OK);
            for (int i = 0; i < 3; i++) {
                forward(layers[i], x, alone, row_counts[k], false);
                assert_true(same_bits(y[i], alone, row_counts[k] * outs[i]));
            }
        }
        for (int i = 0; i < 3; i++) {
            lay_linear_destroy(layers[i]);
            free(w[i]);
            free(y[i]);
        }
        free(alone);
    }
    lay_dnn_destroy(dnn);
    free(x);
    free(bias);
}

/* Any function of a row that makes half as many numbers of it. */
static void multiply_halves(const void *context, const float *x, float *y)
{
    const int64_t n = *(const int64_t *)context;
    for (int64_t i = 0; i < n; i++)
        y[i] = x[i] * x[n + i];
}

static void a_feed_forward_block_gives_the_bits_of_its_three_steps(void **unused)
{
    (void)unused;
    enum { WIDTH = 72, MOST = 600 };
    static const int64_t inner = 160, row_counts[] = {0, 1, 5, 64, MOST};
    static const enum lay_dtype pairs[][2] = {
        {LAY_F32, LAY_F32}, {LAY_BF16, LAY_BF16}, {LAY_I8, LAY_I8}, {LAY_I8, LAY_BF16}, {LAY_BF16, LAY_I8}};
    struct lay_dnn *dnn = open_dnn();
    float *w_in = random_floats(2 * inner * WIDTH), *w_out = random_floats(WIDTH * inner);
    float *bias = random_floats(2 * inner), *x = random_floats(MOST * WIDTH);
    float *wide = random_floats(MOST * 2 * inner), *narrow = random_floats(MOST * inner);
    float *y = random_floats(MOST * WIDTH), *apart = random_floats(MOST * WIDTH);
    for (size_t p = 0; p < sizeof pairs / sizeof *pairs; p++) {
        struct lay_linear *in =
            make(dnn, pairs[p][0], &(struct lay_matrix){w_in, LAY_F32, 2 * inner, WIDTH, false}, 1, bias);
        struct lay_linear *out =
            make(dnn, pairs[p][1], &(struct lay_matrix){w_out, LAY_F32, WIDTH, inner, false}, 1, bias);
        const struct lay_feed_forward block = {in, out, multiply_halves, &inner};
        for (size_t k = 0; k < sizeof row_counts / sizeof *row_counts; k++)
            for (int in_place = 0; in_place < 2; in_place++) {
                const int64_t rows = row_counts[k];
                forward(in, x, wide, rows, false);
                for (int64_t r = 0; r < rows; r++)
                    multiply_halves(&inner, wide + r * 2 * inner, narrow + r * inner);
                memcpy(y, x, (size_t)(rows * WIDTH) * sizeof *y);
                memcpy(apart, x, (size_t)(rows * WIDTH) * sizeof *y);
                forward(out, narrow, apart, rows, true);
                assert_int_equal(lay_feed_forward_run(&block, in_place ? y : x, y, rows, NULL), LAY_OK);
                assert_true(same_bits(y, apart, rows * WIDTH));
            }
        lay_linear_destroy(in);
        lay_linear_destroy(out);
    }
    lay_dnn_destroy(dnn);
    float *const all[] = {w_in, w_out, bias, x, wide, narrow, y, apart};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layers_of_one_input_give_the_bits_of_each_by_itself),
        cmocka_unit_test(a_feed_forward_block_gives_the_bits_of_its_three_steps),
    };
    return failed_with_caps(cmocka_run_group_tests(tests, NULL, NULL));
}

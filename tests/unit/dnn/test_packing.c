/* Weights of every stored form pack to the same layer. The whole program is run again under caps. */
#include "caps.h"
#include "linear.h"

#include "engine/dnn/internal.h"

/* Stores f32 numbers as dtype, `shift` bytes off alignment, and reads back what they have become. */
static char *store(enum lay_dtype dtype, const float *x, float *kept, int64_t n, size_t shift)
{
    const size_t size = lay_dtype_size(dtype);
    char *bytes = malloc((size_t)n * size + 1);
    for (int64_t i = 0; i < n; i++) {
        if (dtype == LAY_F64) {
            const double wide = x[i];
            memcpy(bytes + shift + (size_t)i * size, &wide, size);
        } else {
            char element[8];
            lay_from_f32(dtype, &x[i], element, 1);
            memcpy(bytes + shift + (size_t)i * size, element, size);
        }
        lay_to_f32(dtype, bytes + shift + (size_t)i * size, &kept[i], 1);
    }
    return bytes;
}

static void every_stored_form_packs_to_the_same_layer(void **unused)
{
    (void)unused;
    struct lay_dnn *dnn = open_dnn();
    const enum lay_dtype stored[] = {LAY_F32, LAY_F16, LAY_BF16, LAY_F64};
    enum { IN = 70, A = 40, B = 3, C = 200, OUT = A + B + C, ROWS = 5 };
    for (int variant = 0; variant < 24; variant++) {
        const enum lay_dtype dtype = stored[variant / 6], compute = computes[variant % 3];
        const bool transposed = variant / 3 & 1;
        const int64_t sizes[] = {A, B, C};
        float *w = malloc(OUT * IN * sizeof *w), *x = random_floats(ROWS * IN);
        float y[ROWS * OUT];
        struct lay_matrix parts[3];
        char *bytes[3];
        int64_t first = 0;
        for (int p = 0; p < 3; p++) {
            const int64_t n = sizes[p] * IN;
            float *values = random_floats(n), *kept = malloc((size_t)n * sizeof *kept);
            bytes[p] = store(dtype, values, kept, n, p & 1);
            for (int64_t r = 0; r < sizes[p]; r++)
                for (int64_t c = 0; c < IN; c++)
                    w[(first + r) * IN + c] = kept[transposed ? c * sizes[p] + r : r * IN + c];
            parts[p] = (struct lay_matrix){bytes[p] + (p & 1), dtype, sizes[p], IN, transposed};
            first += sizes[p];
            free(values);
            free(kept);
        }
        struct lay_linear *linear = make(dnn, compute, parts, 3, NULL);
        forward(linear, x, y, ROWS, false);
        check(compute, x, w, NULL, NULL, y, ROWS, IN, OUT);
        lay_linear_destroy(linear);
        for (int p = 0; p < 3; p++)
            free(bytes[p]);
        free(w);
        free(x);
    }
    lay_dnn_destroy(dnn);
}

static void aligned_parts_read_in_place_give_the_same_bits_as_converted_ones(void **unused)
{
    (void)unused;
    struct lay_dnn *dnn = open_dnn();
    enum { IN = 128, OUT = 400, ROWS = 3 };
    float *w = random_floats(OUT * IN), *x = random_floats(ROWS * IN);
    uint16_t *half = malloc(OUT * IN * sizeof *half);
    double *wide = malloc(OUT * IN * sizeof *wide);
    for (int i = 0; i < OUT * IN; i++) {
        w[i] = rounded(w[i]);
        half[i] = lay_f32_to_bf16(w[i]);
        wide[i] = w[i];
    }
    const struct lay_matrix forms[] = {
        {w, LAY_F32, OUT, IN, false}, {half, LAY_BF16, OUT, IN, false}, {wide, LAY_F64, OUT, IN, false}};
    for (int c = 0; c < 3; c++) {
        float y[3][ROWS * OUT];
        for (int f = 0; f < 3; f++) {
            struct lay_linear *linear = make(dnn, computes[c], &forms[f], 1, NULL);
            forward(linear, x, y[f], ROWS, false);
            lay_linear_destroy(linear);
        }
        assert_memory_equal(y[0], y[1], sizeof y[0]);
        assert_memory_equal(y[0], y[2], sizeof y[0]);
    }
    free(w);
    free(x);
    free(half);
    free(wide);
    lay_dnn_destroy(dnn);
}

static void every_f16_widens_exactly(void **unused)
{
    (void)unused;
    enum { N = 1 << 16 };
    uint16_t *half = malloc(N * sizeof *half);
    float *wide = malloc(N * sizeof *wide);
    for (int i = 0; i < N; i++)
        half[i] = (uint16_t)i;
    lay_widen_f16(half, wide, N);
    for (int i = 0; i < N; i++) {
        const float exact = lay_f16_to_f32((uint16_t)i);
        assert_memory_equal(&wide[i], &exact, sizeof exact);
    }
    free(half);
    free(wide);
}

static void int8_takes_a_byte_a_weight(void **unused)
{
    (void)unused;
    enum { IN = 256, OUT = 512 };
    struct lay_dnn *dnn = open_dnn();
    float *w = random_floats(OUT * IN);
    const struct lay_matrix part = {w, LAY_F32, OUT, IN, false};
    struct lay_linear *linear = make(dnn, LAY_I8, &part, 1, NULL);
    assert_int_equal(lay_linear_bytes(linear), IN * OUT + 2 * OUT * sizeof(float));
    lay_linear_destroy(linear);
    lay_dnn_destroy(dnn);
    free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_stored_form_packs_to_the_same_layer),
        cmocka_unit_test(aligned_parts_read_in_place_give_the_same_bits_as_converted_ones),
        cmocka_unit_test(every_f16_widens_exactly),
        cmocka_unit_test(int8_takes_a_byte_a_weight),
    };
    return failed_with_caps(cmocka_run_group_tests(tests, NULL, NULL));
}

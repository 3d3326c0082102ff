/* Transposed layers and weight gradients against naive sums in double; threads and splits must not change a
 * bit. */
#include "engine/dnn/gradient.h"

#include "engine/base/mem.h"

#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/random.h"
#include "tests/unit/ok.h"

static struct lay_dnn *dnn;

static float *numbers(int64_t n, uint32_t seed)
{
    float *x = malloc((size_t)(n + 1) * sizeof *x);
    assert_non_null(x);
    random_fill(x, (size_t)n, seed);
    return x;
}

static double rounded(enum lay_dtype compute, float x)
{
    return (double)(compute == LAY_BF16 ? lay_bf16_to_f32(lay_f32_to_bf16(x)) : x);
}

static const enum lay_dtype dtypes[] = {LAY_F32, LAY_BF16};

/* dx = dy W for layers that are cut into one and into several parts, before and after a refill. */
static void check_transposed(const struct lay_linear *t, enum lay_dtype compute, const float *w, int64_t out,
                             int64_t in)
{
    const int64_t rows = 5;
    float *dy = numbers(rows * out, 3), *dx = numbers(rows * in, 0);
    ok(lay_linear_forward(t, dy, dx, rows, false, err));
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < in; i++) {
            double expected = 0;
            for (int64_t o = 0; o < out; o++)
                expected += rounded(compute, dy[r * out + o]) * rounded(compute, w[o * in + i]);
            assert_true(fabs((double)dx[r * in + i] - expected) < 1e-5 * (double)out);
        }
    free(dy);
    free(dx);
}

static void transposed_layers(void **state)
{
    static const int64_t sizes[][2] = {{1, 1}, {7, 5}, {48, 33}, {130, 300}, {1500, 40}, {64, 1700}};
    (void)state;
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (int d = 0; d < 2; d++) {
            const int64_t out = sizes[s][0], in = sizes[s][1];
            float *w = numbers(out * in, 1), *other = numbers(out * in, 2), *bias = numbers(out, 4);
            const struct lay_matrix matrix = {w, LAY_F32, out, in, false},
                                    new = {other, LAY_F32, out, in, false};
            struct lay_linear *layer, *transposed;
            ok(lay_linear_create(dnn, dtypes[d], &matrix, 1, bias, &layer, err));
            ok(lay_linear_transpose(layer, &transposed, err));
            check_transposed(transposed, dtypes[d], w, out, in);
            ok(lay_linear_refill(layer, &new, 1, bias, err));
            ok(lay_linear_transpose_into(layer, transposed, err));
            check_transposed(transposed, dtypes[d], other, out, in);
            lay_linear_destroy(layer);
            lay_linear_destroy(transposed);
            free(w), free(other), free(bias);
        }
}

static void a_refilled_layer_equals_a_new_one(void **state)
{
    (void)state;
    const int64_t out = 70, in = 50, rows = 3;
    float *w = numbers(out * in, 1), *other = numbers(out * in, 2), *bias = numbers(out, 4),
          *b = numbers(out, 5);
    float *x = numbers(rows * in, 6), *y = numbers(rows * out, 0), *z = numbers(rows * out, 0);
    for (int d = 0; d < 2; d++) {
        const struct lay_matrix matrix = {w, LAY_F32, out, in, false};
        const struct lay_matrix halves[] = {{other, LAY_F32, 30, in, false},
                                            {other + 30 * in, LAY_F32, out - 30, in, false}};
        struct lay_linear *refilled, *made;
        ok(lay_linear_create(dnn, dtypes[d], &matrix, 1, bias, &refilled, err));
        ok(lay_linear_refill(refilled, halves, 2, b, err));
        ok(lay_linear_create(dnn, dtypes[d], halves, 2, b, &made, err));
        ok(lay_linear_forward(refilled, x, y, rows, false, err));
        ok(lay_linear_forward(made, x, z, rows, false, err));
        assert_memory_equal(y, z, (size_t)(rows * out) * sizeof *y);
        lay_linear_destroy(refilled);
        lay_linear_destroy(made);
    }
    free(w), free(other), free(bias), free(b), free(x), free(y), free(z);
}

static const struct lay_segment segments[] = {{0, 3}, {3, 1}, {4, 33}, {37, 64}, {103, 20}};
enum { SEGMENTS = sizeof segments / sizeof *segments, ROWS = 123 };

static bool counts(int64_t row)
{
    return row < 101 || row >= 103; /* two rows belong to no segment */
}

static void weight_gradients(void **state)
{
    static const int64_t sizes[][2] = {{1, 1}, {5, 7}, {130, 33}, {300, 64}};
    (void)state;
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (int d = 0; d < 2; d++) {
            const int64_t out = sizes[s][0], in = sizes[s][1];
            float *x = numbers(ROWS * in, 1), *dy = numbers(ROWS * out, 2), *start = numbers(out * in, 3);
            float *dw = numbers(out * in, 3), *split = numbers(out * in, 3), *one = numbers(out * in, 3);
            ok(lay_weight_gradient(dnn, dtypes[d], dy, x, out, in, segments, SEGMENTS, dw, err));
            for (int64_t o = 0; o < out; o++)
                for (int64_t i = 0; i < in; i++) {
                    double expected = (double)start[o * in + i];
                    for (int64_t r = 0; r < ROWS; r++)
                        if (counts(r))
                            expected +=
                                rounded(dtypes[d], dy[r * out + o]) * rounded(dtypes[d], x[r * in + i]);
                    assert_true(fabs((double)dw[o * in + i] - expected) < 1e-5);
                }
            for (int i = 0; i < SEGMENTS; i++)
                ok(lay_weight_gradient(dnn, dtypes[d], dy, x, out, in, segments + i, 1, split, err));
            const int threads = omp_get_max_threads();
            omp_set_num_threads(threads == 1 ? 2 : 1);
            ok(lay_weight_gradient(dnn, dtypes[d], dy, x, out, in, segments, SEGMENTS, one, err));
            omp_set_num_threads(threads);
            assert_memory_equal(dw, split, (size_t)(out * in) * sizeof *dw);
            assert_memory_equal(dw, one, (size_t)(out * in) * sizeof *dw);
            free(x), free(dy), free(start), free(dw), free(split), free(one);
        }
}

static void failing_allocations(void **state)
{
    (void)state;
    const int64_t out = 40, in = 24;
    float *x = numbers(ROWS * in, 1), *dy = numbers(ROWS * out, 2), *dw = numbers(out * in, 3);
    const struct lay_matrix matrix = {dw, LAY_F32, out, in, false};
    bool failed = true;
    for (long n = 0; failed; n++) {
        struct lay_dnn *own = NULL;
        struct lay_linear *layer = NULL, *transposed = NULL;
        struct lay_err err = {0};
        lay_mem_fail_after(n);
        enum lay_status status = lay_dnn_create(&own, &err);
        if (status == LAY_OK)
            status = lay_linear_create(own, LAY_F32, &matrix, 1, NULL, &layer, &err);
        if (status == LAY_OK)
            status = lay_linear_transpose(layer, &transposed, &err);
        if (status == LAY_OK)
            status = lay_weight_gradient(own, LAY_F32, dy, x, out, in, segments, SEGMENTS, dw, &err);
        lay_mem_fail_after(-1);
        failed = status != LAY_OK;
        assert_true(!failed || status == LAY_ERR_MEMORY);
        lay_linear_destroy(layer);
        lay_linear_destroy(transposed);
        lay_dnn_destroy(own);
        assert_true(n < 1000);
    }
    free(x), free(dy), free(dw);
}

static int open_dnn(void **state)
{
    (void)state;
    return lay_dnn_create(&dnn, NULL) == LAY_OK ? 0 : -1;
}

static int close_dnn(void **state)
{
    (void)state;
    lay_dnn_destroy(dnn);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(transposed_layers),
        cmocka_unit_test(a_refilled_layer_equals_a_new_one),
        cmocka_unit_test(weight_gradients),
        cmocka_unit_test(failing_allocations),
    };
    return cmocka_run_group_tests(tests, open_dnn, close_dnn);
}

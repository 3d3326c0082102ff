/* Linear layers against products in double precision, and their invariance: a row's bits depend on that row
 * alone, not on how many rows there are, where it stands or how many threads run. The whole program is run
 * again with oneDNN capped to smaller instruction sets. */
#include "caps.h"
#include "linear.h"

#include "engine/base/mem.h"

#include <omp.h>

static const int64_t small_shapes[][2] = {/* in, out */
                                          {24, 32}, {32, 48},  {30, 104}, {48, 300}, {1, 1},    {3, 5},
                                          {16, 1},  {17, 257}, {256, 24}, {256, 96}, {650, 70}, {1281, 33}};
#define N_SMALL (sizeof small_shapes / sizeof *small_shapes)

static void products_agree_with_double_precision(void **unused)
{
    (void)unused;
    struct lay_dnn *dnn = open_dnn();
    const int64_t row_counts[] = {1, 2, 7, 16, 33};
    for (size_t s = 0; s < N_SMALL; s++)
        for (int variant = 0; variant < 12; variant++) {
            const enum lay_dtype compute = computes[variant / 4];
            const bool with_bias = variant & 1, accumulate = variant & 2;
            const int64_t in = small_shapes[s][0], out = small_shapes[s][1];
            float *w = random_floats(in * out), *bias = random_floats(out);
            const struct lay_matrix part = {w, LAY_F32, out, in, false};
            struct lay_linear *linear = make(dnn, compute, &part, 1, with_bias ? bias : NULL);
            assert_int_equal(lay_linear_in(linear), in);
            assert_int_equal(lay_linear_out(linear), out);
            for (size_t i = 0; i < sizeof row_counts / sizeof *row_counts; i++) {
                const int64_t rows = row_counts[i];
                float *x = random_floats(rows * in), *y = random_floats(rows * out);
                float *before = malloc((size_t)(rows * out) * sizeof *before);
                memcpy(before, y, (size_t)(rows * out) * sizeof *before);
                forward(linear, x, y, rows, accumulate);
                check(compute, x, w, with_bias ? bias : NULL, accumulate ? before : NULL, y, rows, in, out);
                free(x);
                free(y);
                free(before);
            }
            lay_linear_destroy(linear);
            free(w);
            free(bias);
        }
    lay_dnn_destroy(dnn);
}

/* Runs every row count with every number of threads (with one of them each, when there are many row counts)
 * and compares each row with the same row run alone. */
static void check_invariance(struct lay_dnn *dnn, enum lay_dtype compute, int64_t in, int64_t out,
                             const int64_t *row_counts, size_t n_counts)
{
    enum { DISTINCT = 29 };
    static const int threads[] = {1, 2, 4, 7};
    float *w = random_floats(in * out), *bias = random_floats(out), *rows = random_floats(DISTINCT * in);
    float *alone = malloc((size_t)(DISTINCT * out) * sizeof *alone);
    const struct lay_matrix part = {w, LAY_F32, out, in, false};
    struct lay_linear *linear = make(dnn, compute, &part, 1, bias);
    const int before = omp_get_max_threads();
    omp_set_num_threads(2);
    for (int64_t r = 0; r < DISTINCT; r++)
        for (int64_t twice = 0; twice < 2; twice++) /* plain, then accumulated on top of itself */
            forward(linear, rows + r * in, alone + r * out, 1, twice);
    for (size_t i = 0; i < n_counts; i++)
        for (size_t t = 0; t < sizeof threads / sizeof *threads; t++) {
            if (n_counts > 16 && t != i % 4)
                continue;
            const int64_t n = row_counts[i];
            float *x = malloc((size_t)(n * in) * sizeof *x), *y = malloc((size_t)(n * out) * sizeof *y);
            const int64_t shift = (int64_t)(i * 5 + t);
            for (int64_t r = 0; r < n; r++)
                memcpy(x + r * in, rows + (r * 7 + shift) % DISTINCT * in, (size_t)in * sizeof *x);
            omp_set_num_threads(threads[t]);
            forward(linear, x, y, n, false);
            forward(linear, x, y, n, true);
            for (int64_t r = 0; r < n; r++)
                if (memcmp(y + r * out, alone + (r * 7 + shift) % DISTINCT * out, (size_t)out * sizeof *y) !=
                    0)
                    fail_msg("%s [%d, %d]: row %d of %d with %d threads differs from the row alone",
                             lay_dtype_name(compute), (int)out, (int)in, (int)r, (int)n, threads[t]);
            free(x);
            free(y);
        }
    omp_set_num_threads(before);
    lay_linear_destroy(linear);
    free(w);
    free(bias);
    free(rows);
    free(alone);
}

static void a_row_does_not_depend_on_its_neighbours_or_on_threads(void **unused)
{
    (void)unused;
    struct lay_dnn *dnn = open_dnn();
    int64_t every[130];
    for (int64_t i = 0; i < 130; i++)
        every[i] = i + 1;
    static const int64_t some[] = {2, 5, 17, 40, 130};
    static const int64_t few[] = {3, 130};
    static const int64_t large[][2] = {{2048, 256}, {512, 1200}, {1100, 520}, {5632, 200}, {20480, 64}};
    static const int64_t tall[] = {513, 700};
    for (int c = 0; c < 3; c++) {
        const enum lay_dtype compute = computes[c];
        for (size_t s = 0; s < N_SMALL; s++)
            check_invariance(dnn, compute, small_shapes[s][0], small_shapes[s][1], some,
                             sizeof some / sizeof *some);
        check_invariance(dnn, compute, 96, 264, every, 130);
        check_invariance(dnn, compute, 64, 80, tall, 2);
        for (size_t s = 0; s < sizeof large / sizeof *large; s++)
            check_invariance(dnn, compute, large[s][0], large[s][1], few, 2);
    }
    lay_dnn_destroy(dnn);
}

static void check_failing_allocations(enum lay_dtype compute)
{
    struct lay_dnn *dnn = open_dnn();
    enum { IN = 20, OUT = 300, ROWS = 3 };
    double *w = calloc(IN * OUT, sizeof *w); /* f64, so that packing converts */
    float *x = random_floats(ROWS * IN), *bias = random_floats(OUT), y[ROWS * OUT];
    const struct lay_matrix part = {w, LAY_F64, OUT, IN, false};
    struct lay_err err = {0};
    enum lay_status status = LAY_ERR_MEMORY;
    for (long n = 0; status != LAY_OK; n++) {
        struct lay_linear *linear = NULL;
        assert_true(n < 100);
        lay_mem_fail_after(n);
        status = lay_linear_create(dnn, compute, &part, 1, bias, &linear, &err);
        if (status == LAY_OK)
            status = lay_linear_forward(linear, x, y, ROWS, false, &err);
        lay_mem_fail_after(-1);
        assert_true(status == LAY_OK || status == LAY_ERR_MEMORY);
        assert_true(n > 0 || status == LAY_ERR_MEMORY);
        lay_linear_destroy(linear);
    }
    for (int i = 0; i < ROWS * OUT; i++)
        assert_true(y[i] == bias[i % OUT]);
    lay_dnn_destroy(dnn);
    free(w);
    free(x);
    free(bias);
}

static void every_failing_allocation_is_reported_and_leaks_nothing(void **unused)
{
    (void)unused;
    check_failing_allocations(LAY_BF16);
    check_failing_allocations(LAY_I8);
}

/* A row that cannot be divided into steps must not come out as numbers. */
static void int8_rows_of_zeros_stay_zero_and_those_with_nan_or_infinity_become_nan(void **unused)
{
    (void)unused;
    enum { IN = 70, OUT = 33, ROWS = 5 };
    struct lay_dnn *dnn = open_dnn();
    float *w = random_floats(OUT * IN), *x = random_floats(ROWS * IN), y[ROWS * OUT];
    for (int i = 0; i < IN; i++) {
        x[i] = 0.0f;
        x[3 * IN + i] *= 1e-45f; /* denormals, most of them 0 */
        w[5 * IN + i] = 0.0f;
    }
    x[1 * IN + 7] = NAN;
    x[2 * IN + 69] = -INFINITY;
    const struct lay_matrix part = {w, LAY_F32, OUT, IN, false};
    struct lay_linear *linear = make(dnn, LAY_I8, &part, 1, NULL);
    forward(linear, x, y, ROWS, false);
    for (int o = 0; o < OUT; o++) {
        assert_true(y[o] == 0.0f);
        assert_true(isnan(y[1 * OUT + o]) && isnan(y[2 * OUT + o]));
        assert_true(fabsf(y[3 * OUT + o]) < 1e-40f);
        assert_true(isfinite(y[4 * OUT + o]) && (y[4 * OUT + o] != 0.0f) == (o != 5));
    }
    lay_linear_destroy(linear);
    lay_dnn_destroy(dnn);
    free(w);
    free(x);
}

static void no_rows_are_no_work(void **unused)
{
    (void)unused;
    struct lay_dnn *dnn = open_dnn();
    float *w = random_floats(12), y = 5.0f;
    const struct lay_matrix part = {w, LAY_F32, 3, 4, false};
    struct lay_linear *linear = make(dnn, LAY_BF16, &part, 1, NULL);
    forward(linear, NULL, &y, 0, false);
    assert_true(y == 5.0f);
    assert_true(lay_linear_bytes(linear) >= 12 * sizeof(uint16_t));
    lay_linear_destroy(linear);
    lay_linear_destroy(NULL);
    lay_dnn_destroy(dnn);
    lay_dnn_destroy(NULL);
    free(w);
}

static void more_shapes_than_are_kept_still_work(void **unused)
{
    (void)unused;
    struct lay_dnn *dnn = open_dnn();
    enum { IN = 5, OUT = 2 };
    float *w = random_floats(IN * OUT), *x = random_floats(512 * IN);
    const struct lay_matrix part = {w, LAY_F32, OUT, IN, false};
    struct lay_linear *linear = make(dnn, LAY_F32, &part, 1, NULL);
    float y[512 * OUT], again[512 * OUT];
    for (int threads = 1; threads <= 3; threads++) { /* 3 · 512 shapes of product */
        omp_set_num_threads(threads);
        for (int64_t rows = 1; rows <= 512; rows++)
            forward(linear, x, y, rows, false);
        if (threads > 1)
            assert_memory_equal(y, again, sizeof y);
        memcpy(again, y, sizeof y);
    }
    omp_set_num_threads(2);
    lay_linear_destroy(linear);
    lay_dnn_destroy(dnn);
    free(w);
    free(x);
}

static void names_are_given_for_the_manifest(void **unused)
{
    (void)unused;
    assert_true(lay_dnn_version()[0] >= '2');
    const char *support = lay_dnn_bf16_support(), *cap = getenv("ONEDNN_MAX_CPU_ISA");
    assert_true(strcmp(support, "native") == 0 || strcmp(support, "widened to f32") == 0);
    if (!cap)
        return;
    if (strcmp(cap, "AVX2") == 0)
        assert_string_equal(lay_dnn_isa(), "avx2");
    assert_string_equal(support,
                        "widened to f32"); /* the caps below all lack bf16 and dot products of bytes */
    assert_string_equal(lay_dnn_int8_support(), "widened to f32");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_agree_with_double_precision),
        cmocka_unit_test(a_row_does_not_depend_on_its_neighbours_or_on_threads),
        cmocka_unit_test(every_failing_allocation_is_reported_and_leaks_nothing),
        cmocka_unit_test(int8_rows_of_zeros_stay_zero_and_those_with_nan_or_infinity_become_nan),
        cmocka_unit_test(no_rows_are_no_work),
        cmocka_unit_test(more_shapes_than_are_kept_still_work),
        cmocka_unit_test(names_are_given_for_the_manifest),
    };
    return failed_with_caps(cmocka_run_group_tests(tests, NULL, NULL));
}

/* Linear layers against products in double precision, and their invariance: a row's bits depend on that row
 * alone, not on how many rows there are, where it stands or how many threads run. The whole program is run
 * again with oneDNN capped to smaller instruction sets. */
#include "engine/base/mem.h"
#include "engine/dnn/internal.h"
#include "engine/dnn/linear.h"

#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/random.h"

static uint32_t state = 12345;

static float *random_floats(int64_t n)
{
    float *x = malloc((size_t)n * sizeof *x);
    assert_non_null(x);
    for (int64_t i = 0; i < n; i++)
        x[i] = random_signed(&state);
    return x;
}

static float rounded(float x)
{
    return lay_bf16_to_f32(lay_f32_to_bf16(x));
}

static struct lay_dnn *open_dnn(void)
{
    struct lay_dnn *dnn = NULL;
    struct lay_err err = {0};
    if (lay_dnn_create(&dnn, &err) != LAY_OK)
        fail_msg("%s", err.message);
    return dnn;
}

static struct lay_linear *make(struct lay_dnn *dnn, enum lay_dtype compute, const struct lay_matrix *parts,
                               int n, const float *bias)
{
    struct lay_linear *linear = NULL;
    struct lay_err err = {0};
    if (lay_linear_create(dnn, compute, parts, n, bias, &linear, &err) != LAY_OK)
        fail_msg("%s", err.message);
    return linear;
}

static void forward(const struct lay_linear *linear, const float *x, float *y, int64_t rows, bool accumulate)
{
    struct lay_err err = {0};
    if (lay_linear_forward(linear, x, y, rows, accumulate, &err) != LAY_OK)
        fail_msg("%s", err.message);
}

/* x in steps of max |x| / 127, in f64; returns the step. */
static double in_steps(const float *x, int64_t n, double *q)
{
    double largest = 0;
    for (int64_t i = 0; i < n; i++)
        largest = fabs(x[i]) > largest ? fabs(x[i]) : largest;
    for (int64_t i = 0; i < n; i++)
        q[i] = largest > 0 ? x[i] * 127 / largest : 0;
    return largest / 127;
}

/* int8 by its definition, in f64. A value on the border of two steps may go to either, which moves the sum by
 * as much as the other factor; the f32 roundings of the steps and of the result are the rest. */
static void check_int8(const float *x, const float *w, const float *bias, const float *before, const float *y,
                       int64_t rows, int64_t in, int64_t out)
{
    double *qx = malloc((size_t)(rows * in) * sizeof *qx), *qw = malloc((size_t)in * sizeof *qw);
    double *step_x = malloc((size_t)rows * sizeof *step_x);
    for (int64_t r = 0; r < rows; r++)
        step_x[r] = in_steps(x + r * in, in, qx + r * in);
    for (int64_t o = 0; o < out; o++) {
        const double step_w = in_steps(w + o * in, in, qw);
        for (int64_t r = 0; r < rows; r++) {
            double sum = 0, borders = 0;
            for (int64_t k = 0; k < in; k++) {
                const double qa = qx[r * in + k], a = nearbyint(qa), b = nearbyint(qw[k]);
                sum += a * b;
                borders += fabs(fabs(qa - a) - 0.5) < 1e-4 ? fabs(b) + 1 : 0;
                borders += fabs(fabs(qw[k] - b) - 0.5) < 1e-4 ? fabs(a) + 1 : 0;
            }
            const double step = step_x[r] * step_w, first = bias ? bias[o] : 0.0;
            const double second = before ? before[r * out + o] : 0.0, expected = step * sum + first + second;
            const double limit = step * borders + 1e-6 * (step * fabs(sum) + fabs(first) + fabs(second));
            if (!(fabs(y[r * out + o] - expected) <= limit))
                fail_msg("int8 [%d, %d] row %d of %d, output %d: %g instead of %g", (int)out, (int)in, (int)r,
                         (int)rows, (int)o, (double)y[r * out + o], expected);
        }
    }
    free(step_x);
    free(qx);
    free(qw);
}

/* y[r][o] lies within the worst case of any order of f32 sums of the products of x and w (rounded to bf16
 * first when that is what is computed). */
static void check(enum lay_dtype compute, const float *x, const float *w, const float *bias,
                  const float *before, const float *y, int64_t rows, int64_t in, int64_t out)
{
    if (compute == LAY_I8) {
        check_int8(x, w, bias, before, y, rows, in, out);
        return;
    }
    for (int64_t r = 0; r < rows; r++)
        for (int64_t o = 0; o < out; o++) {
            double sum = 0, size = 0;
            for (int64_t k = 0; k < in; k++) {
                const double a = compute == LAY_BF16 ? rounded(x[r * in + k]) : x[r * in + k];
                const double b = compute == LAY_BF16 ? rounded(w[o * in + k]) : w[o * in + k];
                sum += a * b;
                size += fabs(a * b);
            }
            const double extra = (bias ? bias[o] : 0.0) + (before ? before[r * out + o] : 0.0);
            const double limit = (double)(in + 3) * ldexp(1.0, -24) * (size + fabs(extra) + 1);
            if (fabs(y[r * out + o] - (sum + extra)) > limit)
                fail_msg("[%d, %d] row %d of %d, output %d: %g instead of %g", (int)out, (int)in, (int)r,
                         (int)rows, (int)o, (double)y[r * out + o], sum + extra);
        }
}

static const enum lay_dtype computes[] = {LAY_F32, LAY_BF16, LAY_I8};

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
    static const int64_t large[][2] = {{2048, 256}, {512, 1200}, {1100, 520}, {5632, 200}};
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

/* Runs this program again under a cap. */
static void run_capped(const char *cap)
{
    char setting[64], *argv[] = {(char *)"capped", NULL};
    snprintf(setting, sizeof setting, "ONEDNN_MAX_CPU_ISA=%s", cap);
    char *environment[256];
    size_t n = 0;
    for (char **e = environ; *e && n < 254; e++)
        environment[n++] = *e;
    environment[n++] = setting;
    environment[n] = NULL;
    pid_t child;
    int status = -1;
    assert_int_equal(posix_spawn(&child, "/proc/self/exe", NULL, NULL, argv, environment), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void all_holds_under_avx2(void **unused)
{
    (void)unused;
    run_capped("AVX2");
}

static void all_holds_under_avx512_without_bf16(void **unused)
{
    (void)unused;
    run_capped("AVX512_CORE");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_agree_with_double_precision),
        cmocka_unit_test(every_stored_form_packs_to_the_same_layer),
        cmocka_unit_test(aligned_parts_read_in_place_give_the_same_bits_as_converted_ones),
        cmocka_unit_test(every_f16_widens_exactly),
        cmocka_unit_test(a_row_does_not_depend_on_its_neighbours_or_on_threads),
        cmocka_unit_test(every_failing_allocation_is_reported_and_leaks_nothing),
        cmocka_unit_test(int8_rows_of_zeros_stay_zero_and_those_with_nan_or_infinity_become_nan),
        cmocka_unit_test(int8_takes_a_byte_a_weight),
        cmocka_unit_test(layers_of_one_input_give_the_bits_of_each_by_itself),
        cmocka_unit_test(a_feed_forward_block_gives_the_bits_of_its_three_steps),
        cmocka_unit_test(no_rows_are_no_work),
        cmocka_unit_test(more_shapes_than_are_kept_still_work),
        cmocka_unit_test(names_are_given_for_the_manifest),
    };
    const struct CMUnitTest caps[] = {
        cmocka_unit_test(all_holds_under_avx2),
        cmocka_unit_test(all_holds_under_avx512_without_bf16),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    return getenv("ONEDNN_MAX_CPU_ISA") ? failed : failed + cmocka_run_group_tests(caps, NULL, NULL);
}

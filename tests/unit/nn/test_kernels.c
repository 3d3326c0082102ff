/* Norms, activations, rotary embedding, argmax and embedding lookup against double precision. */
#include "helpers.h"

#include "engine/nn/embedding.h"
#include "engine/nn/fuse.h"

static const int64_t widths[] = {1, 3, 15, 16, 17, 31, 32, 33, 48, 100, 2048, 5000};
#define N_WIDTHS (sizeof widths / sizeof *widths)

static void rms_norm_is_that_of_t5_and_llama(void **unused)
{
    (void)unused;
    for (size_t w = 0; w < N_WIDTHS; w++)
        for (int64_t rows = 0; rows < 6; rows++) {
            const int64_t n = widths[w];
            const float eps = 1e-6f;
            float *x = random_floats(rows * n, 3), *weight = random_floats(n, 2),
                  *y = random_floats(rows * n, 1);
            lay_rms_norm(x, weight, y, rows, n, eps);
            for (int64_t r = 0; r < rows; r++) {
                double squares = 0;
                for (int64_t i = 0; i < n; i++)
                    squares += (double)x[r * n + i] * x[r * n + i];
                const double factor = 1 / sqrt(squares / (double)n + eps);
                for (int64_t i = 0; i < n; i++)
                    assert_true(ulps(y[r * n + i], x[r * n + i] * factor * weight[i]) < 6);
            }
            lay_rms_norm(x, weight, x, rows, n, eps);
            assert_memory_equal(x, y, (size_t)(rows * n) * sizeof *x); /* in place */
            free(x);
            free(weight);
            free(y);
        }
}

static void layer_norm_subtracts_the_mean(void **unused)
{
    (void)unused;
    for (size_t w = 0; w < N_WIDTHS; w++)
        for (int64_t rows = 0; rows < 6; rows++) {
            const int64_t n = widths[w];
            float *x = random_floats(rows * n, 3), *weight = random_floats(n, 2), *bias = random_floats(n, 2);
            float *y = random_floats(rows * n, 1);
            for (int64_t i = 0; i < rows * n; i++)
                x[i] += 5; /* a mean that matters */
            lay_layer_norm(x, weight, bias, y, rows, n, 1e-5f);
            for (int64_t r = 0; r < rows; r++) {
                double mean = 0, squares = 0;
                for (int64_t i = 0; i < n; i++)
                    mean += x[r * n + i];
                mean /= (double)n;
                for (int64_t i = 0; i < n; i++)
                    squares += (x[r * n + i] - mean) * (x[r * n + i] - mean);
                const double factor = 1 / sqrt(squares / (double)n + 1e-5);
                for (int64_t i = 0; i < n; i++) /* the mean is right to 1 part in 10^6, eps amplifies it */
                    assert_true(fabs(y[r * n + i] - ((x[r * n + i] - mean) * factor * weight[i] + bias[i])) <
                                (n == 1 ? 2e-3 : 2e-5));
            }
            lay_layer_norm(x, weight, bias, x, rows, n, 1e-5f);
            assert_memory_equal(x, y, (size_t)(rows * n) * sizeof *x);
            free(x);
            free(weight);
            free(bias);
            free(y);
        }
}

static double exact_activation(enum lay_activation act, double x)
{
    switch (act) {
    case LAY_RELU:
        return x > 0 ? x : 0;
    case LAY_GELU_TANH: {
        const double u = sqrt(2 / M_PI) * (x + 0.044715 * x * x * x);
        return x / (1 + exp(-2 * u));
    }
    case LAY_GELU_ERF:
        return 0.5 * x * erfc(-x / sqrt(2));
    case LAY_SILU:
        break;
    }
    return x / (1 + exp(-x));
}

/* How far f32 may be off: an ulp or two of |x|, as where 1 + erf or 1 + tanh is rounded; where x σ(w) is what
 * is computed, also relative to the result, however small: five roundings of w are that many of e^w. */
static double activation_limit(enum lay_activation act, double x, double exact)
{
    const double w = act == LAY_GELU_TANH ? 1.6 * (x + 0.044715 * x * x * x) : x;
    const double relative = act == LAY_GELU_ERF ? INFINITY : ldexp(1, -24) * (6 + 5 * fabs(w));
    return fmin(1.5e-7 * fabs(x), relative * fabs(exact) + 1e-37);
}

static void activations_are_accurate_everywhere(void **unused)
{
    (void)unused;
    enum { N = 200001 };
    float *x = malloc(N * sizeof *x), *y = malloc(N * sizeof *y);
    for (enum lay_activation act = LAY_RELU; act <= LAY_SILU; act++) {
        for (int i = 0; i < N; i++)
            x[i] = y[i] = i % 2 ? uniform(-12, 12) : ldexpf(uniform(-1, 1), (int)random_int(-30, 6));
        lay_activate(act, y, 1, N);
        for (int i = 0; i < N; i++) {
            const double exact = exact_activation(act, x[i]), error = fabs(y[i] - exact);
            const double limit = activation_limit(act, x[i], exact);
            if (error > limit)
                fail_msg("activation %d of %.9g: %.9g instead of %.9g", (int)act, (double)x[i], (double)y[i],
                         exact);
        }
    }
    free(x);
    free(y);
}

static void activations_keep_infinities_and_nan(void **unused)
{
    (void)unused;
    for (enum lay_activation act = LAY_RELU; act <= LAY_SILU; act++) {
        float x[] = {INFINITY, 1000.0f, -1000.0f, NAN, 0.0f};
        lay_activate(act, x, 5, 1);
        assert_true(x[0] == INFINITY && x[1] == 1000.0f && x[2] == 0.0f && isnan(x[3]) && x[4] == 0.0f);
    }
}

static void gated_activations_multiply_the_second_half(void **unused)
{
    (void)unused;
    for (size_t w = 0; w < N_WIDTHS; w++)
        for (int64_t rows = 0; rows < 4; rows++)
            for (enum lay_activation act = LAY_RELU; act <= LAY_SILU; act++) {
                const int64_t n = widths[w];
                float *x = random_floats(rows * 2 * n, 4), *y = random_floats(rows * n, 1);
                lay_activate_gated(act, x, y, rows, n);
                for (int64_t r = 0; r < rows; r++)
                    for (int64_t i = 0; i < n; i++) {
                        const double up = x[(2 * r + 1) * n + i];
                        const double exact = exact_activation(act, x[2 * r * n + i]) * up;
                        assert_true(fabs(y[r * n + i] - exact) <= 2e-6);
                    }
                free(x);
                free(y);
            }
}

static void addition_adds(void **unused)
{
    (void)unused;
    const int64_t sizes[] = {0, 1, 15, 33, 100000};
    for (size_t s = 0; s < 5; s++) {
        float *x = random_floats(sizes[s], 2), *y = random_floats(sizes[s], 2), *sum = copied(y, sizes[s]);
        lay_add(sum, x, sizes[s]);
        for (int64_t i = 0; i < sizes[s]; i++)
            assert_true(sum[i] == x[i] + y[i]);
        free(x);
        free(y);
        free(sum);
    }
}

static void rope_turns_pairs_half_a_head_apart(void **unused)
{
    (void)unused;
    const int64_t head_dims[] = {2, 6, 10, 32, 64, 128, 256};
    for (size_t s = 0; s < sizeof head_dims / sizeof *head_dims; s++)
        for (int64_t rows = 0; rows < 40; rows += 13) {
            const int64_t d = head_dims[s], half = d / 2, heads = random_int(1, 5), stride = heads * d + 7;
            float *x = random_floats(rows * stride, 2), *before = copied(x, rows * stride), inv_freq[128];
            int64_t positions[40];
            for (int64_t i = 0; i < half; i++)
                inv_freq[i] = (float)(1 / pow(10000.0, (double)(2 * i) / (double)d));
            for (int64_t r = 0; r < rows; r++)
                positions[r] = r == 0 ? 0 : random_int(0, r % 2 ? 300 : 130000);
            lay_rope(x, rows, stride, heads, d, positions, inv_freq);
            for (int64_t r = 0; r < rows; r++)
                for (int64_t i = 0; i < stride; i++) {
                    const int64_t at = r * stride + i, k = i % d % half;
                    const float angle = (float)positions[r] * inv_freq[k];
                    const double c = (double)(float)cos(angle), sine = (double)(float)sin(angle);
                    double exact = before[at];
                    if (i < heads * d)
                        exact = i % d < half ? before[at] * c - before[at + half] * sine
                                             : before[at] * c + before[at - half] * sine;
                    assert_true(fabs(x[at] - exact) <= (i < heads * d ? 5e-7 : 0));
                }
            free(x);
            free(before);
        }
}

static void argmax_takes_the_first_of_equals_and_no_nan(void **unused)
{
    (void)unused;
    float x[100];
    for (int i = 0; i < 100; i++)
        x[i] = (float)(i % 7);
    assert_int_equal(lay_argmax(x, 100), 6);
    x[3] = NAN;
    assert_int_equal(lay_argmax(x, 100), 6);
    x[99] = 8;
    assert_int_equal(lay_argmax(x, 100), 99);
    assert_int_equal(lay_argmax(x, 99), 6);
    for (int i = 0; i < 100; i++)
        x[i] = i < 40 ? NAN : -INFINITY;
    assert_int_equal(lay_argmax(x, 100), 40);
    assert_int_equal(lay_argmax(x, 1), 0);
    for (int i = 0; i < 100; i++)
        x[i] = -1.0f - (float)(i == 50 ? 0 : i + 1);
    assert_int_equal(lay_argmax(x, 100), 50);
}

static void embeddings_are_converted_scaled_and_checked(void **unused)
{
    (void)unused;
    enum { ROWS = 9, COLS = 21 };
    float *table = random_floats(ROWS * COLS, 2), out[4 * COLS];
    uint16_t half[ROWS * COLS];
    for (int i = 0; i < ROWS * COLS; i++)
        half[i] = lay_f32_to_bf16(table[i]);
    const int32_t ids[] = {8, 0, 3, 3}, wrong[] = {1, 9}, negative[] = {-1};
    const struct lay_embedding wide = {table, LAY_F32, ROWS, COLS, LAY_F32},
                               narrow = {half, LAY_BF16, ROWS, COLS, LAY_F32},
                               rounding = {table, LAY_F32, ROWS, COLS, LAY_BF16};
    struct lay_err err = {0};
    assert_int_equal(lay_embedding_lookup(&wide, ids, 4, 3.0f, out, &err), LAY_OK);
    for (int i = 0; i < 4 * COLS; i++)
        assert_true(out[i] == 3.0f * table[ids[i / COLS] * COLS + i % COLS]);
    const struct lay_embedding *forms[] = {&narrow, &rounding};
    for (int f = 0; f < 2; f++) {
        assert_int_equal(lay_embedding_lookup(forms[f], ids, 4, 1.0f, out, &err), LAY_OK);
        for (int i = 0; i < 4 * COLS; i++)
            assert_true(out[i] == lay_bf16_to_f32(half[ids[i / COLS] * COLS + i % COLS]));
    }
    assert_int_equal(lay_embedding_lookup(&wide, ids, 0, 1.0f, NULL, &err), LAY_OK);
    assert_int_equal(lay_embedding_lookup(&wide, wrong, 2, 1.0f, out, &err), LAY_ERR_INPUT);
    assert_non_null(strstr(err.message, "9"));
    assert_int_equal(lay_embedding_lookup(&wide, negative, 1, 1.0f, out, &err), LAY_ERR_INPUT);
    free(table);
}

/* Everything once with one thread and all rows, then row by row with several: the bits must agree. */
/* Outputs are made in groups and elements in blocks: the sum must be right in each, and its bits may not tell
 * where an output or an element stood. */
static void fusion_sums_layers_wherever_an_element_stands(void **unused)
{
    (void)unused;
    enum { LAYERS = 5, MOST = 13, N = 203 };
    float *layers[LAYERS], *shifted[LAYERS];
    float *weight = random_floats(MOST * LAYERS, 1), *bias = random_floats(MOST, 1);
    float *out = malloc(sizeof(float) * MOST * N), *one = malloc(sizeof(float) * N);
    for (int j = 0; j < LAYERS; j++)
        layers[j] = random_floats(N, 1);
    for (int64_t count = 1; count <= MOST; count++) {
        lay_fuse_layers((const float *const *)layers, LAYERS, weight, bias, count, out, N);
        for (int64_t o = 0; o < count; o++)
            for (int64_t e = 0; e < N; e++) {
                double sum = bias[o], size = fabs((double)bias[o]);
                for (int j = 0; j < LAYERS; j++) {
                    sum += (double)weight[o * LAYERS + j] * layers[j][e];
                    size += fabs((double)weight[o * LAYERS + j] * layers[j][e]);
                }
                assert_true(fabs(out[o * N + e] - (sum > 0 ? sum : 0)) <= 4e-7 * size);
            }
    }
    for (int64_t first = 0; first < 70; first += 3)
        for (int64_t o = 0; o < MOST; o++) {
            for (int j = 0; j < LAYERS; j++)
                shifted[j] = layers[j] + first;
            lay_fuse_layers((const float *const *)shifted, LAYERS, weight + o * LAYERS, bias + o, 1, one,
                            N - first);
            assert_memory_equal(one, out + o * N + first, sizeof(float) * (size_t)(N - first));
        }
    for (int j = 0; j < LAYERS; j++)
        free(layers[j]);
    free(weight), free(bias), free(out), free(one);
}

static void rows_do_not_depend_on_each_other_or_on_threads(void **unused)
{
    (void)unused;
    enum { ROWS = 64, N = 1003, HEADS = 17, DIM = 59 };
    float *x = random_floats(ROWS * N, 3), *weight = random_floats(N, 1), *bias = random_floats(N, 1),
          *inv = random_floats(29, 1);
    int64_t positions[ROWS];
    for (int r = 0; r < ROWS; r++)
        positions[r] = random_int(0, 4000);
    float *all[5], *single[5];
    for (int k = 0; k < 5; k++) {
        all[k] = copied(x, ROWS * N);
        single[k] = copied(x, ROWS * N);
    }
    omp_set_num_threads(1);
    for (int r = 0; r < ROWS; r++) {
        const int64_t at = (int64_t)r * N;
        lay_rms_norm(x + at, weight, single[0] + at, 1, N, 1e-6f);
        lay_layer_norm(x + at, weight, bias, single[1] + at, 1, N, 1e-6f);
        lay_activate(LAY_GELU_ERF, single[2] + at, 1, N);
        lay_rope(single[3] + at, 1, N, HEADS, DIM - 1, positions + r, inv);
        lay_activate_gated(LAY_SILU, x + at, single[4] + at, 1, N / 2);
    }
    for (int threads = 1; threads <= 4; threads *= 2) {
        omp_set_num_threads(threads);
        for (int k = 2; k < 4; k++)
            memcpy(all[k], x, sizeof *x * ROWS * N);
        lay_rms_norm(x, weight, all[0], ROWS, N, 1e-6f);
        lay_layer_norm(x, weight, bias, all[1], ROWS, N, 1e-6f);
        lay_activate(LAY_GELU_ERF, all[2], ROWS, N);
        lay_rope(all[3], ROWS, N, HEADS, DIM - 1, positions, inv);
        for (int k = 0; k < 4; k++)
            assert_memory_equal(all[k], single[k], sizeof *x * ROWS * N);
    }
    for (int k = 0; k < 5; k++) {
        free(all[k]);
        free(single[k]);
    }
    free(x);
    free(weight);
    free(bias);
    free(inv);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rms_norm_is_that_of_t5_and_llama),
        cmocka_unit_test(layer_norm_subtracts_the_mean),
        cmocka_unit_test(activations_are_accurate_everywhere),
        cmocka_unit_test(activations_keep_infinities_and_nan),
        cmocka_unit_test(gated_activations_multiply_the_second_half),
        cmocka_unit_test(addition_adds),
        cmocka_unit_test(rope_turns_pairs_half_a_head_apart),
        cmocka_unit_test(argmax_takes_the_first_of_equals_and_no_nan),
        cmocka_unit_test(embeddings_are_converted_scaled_and_checked),
        cmocka_unit_test(fusion_sums_layers_wherever_an_element_stands),
        cmocka_unit_test(rows_do_not_depend_on_each_other_or_on_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The backward kernels against finite differences, in double, of forward functions written down here, and
 * against themselves: threads and splits must not change a bit. */
#include "engine/nn/gradient.h"

#include "differences.h"
#include "tests/unit/activation.h"

/* --- RMSNorm, LayerNorm --- */

struct norm {
    int64_t rows, n;
    bool centred;        /* LayerNorm */
    const float *weight; /* NULL: the variable is the weight, `x` is fixed */
    const float *x;
};

static double norm_value(const struct function *f, const double *variable)
{
    const struct norm *c = f->context;
    double total = 0;
    for (int64_t r = 0; r < c->rows; r++) {
        double x[64], mean = 0, squares = 0;
        for (int64_t i = 0; i < c->n; i++) {
            x[i] = c->weight ? variable[r * c->n + i] : (double)c->x[r * c->n + i];
            mean += x[i] / (double)c->n;
        }
        for (int64_t i = 0; i < c->n; i++) {
            x[i] -= c->centred ? mean : 0;
            squares += x[i] * x[i];
        }
        for (int64_t i = 0; i < c->n; i++) {
            const double w = c->weight ? (double)c->weight[i] : variable[i];
            total += (double)f->weight[r * c->n + i] * x[i] / sqrt(squares / (double)c->n + 1e-5) * w;
        }
    }
    return total;
}

static void check_norm(int64_t rows, int64_t n, bool centred)
{
    void (*const backward)(const float *, const float *, const float *, float *, int64_t, int64_t, float) =
        centred ? lay_layer_norm_backward : lay_rms_norm_backward;
    void (*const grow)(const float *, const float *, float *, int64_t, int64_t, float) =
        centred ? lay_layer_norm_weight : lay_rms_norm_weight;
    float *x = random_floats(rows * n, 2), *w = random_floats(n, 1), *dy = random_floats(rows * n, 1);
    float *dx = random_floats(rows * n, 0), *dw = random_floats(n, 0), *parts = random_floats(n, 0);
    for (int64_t i = 0; i < rows * n; i++)
        x[i] += centred ? 0.75f : 0; /* a mean that is not 0 */
    backward(x, w, dy, dx, rows, n, 1e-5f);
    grow(x, dy, dw, rows, n, 1e-5f);
    struct norm c = {rows, n, centred, w, x};
    const struct function f = {norm_value, &c, dy};
    check(&f, x, dx, rows * n, centred ? "layer norm, input" : "norm, input");
    c.weight = NULL;
    check(&f, w, dw, n, centred ? "layer norm, weight" : "norm, weight");
    const int64_t half = rows / 2;
    grow(x, dy, parts, half, n, 1e-5f);
    grow(x + half * n, dy + half * n, parts, rows - half, n, 1e-5f);
    assert_same(dw, parts, n);
    backward(x, w, dy, parts, 1, n, 1e-5f); /* it adds */
    for (int64_t i = 0; i < n; i++)
        assert_true(fabsf(parts[i] - (dw[i] + dx[i])) <= 1e-5f * (1 + fabsf(dw[i]) + fabsf(dx[i])));
    free(x), free(w), free(dy), free(dx), free(dw), free(parts);
}

static void norms(void **state)
{
    static const int64_t sizes[][2] = {{1, 1}, {3, 5}, {2, 16}, {5, 33}, {1, 62}, {70, 19}};
    (void)state;
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (int centred = 0; centred < 2; centred++)
            check_norm(sizes[s][0], sizes[s][1], centred);
}

/* Wide enough for several threads. */
static void norms_do_not_depend_on_threads(void **state)
{
    enum { ROWS = 130, N = 131 };
    (void)state;
    const int threads = omp_get_max_threads();
    float *x = random_floats(ROWS * N, 2), *w = random_floats(N, 1), *dy = random_floats(ROWS * N, 1), *dx[2],
          *dw[2];
    for (int many = 0; many < 2; many++) {
        dx[many] = random_floats(ROWS * N, 0);
        dw[many] = random_floats(N, 0);
        omp_set_num_threads(many ? 3 : 1);
        lay_layer_norm_backward(x, w, dy, dx[many], ROWS, N, 1e-5f);
        lay_layer_norm_weight(x, dy, dw[many], ROWS, N, 1e-5f);
    }
    omp_set_num_threads(threads);
    assert_same(dx[0], dx[1], ROWS * N);
    assert_same(dw[0], dw[1], N);
    free(x), free(w), free(dy), free(dx[0]), free(dx[1]), free(dw[0]), free(dw[1]);
}

static void sums_of_rows_are_added_in_order(void **state)
{
    (void)state;
    const int64_t rows = 7, n = 70, table_rows = 4;
    const int32_t ids[] = {2, 0, -1, 2, 3, 2, 0};
    float *x = random_floats(rows * n, 1), *sum = calloc((size_t)n, sizeof *sum);
    float *table = calloc((size_t)(table_rows * n), sizeof *table);
    assert_true(sum && table);
    lay_add_rows(x, sum, rows, n);
    lay_scatter_rows(x, ids, table, rows, n);
    for (int64_t i = 0; i < n; i++) {
        float expected = 0, rows_of[4] = {0};
        for (int64_t r = 0; r < rows; r++) {
            expected += x[r * n + i];
            if (ids[r] >= 0)
                rows_of[ids[r]] += x[r * n + i];
        }
        assert_true(sum[i] == expected);
        for (int64_t t = 0; t < table_rows; t++)
            assert_true(table[t * n + i] == rows_of[t]);
    }
    free(x), free(sum), free(table);
}

/* --- RoPE --- */

struct rope {
    int64_t rows, heads, head_dim;
    const int64_t *positions;
    const float *inv_freq;
};

static double rope_value(const struct function *f, const double *x)
{
    const struct rope *c = f->context;
    const int64_t half = c->head_dim / 2;
    double total = 0;
    for (int64_t r = 0; r < c->rows * c->heads; r++)
        for (int64_t i = 0; i < half; i++) {
            const int64_t row = r / c->heads;
            const double angle = (double)((float)c->positions[row] * c->inv_freq[i]);
            const double a = x[r * c->head_dim + i], b = x[r * c->head_dim + half + i];
            total += (double)f->weight[r * c->head_dim + i] * (a * cos(angle) - b * sin(angle));
            total += (double)f->weight[r * c->head_dim + half + i] * (b * cos(angle) + a * sin(angle));
        }
    return total;
}

static void rope(void **state)
{
    (void)state;
    const int64_t rows = 3, heads = 2, head_dim = 6, positions[] = {0, 5, 77}, n = rows * heads * head_dim;
    const float inv_freq[] = {1.0f, 0.1f, 0.01f};
    float *x = random_floats(n, 1), *dy = random_floats(n, 1), *dx = copied(dy, n);
    lay_rope_backward(dx, rows, heads * head_dim, heads, head_dim, positions, inv_freq);
    const struct rope c = {rows, heads, head_dim, positions, inv_freq};
    const struct function f = {rope_value, &c, dy};
    check(&f, x, dx, n, "rope");
    free(x), free(dy), free(dx);
}

/* --- activations --- */

struct activation {
    enum lay_activation act;
    int64_t rows, n;
    bool gated;
};

static double activation_value(const struct function *f, const double *x)
{
    const struct activation *c = f->context;
    double total = 0;
    for (int64_t r = 0; r < c->rows; r++)
        for (int64_t i = 0; i < c->n; i++) {
            const double *row = x + r * c->n * (c->gated ? 2 : 1);
            total += (double)f->weight[r * c->n + i] * reference_activation(c->act, row[i]) *
                     (c->gated ? row[c->n + i] : 1);
        }
    return total;
}

static void activations(void **state)
{
    static const int64_t sizes[][2] = {{1, 1}, {2, 16}, {3, 37}};
    (void)state;
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (int act = LAY_RELU; act <= LAY_SILU; act++) {
            const int64_t rows = sizes[s][0], n = sizes[s][1];
            float *x = random_floats(2 * rows * n, 3), *dy = random_floats(rows * n, 1);
            float *dx = random_floats(2 * rows * n, 1);
            struct activation c = {(enum lay_activation)act, rows, n, true};
            const struct function f = {activation_value, &c, dy};
            lay_activate_gated_backward(c.act, x, dy, dx, rows, n);
            check(&f, x, dx, 2 * rows * n, "gated activation");
            c.gated = false;
            lay_activate_backward(c.act, x, dy, dx, rows * n);
            check(&f, x, dx, rows * n, "activation");
            float *place = copied(x, 2 * rows * n), *again = random_floats(2 * rows * n, 1);
            lay_activate_gated_backward(c.act, x, dy, again, rows, n);
            lay_activate_gated_backward(c.act, place, dy, place, rows, n);
            assert_same(again, place, 2 * rows * n);
            free(x), free(dy), free(dx), free(place), free(again);
        }
}

/* --- cross-entropy --- */

struct entropy {
    int64_t rows, n;
    const int32_t *targets;
};

static double entropy_row(const struct entropy *c, const double *x, int64_t r)
{
    const double *row = x + r * c->n;
    double sum = exp(row[0] - row[c->targets[r]]);
    for (int64_t i = 1; i < c->n; i++)
        sum += exp(row[i] - row[c->targets[r]]);
    return log(sum);
}

static double entropy_value(const struct function *f, const double *x)
{
    const struct entropy *c = f->context;
    double total = 0;
    for (int64_t r = 0; r < c->rows; r++)
        total += (double)*f->weight * entropy_row(c, x, r);
    return total;
}

static void cross_entropy(void **state)
{
    static const int64_t widths[] = {1, 7, 16, 4100};
    (void)state;
    for (size_t s = 0; s < sizeof widths / sizeof *widths; s++) {
        const int64_t rows = widths[s] > 1000 ? 1 : 3, n = widths[s];
        const int32_t targets[] = {0, (int32_t)n - 1, (int32_t)n / 2};
        const float weight = 0.75f;
        float *x = random_floats(rows * n, 6), *dx = copied(x, rows * n);
        double loss[3], *wide = widened(x, rows * n);
        const struct entropy c = {rows, n, targets};
        const struct function f = {entropy_value, &c, &weight};
        lay_cross_entropy(dx, targets, rows, n, weight, loss);
        for (int64_t r = 0; r < rows; r++)
            assert_true(fabs(loss[r] - entropy_row(&c, wide, r)) < 2e-6);
        check(&f, x, dx, rows * n, "cross-entropy");
        free(x), free(dx), free(wide);
    }
}

static void a_logit_that_is_not_a_number_makes_the_loss_one(void **state)
{
    (void)state;
    float logits[] = {1, NAN, 2, 3};
    const int32_t target = 0;
    double loss;
    lay_cross_entropy(logits, &target, 1, 4, 1, &loss);
    assert_true(isnan(loss));
}

/* --- dropout --- */

/* How many go, by the binomial distribution. Which ones: tests/unit/train/reference.h says it once more. */
static void dropout(void **state)
{
    enum { ROWS = 50, N = 1001 };
    static float x[ROWS * N], again[ROWS * N], other[ROWS * N];
    (void)state;
    for (int64_t i = 0; i < ROWS * N; i++)
        x[i] = again[i] = other[i] = (float)(i + 1);
    lay_dropout(x, ROWS, N, 7, 0.25);
    const int threads = omp_get_max_threads();
    omp_set_num_threads(threads == 1 ? 2 : 1);
    lay_dropout(again, ROWS, N, 7, 0.25);
    omp_set_num_threads(threads);
    assert_same(x, again, ROWS * N);
    lay_dropout(other, ROWS, N, 8, 0.25);
    int64_t dropped = 0, both = 0;
    for (int64_t i = 0; i < ROWS * N; i++) {
        assert_true(x[i] == 0 || x[i] == (float)(i + 1) * (float)(4.0 / 3.0));
        dropped += x[i] == 0;
        both += x[i] == 0 && other[i] == 0;
    }
    /* 50 050 elements: five standard deviations around 1/4 and, independent ones, 1/16 */
    assert_in_range(dropped, 12512 - 485, 12512 + 485);
    assert_in_range(both, 3128 - 271, 3128 + 271);
    for (int64_t i = 0; i < N; i++)
        again[i] = (float)i;
    lay_dropout(again, 1, N, 7, 0);
    for (int64_t i = 0; i < N; i++)
        assert_true(again[i] == (float)i);
    /* the rows are the same whatever stands below them */
    for (int64_t i = 0; i < 3 * N; i++)
        again[i] = (float)(i + 1);
    lay_dropout(again, 3, N, 7, 0.25);
    assert_same(x, again, 3 * N);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(norms),         cmocka_unit_test(norms_do_not_depend_on_threads),
        cmocka_unit_test(dropout),       cmocka_unit_test(sums_of_rows_are_added_in_order),
        cmocka_unit_test(rope),          cmocka_unit_test(activations),
        cmocka_unit_test(cross_entropy), cmocka_unit_test(a_logit_that_is_not_a_number_makes_the_loss_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

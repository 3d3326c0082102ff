/* The backward kernels against finite differences, in double, of forward functions written down here, and
 * against themselves: threads and splits must not change a bit. */
#include "engine/nn/gradient.h"
#include "engine/nn/fuse.h"
#include "engine/nn/gate.h"

#include "helpers.h"
#include "tests/unit/activation.h"

#define STEP 1e-4

/* A scalar function of n numbers: Σ weight · y(x). */
struct function {
    double (*value)(const struct function *f, const double *x);
    const void *context;
    const float *weight; /* of the outputs: what stands for dy */
};

static double slope(const struct function *f, double *x, int64_t i)
{
    const double middle = x[i];
    x[i] = middle + STEP;
    const double above = f->value(f, x);
    x[i] = middle - STEP;
    const double below = f->value(f, x);
    x[i] = middle;
    return (above - below) / (2 * STEP);
}

static double *widened(const float *x, int64_t n)
{
    double *wide = malloc((size_t)(n + 1) * sizeof *wide);
    assert_non_null(wide);
    for (int64_t i = 0; i < n; i++)
        wide[i] = (double)x[i];
    return wide;
}

/* gradient [n] at x against finite differences; the error of those is of order STEP². */
static void check(const struct function *f, const float *x, const float *gradient, int64_t n,
                  const char *what)
{
    double *wide = widened(x, n);
    for (int64_t i = 0; i < n; i++) {
        const double expected = slope(f, wide, i);
        if (!(fabs((double)gradient[i] - expected) <= 2e-5 * (1 + fabs(expected))))
            fail_msg("%s: element %lld is %.9g, by differences %.9g", what, (long long)i, (double)gradient[i],
                     expected);
    }
    free(wide);
}

static void assert_same(const float *a, const float *b, int64_t n)
{
    assert_memory_equal(a, b, (size_t)n * sizeof *a);
}

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

/* --- fusion of encoder layers --- */

struct fuse {
    int64_t m, n;
    float *const *layers;
    const float *parameters; /* weight [2, m] and bias [2]; NULL: the variable */
    int64_t layer;           /* which layer is the variable */
};

static double fuse_value(const struct function *f, const double *x)
{
    const struct fuse *c = f->context;
    double total = 0;
    for (int k = 0; k < 2; k++)
        for (int64_t i = 0; i < c->n; i++) {
            double sum = c->parameters ? (double)c->parameters[2 * c->m + k] : x[2 * c->m + k];
            for (int64_t j = 0; j < c->m; j++) {
                const double w = c->parameters ? (double)c->parameters[k * c->m + j] : x[k * c->m + j];
                sum += w * (c->parameters && j == c->layer ? x[i] : (double)c->layers[j][i]);
            }
            total += (double)f->weight[k * c->n + i] * (sum > 0 ? sum : 0);
        }
    return total;
}

static void fusion(void **state)
{
    (void)state;
    enum { M = 3, N = 37 };
    float *layers[M], *dlayers[M], gradient[2 * M + 2] = {0};
    for (int j = 0; j < M; j++) {
        layers[j] = random_floats(N, 1);
        dlayers[j] = calloc(N, sizeof(float));
        assert_non_null(dlayers[j]);
    }
    float *p = random_floats(2 * M + 2, 1), *dy = random_floats(2 * N, 1), *d = copied(dy, 2 * N), out[2 * N];
    lay_fuse_layers((const float *const *)layers, M, p, p + 2 * M, 2, out, N);
    const struct lay_fuse_gradient g = {
        (const float *const *)layers, p, M, N, out, out + N, d, d + N, gradient, gradient + 2 * M, dlayers};
    lay_fuse_backward(&g);
    struct fuse c = {M, N, layers, NULL, 0};
    const struct function f = {fuse_value, &c, dy};
    check(&f, p, gradient, 2 * M + 2, "fusion, parameters");
    c.parameters = p;
    for (c.layer = 0; c.layer < M; c.layer++)
        check(&f, layers[c.layer], dlayers[c.layer], N, "fusion, layer");
    for (int j = 0; j < M; j++)
        free(layers[j]), free(dlayers[j]);
    free(p), free(dy), free(d);
}

/* Both uses of the mean together: the gradient of each layer is the sum of both, over m. */
static double mean_value(const struct function *f, const double *x)
{
    const struct fuse *c = f->context;
    double total = 0;
    for (int64_t i = 0; i < c->n; i++) {
        double mean = 0;
        for (int64_t j = 0; j < c->m; j++)
            mean += (j == c->layer ? x[i] : (double)c->layers[j][i]) / (double)c->m;
        total += ((double)f->weight[i] + (double)f->weight[c->n + i]) * mean;
    }
    return total;
}

static void mean_of_layers(void **state)
{
    (void)state;
    for (int trial = 0; trial < 8; trial++) {
        const int64_t m = random_int(1, 6), n = random_int(1, 3000);
        float *layers[6], *dlayers[6], *out = random_floats(n, 1), *dy = random_floats(2 * n, 1);
        for (int64_t j = 0; j < m; j++) {
            layers[j] = random_floats(n, 1);
            dlayers[j] = calloc((size_t)n, sizeof(float));
            assert_non_null(dlayers[j]);
        }
        lay_mean_layers((const float *const *)layers, m, out, n);
        for (int64_t i = 0; i < n; i++) {
            double mean = 0;
            for (int64_t j = 0; j < m; j++)
                mean += (double)layers[j][i] / (double)m;
            assert_true(fabs((double)out[i] - mean) < 5e-7);
        }
        lay_mean_backward(dy, dy + n, dlayers, m, n);
        const int64_t checked = n < 40 ? n : 40; /* the last ones */
        struct fuse c = {m, checked, layers, NULL, 0};
        float *tails[6], weight[80];
        for (int64_t j = 0; j < m; j++)
            tails[j] = layers[j] + n - checked;
        memcpy(weight, dy + n - checked, (size_t)checked * sizeof *weight);
        memcpy(weight + checked, dy + 2 * n - checked, (size_t)checked * sizeof *weight);
        c.layers = tails;
        const struct function f = {mean_value, &c, weight};
        for (c.layer = 0; c.layer < m; c.layer++)
            check(&f, tails[c.layer], dlayers[c.layer] + n - checked, checked, "mean of layers");
        for (int64_t j = 0; j < m; j++)
            free(layers[j]), free(dlayers[j]);
        free(out), free(dy);
    }
}

/* --- gates that read the hidden state --- */

enum gated { GATED_X, GATED_H, GATED_WEIGHT, GATED_BIAS };
struct gate {
    int64_t rows, n, width;
    const float *x, *h, *weight;
    float bias;
    enum gated variable;
};

/* Σ dy · tanh(bias + weight · h) x; x [rows, width], h [rows, n]. */
static double gate_value(const struct function *f, const double *v)
{
    const struct gate *c = f->context;
    double total = 0;
    for (int64_t r = 0; r < c->rows; r++) {
        double u = c->variable == GATED_BIAS ? v[0] : (double)c->bias;
        for (int64_t i = 0; i < c->n; i++)
            u += (c->variable == GATED_WEIGHT ? v[i] : (double)c->weight[i]) *
                 (c->variable == GATED_H ? v[r * c->n + i] : (double)c->h[r * c->n + i]);
        for (int64_t e = 0; e < c->width; e++) {
            const int64_t at = r * c->width + e;
            total += (double)f->weight[at] * tanh(u) * (c->variable == GATED_X ? v[at] : (double)c->x[at]);
        }
    }
    return total;
}

static void check_gate(int64_t rows, int64_t n, int64_t width)
{
    float *x = random_floats(rows * width, 1), *h = random_floats(rows * n, 1), *w = random_floats(n, 0.3f);
    float *dy = random_floats(rows * width, 1), *dx = copied(dy, rows * width),
          *gate = random_floats(rows, 1);
    float *y = calloc((size_t)(rows * width), sizeof *y), *du = random_floats(rows, 1), dbias = 0;
    float *dh = calloc((size_t)(rows * n), sizeof *dh), *dw = calloc((size_t)n, sizeof *dw);
    assert_true(y && dh && dw);
    struct gate c = {rows, n, width, x, h, w, 0.2f, GATED_X};
    struct function f = {gate_value, &c, dy};
    lay_gate_rows(h, w, c.bias, gate, rows, n);
    lay_add_gated(x, gate, y, rows, width);
    double value = 0, *wide = widened(x, rows * width);
    for (int64_t i = 0; i < rows * width; i++)
        value += (double)dy[i] * (double)y[i];
    assert_true(fabs(value - gate_value(&f, wide)) < 1e-5 * (double)(rows * width));
    free(wide);
    lay_gated_backward(x, gate, dx, du, rows, width);
    lay_gate_inputs(du, w, dh, rows, n);
    lay_gate_weight(du, h, dw, &dbias, rows, n);
    check(&f, x, dx, rows * width, "gate, attention");
    c.variable = GATED_H;
    check(&f, h, dh, rows * n, "gate, hidden state");
    c.variable = GATED_WEIGHT;
    check(&f, w, dw, n, "gate, weight");
    c.variable = GATED_BIAS;
    check(&f, &c.bias, &dbias, 1, "gate, bias");
    free(x), free(h), free(w), free(dy), free(dx), free(gate), free(y), free(du), free(dh), free(dw);
}

static void hidden_gates(void **state)
{
    (void)state;
    check_gate(1, 1, 1);
    for (int trial = 0; trial < 6; trial++)
        check_gate(random_int(1, 9), random_int(2, 70), random_int(1, 50));
    check_gate(3, 16, 32);
}

/* Rows in one call, or in two, and any number of threads: the same bits. */
static void gates_by_parts(void **state)
{
    (void)state;
    enum { ROWS = 67, N = 300, CUT = 23 };
    const int before = omp_get_max_threads();
    float *h = random_floats(ROWS * N, 1), *du = random_floats(ROWS, 1), *w = random_floats(N, 1);
    float whole[N + 1] = {0}, parts[N + 1] = {0}, gates[2][ROWS];
    omp_set_num_threads(1);
    lay_gate_weight(du, h, whole, whole + N, ROWS, N);
    lay_gate_rows(h, w, 0.1f, gates[0], ROWS, N);
    omp_set_num_threads(2);
    lay_gate_weight(du, h, parts, parts + N, CUT, N);
    lay_gate_weight(du + CUT, h + CUT * N, parts, parts + N, ROWS - CUT, N);
    for (int64_t r = 0; r < ROWS; r++)
        lay_gate_rows(h + r * N, w, 0.1f, gates[1] + r, 1, N);
    omp_set_num_threads(before);
    assert_memory_equal(whole, parts, sizeof whole);
    assert_memory_equal(gates[0], gates[1], sizeof *gates);
    free(h), free(du), free(w);
}

/* --- attention --- */

enum variable { QUERIES, KEYS, VALUES, BIAS };
struct attention {
    struct lay_attention a;
    enum variable variable;
    double factor;
};

static double score_of(const struct attention *c, const double *x, int64_t h, int64_t row, int64_t key,
                       int64_t distance)
{
    const struct lay_attention *a = &c->a;
    const int64_t d = a->head_dim, kv = h / (a->heads / a->kv_heads), centre = a->bias_span - 1;
    double sum = 0;
    for (int64_t i = 0; i < d; i++) {
        const int64_t q = row * a->q_stride + h * d + i, k = key * a->k_stride + kv * d + i;
        sum += (c->variable == QUERIES ? x[q] : (double)a->q[q]) *
               (c->variable == KEYS ? x[k] : (double)a->k[k]);
    }
    sum *= (double)a->scale;
    const int64_t bias = h * (2 * a->bias_span - 1) + distance + centre;
    if (a->bias_table)
        sum += c->variable == BIAS ? x[bias] : (double)a->bias_table[bias];
    return sum;
}

/* Σ weight · out of one query of one head. */
static double query_value(const struct function *f, const double *x, const struct lay_attention_pair *p,
                          int64_t h, int64_t query)
{
    const struct attention *c = f->context;
    const struct lay_attention *a = &c->a;
    const int64_t d = a->head_dim, row = p->first_query + query;
    int64_t low = 0, high = p->n_keys;
    if (a->causal) {
        high = query + 1;
        low = a->window > 0 && query >= a->window ? query - a->window + 1 : 0;
    }
    double denominator = 0, numerator = 0;
    for (int64_t j = low; j < high; j++) {
        const double e = exp(score_of(c, x, h, row, p->first_key + j, j - query));
        double dot = 0;
        for (int64_t i = 0; i < d; i++) {
            const int64_t v = (p->first_key + j) * a->v_stride + h / (a->heads / a->kv_heads) * d + i;
            dot += (double)f->weight[(row * a->heads + h) * d + i] *
                   (c->variable == VALUES ? x[v] : (double)a->v[v]);
        }
        denominator += e;
        numerator += e * dot;
    }
    return c->factor * numerator / denominator;
}

static double attention_value(const struct function *f, const double *x)
{
    const struct attention *c = f->context;
    double total = 0;
    for (int64_t p = 0; p < c->a.n_pairs; p++)
        for (int64_t h = 0; h < c->a.heads; h++)
            for (int64_t i = 0; i < c->a.pairs[p].n_queries; i++)
                total += query_value(f, x, &c->a.pairs[p], h, i);
    return total;
}

/* What a call leaves behind. */
struct outcome {
    float *out, *lse, *dq, *dk, *dv, *dots, *dbias[2];
};

static void run(const struct lay_attention *a, const float *dy, float factor, int64_t rows, int64_t keys,
                struct outcome *o)
{
    const int64_t width = a->heads * a->head_dim, span = 2 * a->bias_span - 1;
    float *scratch = malloc(lay_attention_scratch(a) * sizeof *scratch);
    o->out = random_floats(rows * width, 0);
    o->lse = random_floats(rows * a->heads, 0);
    o->dq = random_floats(rows * a->q_stride, 0);
    o->dk = random_floats(keys * a->k_stride, 0);
    o->dv = random_floats(keys * a->v_stride, 0);
    o->dots = random_floats(a->n_pairs * a->heads, 0);
    for (int i = 0; i < 2; i++)
        o->dbias[i] = random_floats(a->heads * (span > 0 ? span : 1), 0);
    assert_non_null(scratch);
    lay_attention_forward(a, o->out, o->lse, scratch);
    const struct lay_attention_gradient g = {
        o->out, o->lse, dy, factor, o->dq, o->dk, o->dv, o->dots, a->bias_table ? o->dbias : NULL};
    lay_attention_backward(a, &g, scratch);
    free(scratch);
}

static void release(struct outcome *o)
{
    free(o->out), free(o->lse), free(o->dq), free(o->dk), free(o->dv), free(o->dots);
    free(o->dbias[0]), free(o->dbias[1]);
}

struct shape {
    int64_t heads, kv_heads, head_dim;
    bool causal;
    int64_t window;
    bool bias;
    float factor;
    struct lay_attention_pair pairs[2];
};

static const struct shape shapes[] = {
    {2, 2, 4, true, 0, false, 1, {{0, 3, 0, 3}, {3, 5, 3, 5}}},
    {4, 2, 6, true, 0, false, 1, {{0, 1, 0, 1}, {1, 7, 1, 7}}},
    {6, 1, 10, true, 0, false, 1, {{0, 18, 0, 18}, {18, 3, 18, 3}}},
    {2, 1, 18, true, 3, false, 1, {{0, 20, 0, 20}, {20, 35, 20, 35}}},
    {4, 2, 6, false, 0, false, -0.5f, {{0, 4, 0, 7}, {4, 33, 7, 2}}},
    {3, 3, 5, false, 0, true, 1, {{0, 5, 0, 5}, {5, 20, 5, 17}}},
};

static void attention_of(const struct shape *s)
{
    enum { ROWS = 56, SPAN = 20 };
    const int64_t q = s->heads * s->head_dim + 3, k = s->kv_heads * s->head_dim + 2; /* strides with gaps */
    float *Q = random_floats(ROWS * q, 1), *K = random_floats(ROWS * k, 1), *V = random_floats(ROWS * k, 1);
    float *bias = random_floats(s->heads * (2 * SPAN - 1), 1);
    float *dy = random_floats(ROWS * s->heads * s->head_dim, 1);
    struct attention c = {.a = {Q, K, V, q, k, k, s->heads, s->kv_heads, s->head_dim, 0.4f, s->causal,
                                s->window, s->bias ? bias : NULL, SPAN, s->pairs, 2},
                          .factor = (double)s->factor};
    const struct function f = {attention_value, &c, dy};
    struct outcome o, one;
    run(&c.a, dy, s->factor, ROWS, ROWS, &o);
    check(&f, Q, o.dq, ROWS * q, "attention, queries");
    c.variable = KEYS;
    check(&f, K, o.dk, ROWS * k, "attention, keys");
    c.variable = VALUES;
    check(&f, V, o.dv, ROWS * k, "attention, values");
    double dots = 0, *values = widened(V, ROWS * k);
    for (int64_t i = 0; i < 2 * s->heads; i++)
        dots += (double)o.dots[i];
    assert_true(fabs(dots * (double)s->factor - attention_value(&f, values)) < 1e-4);
    free(values);
    c.variable = BIAS;
    for (int64_t i = 0; s->bias && i < s->heads * (2 * SPAN - 1); i++)
        o.dbias[0][i] += o.dbias[1][i];
    if (s->bias)
        check(&f, bias, o.dbias[0], s->heads * (2 * SPAN - 1), "attention, bias");
    const int threads = omp_get_max_threads();
    omp_set_num_threads(threads == 1 ? 2 : 1);
    run(&c.a, dy, s->factor, ROWS, ROWS, &one);
    omp_set_num_threads(threads);
    assert_same(o.out, one.out, ROWS * s->heads * s->head_dim);
    assert_same(o.dq, one.dq, ROWS * q);
    assert_same(o.dk, one.dk, ROWS * k);
    assert_same(o.dv, one.dv, ROWS * k);
    release(&o), release(&one);
    free(Q), free(K), free(V), free(bias), free(dy);
}

static void attention(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        attention_of(&shapes[i]);
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
        cmocka_unit_test(norms),          cmocka_unit_test(norms_do_not_depend_on_threads),
        cmocka_unit_test(dropout),        cmocka_unit_test(sums_of_rows_are_added_in_order),
        cmocka_unit_test(rope),           cmocka_unit_test(activations),
        cmocka_unit_test(cross_entropy),  cmocka_unit_test(a_logit_that_is_not_a_number_makes_the_loss_one),
        cmocka_unit_test(fusion),         cmocka_unit_test(attention),
        cmocka_unit_test(mean_of_layers), cmocka_unit_test(hidden_gates),
        cmocka_unit_test(gates_by_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

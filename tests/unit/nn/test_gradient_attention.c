/* The gradients of attention against finite differences; threads must not change a bit. */
#include "engine/nn/gradient.h"

#include "differences.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attention),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

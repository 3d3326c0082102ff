/* Attention over whole sequences, forward and backward. One task is a pair and a key head; its queries go by
 * in blocks of 32, in order, through five small products
 *
 *   S = Q Kᵀ    P = exp(S − lse)    dP = dO Vᵀ    dS = P (dP − Σ dO O)
 *   dQ = dS K   dK += dSᵀ Q         dV += Pᵀ dO
 *
 * so what a row gets does not depend on other sequences or on threads. */
#include "engine/nn/gradient.h"
#include "engine/nn/vector.h"

#include <assert.h>
#include <omp.h>

#define QUERIES 32 /* of a block */
#define TILE 8     /* rows of a product held in registers */

static int64_t padded(int64_t n)
{
    return (n + LAY_LANES - 1) / LAY_LANES * LAY_LANES;
}

/* --- C [rows, n] += A B; element (i, k) of A is a[i · a_row + k · a_col], n a multiple of LAY_LANES --- */

struct product {
    const float *a;
    int64_t a_row, a_col;
    const float *b;
    int64_t b_row;
    float *c;
    int64_t c_row;
    int64_t rows, n, depth;
};

LAY_INLINE void tile(const struct product *p, int64_t row, int64_t column, int rows)
{
    const float *a = p->a + row * p->a_row, *b = p->b + column;
    float *c = p->c + row * p->c_row + column;
    lay_vec sum[TILE];
    for (int i = 0; i < rows; i++)
        sum[i] = lay_vec_load(c + i * p->c_row);
    for (int64_t k = 0; k < p->depth; k++) {
        const lay_vec v = lay_vec_load(b + k * p->b_row);
#pragma GCC unroll 8
        for (int i = 0; i < rows; i++)
            sum[i] += a[i * p->a_row + k * p->a_col] * v;
    }
    for (int i = 0; i < rows; i++)
        lay_vec_store(c + i * p->c_row, sum[i]);
}

LAY_CLONES static void multiply(const struct product *p)
{
    for (int64_t column = 0; column < p->n; column += LAY_LANES) {
        int64_t row = 0;
        for (; row + TILE <= p->rows; row += TILE)
            tile(p, row, column, TILE);
        for (; row < p->rows; row++)
            tile(p, row, column, 1);
    }
}

/* --- softmax of a block --- */

/* x = exp(x − max) over n (a multiple of LAY_LANES); returns the sum. *max is the largest. */
LAY_CLONES static float softmax_row(float *x, int64_t n, float *max)
{
    lay_vec top = lay_vec_set(-3.0e38f), sum = lay_vec_set(0.0f);
    for (int64_t i = 0; i < n; i += LAY_LANES)
        top = lay_vec_max(lay_vec_load(x + i), top);
    float lanes[LAY_LANES];
    lay_vec_store(lanes, top);
    *max = lanes[0];
    for (int i = 1; i < LAY_LANES; i++)
        *max = lanes[i] > *max ? lanes[i] : *max;
    for (int64_t i = 0; i < n; i += LAY_LANES) {
        const lay_vec e = lay_vec_exp(lay_vec_load(x + i) - *max);
        lay_vec_store(x + i, e);
        sum += e;
    }
    return lay_vec_sum(sum);
}

LAY_CLONES static void exp_row(float *x, int64_t n, float shift)
{
    for (int64_t i = 0; i < n; i += LAY_LANES)
        lay_vec_store(x + i, lay_vec_exp(lay_vec_load(x + i) - shift));
}

/* dp = p · (dp − shift) */
LAY_CLONES static void slope_row(const float *p, float *dp, int64_t n, float shift)
{
    for (int64_t i = 0; i < n; i += LAY_LANES)
        lay_vec_store(dp + i, lay_vec_load(p + i) * (lay_vec_load(dp + i) - shift));
}

/* --- a task --- */

/* A pair and a key head, and one thread's scratch memory. D, N: head_dim and number of keys, padded. */
struct task {
    const struct lay_attention *a;
    const struct lay_attention_pair *pair;
    int64_t kv_head, D, N;
    float *keys, *values;     /* [n_keys, D] */
    float *keys_t, *values_t; /* [head_dim, N] */
    float *dk, *dv;           /* [n_keys, D] */
    float *q, *dout, *result; /* [QUERIES, D] */
    float *p, *dp;            /* [QUERIES, N] */
};

/* Queries first … first + n of a head, and the keys they can see. */
struct block {
    int64_t head, first, n, low, high; /* low a multiple of LAY_LANES, high padded */
};

static int64_t task_floats(const struct lay_attention *a, int64_t n_keys)
{
    const int64_t D = padded(a->head_dim), N = padded(n_keys);
    return 4 * n_keys * D + 2 * a->head_dim * N + 3 * QUERIES * D + 2 * QUERIES * N;
}

static int64_t longest(const struct lay_attention *a)
{
    int64_t n = 1;
    for (int64_t i = 0; i < a->n_pairs; i++)
        n = a->pairs[i].n_keys > n ? a->pairs[i].n_keys : n;
    return n;
}

size_t lay_attention_scratch(const struct lay_attention *a)
{
    return (size_t)(padded(task_floats(a, longest(a))) * omp_get_max_threads());
}

static float *take(float **at, int64_t n)
{
    float *taken = *at;
    *at += n;
    return taken;
}

static void gather(const struct task *t, const float *rows, int64_t stride, float *plain, float *turned)
{
    const int64_t d = t->a->head_dim, n = t->pair->n_keys;
    for (int64_t j = 0; j < n; j++) {
        const float *row = rows + (t->pair->first_key + j) * stride + t->kv_head * d;
        memcpy(plain + j * t->D, row, (size_t)d * sizeof *row);
        memset(plain + j * t->D + d, 0, (size_t)(t->D - d) * sizeof *row);
        for (int64_t i = 0; i < d; i++)
            turned[i * t->N + j] = row[i];
    }
    for (int64_t i = 0; i < d; i++)
        memset(turned + i * t->N + n, 0, (size_t)(t->N - n) * sizeof *turned);
}

static struct task begin(const struct lay_attention *a, int64_t index, float *scratch)
{
    struct task t = {.a = a, .pair = &a->pairs[index / a->kv_heads], .kv_head = index % a->kv_heads};
    const int64_t n = t.pair->n_keys;
    float *at = scratch + omp_get_thread_num() * padded(task_floats(a, longest(a)));
    t.D = padded(a->head_dim);
    t.N = padded(n);
    float **const matrices[] = {&t.keys, &t.values, &t.dk, &t.dv};
    for (int i = 0; i < 4; i++)
        *matrices[i] = take(&at, n * t.D);
    t.keys_t = take(&at, a->head_dim * t.N);
    t.values_t = take(&at, a->head_dim * t.N);
    float **const blocks[] = {&t.q, &t.dout, &t.result};
    for (int i = 0; i < 3; i++)
        *blocks[i] = take(&at, QUERIES * t.D);
    t.p = take(&at, QUERIES * t.N);
    t.dp = take(&at, QUERIES * t.N);
    gather(&t, a->k, a->k_stride, t.keys, t.keys_t);
    gather(&t, a->v, a->v_stride, t.values, t.values_t);
    return t;
}

static struct block block_at(const struct task *t, int64_t head, int64_t first)
{
    const struct lay_attention *a = t->a;
    const int64_t rest = t->pair->n_queries - first;
    struct block b = {.head = head, .first = first, .n = rest < QUERIES ? rest : QUERIES, .high = t->N};
    if (a->causal && first + b.n < t->pair->n_keys)
        b.high = padded(first + b.n);
    if (a->causal && a->window > 0 && first >= a->window)
        b.low = (first - a->window + 1) / LAY_LANES * LAY_LANES;
    return b;
}

/* Rows of a head into a block [QUERIES, D], times factor. */
static void load_block(const struct task *t, const struct block *b, const float *rows, int64_t stride,
                       float factor, float *to)
{
    const int64_t d = t->a->head_dim;
    for (int64_t i = 0; i < b->n; i++) {
        const float *row = rows + (t->pair->first_query + b->first + i) * stride + b->head * d;
        for (int64_t j = 0; j < t->D; j++)
            to[i * t->D + j] = j < d ? factor * row[j] : 0.0f;
    }
}

/* p = scores of the block's queries, −∞ where a key is not seen. */
static void score(const struct task *t, const struct block *b)
{
    const struct lay_attention *a = t->a;
    const int64_t width = b->high - b->low, span = a->bias_span;
    load_block(t, b, a->q, a->q_stride, a->scale, t->q);
    memset(t->p, 0, (size_t)(b->n * t->N) * sizeof *t->p);
    const struct product product = {t->q, t->D, 1,     t->keys_t + b->low, t->N, t->p + b->low,
                                    t->N, b->n, width, a->head_dim};
    multiply(&product);
    for (int64_t i = 0; i < b->n; i++) {
        const int64_t query = b->first + i;
        float *row = t->p + i * t->N;
        int64_t low = 0, high = t->pair->n_keys;
        if (a->causal && query + 1 < high)
            high = query + 1;
        if (a->causal && a->window > 0 && query >= a->window)
            low = query - a->window + 1;
        for (int64_t j = low; a->bias_table && j < high; j++)
            row[j] += a->bias_table[b->head * (2 * span - 1) + j - query + span - 1];
        for (int64_t j = b->low; j < low; j++)
            row[j] = -INFINITY;
        for (int64_t j = high; j < b->high; j++)
            row[j] = -INFINITY;
    }
}

/* --- forward --- */

static void forward_block(const struct task *t, const struct block *b, float *out, float *lse)
{
    const struct lay_attention *a = t->a;
    float sums[QUERIES] = {0};
    score(t, b);
    for (int64_t i = 0; i < b->n; i++) {
        float max;
        sums[i] = softmax_row(t->p + i * t->N + b->low, b->high - b->low, &max);
        lse[(t->pair->first_query + b->first + i) * a->heads + b->head] = max + logf(sums[i]);
    }
    const int64_t high = b->high < t->pair->n_keys ? b->high : t->pair->n_keys;
    memset(t->result, 0, (size_t)(b->n * t->D) * sizeof *t->result);
    const struct product product = {
        t->p + b->low, t->N, 1, t->values + b->low * t->D, t->D, t->result, t->D, b->n, t->D, high - b->low};
    multiply(&product);
    for (int64_t i = 0; i < b->n; i++) {
        float *row = out + ((t->pair->first_query + b->first + i) * a->heads + b->head) * a->head_dim;
        for (int64_t j = 0; j < a->head_dim; j++)
            row[j] = t->result[i * t->D + j] / sums[i];
    }
}

void lay_attention_forward(const struct lay_attention *a, float *out, float *lse, float *scratch)
{
    assert(a->head_dim <= LAY_MAX_HEAD_DIM && a->heads % a->kv_heads == 0);
    const int64_t group = a->heads / a->kv_heads;
#pragma omp parallel for schedule(dynamic)
    for (int64_t index = 0; index < a->n_pairs * a->kv_heads; index++) {
        const struct task t = begin(a, index, scratch);
        for (int64_t head = t.kv_head * group; head < (t.kv_head + 1) * group; head++)
            for (int64_t first = 0; first < t.pair->n_queries; first += QUERIES) {
                const struct block b = block_at(&t, head, first);
                forward_block(&t, &b, out, lse);
            }
    }
}

/* --- backward --- */

/* Σ dout · out of a row of a head, without the factor. */
static float row_dot(const struct task *t, const struct block *b, const struct lay_attention_gradient *g,
                     int64_t i)
{
    const struct lay_attention *a = t->a;
    const int64_t at = ((t->pair->first_query + b->first + i) * a->heads + b->head) * a->head_dim;
    float sum = 0;
    for (int64_t j = 0; j < a->head_dim; j++)
        sum += g->dout[at + j] * g->out[at + j];
    return sum;
}

/* p = exp(S − lse), dp = dS; returns Σ dout · out of the block. */
static float slopes(const struct task *t, const struct block *b, const struct lay_attention_gradient *g)
{
    const struct lay_attention *a = t->a;
    const int64_t width = b->high - b->low;
    float total = 0;
    score(t, b);
    load_block(t, b, g->dout, a->heads * a->head_dim, g->factor, t->dout);
    memset(t->dp, 0, (size_t)(b->n * t->N) * sizeof *t->dp);
    const struct product product = {t->dout, t->D, 1,     t->values_t + b->low, t->N, t->dp + b->low,
                                    t->N,    b->n, width, a->head_dim};
    multiply(&product);
    for (int64_t i = 0; i < b->n; i++) {
        const float dot = row_dot(t, b, g, i);
        exp_row(t->p + i * t->N + b->low, width,
                g->lse[(t->pair->first_query + b->first + i) * a->heads + b->head]);
        slope_row(t->p + i * t->N + b->low, t->dp + i * t->N + b->low, width, g->factor * dot);
        total += dot;
    }
    return total;
}

static void backward_block(const struct task *t, const struct block *b,
                           const struct lay_attention_gradient *g)
{
    const struct lay_attention *a = t->a;
    const int64_t high = b->high < t->pair->n_keys ? b->high : t->pair->n_keys, keys = high - b->low;
    memset(t->result, 0, (size_t)(b->n * t->D) * sizeof *t->result);
    const struct product dq = {t->dp + b->low, t->N, 1,   t->keys + b->low * t->D, t->D, t->result, t->D,
                               b->n,           t->D, keys};
    const struct product dk = {t->dp + b->low,        1,    t->N, t->q, t->D,
                               t->dk + b->low * t->D, t->D, keys, t->D, b->n};
    const struct product dv = {t->p + b->low,         1,    t->N, t->dout, t->D,
                               t->dv + b->low * t->D, t->D, keys, t->D,    b->n};
    multiply(&dq);
    multiply(&dk); /* q carries the scale already */
    multiply(&dv);
    for (int64_t i = 0; i < b->n; i++) {
        float *row = g->dq + (t->pair->first_query + b->first + i) * a->q_stride + b->head * a->head_dim;
        for (int64_t j = 0; j < a->head_dim; j++)
            row[j] += a->scale * t->result[i * t->D + j];
    }
}

/* dbias by distance: dS of every query and key. */
static void add_bias_slopes(const struct task *t, const struct block *b, float *dbias)
{
    const int64_t span = t->a->bias_span;
    for (int64_t i = 0; i < b->n; i++) {
        float *row = dbias + b->head * (2 * span - 1) + span - 1 - (b->first + i);
        for (int64_t j = 0; j < t->pair->n_keys; j++)
            row[j] += t->dp[i * t->N + j];
    }
}

static void store_rows(const struct task *t, const float *from, float *to, int64_t stride)
{
    const int64_t d = t->a->head_dim;
    for (int64_t j = 0; j < t->pair->n_keys; j++)
        memcpy(to + (t->pair->first_key + j) * stride + t->kv_head * d, from + j * t->D,
               (size_t)d * sizeof *to);
}

static float backward_head(const struct task *t, int64_t head, const struct lay_attention_gradient *g)
{
    const int64_t index = t->pair - t->a->pairs;
    float total = 0;
    for (int64_t first = 0; first < t->pair->n_queries; first += QUERIES) {
        const struct block b = block_at(t, head, first);
        total += slopes(t, &b, g);
        backward_block(t, &b, g);
        if (g->dbias)
            add_bias_slopes(t, &b, g->dbias[index]);
    }
    return total;
}

void lay_attention_backward(const struct lay_attention *a, const struct lay_attention_gradient *g,
                            float *scratch)
{
    const int64_t group = a->heads / a->kv_heads;
#pragma omp parallel for schedule(dynamic)
    for (int64_t index = 0; index < a->n_pairs * a->kv_heads; index++) {
        const struct task t = begin(a, index, scratch);
        memset(t.dk, 0, (size_t)(t.pair->n_keys * t.D) * sizeof *t.dk);
        memset(t.dv, 0, (size_t)(t.pair->n_keys * t.D) * sizeof *t.dv);
        for (int64_t head = t.kv_head * group; head < (t.kv_head + 1) * group; head++) {
            const float total = backward_head(&t, head, g);
            if (g->dots)
                g->dots[index / a->kv_heads * a->heads + head] = total;
        }
        store_rows(&t, t.dk, g->dk, a->k_stride);
        store_rows(&t, t.dv, g->dv, a->v_stride);
    }
}

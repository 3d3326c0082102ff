/* Attention against double precision over random shapes, and its promise that a row's bits do not depend on
 * how rows are split into calls, on the other spans or on threads. */
#include "helpers.h"

/* A cache with one layer of interest, its keys and values also kept in plain form. */
struct cache {
    struct lay_kv_pool *pool;
    struct lay_kv_seq seq;
    float *k, *v; /* [tokens, kv_heads · head_dim], as the cache holds them */
    int64_t tokens;
};

enum { LAYERS = 2, LAYER = 1 };

static struct lay_kv_pool *make_pool(enum lay_dtype dtype, int64_t kv_heads, int64_t head_dim, int64_t pages)
{
    const struct lay_kv_shape shape = {LAYERS, kv_heads, head_dim, dtype};
    struct lay_kv_pool *pool = NULL;
    assert_int_equal(lay_kv_pool_create(&shape, (size_t)pages * lay_kv_page_bytes(&shape), &pool, NULL),
                     LAY_OK);
    /* What was never written must never matter. */
    memset(pool->memory, 0xff, (size_t)pages * pool->page_bytes);
    return pool;
}

static struct cache fill(struct lay_kv_pool *pool, int64_t tokens)
{
    struct cache c = {.pool = pool, .tokens = tokens};
    const int64_t width = pool->shape.num_kv_heads * pool->shape.head_dim;
    c.k = random_floats(tokens * width, 2);
    c.v = random_floats(tokens * width, 2);
    assert_int_equal(lay_kv_reserve(pool, &c.seq, tokens, NULL), LAY_OK);
    lay_kv_write(pool, &c.seq, LAYER, 0, tokens, c.k, width, c.v, width);
    c.seq.n_tokens = tokens;
    if (pool->shape.dtype == LAY_BF16)
        for (int64_t i = 0; i < tokens * width; i++) {
            c.k[i] = lay_bf16_to_f32(lay_f32_to_bf16(c.k[i]));
            c.v[i] = lay_bf16_to_f32(lay_f32_to_bf16(c.v[i]));
        }
    return c;
}

static void drop(struct cache *c)
{
    lay_kv_release(c->pool, &c->seq);
    free(c->k);
    free(c->v);
}

/* softmax(scale · q k + bias) v over keys low … high − 1, in double precision. Returns how far f32 may be
 * off: a score by head_dim roundings of its partial sums, the result by twice that and by its own roundings.
 */
static double reference(const float *q, const float *k, int64_t k_stride, const float *v, int64_t v_stride,
                        int64_t low, int64_t high, int64_t head_dim, double scale, const float *bias,
                        double *result)
{
    const double eps = ldexp(1, -24);
    double *p = malloc((size_t)(high + 1) * sizeof *p), max = -INFINITY, sum = 0, worst = 0, largest = 0;
    for (int64_t j = low; j < high; j++) {
        double s = 0, size = 0;
        for (int64_t d = 0; d < head_dim; d++) {
            const double term = (double)q[d] * k[j * k_stride + d];
            s += term;
            size += fabs(term);
            largest = fmax(largest, fabs((double)v[j * v_stride + d]));
        }
        p[j] = s * scale + (bias ? bias[j] : 0);
        max = fmax(max, p[j]);
        worst = fmax(worst, eps * ((double)(head_dim + 3) * size * scale + 2 * fabs(p[j])));
    }
    for (int64_t j = low; j < high; j++)
        sum += p[j] = exp(p[j] - max);
    memset(result, 0, (size_t)head_dim * sizeof *result);
    for (int64_t j = low; j < high; j++)
        for (int64_t d = 0; d < head_dim; d++)
            result[d] += p[j] / sum * v[j * v_stride + d];
    free(p);
    return (2 * worst + eps * (double)(high - low + 16)) * largest;
}

static const int64_t head_dims[] = {2, 6, 8, 10, 16, 24, 33, 64, 128, 256};
#define N_HEAD_DIMS (int64_t)(sizeof head_dims / sizeof *head_dims)

static void check_causal(enum lay_dtype dtype, int64_t group, int64_t window)
{
    const int64_t head_dim = head_dims[random_int(0, N_HEAD_DIMS - 1)], kv_heads = random_int(1, 3);
    const int64_t heads = kv_heads * group, width = kv_heads * head_dim, q_stride = heads * head_dim + 5;
    const float scale = 1 / sqrtf((float)head_dim);
    enum { SPANS = 4 };
    struct lay_kv_pool *pool = make_pool(dtype, kv_heads, head_dim, SPANS * 12);
    struct cache caches[SPANS];
    struct lay_attention_span spans[SPANS];
    int64_t rows = 0;
    for (int s = 0; s < SPANS; s++) {
        const int64_t n = s == 1 ? 0 : s == 2 ? 1 : random_int(1, 40), before = random_int(0, 150);
        caches[s] = fill(pool, before + n);
        spans[s] = (struct lay_attention_span){&caches[s].seq, rows, n, before, 0};
        rows += n;
    }
    float *q = random_floats(rows * q_stride, 2), *out = random_floats(rows * heads * head_dim, 1);
    lay_attention_paged(pool, LAYER, spans, SPANS, q, q_stride, heads, scale, true, window, out);
    double result[LAY_MAX_HEAD_DIM] = {0};
    for (int s = 0; s < SPANS; s++)
        for (int64_t r = 0; r < spans[s].n_rows; r++)
            for (int64_t h = 0; h < heads; h++) {
                const int64_t p = spans[s].position + r, row = spans[s].first_row + r,
                              at = h / group * head_dim;
                const int64_t low = window && p - window + 1 > 0 ? p - window + 1 : 0;
                const double limit =
                    reference(q + row * q_stride + h * head_dim, caches[s].k + at, width, caches[s].v + at,
                              width, low, p + 1, head_dim, scale, NULL, result);
                for (int64_t d = 0; d < head_dim; d++)
                    assert_true(fabs(out[(row * heads + h) * head_dim + d] - result[d]) <= limit);
            }
    for (int s = 0; s < SPANS; s++)
        drop(&caches[s]);
    lay_kv_pool_destroy(pool);
    free(q);
    free(out);
}

static void causal_attention_agrees_with_double_precision(void **unused)
{
    (void)unused;
    const int64_t groups[] = {1, 2, 3, 8, 16}, windows[] = {0, 1, 7, 16, 64, 100};
    for (int i = 0; i < 60; i++)
        check_causal(i % 2 ? LAY_BF16 : LAY_F32, groups[i % 5], windows[i % 6]);
}

static void adapter_attention_adds_the_gated_result(void **unused)
{
    (void)unused;
    for (int i = 0; i < 30; i++) {
        const enum lay_dtype dtype = i % 2 ? LAY_BF16 : LAY_F32;
        const int64_t head_dim = head_dims[i % N_HEAD_DIMS], kv_heads = 2, heads = 2 * random_int(1, 5);
        const int64_t width = kv_heads * head_dim, n = i % 3 ? random_int(1, 30) : 1,
                      tokens = random_int(0, 150);
        const float scale = 0.3f, gate = uniform(-1, 1);
        struct lay_kv_pool *pool = make_pool(dtype, kv_heads, head_dim, 12);
        struct cache c = fill(pool, tokens);
        const struct lay_attention_span span = {&c.seq, 0, n, 77, gate};
        float *q = random_floats(n * heads * head_dim, 2), *out = random_floats(n * heads * head_dim, 1);
        float *before = copied(out, n * heads * head_dim);
        lay_attention_paged(pool, LAYER, &span, 1, q, heads * head_dim, heads, scale, false, 0, out);
        double result[LAY_MAX_HEAD_DIM] = {0};
        for (int64_t r = 0; r < n; r++)
            for (int64_t h = 0; h < heads; h++) {
                const int64_t at = h / (heads / kv_heads) * head_dim, to = (r * heads + h) * head_dim;
                double limit = 0;
                if (tokens)
                    limit = reference(q + to, c.k + at, width, c.v + at, width, 0, tokens, head_dim, scale,
                                      NULL, result);
                for (int64_t d = 0; d < head_dim; d++)
                    assert_true(fabs(out[to + d] - (before[to + d] + (tokens ? gate * result[d] : 0))) <
                                limit + 1e-6);
            }
        drop(&c);
        lay_kv_pool_destroy(pool);
        free(q);
        free(before);
        free(out);
    }
}

/* The same rows in calls of `step` rows at a time, beside another sequence. */
static void in_pieces(const struct cache *c, const struct cache *other, const float *q, int64_t heads,
                      int64_t window, bool causal, int64_t step, float *out)
{
    const int64_t width = heads * c->pool->shape.head_dim;
    float *own = random_floats((step + 3) * width, 1), *result = random_floats((step + 3) * width, 1);
    for (int64_t r = 0; r < c->tokens; r += step) {
        const int64_t n = c->tokens - r < step ? c->tokens - r : step;
        const struct lay_attention_span spans[] = {{&other->seq, 0, 3, other->tokens - 3, 0.5f},
                                                   {&c->seq, 3, n, r, 0.5f}};
        memcpy(own + 3 * width, q + r * width, (size_t)(n * width) * sizeof *q);
        memcpy(result + 3 * width, out + r * width, (size_t)(n * width) * sizeof *q);
        lay_attention_paged(c->pool, LAYER, spans, 2, own, width, heads, 0.2f, causal, window, result);
        memcpy(out + r * width, result + 3 * width, (size_t)(n * width) * sizeof *q);
    }
    free(own);
    free(result);
}

static void prefill_in_pieces_and_token_by_token_give_the_same_bits(void **unused)
{
    (void)unused;
    const int64_t groups[] = {1, 2, 8, 12}, steps[] = {1, 2, 7, 11, 16, 50}, windows[] = {0, 30, 90};
    for (int i = 0; i < 24; i++) {
        const int64_t head_dim = head_dims[i % N_HEAD_DIMS], heads = 2 * groups[i % 4],
                      window = windows[i % 3];
        const bool causal = i % 5 != 4;
        struct lay_kv_pool *pool = make_pool(i % 2 ? LAY_BF16 : LAY_F32, 2, head_dim, 16);
        struct cache c = fill(pool, random_int(100, 180)), other = fill(pool, 40);
        const int64_t n = c.tokens * heads * head_dim;
        float *q = random_floats(n, 3), *start = random_floats(n, 1), *whole = copied(start, n);
        const struct lay_attention_span span = {&c.seq, 0, c.tokens, 0, 0.5f};
        omp_set_num_threads(1);
        lay_attention_paged(pool, LAYER, &span, 1, q, heads * head_dim, heads, 0.2f, causal, window, whole);
        for (int s = 0; s < 6; s++) {
            float *pieces = copied(start, n);
            omp_set_num_threads(1 << s % 3);
            in_pieces(&c, &other, q, heads, window, causal, steps[s], pieces);
            assert_memory_equal(pieces, whole, (size_t)n * sizeof *q);
            free(pieces);
        }
        omp_set_num_threads(2);
        drop(&c);
        drop(&other);
        lay_kv_pool_destroy(pool);
        free(q);
        free(start);
        free(whole);
    }
}

static void check_encoder(int round)
{
    const int64_t head_dim = head_dims[random_int(0, N_HEAD_DIMS - 1)], heads = random_int(1, 4),
                  width = heads * head_dim;
    int64_t lengths[5], valid[5], rows = 0, longest = 1;
    for (int s = 0; s < 5; s++) {
        lengths[s] = s == 1 ? 0 : random_int(1, s == 2 ? 150 : 30);
        valid[s] = round % 3 == 0 ? lengths[s] : random_int(1, lengths[s] ? lengths[s] : 1);
        valid[s] = valid[s] > lengths[s] ? lengths[s] : valid[s];
        rows += lengths[s];
        longest = lengths[s] > longest ? lengths[s] : longest;
    }
    const int64_t span = longest + random_int(0, 3), table_width = 2 * span - 1;
    float *qkv = random_floats(rows * 3 * width, 2), *out = random_floats(rows * width, 1);
    float *table = round % 2 ? random_floats(heads * table_width, 3) : NULL,
          *bias = random_floats(longest, 0);
    const float scale = round % 4 ? 1 / sqrtf((float)head_dim) : 1;
    lay_attention_encoder(qkv, lengths, round % 3 ? valid : NULL, 5, heads, head_dim, scale, table,
                          table ? span : 0, out);
    double result[LAY_MAX_HEAD_DIM] = {0};
    int64_t first = 0;
    for (int s = 0; s < 5; first += lengths[s++])
        for (int64_t r = 0; r < lengths[s]; r++)
            for (int64_t h = 0; h < heads; h++) {
                for (int64_t j = 0; j < valid[s]; j++)
                    bias[j] = table ? table[h * table_width + (j - r) + span - 1] : 0;
                const float *base = qkv + first * 3 * width + h * head_dim;
                const double limit =
                    reference(base + r * 3 * width, base + width, 3 * width, base + 2 * width, 3 * width, 0,
                              valid[s], head_dim, scale, bias, result);
                for (int64_t d = 0; d < head_dim; d++)
                    assert_true(fabs(out[(first + r) * width + h * head_dim + d] - result[d]) < limit);
            }
    float *alone = random_floats(rows * width, 1); /* sequence by sequence, with other thread counts */
    first = 0;
    for (int s = 0; s < 5; first += lengths[s++]) {
        omp_set_num_threads(1 + s);
        lay_attention_encoder(qkv + first * 3 * width, lengths + s, valid + s, 1, heads, head_dim, scale,
                              table, table ? span : 0, alone + first * width);
    }
    omp_set_num_threads(2);
    assert_memory_equal(alone, out, (size_t)(rows * width) * sizeof *out);
    free(alone);
    free(qkv);
    free(out);
    free(table);
    free(bias);
}

static void encoder_attention_agrees_with_double_precision_and_ignores_other_sequences(void **unused)
{
    (void)unused;
    for (int round = 0; round < 48; round++)
        check_encoder(round);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(causal_attention_agrees_with_double_precision),
        cmocka_unit_test(adapter_attention_adds_the_gated_result),
        cmocka_unit_test(prefill_in_pieces_and_token_by_token_give_the_same_bits),
        cmocka_unit_test(encoder_attention_agrees_with_double_precision_and_ignores_other_sequences),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

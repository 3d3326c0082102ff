#include "engine/nn/attention_core.h"

#define TOGETHER 4 /* queries that share the loads of keys and values */
#define BLOCKS 4   /* vectors of keys or values whose sums are kept in registers together */

LAY_CLONES void lay_attention_row_start(struct lay_attention_row *row, const float *q, float scale)
{
    for (int64_t d = 0; d < row->head_dim; d++)
        row->query[d] = q[d] * scale;
    memset(row->result, 0, (size_t)row->head_dim * sizeof *row->result);
    memset(row->sums, 0, sizeof row->sums);
    row->max = -3.0e38f; /* finite: exp(max − max) must be 1 while no key was seen */
}

LAY_INLINE lay_vec load(const void *x, int64_t at, bool half)
{
    return half ? lay_vec_load_half((const uint16_t *)x + at) : lay_vec_load((const float *)x + at);
}

LAY_INLINE float load_one(const void *x, int64_t at, bool half)
{
    return half ? lay_bf16_to_f32(((const uint16_t *)x)[at]) : ((const float *)x)[at];
}

/* Pages lie anywhere, so the processor cannot guess them: while keys are read, the values at the same places
 * are fetched, and while values are read, the next keys. */
LAY_INLINE void fetch(const void *block, int64_t at, bool half)
{
    if (!half || at % (2 * LAY_LANES) == 0) /* once a cache line */
        __builtin_prefetch((const char *)block + at * (half ? 2 : 4));
}

/* The scores of n pages for q queries; n, q and half are constants after inlining, as everywhere below. */
LAY_INLINE void score_pages(const struct lay_attention_row *rows, int q, const void *const *key,
                            const void *const *value, bool half, int n, float (*scores)[LAY_CHUNK_KEYS],
                            int64_t first)
{
    lay_vec s[TOGETHER][BLOCKS];
    for (int k = 0; k < q; k++)
        for (int i = 0; i < n; i++)
            s[k][i] = lay_vec_set(0.0f);
    for (int64_t d = 0; d < rows->head_dim; d++) {
        lay_vec keys[BLOCKS];
        for (int i = 0; i < n; i++) {
            keys[i] = load(key[i], d * LAY_LANES, half);
            fetch(value[i], d * LAY_LANES, half);
        }
#pragma GCC unroll 4
        for (int k = 0; k < q; k++)
#pragma GCC unroll 4
            for (int i = 0; i < n; i++)
                s[k][i] += rows[k].query[d] * keys[i];
    }
    for (int k = 0; k < q; k++)
        for (int i = 0; i < n; i++)
            lay_vec_store(scores[k] + first + i * LAY_LANES, s[k][i]);
}

/* result[d … d + n · LAY_LANES) = factor · result + Σ_j p[j] · value[j] over the keys begin … end − 1. */
LAY_INLINE void sum_values(struct lay_attention_row *rows, int q, float (*p)[LAY_CHUNK_KEYS],
                           const float *factor, const struct lay_attention_pages *pages, bool half, int64_t d,
                           int64_t begin, int64_t end, int n)
{
    const int64_t head_dim = rows->head_dim;
    lay_vec o[TOGETHER][BLOCKS];
    for (int k = 0; k < q; k++)
        for (int i = 0; i < n; i++)
            o[k][i] = factor[k] * lay_vec_load(rows[k].result + d + i * LAY_LANES);
    for (int64_t page = begin / LAY_KV_PAGE_TOKENS; page * LAY_KV_PAGE_TOKENS < end; page++) {
        const int64_t first = page * LAY_KV_PAGE_TOKENS;
        const int64_t low = begin > first ? begin : first;
        const int64_t high = end < first + LAY_KV_PAGE_TOKENS ? end : first + LAY_KV_PAGE_TOKENS;
        const void *block = pages->value[page], *next = pages->next[page];
        int64_t at = (low - first) * head_dim + d;
        for (int64_t j = low; j < high; j++, at += head_dim) {
            lay_vec values[BLOCKS];
            for (int i = 0; i < n; i++) {
                values[i] = load(block, at + i * LAY_LANES, half);
                fetch(next, at + i * LAY_LANES, half);
            }
#pragma GCC unroll 4
            for (int k = 0; k < q; k++)
#pragma GCC unroll 4
                for (int i = 0; i < n; i++)
                    o[k][i] += p[k][j] * values[i];
        }
    }
    for (int k = 0; k < q; k++)
        for (int i = 0; i < n; i++)
            lay_vec_store(rows[k].result + d + i * LAY_LANES, o[k][i]);
}

/* The same for the last d …, fewer than LAY_LANES. Keys are the outer loop: a loop over keys for one d is a
 * sum in order, whose products GCC 14 rounds, as vectors, before it adds them. */
LAY_INLINE void sum_rest(struct lay_attention_row *row, const float *p, float factor,
                         const struct lay_attention_pages *pages, bool half, int64_t d, int64_t begin,
                         int64_t end)
{
    const int64_t n = row->head_dim - d;
    float o[LAY_LANES];
    for (int64_t i = 0; i < n; i++)
        o[i] = factor * row->result[d + i];
    for (int64_t j = begin; j < end; j++) {
        const void *block = pages->value[j / LAY_KV_PAGE_TOKENS];
        const int64_t at = j % LAY_KV_PAGE_TOKENS * row->head_dim + d;
        for (int64_t i = 0; i < n; i++)
            o[i] += p[j] * load_one(block, at + i, half);
    }
    memcpy(row->result + d, o, (size_t)n * sizeof *o);
}

/* Turns scores into exp(score − max) and returns what earlier results must be multiplied by. */
LAY_INLINE float exponentiate(struct lay_attention_row *row, float *scores, int64_t n_blocks)
{
    lay_vec best = lay_vec_set(row->max);
    for (int64_t i = 0; i < n_blocks; i++)
        best = lay_vec_max(lay_vec_load(scores + i * LAY_LANES), best);
    float max = row->max;
    for (int lane = 0; lane < LAY_LANES; lane++)
        max = best[lane] > max ? best[lane] : max;
    const lay_vec factor = lay_vec_exp(lay_vec_set(row->max - max));
    lay_vec sums = lay_vec_load(row->sums) * factor;
    for (int64_t i = 0; i < n_blocks; i++) {
        const lay_vec p = lay_vec_exp(lay_vec_load(scores + i * LAY_LANES) - max);
        lay_vec_store(scores + i * LAY_LANES, p);
        sums += p;
    }
    lay_vec_store(row->sums, sums);
    row->max = max;
    return factor[0];
}

LAY_INLINE void attend(struct lay_attention_row *rows, int q, const struct lay_attention_pages *pages,
                       bool half)
{
    float scores[TOGETHER][LAY_CHUNK_KEYS], factor[TOGETHER];
    const int64_t begin = rows->low > pages->first ? rows->low - pages->first : 0;
    const int64_t end = rows->high - pages->first < pages->n ? rows->high - pages->first : pages->n;
    const int64_t n_pages = (pages->n + LAY_LANES - 1) / LAY_LANES, head_dim = rows->head_dim;
    int64_t i = 0;
    for (; i + BLOCKS <= n_pages; i += BLOCKS)
        score_pages(rows, q, pages->key + i, pages->value + i, half, BLOCKS, scores, i * LAY_LANES);
    for (; i < n_pages; i++)
        score_pages(rows, q, pages->key + i, pages->value + i, half, 1, scores, i * LAY_LANES);
    for (int k = 0; k < q; k++) {
        for (int64_t j = 0; j < n_pages * LAY_LANES; j++)
            /* NOLINTNEXTLINE(clang-analyzer-core.uninitialized.Assign): score_pages filled them */
            scores[k][j] = j < begin || j >= end ? -INFINITY : scores[k][j];
        factor[k] = exponentiate(&rows[k], scores[k], n_pages);
    }
    int64_t d = 0;
    for (; d + BLOCKS * LAY_LANES <= head_dim; d += BLOCKS * LAY_LANES)
        sum_values(rows, q, scores, factor, pages, half, d, begin, end, BLOCKS);
    for (; d + LAY_LANES <= head_dim; d += LAY_LANES)
        sum_values(rows, q, scores, factor, pages, half, d, begin, end, 1);
    for (int k = 0; k < q && d < head_dim; k++)
        sum_rest(&rows[k], scores[k], factor[k], pages, half, d, begin, end);
}

_Static_assert(LAY_KV_PAGE_TOKENS == LAY_LANES, "one vector holds a page's keys");

/* One function per number of queries and type, so that the loops have constant bounds. */
#define KERNEL(name, q, half)                                                                                \
    LAY_CLONES static void name(struct lay_attention_row *rows, const struct lay_attention_pages *pages)     \
    {                                                                                                        \
        attend(rows, q, pages, half);                                                                        \
    }
KERNEL(attend_one, 1, false)
KERNEL(attend_several, TOGETHER, false)
KERNEL(attend_one_half, 1, true)
KERNEL(attend_several_half, TOGETHER, true)

void lay_attention_rows_chunk(struct lay_attention_row *rows, int64_t n,
                              const struct lay_attention_pages *pages)
{
    int64_t i = 0;
    for (; i + TOGETHER <= n; i += TOGETHER)
        (pages->half ? attend_several_half : attend_several)(rows + i, pages);
    for (; i < n; i++)
        (pages->half ? attend_one_half : attend_one)(rows + i, pages);
}

LAY_CLONES void lay_attention_row_finish(const struct lay_attention_row *row, const float *gate)
{
    const float inverse = 1.0f / lay_vec_sum(lay_vec_load(row->sums));
    for (int64_t d = 0; d < row->head_dim; d++) {
        const float result = row->result[d] * inverse;
        row->out[d] = gate ? row->out[d] + *gate * result : result;
    }
}

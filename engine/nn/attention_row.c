#include "engine/nn/attention_core.h"

#define BLOCKS 4 /* vectors whose sums are kept in registers together */

void lay_attention_row_start(struct lay_attention_row *row)
{
    memset(row->result, 0, (size_t)row->head_dim * sizeof *row->result);
    memset(row->sums, 0, sizeof row->sums);
    row->max = -3.0e38f;
}

/* The scores of n pages of LAY_LANES keys, n a constant after inlining. */
LAY_INLINE void score_pages(const struct lay_attention_row *row, const float *const *key, int n,
                            float *scores)
{
    lay_vec s[BLOCKS];
    for (int i = 0; i < n; i++)
        s[i] = lay_vec_set(0.0f);
    for (int64_t d = 0; d < row->head_dim; d++) {
        const float q = row->query[d];
#pragma GCC unroll 4
        for (int i = 0; i < n; i++)
            s[i] += q * lay_vec_load(key[i * LAY_LANES] + d * LAY_LANES);
    }
    for (int i = 0; i < n; i++)
        lay_vec_store(scores + i * LAY_LANES, s[i]);
}

/* result[0 … n · LAY_LANES) = factor · result + Σ_j p[j] · value[j] over the keys begin … end − 1. */
LAY_INLINE void sum_values(float *result, const float *p, float factor, const float *const *value, int64_t d,
                           int64_t begin, int64_t end, int n)
{
    lay_vec o[BLOCKS];
    for (int i = 0; i < n; i++)
        o[i] = factor * lay_vec_load(result + d + i * LAY_LANES);
    for (int64_t j = begin; j < end; j++) {
#pragma GCC unroll 4
        for (int i = 0; i < n; i++)
            o[i] += p[j] * lay_vec_load(value[j] + d + i * LAY_LANES);
    }
    for (int i = 0; i < n; i++)
        lay_vec_store(result + d + i * LAY_LANES, o[i]);
}

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

LAY_CLONES void lay_attention_row_chunk(struct lay_attention_row *row,
                                        const struct lay_attention_chunk *chunk)
{
    float scores[LAY_CHUNK_KEYS];
    const int64_t begin = row->low > chunk->first ? row->low - chunk->first : 0;
    const int64_t end = row->high - chunk->first < chunk->n ? row->high - chunk->first : chunk->n;
    const int64_t n_blocks = (chunk->n + LAY_LANES - 1) / LAY_LANES, head_dim = row->head_dim;
    int64_t i = 0;
    for (; i + BLOCKS <= n_blocks; i += BLOCKS)
        score_pages(row, chunk->key + i * LAY_LANES, BLOCKS, scores + i * LAY_LANES);
    for (; i < n_blocks; i++)
        score_pages(row, chunk->key + i * LAY_LANES, 1, scores + i * LAY_LANES);
    for (int64_t j = 0; j < n_blocks * LAY_LANES; j++)
        /* NOLINTNEXTLINE(clang-analyzer-core.uninitialized.Assign): score_pages has set them all */
        scores[j] = j < begin || j >= end ? -INFINITY : scores[j];
    const float factor = exponentiate(row, scores, n_blocks);
    int64_t d = 0;
    for (; d + BLOCKS * LAY_LANES <= head_dim; d += BLOCKS * LAY_LANES)
        sum_values(row->result, scores, factor, chunk->value, d, begin, end, BLOCKS);
    for (; d + LAY_LANES <= head_dim; d += LAY_LANES)
        sum_values(row->result, scores, factor, chunk->value, d, begin, end, 1);
    for (; d < head_dim; d++) {
        float o = factor * row->result[d];
        for (int64_t j = begin; j < end; j++)
            o += scores[j] * chunk->value[j][d];
        row->result[d] = o;
    }
}

LAY_CLONES void lay_attention_row_finish(const struct lay_attention_row *row, float *out, const float *gate)
{
    const float inverse = 1.0f / lay_vec_sum(lay_vec_load(row->sums));
    for (int64_t d = 0; d < row->head_dim; d++) {
        const float result = row->result[d] * inverse;
        out[d] = gate ? out[d] + *gate * result : result;
    }
}

#include "engine/nn/attention_core.h"

#define KEYS 8 /* keys or values whose sums are kept in registers together */

LAY_CLONES void lay_attention_tile_start(struct lay_attention_tile *tile, float scale)
{
    int64_t d = 0;
    for (; d + LAY_LANES <= tile->head_dim; d += LAY_LANES) {
        lay_vec q[LAY_LANES];
        for (int lane = 0; lane < LAY_LANES; lane++)
            q[lane] = lay_vec_load(tile->in[lane] + d) * scale;
        lay_vec_transpose(q);
        for (int i = 0; i < LAY_LANES; i++)
            lay_vec_store(tile->query[d + i], q[i]);
    }
    for (; d < tile->head_dim; d++)
        for (int lane = 0; lane < LAY_LANES; lane++)
            tile->query[d][lane] = tile->in[lane][d] * scale;
    memset(tile->result, 0, (size_t)tile->head_dim * sizeof *tile->result);
    memset(tile->sums, 0, sizeof tile->sums);
    for (int i = 0; i < LAY_LANES; i++)
        tile->max[i] = -3.0e38f; /* finite: exp(max − max) must be 1 while no key was seen */
}

/* scores[j][lane] of `n` keys, n a constant after inlining. */
LAY_INLINE void score_keys(const struct lay_attention_tile *tile, const float *const *key, int64_t step,
                           int n, float (*scores)[LAY_LANES])
{
    lay_vec s[KEYS];
    for (int j = 0; j < n; j++)
        s[j] = lay_vec_set(0.0f);
    for (int64_t d = 0; d < tile->head_dim; d++) {
        const lay_vec q = lay_vec_load(tile->query[d]);
#pragma GCC unroll 8
        for (int j = 0; j < n; j++)
            s[j] += q * key[j][d * step];
    }
    for (int j = 0; j < n; j++)
        lay_vec_store(scores[j], s[j]);
}

LAY_INLINE void add_bias(float (*scores)[LAY_LANES], int64_t n, const float *bias)
{
    for (int64_t j = 0; j < n; j++)
        for (int lane = 0; lane < LAY_LANES; lane++)
            scores[j][lane] += bias[j - lane];
}

/* −∞ where a lane does not see a key. */
LAY_INLINE void mask(const struct lay_attention_tile *tile, const struct lay_attention_chunk *chunk,
                     float (*scores)[LAY_LANES])
{
    const int64_t first = chunk->first, n = chunk->n;
    for (int lane = 0; lane < LAY_LANES; lane++) {
        for (int64_t j = 0; j < n && j < tile->low[lane] - first; j++)
            scores[j][lane] = -INFINITY;
        for (int64_t j = tile->high[lane] > first ? tile->high[lane] - first : 0; j < n; j++)
            scores[j][lane] = -INFINITY;
    }
}

/* result[d] = factor · result[d] + Σ_j p[j] · value[j][d] for n values of d. */
LAY_INLINE void sum_values(float (*result)[LAY_LANES], const float (*p)[LAY_LANES], lay_vec factor,
                           const struct lay_attention_chunk *chunk, int64_t d, int n)
{
    lay_vec o[KEYS];
    for (int i = 0; i < n; i++)
        o[i] = factor * lay_vec_load(result[d + i]);
    for (int64_t j = 0; j < chunk->n; j++) {
        const lay_vec w = lay_vec_load(p[j]);
        const float *value = chunk->value[j] + d;
#pragma GCC unroll 8
        for (int i = 0; i < n; i++)
            o[i] += w * value[i];
    }
    for (int i = 0; i < n; i++)
        lay_vec_store(result[d + i], o[i]);
}

/* Turns scores into exp(score − max) and returns what earlier results must be multiplied by. */
LAY_INLINE lay_vec exponentiate(struct lay_attention_tile *tile, float (*scores)[LAY_LANES], int64_t first,
                                int64_t n)
{
    const lay_vec old = lay_vec_load(tile->max);
    lay_vec max = old;
    for (int64_t j = 0; j < n; j++)
        max = lay_vec_max(lay_vec_load(scores[j]), max);
    const lay_vec factor = lay_vec_exp(old - max);
    for (int k = 0; k < LAY_LANES; k++)
        lay_vec_store(tile->sums[k], lay_vec_load(tile->sums[k]) * factor);
    for (int64_t j = 0; j < n; j++) {
        const lay_vec p = lay_vec_exp(lay_vec_load(scores[j]) - max);
        float *sum = tile->sums[(first + j) % LAY_LANES];
        lay_vec_store(scores[j], p);
        lay_vec_store(sum, lay_vec_load(sum) + p);
    }
    lay_vec_store(tile->max, max);
    return factor;
}

LAY_CLONES void lay_attention_tile_chunk(struct lay_attention_tile *tile,
                                         const struct lay_attention_chunk *chunk, const float *bias)
{
    float scores[LAY_CHUNK_KEYS][LAY_LANES];
    const int64_t n = chunk->n, head_dim = tile->head_dim;
    int64_t j = 0;
    for (; j + KEYS <= n; j += KEYS)
        score_keys(tile, chunk->key + j, chunk->key_step, KEYS, scores + j);
    for (; j < n; j++)
        score_keys(tile, chunk->key + j, chunk->key_step, 1, scores + j);
    if (bias)
        add_bias(scores, n, bias);
    mask(tile, chunk, scores);
    const lay_vec factor = exponentiate(tile, scores, chunk->first, n);
    int64_t d = 0;
    for (; d + KEYS <= head_dim; d += KEYS)
        sum_values(tile->result, scores, factor, chunk, d, KEYS);
    for (; d < head_dim; d++)
        sum_values(tile->result, scores, factor, chunk, d, 1);
}

LAY_INLINE void put(float *out, lay_vec result, const float *gate)
{
    if (gate)
        result = lay_vec_load(out) + *gate * result;
    lay_vec_store(out, result);
}

LAY_CLONES void lay_attention_tile_finish(const struct lay_attention_tile *tile, const float *gate)
{
    lay_vec s[LAY_LANES];
    for (int k = 0; k < LAY_LANES; k++)
        s[k] = lay_vec_load(tile->sums[k]);
    for (int half = LAY_LANES / 2; half > 0; half /= 2)
        for (int k = 0; k < half; k++)
            s[k] += s[k + half];
    const lay_vec inverse = 1.0f / s[0];
    int64_t d = 0;
    for (; d + LAY_LANES <= tile->head_dim; d += LAY_LANES) {
        lay_vec r[LAY_LANES];
        for (int i = 0; i < LAY_LANES; i++)
            r[i] = lay_vec_load(tile->result[d + i]) * inverse;
        lay_vec_transpose(r);
        for (int lane = 0; lane < LAY_LANES; lane++)
            if (tile->out[lane])
                put(tile->out[lane] + d, r[lane], gate);
    }
    for (; d < tile->head_dim; d++)
        for (int lane = 0; lane < LAY_LANES; lane++)
            if (tile->out[lane]) {
                const float result = tile->result[d][lane] * inverse[lane];
                tile->out[lane][d] = gate ? tile->out[lane][d] + *gate * result : result;
            }
}

/* Softmax attention of up to sixteen queries over a stretch of keys, shared by the LLM's and the encoders'
 * attention. Internal to engine/nn.
 *
 * Keys come in chunks at fixed positions; each chunk rescales what the earlier ones left (online softmax).
 * Per query the order of operations is: a score sums over head_dim in order, the denominator over keys in
 * sixteen interleaved sums, the result over keys in order. Both forms below keep it, so they give the same
 * bits: a tile holds one query per lane, a row holds one query and spreads keys, then values over the lanes.
 */
#ifndef LAY_NN_ATTENTION_CORE_H
#define LAY_NN_ATTENTION_CORE_H

#include "engine/nn/kernels.h"
#include "engine/nn/vector.h"

#define LAY_CHUNK_KEYS 64 /* a multiple of LAY_KV_PAGE_TOKENS and LAY_LANES */

/* Keys and values of one head at positions first … first + n. Element d of key j is key[j][d · key_step];
 * value[j] is contiguous. */
struct lay_attention_chunk {
    int64_t first, n;
    const float *key[LAY_CHUNK_KEYS], *value[LAY_CHUNK_KEYS];
    int64_t key_step;
};

/* Sixteen queries, one per lane; unused lanes are computed and ignored. */
struct lay_attention_tile {
    int64_t head_dim;
    int64_t low[LAY_LANES], high[LAY_LANES]; /* each sees the keys low … high − 1 */
    float query[LAY_MAX_HEAD_DIM][LAY_LANES];
    float result[LAY_MAX_HEAD_DIM][LAY_LANES];
    float sums[LAY_LANES][LAY_LANES]; /* [key mod LAY_LANES][query] */
    float max[LAY_LANES];
};

/* bias NULL or: bias[j − lane] is added to the score of key first + j, for lane 0 … LAY_LANES − 1. */
void lay_attention_tile_start(struct lay_attention_tile *tile);
void lay_attention_tile_chunk(struct lay_attention_tile *tile, const struct lay_attention_chunk *chunk,
                              const float *bias);
/* out [lanes, head_dim] at out[lane]; NULL entries are skipped. `gate` NULL: overwrite, else out += gate ·
 * result. */
void lay_attention_tile_finish(const struct lay_attention_tile *tile, float *const *out, const float *gate);

/* One query; needs key_step = LAY_KV_PAGE_TOKENS, pages side by side in key. */
struct lay_attention_row {
    int64_t head_dim, low, high;
    float query[LAY_MAX_HEAD_DIM];
    float result[LAY_MAX_HEAD_DIM];
    float sums[LAY_LANES];
    float max;
};
void lay_attention_row_start(struct lay_attention_row *row);
void lay_attention_row_chunk(struct lay_attention_row *row, const struct lay_attention_chunk *chunk);
void lay_attention_row_finish(const struct lay_attention_row *row, float *out, const float *gate);

#endif

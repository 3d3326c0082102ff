/* Softmax attention of up to sixteen queries over a stretch of keys, shared by the LLM's and the encoders'
 * attention. Internal to engine/nn.
 *
 * Keys come in chunks at fixed positions; each chunk rescales what the earlier ones left (online softmax).
 * Per query the order of operations is: a score sums over head_dim in order, the denominator over keys in
 * sixteen interleaved sums, the result over keys in order. Both forms below keep it, so they give the same
 * bits: a tile holds one query per lane, rows spread keys, then values over the lanes. */
#ifndef LAY_NN_ATTENTION_CORE_H
#define LAY_NN_ATTENTION_CORE_H

#include "engine/nn/kernels.h"
#include "engine/nn/vector.h"

#define LAY_CHUNK_KEYS 64 /* a multiple of LAY_KV_PAGE_TOKENS and LAY_LANES */

/* f32 keys and values of one head at positions first … first + n − 1. Element d of key j is key[j][d ·
 * key_step]; value[j] is contiguous. */
struct lay_attention_chunk {
    int64_t first, n, key_step;
    const float *key[LAY_CHUNK_KEYS], *value[LAY_CHUNK_KEYS];
};

/* The same as blocks of pages (kv.h), f32, or bf16 if `half`. `next` are the blocks of keys that will be
 * wanted after these. */
#define LAY_CHUNK_PAGES (LAY_CHUNK_KEYS / LAY_KV_PAGE_TOKENS)
struct lay_attention_pages {
    int64_t first, n;
    bool half;
    const void *key[LAY_CHUNK_PAGES], *value[LAY_CHUNK_PAGES], *next[LAY_CHUNK_PAGES];
};

/* Sixteen queries, one per lane; a query sees the keys low … high − 1, both ascending with the lane. */
struct lay_attention_tile {
    int64_t head_dim;
    int64_t low[LAY_LANES], high[LAY_LANES];
    float query[LAY_MAX_HEAD_DIM][LAY_LANES];
    float result[LAY_MAX_HEAD_DIM][LAY_LANES];
    float sums[LAY_LANES][LAY_LANES]; /* [key mod LAY_LANES][query] */
    float max[LAY_LANES];
    const float *in[LAY_LANES]; /* queries, [head_dim] each */
    float *out[LAY_LANES]; /* results, [head_dim] each; NULL for a lane that is not used (but computed) */
};

/* head_dim, low, high, in and out are the caller's to fill before. Queries are multiplied by `scale`. */
void lay_attention_tile_start(struct lay_attention_tile *tile, float scale);
/* bias NULL, or bias[j − lane] is added to the score of key first + j. */
void lay_attention_tile_chunk(struct lay_attention_tile *tile, const struct lay_attention_chunk *chunk,
                              const float *bias);
/* gate NULL: writes the result to out, else out += gate · result. */
void lay_attention_tile_finish(const struct lay_attention_tile *tile, const float *gate);

/* One query. */
struct lay_attention_row {
    int64_t head_dim, low, high;
    float query[LAY_MAX_HEAD_DIM];
    float result[LAY_MAX_HEAD_DIM];
    float sums[LAY_LANES];
    float max;
    float *out;
};

/* head_dim, low, high and out are the caller's to fill before; q [head_dim] is multiplied by `scale`. */
void lay_attention_row_start(struct lay_attention_row *row, const float *q, float scale);
/* n queries that see the same keys. */
void lay_attention_rows_chunk(struct lay_attention_row *rows, int64_t n,
                              const struct lay_attention_pages *pages);
void lay_attention_row_finish(const struct lay_attention_row *row, const float *gate);

#endif

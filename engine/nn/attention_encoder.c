#include "engine/nn/attention_core.h"

#include <assert.h>

struct call {
    int64_t heads, head_dim, stride;
    float scale;
    const float *bias_table;
    int64_t bias_span;
};

/* One sequence: its rows of qkv and out. */
struct sequence {
    const float *qkv;
    int64_t length, keys;
    float *out;
};

/* The sixteen queries from `begin` of one head. */
static void attend(const struct call *call, const struct sequence *seq, int64_t head, int64_t begin)
{
    struct lay_attention_tile tile;
    struct lay_attention_chunk chunk = {.key_step = 1};
    float *out[LAY_LANES] = {NULL};
    const int64_t width = call->heads * call->head_dim, last = seq->length - 1;
    const float *base = seq->qkv + head * call->head_dim;
    tile.head_dim = call->head_dim;
    for (int64_t lane = 0; lane < LAY_LANES; lane++) {
        const int64_t row = begin + lane < last ? begin + lane : last; /* spare lanes repeat the last query */
        for (int64_t d = 0; d < call->head_dim; d++)
            tile.query[d][lane] = base[row * call->stride + d] * call->scale;
        tile.low[lane] = 0;
        tile.high[lane] = seq->keys;
        if (begin + lane <= last)
            out[lane] = seq->out + row * width + head * call->head_dim;
    }
    lay_attention_tile_start(&tile);
    for (chunk.first = 0; chunk.first < seq->keys; chunk.first += LAY_CHUNK_KEYS) {
        float window[LAY_CHUNK_KEYS + LAY_LANES], *bias = NULL;
        chunk.n = seq->keys - chunk.first < LAY_CHUNK_KEYS ? seq->keys - chunk.first : LAY_CHUNK_KEYS;
        for (int64_t j = 0; j < chunk.n; j++) {
            chunk.key[j] = base + width + (chunk.first + j) * call->stride;
            chunk.value[j] = chunk.key[j] + width;
        }
        if (call->bias_table) {
            const float *centre = call->bias_table + head * (2 * call->bias_span - 1) + call->bias_span - 1 +
                                  chunk.first - begin;
            bias = window + LAY_LANES;
            for (int64_t t = 1 - LAY_LANES; t < chunk.n; t++) /* spare lanes may reach beyond the table */
                bias[t] = chunk.first - begin + t > -call->bias_span ? centre[t] : 0.0f;
        }
        lay_attention_tile_chunk(&tile, &chunk, bias);
    }
    lay_attention_tile_finish(&tile, out, NULL);
}

void lay_attention_encoder(const float *qkv, const int64_t *lengths, const int64_t *valid, int64_t n_seqs,
                           int64_t heads, int64_t head_dim, float scale, const float *bias_table,
                           int64_t bias_span, float *out)
{
    assert(head_dim <= LAY_MAX_HEAD_DIM);
    const struct call call = {heads, head_dim, 3 * heads * head_dim, scale, bias_table, bias_span};
    /* Every task writes the results of its own queries only; who runs it does not matter. */
#pragma omp parallel
    {
        int64_t first = 0;
        for (int64_t s = 0; s < n_seqs; s++) {
            const struct sequence seq = {qkv + first * call.stride, lengths[s], valid ? valid[s] : lengths[s],
                                         out + first * heads * head_dim};
            const int64_t tiles = (lengths[s] + LAY_LANES - 1) / LAY_LANES;
#pragma omp for schedule(dynamic) nowait
            for (int64_t task = 0; task < tiles * heads; task++)
                attend(&call, &seq, task / tiles, task % tiles * LAY_LANES);
            first += lengths[s];
        }
    }
}

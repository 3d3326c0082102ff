#include "engine/nn/attention_core.h"

#include <assert.h>

#define TILES 4
#define QUERIES (TILES * LAY_LANES)

struct call {
    int64_t heads, head_dim;
    float scale;
    const float *bias_table;
    int64_t bias_span;
};

/* One head of one sequence; qkv and out stand at that head. */
struct sequence {
    const float *qkv;
    int64_t length, keys;
    float *out;
};

/* A chunk's keys and values side by side: rows of qkv lie so far apart that they would fight for the same few
 * lines of the cache. */
struct room {
    float keys[LAY_CHUNK_KEYS * LAY_MAX_HEAD_DIM];
    float values[LAY_CHUNK_KEYS * LAY_MAX_HEAD_DIM];
};

static void load_chunk(const struct call *call, const struct sequence *seq, int64_t first, struct room *room,
                       struct lay_attention_chunk *chunk)
{
    const int64_t d = call->head_dim, width = call->heads * d;
    *chunk = (struct lay_attention_chunk){.first = first, .n = seq->keys - first, .key_step = 1};
    if (chunk->n > LAY_CHUNK_KEYS)
        chunk->n = LAY_CHUNK_KEYS;
    for (int64_t j = 0; j < chunk->n; j++) {
        const float *key = seq->qkv + (first + j) * 3 * width + width;
        chunk->key[j] = memcpy(room->keys + j * d, key, (size_t)d * sizeof *key);
        chunk->value[j] = memcpy(room->values + j * d, key + width, (size_t)d * sizeof *key);
    }
}

/* Lanes beyond the sequence repeat its last row. */
static void start_tile(const struct call *call, const struct sequence *seq, int64_t begin,
                       struct lay_attention_tile *tile)
{
    const int64_t width = call->heads * call->head_dim, last = seq->length - 1;
    tile->head_dim = call->head_dim;
    for (int64_t lane = 0; lane < LAY_LANES; lane++) {
        const int64_t row = begin + lane < last ? begin + lane : last;
        tile->in[lane] = seq->qkv + row * 3 * width;
        tile->low[lane] = 0;
        tile->high[lane] = seq->keys;
        tile->out[lane] = begin + lane <= last ? seq->out + row * width : NULL;
    }
    lay_attention_tile_start(tile, call->scale);
}

/* bias[j − lane] for the keys of a chunk and the queries begin … begin + LAY_LANES − 1 of a head. */
static const float *load_bias(const struct call *call, int64_t head, int64_t begin,
                              const struct lay_attention_chunk *chunk, float *window)
{
    if (!call->bias_table)
        return NULL;
    const int64_t span = call->bias_span, shift = chunk->first - begin;
    const float *centre = call->bias_table + head * (2 * span - 1) + span - 1 + shift;
    float *bias = window + LAY_LANES;
    for (int64_t t = 1 - LAY_LANES; t < chunk->n;
         t++) /* lanes that are not used may reach beyond the table */
        bias[t] = shift + t > -span ? centre[t] : 0.0f;
    return bias;
}

/* The queries begin … begin + QUERIES − 1 of a head. */
static void attend(const struct call *call, const struct sequence *seq, int64_t head, int64_t begin)
{
    struct lay_attention_tile tiles[TILES];
    struct lay_attention_chunk chunk;
    struct room room;
    float window[LAY_CHUNK_KEYS + LAY_LANES];
    const int64_t left = (seq->length - begin + LAY_LANES - 1) / LAY_LANES,
                  n_tiles = left < TILES ? left : TILES;
    for (int64_t t = 0; t < n_tiles; t++)
        start_tile(call, seq, begin + t * LAY_LANES, &tiles[t]);
    for (int64_t first = 0; first < seq->keys; first += LAY_CHUNK_KEYS) {
        load_chunk(call, seq, first, &room, &chunk);
        for (int64_t t = 0; t < n_tiles; t++)
            lay_attention_tile_chunk(&tiles[t], &chunk,
                                     load_bias(call, head, begin + t * LAY_LANES, &chunk, window));
    }
    for (int64_t t = 0; t < n_tiles; t++)
        lay_attention_tile_finish(&tiles[t], NULL);
}

void lay_attention_encoder(const float *qkv, const int64_t *lengths, const int64_t *valid, int64_t n_seqs,
                           int64_t heads, int64_t head_dim, float scale, const float *bias_table,
                           int64_t bias_span, float *out)
{
    assert(head_dim <= LAY_MAX_HEAD_DIM);
    const struct call call = {heads, head_dim, scale, bias_table, bias_span};
    const int64_t width = heads * head_dim;
    /* Every task writes the results of its own queries only; who runs it does not matter. */
#pragma omp parallel
    for (int64_t s = 0, first = 0; s < n_seqs; first += lengths[s++]) {
        const int64_t blocks = (lengths[s] + QUERIES - 1) / QUERIES;
#pragma omp for schedule(dynamic) nowait
        for (int64_t task = 0; task < blocks * heads; task++) {
            const int64_t head = task / blocks, at = head * head_dim;
            const struct sequence seq = {qkv + first * 3 * width + at, lengths[s],
                                         valid ? valid[s] : lengths[s], out + first * width + at};
            attend(&call, &seq, head, task % blocks * QUERIES);
        }
    }
}

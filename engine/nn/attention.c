#include "engine/nn/attention_core.h"

#include <assert.h>

/* A few queries are cheaper one by one, many in tiles; both give the same bits. */
#define TILE_FROM 12

struct call {
    const struct lay_kv_pool *pool;
    int64_t layer;
    const float *q;
    int64_t q_stride, num_heads, group, head_dim; /* group: query heads per kv head */
    float scale;
    bool causal;
    int64_t window;
    float *out;
};

/* Room for a chunk's keys and values widened from bf16. */
struct widened {
    float keys[LAY_CHUNK_KEYS * LAY_MAX_HEAD_DIM];
    float values[LAY_CHUNK_KEYS * LAY_MAX_HEAD_DIM];
};

LAY_CLONES static void widen(const uint16_t *restrict half, float *restrict wide, int64_t n)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        wide[i] = lay_bf16_to_f32(half[i]);
}

static const float *block_of_page(const struct call *call, int32_t page, int which, int64_t kv_head,
                                  float *room)
{
    void *block = lay_kv_block(call->pool, page, call->layer, which, kv_head);
    if (call->pool->shape.dtype == LAY_F32)
        return block;
    widen(block, room, LAY_KV_PAGE_TOKENS * call->head_dim);
    return room;
}

/* The keys first … min(first + LAY_CHUNK_KEYS, end) − 1 of a sequence. */
static void load_chunk(const struct call *call, const struct lay_kv_seq *kv, int64_t kv_head, int64_t first,
                       int64_t end, struct widened *room, struct lay_attention_chunk *chunk)
{
    chunk->first = first;
    chunk->n = end - first < LAY_CHUNK_KEYS ? end - first : LAY_CHUNK_KEYS;
    chunk->key_step = LAY_KV_PAGE_TOKENS;
    for (int64_t j = 0; j < chunk->n; j += LAY_KV_PAGE_TOKENS) {
        const int32_t page = kv->pages[(first + j) / LAY_KV_PAGE_TOKENS];
        const float *keys = block_of_page(call, page, 0, kv_head, room->keys + j * call->head_dim);
        const float *values = block_of_page(call, page, 1, kv_head, room->values + j * call->head_dim);
        for (int64_t i = 0; i < LAY_KV_PAGE_TOKENS && j + i < chunk->n; i++) {
            chunk->key[j + i] = keys + i;
            chunk->value[j + i] = values + i * call->head_dim;
        }
    }
}

/* Queries of a span that read one kv head are numbered row · group + head within the group. */
static const float *query_at(const struct call *call, const struct lay_attention_span *span, int64_t kv_head,
                             int64_t index)
{
    const int64_t row = span->first_row + index / call->group,
                  head = kv_head * call->group + index % call->group;
    return call->q + row * call->q_stride + head * call->head_dim;
}

static float *result_at(const struct call *call, const struct lay_attention_span *span, int64_t kv_head,
                        int64_t index)
{
    const int64_t row = span->first_row + index / call->group,
                  head = kv_head * call->group + index % call->group;
    return call->out + (row * call->num_heads + head) * call->head_dim;
}

static void visible(const struct call *call, const struct lay_attention_span *span, int64_t index,
                    int64_t *low, int64_t *high)
{
    *low = 0;
    *high = span->kv->n_tokens;
    if (!call->causal)
        return;
    *high = span->position + index / call->group + 1;
    if (call->window > 0 && *high > call->window)
        *low = *high - call->window;
}

static void attend_tile(const struct call *call, const struct lay_attention_span *span, int64_t kv_head,
                        int64_t begin, int64_t n)
{
    struct lay_attention_tile tile;
    struct lay_attention_chunk chunk;
    struct widened room;
    float *out[LAY_LANES] = {NULL};
    tile.head_dim = call->head_dim;
    for (int64_t lane = 0; lane < LAY_LANES; lane++) {
        const int64_t index = begin + (lane < n ? lane : n - 1); /* spare lanes repeat the last query */
        const float *query = query_at(call, span, kv_head, index);
        for (int64_t d = 0; d < call->head_dim; d++)
            tile.query[d][lane] = query[d] * call->scale;
        visible(call, span, index, &tile.low[lane], &tile.high[lane]);
        if (lane < n)
            out[lane] = result_at(call, span, kv_head, index);
    }
    lay_attention_tile_start(&tile);
    const int64_t end = tile.high[LAY_LANES - 1];
    for (int64_t first = tile.low[0] / LAY_CHUNK_KEYS * LAY_CHUNK_KEYS; first < end;
         first += LAY_CHUNK_KEYS) {
        load_chunk(call, span->kv, kv_head, first, end, &room, &chunk);
        lay_attention_tile_chunk(&tile, &chunk, NULL);
    }
    lay_attention_tile_finish(&tile, out, call->causal ? NULL : &span->gate);
}

static void attend_rows(const struct call *call, const struct lay_attention_span *span, int64_t kv_head,
                        int64_t begin, int64_t n)
{
    struct lay_attention_row rows[TILE_FROM];
    struct lay_attention_chunk chunk;
    struct widened room;
    for (int64_t i = 0; i < n; i++) {
        const float *query = query_at(call, span, kv_head, begin + i);
        rows[i].head_dim = call->head_dim;
        for (int64_t d = 0; d < call->head_dim; d++)
            rows[i].query[d] = query[d] * call->scale;
        visible(call, span, begin + i, &rows[i].low, &rows[i].high);
        lay_attention_row_start(&rows[i]);
    }
    int64_t low, end, ignored; /* the first query reaches back furthest, the last sees most */
    visible(call, span, begin, &low, &ignored);
    visible(call, span, begin + n - 1, &ignored, &end);
    for (int64_t first = low / LAY_CHUNK_KEYS * LAY_CHUNK_KEYS; first < end; first += LAY_CHUNK_KEYS) {
        load_chunk(call, span->kv, kv_head, first, end, &room, &chunk);
        for (int64_t i = 0; i < n; i++)
            if (rows[i].low < first + chunk.n && rows[i].high > first)
                lay_attention_row_chunk(&rows[i], &chunk);
    }
    for (int64_t i = 0; i < n; i++)
        lay_attention_row_finish(&rows[i], result_at(call, span, kv_head, begin + i),
                                 call->causal ? NULL : &span->gate);
}

/* Tile `index` of a span, counted over kv heads and tiles of queries. */
static void attend(const struct call *call, const struct lay_attention_span *span, int64_t index)
{
    const int64_t queries = span->n_rows * call->group, tiles = (queries + LAY_LANES - 1) / LAY_LANES;
    const int64_t kv_head = index / tiles, begin = index % tiles * LAY_LANES;
    const int64_t n = queries - begin < LAY_LANES ? queries - begin : LAY_LANES;
    if (!call->causal && span->kv->n_tokens == 0)
        return;
    if (n >= TILE_FROM)
        attend_tile(call, span, kv_head, begin, n);
    else
        attend_rows(call, span, kv_head, begin, n);
}

static int64_t tasks_of(const struct call *call, const struct lay_attention_span *span)
{
    return (span->n_rows * call->group + LAY_LANES - 1) / LAY_LANES * call->pool->shape.num_kv_heads;
}

void lay_attention_paged(const struct lay_kv_pool *pool, int64_t layer,
                         const struct lay_attention_span *spans, int64_t n_spans, const float *q,
                         int64_t q_stride, int64_t num_heads, float scale, bool causal, int64_t window,
                         float *out)
{
    const struct lay_kv_shape *s = &pool->shape;
    assert(s->head_dim <= LAY_MAX_HEAD_DIM && num_heads % s->num_kv_heads == 0);
    const struct call call = {.pool = pool,
                              .layer = layer,
                              .q = q,
                              .q_stride = q_stride,
                              .num_heads = num_heads,
                              .group = num_heads / s->num_kv_heads,
                              .head_dim = s->head_dim,
                              .scale = scale,
                              .causal = causal,
                              .window = window,
                              .out = out};
    /* Every task writes results of its own queries only; who runs it does not matter. */
#pragma omp parallel
    for (int64_t i = 0; i < n_spans; i++) {
#pragma omp for schedule(dynamic) nowait
        for (int64_t task = 0; task < tasks_of(&call, &spans[i]); task++)
            attend(&call, &spans[i], task);
    }
}

#include "engine/nn/attention_core.h"

#include <assert.h>
#include <omp.h>

/* Queries of a task are cheaper one by one when they are few, in tiles when they are many; the bits are the
 * same. The tiles of a task share its chunks of keys while they are in the cache. */
#define TILE_FROM 12
#define TILES 4
/* A thread takes so many kv heads of a sequence, where there are sequences for all threads: while it reads
 * the last pages of one head it fetches the first of the next. */
#define HEADS 4
#define QUERIES (TILES * LAY_LANES)

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

/* The queries begin … begin + n − 1 of a span that read one kv head, numbered row · group + head in the
 * group. */
struct task {
    const struct call *call;
    const struct lay_attention_span *span;
    int64_t kv_head, begin, n;
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

/* The blocks of the keys first … min(first + LAY_CHUNK_KEYS, end) − 1. */
static void find_pages(const struct task *task, int64_t first, int64_t end, struct lay_attention_pages *pages)
{
    const struct call *call = task->call;
    const int32_t *page = task->span->kv->pages + first / LAY_KV_PAGE_TOKENS;
    const int64_t left = lay_kv_pages_for(end - first), n_heads = call->pool->shape.num_kv_heads;
    const int64_t next_head = task->kv_head + 1 < n_heads ? task->kv_head + 1 : task->kv_head;
    pages->first = first;
    pages->n = end - first < LAY_CHUNK_KEYS ? end - first : LAY_CHUNK_KEYS;
    pages->half = call->pool->shape.dtype == LAY_BF16;
    for (int64_t i = 0; i < LAY_CHUNK_PAGES && i < left; i++) {
        pages->key[i] = lay_kv_block(call->pool, page[i], call->layer, 0, task->kv_head);
        pages->value[i] = lay_kv_block(call->pool, page[i], call->layer, 1, task->kv_head);
        pages->next[i] =
            i + LAY_CHUNK_PAGES < left
                ? lay_kv_block(call->pool, page[i + LAY_CHUNK_PAGES], call->layer, 0, task->kv_head)
                : lay_kv_block(call->pool, task->span->kv->pages[i], call->layer, 0, next_head);
    }
}

/* Pages as single keys and values in f32; `room` holds them where they are stored in bf16. */
static void widen_pages(const struct lay_attention_pages *pages, int64_t head_dim,
                        struct lay_attention_chunk *chunk, struct widened *room)
{
    const int64_t block = LAY_KV_PAGE_TOKENS * head_dim;
    chunk->first = pages->first;
    chunk->n = pages->n;
    chunk->key_step = LAY_KV_PAGE_TOKENS;
    for (int64_t i = 0; i * LAY_KV_PAGE_TOKENS < pages->n; i++) {
        /* NOLINTNEXTLINE(clang-analyzer-core.uninitialized.Assign): find_pages filled as many */
        const float *keys = pages->key[i], *values = pages->value[i];
        if (pages->half) {
            widen(pages->key[i], room->keys + i * block, block);
            widen(pages->value[i], room->values + i * block, block);
            keys = room->keys + i * block;
            values = room->values + i * block;
        }
        for (int64_t slot = 0; slot < LAY_KV_PAGE_TOKENS; slot++) {
            chunk->key[i * LAY_KV_PAGE_TOKENS + slot] = keys + slot;
            chunk->value[i * LAY_KV_PAGE_TOKENS + slot] = values + slot * head_dim;
        }
    }
}

static const float *query_at(const struct task *task, int64_t index)
{
    const struct call *call = task->call;
    const int64_t row = task->span->first_row + index / call->group;
    return call->q + row * call->q_stride +
           (task->kv_head * call->group + index % call->group) * call->head_dim;
}

static float *result_at(const struct task *task, int64_t index)
{
    const struct call *call = task->call;
    const int64_t row = task->span->first_row + index / call->group;
    return call->out +
           (row * call->num_heads + task->kv_head * call->group + index % call->group) * call->head_dim;
}

/* Query `index` sees the keys low … high − 1. */
static void visible(const struct task *task, int64_t index, int64_t *low, int64_t *high)
{
    const struct call *call = task->call;
    *low = 0;
    *high = task->span->kv->n_tokens;
    if (!call->causal)
        return;
    *high = task->span->position + index / call->group + 1;
    if (call->window > 0 && *high > call->window)
        *low = *high - call->window;
}

/* Lanes beyond the task's queries repeat its last one. */
static void start_tile(const struct task *task, int64_t first, struct lay_attention_tile *tile)
{
    const int64_t last = task->begin + task->n - 1;
    tile->head_dim = task->call->head_dim;
    for (int64_t lane = 0; lane < LAY_LANES; lane++) {
        const int64_t index = first + lane < last ? first + lane : last;
        visible(task, index, &tile->low[lane], &tile->high[lane]);
        tile->in[lane] = query_at(task, index);
        tile->out[lane] = first + lane <= last ? result_at(task, index) : NULL;
    }
    lay_attention_tile_start(tile, task->call->scale);
}

/* The part of the chunk that the tile sees some of. */
static void attend_tile(struct lay_attention_tile *tile, struct lay_attention_chunk *chunk)
{
    const int64_t n = chunk->n, end = tile->high[LAY_LANES - 1] - chunk->first;
    if (end <= 0 || tile->low[0] >= chunk->first + n)
        return;
    chunk->n = end < n ? end : n;
    lay_attention_tile_chunk(tile, chunk, NULL);
    chunk->n = n;
}

static void attend_in_tiles(const struct task *task, int64_t low, int64_t end, const float *gate)
{
    struct lay_attention_tile tiles[TILES];
    struct lay_attention_pages pages;
    struct lay_attention_chunk chunk;
    struct widened room;
    const int64_t n_tiles = (task->n + LAY_LANES - 1) / LAY_LANES;
    for (int64_t t = 0; t < n_tiles; t++)
        start_tile(task, task->begin + t * LAY_LANES, &tiles[t]);
    for (int64_t first = low / LAY_CHUNK_KEYS * LAY_CHUNK_KEYS; first < end; first += LAY_CHUNK_KEYS) {
        find_pages(task, first, end, &pages);
        widen_pages(&pages, task->call->head_dim, &chunk, &room);
        for (int64_t t = 0; t < n_tiles; t++)
            attend_tile(&tiles[t], &chunk);
    }
    for (int64_t t = 0; t < n_tiles; t++)
        lay_attention_tile_finish(&tiles[t], gate);
}

/* How many of the n rows see the same keys as the first. */
static int64_t alike(const struct lay_attention_row *rows, int64_t n)
{
    int64_t i = 1;
    while (i < n && rows[i].low == rows->low && rows[i].high == rows->high)
        i++;
    return i;
}

static void attend_in_rows(const struct task *task, int64_t low, int64_t end, const float *gate)
{
    struct lay_attention_row rows[TILE_FROM];
    struct lay_attention_pages pages;
    for (int64_t i = 0; i < task->n; i++) {
        rows[i].head_dim = task->call->head_dim;
        visible(task, task->begin + i, &rows[i].low, &rows[i].high);
        rows[i].out = result_at(task, task->begin + i);
        lay_attention_row_start(&rows[i], query_at(task, task->begin + i), task->call->scale);
    }
    for (int64_t first = low / LAY_CHUNK_KEYS * LAY_CHUNK_KEYS; first < end; first += LAY_CHUNK_KEYS) {
        find_pages(task, first, end, &pages);
        for (int64_t i = 0, n; i < task->n; i += n) {
            n = alike(rows + i, task->n - i);
            if (rows[i].low < first + pages.n && rows[i].high > first)
                lay_attention_rows_chunk(rows + i, n, &pages);
        }
    }
    for (int64_t i = 0; i < task->n; i++)
        lay_attention_row_finish(&rows[i], gate);
}

static int64_t blocks_of(const struct call *call, const struct lay_attention_span *span)
{
    return (span->n_rows * call->group + QUERIES - 1) / QUERIES;
}

/* Task `index` of a span, counted over kv heads and blocks of queries. */
static void attend(const struct call *call, const struct lay_attention_span *span, int64_t index)
{
    const int64_t queries = span->n_rows * call->group, blocks = blocks_of(call, span);
    struct task task = {call, span, index / blocks, index % blocks * QUERIES, QUERIES};
    if (queries - task.begin < task.n)
        task.n = queries - task.begin;
    int64_t low, end, ignored; /* the first query reaches back furthest, the last sees most */
    visible(&task, task.begin, &low, &ignored);
    visible(&task, task.begin + task.n - 1, &ignored, &end);
    const float *gate = call->causal ? NULL : &span->gate;
    if (end == 0)
        return;
    if (task.n >= TILE_FROM)
        attend_in_tiles(&task, low, end, gate);
    else
        attend_in_rows(&task, low, end, gate);
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
    const int64_t chunk = n_spans >= omp_get_max_threads() ? HEADS : 1;
    /* Every task writes results of its own queries only; who runs it does not matter. */
#pragma omp parallel
    for (int64_t i = 0; i < n_spans; i++) {
        const int64_t tasks = blocks_of(&call, &spans[i]) * s->num_kv_heads;
#pragma omp for schedule(dynamic, chunk) nowait
        for (int64_t task = 0; task < tasks; task++)
            attend(&call, &spans[i], task);
    }
}

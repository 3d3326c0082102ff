#include "engine/nn/kernels.h"

#include "engine/base/mem.h"

#include <assert.h>
#include <string.h>
#include <sys/mman.h>

size_t lay_kv_page_bytes(const struct lay_kv_shape *shape)
{
    return (size_t)(shape->layers * 2 * shape->num_kv_heads * LAY_KV_PAGE_TOKENS * shape->head_dim) *
           lay_dtype_size(shape->dtype);
}

int64_t lay_kv_pages_for(int64_t tokens)
{
    return (tokens + LAY_KV_PAGE_TOKENS - 1) / LAY_KV_PAGE_TOKENS;
}

/* Pages that are never drawn must cost nothing, so the pool is address space until it is written to. */
static char *reserve_memory(size_t bytes)
{
    void *memory =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return NULL;
    madvise(memory, bytes, MADV_HUGEPAGE); /* a wish; failure changes speed only */
    return memory;
}

enum lay_status lay_kv_pool_create(const struct lay_kv_shape *shape, size_t bytes, struct lay_kv_pool **pool,
                                   struct lay_err *err)
{
    assert(shape->dtype == LAY_F32 || shape->dtype == LAY_BF16);
    const size_t page_bytes = lay_kv_page_bytes(shape);
    size_t n_pages = bytes / page_bytes;
    if (n_pages == 0)
        n_pages = 1;
    if (n_pages > INT32_MAX)
        n_pages = INT32_MAX;
    struct lay_kv_pool *p = lay_alloc(1, sizeof *p);
    if (!p)
        return lay_no_memory(err, "the KV pool");
    p->shape = *shape;
    p->page_bytes = page_bytes;
    p->n_pages = p->n_free = (int64_t)n_pages;
    p->free_pages = lay_alloc(n_pages, sizeof *p->free_pages);
    p->holders = lay_alloc(n_pages, sizeof *p->holders);
    p->memory = p->free_pages && p->holders ? reserve_memory(n_pages * page_bytes) : NULL;
    if (!p->memory) {
        lay_kv_pool_destroy(p);
        return lay_fail(err, LAY_ERR_MEMORY,
                        "out of memory for a KV pool of %zu MB: give a smaller --memory or --batch-size",
                        n_pages * page_bytes >> 20);
    }
    for (int64_t i = 0; i < p->n_pages; i++) /* page 0 is drawn first, so low pages stay in use */
        p->free_pages[i] = (int32_t)(p->n_pages - 1 - i);
    *pool = p;
    return LAY_OK;
}

void lay_kv_pool_destroy(struct lay_kv_pool *pool)
{
    if (!pool)
        return;
    if (pool->memory)
        munmap(pool->memory, (size_t)pool->n_pages * pool->page_bytes);
    lay_free(pool->free_pages);
    lay_free(pool->holders);
    lay_free(pool);
}

enum lay_status lay_kv_reserve(struct lay_kv_pool *pool, struct lay_kv_seq *seq, int64_t tokens,
                               struct lay_err *err)
{
    const int64_t needed = lay_kv_pages_for(tokens);
    if (needed <= seq->n_pages)
        return LAY_OK;
    if (needed - seq->n_pages > pool->n_free)
        return lay_fail(err, LAY_ERR_MEMORY,
                        "a sequence of %lld tokens needs %lld more KV pages, %lld of %lld are free: "
                        "give more --memory or a smaller --batch-size",
                        (long long)tokens, (long long)(needed - seq->n_pages), (long long)pool->n_free,
                        (long long)pool->n_pages);
    if (!lay_grow((void **)&seq->pages, &seq->capacity, (size_t)needed, sizeof *seq->pages))
        return lay_no_memory(err, "a KV page table");
    while (seq->n_pages < needed) {
        const int32_t page = pool->free_pages[--pool->n_free];
        pool->holders[page] = 1;
        seq->pages[seq->n_pages++] = page;
    }
    return LAY_OK;
}

void lay_kv_hold(struct lay_kv_pool *pool, int32_t page)
{
    assert(pool->holders[page] > 0);
    pool->holders[page]++;
}

void lay_kv_drop(struct lay_kv_pool *pool, int32_t page)
{
    assert(pool->holders[page] > 0);
    if (--pool->holders[page] == 0)
        pool->free_pages[pool->n_free++] = page;
}

enum lay_status lay_kv_adopt(struct lay_kv_pool *pool, struct lay_kv_seq *seq, int32_t page,
                             struct lay_err *err)
{
    assert(seq->n_tokens == seq->n_pages * LAY_KV_PAGE_TOKENS);
    if (!lay_grow((void **)&seq->pages, &seq->capacity, (size_t)seq->n_pages + 1, sizeof *seq->pages))
        return lay_no_memory(err, "a KV page table");
    lay_kv_hold(pool, page);
    seq->pages[seq->n_pages++] = page;
    seq->n_tokens += LAY_KV_PAGE_TOKENS;
    return LAY_OK;
}

void lay_kv_release(struct lay_kv_pool *pool, struct lay_kv_seq *seq)
{
    while (seq->n_pages > 0)
        lay_kv_drop(pool, seq->pages[--seq->n_pages]);
    lay_free(seq->pages);
    *seq = (struct lay_kv_seq){0};
}

/* One head of one token: head_dim numbers at `step` elements from one another. */
static void write_head(enum lay_dtype dtype, void *block, int64_t first, int64_t step,
                       const float *restrict row, int64_t head_dim)
{
    if (dtype == LAY_F32) {
        float *restrict wide = (float *)block + first;
        for (int64_t i = 0; i < head_dim; i++)
            wide[i * step] = row[i];
        return;
    }
    uint16_t *restrict half = (uint16_t *)block + first;
    for (int64_t i = 0; i < head_dim; i++)
        half[i * step] = lay_f32_to_bf16(row[i]);
}

/* k and v stand at the head's numbers. */
static void write_token(const struct lay_kv_pool *pool, const struct lay_kv_seq *seq, int64_t layer,
                        int64_t token, int64_t head, const float *k, const float *v)
{
    const struct lay_kv_shape *s = &pool->shape;
    const int32_t page = seq->pages[token / LAY_KV_PAGE_TOKENS];
    const int64_t slot = token % LAY_KV_PAGE_TOKENS, d = s->head_dim;
    write_head(s->dtype, lay_kv_block(pool, page, layer, 0, head), slot, LAY_KV_PAGE_TOKENS, k, d);
    write_head(s->dtype, lay_kv_block(pool, page, layer, 1, head), slot * d, 1, v, d);
}

void lay_kv_write(const struct lay_kv_pool *pool, const struct lay_kv_seq *seq, int64_t layer, int64_t first,
                  int64_t rows, const float *k, int64_t k_stride, const float *v, int64_t v_stride)
{
    const struct lay_attention_span span = {.kv = seq, .n_rows = rows, .position = first};
    lay_kv_write_spans(pool, layer, &span, 1, k, k_stride, v, v_stride);
}

void lay_kv_write_spans(const struct lay_kv_pool *pool, int64_t layer, const struct lay_attention_span *spans,
                        int64_t n_spans, const float *k, int64_t k_stride, const float *v, int64_t v_stride)
{
    const int64_t heads = pool->shape.num_kv_heads, d = pool->shape.head_dim;
    int64_t rows = 0;
    for (int64_t i = 0; i < n_spans; i++) {
        assert(lay_kv_pages_for(spans[i].position + spans[i].n_rows) <= spans[i].kv->n_pages);
        rows += spans[i].n_rows;
    }
    /* Every head of a token has its own place. Each number of a key goes to a line of its own, so a few rows
     * already wait for the memory long enough to be shared. */
#pragma omp parallel if (rows * heads * d > 2048)
    for (int64_t i = 0; i < n_spans; i++) {
        const struct lay_attention_span *span = &spans[i];
#pragma omp for collapse(2) schedule(static) nowait
        for (int64_t h = 0; h < heads; h++)
            for (int64_t r = 0; r < span->n_rows; r++)
                write_token(pool, span->kv, layer, span->position + r, h,
                            k + (span->first_row + r) * k_stride + h * d,
                            v + (span->first_row + r) * v_stride + h * d);
    }
}

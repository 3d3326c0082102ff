/* Keys and values of sequences in pages of a fixed number of tokens, drawn from one pool under a memory
 * budget.
 *
 * One page holds LAY_KV_PAGE_TOKENS tokens of all layers:
 *   [layers][2 (k, v)][num_kv_heads][block], f32 or bf16,
 * a block of keys being [head_dim][LAY_KV_PAGE_TOKENS], so that one vector holds all the page's keys, a block
 * of values [LAY_KV_PAGE_TOKENS][head_dim]. The aligner's keys and values of a LayAlign sequence are a second
 * lay_kv_seq of the same pool. */
#ifndef LAY_NN_KV_H
#define LAY_NN_KV_H

#include "engine/base/dtype.h"
#include "engine/base/err.h"

#include <stddef.h>
#include <stdint.h>

#define LAY_KV_PAGE_TOKENS 16

struct lay_kv_shape {
    int64_t layers, num_kv_heads, head_dim;
    enum lay_dtype dtype; /* LAY_F32 or LAY_BF16 */
};

struct lay_kv_pool {
    struct lay_kv_shape shape;
    size_t page_bytes;
    int64_t n_pages, n_free;
    char *memory;        /* [n_pages][page_bytes], touched on first use only */
    int32_t *free_pages; /* stack of n_free page numbers */
    int32_t *holders;    /* [n_pages] how many sequences and others have it; 0: free */
};

/* The pages of one sequence; starts as {0}. */
struct lay_kv_seq {
    int32_t *pages;
    int64_t n_pages;
    int64_t n_tokens; /* tokens written */
    size_t capacity;
};

size_t lay_kv_page_bytes(const struct lay_kv_shape *shape);
int64_t lay_kv_pages_for(int64_t tokens);

/* As many pages as fit into `bytes`, at least one. Memory is reserved, not committed. */
enum lay_status lay_kv_pool_create(const struct lay_kv_shape *shape, size_t bytes, struct lay_kv_pool **pool,
                                   struct lay_err *err);
void lay_kv_pool_destroy(struct lay_kv_pool *pool); /* accepts NULL */

/* Gives seq the pages for `tokens` tokens in all. LAY_ERR_MEMORY without side effects when the pool has too
 * few. */
enum lay_status lay_kv_reserve(struct lay_kv_pool *pool, struct lay_kv_seq *seq, int64_t tokens,
                               struct lay_err *err);
/* Gives all pages back and frees the table. */
void lay_kv_release(struct lay_kv_pool *pool, struct lay_kv_seq *seq);

/* Pages of equal beginnings may be shared: once a page is full nobody writes to it. */
void lay_kv_hold(struct lay_kv_pool *pool, int32_t page); /* of somebody else; ends with … */
void lay_kv_drop(struct lay_kv_pool *pool, int32_t page); /* … this: free when the last one drops it */
/* Appends a full page of somebody else to a sequence whose tokens fill all its pages, n_tokens included. */
enum lay_status lay_kv_adopt(struct lay_kv_pool *pool, struct lay_kv_seq *seq, int32_t page,
                             struct lay_err *err);

/* Writes rows k, v [rows, num_kv_heads * head_dim] (f32, row strides in elements) as tokens first… of one
 * layer. The pages must be reserved. */
void lay_kv_write(const struct lay_kv_pool *pool, const struct lay_kv_seq *seq, int64_t layer, int64_t first,
                  int64_t rows, const float *k, int64_t k_stride, const float *v, int64_t v_stride);

/* The block of one head; which = 0 keys, 1 values. */
static inline void *lay_kv_block(const struct lay_kv_pool *pool, int32_t page, int64_t layer, int which,
                                 int64_t head)
{
    const struct lay_kv_shape *s = &pool->shape;
    const size_t block = (size_t)(LAY_KV_PAGE_TOKENS * s->head_dim) * lay_dtype_size(s->dtype);
    return pool->memory + (size_t)page * pool->page_bytes +
           (size_t)((layer * 2 + which) * s->num_kv_heads + head) * block;
}

#endif

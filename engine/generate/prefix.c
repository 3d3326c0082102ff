#include "engine/generate/prefix.h"

#include "engine/base/mem.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define NONE (-1)

struct node {
    int32_t page;      /* held for others; NONE */
    int64_t wanted;    /* requests that have not passed it yet */
    int64_t computing; /* request; NONE */
};

struct lay_prefixes {
    const struct lay_prompt_ids *ids;
    size_t count;
    int64_t *depth; /* [count] */
    size_t *first;  /* [count] of the request's nodes in `path` */
    int32_t *path;  /* node numbers, request after request */
    size_t n_path, path_capacity;
    struct node *nodes;
    size_t n_nodes, nodes_capacity;
};

/* Rows of a plain prompt are bos and the text; the last row is computed by every request itself. */
static int64_t most_pages(const struct lay_prompt_ids *ids)
{
    return ids->n_prompt / LAY_KV_PAGE_TOKENS;
}

/* Pages that two prompts have in common. Page i ends with token 16 (i + 1) − 2 of the text: bos is row 0. */
static int64_t common_pages(const struct lay_prompt_ids *a, const struct lay_prompt_ids *b)
{
    const int64_t shorter = a->n_prompt < b->n_prompt ? a->n_prompt : b->n_prompt;
    int64_t same = 0;
    while (same < shorter && a->prompt[same] == b->prompt[same])
        same++;
    int64_t pages = (same + 1) / LAY_KV_PAGE_TOKENS;
    pages = pages < most_pages(a) ? pages : most_pages(a);
    return pages < most_pages(b) ? pages : most_pages(b);
}

static int by_tokens(const void *a, const void *b, void *context)
{
    const struct lay_prompt_ids *ids = context;
    const size_t i = *(const size_t *)a, j = *(const size_t *)b;
    const struct lay_prompt_ids *x = &ids[i], *y = &ids[j];
    for (int64_t k = 0; k < x->n_prompt && k < y->n_prompt; k++)
        if (x->prompt[k] != y->prompt[k])
            return x->prompt[k] < y->prompt[k] ? -1 : 1;
    if (x->n_prompt != y->n_prompt)
        return x->n_prompt < y->n_prompt ? -1 : 1;
    return i < j ? -1 : i > j;
}

static enum lay_status add_node(struct lay_prefixes *p, int32_t *number, struct lay_err *err)
{
    if (!lay_grow((void **)&p->nodes, &p->nodes_capacity, p->n_nodes + 1, sizeof *p->nodes))
        return lay_no_memory(err, "shared beginnings of prompts");
    *number = (int32_t)p->n_nodes;
    p->nodes[p->n_nodes++] = (struct node){.page = NONE, .computing = NONE};
    return LAY_OK;
}

/* The nodes of a request: `with_previous` from the one sorted before it, the others new. */
static enum lay_status add_path(struct lay_prefixes *p, size_t request, size_t previous,
                                int64_t with_previous, struct lay_err *err)
{
    p->first[request] = p->n_path;
    if (!lay_grow((void **)&p->path, &p->path_capacity, p->n_path + (size_t)p->depth[request],
                  sizeof *p->path))
        return lay_no_memory(err, "shared beginnings of prompts");
    for (int64_t i = 0; i < p->depth[request]; i++) {
        int32_t number;
        if (i < with_previous)
            number = p->path[p->first[previous] + (size_t)i];
        else
            LAY_TRY(add_node(p, &number, err));
        p->nodes[number].wanted++;
        p->path[p->n_path++] = number;
    }
    return LAY_OK;
}

static enum lay_status find_shared(struct lay_prefixes *p, const size_t *sorted, struct lay_err *err)
{
    int64_t with_previous = 0;
    for (size_t i = 0; i < p->count; i++) {
        const struct lay_prompt_ids *ids = &p->ids[sorted[i]];
        const int64_t with_next = i + 1 < p->count ? common_pages(ids, &p->ids[sorted[i + 1]]) : 0;
        p->depth[sorted[i]] = with_previous > with_next ? with_previous : with_next;
        LAY_TRY(add_path(p, sorted[i], sorted[i ? i - 1 : 0], with_previous, err));
        with_previous = with_next;
    }
    return LAY_OK;
}

enum lay_status lay_prefixes_create(const struct lay_models *models, const struct lay_prompt_ids *ids,
                                    size_t count, struct lay_prefixes **prefixes, struct lay_err *err)
{
    struct lay_prefixes *p = lay_alloc(1, sizeof *p);
    size_t *sorted = lay_alloc(count, sizeof *sorted);
    enum lay_status status = LAY_OK;
    *prefixes = NULL;
    if (p) {
        *p = (struct lay_prefixes){.ids = ids, .count = count};
        p->depth = lay_alloc(count, sizeof *p->depth);
        p->first = lay_alloc(count, sizeof *p->first);
    }
    if (!p || !sorted || !p->depth || !p->first)
        status = lay_no_memory(err, "shared beginnings of prompts");
    if (status == LAY_OK && !models->bridge) {
        for (size_t i = 0; i < count; i++)
            sorted[i] = i;
        qsort_r(sorted, count, sizeof *sorted, by_tokens, (void *)(uintptr_t)ids);
        status = find_shared(p, sorted, err);
    }
    lay_free(sorted);
    if (status == LAY_OK)
        *prefixes = p;
    else
        lay_prefixes_destroy(p, NULL);
    return status;
}

void lay_prefixes_destroy(struct lay_prefixes *p, struct lay_kv_pool *pool)
{
    if (!p)
        return;
    if (pool)
        lay_prefixes_flush(p, pool);
    lay_free(p->depth);
    lay_free(p->first);
    lay_free(p->path);
    lay_free(p->nodes);
    lay_free(p);
}

static struct node *node_of(const struct lay_prefixes *p, size_t request, int64_t i)
{
    assert(i < p->depth[request]);
    return &p->nodes[p->path[p->first[request] + (size_t)i]];
}

int64_t lay_prefixes_depth(const struct lay_prefixes *p, size_t request)
{
    return p->depth[request];
}

enum lay_prefix_state lay_prefixes_look(struct lay_prefixes *p, size_t request, int64_t i, int32_t *page)
{
    struct node *node = node_of(p, request, i);
    *page = node->page;
    if (node->page != NONE)
        return LAY_PREFIX_READY;
    if (node->computing != NONE && node->computing != (int64_t)request)
        return LAY_PREFIX_AWAITED;
    node->computing = (int64_t)request;
    return LAY_PREFIX_ABSENT;
}

void lay_prefixes_pass(struct lay_prefixes *p, struct lay_kv_pool *pool, size_t request, int64_t i,
                       int32_t page)
{
    struct node *node = node_of(p, request, i);
    node->wanted -= node->wanted > 0; /* a request that was set back passes twice */
    if (node->computing == (int64_t)request)
        node->computing = NONE;
    if (node->page == NONE && node->wanted > 0) {
        lay_kv_hold(pool, page);
        node->page = page;
    } else if (node->page != NONE && node->wanted == 0) {
        lay_kv_drop(pool, node->page);
        node->page = NONE;
    }
}

void lay_prefixes_abandon(struct lay_prefixes *p, size_t request)
{
    for (int64_t i = 0; i < p->depth[request]; i++)
        if (node_of(p, request, i)->computing == (int64_t)request)
            node_of(p, request, i)->computing = NONE;
}

void lay_prefixes_flush(struct lay_prefixes *p, struct lay_kv_pool *pool)
{
    for (size_t i = 0; i < p->n_nodes; i++) {
        if (p->nodes[i].page != NONE)
            lay_kv_drop(pool, p->nodes[i].page);
        p->nodes[i].page = NONE;
    }
}

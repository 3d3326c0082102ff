#include "engine/generate/workspace.h"

#include <assert.h>

void lay_workspace_free(struct lay_workspace *workspace)
{
    lay_kv_pool_destroy(workspace->pool);
    lay_encoded_destroy(workspace->encoded);
    *workspace = (struct lay_workspace){0};
}

static bool suits(const struct lay_kv_pool *pool, size_t bytes, size_t most)
{
    const size_t pages = (size_t)pool->n_pages;
    return pages >= bytes / pool->page_bytes && (pages <= most / pool->page_bytes || pages == 1);
}

enum lay_status lay_workspace_take(const struct lay_models *models, size_t bytes, size_t most,
                                   struct lay_kv_pool **pool, struct lay_encoded **encoded,
                                   struct lay_err *err)
{
    const struct lay_kv_shape shape = lay_llm_kv_shape(models->llm);
    struct lay_workspace left = {0};
    if (models->workspace) {
        left = *models->workspace;
        *models->workspace = (struct lay_workspace){0};
    }
    *encoded = left.encoded;
    *pool = left.pool;
    if (*pool && !suits(*pool, bytes, most)) {
        lay_kv_pool_destroy(*pool);
        *pool = NULL;
    }
    if (!*encoded)
        LAY_TRY(lay_encoded_create(models, encoded, err));
    return *pool ? LAY_OK : lay_kv_pool_create(&shape, bytes, pool, err);
}

void lay_workspace_give(const struct lay_models *models, struct lay_kv_pool *pool,
                        struct lay_encoded *encoded)
{
    struct lay_workspace left = {pool, encoded};
    assert(!pool || pool->n_free == pool->n_pages);
    if (models->workspace && !models->workspace->pool && !models->workspace->encoded)
        *models->workspace = left;
    else
        lay_workspace_free(&left);
}

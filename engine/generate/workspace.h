/* Memory that one call leaves for the next: pages and states that were touched once cost nothing again, while
 * new ones are cleared by the system at their first use (half a second for a batch of LayAlign at 7B). */
#ifndef LAY_GENERATE_WORKSPACE_H
#define LAY_GENERATE_WORKSPACE_H

#include "engine/generate/prepare.h"

/* Belongs to whoever owns the models; starts as {0}. NULL pointers: nothing is left. */
struct lay_workspace {
    struct lay_kv_pool *pool;
    struct lay_encoded *encoded;
};
void lay_workspace_free(struct lay_workspace *workspace);

/* A pool of `bytes` at least and `most` at most (or a single page), and work memory of preparing, for these
 * models: those of models->workspace if they suit, else new ones. On failure what was made is still there to
 * be given back. */
enum lay_status lay_workspace_take(const struct lay_models *models, size_t bytes, size_t most,
                                   struct lay_kv_pool **pool, struct lay_encoded **encoded,
                                   struct lay_err *err);
/* No page of the pool may be in use. Accepts NULL for either. */
void lay_workspace_give(const struct lay_models *models, struct lay_kv_pool *pool,
                        struct lay_encoded *encoded);

#endif

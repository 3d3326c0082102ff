/* Looking inside a loaded system. */
#include "engine/base/mem.h"
#include "engine/generate/observe.h"
#include "engine/system.h"

bool lay_system_fusion(const struct lay_system *system, struct lay_fusion *fusion)
{
    const struct lay_models *models = lay_system_models(system);
    return models->bridge && lay_bridge_fusion(models->bridge, fusion);
}

bool lay_system_has_soft_prompt(const struct lay_system *system)
{
    const struct lay_models *models = lay_system_models(system);
    return models->bridge && !models->no_soft_prompt;
}

/* Token ids of all requests. */
struct tokens {
    struct lay_ids *sources, *prompts; /* [count] */
    struct lay_prompt_ids *ids;        /* [count] views */
    size_t count;
};

static enum lay_status tokenize(struct lay_system *system, const struct lay_request *requests, size_t count,
                                struct tokens *t, struct lay_err *err)
{
    *t = (struct tokens){.count = count};
    t->sources = lay_alloc(count, sizeof *t->sources);
    t->prompts = lay_alloc(count, sizeof *t->prompts);
    t->ids = lay_alloc(count, sizeof *t->ids);
    if (!t->sources || !t->prompts || !t->ids)
        return lay_no_memory(err, "token ids");
    for (size_t i = 0; i < count; i++) {
        bool truncated;
        LAY_TRY(lay_system_tokenize(system, &requests[i], &t->sources[i], &t->prompts[i], &truncated, err));
        const int64_t n_source = (int64_t)t->sources[i].count;
        t->ids[i] = (struct lay_prompt_ids){t->sources[i].data, n_source, n_source, t->prompts[i].data,
                                            (int64_t)t->prompts[i].count};
    }
    return LAY_OK;
}

static void tokens_free(struct tokens *t)
{
    for (size_t i = 0; i < t->count && t->sources && t->prompts; i++) {
        lay_ids_free(&t->sources[i]);
        lay_ids_free(&t->prompts[i]);
    }
    lay_free(t->sources);
    lay_free(t->prompts);
    lay_free(t->ids);
}

enum lay_status lay_system_observe(struct lay_system *system, const struct lay_request *requests,
                                   size_t count, const volatile sig_atomic_t *stop,
                                   void (*heard)(void *context, const struct lay_observation *observation),
                                   void *context, struct lay_err *err)
{
    struct tokens tokens;
    enum lay_status status = tokenize(system, requests, count, &tokens, err);
    if (status == LAY_OK)
        status = lay_observe(lay_system_models(system), tokens.ids, count, stop, heard, context, err);
    tokens_free(&tokens);
    return status;
}

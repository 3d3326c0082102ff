/* Looking inside a loaded system. */
#include "engine/generate/observe.h"
#include "engine/system_tokens.h"

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

enum lay_status lay_system_observe(struct lay_system *system, const struct lay_request *requests,
                                   size_t count, const volatile sig_atomic_t *stop,
                                   void (*heard)(void *context, const struct lay_observation *observation),
                                   void *context, struct lay_err *err)
{
    struct lay_request_tokens tokens;
    enum lay_status status = lay_request_tokens_make(system, requests, count, &tokens, err);
    if (status == LAY_OK)
        status = lay_observe(lay_system_models(system), tokens.ids, count, stop, heard, context, err);
    lay_request_tokens_free(&tokens);
    return status;
}

#include "engine/pack_cache.h"
#include "engine/system_state.h"

/* --- where the weights are --- */

static enum lay_status create_weights(struct lay_system *s, struct lay_err *err)
{
    const enum lay_method method = s->file.bridge.method;
    struct lay_weights **const w = s->weights;
    LAY_TRY(lay_weights_create(&w[LAY_PART_OF_LLM], err));
    LAY_TRY(lay_llm_sources(w[LAY_PART_OF_LLM], method, s->llm_checkpoint, s->bridge_checkpoint, err));
    if (lay_system_is_plain(s))
        return LAY_OK;
    LAY_TRY(lay_weights_create(&w[LAY_PART_OF_ENCODER], err));
    LAY_TRY(lay_encoder_sources(w[LAY_PART_OF_ENCODER], method, s->encoder_checkpoint, s->bridge_checkpoint,
                                err));
    LAY_TRY(lay_weights_create(&w[LAY_PART_OF_BRIDGE], err));
    return lay_bridge_sources(w[LAY_PART_OF_BRIDGE], method, s->bridge_checkpoint, err);
}

/* --- progress --- */

/* How far loading has come, in elements of tensors. */
struct loading {
    void (*progress)(void *context, double fraction);
    void *context;
    double read, expected;
};

/* Packed matrices and the embeddings, which are read for the fingerprint; vectors are too small to count. */
static double expected_elements(const struct lay_system *s)
{
    const struct lay_llm_config *llm = &s->llm_config;
    const struct lay_memory_needs needs = lay_system_memory_needs(s);
    double elements = lay_memory_weight_elements(&needs) + (double)llm->vocab_size * (double)llm->hidden_size;
    if (!lay_system_is_plain(s))
        elements += (double)s->encoder_config.vocab_size * (double)s->encoder_config.hidden_size;
    return elements;
}

static void heard(void *context, size_t elements)
{
    struct loading *loading = context;
    loading->read += (double)elements;
    const double fraction = loading->read / loading->expected;
    if (loading->progress)
        loading->progress(loading->context, fraction < 0.99 ? fraction : 0.99);
}

/* --- the models --- */

static enum lay_status load_encoder(void *context, struct lay_err *err)
{
    struct lay_system *s = context;
    return lay_encoder_load(s->dnn, &s->encoder_config, s->weights[LAY_PART_OF_ENCODER], s->precision,
                            &s->models.encoder, err);
}

static enum lay_status load_bridge(void *context, struct lay_err *err)
{
    struct lay_system *s = context;
    s->models.no_soft_prompt = !s->file.soft_prompt;
    return lay_bridge_load(s->dnn, &s->file.bridge, s->weights[LAY_PART_OF_BRIDGE], &s->encoder_config,
                           &s->llm_config, s->precision, &s->models.bridge, err);
}

static enum lay_status load_llm(void *context, struct lay_err *err)
{
    struct lay_system *s = context;
    return lay_llm_load(s->dnn, &s->llm_config, s->weights[LAY_PART_OF_LLM], s->precision, &s->models.llm,
                        err);
}

static enum lay_status load_models(struct lay_system *s, struct lay_err *err)
{
    static const struct {
        const char *name;
        enum lay_status (*load)(void *context, struct lay_err *err);
    } parts[LAY_PART_KINDS] = {[LAY_PART_OF_ENCODER] = {"encoder", load_encoder},
                               [LAY_PART_OF_BRIDGE] = {"bridge", load_bridge},
                               [LAY_PART_OF_LLM] = {"llm", load_llm}};
    for (int i = 0; i < LAY_PART_KINDS; i++) {
        const struct lay_cached_part part = {parts[i].name, s->weights[i], s->precision, parts[i].load, s};
        if (!s->weights[i])
            continue;
        LAY_TRY(s->options.cache_dir
                    ? lay_pack_cache_load(s->options.cache_dir, &part, &s->packed[i], &s->notes, err)
                    : part.load(s, err));
    }
    return LAY_OK;
}

static void listen(struct lay_system *s, struct loading *loading)
{
    for (int i = 0; i < LAY_PART_KINDS; i++)
        if (s->weights[i])
            lay_weights_listen(s->weights[i], loading ? heard : NULL, loading);
}

enum lay_status lay_system_load(struct lay_system *s, void (*progress)(void *context, double fraction),
                                void *context, struct lay_err *err)
{
    struct loading loading = {progress, context, 0, expected_elements(s)};
    s->models.workspace = &s->workspace;
    LAY_TRY(lay_dnn_create(&s->dnn, err));
    LAY_TRY(create_weights(s, err));
    listen(s, &loading);
    s->invariance = (struct lay_invariance){.holds = true};
    enum lay_status status = load_models(s, err);
    if (status == LAY_OK)
        status =
            lay_dnn_invariance(s->dnn, lay_invariance_few, lay_invariance_few_count, &s->invariance, err);
    listen(s, NULL);
    if (status == LAY_OK && progress)
        progress(context, 1.0);
    return status;
}

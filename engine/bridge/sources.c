/* Which names the published checkpoints give to the tensors of encoder, LLM and bridge. First match wins. */
#include "engine/bridge/bridge.h"

struct source {
    const char *prefix, *from, *to;
};

/* Hugging Face directories. */
static const struct source hf_encoder[] = {
    {"encoder.", NULL, NULL},                           /* T5 encoder-decoder, M2M100Model */
    {"model.encoder.", NULL, NULL},                     /* M2M100ForConditionalGeneration */
    {"roberta.", NULL, NULL},                           /* XLM-R with a head */
    {"", NULL, NULL},                                   /* the bare stack */
    {"", "embed_tokens.weight", "shared.weight"},       /* T5: one table under another name */
    {"model.", "embed_tokens.weight", "shared.weight"}, /* M2M100 */
    {0},
};
static const struct source hf_llm[] = {
    {"model.", NULL, NULL},
    {"", NULL, NULL}, /* lm_head; LlamaModel without a head */
    {0},
};

/* LayAlign: one state dict of the whole module; in adapted layers the attention sits one level deeper. */
static const struct source layalign_encoder[] = {
    {"encoder_mt.", NULL, NULL},
    {"encoder_mt.", "embed_tokens.weight", "shared.weight"},
    {0},
};
static const struct source layalign_llm[] = {
    {"model_llm.model.model.", "self_attn.", "self_attn.model."},
    {"model_llm.model.model.", NULL, NULL},
    {"model_llm.model.", NULL, NULL},                          /* lm_head */
    {"", "embed_tokens.weight", "llm_embedding_layer.weight"}, /* the alias safetensors may have kept */
    {0},
};
static const struct source layalign_bridge[] = {
    {"", NULL, NULL},
    {"model_llm.model.model.", NULL, NULL}, /* gates */
    {0},
};

/* MindMerger: the mapping alone, with or without its module's name. */
static const struct source mindmerger_bridge[] = {
    {"", NULL, NULL},
    {"", "mapping.", ""},
    {0},
};

/* LangBridge: save_pretrained of everything. */
static const struct source langbridge_encoder[] = {
    {"lb.enc.encoder.", NULL, NULL},
    {"lb.enc.", NULL, NULL},
    {"lb.enc.", "embed_tokens.weight", "shared.weight"},
    {0},
};
static const struct source langbridge_llm[] = {
    {"lb.lm.", NULL, NULL},
    {"lb.", NULL, NULL}, /* lm_head */
    {"lb.", "embed_tokens.weight", "embeddings.weight"},
    {0},
};
static const struct source langbridge_bridge[] = {{"", NULL, NULL}, {0}};

static const struct {
    const struct source *encoder, *llm, *bridge; /* inside the bridge checkpoint; NULL: nothing there */
} inside_bridge[LAY_METHOD_COUNT] = {
    [LAY_LANGBRIDGE] = {langbridge_encoder, langbridge_llm, langbridge_bridge},
    [LAY_MINDMERGER] = {NULL, NULL, mindmerger_bridge},
    [LAY_LAYALIGN] = {layalign_encoder, layalign_llm, layalign_bridge},
};

static enum lay_status add(struct lay_weights *weights, const struct lay_checkpoint *checkpoint,
                           const struct source *sources, struct lay_err *err)
{
    for (const struct source *s = sources; checkpoint && s && s->prefix; s++)
        LAY_TRY(lay_weights_add(weights, checkpoint, s->prefix, s->from, s->to, err));
    return LAY_OK;
}

enum lay_status lay_llm_sources(struct lay_weights *weights, enum lay_method method,
                                const struct lay_checkpoint *llm, const struct lay_checkpoint *bridge,
                                struct lay_err *err)
{
    LAY_TRY(add(weights, bridge, inside_bridge[method].llm, err));
    return add(weights, llm, hf_llm, err);
}

enum lay_status lay_encoder_sources(struct lay_weights *weights, enum lay_method method,
                                    const struct lay_checkpoint *encoder, const struct lay_checkpoint *bridge,
                                    struct lay_err *err)
{
    LAY_TRY(add(weights, bridge, inside_bridge[method].encoder, err));
    return add(weights, encoder, hf_encoder, err);
}

enum lay_status lay_bridge_sources(struct lay_weights *weights, enum lay_method method,
                                   const struct lay_checkpoint *bridge, struct lay_err *err)
{
    return add(weights, bridge, inside_bridge[method].bridge, err);
}

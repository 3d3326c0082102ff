/* What the bridges share. Private to engine/bridge. */
#ifndef LAY_BRIDGE_METHOD_H
#define LAY_BRIDGE_METHOD_H

#include "engine/bridge/bridge.h"
#include "engine/model/load.h"

struct lay_aligner;

struct lay_bridge {
    const struct lay_bridge_method *method;
    int64_t d, H;                   /* encoder and LLM width */
    int64_t last;                   /* index of the encoder's last hidden state */
    struct lay_linear *linear1;     /* [inner, d] */
    struct lay_linear *linear2;     /* [H, inner]; NULL for LangBridge's single linear [H, d] */
    enum lay_activation activation; /* between the two */
    float *boundary;                /* [H]: end_boundary or enc_eos */
    struct lay_aligner *aligner;    /* LayAlign */
    struct lay_work inner;          /* [rows, inner] */
};

struct lay_bridge_method {
    const char *name;
    enum lay_status (*load)(struct lay_bridge *bridge, const struct lay_bridge_options *options,
                            const struct lay_loader *loader, const struct lay_encoder_config *encoder,
                            const struct lay_llm_config *llm, struct lay_err *err);
};

extern const struct lay_bridge_method lay_bridge_langbridge, lay_bridge_mindmerger, lay_bridge_layalign;

/* mapping.mlp.linear1, linear2 and end_boundary: MindMerger's Mapping, which LayAlign took over. */
enum lay_status lay_mapping_load(struct lay_bridge *bridge, const struct lay_loader *loader,
                                 struct lay_err *err);

/* A boundary embedding stored as [H], [1, H] or [1, 1, H]. */
enum lay_status lay_boundary_load(struct lay_bridge *bridge, const struct lay_loader *loader,
                                  const char *name, struct lay_err *err);

/* The rows of the weight matrix `name`, to learn an inner width before loading; fails when it is missing. */
enum lay_status lay_bridge_rows(const struct lay_loader *loader, const char *name, int64_t *rows,
                                struct lay_err *err);

/* --- LayAlign's aligner (aligner.c) --- */

enum lay_status lay_aligner_load(const struct lay_bridge_options *options, const struct lay_loader *loader,
                                 const struct lay_encoder_config *encoder, const struct lay_llm_config *llm,
                                 struct lay_aligner **aligner, struct lay_err *err);
void lay_aligner_destroy(struct lay_aligner *aligner); /* accepts NULL */
size_t lay_aligner_bytes(const struct lay_aligner *aligner);
bool lay_aligner_wants_hidden(const struct lay_aligner *aligner, int64_t layer);
int64_t lay_aligner_count(const struct lay_aligner *aligner);
int64_t lay_aligner_layer(const struct lay_aligner *aligner, int64_t i);
const struct lay_llm_adapter *lay_aligner_adapter(const struct lay_aligner *aligner);
void lay_aligner_fusion(const struct lay_aligner *aligner, struct lay_fusion *fusion);
/* As lay_bridge_adapter_fuse and lay_bridge_adapter_states. */
enum lay_status lay_aligner_fuse(struct lay_aligner *aligner, float *const *hidden, int64_t rows,
                                 int64_t first, int64_t n, struct lay_err *err);
enum lay_status lay_aligner_states(struct lay_aligner *aligner, int64_t rows, int64_t i, float *keys,
                                   float *values, struct lay_err *err);

#endif

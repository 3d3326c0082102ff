/* Bridges: how the encoder's states reach the LLM. One file per method, one row each in the table of
 * bridge.c.
 *
 *   langbridge   soft prompt A(E), then enc_eos
 *   mindmerger   soft prompt M(E), then end_boundary
 *   layalign     as mindmerger, and keys and values for an adapter attention in LLM layers (aligner.c) */
#ifndef LAY_BRIDGE_BRIDGE_H
#define LAY_BRIDGE_BRIDGE_H

#include "engine/bridge/form.h"
#include "engine/bridge/fusion.h"
#include "engine/model/encoder.h"
#include "engine/model/llm.h"

#define LAY_BRIDGE_MAX_LAYERS 256

enum lay_method { LAY_PLAIN, LAY_LANGBRIDGE, LAY_MINDMERGER, LAY_LAYALIGN, LAY_METHOD_COUNT };

const char *lay_method_name(enum lay_method method);
/* Not implemented ones ("translate", "mindmerger-hard") are refused by name, unknown ones with the list. */
enum lay_status lay_method_by_name(const char *name, const char *where, enum lay_method *method,
                                   struct lay_err *err);

/* What a system file may say about the bridge; -1 / empty = take it from the checkpoint. */
struct lay_bridge_options {
    enum lay_method method;
    int64_t encoder_layers[LAY_BRIDGE_MAX_LAYERS];
    int64_t n_encoder_layers; /* -1: 0 … m-1, m the width of fc1; fusion average: the encoder's layers */
    int64_t language_layers[LAY_BRIDGE_MAX_LAYERS];
    int64_t n_language_layers; /* -1: the layers whose gate the checkpoint has */
    struct lay_form form;      /* structure, fusion, gate */
    bool no_adapter;           /* ablation: adapter attention off */
};

/* Where each module's weights stand, so that every published variant looks alike (models.md, Checkpoints).
 * `weights` is empty before. The bridge's copies of encoder and LLM come first; a checkpoint that is not
 * there is NULL: a LangBridge directory holds everything. */
enum lay_status lay_llm_sources(struct lay_weights *weights, enum lay_method method,
                                const struct lay_checkpoint *llm, const struct lay_checkpoint *bridge,
                                struct lay_err *err);
enum lay_status lay_encoder_sources(struct lay_weights *weights, enum lay_method method,
                                    const struct lay_checkpoint *encoder, const struct lay_checkpoint *bridge,
                                    struct lay_err *err);
enum lay_status lay_bridge_sources(struct lay_weights *weights, enum lay_method method,
                                   const struct lay_checkpoint *bridge, struct lay_err *err);

struct lay_bridge;

/* `weights` looks up bridge tensors by the official module names ("mapping.mlp.linear1.weight",
 * "encoder_aligner.projector.fc1.weight", "layers.N.self_attn.adaption_gate", "lb.alignment.linear.weight"
 * …); see lay_bridge_sources. Ours are fc0 of structure Wide and adaption_gate.weight [1, H] and .bias [1] of
 * a gate that reads the hidden state. */
enum lay_status lay_bridge_load(struct lay_dnn *dnn, const struct lay_bridge_options *options,
                                struct lay_weights *weights, const struct lay_encoder_config *encoder,
                                const struct lay_llm_config *llm, struct lay_precision precision,
                                struct lay_bridge **bridge, struct lay_err *err);
void lay_bridge_destroy(struct lay_bridge *bridge); /* accepts NULL */
/* Elements of its matrices, for a plan of memory: what the options say, else the released form. */
double lay_bridge_elements(const struct lay_bridge_options *options, int64_t encoder_width,
                           int64_t llm_width);
size_t lay_bridge_bytes(const struct lay_bridge *bridge);

/* Whether hidden[layer] of the encoder is read. */
bool lay_bridge_wants_hidden(const struct lay_bridge *bridge, int64_t layer);

/* out [rows, H] = the mapping of the encoder's last hidden state, row by row. */
enum lay_status lay_bridge_soft_prompt(struct lay_bridge *bridge, float *const *hidden, int64_t rows,
                                       float *out, struct lay_err *err);
/* [H]: end_boundary or enc_eos, which follows the soft prompt. */
const float *lay_bridge_boundary(const struct lay_bridge *bridge);

/* LayAlign (others: 0 layers). Entries of language_layers: fuse reads the hidden states for entries first …
 * first + n − 1 at once; states makes keys and values [rows, H] of one of these, before that layer's own
 * k_proj and v_proj. Fused rows of up to LAY_FUSED_LAYERS entries are worth their memory. */
#define LAY_FUSED_LAYERS 4
int64_t lay_bridge_adapter_count(const struct lay_bridge *bridge);
int64_t lay_bridge_adapter_layer(const struct lay_bridge *bridge, int64_t i);
enum lay_status lay_bridge_adapter_fuse(struct lay_bridge *bridge, float *const *hidden, int64_t rows,
                                        int64_t first, int64_t n, struct lay_err *err);
enum lay_status lay_bridge_adapter_states(struct lay_bridge *bridge, int64_t rows, int64_t i, float *keys,
                                          float *values, struct lay_err *err);
/* Gates per LLM layer; NULL when the bridge has no adapter, or the ablation no_adapter switched it off. */
const struct lay_llm_adapter *lay_bridge_adapter(const struct lay_bridge *bridge);
/* False when lay_bridge_adapter is NULL. */
bool lay_bridge_fusion(const struct lay_bridge *bridge, struct lay_fusion *fusion);

#endif

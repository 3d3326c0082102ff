/* A bridge under training: its passes over the encoder's states with what the backward pass needs, and the
 * gradients of its parameters and, where the encoder learns, of the states.
 *
 * Rows are those of one lay_encoder_batch: sequences one after the other. hidden is as lay_encoder_forward
 * left it, dhidden (NULL: the encoder is frozen) has an array of the same shape wherever hidden has one; they
 * grow. */
#ifndef LAY_BRIDGE_LEARNER_H
#define LAY_BRIDGE_LEARNER_H

#include "engine/bridge/bridge.h"
#include "engine/model/learned.h"
#include "engine/model/llm_learner.h"

struct lay_bridge_learner_options {
    const struct lay_bridge_options *bridge;
    bool train;
    bool no_soft_prompt; /* mapping and boundary are not used, so not listed */
    double dropout;      /* of what the LLM gets: soft prompt rows, and the adapter's states [rows, H] in
                            front of k_proj and v_proj; in [0, 1) */
};

struct lay_bridge_learner;

/* Loads the bridge (as lay_bridge_load) and lists its trainable parameters. Borrows learning. */
enum lay_status lay_bridge_learner_create(struct lay_learning *learning,
                                          const struct lay_bridge_learner_options *options,
                                          struct lay_weights *weights,
                                          const struct lay_encoder_config *encoder,
                                          const struct lay_llm_config *llm,
                                          struct lay_bridge_learner **learner, struct lay_err *err);
void lay_bridge_learner_destroy(struct lay_bridge_learner *learner); /* accepts NULL */
struct lay_bridge *lay_bridge_learner_model(struct lay_bridge_learner *learner);

/* The encoder's states of a pass; borrowed until its last backward call. */
struct lay_bridge_rows {
    int64_t n_seqs, rows;
    const int64_t *lengths; /* [n_seqs] */
    float *const *hidden;
    float *const *dhidden;
    const uint64_t *noise; /* [n_seqs] what a sequence's dropout is drawn from; NULL: none */
};

/* soft [rows, H] = lay_bridge_soft_prompt; its inner activations stay. */
enum lay_status lay_bridge_learn_soft(struct lay_bridge_learner *learner, const struct lay_bridge_rows *rows,
                                      float *soft, struct lay_err *err);
/* dsoft [rows, H], overwritten; dboundary [n_seqs, H]. */
enum lay_status lay_bridge_soft_backward(struct lay_bridge_learner *learner,
                                         const struct lay_bridge_rows *rows, float *dsoft,
                                         const float *dboundary, struct lay_err *err);

/* The adapter for the LLM's pass; false when the bridge has none. `rows` stays borrowed. With `backward` the
 * gradients of all layers are collected for lay_bridge_adapter_backward, which works sample by sample. */
enum lay_status lay_bridge_learn_adapter(struct lay_bridge_learner *learner,
                                         const struct lay_bridge_rows *rows, bool backward,
                                         struct lay_adapter_source *source, bool *exists,
                                         struct lay_err *err);
enum lay_status lay_bridge_adapter_backward(struct lay_bridge_learner *learner, struct lay_err *err);

/* The values of trainable parameters have changed. */
enum lay_status lay_bridge_learner_refresh(struct lay_bridge_learner *learner, struct lay_err *err);

#endif

/* An LLM under training: the forward pass over whole sequences with what the backward pass needs,
 * cross-entropy, and the gradient of the loss with respect to the LLM's inputs, LayAlign's adapter states and
 * gates, and its own weights where they are trainable.
 *
 * Activations of the last `kept_layers` layers are kept, those of the others are computed again from the
 * layer's input. Sequences stand one after the other without padding. */
#ifndef LAY_MODEL_LLM_LEARNER_H
#define LAY_MODEL_LLM_LEARNER_H

#include "engine/model/learned.h"
#include "engine/model/llm.h"

struct lay_llm_learner_options {
    bool train;      /* everything */
    bool train_head; /* lm_head alone */
    int64_t kept_layers;
};

struct lay_llm_learner;

/* Loads the LLM (as lay_llm_load) and lists its trainable parameters. Borrows learning. */
enum lay_status lay_llm_learner_create(struct lay_learning *learning, const struct lay_llm_config *config,
                                       struct lay_weights *weights,
                                       const struct lay_llm_learner_options *options,
                                       struct lay_llm_learner **learner, struct lay_err *err);
void lay_llm_learner_destroy(struct lay_llm_learner *learner); /* accepts NULL */
struct lay_llm *lay_llm_learner_model(struct lay_llm_learner *learner);

/* Where LayAlign's keys and values come from and their gradients go. states writes keys, values [rows, H] of
 * the aligner for an LLM layer with a gate; gradients receives theirs. Layers come in any order, states
 * perhaps twice. gate_gradient [LLM layers] and, with weights of gates, gate_weight_gradient [LLM layers,
 * hidden_size] grow; NULL: not wanted, nor are gradients. */
struct lay_adapter_source {
    int64_t rows;
    const int64_t *lengths; /* [n_seqs] source rows of each sequence */
    const struct lay_llm_adapter *adapter;
    float *gate_gradient, *gate_weight_gradient;
    enum lay_status (*states)(void *context, int64_t layer, float *keys, float *values, struct lay_err *err);
    enum lay_status (*gradients)(void *context, int64_t layer, const float *dkeys, const float *dvalues,
                                 struct lay_err *err);
    void *context;
};

struct lay_llm_batch {
    int64_t n_seqs, rows;
    const int64_t *lengths;                   /* [n_seqs], their sum is rows */
    const int64_t *offsets;                   /* [n_seqs] added to positions; NULL: 0 */
    const int32_t *ids;                       /* [rows]; −1: not a row of the embedding table */
    const int32_t *targets;                   /* [rows] the token to predict; −1: none */
    const struct lay_adapter_source *adapter; /* NULL: none */
};

/* x [rows, hidden_size]: the LLM's inputs. loss [n_seqs] = summed loss of each sequence. With `backward` the
 * gradients of weight · Σ loss are added, and x becomes the gradient of the inputs. */
enum lay_status lay_llm_learn(struct lay_llm_learner *learner, const struct lay_llm_batch *batch, float *x,
                              double *loss, bool backward, float weight, struct lay_err *err);

/* Completes gradients whose parts are summed apart (tied embeddings). */
void lay_llm_learner_collect(struct lay_llm_learner *learner);
/* The values of trainable parameters have changed. */
enum lay_status lay_llm_learner_refresh(struct lay_llm_learner *learner, struct lay_err *err);

/* Floats of activations that a layer keeps per row of the LLM and per source row. */
void lay_llm_kept_floats(const struct lay_llm_config *config, bool adapter, int64_t *per_row,
                         int64_t *per_source);
/* Floats of work memory for `rows` rows, apart from what layers keep. */
size_t lay_llm_learner_floats(const struct lay_llm_config *config, int64_t rows, int64_t source_rows);

#endif

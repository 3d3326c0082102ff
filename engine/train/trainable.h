/* A model that learns: LLM, encoder and bridge, each frozen or trainable, with the gradient of the papers'
 * loss (models.md, Training). It knows nothing of steps, schedules or files of a training run.
 *
 *   lay_trainable_create      loads the parts; parameters are listed from then on
 *   lay_trainable_accumulate  adds the loss of some samples and its gradients, any number of times
 *   lay_trainable_collect     the gradients are complete: scaled, ready to be read
 *   (the optimiser changes the values)
 *   lay_trainable_refresh     the values have changed: packed weights are made anew; gradients are zero again
 *
 * Row of a sample: [bos] M(E) boundary prompt target, as in prefill, positions 0 … S−1; the last target token
 * is an eos. Loss: −log softmax(logits of the token before)[token], summed over the target's tokens.
 *
 * Neither the number of threads nor how a batch is split into calls and passes changes a bit of loss or
 * gradients: activations depend on their own row or sequence only, and every gradient is a sum over samples
 * in their order, each sample's contribution being computed by itself (official padding excepted, where a
 * sample's pads depend on its companions). */
#ifndef LAY_TRAIN_TRAINABLE_H
#define LAY_TRAIN_TRAINABLE_H

#include "engine/base/str.h"
#include "engine/bridge/bridge.h"
#include "engine/model/parameter.h"

/* Where the parts come from. Configurations are copied; checkpoints are borrowed for the trainable's life. A
 * fresh bridge or model is a checkpoint, too: lay_checkpoint_make with the initial values. Names and copies
 * inside the bridge's checkpoint are found as by `layeval run` (engine/bridge/bridge.h, sources). */
struct lay_trainable_parts {
    const struct lay_llm_config *llm_config;
    const struct lay_encoder_config *encoder_config; /* NULL: method plain */
    const struct lay_checkpoint *llm, *encoder, *bridge;
    struct lay_bridge_options bridge_options; /* method LAY_PLAIN: an LLM alone */
    bool no_copies; /* encoder and LLM from their own checkpoints, even if the bridge's has copies */
};

struct lay_trainable_options {
    enum lay_dtype compute; /* LAY_F32; LAY_BF16: products in bf16 with sums, values and gradients in f32 */
    bool train_bridge, train_llm, train_encoder;
    bool train_head;     /* lm_head alone, as LangBridge's official configuration has it */
    bool no_soft_prompt; /* ablation: mapped states and boundary are left out of the row (and not trained) */
    double dropout;      /* while gradients are accumulated, of what the bridge gives the LLM: soft prompt
                            rows and adapter states (bridge/learner.h); in [0, 1) */
    size_t memory;       /* bytes for everything; 0: what the machine has free */
    int64_t rows; /* LLM rows of a pass at most; 0: 2048. A sample that is longer is a pass of its own */
    int64_t source_rows; /* encoder rows of a pass at most; 0: as rows */
};

struct lay_trainable;

/* Refuses by name trainable encoders of a family without a backward pass. LAY_ERR_INPUT when a checkpoint
 * lacks a tensor or has it in another shape; LAY_ERR_MEMORY when `memory` cannot hold the plan. */
enum lay_status lay_trainable_create(const struct lay_trainable_parts *parts,
                                     const struct lay_trainable_options *options,
                                     struct lay_trainable **trainable, struct lay_err *err);
/* Loads the bridge alone and lets it go: what create would refuse of it, without the large models. */
enum lay_status lay_trainable_try_bridge(const struct lay_trainable_parts *parts,
                                         const struct lay_trainable_options *options, struct lay_err *err);
void lay_trainable_destroy(struct lay_trainable *trainable); /* accepts NULL */

/* In a fixed order: bridge, LLM, encoder, each from its input to its output. */
size_t lay_trainable_count(const struct lay_trainable *trainable);
const struct lay_parameter *lay_trainable_parameter(const struct lay_trainable *trainable, size_t i);

/* Token ids, borrowed. Source with its special tokens (plain: none); prompt without bos and eos, may be
 * empty; target with its eos, at least one token. */
struct lay_train_sample {
    const int32_t *source, *prompt, *target;
    int64_t n_source, n_prompt, n_target;
    uint64_t noise; /* what its dropout is drawn from, by row and channel */
};

/* Sums over samples; fields are added to, so start from {0}. */
struct lay_train_loss {
    double sum;            /* of token losses, not weighted */
    int64_t tokens;        /* target tokens */
    int64_t rows;          /* LLM rows computed */
    int64_t source_tokens; /* encoder rows computed */
};

struct lay_accumulate_options {
    double weight;         /* of these samples' summed loss in the gradient: 1, or 1 / tokens for a mean */
    bool official_padding; /* one padded batch as the official loss computes it (models.md, Padding):
                              LayAlign's adapter reads pads, and left pads shift the positions */
    double *sample_loss;   /* [n] summed loss of each sample; NULL: not wanted */
};

/* The token mean over an optimiser batch: accumulate with weight 1 (in as many calls as you like), then
 * collect with 1 / tokens. The official mean of micro-batch means: one call per micro-batch with weight 1 /
 * its tokens and official_padding, then collect with 1 / number of micro-batches. A NaN loss is no error
 * here: look at the sums. LAY_ERR_INPUT for ids outside the vocabularies and empty targets. */
enum lay_status lay_trainable_accumulate(struct lay_trainable *trainable,
                                         const struct lay_train_sample *samples, size_t n,
                                         const struct lay_accumulate_options *options,
                                         struct lay_train_loss *loss, struct lay_err *err);

/* The loss alone, for dev sets; gradients stay as they are. */
enum lay_status lay_trainable_loss(struct lay_trainable *trainable, const struct lay_train_sample *samples,
                                   size_t n, const struct lay_accumulate_options *options,
                                   struct lay_train_loss *loss, struct lay_err *err);

/* Completes the gradients: what was accumulated, times factor. */
void lay_trainable_collect(struct lay_trainable *trainable, double factor);

/* After the values have changed: packs them anew and sets all gradients to zero. */
enum lay_status lay_trainable_refresh(struct lay_trainable *trainable, struct lay_err *err);

/* What it will need, before create has loaded a weight: reads configurations and checkpoint directories only.
 * "weights 2.2 GB, …; activations 3.1 GB: 20 of 22 layers kept, 2 recomputed; at most 6.0 GB" */
struct lay_train_plan {
    size_t weights, gradients, activations, total; /* bytes */
    bool keep_transposed; /* frozen weights also in the form that the backward pass needs */
    int64_t kept_layers;  /* LLM layers whose activations are kept */
};
enum lay_status lay_trainable_plan(const struct lay_trainable_parts *parts,
                                   const struct lay_trainable_options *options, struct lay_train_plan *plan,
                                   struct lay_str *text, struct lay_err *err);

#endif

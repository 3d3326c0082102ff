/* An encoder under training, or a frozen one beside learners: the same calls for both. */
#ifndef LAY_MODEL_ENCODER_LEARNER_H
#define LAY_MODEL_ENCODER_LEARNER_H

#include "engine/model/encoder.h"
#include "engine/model/learned.h"

struct lay_encoder_learner;

/* Whether a family can be trained; else LAY_ERR_INPUT naming it. */
enum lay_status lay_encoder_check_trainable(const struct lay_encoder_config *config, struct lay_err *err);

/* Loads the encoder (as lay_encoder_load) and, with `train`, lists its parameters. Borrows learning. */
enum lay_status lay_encoder_learner_create(struct lay_learning *learning,
                                           const struct lay_encoder_config *config,
                                           struct lay_weights *weights, bool train,
                                           struct lay_encoder_learner **learner, struct lay_err *err);
void lay_encoder_learner_destroy(struct lay_encoder_learner *learner); /* accepts NULL */

/* As lay_encoder_forward; a trainable encoder keeps its activations. */
enum lay_status lay_encoder_learn(struct lay_encoder_learner *learner, const struct lay_encoder_batch *batch,
                                  float *const *hidden, struct lay_err *err);
/* The last call's batch; dhidden [layers + 1] gradients of its states, NULL where there is none. */
enum lay_status lay_encoder_backward(struct lay_encoder_learner *learner,
                                     const struct lay_encoder_batch *batch, float *const *dhidden,
                                     struct lay_err *err);

/* The values of trainable parameters have changed. */
enum lay_status lay_encoder_learner_refresh(struct lay_encoder_learner *learner, struct lay_err *err);

/* Floats that a trainable encoder keeps per row, in all its blocks. */
int64_t lay_encoder_kept_floats(const struct lay_encoder_config *config);

#endif

/* What a trainable holds in memory. Private to engine/train. */
#ifndef LAY_TRAIN_STATE_H
#define LAY_TRAIN_STATE_H

#include "engine/bridge/learner.h"
#include "engine/model/encoder_learner.h"
#include "engine/model/llm_learner.h"
#include "engine/train/trainable.h"

#define LAY_TRAIN_ROWS 2048 /* of a pass, unless the options say otherwise */

struct lay_trainable {
    struct lay_trainable_options options;
    enum lay_method method;
    struct lay_llm_config llm_config;
    struct lay_encoder_config encoder_config;
    struct lay_dnn *dnn;
    struct lay_weights *weights[3]; /* encoder, LLM, bridge */
    struct lay_learning learning;
    struct lay_llm_learner *llm;
    struct lay_encoder_learner *encoder; /* NULL: plain */
    struct lay_bridge_learner *bridge;   /* NULL: plain */
    int64_t n_hidden;                    /* encoder states */

    /* Work memory of a pass. Source rows include pads. */
    int32_t *source_ids;             /* [source rows] */
    int32_t *ids, *targets;          /* [rows] */
    int64_t *source_lengths, *valid; /* [n] padded and own length */
    int64_t *lengths, *offsets;      /* [n] LLM rows; what is added to positions */
    uint64_t *noise;                 /* [n] */
    double *loss;                    /* [n] */
    size_t source_ids_capacity, ids_capacity, targets_capacity, source_lengths_capacity, valid_capacity,
        lengths_capacity, offsets_capacity, noise_capacity, loss_capacity;
    struct lay_work *states, *dstates; /* [n_hidden] memory behind hidden and dhidden */
    float **hidden, **dhidden;         /* [n_hidden] NULL where the bridge reads none */
    struct lay_work x;                 /* [rows, H] */
    struct lay_work soft;              /* [source rows, H], then its gradient */
    struct lay_work boundary;          /* [n, H] gradients */
};

/* LLM rows of a sample: what stands before its last target token. */
int64_t lay_train_rows(const struct lay_trainable *t, const struct lay_train_sample *sample);

/* One pass over samples that fit into memory together. sample_loss [n]. */
enum lay_status lay_train_pass(struct lay_trainable *t, const struct lay_train_sample *samples, size_t n,
                               bool backward, double weight, bool official_padding, double *sample_loss,
                               struct lay_train_loss *loss, struct lay_err *err);

#endif

/* What a bridge under training holds in memory. Private to engine/bridge. */
#ifndef LAY_BRIDGE_LEARNER_STATE_H
#define LAY_BRIDGE_LEARNER_STATE_H

#include "engine/bridge/aligner_state.h"
#include "engine/bridge/learner.h"

struct lay_bridge_learner {
    struct lay_learning *learning;
    struct lay_bridge *bridge;
    bool train;
    int64_t layers; /* of the LLM */
    double dropout;

    struct lay_learned linear1, linear2;
    float *boundary_gradient;      /* [H] */
    struct lay_work inner, dinner; /* [rows, inner width]: linear1's output, and the gradient of its act */
    struct lay_work active;        /* [rows, inner width] */
    struct lay_pieces pieces;

    /* LayAlign */
    struct lay_learned aligner_inner, aligner_outer;
    float *fc1_gradient, *fc1_bias_gradient; /* [2K, m], [2K]; of a frozen bridge nobody reads them */
    float *gate_gradient;                    /* [LLM layers] */
    float *gate_weight_gradient;             /* [LLM layers, H]; NULL: scalar gates */
    struct lay_bridge_rows rows;             /* of the pass */
    struct lay_work dstates;                 /* [K, 2, rows, H] gradients of keys and values */
    struct lay_work fused, dfused;           /* [2 · group · sequence, d] */
    struct lay_work pre, act, dact;          /* [2 · group · sequence, inner width] */
    struct lay_work dstate;                  /* [2 · group · sequence, H] */
    const float **layer_rows;                /* [m] */
    float **dlayer_rows;                     /* [m] */
};

/* What is dropped has streams of noise of its own: the soft prompt, and keys and values of every LLM layer.
 */
enum { LAY_DROP_SOFT, LAY_DROP_KEYS, LAY_DROP_VALUES };
/* Of x [rows, H], forward or backward; nothing where `rows` has no noise. */
void lay_bridge_drop(const struct lay_bridge_learner *l, const struct lay_bridge_rows *rows, int64_t stream,
                     float *x);

/* The aligner's part of create, refresh and destroy (aligner_learner.c). read is called before the bridge is
 * loaded, list after it. */
enum lay_status lay_aligner_learner_read(struct lay_bridge_learner *l,
                                         const struct lay_bridge_options *options,
                                         const struct lay_loader *loader, int64_t d, int64_t H,
                                         struct lay_err *err);
enum lay_status lay_aligner_learner_list(struct lay_bridge_learner *l, struct lay_err *err);
void lay_aligner_learner_free(struct lay_bridge_learner *l);

#endif

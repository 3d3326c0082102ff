/* What an encoder under training holds in memory. Private to engine/model. */
#ifndef LAY_MODEL_ENCODER_LEARNER_STATE_H
#define LAY_MODEL_ENCODER_LEARNER_STATE_H

#include "engine/model/encoder_family.h"
#include "engine/model/encoder_learner.h"
#include "engine/nn/gradient.h"

struct lay_learned_block {
    struct lay_learned qkv, attn_out, ffn_in, ffn_out;
    float *attn_norm_gradient, *ffn_norm_gradient;
    float *relative_bias_gradient; /* [buckets, heads]; NULL where the block has no table of its own */
    /* Activations, [rows, …] */
    struct lay_work x; /* input, hidden_size */
    struct lay_work qkv_rows, attn, lse;
    struct lay_work mid; /* between the half blocks, hidden_size */
    struct lay_work ffn; /* intermediate_size, twice that when gated */
};

struct lay_encoder_learner {
    struct lay_learning *learning;
    struct lay_encoder *encoder;
    bool train;
    int64_t n_blocks;
    struct lay_learned_block *blocks;
    float *embed, *embed_gradient; /* [vocab_size, hidden_size] */
    float *final_norm_gradient;

    /* Work memory. */
    struct lay_work last;             /* input of the final norm, hidden_size */
    struct lay_work h, dx, dh;        /* hidden_size */
    struct lay_work act;              /* intermediate_size */
    struct lay_work dattn, dqkv;      /* heads · head_dim, three times that */
    struct lay_work dbias;            /* [n_seqs, heads, 2 · span − 1] */
    struct lay_work scratch;          /* attention */
    float **dbias_of;                 /* [n_seqs] */
    struct lay_attention_pair *pairs; /* [n_seqs] */
    size_t dbias_of_capacity, pairs_capacity;
    struct lay_pieces pieces;
};

enum lay_status lay_t5_learn(struct lay_encoder_learner *l, const struct lay_encoder_batch *batch,
                             int64_t rows, float *const *hidden, struct lay_err *err);
enum lay_status lay_t5_backward(struct lay_encoder_learner *l, const struct lay_encoder_batch *batch,
                                int64_t rows, float *const *dhidden, struct lay_err *err);

#endif

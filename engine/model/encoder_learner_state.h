/* What an encoder under training holds in memory. Private to engine/model. */
#ifndef LAY_MODEL_ENCODER_LEARNER_STATE_H
#define LAY_MODEL_ENCODER_LEARNER_STATE_H

#include "engine/model/encoder_family.h"
#include "engine/model/encoder_learner.h"
#include "engine/nn/gradient.h"

/* Gradients of a norm, [hidden_size]; bias NULL: RMSNorm. The values are the model's own. */
struct lay_norm_gradient {
    float *weight, *bias;
};

/* An embedding table under training, [rows, hidden_size]; the model looks up in `value`. */
struct lay_learned_table {
    int64_t rows;
    float *value, *gradient; /* NULL: the family has no such table */
};

struct lay_learned_block {
    struct lay_learned qkv, attn_out, ffn_in, ffn_out;
    struct lay_norm_gradient attn_norm, ffn_norm;
    float *relative_bias_gradient; /* [buckets, heads]; NULL where the block has no table of its own */
    /* Activations, [rows, …] */
    struct lay_work x; /* input, hidden_size */
    struct lay_work qkv_rows, attn, lse;
    struct lay_work mid; /* behind the first residual connection, hidden_size */
    struct lay_work ffn; /* intermediate_size, twice that when gated */
    struct lay_work end; /* behind the second, hidden_size; where a norm follows (XLM-R) */
};

struct lay_encoder_learner {
    struct lay_learning *learning;
    struct lay_encoder *encoder;
    bool train;
    int64_t n_blocks;
    struct lay_learned_block *blocks;
    struct lay_learned_table words, positions, types;
    struct lay_norm_gradient embed_norm, final_norm;

    /* Work memory; the encoder's own h, too. */
    struct lay_work embedded;         /* XLM-R: input of the embedding's norm, hidden_size */
    struct lay_work last;             /* input of the final norm, hidden_size */
    struct lay_work dx, dh;           /* hidden_size */
    struct lay_work act;              /* intermediate_size */
    struct lay_work dattn, dqkv;      /* heads · head_dim, three times that */
    struct lay_work dbias;            /* T5: [n_seqs, heads, 2 · span − 1] */
    struct lay_work scratch;          /* attention */
    float **dbias_of;                 /* [n_seqs] */
    struct lay_attention_pair *pairs; /* [n_seqs] */
    int32_t *rows_of;                 /* [rows] rows of a table whose gradients grow */
    size_t dbias_of_capacity, pairs_capacity, rows_of_capacity;
    struct lay_pieces pieces;
};

#endif

/* What an LLM under training holds in memory. Private to engine/model. */
#ifndef LAY_MODEL_LLM_LEARNER_STATE_H
#define LAY_MODEL_LLM_LEARNER_STATE_H

#include "engine/model/llm_learner.h"
#include "engine/model/llm_state.h"
#include "engine/nn/gradient.h"

/* Activations of a layer, [rows, …]. */
struct lay_llm_kept {
    struct lay_work q, k, v;          /* after RoPE */
    struct lay_work attn, lse;        /* heads · head_dim; heads */
    struct lay_work cross, cross_lse; /* the adapter's, without the gate */
    struct lay_work gates;            /* 1, of gates that read the hidden state */
    struct lay_work ka, va;           /* [source rows, kv heads · head_dim] */
    struct lay_work mid;              /* between the half layers, hidden_size */
    struct lay_work gate_up;          /* 2 · intermediate_size */
};

struct lay_learned_layer {
    struct lay_learned q, k, v, o, gate_up, down;
    float *attn_norm_gradient, *mlp_norm_gradient; /* NULL: frozen */
    struct lay_work x;                             /* input, hidden_size */
    struct lay_llm_kept kept;
};

struct lay_llm_learner {
    struct lay_learning *learning;
    struct lay_llm *llm;
    bool train;
    int64_t n_layers;
    int64_t first_kept; /* layers from here on keep their activations */
    struct lay_learned_layer *layers;
    struct lay_learned head;
    float *norm_gradient;
    float *embed, *embed_gradient; /* [vocab_size, hidden_size]; tied: embed is the head's weight */
    struct lay_llm_kept again;     /* activations of a layer that is computed again */

    /* Work memory of a pass. */
    struct lay_work h, act, dh, dattn, dq, dk,
        dv; /* [rows, …]; act also holds its gradient, dattn the sum of both attentions */
    struct lay_work keys, values, dkeys, dvalues, dka, dva; /* [source rows, …] */
    struct lay_work dots;                                   /* [n_seqs, heads] */
    struct lay_work dgates;                                 /* [rows], of the sums before the gates' tanh */
    struct lay_work top, dtop, logits;                      /* [target rows, …], logits a chunk */
    struct lay_work scratch;                                /* attention */
    int64_t *positions;
    int64_t *target_rows;   /* [rows] indices of rows with a target */
    int32_t *targets;       /* [rows] their targets */
    int64_t *target_counts; /* [n_seqs] */
    double *row_loss;       /* [rows] */
    struct lay_attention_pair *own, *cross;
    size_t positions_capacity, target_rows_capacity, targets_capacity, target_counts_capacity,
        row_loss_capacity, own_capacity, cross_capacity;
    struct lay_pieces pieces, head_pieces, adapter_pieces;
    struct lay_segment chunk_pieces[LAY_PIECE_ROWS]; /* of a chunk of the head's rows */
    size_t n_chunk_pieces;
};

/* One call of lay_llm_learn. */
struct lay_llm_pass {
    struct lay_llm_learner *l;
    const struct lay_llm_batch *batch;
    const struct lay_llm_config *config;
    int64_t rows, source_rows; /* source_rows 0: no adapter */
    int64_t n_targets;
    float weight;
};

/* Rows of a chunk, and of a piece of the head's gradient at most: depends on the vocabulary alone. */
int64_t lay_llm_head_rows(const struct lay_llm_config *config);
/* x: the last layer's output; with `backward` becomes its gradient. loss [n_seqs]. */
enum lay_status lay_llm_head_learn(const struct lay_llm_pass *p, float *x, double *loss, bool backward,
                                   struct lay_err *err);

#endif

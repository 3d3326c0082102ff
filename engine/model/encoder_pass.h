/* Forward and backward passes of an encoder under training: what the families share, and what each adds
 * (t5_backward.c, m2m100_backward.c, xlmr_backward.c). Private to engine/model.
 *
 * A block is two halves, attention and feed-forward, each a residual connection around an inner function f:
 *
 *   norm in front (T5, M2M100):  x += f(norm(x))          dx += norm'(x) f'ᵀ dx
 *   norm behind (XLM-R):         x = norm(x + f(x))       ds = norm'(s) dx, s = x + f(x);  dx = ds + f'ᵀ ds
 *
 *   attention     f(h) = W_o attention(W_qkv h)           d attn = W_oᵀ dy, then dq, dk, dv; W_qkvᵀ (dq, dk,
 * dv) feed-forward  f(h) = W_out act(W_in h)                d ffn = act'(ffn) W_outᵀ dy; W_inᵀ d ffn */
#ifndef LAY_MODEL_ENCODER_PASS_H
#define LAY_MODEL_ENCODER_PASS_H

#include "engine/model/encoder_learner_state.h"

struct lay_encoder_pass {
    struct lay_encoder_learner *l;
    const struct lay_encoder_batch *batch;
    const struct lay_encoder_config *config;
    int64_t rows;
};

enum { LAY_ENCODER_LINEARS = 4 }; /* of a block: qkv, attn_out, ffn_in, ffn_out */

/* The linears of a block: block + module + name + ".weight". */
struct lay_encoder_linear_names {
    const char *module;
    const char *names[4]; /* NULL-terminated */
};

/* How a family calls its tensors inside the encoder; NULL where it has no such tensor. */
struct lay_encoder_names {
    const char *official;       /* what stands in front in a Hugging Face directory, */
    const char *official_words; /* and the whole name of the word embeddings there */
    const char *words, *positions, *types;
    const char *embed_norm, *final_norm; /* norms without ".weight", ".bias" */
    const char *block;                   /* "block.%lld." */
    const char *attn_norm, *ffn_norm;
    struct lay_encoder_linear_names linears[LAY_ENCODER_LINEARS];
    struct lay_encoder_linear_names gated_in; /* takes the place of ffn_in */
    bool biases;                              /* of the linears */
    const char *relative_bias;
};

struct lay_encoder_training {
    struct lay_encoder_names names;
    bool norm_behind; /* blocks keep `end` */
    bool scaled;      /* attention scores are divided by sqrt(head_dim) */
    /* x [rows, hidden_size] = embedding output. */
    enum lay_status (*embed)(const struct lay_encoder_pass *p, float *x, struct lay_err *err);
    /* x = block i of x. */
    enum lay_status (*block)(const struct lay_encoder_pass *p, int64_t i, float *x, struct lay_err *err);
    /* l->dx, the gradient of its output, becomes that of its input. */
    enum lay_status (*block_backward)(const struct lay_encoder_pass *p, int64_t i, struct lay_err *err);
    /* From l->dx, which it may change, into the gradients of the embeddings. */
    enum lay_status (*embed_backward)(const struct lay_encoder_pass *p, struct lay_err *err);
};

extern const struct lay_encoder_training lay_t5_training, lay_m2m100_training, lay_xlmr_training;

/* As lay_encoder_learn and lay_encoder_backward, of a trainable encoder. */
enum lay_status lay_encoder_pass_forward(struct lay_encoder_learner *l, const struct lay_encoder_batch *batch,
                                         float *const *hidden, struct lay_err *err);
enum lay_status lay_encoder_pass_backward(struct lay_encoder_learner *l,
                                          const struct lay_encoder_batch *batch, float *const *dhidden,
                                          struct lay_err *err);

/* --- for the families --- */

/* Bytes of [rows, hidden_size]. */
size_t lay_encoder_row_bytes(const struct lay_encoder_pass *p);

/* `embed` of families whose embeddings need nothing kept. */
enum lay_status lay_encoder_embed(const struct lay_encoder_pass *p, float *x, struct lay_err *err);

/* The block whose table of relative positions block i reads: its own, or that of block 0. */
struct lay_encoder_block *lay_encoder_biased_block(const struct lay_encoder_pass *p, int64_t i);

/* x += f(h), f of block i; h == x allowed. */
enum lay_status lay_encoder_attend(const struct lay_encoder_pass *p, int64_t i, const float *h, float *x,
                                   struct lay_err *err);
enum lay_status lay_encoder_feed(const struct lay_encoder_pass *p, int64_t i, const float *h, float *x,
                                 struct lay_err *err);
/* dh = f'ᵀ dy, where h is what f has read; with dh == dy that is added to dy. Gradients of the weights grow.
 * The attention's adds to l->dbias_of where there is a relative bias. */
enum lay_status lay_encoder_attend_backward(const struct lay_encoder_pass *p, int64_t i, const float *h,
                                            float *dy, float *dh, struct lay_err *err);
enum lay_status lay_encoder_feed_backward(const struct lay_encoder_pass *p, int64_t i, const float *h,
                                          float *dy, float *dh, struct lay_err *err);

/* RMSNorm, or LayerNorm where there is a bias. y == x allowed. */
void lay_encoder_norm(const struct lay_encoder_pass *p, const float *x, const float *weight,
                      const float *bias, float *y);
/* dx += norm'(x) dy, and the gradients of weight and bias grow. */
void lay_encoder_norm_backward(const struct lay_encoder_pass *p, const float *x, const float *weight,
                               const struct lay_norm_gradient *gradient, const float *dy, float *dx);

/* `block` and `block_backward` of families whose norms stand in front. */
enum lay_status lay_encoder_normed_block(const struct lay_encoder_pass *p, int64_t i, float *x,
                                         struct lay_err *err);
enum lay_status lay_encoder_normed_block_backward(const struct lay_encoder_pass *p, int64_t i,
                                                  struct lay_err *err);

/* table[ids[r]] += dx[r], rows of `frozen` left out: the padding_idx of an nn.Embedding, which gets no
 * gradient; −1: none. */
enum lay_status lay_encoder_scatter(const struct lay_encoder_pass *p, const int32_t *ids, int32_t frozen,
                                    const float *dx, struct lay_learned_table *table, struct lay_err *err);

#endif

/* Backward twins of kernels.h. f32, row-major, vectorised, parallel over rows, columns or heads.
 *
 * Gradients of activations depend on their own row (or sequence) only. Gradients of weights are sums over
 * rows in their order, added to what is there, so it does not matter in how many calls the rows come; the
 * threads share columns, never a sum. Each function has a naive reference in tests/unit/nn/test_gradient*.c.
 */
#ifndef LAY_NN_GRADIENT_H
#define LAY_NN_GRADIENT_H

#include "engine/nn/kernels.h"

/* y = rms_norm(x) · weight. dx += ∂y/∂x · dy. */
void lay_rms_norm_backward(const float *x, const float *weight, const float *dy, float *dx, int64_t rows,
                           int64_t n, float eps);
/* dweight [n] += Σ_rows dy · x / rms(x). */
void lay_rms_norm_weight(const float *x, const float *dy, float *dweight, int64_t rows, int64_t n, float eps);

/* y = layer_norm(x) · weight + bias. dx += ∂y/∂x · dy. */
void lay_layer_norm_backward(const float *x, const float *weight, const float *dy, float *dx, int64_t rows,
                             int64_t n, float eps);
/* dweight [n] += Σ_rows dy · (x − mean(x)) / sqrt(var(x) + eps). The bias's gradient is lay_add_rows(dy). */
void lay_layer_norm_weight(const float *x, const float *dy, float *dweight, int64_t rows, int64_t n,
                           float eps);

/* sum [n] += Σ_rows x: gradient of a bias. */
void lay_add_rows(const float *x, float *sum, int64_t rows, int64_t n);
/* table[ids[r]] += x[r] for rows in order; ids below 0 are passed over. table [·, n]: gradient of an
 * embedding. */
void lay_scatter_rows(const float *x, const int32_t *ids, float *table, int64_t rows, int64_t n);

/* In place: the inverse rotation, which is the transposed one. Arguments as lay_rope. */
void lay_rope_backward(float *dx, int64_t rows, int64_t stride, int64_t heads, int64_t head_dim,
                       const int64_t *positions, const float *inv_freq);

/* dx = act'(x) · dy over n elements. The derivative of ReLU at 0 is 0. dx == dy allowed. */
void lay_activate_backward(enum lay_activation act, const float *x, const float *dy, float *dx, int64_t n);
/* x [rows, 2n] holds gate then up, y = act(gate) · up; dy [rows, n], dx [rows, 2n]. dx == x allowed. */
void lay_activate_gated_backward(enum lay_activation act, const float *x, const float *dy, float *dx,
                                 int64_t rows, int64_t n);

/* Per row r of logits [rows, n]: loss[r] = −log softmax(logits)[target[r]], and in place
 * logits = weight · (softmax(logits) − onehot(target)). Sums of exponentials in f64 over blocks of f32. */
void lay_cross_entropy(float *logits, const int32_t *targets, int64_t rows, int64_t n, float weight,
                       double *loss);

/* Dropout (Srivastava et al. 2014), and its own backward twin. In place: x[r][i] = 0 with this probability
 * (in [0, 1)), else x[r][i] / (1 − probability). Which ones is a function of key, r and i alone: SplitMix64's
 * i-th number, below probability · 2⁶⁴, of the stream that starts at the r-th number of the stream at key. */
void lay_dropout(float *x, int64_t rows, int64_t n, uint64_t key, double probability);

/* lay_fuse_layers backward. a, b: its results; da, db: their gradients, masked in place (ReLU). dweight [2,
 * m] and dbias [2] grow; dlayers (NULL: not wanted) m arrays that grow by weight · da, db. Over n elements.
 */
struct lay_fuse_gradient {
    const float *const *layers;
    const float *weight; /* [2, m] */
    int64_t m, n;
    const float *a, *b;
    float *da, *db;
    float *dweight, *dbias;
    float *const *dlayers;
};
void lay_fuse_backward(const struct lay_fuse_gradient *fuse);

/* lay_mean_layers backward, of a result that is used twice: each of the m dlayers grows by (da + db) / m. */
void lay_mean_backward(const float *da, const float *db, float *const *dlayers, int64_t m, int64_t n);

/* lay_add_gated and lay_gate_rows backward. dy [rows, n] is the gradient of y and becomes that of x; du
 * [rows] = that of the gate's sum bias + weight · h, gate' = 1 − gate². */
void lay_gated_backward(const float *x, const float *gate, float *dy, float *du, int64_t rows, int64_t n);
/* dh [rows, n] += du · weight. */
void lay_gate_inputs(const float *du, const float *weight, float *dh, int64_t rows, int64_t n);
/* dweight [n] += Σ_rows du · h, *dbias += Σ_rows du. */
void lay_gate_weight(const float *du, const float *h, float *dweight, float *dbias, int64_t rows, int64_t n);

/* --- attention of whole sequences, with what its backward pass needs ---
 *
 * A pair is the queries of a sequence and the keys it reads: its own rows (causal, or an encoder's) or the
 * rows of an adapter. Query i of a pair sees the keys 0 … n_keys − 1, if causal those up to i, and no further
 * back than the window. */
struct lay_attention_pair {
    int64_t first_query, n_queries, first_key, n_keys;
};

struct lay_attention {
    const float *q, *k, *v; /* rows of heads (kv_heads) · head_dim with the strides, in elements */
    int64_t q_stride, k_stride, v_stride;
    int64_t heads, kv_heads, head_dim;
    float scale;
    bool causal;
    int64_t window;          /* 0: none */
    const float *bias_table; /* T5, as in lay_attention_encoder; NULL: none */
    int64_t bias_span;
    const struct lay_attention_pair *pairs;
    int64_t n_pairs;
};

/* Floats of scratch memory that the two functions need on the current number of threads. */
size_t lay_attention_scratch(const struct lay_attention *a);

/* out [rows, heads · head_dim] and lse [rows, heads] = log Σ exp(score), for the rows of all pairs. */
void lay_attention_forward(const struct lay_attention *a, float *out, float *lse, float *scratch);

/* Parallel over pairs and key heads: a key head's queries are visited in order by one thread. */
struct lay_attention_gradient {
    const float *out, *lse;
    const float *dout;   /* [rows, heads · head_dim] */
    float factor;        /* on dout: the gate of an adapter, else 1 */
    float *dq, *dk, *dv; /* strides as q, k, v; dq += …, dk and dv are written */
    float *dots;         /* [n_pairs, heads] Σ dout · out without the factor; NULL: not wanted */
    float *const *dbias; /* [n_pairs] arrays [heads, 2 · bias_span − 1] that grow; NULL: not wanted */
};
void lay_attention_backward(const struct lay_attention *a, const struct lay_attention_gradient *gradient,
                            float *scratch);

#endif

/* The small operations between the matrix products. All f32, row-major, vectorised by the compiler and
 * parallel over rows (or rows × heads); a row's result depends on that row alone, so neither batch nor
 * threads change it. Each has a naive reference in tests/unit. In-place use (y == x) is allowed where noted.
 */
#ifndef LAY_NN_KERNELS_H
#define LAY_NN_KERNELS_H

#include "engine/nn/kv.h"

#include <stdbool.h>

#include <stdint.h>

/* Larger heads are refused where a configuration is read; the kernels keep one head on the stack. */
#define LAY_MAX_HEAD_DIM 256

/* y = x / sqrt(mean(x²) + eps) · weight, per row of n (T5LayerNorm, LlamaRMSNorm). y == x allowed. */
void lay_rms_norm(const float *x, const float *weight, float *y, int64_t rows, int64_t n, float eps);

/* y = (x − mean) / sqrt(var + eps) · weight + bias, per row. y == x allowed. */
void lay_layer_norm(const float *x, const float *weight, const float *bias, float *y, int64_t rows, int64_t n,
                    float eps);

/* y += x over n elements. */
void lay_add(float *y, const float *x, int64_t n);

enum lay_activation { LAY_RELU, LAY_GELU_TANH, LAY_GELU_ERF, LAY_SILU };

/* x = act(x) in place over rows × n. */
void lay_activate(enum lay_activation act, float *x, int64_t rows, int64_t n);

/* y [rows, n] = act(gate) · up where x [rows, 2n] holds gate then up (SwiGLU, T5 gated GELU and ReLU). */
void lay_activate_gated(enum lay_activation act, const float *x, float *y, int64_t rows, int64_t n);

/* One row of the same, on the calling thread; y == x allowed in the first. */
void lay_activate_row(enum lay_activation act, const float *x, float *y, int64_t n);
void lay_activate_gated_row(enum lay_activation act, const float *x, float *y, int64_t n);

/* Rotary embedding, half-split layout of Hugging Face: for i < d/2,
 *   x[i], x[i+d/2] = x[i] cos θ_i p − x[i+d/2] sin θ_i p, x[i+d/2] cos θ_i p + x[i] sin θ_i p.
 * x: rows of `heads` heads of head_dim, row stride in elements; positions [rows]; inv_freq [head_dim/2].
 * Angles are f32 products as in the official code. In place. */
void lay_rope(float *x, int64_t rows, int64_t stride, int64_t heads, int64_t head_dim,
              const int64_t *positions, const float *inv_freq);

/* Rows first_row … first_row + n_rows of a step belong to one sequence and attend to its pages. */
struct lay_attention_span {
    const struct lay_kv_seq *kv;
    int64_t first_row, n_rows;
    int64_t position; /* causal: cache index of the first row (it sees keys 0 … position + its offset) */
    float gate;       /* adapter attention only: factor on the result */
};

/* lay_kv_write for the rows of all spans, which become their tokens position …; k and v hold the rows of the
 * step. */
void lay_kv_write_spans(const struct lay_kv_pool *pool, int64_t layer, const struct lay_attention_span *spans,
                        int64_t n_spans, const float *k, int64_t k_stride, const float *v, int64_t v_stride);

/* Attention of the LLM over paged keys and values.
 *   causal:      softmax over keys max(0, p − window + 1) … p; out is overwritten. window 0 = none.
 *   not causal:  softmax over all kv->n_tokens keys (LayAlign's adapter), gate · result is ADDED to out.
 * q [rows, num_heads * head_dim] with row stride q_stride (elements), scaled by `scale`; out [rows, num_heads
 * * head_dim] contiguous. Head h reads kv head h / (num_heads / num_kv_heads). Keys are visited in order of
 * position, so the result of a row does not depend on how many rows ride along. */
void lay_attention_paged(const struct lay_kv_pool *pool, int64_t layer,
                         const struct lay_attention_span *spans, int64_t n_spans, const float *q,
                         int64_t q_stride, int64_t num_heads, float scale, bool causal, int64_t window,
                         float *out);

/* Bidirectional attention of encoders over sequences that stand one after the other without padding.
 * Sequence s has lengths[s] rows; its keys are its first valid[s] rows (valid NULL: all). qkv [rows, 3 ·
 * heads · head_dim] holds q, k, v; bias may be NULL, else bias(h, i, j) = bias_table[h · (2 · bias_span − 1)
 * + (j − i) + bias_span − 1] for |j − i| < bias_span (T5's relative position bias by distance). out [rows,
 * heads · head_dim]. */
void lay_attention_encoder(const float *qkv, const int64_t *lengths, const int64_t *valid, int64_t n_seqs,
                           int64_t heads, int64_t head_dim, float scale, const float *bias_table,
                           int64_t bias_span, float *out);

/* Index of the largest element, the first of equals; NaN is never larger. */
int32_t lay_argmax(const float *x, int64_t n);

#endif

/* Backward twins of a linear layer y = x Wᵀ + b, and layers whose weights change.
 *
 *   dx = dy W      the forward product of a layer that holds Wᵀ: lay_linear_transpose, lay_linear_forward
 *   dW += dyᵀ x    lay_weight_gradient
 *   db += Σ dy     lay_add_rows (engine/nn/gradient.h) */
#ifndef LAY_DNN_GRADIENT_H
#define LAY_DNN_GRADIENT_H

#include "engine/dnn/linear.h"

/* Packs other weights of the same shapes into a layer, and copies `bias` if it has one. Parts as for
 * lay_linear_create. */
enum lay_status lay_linear_refill(struct lay_linear *linear, const struct lay_matrix *parts, int n_parts,
                                  const float *bias, struct lay_err *err);

/* A layer [in, out] of the transposed weights of `linear` [out, in], without bias, made from its packed form:
 * exactly the numbers that the forward product uses. f32 and bf16 layers. Returns; free with
 * lay_linear_destroy. */
enum lay_status lay_linear_transpose(const struct lay_linear *linear, struct lay_linear **transposed,
                                     struct lay_err *err);
/* The same into a layer that was made so from another of the same shape and type. Needs in · out elements of
 * memory of the context for itself. */
enum lay_status lay_linear_transpose_into(const struct lay_linear *linear, struct lay_linear *transposed,
                                          struct lay_err *err);

/* Rows of x and dy whose part of a weight's gradient is computed by itself: a sequence, or a piece of one. */
struct lay_segment {
    int64_t first, rows;
};

/* gradient [out, in] += Σ_segments dyᵀ x, one segment after the other. x [·, in], dy [·, out], row-major.
 * With LAY_BF16 both are rounded to bf16; sums are f32. A segment's part depends on its own rows and is added
 * by one thread in the order of the segments, so neither threads nor the split into calls matter. */
enum lay_status lay_weight_gradient(struct lay_dnn *dnn, enum lay_dtype compute, const float *dy,
                                    const float *x, int64_t out, int64_t in,
                                    const struct lay_segment *segments, int64_t n, float *gradient,
                                    struct lay_err *err);

#endif

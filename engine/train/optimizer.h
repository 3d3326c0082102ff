/* AdamW (Loshchilov and Hutter 2019, algorithm 2), step for step as torch.optim.AdamW: decoupled weight
 * decay, bias-corrected moments, everything in f32.
 *
 *   p ← p − lr·λ·p,   m ← β₁m + (1 − β₁)g,   v ← β₂v + (1 − β₂)g²
 *   p ← p − lr/(1 − β₁ᵗ) · m / (√v/√(1 − β₂ᵗ) + ε)
 *
 * Elements do not know of each other, so the result does not depend on how a tensor is split. */
#ifndef LAY_TRAIN_OPTIMIZER_H
#define LAY_TRAIN_OPTIMIZER_H

#include <stddef.h>
#include <stdint.h>

struct lay_adamw {
    double beta1, beta2, epsilon, weight_decay;
};

/* Step number `step` (from 1) of one tensor: value, first and second moment [count] change in place. */
void lay_adamw_step(const struct lay_adamw *adamw, double learning_rate, int64_t step, size_t count,
                    const float *gradient, float *value, float *first, float *second);

/* Σ x², in double and in order. */
double lay_sum_of_squares(const float *x, size_t count);
/* What gradients of this norm are multiplied with so that it is at most `limit`, as torch's clip_grad_norm_:
 * limit / (norm + 1e-6), at most 1. limit 0: never. */
double lay_clip_factor(double norm, double limit);

#endif

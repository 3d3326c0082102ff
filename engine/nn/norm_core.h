/* Sums over a row, for norms and their gradients. Internal to engine/nn. */
#ifndef LAY_NN_NORM_CORE_H
#define LAY_NN_NORM_CORE_H

#include "engine/nn/vector.h"

/* Σ (x − shift)² in two interleaved sixteen-lane sums. */
LAY_INLINE float lay_row_squares(const float *x, int64_t n, float shift)
{
    lay_vec a = lay_vec_set(0.0f), b = a;
    int64_t i = 0;
    for (; i + 2 * LAY_LANES <= n; i += 2 * LAY_LANES) {
        const lay_vec u = lay_vec_load(x + i) - shift, v = lay_vec_load(x + i + LAY_LANES) - shift;
        a += u * u;
        b += v * v;
    }
    a += b;
    for (; i + LAY_LANES <= n; i += LAY_LANES) {
        const lay_vec u = lay_vec_load(x + i) - shift;
        a += u * u;
    }
    float total = lay_vec_sum(a);
    for (; i < n; i++)
        total += (x[i] - shift) * (x[i] - shift);
    return total;
}

LAY_INLINE float lay_row_sum(const float *x, int64_t n)
{
    lay_vec a = lay_vec_set(0.0f), b = a;
    int64_t i = 0;
    for (; i + 2 * LAY_LANES <= n; i += 2 * LAY_LANES) {
        a += lay_vec_load(x + i);
        b += lay_vec_load(x + i + LAY_LANES);
    }
    a += b;
    for (; i + LAY_LANES <= n; i += LAY_LANES)
        a += lay_vec_load(x + i);
    float total = lay_vec_sum(a);
    for (; i < n; i++)
        total += x[i];
    return total;
}

/* 1 / sqrt(mean((x − mean)²) + eps); of RMSNorm with mean 0. */
LAY_INLINE float lay_row_factor(const float *x, int64_t n, float mean, float eps)
{
    return 1.0f / sqrtf(lay_row_squares(x, n, mean) / (float)n + eps);
}

#endif

#include "engine/nn/kernels.h"
#include "engine/nn/vector.h"

#define PARALLEL_FROM 8192 /* elements; below, waking the threads costs more than the work */

/* Σ (x − shift)² in two interleaved sixteen-lane sums. */
LAY_INLINE float sum_of_squares(const float *x, int64_t n, float shift)
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

LAY_INLINE float sum(const float *x, int64_t n)
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

LAY_CLONES static void rms_norm_row(const float *x, const float *weight, float *y, int64_t n, float eps)
{
    const float factor = 1.0f / sqrtf(sum_of_squares(x, n, 0.0f) / (float)n + eps);
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        y[i] = x[i] * factor * weight[i];
}

void lay_rms_norm(const float *x, const float *weight, float *y, int64_t rows, int64_t n, float eps)
{
#pragma omp parallel for schedule(static) if (rows > 1 && rows * n >= PARALLEL_FROM)
    for (int64_t r = 0; r < rows; r++)
        rms_norm_row(x + r * n, weight, y + r * n, n, eps);
}

LAY_CLONES static void layer_norm_row(const float *x, const float *weight, const float *bias, float *y,
                                      int64_t n, float eps)
{
    const float mean = sum(x, n) / (float)n;
    const float factor = 1.0f / sqrtf(sum_of_squares(x, n, mean) / (float)n + eps);
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        y[i] = (x[i] - mean) * factor * weight[i] + bias[i];
}

void lay_layer_norm(const float *x, const float *weight, const float *bias, float *y, int64_t rows, int64_t n,
                    float eps)
{
#pragma omp parallel for schedule(static) if (rows > 1 && rows * n >= PARALLEL_FROM)
    for (int64_t r = 0; r < rows; r++)
        layer_norm_row(x + r * n, weight, bias, y + r * n, n, eps);
}

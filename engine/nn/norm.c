#include "engine/nn/kernels.h"
#include "engine/nn/norm_core.h"

#define PARALLEL_FROM 8192 /* elements; below, waking the threads costs more than the work */

LAY_CLONES static void rms_norm_row(const float *x, const float *weight, float *y, int64_t n, float eps)
{
    const float factor = lay_row_factor(x, n, 0.0f, eps);
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
    const float mean = lay_row_sum(x, n) / (float)n;
    const float factor = lay_row_factor(x, n, mean, eps);
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

#include "engine/base/clones.h"
#include "engine/dnn/internal.h"

LAY_CLONES void lay_round_bf16(const float *restrict x, uint16_t *restrict dst, int64_t n)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        dst[i] = lay_f32_to_bf16(x[i]);
}

LAY_CLONES void lay_round_f32(const float *restrict x, float *restrict dst, int64_t n)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        dst[i] = lay_bf16_to_f32(lay_f32_to_bf16(x[i]));
}

LAY_CLONES void lay_widen_bf16(const uint16_t *restrict x, float *restrict dst, int64_t n)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        dst[i] = lay_bf16_to_f32(x[i]);
}

#include "engine/base/clones.h"
#include "engine/dnn/internal.h"

#include <string.h>

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

/* The exponent moves by 2^112, which also makes subnormals normal; infinities and NaN get the top exponent.
 */
LAY_CLONES void lay_widen_f16(const uint16_t *restrict x, float *restrict dst, int64_t n)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        const uint32_t magnitude = (uint32_t)(x[i] & 0x7fff) << 13, sign = (uint32_t)(x[i] & 0x8000) << 16;
        float scaled;
        memcpy(&scaled, &magnitude, sizeof scaled);
        scaled *= 0x1p112f;
        uint32_t bits;
        memcpy(&bits, &scaled, sizeof bits);
        bits |= sign | (magnitude >= 0x0f800000u ? 0x7f800000u : 0);
        memcpy(&dst[i], &bits, sizeof bits);
    }
}

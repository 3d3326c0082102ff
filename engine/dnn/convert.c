#include "engine/base/clones.h"
#include "engine/dnn/internal.h"

#include <math.h>
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

LAY_CLONES void lay_widen_s8(const int8_t *restrict x, float *restrict dst, int64_t n)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        dst[i] = (float)x[i];
}

LAY_CLONES void lay_narrow_s8(const float *restrict x, int8_t *restrict dst, int64_t n)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        dst[i] = (int8_t)x[i];
}

/* max |x| as bits: the order of non-negative floats is that of their bits, and NaN and infinity come last. */
LAY_INLINE uint32_t largest_bits(const float *restrict x, int64_t n)
{
    uint32_t largest = 0;
#pragma omp simd reduction(max : largest)
    for (int64_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        bits &= 0x7fffffffu;
        largest = bits > largest ? bits : largest;
    }
    return largest;
}

/* The step of a row and its inverse; the inverse is 0 where nothing can be divided. */
LAY_INLINE float step_of(const float *restrict x, int64_t n, float *inverse)
{
    const uint32_t bits = largest_bits(x, n);
    float largest;
    memcpy(&largest, &bits, sizeof largest);
    *inverse = 0.0f;
    if (bits >= 0x7f800000u)
        return NAN;
    const float step = largest / 127.0f;
    *inverse = 127.0f / largest;
    if (step == 0.0f || !(*inverse <= 3.4e38f)) { /* zeros, or so small that they count as such */
        *inverse = 0.0f;
        return 0.0f;
    }
    return step;
}

/* Adding 1.5 · 2^23 rounds to an integer, ties to even, and leaves it in the low bits. */
LAY_INLINE int32_t nearest(float x, float inverse)
{
    const float shifted = x * inverse + 12582912.0f;
    int32_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    return bits - 0x4b400000;
}

LAY_CLONES float lay_quantise_s8(const float *restrict x, int8_t *restrict q, int64_t n)
{
    float inverse;
    const float step = step_of(x, n, &inverse);
    if (inverse == 0.0f) {
        memset(q, 0, (size_t)n);
        return step;
    }
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        q[i] = (int8_t)nearest(x[i], inverse);
    return step;
}

LAY_CLONES float lay_quantise_u8(const float *restrict x, uint8_t *restrict q, int64_t n)
{
    float inverse;
    const float step = step_of(x, n, &inverse);
    if (inverse == 0.0f) {
        memset(q, LAY_U8_ZERO, (size_t)n);
        return step;
    }
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        q[i] = (uint8_t)(nearest(x[i], inverse) + LAY_U8_ZERO);
    return step;
}

LAY_CLONES float lay_quantise_f32(const float *x, float *q, int64_t n)
{
    float inverse;
    const float step = step_of(x, n, &inverse);
    if (inverse == 0.0f) {
        memset(q, 0, (size_t)n * sizeof *q);
        return step;
    }
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        q[i] = (float)nearest(x[i], inverse);
    return step;
}

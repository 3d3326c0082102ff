/* Sixteen floats at a time, and exp. Internal to engine/nn.
 *
 * The kernels are written for one vector of sixteen lanes, whatever the CPU has: GCC lowers it to one, two or
 * four registers, so the order of every sum, and but for fused multiply-adds its bits, are the same
 * everywhere. */
#ifndef LAY_NN_VECTOR_H
#define LAY_NN_VECTOR_H

#include "engine/base/clones.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

/* Every function below is inlined, so how a vector would be passed in registers never matters. */
#pragma GCC diagnostic ignored "-Wpsabi"

#define LAY_LANES 16

typedef float lay_vec __attribute__((vector_size(64), aligned(4), may_alias)); /* f32, any address */
typedef uint32_t lay_vec_bits __attribute__((vector_size(64), aligned(4), may_alias));
typedef uint16_t lay_vec_half __attribute__((vector_size(32), aligned(2), may_alias));

LAY_INLINE lay_vec lay_vec_load(const float *x)
{
    return *(const lay_vec *)x;
}

/* By way of an array, of which GCC makes one broadcast; {x, x, …} would be sixteen masked moves (GCC 12). */
LAY_INLINE lay_vec lay_vec_set(float x)
{
    float lanes[LAY_LANES];
    for (int i = 0; i < LAY_LANES; i++)
        lanes[i] = x;
    return lay_vec_load(lanes);
}

/* Sixteen bf16: each becomes the upper half of its lane. Said as a shuffle it is one instruction; GCC 12
 * makes four of a conversion. */
LAY_INLINE lay_vec lay_vec_load_half(const uint16_t *x)
{
    const lay_vec_half high = *(const lay_vec_half *)x, low = {0};
    return (lay_vec)__builtin_shufflevector(low, high, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23,
                                            8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}

LAY_INLINE void lay_vec_store(float *x, lay_vec v)
{
    *(lay_vec *)x = v;
}

/* The first n < LAY_LANES lanes; the others are 0. */
LAY_INLINE lay_vec lay_vec_load_part(const float *x, int64_t n)
{
    float lanes[LAY_LANES] = {0};
    memcpy(lanes, x, (size_t)n * sizeof *x);
    return lay_vec_load(lanes);
}

LAY_INLINE void lay_vec_store_part(float *x, lay_vec v, int64_t n)
{
    float lanes[LAY_LANES];
    lay_vec_store(lanes, v);
    memcpy(x, lanes, (size_t)n * sizeof *x);
}

/* v[i][j] and v[j][i] change places: in turn, the blocks of 8, 4, 2 and 1 lanes off the diagonal do. */
#define LAY_VEC_SWAP(step)                                                                                   \
    for (int i = 0; i < LAY_LANES; i++)                                                                      \
        if (!(i & (step))) {                                                                                 \
            const lay_vec a = v[i], b = v[i + (step)];                                                       \
            v[i] = __builtin_shufflevector(a, b, LAY_VEC_LANES(LAY_VEC_UPPER, step));                        \
            v[i + (step)] = __builtin_shufflevector(a, b, LAY_VEC_LANES(LAY_VEC_LOWER, step));               \
        }
#define LAY_VEC_UPPER(step, lane) ((lane) & (step) ? LAY_LANES + (lane) - (step) : (lane))
#define LAY_VEC_LOWER(step, lane) ((lane) & (step) ? LAY_LANES + (lane) : (lane) + (step))
#define LAY_VEC_LANES(at, step)                                                                              \
    at(step, 0), at(step, 1), at(step, 2), at(step, 3), at(step, 4), at(step, 5), at(step, 6), at(step, 7),  \
        at(step, 8), at(step, 9), at(step, 10), at(step, 11), at(step, 12), at(step, 13), at(step, 14),      \
        at(step, 15)
LAY_INLINE void lay_vec_transpose(lay_vec v[LAY_LANES]){LAY_VEC_SWAP(8) LAY_VEC_SWAP(4) LAY_VEC_SWAP(2)
                                                            LAY_VEC_SWAP(1)}

/* Lanes of a where mask is all ones, of b where it is 0. */
LAY_INLINE lay_vec lay_vec_select(lay_vec_bits mask, lay_vec a, lay_vec b)
{
    return (lay_vec)((mask & (lay_vec_bits)a) | (~mask & (lay_vec_bits)b));
}

LAY_INLINE lay_vec lay_vec_max(lay_vec a, lay_vec b)
{
    return lay_vec_select((lay_vec_bits)(a > b), a, b);
}

/* Sum of the lanes by halves. */
LAY_INLINE float lay_vec_sum(lay_vec v)
{
    float x[LAY_LANES];
    lay_vec_store(x, v);
    for (int half = LAY_LANES / 2; half > 0; half /= 2)
        for (int i = 0; i < half; i++)
            x[i] += x[i + half];
    return x[0];
}

/* Σ a · b in one vector of sums. */
LAY_INLINE float lay_vec_dot(const float *a, const float *b, int64_t n)
{
    lay_vec sum = lay_vec_set(0.0f);
    int64_t i = 0;
    for (; i + LAY_LANES <= n; i += LAY_LANES)
        sum += lay_vec_load(a + i) * lay_vec_load(b + i);
    if (i < n)
        sum += lay_vec_load_part(a + i, n - i) * lay_vec_load_part(b + i, n - i);
    return lay_vec_sum(sum);
}

/* e^x within 1.2 ulp for every float: 0 and infinity where they belong, NaN stays NaN.
 * x = n ln 2 + r, |r| ≤ ln 2 / 2; e^r by a polynomial; 2^n in two factors so that denormal results and
 * overflow come out right. */
LAY_INLINE lay_vec lay_vec_exp(lay_vec x)
{
    const lay_vec magic = lay_vec_set(12582912.0f); /* 1.5 · 2^23: adding it rounds to an integer */
    const lay_vec top = lay_vec_set(89.0f), bottom = lay_vec_set(-104.0f);
    x = lay_vec_select((lay_vec_bits)(x > top), top, x);
    x = lay_vec_select((lay_vec_bits)(x < bottom), bottom, x);
    const lay_vec shifted = x * 1.44269504f + magic;
    const lay_vec n = shifted - magic;
    const lay_vec r =
        (x - n * 0.693359375f) - n * -2.12194440e-4f;    /* ln 2 in two parts, the first exact in 9 bits */
    lay_vec p = r * 1.9875691500e-4f + 1.3981999507e-3f; /* Cephes' expf */
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r;
    p = p + 1.0f;
    const lay_vec_bits exponent = (lay_vec_bits)shifted - (lay_vec_bits)magic; /* n as an integer, mod 2^32 */
    const lay_vec_bits half = (exponent >> 1) | (exponent & 0x80000000u);
    const lay_vec_bits rest = exponent - half;
    p = p * (lay_vec)((half + 127u) << 23);
    return p * (lay_vec)((rest + 127u) << 23);
}

#endif

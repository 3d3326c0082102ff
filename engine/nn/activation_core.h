/* Activation functions of sixteen numbers, for the forward and the backward kernels. Internal to engine/nn.
 */
#ifndef LAY_NN_ACTIVATION_CORE_H
#define LAY_NN_ACTIVATION_CORE_H

#include "engine/nn/kernels.h"
#include "engine/nn/vector.h"

LAY_INLINE lay_vec lay_vec_relu(lay_vec x)
{
    return lay_vec_select((lay_vec_bits)(x < 0.0f), lay_vec_set(0.0f), x); /* NaN stays */
}

/* x σ(x) */
LAY_INLINE lay_vec lay_vec_silu(lay_vec x)
{
    return x / (1.0f + lay_vec_exp(-x));
}

/* ½ x (1 + tanh u) = x σ(2u), u = √(2/π) (x + 0.044715 x³): the same function without tanh's cancellation. */
LAY_INLINE lay_vec lay_vec_gelu_tanh(lay_vec x)
{
    const lay_vec u2 = 1.59576912f * (x + 0.044715f * x * x * x);
    return x / (1.0f + lay_vec_exp(-u2));
}

/* 2 Φ(x) = 1 + erf(x/√2). erf by polynomials in two ranges (after N. Juffa's erff, < 1 ulp): t + t P(t²) near
 * 0, 1 − exp(−t Q(t)) beyond; there exp(…) is erfc(t), which keeps negative x accurate. */
LAY_INLINE lay_vec lay_vec_twice_cdf(lay_vec x)
{
    const lay_vec a = x * 0.707106781f;
    const lay_vec t = (lay_vec)((lay_vec_bits)a & 0x7fffffffu), s = a * a;
    lay_vec q = -1.72853470e-5f * t + 3.83197126e-4f;
    q = q * s + (-3.88396438e-3f * t + 2.42546219e-2f);
    q = q * t + -1.06777877e-1f;
    q = q * t + -6.34846687e-1f;
    q = q * t + -1.28717512e-1f;
    q = q * t - t;
    const lay_vec erfc = lay_vec_exp(q);
    lay_vec p = -5.96761703e-4f * s + 4.99119423e-3f;
    p = p * s + -2.67681349e-2f;
    p = p * s + 1.12819925e-1f;
    p = p * s + -3.76125336e-1f;
    p = p * s + 1.28379166e-1f;
    p = p * a + a;
    const lay_vec far = lay_vec_select((lay_vec_bits)(a < 0.0f), erfc, 2.0f - erfc);
    return lay_vec_select((lay_vec_bits)(t > 0.927734375f), far, 1.0f + p);
}

/* x Φ(x) */
LAY_INLINE lay_vec lay_vec_gelu_erf(lay_vec x)
{
    return 0.5f * x * lay_vec_twice_cdf(x);
}

/* n of sixteen lanes, all of them but at the end of a row. */
LAY_INLINE lay_vec lay_vec_load_some(const float *x, int64_t n)
{
    return n == LAY_LANES ? lay_vec_load(x) : lay_vec_load_part(x, n);
}

LAY_INLINE void lay_vec_store_some(float *x, lay_vec v, int64_t n)
{
    if (n == LAY_LANES)
        lay_vec_store(x, v);
    else
        lay_vec_store_part(x, v, n);
}

#endif

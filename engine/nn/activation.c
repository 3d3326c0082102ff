#include "engine/nn/kernels.h"
#include "engine/nn/vector.h"

#define CHUNK 4096 /* elements of one task; a multiple of LAY_LANES */

LAY_INLINE lay_vec relu(lay_vec x)
{
    return lay_vec_select((lay_vec_bits)(x < 0.0f), lay_vec_set(0.0f), x); /* NaN stays */
}

/* x σ(x) */
LAY_INLINE lay_vec silu(lay_vec x)
{
    return x / (1.0f + lay_vec_exp(-x));
}

/* ½ x (1 + tanh u) = x σ(2u), u = √(2/π) (x + 0.044715 x³): the same function without tanh's cancellation. */
LAY_INLINE lay_vec gelu_tanh(lay_vec x)
{
    const lay_vec u2 = 1.59576912f * (x + 0.044715f * x * x * x);
    return x / (1.0f + lay_vec_exp(-u2));
}

/* ½ x (1 + erf(x/√2)). erf by polynomials in two ranges (after N. Juffa's erff, < 1 ulp): t + t P(t²) near 0,
 * 1 − exp(−t Q(t)) beyond; there exp(…) is erfc(t), which keeps negative x accurate. */
LAY_INLINE lay_vec gelu_erf(lay_vec x)
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
    return 0.5f * x * lay_vec_select((lay_vec_bits)(t > 0.927734375f), far, 1.0f + p);
}

LAY_INLINE lay_vec activate(enum lay_activation act, lay_vec x)
{
    switch (act) {
    case LAY_RELU:
        return relu(x);
    case LAY_GELU_TANH:
        return gelu_tanh(x);
    case LAY_GELU_ERF:
        return gelu_erf(x);
    case LAY_SILU:
        break;
    }
    return silu(x);
}

LAY_INLINE lay_vec load(const float *x, int64_t n)
{
    return n == LAY_LANES ? lay_vec_load(x) : lay_vec_load_part(x, n);
}

LAY_INLINE void store(float *x, lay_vec v, int64_t n)
{
    if (n == LAY_LANES)
        lay_vec_store(x, v);
    else
        lay_vec_store_part(x, v, n);
}

/* One kernel per function, so that the choice stays outside of the loop. up NULL: no gate. */
#define KERNEL(name, act)                                                                                    \
    LAY_CLONES static void name(const float *x, const float *up, float *y, int64_t n)                        \
    {                                                                                                        \
        for (int64_t i = 0; i < n; i += LAY_LANES) {                                                         \
            const int64_t part = n - i < LAY_LANES ? n - i : LAY_LANES;                                      \
            lay_vec v = activate(act, load(x + i, part));                                                    \
            if (up)                                                                                          \
                v *= load(up + i, part);                                                                     \
            store(y + i, v, part);                                                                           \
        }                                                                                                    \
    }
KERNEL(run_relu, LAY_RELU)
KERNEL(run_gelu_tanh, LAY_GELU_TANH)
KERNEL(run_gelu_erf, LAY_GELU_ERF)
KERNEL(run_silu, LAY_SILU)

static void run(enum lay_activation act, const float *x, const float *up, float *y, int64_t n)
{
    static void (*const kernels[])(const float *, const float *, float *, int64_t) = {
        [LAY_RELU] = run_relu,
        [LAY_GELU_TANH] = run_gelu_tanh,
        [LAY_GELU_ERF] = run_gelu_erf,
        [LAY_SILU] = run_silu,
    };
    kernels[act](x, up, y, n);
}

void lay_activate(enum lay_activation act, float *x, int64_t rows, int64_t n)
{
    const int64_t total = rows * n;
#pragma omp parallel for schedule(static) if (total > 2 * CHUNK)
    for (int64_t i = 0; i < total; i += CHUNK)
        run(act, x + i, NULL, x + i, total - i < CHUNK ? total - i : CHUNK);
}

void lay_activate_gated(enum lay_activation act, const float *x, float *y, int64_t rows, int64_t n)
{
    const int64_t per_row = (n + CHUNK - 1) / CHUNK;
#pragma omp parallel for schedule(static) if (rows * n > 2 * CHUNK)
    for (int64_t task = 0; task < rows * per_row; task++) {
        const int64_t row = task / per_row, i = task % per_row * CHUNK;
        const float *gate = x + 2 * row * n + i;
        run(act, gate, gate + n, y + row * n + i, n - i < CHUNK ? n - i : CHUNK);
    }
}

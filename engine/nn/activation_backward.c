#include "engine/nn/activation_core.h"
#include "engine/nn/gradient.h"

#define CHUNK 4096 /* elements of one task; a multiple of LAY_LANES */

struct value {
    lay_vec act, slope; /* act(x), act'(x) */
};

LAY_INLINE struct value relu(lay_vec x)
{
    const lay_vec one = lay_vec_set(1.0f), zero = lay_vec_set(0.0f);
    return (struct value){lay_vec_relu(x), lay_vec_select((lay_vec_bits)(x > 0.0f), one, zero)};
}

/* x σ(u) with du/dx = slope: σ (1 + x (1 − σ) u'). */
LAY_INLINE struct value gated_by_sigmoid(lay_vec x, lay_vec u, lay_vec slope)
{
    const lay_vec sigmoid = 1.0f / (1.0f + lay_vec_exp(-u));
    return (struct value){x * sigmoid, sigmoid * (1.0f + x * (1.0f - sigmoid) * slope)};
}

LAY_INLINE struct value silu(lay_vec x)
{
    return gated_by_sigmoid(x, x, lay_vec_set(1.0f));
}

LAY_INLINE struct value gelu_tanh(lay_vec x)
{
    const lay_vec square = 0.044715f * x * x;
    return gated_by_sigmoid(x, 1.59576912f * x * (1.0f + square), 1.59576912f * (1.0f + 3.0f * square));
}

/* x Φ(x): Φ(x) + x φ(x). */
LAY_INLINE struct value gelu_erf(lay_vec x)
{
    const lay_vec cdf = 0.5f * lay_vec_twice_cdf(x), density = 0.398942280f * lay_vec_exp(-0.5f * x * x);
    return (struct value){x * cdf, cdf + x * density};
}

/* Pointers of one run of n elements; up NULL: no gate, and dup is not written. */
struct elements {
    const float *x, *up, *dy;
    float *dx, *dup;
};

/* One kernel per function, so that the choice stays outside of the loop. */
#define KERNEL(name, function)                                                                               \
    LAY_CLONES static void name(const struct elements *e, int64_t n)                                         \
    {                                                                                                        \
        for (int64_t i = 0; i < n; i += LAY_LANES) {                                                         \
            const int64_t part = n - i < LAY_LANES ? n - i : LAY_LANES;                                      \
            const struct value v = function(lay_vec_load_some(e->x + i, part));                              \
            const lay_vec dy = lay_vec_load_some(e->dy + i, part);                                           \
            lay_vec dx = v.slope * dy;                                                                       \
            if (e->up) {                                                                                     \
                dx *= lay_vec_load_some(e->up + i, part);                                                    \
                lay_vec_store_some(e->dup + i, v.act * dy, part);                                            \
            }                                                                                                \
            lay_vec_store_some(e->dx + i, dx, part);                                                         \
        }                                                                                                    \
    }
KERNEL(run_relu, relu)
KERNEL(run_gelu_tanh, gelu_tanh)
KERNEL(run_gelu_erf, gelu_erf)
KERNEL(run_silu, silu)

static void run(enum lay_activation act, const struct elements *e, int64_t n)
{
    static void (*const kernels[])(const struct elements *, int64_t) = {
        [LAY_RELU] = run_relu,
        [LAY_GELU_TANH] = run_gelu_tanh,
        [LAY_GELU_ERF] = run_gelu_erf,
        [LAY_SILU] = run_silu,
    };
    kernels[act](e, n);
}

void lay_activate_backward(enum lay_activation act, const float *x, const float *dy, float *dx, int64_t n)
{
#pragma omp parallel for schedule(static) if (n > 2 * CHUNK)
    for (int64_t i = 0; i < n; i += CHUNK) {
        const struct elements e = {x + i, NULL, dy + i, dx + i, NULL};
        run(act, &e, n - i < CHUNK ? n - i : CHUNK);
    }
}

void lay_activate_gated_backward(enum lay_activation act, const float *x, const float *dy, float *dx,
                                 int64_t rows, int64_t n)
{
    const int64_t per_row = (n + CHUNK - 1) / CHUNK;
#pragma omp parallel for schedule(static) if (rows * n > 2 * CHUNK)
    for (int64_t task = 0; task < rows * per_row; task++) {
        const int64_t row = task / per_row, i = task % per_row * CHUNK, at = 2 * row * n + i;
        const struct elements e = {x + at, x + at + n, dy + row * n + i, dx + at, dx + at + n};
        run(act, &e, n - i < CHUNK ? n - i : CHUNK);
    }
}

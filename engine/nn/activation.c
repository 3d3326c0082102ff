#include "engine/nn/activation_core.h"

#define CHUNK 4096 /* elements of one task; a multiple of LAY_LANES */

LAY_INLINE lay_vec activate(enum lay_activation act, lay_vec x)
{
    switch (act) {
    case LAY_RELU:
        return lay_vec_relu(x);
    case LAY_GELU_TANH:
        return lay_vec_gelu_tanh(x);
    case LAY_GELU_ERF:
        return lay_vec_gelu_erf(x);
    case LAY_SILU:
        break;
    }
    return lay_vec_silu(x);
}

/* One kernel per function, so that the choice stays outside of the loop. up NULL: no gate. */
#define KERNEL(name, act)                                                                                    \
    LAY_CLONES static void name(const float *x, const float *up, float *y, int64_t n)                        \
    {                                                                                                        \
        for (int64_t i = 0; i < n; i += LAY_LANES) {                                                         \
            const int64_t part = n - i < LAY_LANES ? n - i : LAY_LANES;                                      \
            lay_vec v = activate(act, lay_vec_load_some(x + i, part));                                       \
            if (up)                                                                                          \
                v *= lay_vec_load_some(up + i, part);                                                        \
            lay_vec_store_some(y + i, v, part);                                                              \
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

void lay_activate_row(enum lay_activation act, const float *x, float *y, int64_t n)
{
    run(act, x, NULL, y, n);
}

void lay_activate_gated_row(enum lay_activation act, const float *x, float *y, int64_t n)
{
    run(act, x, x + n, y, n);
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

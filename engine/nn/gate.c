#include "engine/nn/gate.h"

#include "engine/nn/gradient.h"
#include "engine/nn/vector.h"

#define PARALLEL_FROM 8192 /* elements */
#define COLUMNS 64         /* of one task */

LAY_CLONES static float dot(const float *a, const float *b, int64_t n)
{
    return lay_vec_dot(a, b, n);
}

LAY_CLONES static void add_scaled(const float *restrict x, float factor, float *restrict y, int64_t n)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        y[i] += factor * x[i];
}

LAY_CLONES static void scale(float *x, float factor, int64_t n)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        x[i] *= factor;
}

/* A row is one thread's, but where rows are summed. */
void lay_gate_rows(const float *h, const float *weight, float bias, float *gate, int64_t rows, int64_t n)
{
#pragma omp parallel for schedule(static) if (rows > 1 && rows * n >= PARALLEL_FROM)
    for (int64_t r = 0; r < rows; r++)
        gate[r] = tanhf(bias + dot(h + r * n, weight, n));
}

void lay_add_gated(const float *x, const float *gate, float *y, int64_t rows, int64_t n)
{
#pragma omp parallel for schedule(static) if (rows > 1 && rows * n >= PARALLEL_FROM)
    for (int64_t r = 0; r < rows; r++)
        add_scaled(x + r * n, gate[r], y + r * n, n);
}

void lay_gated_backward(const float *x, const float *gate, float *dy, float *du, int64_t rows, int64_t n)
{
#pragma omp parallel for schedule(static) if (rows > 1 && rows * n >= PARALLEL_FROM)
    for (int64_t r = 0; r < rows; r++) {
        du[r] = (1.0f - gate[r] * gate[r]) * dot(dy + r * n, x + r * n, n);
        scale(dy + r * n, gate[r], n);
    }
}

void lay_gate_inputs(const float *du, const float *weight, float *dh, int64_t rows, int64_t n)
{
#pragma omp parallel for schedule(static) if (rows > 1 && rows * n >= PARALLEL_FROM)
    for (int64_t r = 0; r < rows; r++)
        add_scaled(weight, du[r], dh + r * n, n);
}

/* A column's sum is one thread's, over the rows in order. */
void lay_gate_weight(const float *du, const float *h, float *dweight, float *dbias, int64_t rows, int64_t n)
{
    const int64_t tasks = (n + COLUMNS - 1) / COLUMNS;
    for (int64_t r = 0; r < rows; r++)
        *dbias += du[r];
#pragma omp parallel for schedule(static) if (rows * n >= PARALLEL_FROM)
    for (int64_t task = 0; task < tasks; task++) {
        const int64_t c = task * COLUMNS, width = n - c < COLUMNS ? n - c : COLUMNS;
        for (int64_t r = 0; r < rows; r++)
            add_scaled(h + r * n + c, du[r], dweight + c, width);
    }
}

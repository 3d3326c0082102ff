#include "engine/nn/gradient.h"
#include "engine/nn/vector.h"

#include <assert.h>

#define HALF_MAX (LAY_MAX_HEAD_DIM / 2)

/* sin and cos of f32 angles, computed in f64: reduced by multiples of π/2 in two parts (exact enough for
 * angles up to 2^20), then Taylor polynomials on |r| ≤ π/4, whose error is below 1e-9: the results are f32
 * values rounded correctly but for near-ties. */
LAY_CLONES static void sin_cos(const float *restrict inv_freq, float position, int64_t n,
                               float *restrict sines, float *restrict cosines)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        const float angle = position * inv_freq[i];
        const double shifted = (double)angle * 0.63661977236758134 + 6755399441055744.0; /* 1.5 · 2^52 */
        uint64_t bits;
        memcpy(&bits, &shifted, sizeof bits);
        const double quarter = shifted - 6755399441055744.0;
        const double r = ((double)angle - quarter * 1.5707963267948966) - quarter * 6.123233995736766e-17;
        const double s = r * r;
        const double sine =
            r + r * s * (-1.0 / 6 + s * (1.0 / 120 + s * (-1.0 / 5040 + s * (1.0 / 362880 - s / 39916800))));
        const double cosine =
            1.0 - s * (0.5 - s * (1.0 / 24 - s * (1.0 / 720 - s * (1.0 / 40320 - s * (1.0 / 3628800)))));
        const double a = bits & 1 ? cosine : sine, b = bits & 1 ? sine : cosine;
        sines[i] = (float)(bits & 2 ? -a : a);
        cosines[i] = (float)((bits + 1) & 2 ? -b : b);
    }
}

LAY_CLONES static void rotate(float *restrict low, float *restrict high, int64_t n,
                              const float *restrict sines, const float *restrict cosines)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        const float a = low[i], b = high[i];
        low[i] = a * cosines[i] - b * sines[i];
        high[i] = b * cosines[i] + a * sines[i];
    }
}

/* direction: 1, or −1 for the inverse rotation. */
static void turn(float *x, int64_t rows, int64_t stride, int64_t heads, int64_t head_dim,
                 const int64_t *positions, const float *inv_freq, int direction)
{
    assert(head_dim % 2 == 0 && head_dim <= LAY_MAX_HEAD_DIM);
    const int64_t half = head_dim / 2;
#pragma omp parallel for schedule(static) if (rows > 1 && rows * heads * head_dim > 8192)
    for (int64_t r = 0; r < rows; r++) {
        float sines[HALF_MAX], cosines[HALF_MAX];
        sin_cos(inv_freq, (float)(direction * positions[r]), half, sines, cosines);
        for (int64_t h = 0; h < heads; h++) {
            float *head = x + r * stride + h * head_dim;
            rotate(head, head + half, half, sines, cosines);
        }
    }
}

void lay_rope(float *x, int64_t rows, int64_t stride, int64_t heads, int64_t head_dim,
              const int64_t *positions, const float *inv_freq)
{
    turn(x, rows, stride, heads, head_dim, positions, inv_freq, 1);
}

void lay_rope_backward(float *dx, int64_t rows, int64_t stride, int64_t heads, int64_t head_dim,
                       const int64_t *positions, const float *inv_freq)
{
    turn(dx, rows, stride, heads, head_dim, positions, inv_freq, -1);
}

#include "engine/nn/kernels.h"
#include "engine/nn/vector.h"

#define CHUNK 16384

LAY_CLONES static void add(float *restrict y, const float *restrict x, int64_t n)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        y[i] += x[i];
}

void lay_add(float *y, const float *x, int64_t n)
{
#pragma omp parallel for schedule(static) if (n > 2 * CHUNK)
    for (int64_t i = 0; i < n; i += CHUNK)
        add(y + i, x + i, n - i < CHUNK ? n - i : CHUNK);
}

/* The largest of n; NaN counts as −∞. */
LAY_CLONES static float largest(const float *x, int64_t n)
{
    lay_vec best = lay_vec_set(-INFINITY);
    int64_t i = 0;
    for (; i + LAY_LANES <= n; i += LAY_LANES)
        best = lay_vec_max(lay_vec_load(x + i), best);
    float m = -INFINITY;
    for (int lane = 0; lane < LAY_LANES; lane++)
        m = best[lane] > m ? best[lane] : m;
    for (; i < n; i++)
        m = x[i] > m ? x[i] : m;
    return m;
}

int32_t lay_argmax(const float *x, int64_t n)
{
    const float m = largest(x, n);
    for (int64_t i = 0; i < n; i++)
        if (x[i] == m)
            return (int32_t)i;
    return 0; /* nothing but NaN */
}

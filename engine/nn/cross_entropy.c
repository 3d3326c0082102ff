#include "engine/nn/gradient.h"
#include "engine/nn/vector.h"

#define BLOCK 4096 /* exponentials added up in f32 before f64 takes over; a multiple of LAY_LANES */

/* x = exp(x − shift) of up to BLOCK elements; returns their sum. */
LAY_CLONES static float exponentiate(float *x, int64_t n, float shift)
{
    lay_vec sum = lay_vec_set(0.0f);
    int64_t i = 0;
    for (; i + LAY_LANES <= n; i += LAY_LANES) {
        const lay_vec e = lay_vec_exp(lay_vec_load(x + i) - shift);
        lay_vec_store(x + i, e);
        sum += e;
    }
    float total = lay_vec_sum(sum);
    if (i < n) {
        float rest[LAY_LANES];
        lay_vec_store(rest, lay_vec_exp(lay_vec_load_part(x + i, n - i) - shift));
        for (int64_t j = 0; i + j < n; j++)
            total += x[i + j] = rest[j];
    }
    return total;
}

LAY_CLONES static void scale(float *x, int64_t n, float factor)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        x[i] *= factor;
}

/* log Σ exp(x) − x[target]. */
static double row_loss(float *x, int64_t n, int32_t target, float weight)
{
    const float max = x[lay_argmax(x, n)], own = x[target];
    double sum = (double)exponentiate(x, n < BLOCK ? n : BLOCK, max);
    for (int64_t i = BLOCK; i < n; i += BLOCK)
        sum += (double)exponentiate(x + i, n - i < BLOCK ? n - i : BLOCK, max);
    scale(x, n, (float)((double)weight / sum));
    x[target] -= weight;
    return log(sum) - ((double)own - (double)max);
}

void lay_cross_entropy(float *logits, const int32_t *targets, int64_t rows, int64_t n, float weight,
                       double *loss)
{
#pragma omp parallel for schedule(static)
    for (int64_t r = 0; r < rows; r++)
        loss[r] = row_loss(logits + r * n, n, targets[r], weight);
}

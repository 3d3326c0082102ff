#include "engine/train/optimizer.h"

#include <math.h>

void lay_adamw_step(const struct lay_adamw *adamw, double learning_rate, int64_t step, size_t count,
                    const float *gradient, float *value, float *first, float *second)
{
    const float beta1 = (float)adamw->beta1, rest1 = (float)(1 - adamw->beta1);
    const float beta2 = (float)adamw->beta2, rest2 = (float)(1 - adamw->beta2);
    const float keep = (float)(1 - learning_rate * adamw->weight_decay);
    const float size = (float)(learning_rate / (1 - pow(adamw->beta1, (double)step)));
    const float root = (float)sqrt(1 - pow(adamw->beta2, (double)step));
    const float epsilon = (float)adamw->epsilon;
    for (size_t i = 0; i < count; i++) {
        const float g = gradient[i];
        first[i] = beta1 * first[i] + rest1 * g;
        second[i] = beta2 * second[i] + rest2 * g * g;
        value[i] = value[i] * keep - size * (first[i] / (sqrtf(second[i]) / root + epsilon));
    }
}

double lay_sum_of_squares(const float *x, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += (double)x[i] * (double)x[i];
    return sum;
}

double lay_clip_factor(double norm, double limit)
{
    const double factor = limit / (norm + 1e-6);
    return limit > 0 && factor < 1 ? factor : 1;
}

#include "engine/nn/gradient.h"

#include "engine/base/random.h"

/* A row is one thread's, and an element's fate is a function of its place. */
void lay_dropout(float *x, int64_t rows, int64_t n, uint64_t key, double probability)
{
    const uint64_t limit = (uint64_t)(probability * 0x1p64);
    const float scale = (float)(1 / (1 - probability));
#pragma omp parallel for schedule(static) if (rows * n > 4096)
    for (int64_t r = 0; r < rows; r++) {
        const uint64_t row = lay_random_mix(key + (uint64_t)(r + 1) * LAY_RANDOM_STEP);
        for (int64_t i = 0; i < n; i++) {
            const uint64_t drawn = lay_random_mix(row + (uint64_t)(i + 1) * LAY_RANDOM_STEP);
            x[r * n + i] = drawn < limit ? 0 : x[r * n + i] * scale;
        }
    }
}

#include "engine/nn/fuse.h"

#include "engine/nn/vector.h"

/* Elements handled at once: both sums of four vectors each stay in registers while the layers pass by. */
enum { BLOCK = 4 * LAY_LANES };

LAY_INLINE lay_vec relu(lay_vec x)
{
    return lay_vec_max(x, lay_vec_set(0.0f));
}

LAY_CLONES static void fuse_block(const float *const *layers, int64_t m, const float *weight,
                                  const float *bias, float *a, float *b, int64_t at)
{
    lay_vec sum_a[BLOCK / LAY_LANES], sum_b[BLOCK / LAY_LANES];
    for (int i = 0; i < BLOCK / LAY_LANES; i++) {
        sum_a[i] = lay_vec_set(bias[0]);
        sum_b[i] = lay_vec_set(bias[1]);
    }
    for (int64_t j = 0; j < m; j++) {
        const lay_vec wa = lay_vec_set(weight[j]), wb = lay_vec_set(weight[m + j]);
        for (int i = 0; i < BLOCK / LAY_LANES; i++) {
            const lay_vec h = lay_vec_load(layers[j] + at + i * LAY_LANES);
            sum_a[i] += wa * h;
            sum_b[i] += wb * h;
        }
    }
    for (int i = 0; i < BLOCK / LAY_LANES; i++) {
        lay_vec_store(a + at + i * LAY_LANES, relu(sum_a[i]));
        lay_vec_store(b + at + i * LAY_LANES, relu(sum_b[i]));
    }
}

/* Fewer than BLOCK elements at the end, a vector at a time. */
LAY_CLONES static void fuse_rest(const float *const *layers, int64_t m, const float *weight,
                                 const float *bias, float *a, float *b, int64_t at, int64_t n)
{
    for (; at < n; at += LAY_LANES) {
        const int64_t width = n - at < LAY_LANES ? n - at : LAY_LANES;
        lay_vec sum_a = lay_vec_set(bias[0]), sum_b = lay_vec_set(bias[1]);
        for (int64_t j = 0; j < m; j++) {
            const lay_vec h = lay_vec_load_part(layers[j] + at, width);
            sum_a += lay_vec_set(weight[j]) * h;
            sum_b += lay_vec_set(weight[m + j]) * h;
        }
        lay_vec_store_part(a + at, relu(sum_a), width);
        lay_vec_store_part(b + at, relu(sum_b), width);
    }
}

void lay_fuse_layers(const float *const *layers, int64_t m, const float *weight, const float *bias, float *a,
                     float *b, int64_t n)
{
    const int64_t blocks = n / BLOCK;
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < blocks; i++)
        fuse_block(layers, m, weight, bias, a, b, i * BLOCK);
    fuse_rest(layers, m, weight, bias, a, b, blocks * BLOCK, n);
}

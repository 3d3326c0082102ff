#include "engine/nn/gradient.h"
#include "engine/nn/vector.h"

#define BLOCK 1024 /* elements whose products are added up in f32 before f64 takes over */

/* dx = 0 where the ReLU's result is. */
LAY_CLONES static void mask(const float *restrict x, float *restrict dx, int64_t n)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        dx[i] = x[i] > 0.0f ? dx[i] : 0.0f;
}

LAY_CLONES static float dot(const float *a, const float *b, int64_t n)
{
    return lay_vec_dot(a, b, n);
}

LAY_CLONES static float sum_of(const float *x, int64_t n)
{
    lay_vec sum = lay_vec_set(0.0f);
    int64_t i = 0;
    for (; i + LAY_LANES <= n; i += LAY_LANES)
        sum += lay_vec_load(x + i);
    if (i < n)
        sum += lay_vec_load_part(x + i, n - i);
    return lay_vec_sum(sum);
}

LAY_CLONES static void add_two(float *restrict y, const float *restrict a, const float *restrict b, float wa,
                               float wb, int64_t n)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        y[i] += wa * a[i] + wb * b[i];
}

/* Σ d · layer (layer NULL: Σ d), block by block. */
static float reduce(const float *d, const float *layer, int64_t n)
{
    double total = 0;
    for (int64_t i = 0; i < n; i += BLOCK) {
        const int64_t part = n - i < BLOCK ? n - i : BLOCK;
        total += (double)(layer ? dot(d + i, layer + i, part) : sum_of(d + i, part));
    }
    return (float)total;
}

/* Each layer's sums are one thread's, over the elements in order. */
void lay_fuse_backward(const struct lay_fuse_gradient *f)
{
    mask(f->a, f->da, f->n);
    mask(f->b, f->db, f->n);
    f->dbias[0] += reduce(f->da, NULL, f->n);
    f->dbias[1] += reduce(f->db, NULL, f->n);
#pragma omp parallel for schedule(static)
    for (int64_t j = 0; j < f->m; j++) {
        f->dweight[j] += reduce(f->da, f->layers[j], f->n);
        f->dweight[f->m + j] += reduce(f->db, f->layers[j], f->n);
        if (f->dlayers)
            add_two(f->dlayers[j], f->da, f->db, f->weight[j], f->weight[f->m + j], f->n);
    }
}

void lay_mean_backward(const float *da, const float *db, float *const *dlayers, int64_t m, int64_t n)
{
    const float share = 1.0f / (float)m;
#pragma omp parallel for schedule(static)
    for (int64_t j = 0; j < m; j++)
        add_two(dlayers[j], da, db, share, share, n);
}

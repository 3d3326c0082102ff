#include "engine/nn/fuse.h"

#include "engine/nn/vector.h"

/* The sums of MANY outputs, or of FEW where fewer are left, over a block of elements stay in registers while
 * the layers pass by: sixteen and eight vectors. */
enum { MANY = 8, FEW = 2, MANY_BLOCK = 2 * LAY_LANES, FEW_BLOCK = 4 * LAY_LANES };

/* The layers are more streams than a CPU fetches ahead by itself. */
enum { AHEAD = 512 };

struct fusion {
    const float *const *layers;
    int64_t m;
    const float *weight, *bias;
    float *out;
    int64_t n;
};

LAY_INLINE lay_vec relu(lay_vec x)
{
    return lay_vec_max(x, lay_vec_set(0.0f));
}

/* Elements at … of `outs` outputs from the o-th on, `vectors` vectors; constants after inlining. */
LAY_INLINE void fuse_block(const struct fusion *f, int64_t o, int64_t at, int outs, int vectors)
{
    const float *weight = f->weight + o * f->m;
    lay_vec sum[MANY][FEW_BLOCK / LAY_LANES];
#pragma GCC unroll 8
    for (int k = 0; k < outs; k++)
#pragma GCC unroll 8
        for (int i = 0; i < vectors; i++)
            sum[k][i] = lay_vec_set(f->bias[o + k]);
    for (int64_t j = 0; j < f->m; j++) {
        const float *layer = f->layers[j] + at;
#pragma GCC unroll 8
        for (int i = 0; i < vectors; i++) {
            const lay_vec h = lay_vec_load(layer + i * LAY_LANES);
            __builtin_prefetch(layer + i * LAY_LANES + AHEAD);
#pragma GCC unroll 8
            for (int k = 0; k < outs; k++)
                sum[k][i] += weight[k * f->m + j] * h;
        }
    }
#pragma GCC unroll 8
    for (int k = 0; k < outs; k++)
#pragma GCC unroll 8
        for (int i = 0; i < vectors; i++)
            lay_vec_store(f->out + (o + k) * f->n + at + i * LAY_LANES, relu(sum[k][i]));
}

LAY_CLONES static void fuse_many(const struct fusion *f, int64_t o, int64_t at)
{
    fuse_block(f, o, at, MANY, MANY_BLOCK / LAY_LANES);
}

LAY_CLONES static void fuse_few(const struct fusion *f, int64_t o, int64_t at)
{
    fuse_block(f, o, at, FEW, FEW_BLOCK / LAY_LANES);
}

/* One output from element `at` on, a vector at a time. */
LAY_CLONES static void fuse_rest(const struct fusion *f, int64_t o, int64_t at)
{
    for (; at < f->n; at += LAY_LANES) {
        const int64_t width = f->n - at < LAY_LANES ? f->n - at : LAY_LANES;
        lay_vec sum = lay_vec_set(f->bias[o]);
        for (int64_t j = 0; j < f->m; j++)
            sum += f->weight[o * f->m + j] * lay_vec_load_part(f->layers[j] + at, width);
        lay_vec_store_part(f->out + o * f->n + at, relu(sum), width);
    }
}

/* Outputs o … o + outs − 1 over all elements. */
static void fuse_outputs(const struct fusion *f, int64_t o, int outs)
{
    const int64_t block = outs == MANY ? MANY_BLOCK : FEW_BLOCK, blocks = outs == 1 ? 0 : f->n / block;
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < blocks; i++)
        (outs == MANY ? fuse_many : fuse_few)(f, o, i * block);
    for (int k = 0; k < outs; k++)
        fuse_rest(f, o + k, blocks * block);
}

void lay_fuse_layers(const float *const *layers, int64_t m, const float *weight, const float *bias,
                     int64_t count, float *out, int64_t n)
{
    const struct fusion f = {layers, m, weight, bias, out, n};
    for (int64_t o = 0; o < count;) {
        const int outs = count - o >= MANY ? MANY : count - o >= FEW ? FEW : 1;
        fuse_outputs(&f, o, outs);
        o += outs;
    }
}

LAY_CLONES static void mean_block(const float *const *layers, int64_t m, float *restrict a, int64_t at,
                                  int64_t n)
{
    const float share = 1.0f / (float)m;
    memcpy(a + at, layers[0] + at, (size_t)n * sizeof *a);
    for (int64_t j = 1; j < m; j++) {
        const float *restrict layer = layers[j];
#pragma omp simd
        for (int64_t i = at; i < at + n; i++)
            a[i] += layer[i];
    }
#pragma omp simd
    for (int64_t i = at; i < at + n; i++)
        a[i] *= share;
}

void lay_mean_layers(const float *const *layers, int64_t m, float *a, int64_t n)
{
    const int64_t size = 1024, blocks = (n + size - 1) / size;
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < blocks; i++)
        mean_block(layers, m, a, i * size, n - i * size < size ? n - i * size : size);
}

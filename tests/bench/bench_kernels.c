/* Times of our own kernels on shapes of real models: best of many. Threads: OMP_NUM_THREADS. */
#include "engine/base/clock.h"
#include "engine/base/dtype.h"
#include "engine/nn/kernels.h"
#include "tests/bench/filled.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Runs `statement` for a while and leaves its best time in `best`. */
#define MEASURE(best, statement)                                                                             \
    do {                                                                                                     \
        const double start_ = lay_clock_now();                                                               \
        (best) = 1e9;                                                                                        \
        while (lay_clock_now() - start_ < 0.2) {                                                             \
            const double t_ = lay_clock_now();                                                               \
            statement;                                                                                       \
            (best) = lay_clock_now() - t_ < (best) ? lay_clock_now() - t_ : (best);                          \
        }                                                                                                    \
    } while (0)

/* One layer's attention: n_seqs sequences of `rows` new rows each, at the end of `tokens` tokens. */
static void attention(const char *name, enum lay_dtype dtype, int64_t heads, int64_t kv_heads,
                      int64_t head_dim, int64_t n_seqs, int64_t rows, int64_t tokens)
{
    enum { LAYERS = 22 }; /* as many pages' worth of memory as a model has, so that keys come from memory */
    const struct lay_kv_shape shape = {LAYERS, kv_heads, head_dim, dtype};
    const int64_t width = kv_heads * head_dim;
    struct lay_kv_pool *pool = NULL;
    const size_t bytes = (size_t)(n_seqs * lay_kv_pages_for(tokens)) * lay_kv_page_bytes(&shape);
    if (lay_kv_pool_create(&shape, bytes, &pool, NULL) != LAY_OK)
        exit(1);
    struct lay_kv_seq *seqs = calloc((size_t)n_seqs, sizeof *seqs);
    struct lay_attention_span *spans = calloc((size_t)n_seqs, sizeof *spans);
    float *kv = filled(tokens * width), *q = filled(n_seqs * rows * heads * head_dim);
    float *out = filled(n_seqs * rows * heads * head_dim);
    for (int64_t s = 0; s < n_seqs; s++) {
        if (lay_kv_reserve(pool, &seqs[s], tokens, NULL) != LAY_OK)
            exit(1);
        for (int64_t layer = 0; layer < LAYERS; layer++)
            lay_kv_write(pool, &seqs[s], layer, 0, tokens, kv, width, kv, width);
        spans[s] = (struct lay_attention_span){&seqs[s], s * rows, rows, tokens - rows, 0};
    }
    double best;
    int64_t layer = 0;
    MEASURE(best, lay_attention_paged(pool, layer++ % LAYERS, spans, n_seqs, q, heads * head_dim, heads, 0.1f,
                                      true, 0, out));
    const double keys = (double)n_seqs * (double)rows * ((double)tokens - 0.5 * (double)(rows - 1));
    printf("%-34s %-4s %8.3f ms  %6.1f GFLOP/s\n", name, lay_dtype_name(dtype), 1e3 * best,
           4e-9 * keys * (double)(heads * head_dim) / best);
    for (int64_t s = 0; s < n_seqs; s++)
        lay_kv_release(pool, &seqs[s]);
    lay_kv_pool_destroy(pool);
    free(seqs);
    free(spans);
    free(kv);
    free(q);
    free(out);
}

static void encoder(int64_t heads, int64_t head_dim, int64_t n_seqs, int64_t length)
{
    float *qkv = filled(n_seqs * length * 3 * heads * head_dim),
          *out = filled(n_seqs * length * heads * head_dim);
    float *bias = filled(heads * (2 * length - 1));
    int64_t *lengths = malloc((size_t)n_seqs * sizeof *lengths);
    for (int64_t s = 0; s < n_seqs; s++)
        lengths[s] = length;
    double best;
    MEASURE(best, lay_attention_encoder(qkv, lengths, NULL, n_seqs, heads, head_dim, 1, bias, length, out));
    printf("encoder %d x %d, %d heads of %d %8.3f ms  %6.1f GFLOP/s\n", (int)n_seqs, (int)length, (int)heads,
           (int)head_dim, 1e3 * best, 4e-9 * (double)(n_seqs * length * length * heads * head_dim) / best);
    free(qkv);
    free(out);
    free(bias);
    free(lengths);
}

static void rows_of(int64_t rows, int64_t n, int64_t wide)
{
    float *x = filled(rows * 2 * wide), *y = filled(rows * wide), *weight = filled(n), *inv = filled(64);
    int64_t *positions = calloc((size_t)rows, sizeof *positions);
    double norm, gated, rope, add;
    MEASURE(norm, lay_rms_norm(x, weight, y, rows, n, 1e-6f));
    MEASURE(gated, lay_activate_gated(LAY_SILU, x, y, rows, wide));
    MEASURE(rope, lay_rope(x, rows, n, n / 64, 64, positions, inv));
    MEASURE(add, lay_add(y, x, rows * n));
    printf("rows %4d: rms_norm %d %.3f ms, gated silu %d %.3f ms, rope %.3f ms, add %.3f ms\n", (int)rows,
           (int)n, 1e3 * norm, (int)wide, 1e3 * gated, 1e3 * rope, 1e3 * add);
    free(x);
    free(y);
    free(weight);
    free(inv);
    free(positions);
}

int main(void)
{
    for (int f = 0; f < 2; f++) {
        const enum lay_dtype dtype = f ? LAY_BF16 : LAY_F32;
        attention("1.1B decode 32 x 200", dtype, 32, 4, 64, 32, 1, 200);
        attention("1.1B decode 1 x 1000", dtype, 32, 4, 64, 1, 1, 1000);
        attention("7B decode 32 x 200", dtype, 32, 32, 128, 32, 1, 200);
        attention("7B decode 1 x 200", dtype, 32, 32, 128, 1, 1, 200);
        attention("1.1B decode 1 x 200", dtype, 32, 4, 64, 1, 1, 200);
        attention("1.1B prefill 128", dtype, 32, 4, 64, 1, 128, 128);
        attention("1.1B prefill 512", dtype, 32, 4, 64, 1, 512, 512);
        attention("7B prefill 512", dtype, 32, 32, 128, 1, 512, 512);
    }
    encoder(16, 64, 8, 60);
    encoder(32, 64, 4, 256);
    rows_of(1, 2048, 5632);
    rows_of(32, 2048, 5632);
    rows_of(512, 2048, 5632);
    return 0;
}

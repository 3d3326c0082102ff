#include "engine/base/clock.h"
#include "engine/base/mem.h"
#include "harness/selftest/selftest.h"

#include <string.h>

const int64_t lay_selftest_kernel_rows[LAY_SELFTEST_KERNEL_ROWS] = {1, 8, 32, 128};

#define BLOCK_OUT 512 /* outputs with weights of their own; the matrix repeats them */
#define PARTS_MAX 1024

/* Rows of every size class: alone, odd, a tile, a full batch. */
static const int64_t tried_rows[] = {1, 2, 5, 8, 17, 32, LAY_INVARIANCE_ROWS};

/* The layers of a shape as engine/model packs them. */
static size_t layers_of(const struct lay_shape *s, struct lay_selftest_layer layers[LAY_SELFTEST_LAYERS_MAX])
{
    const int64_t q = s->heads * s->head_dim, kv = s->kv_heads * s->head_dim;
    const bool encoder =
        s->family == LAY_FAMILY_MT5 || s->family == LAY_FAMILY_M2M100 || s->family == LAY_FAMILY_XLMR;
    const bool gated = !encoder || s->family == LAY_FAMILY_MT5;
    const struct lay_selftest_layer all[] = {
        {.name = "qkv", .in = s->hidden, .out = encoder ? 3 * q : 0},
        {.name = "q", .in = s->hidden, .out = encoder ? 0 : q},
        {.name = "k, v", .in = s->hidden, .out = encoder ? 0 : kv},
        {.name = "o", .in = q, .out = s->hidden},
        {.name = gated ? "gate_up" : "up", .in = s->hidden, .out = gated ? 2 * s->inner : s->inner},
        {.name = "down", .in = s->inner, .out = s->hidden},
        {.name = "head", .in = s->hidden, .out = encoder ? 0 : s->vocab},
    };
    size_t n = 0;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i].out > 0)
            layers[n++] = all[i];
    return n;
}

/* [BLOCK_OUT, in] of bf16 weights, spread so that results stay near 1. */
static uint16_t *random_block(int64_t in)
{
    const struct lay_shape_tensor tensor = {
        .name = "selftest", .rank = 1, .count = (size_t)(BLOCK_OUT * in), .scale = 0.02f};
    uint16_t *block = lay_alloc(tensor.count, sizeof *block);
    float *row = lay_alloc((size_t)in, sizeof *row);
    for (int64_t o = 0; o < BLOCK_OUT && block && row; o++) {
        lay_shape_fill(1, &tensor, (size_t)(o * in), (size_t)in, row);
        lay_from_f32(LAY_BF16, row, block + o * in, (size_t)in);
    }
    if (!row) {
        lay_free(block);
        block = NULL;
    }
    lay_free(row);
    return block;
}

static enum lay_status pack(struct lay_dnn *dnn, const struct lay_selftest_layer *layer, enum lay_dtype dtype,
                            struct lay_linear **linear, struct lay_err *err)
{
    struct lay_matrix parts[PARTS_MAX];
    int n = 0;
    if (layer->out > (int64_t)BLOCK_OUT * PARTS_MAX)
        return lay_fail(err, LAY_ERR_INTERNAL, "a layer of %lld outputs", (long long)layer->out);
    uint16_t *block = random_block(layer->in);
    if (!block)
        return lay_no_memory(err, "random weights");
    for (int64_t first = 0; first < layer->out; first += BLOCK_OUT) {
        const int64_t rows = layer->out - first < BLOCK_OUT ? layer->out - first : BLOCK_OUT;
        parts[n++] = (struct lay_matrix){block, LAY_BF16, rows, layer->in, false};
    }
    const enum lay_status status = lay_linear_create(dnn, dtype, parts, n, NULL, linear, err);
    lay_free(block);
    return status;
}

static enum lay_status try_layer(struct lay_dnn *dnn, enum lay_dtype dtype, struct lay_selftest_layer *layer,
                                 struct lay_err *err)
{
    struct lay_invariance_trial trials[LAY_INVARIANCE_TRIALS_MAX];
    const size_t n = lay_invariance_many(tried_rows, sizeof tried_rows / sizeof *tried_rows, trials);
    struct lay_linear *linear = NULL;
    layer->verdict = (struct lay_invariance){.holds = true};
    LAY_TRY(pack(dnn, layer, dtype, &linear, err));
    for (int i = 0; i < LAY_SELFTEST_KERNEL_ROWS; i++)
        lay_linear_kernel(linear, lay_selftest_kernel_rows[i], layer->kernels[i]);
    const enum lay_status status = lay_linear_invariance(linear, trials, n, &layer->verdict, err);
    lay_linear_destroy(linear);
    return status;
}

enum lay_status lay_selftest_try_products(struct lay_dnn *dnn, const struct lay_shape *shape,
                                          enum lay_dtype dtype, const volatile sig_atomic_t *stop,
                                          struct lay_selftest_products *products, struct lay_err *err)
{
    const double start = lay_clock_now();
    *products = (struct lay_selftest_products){.shape = shape, .dtype = dtype};
    products->n_layers = layers_of(shape, products->layers);
    for (size_t i = 0; i < products->n_layers; i++) {
        if (*stop)
            return lay_fail(err, LAY_ERR_INTERRUPTED, "interrupted");
        LAY_TRY(try_layer(dnn, dtype, &products->layers[i], err));
    }
    products->seconds = lay_clock_now() - start;
    return LAY_OK;
}

/* int8 products: y = step_x · step_w · Σ q_x q_w, the sum exact in 32 bits.
 *
 * oneDNN multiplies unsigned by signed bytes fastest, so a row's integers are shifted by LAY_U8_ZERO, and the
 * shift, LAY_U8_ZERO · Σ q_w per output, is taken off afterwards. Integer sums do not depend on their order,
 * so neither rows, threads nor kernels can change a result. */
#include "engine/base/clones.h"
#include "engine/base/profile.h"
#include "engine/dnn/internal.h"

#include <omp.h>

#define SERIAL_BELOW 8192 /* elements that are not worth waking threads for */

/* y = (y +) step · scale · (sum − shift) + bias for the outputs of one row. */
LAY_CLONES static void scale_row(const struct lay_linear *l, const int32_t *restrict sum, float step,
                                 float *restrict y, bool accumulate)
{
    const int32_t *restrict shift = l->sums;
    const float *restrict scales = l->scales;
    const int64_t n = l->out;
    if (accumulate)
        for (int64_t i = 0; i < n; i++)
            y[i] += (float)(sum[i] - shift[i]) * (step * scales[i]);
    else
        for (int64_t i = 0; i < n; i++)
            y[i] = (float)(sum[i] - shift[i]) * (step * scales[i]);
    if (l->bias)
        for (int64_t i = 0; i < n; i++)
            y[i] += l->bias[i];
}

/* Rows of `in` inputs as bytes in dnn->rows, their steps in dnn->steps. */
static enum lay_status quantise_rows(struct lay_dnn *dnn, const float *x, int64_t rows, int64_t in,
                                     struct lay_err *err)
{
    LAY_TRY(lay_scratch_reserve(&dnn->rows, (size_t)(rows * in), "input rows", err));
    LAY_TRY(lay_scratch_reserve(&dnn->steps, (size_t)rows * sizeof(float), "input rows", err));
    uint8_t *q = (uint8_t *)dnn->rows.data;
    float *steps = (float *)(void *)dnn->steps.data;
#pragma omp parallel for schedule(static) if (rows > 1 && rows * in > 16384) /* every row by itself */
    for (int64_t r = 0; r < rows; r++)
        steps[r] = lay_quantise_u8(x + r * in, q + r * in, in);
    return LAY_OK;
}

/* sums [rows, out] of rows of bytes. */
static enum lay_status multiply(const struct lay_linear *l, const uint8_t *q, int64_t rows, int32_t *sums,
                                struct lay_err *err)
{
    struct lay_dnn *dnn = l->dnn;
    const struct lay_product key = {.type = dnnl_u8,
                                    .rows = rows,
                                    .in = l->in,
                                    .out = l->out,
                                    .threads = omp_get_max_threads(),
                                    .weights = l->desc[0]};
    struct lay_product *product = NULL;
    LAY_TRY(lay_product_get(dnn, &key, &product, err));
    LAY_TRY(lay_scratch_reserve(&dnn->pad, product->scratch_bytes, "oneDNN's scratchpad", err));
    return lay_dnn_check(
        lay_product_run(product, dnn->engine, dnn->stream, q, l->packed, NULL, sums, dnn->pad.data),
        "a product", err);
}

/* Layers of the same input, one after the other; their sums are scaled together, every row by itself. */
static enum lay_status run_block(const struct lay_linear *const *layers, int n, const uint8_t *q,
                                 const float *steps, float *const *y, int64_t first, int64_t rows,
                                 bool accumulate, struct lay_err *err)
{
    int32_t *const sums = (int32_t *)(void *)layers[0]->dnn->result.data;
    int64_t out = 0;
    for (int i = 0; i < n; out += layers[i++]->out)
        LAY_TRY(multiply(layers[i], q + first * layers[i]->in, rows, sums + rows * out, err));
#pragma omp parallel for schedule(static) if (rows > 1 && rows * out > SERIAL_BELOW)
    for (int64_t r = 0; r < rows; r++) {
        const int32_t *sum = sums;
        for (int i = 0; i < n; sum += rows * layers[i++]->out)
            scale_row(layers[i], sum + r * layers[i]->out, steps[first + r],
                      y[i] + (first + r) * layers[i]->out, accumulate);
    }
    return LAY_OK;
}

static enum lay_status run(const struct lay_linear *const *layers, int n, const float *x, float *const *y,
                           int64_t rows, bool accumulate, struct lay_err *err)
{
    struct lay_dnn *dnn = layers[0]->dnn;
    const int64_t block = lay_block_rows(rows);
    int64_t out = 0;
    for (int i = 0; i < n; i++)
        out += layers[i]->out;
    LAY_TRY(lay_scratch_reserve(&dnn->result, (size_t)(block * out) * sizeof(int32_t), "a product", err));
    LAY_TRY(quantise_rows(dnn, x, rows, layers[0]->in, err));
    const uint8_t *q = (const uint8_t *)dnn->rows.data;
    const float *steps = (const float *)(const void *)dnn->steps.data;
    for (int64_t r = 0; r < rows; r += block)
        LAY_TRY(run_block(layers, n, q, steps, y, r, rows - r < block ? rows - r : block, accumulate, err));
    return LAY_OK;
}

enum lay_status lay_linear_run_quantised(const struct lay_linear *l, const float *x, float *y, int64_t rows,
                                         bool accumulate, struct lay_err *err)
{
    return run(&l, 1, x, &y, rows, accumulate, err);
}

enum lay_status lay_linear_run_quantised_each(const struct lay_linear *const *layers, int n, const float *x,
                                              float *const *y, int64_t rows, struct lay_err *err)
{
    return run(layers, n, x, y, rows, false, err);
}

/* Rows of sums to the next layer's rows of bytes, every row by itself and while it is in a thread's cache. */
static enum lay_status pass_on(const struct lay_feed_forward *f, int64_t rows, struct lay_err *err)
{
    struct lay_dnn *dnn = f->in->dnn;
    const int64_t wide = f->in->out, narrow = f->out->in;
    const size_t each = (size_t)(wide + narrow);
    LAY_TRY(lay_scratch_reserve(&dnn->between, (size_t)omp_get_max_threads() * each * sizeof(float),
                                "rows between two layers", err));
    float *const between = (float *)(void *)dnn->between.data;
    const int32_t *sums = (const int32_t *)(const void *)dnn->result.data;
    float *steps = (float *)(void *)dnn->steps.data;
    uint8_t *q = (uint8_t *)dnn->rows.data; /* what was multiplied is not needed any more */
#pragma omp parallel for schedule(static) if (rows > 1 && rows * wide > SERIAL_BELOW)
    for (int64_t r = 0; r < rows; r++) {
        float *from = between + (size_t)omp_get_thread_num() * each, *to = from + wide;
        scale_row(f->in, sums + r * wide, steps[r], from, false);
        f->between(f->context, from, to);
        steps[r] = lay_quantise_u8(to, q + r * narrow, narrow);
    }
    return LAY_OK;
}

enum lay_status lay_feed_forward_quantised(const struct lay_feed_forward *f, const float *x, float *y,
                                           int64_t rows, struct lay_err *err)
{
    struct lay_dnn *dnn = f->in->dnn;
    const int64_t widest = f->in->out > f->out->out ? f->in->out : f->out->out;
    const int64_t longest = f->in->in > f->out->in ? f->in->in : f->out->in;
    LAY_TRY(lay_scratch_reserve(&dnn->rows, (size_t)(rows * longest), "input rows", err));
    LAY_TRY(lay_scratch_reserve(&dnn->result, (size_t)(rows * widest) * sizeof(int32_t), "a product", err));
    LAY_TRY(quantise_rows(dnn, x, rows, f->in->in, err));
    const uint8_t *q = (const uint8_t *)dnn->rows.data;
    LAY_TRY(multiply(f->in, q, rows, (int32_t *)(void *)dnn->result.data, err));
    lay_profile_lap(LAY_OP_MLP_IN);
    LAY_TRY(pass_on(f, rows, err));
    lay_profile_lap(LAY_OP_ACTIVATION);
    const float *steps = (const float *)(const void *)dnn->steps.data;
    LAY_TRY(run_block(&f->out, 1, q, steps, &y, 0, rows, true, err));
    lay_profile_lap(LAY_OP_MLP_OUT);
    return LAY_OK;
}

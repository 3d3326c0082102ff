/* int8 products: y = step_x · step_w · Σ q_x q_w, the sum exact in 32 bits.
 *
 * oneDNN multiplies unsigned by signed bytes fastest, so a row's integers are shifted by LAY_U8_ZERO, and the
 * shift, LAY_U8_ZERO · Σ q_w per output, is taken off afterwards. Integer sums do not depend on their order,
 * so neither rows, threads nor kernels can change a result. */
#include "engine/base/clones.h"
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

static enum lay_status run_block(const struct lay_linear *l, const uint8_t *x, const float *steps, float *y,
                                 int64_t rows, bool accumulate, struct lay_err *err)
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
    const int32_t *sums = (const int32_t *)(const void *)dnn->result.data;
    LAY_TRY(lay_dnn_check(lay_product_run(product, dnn->engine, dnn->stream, x, l->packed, NULL,
                                          dnn->result.data, dnn->pad.data),
                          "a product", err));
#pragma omp parallel for schedule(static) if (rows * l->out > SERIAL_BELOW) /* every row by itself */
    for (int64_t r = 0; r < rows; r++)
        scale_row(l, sums + r * l->out, steps[r], y + r * l->out, accumulate);
    return LAY_OK;
}

enum lay_status lay_linear_run_quantised(const struct lay_linear *l, const float *x, float *y, int64_t rows,
                                         bool accumulate, struct lay_err *err)
{
    struct lay_dnn *dnn = l->dnn;
    const int64_t block = lay_block_rows(rows);
    LAY_TRY(lay_scratch_reserve(&dnn->rows, (size_t)(rows * l->in), "input rows", err));
    LAY_TRY(lay_scratch_reserve(&dnn->steps, (size_t)rows * sizeof(float), "input rows", err));
    LAY_TRY(lay_scratch_reserve(&dnn->result, (size_t)(block * l->out) * sizeof(int32_t), "a product", err));
    uint8_t *q = (uint8_t *)dnn->rows.data;
    float *steps = (float *)(void *)dnn->steps.data;
#pragma omp parallel for schedule(static) if (rows > 1 && rows * l->in > 16384) /* every row by itself */
    for (int64_t r = 0; r < rows; r++)
        steps[r] = lay_quantise_u8(x + r * l->in, q + r * l->in, l->in);
    for (int64_t r = 0; r < rows; r += block)
        LAY_TRY(run_block(l, q + r * l->in, steps + r, y + r * l->out, rows - r < block ? rows - r : block,
                          accumulate, err));
    return LAY_OK;
}

#include "engine/base/mem.h"
#include "engine/dnn/internal.h"

#include <omp.h>
#include <string.h>

static int64_t padded(const struct lay_linear *l, int64_t rows)
{
    return rows < l->rows_min ? l->rows_min : rows;
}

/* Input rows as oneDNN takes them: one dense matrix per part, in bf16. */
static void round_rows(const struct lay_linear *l, const float *x, int64_t rows, uint16_t *dst)
{
    const int64_t all = padded(l, rows);
#pragma omp parallel for schedule(static) if (rows > 1 && rows * l->in > 16384)
    for (int64_t r = 0; r < rows; r++)
        for (int64_t p = 0; p < l->n_parts; p++) {
            const int64_t in = lay_part_in(l, p), first = p * l->part_in;
            lay_round_bf16(x + r * l->in + first, dst + first * all + r * in, in);
        }
    for (int64_t p = 0; p < l->n_parts && all > rows; p++) {
        const int64_t in = lay_part_in(l, p);
        memset(dst + p * l->part_in * all + rows * in, 0, (size_t)((all - rows) * in) * sizeof *dst);
    }
}

static enum lay_status multiply(const struct lay_linear *l, const void *src, float *dst, int64_t rows,
                                bool accumulate, struct lay_err *err)
{
    struct lay_dnn *dnn = l->dnn;
    const size_t size = l->type == dnnl_f32 ? sizeof(float) : sizeof(uint16_t);
    for (int64_t p = 0; p < l->n_parts; p++) {
        const struct lay_product key = {.type = l->type,
                                        .rows = rows,
                                        .in = lay_part_in(l, p),
                                        .out = l->out,
                                        .bias = l->bias && p == 0,
                                        .accumulate = accumulate || p > 0,
                                        .threads = omp_get_max_threads(),
                                        .weights = l->desc[p == l->n_parts - 1]};
        struct lay_product *product = NULL;
        LAY_TRY(lay_product_get(dnn, &key, &product, err));
        LAY_TRY(lay_scratch_reserve(&dnn->pad, product->scratch_bytes, "oneDNN's scratchpad", err));
        const dnnl_status_t status = lay_product_run(
            product, dnn->engine, dnn->stream, (const char *)src + (size_t)(p * l->part_in * rows) * size,
            l->packed + (size_t)p * l->block_bytes, l->bias, dst, dnn->pad.data);
        LAY_TRY(lay_dnn_check(status, "a product", err));
    }
    return LAY_OK;
}

/* Leaves at *src the rows as oneDNN takes them, padded to `all`. */
static enum lay_status prepare_rows(const struct lay_linear *l, const float *x, int64_t rows, int64_t all,
                                    const void **src, struct lay_err *err)
{
    const bool half = l->type == dnnl_bf16;
    *src = x;
    if (!half && all == rows)
        return LAY_OK;
    struct lay_scratch *scratch = &l->dnn->rows;
    const size_t size = half ? sizeof(uint16_t) : sizeof(float);
    LAY_TRY(lay_scratch_reserve(scratch, (size_t)(all * l->in) * size, "input rows", err));
    *src = scratch->data;
    if (half) {
        round_rows(l, x, rows, (uint16_t *)(void *)scratch->data);
        return LAY_OK;
    }
    const size_t used = (size_t)(rows * l->in) * size;
    memcpy(scratch->data, x, used); /* f32 products have one part */
    memset(scratch->data + used, 0, (size_t)(all * l->in) * size - used);
    return LAY_OK;
}

/* y [rows, out] of rows padded to `all`; the padding takes part in no result. */
static enum lay_status multiply_padded(const struct lay_linear *l, const void *src, float *y, int64_t rows,
                                       int64_t all, bool accumulate, struct lay_err *err)
{
    struct lay_dnn *dnn = l->dnn;
    if (all == rows)
        return multiply(l, src, y, rows, accumulate, err);
    const size_t used = (size_t)(rows * l->out) * sizeof *y;
    LAY_TRY(lay_scratch_reserve(&dnn->result, (size_t)(all * l->out) * sizeof *y, "padded rows", err));
    float *dst = (float *)(void *)dnn->result.data;
    if (accumulate)
        memcpy(dst, y, used);
    LAY_TRY(multiply(l, src, dst, all, accumulate, err));
    memcpy(y, dst, used);
    return LAY_OK;
}

/* Whether both take the same rows in the same form. */
static bool alike(const struct lay_linear *a, const struct lay_linear *b, int64_t rows)
{
    return a->type == b->type && a->part_in == b->part_in && padded(a, rows) == padded(b, rows);
}

static enum lay_status run(const struct lay_linear *const *layers, int n, const float *x, float *const *y,
                           int64_t rows, bool accumulate, struct lay_err *err)
{
    const int64_t step = lay_block_rows(rows);
    for (int64_t r = 0; r < rows; r += step) {
        const int64_t count = rows - r < step ? rows - r : step;
        const void *src = NULL;
        for (int i = 0; i < n; i++) {
            const struct lay_linear *l = layers[i];
            const int64_t all = padded(l, count);
            if (i == 0 || !alike(l, layers[i - 1], count))
                LAY_TRY(prepare_rows(l, x + r * l->in, count, all, &src, err));
            LAY_TRY(multiply_padded(l, src, y[i] + r * l->out, count, all, accumulate, err));
        }
    }
    return LAY_OK;
}

enum lay_status lay_linear_run_whole_each(const struct lay_linear *const *layers, int n, const float *x,
                                          float *const *y, int64_t rows, struct lay_err *err)
{
    return run(layers, n, x, y, rows, false, err);
}

enum lay_status lay_linear_run_whole(const struct lay_linear *l, const float *x, float *y, int64_t rows,
                                     bool accumulate, struct lay_err *err)
{
    return run(&l, 1, x, &y, rows, accumulate, err);
}

#include "engine/base/mem.h"
#include "engine/dnn/internal.h"

#include <omp.h>
#include <string.h>

/* What one thread needs for itself. */
struct worker {
    dnnl_stream_t stream;
    char *weights; /* a panel widened to f32 */
    float *result; /* [tile, panel_out] */
    char *pad;
};

struct call {
    const struct lay_linear *l;
    const float *x;     /* [rows padded to tiles, in] */
    const float *steps; /* int8: [rows] */
    float *y;
    int64_t rows, tile;
    bool accumulate;
    struct lay_product *product[2]; /* a panel, the last panel */
};

/* Integers back to what they stand for. */
static void rescale(const struct call *call, float *restrict result, int64_t row, int64_t n, int64_t panel)
{
    const int64_t width = lay_panel_out(call->l, panel);
    const float *restrict scales = call->l->scales + panel * call->l->panel_out;
    for (int64_t r = 0; r < n; r++)
        for (int64_t i = 0; i < width; i++)
            result[r * width + i] *= call->steps[row + r] * scales[i];
}

/* y = (y +) bias + result for n rows of a panel. */
static void put(const struct call *call, float *restrict result, int64_t row, int64_t n, int64_t panel)
{
    const struct lay_linear *l = call->l;
    const int64_t width = lay_panel_out(l, panel), first = panel * l->panel_out;
    if (l->scales)
        rescale(call, result, row, n, panel);
    for (int64_t r = 0; r < n; r++) {
        float *restrict y = call->y + (row + r) * l->out + first;
        for (int64_t i = 0; i < width; i++) {
            const float v = l->bias ? result[r * width + i] + l->bias[first + i] : result[r * width + i];
            y[i] = call->accumulate ? y[i] + v : v;
        }
    }
}

static dnnl_status_t run_panel(const struct call *call, struct worker *worker, int64_t panel)
{
    const struct lay_linear *l = call->l;
    const bool last = panel == l->n_panels - 1;
    const char *weights = l->packed + (size_t)panel * l->block_bytes;
    if (l->widened) {
        const size_t count = lay_dnn_desc_bytes(&l->desc[last]) / sizeof(float);
        float *wide = (float *)(void *)worker->weights;
        if (l->compute == LAY_I8)
            lay_widen_s8((const int8_t *)weights, wide, (int64_t)count);
        else
            lay_widen_bf16((const uint16_t *)(const void *)weights, wide, (int64_t)count);
        weights = worker->weights;
    }
    dnnl_status_t status = dnnl_success;
    for (int64_t r = 0; r < call->rows && status == dnnl_success; r += call->tile) {
        status = lay_product_run(call->product[last], l->dnn->engine, worker->stream, call->x + r * l->in,
                                 weights, NULL, worker->result, worker->pad);
        put(call, worker->result, r, call->rows - r < call->tile ? call->rows - r : call->tile, panel);
    }
    return status;
}

static size_t aligned(size_t bytes)
{
    return (bytes + LAY_ALIGNMENT - 1) / LAY_ALIGNMENT * LAY_ALIGNMENT;
}

/* All panels, each by one thread from its first input to its last: who runs which does not matter. */
static enum lay_status run_panels(const struct call *call, struct lay_err *err)
{
    const struct lay_linear *l = call->l;
    struct lay_dnn *dnn = l->dnn;
    const int64_t threads = omp_get_max_threads();
    const size_t pads[] = {call->product[0]->scratch_bytes, call->product[1]->scratch_bytes};
    const size_t pad = aligned(pads[0] > pads[1] ? pads[0] : pads[1]);
    const size_t weights = l->widened ? aligned(lay_dnn_desc_bytes(&l->desc[0])) : 0;
    const size_t result = aligned((size_t)(call->tile * l->panel_out) * sizeof(float));
    const size_t each = pad + weights + result;
    LAY_TRY(lay_scratch_reserve(&dnn->pad, each * (size_t)threads, "a product's scratch memory", err));
    dnnl_status_t failure = dnnl_success;
#pragma omp parallel
    {
        char *room = dnn->pad.data + each * (size_t)omp_get_thread_num();
        struct worker worker = {NULL, room, (float *)(void *)(room + weights), room + weights + result};
        dnnl_status_t status = dnnl_stream_create(&worker.stream, dnn->engine, dnnl_stream_default_flags);
#pragma omp for schedule(dynamic)
        for (int64_t panel = 0; panel < l->n_panels; panel++)
            if (status == dnnl_success)
                status = run_panel(call, &worker, panel);
        if (worker.stream)
            dnnl_stream_destroy(worker.stream);
        if (status != dnnl_success)
#pragma omp critical(lay_panels)
            failure = status;
    }
    return lay_dnn_check(failure, "a product", err);
}

/* One input row in the values that the layer's type has. */
static void prepare_row(const struct lay_linear *l, const float *x, float *dst, float *step)
{
    if (l->compute == LAY_I8)
        *step = lay_quantise_f32(x, dst, l->in);
    else if (l->widened)
        lay_round_f32(x, dst, l->in);
    else
        memcpy(dst, x, (size_t)l->in * sizeof *dst);
}

/* Input rows padded to whole tiles; a copy only where one is needed. */
static enum lay_status prepare_rows(struct call *call, struct lay_err *err)
{
    const struct lay_linear *l = call->l;
    const int64_t all = (call->rows + call->tile - 1) / call->tile * call->tile;
    if (all == call->rows && !l->widened)
        return LAY_OK;
    LAY_TRY(lay_scratch_reserve(&l->dnn->rows, (size_t)(all * l->in) * sizeof(float), "input rows", err));
    LAY_TRY(lay_scratch_reserve(&l->dnn->steps, (size_t)all * sizeof(float), "input rows", err));
    float *dst = (float *)(void *)l->dnn->rows.data, *steps = (float *)(void *)l->dnn->steps.data;
#pragma omp parallel for schedule(static) if (call->rows > 1 && call->rows * l->in > 16384)
    for (int64_t r = 0; r < call->rows; r++)
        prepare_row(l, call->x + r * l->in, dst + r * l->in, &steps[r]);
    call->steps = steps;
    memset(dst + call->rows * l->in, 0, (size_t)((all - call->rows) * l->in) * sizeof *dst);
    call->x = dst;
    return LAY_OK;
}

static enum lay_status run_block(struct call *call, struct lay_err *err)
{
    const struct lay_linear *l = call->l;
    call->tile = l->row_tile ? l->row_tile : call->rows < l->rows_min ? l->rows_min : call->rows;
    for (int i = 0; i < 2; i++) {
        const struct lay_product key = {.type = dnnl_f32,
                                        .rows = call->tile,
                                        .in = l->in,
                                        .out = i ? lay_panel_out(l, l->n_panels - 1) : l->panel_out,
                                        .threads = 1,
                                        .weights = l->desc[i]};
        LAY_TRY(lay_product_get(l->dnn, &key, &call->product[i], err));
    }
    LAY_TRY(prepare_rows(call, err));
    return run_panels(call, err);
}

enum lay_status lay_linear_run_panels(const struct lay_linear *l, const float *x, float *y, int64_t rows,
                                      bool accumulate, struct lay_err *err)
{
    for (int64_t r = 0; r < rows; r += LAY_DNN_ROWS_MAX) {
        struct call call = {.l = l, .x = x + r * l->in, .y = y + r * l->out, .accumulate = accumulate};
        call.rows = rows - r < LAY_DNN_ROWS_MAX ? rows - r : LAY_DNN_ROWS_MAX;
        LAY_TRY(run_block(&call, err));
    }
    return LAY_OK;
}

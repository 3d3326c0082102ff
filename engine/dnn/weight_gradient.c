/* dW += dyᵀ x. Every thread takes panels of the gradient's rows and goes through the segments in order, each
 * one product made for a single thread; so a panel's sums are always the same. */
#include "engine/base/clones.h"
#include "engine/base/mem.h"
#include "engine/dnn/gradient.h"
#include "engine/dnn/internal.h"

#include <omp.h>
#include <string.h>

#define PANEL 128  /* rows of the gradient */
#define GRANULE 32 /* segments are padded with zero rows: fewer products to prepare */

struct call {
    struct lay_dnn *dnn;
    bool half; /* bf16 products; otherwise f32 on numbers rounded to bf16 where asked for */
    bool round;
    const float *dy, *x;
    int64_t out, in;
    const struct lay_segment *segments;
    int64_t n;
    int64_t *start;                     /* [n] padded row of a segment's start */
    struct lay_product *(*products)[2]; /* [n] a whole panel, the last panel */
    char *turned, *rows;                /* per segment: dyᵀ [out, padded rows], x [padded rows, in] */
    float *gradient;
};

static int64_t padded(int64_t rows)
{
    return (rows + GRANULE - 1) / GRANULE * GRANULE;
}

static int64_t panels(const struct call *c)
{
    return (c->out + PANEL - 1) / PANEL;
}

static int64_t panel_rows(const struct call *c, int64_t panel)
{
    return panel < panels(c) - 1 ? PANEL : c->out - panel * PANEL;
}

static size_t element(const struct call *c)
{
    return c->half ? sizeof(uint16_t) : sizeof(float);
}

static void convert_row(const struct call *c, const float *row, char *to)
{
    if (c->half)
        lay_round_bf16(row, (uint16_t *)(void *)to, c->in);
    else if (c->round)
        lay_round_f32(row, (float *)(void *)to, c->in);
    else
        memcpy(to, row, (size_t)c->in * sizeof *row);
}

/* x of padded row r of segment s; zeros behind its end. */
static void copy_input(const struct call *c, int64_t s, int64_t r)
{
    const struct lay_segment *segment = &c->segments[s];
    char *to = c->rows + (size_t)((c->start[s] + r) * c->in) * element(c);
    if (r < segment->rows)
        convert_row(c, c->x + (segment->first + r) * c->in, to);
    else
        memset(to, 0, (size_t)c->in * element(c));
}

/* tile [GRANULE, GRANULE] = the transpose of `rows` rows and n columns of dy, zeros behind the last row. */
LAY_INLINE void load_tile(const float *restrict dy, int64_t stride, int64_t rows, int64_t n,
                          float (*restrict tile)[GRANULE])
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t o = 0; o < n; o++)
            tile[o][r] = dy[r * stride + o];
    for (int64_t o = 0; o < n && rows < GRANULE; o++)
        memset(&tile[o][rows], 0, (size_t)(GRANULE - rows) * sizeof(float));
}

LAY_CLONES static void turn_tile(const float *dy, int64_t stride, int64_t rows, int64_t n, bool round,
                                 float *to, int64_t depth)
{
    float tile[GRANULE][GRANULE];
    load_tile(dy, stride, rows, n, tile);
    for (int64_t o = 0; o < n; o++)
        for (int64_t r = 0; r < GRANULE; r++)
            to[o * depth + r] = round ? lay_bf16_to_f32(lay_f32_to_bf16(tile[o][r])) : tile[o][r];
}

LAY_CLONES static void turn_tile_half(const float *dy, int64_t stride, int64_t rows, int64_t n, uint16_t *to,
                                      int64_t depth)
{
    float tile[GRANULE][GRANULE];
    load_tile(dy, stride, rows, n, tile);
    for (int64_t o = 0; o < n; o++)
#pragma omp simd
        for (int64_t r = 0; r < GRANULE; r++)
            to[o * depth + r] = lay_f32_to_bf16(tile[o][r]);
}

/* Outputs first … first + n (at most GRANULE) of dyᵀ of a segment, through a tile that stays in the cache. */
static void turn(const struct call *c, int64_t s, int64_t first, int64_t n)
{
    const struct lay_segment *segment = &c->segments[s];
    const int64_t depth = padded(segment->rows);
    char *to = c->turned + (size_t)(c->start[s] * c->out + first * depth) * element(c);
    for (int64_t r = 0; r < depth; r += GRANULE) {
        const int64_t rows = segment->rows - r < GRANULE ? segment->rows - r : GRANULE;
        const float *dy = c->dy + (segment->first + r) * c->out + first;
        if (c->half)
            turn_tile_half(dy, c->out, rows, n, (uint16_t *)(void *)to + r, depth);
        else
            turn_tile(dy, c->out, rows, n, c->round, (float *)(void *)to + r, depth);
    }
}

/* Both operands of all segments as the products take them. */
static void prepare_operands(const struct call *c)
{
    const int64_t blocks = (c->out + GRANULE - 1) / GRANULE;
#pragma omp parallel
    for (int64_t s = 0; s < c->n; s++) {
        const int64_t depth = padded(c->segments[s].rows);
#pragma omp for schedule(static) nowait
        for (int64_t r = 0; r < depth; r++)
            copy_input(c, s, r);
#pragma omp for schedule(static) nowait
        for (int64_t b = 0; b < blocks; b++)
            turn(c, s, b * GRANULE, c->out - b * GRANULE < GRANULE ? c->out - b * GRANULE : GRANULE);
    }
}

static enum lay_status prepare_products(const struct call *c, size_t *pad, struct lay_err *err)
{
    struct lay_product key = {
        .type = c->half ? dnnl_bf16 : dnnl_f32, .out = c->in, .accumulate = true, .threads = 1};
    *pad = 0;
    for (int64_t s = 0; s < c->n; s++) {
        key.in = padded(c->segments[s].rows);
        LAY_TRY(lay_dnn_check(lay_dnn_desc_strided(&key.weights, key.type, key.in, c->in, c->in, 1),
                              "a weight gradient", err));
        enum lay_status status = LAY_OK;
        for (int last = 0; last < 2 && status == LAY_OK; last++) {
            key.rows = panel_rows(c, last ? panels(c) - 1 : 0);
            status = lay_product_get(c->dnn, &key, &c->products[s][last], err);
            if (status == LAY_OK && c->products[s][last]->scratch_bytes > *pad)
                *pad = c->products[s][last]->scratch_bytes;
        }
        lay_dnn_desc_destroy(&key.weights);
        LAY_TRY(status);
    }
    *pad = (*pad + LAY_ALIGNMENT - 1) / LAY_ALIGNMENT * LAY_ALIGNMENT;
    return LAY_OK;
}

static dnnl_status_t run_panel(const struct call *c, int64_t panel, dnnl_stream_t stream, char *pad)
{
    dnnl_status_t status = dnnl_success;
    for (int64_t s = 0; s < c->n && status == dnnl_success; s++) {
        const int64_t depth = padded(c->segments[s].rows);
        const char *turned = c->turned + (size_t)(c->start[s] * c->out + panel * PANEL * depth) * element(c);
        const char *rows = c->rows + (size_t)(c->start[s] * c->in) * element(c);
        status = lay_product_run(c->products[s][panel == panels(c) - 1], c->dnn->engine, stream, turned, rows,
                                 NULL, c->gradient + panel * PANEL * c->in, pad);
    }
    return status;
}

static enum lay_status run_panels(const struct call *c, size_t pad, struct lay_err *err)
{
    dnnl_status_t failure = dnnl_success;
    LAY_TRY(lay_scratch_reserve(&c->dnn->pad, pad * (size_t)omp_get_max_threads() + LAY_ALIGNMENT,
                                "oneDNN's scratchpad", err));
#pragma omp parallel
    {
        dnnl_stream_t stream = NULL;
        dnnl_status_t status = dnnl_stream_create(&stream, c->dnn->engine, dnnl_stream_default_flags);
#pragma omp for schedule(dynamic)
        for (int64_t panel = 0; panel < panels(c); panel++)
            if (status == dnnl_success)
                status = run_panel(c, panel, stream, c->dnn->pad.data + pad * (size_t)omp_get_thread_num());
        if (stream)
            dnnl_stream_destroy(stream);
        if (status != dnnl_success)
#pragma omp critical(lay_weight_gradient)
            failure = status;
    }
    return lay_dnn_check(failure, "a weight gradient", err);
}

static enum lay_status run(struct call *c, struct lay_err *err)
{
    int64_t rows = 0;
    size_t pad;
    for (int64_t s = 0; s < c->n; s++) {
        c->start[s] = rows;
        rows += padded(c->segments[s].rows);
    }
    LAY_TRY(
        lay_scratch_reserve(&c->dnn->result, (size_t)(rows * c->out) * element(c), "a weight gradient", err));
    LAY_TRY(
        lay_scratch_reserve(&c->dnn->rows, (size_t)(rows * c->in) * element(c), "a weight gradient", err));
    c->turned = c->dnn->result.data;
    c->rows = c->dnn->rows.data;
    LAY_TRY(prepare_products(c, &pad, err));
    prepare_operands(c);
    return run_panels(c, pad, err);
}

enum lay_status lay_weight_gradient(struct lay_dnn *dnn, enum lay_dtype compute, const float *dy,
                                    const float *x, int64_t out, int64_t in,
                                    const struct lay_segment *segments, int64_t n, float *gradient,
                                    struct lay_err *err)
{
    const bool native = strcmp(lay_dnn_bf16_support(), "native") == 0;
    struct call c = {.dnn = dnn,
                     .half = compute == LAY_BF16 && native,
                     .round = compute == LAY_BF16,
                     .dy = dy,
                     .x = x,
                     .out = out,
                     .in = in,
                     .segments = segments,
                     .n = n,
                     .gradient = gradient};
    if (n == 0)
        return LAY_OK;
    c.start = lay_alloc((size_t)n, sizeof *c.start);
    c.products = lay_alloc((size_t)n, sizeof *c.products);
    const enum lay_status status =
        c.start && c.products ? run(&c, err) : lay_no_memory(err, "a weight gradient");
    lay_free(c.start);
    lay_free(c.products);
    return status;
}

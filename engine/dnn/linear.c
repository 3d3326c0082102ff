#include "engine/dnn/linear.h"

#include "engine/base/mem.h"
#include "engine/dnn/internal.h"

#include <assert.h>
#include <omp.h>
#include <string.h>

#define LAYOUT_ROWS 64 /* the layout is asked for at this many rows; it serves every other number */

/* AMX: oneDNN 2.6 cuts K where a chunk exceeds the L2 cache and where there are 16 threads or more, at places
 * that depend on the number of rows. So we cut K ourselves, into parts that it leaves alone (1024 would be
 * too large from 200 rows on), and add the parts up in order. This is also faster than its own way at many
 * rows. */
#define AMX_PART_IN 640
#define AMX_PART_GRANULE 64

/* Without blocked kernels ("gemm:jit" under AVX2) a row's bits depend on its place in the micro-kernel and on
 * how threads share the work; one thread and a constant tile of rows keep them fixed. */
#define GEMM_ROW_TILE 16
#define PANEL_BYTES                                                                                          \
    ((size_t)768 << 10) /* of a panel in f32, so that it stays in the L2 cache between tiles */
#define PANEL_OUT_MIN 64
#define PANEL_OUT_MAX 512

static bool is_blocked(const char *kernel)
{
    return strncmp(kernel, "brg", 3) == 0;
}

static void cut_inputs(struct lay_linear *l, const char *kernel)
{
    l->n_parts = 1;
    l->part_in = l->in;
    const int64_t granules = (l->in + AMX_PART_GRANULE - 1) / AMX_PART_GRANULE;
    const int64_t parts = (l->in + AMX_PART_IN - 1) / AMX_PART_IN;
    if (parts < 2 || !strstr(kernel, "amx"))
        return;
    l->part_in = (granules + parts - 1) / parts * AMX_PART_GRANULE;
    l->n_parts = (l->in + l->part_in - 1) / l->part_in;
}

/* Very small products go to another kernel, whose sums may differ in the last bit. Finds the number of rows
 * from which on it is the one of many rows; nearly always 1, which is tried first. */
static enum lay_status find_rows_min(struct lay_linear *l, int64_t in, const struct lay_dnn_desc *weights,
                                     const char *kernel, struct lay_err *err)
{
    int64_t low = l->rows_min, high = LAYOUT_ROWS;
    for (int64_t rows = low; low < high; rows = (low + high) / 2) {
        char other[LAY_KERNEL_NAME];
        LAY_TRY(lay_product_kernel(l->dnn, l->type, rows, in, l->out, weights, other, err));
        if (strcmp(other, kernel) == 0)
            high = rows;
        else
            low = rows + 1;
    }
    l->rows_min = low;
    return LAY_OK;
}

static enum lay_status plan_whole(struct lay_linear *l, bool *possible, struct lay_err *err)
{
    char kernel[LAY_KERNEL_NAME];
    struct lay_dnn_desc probe = {0};
    l->type = l->compute == LAY_BF16 ? dnnl_bf16 : dnnl_f32;
    *possible = false;
    /* A CPU or a version may have no bf16 product at all, which is no failure here. */
    if (lay_product_layout(l->dnn, l->type, LAYOUT_ROWS, l->in, l->out, &probe, kernel, NULL) != LAY_OK)
        return LAY_OK;
    lay_dnn_desc_destroy(&probe);
    if (!is_blocked(kernel) ||
        (l->type == dnnl_f32 && l->in >= LAY_DNN_SHARED_IN && l->out <= LAY_DNN_SHARED_OUT))
        return LAY_OK;
    cut_inputs(l, kernel);
    l->rows_min = l->part_in > LAY_DNN_ONE_ROW_IN ? 2 : 1;
    for (int i = 0; i < 2; i++) {
        const int64_t in = lay_part_in(l, i ? l->n_parts - 1 : 0);
        LAY_TRY(lay_product_layout(l->dnn, l->type, LAYOUT_ROWS, in, l->out, &l->desc[i], kernel, err));
        if (!is_blocked(kernel))
            return LAY_OK;
        LAY_TRY(find_rows_min(l, in, &l->desc[i], kernel, err));
    }
    l->block_bytes = lay_dnn_desc_bytes(&l->desc[0]);
    l->bytes = (size_t)(l->n_parts - 1) * l->block_bytes + lay_dnn_desc_bytes(&l->desc[1]);
    *possible = true;
    return LAY_OK;
}

/* Kernels with dot products of four bytes; others saturate, or are slower than f32. */
static bool is_quantised(const char *kernel)
{
    return is_blocked(kernel) && (strstr(kernel, "vnni") || strstr(kernel, "amx"));
}

bool lay_linear_quantises(struct lay_dnn *dnn, int64_t in, int64_t out, struct lay_dnn_desc *desc)
{
    char kernel[LAY_KERNEL_NAME];
    if (lay_product_layout(dnn, dnnl_u8, LAYOUT_ROWS, in, out, desc, kernel, NULL) != LAY_OK)
        return false;
    if (is_quantised(kernel))
        return true;
    lay_dnn_desc_destroy(desc);
    return false;
}

/* Longer rows could overflow the sum of products of 255 and 127. */
#define QUANTISED_IN_MAX (INT32_MAX / (255 * 127))

static enum lay_status plan_quantised(struct lay_linear *l, bool *possible, struct lay_err *err)
{
    *possible = false;
    if (l->in > QUANTISED_IN_MAX)
        return lay_fail(err, LAY_ERR_INPUT,
                        "int8 products of %lld inputs overflow; the limit is %d: keep it in bf16",
                        (long long)l->in, QUANTISED_IN_MAX);
    if (!lay_linear_quantises(l->dnn, l->in, l->out, &l->desc[0]))
        return LAY_OK;
    LAY_TRY(lay_dnn_check(lay_dnn_desc_copy(&l->desc[1], &l->desc[0]), "a layout", err));
    l->form = LAY_LINEAR_QUANTISED;
    l->type = dnnl_u8;
    l->n_parts = 1;
    l->part_in = l->in;
    l->rows_min = 1;
    l->block_bytes = l->bytes = lay_dnn_desc_bytes(&l->desc[0]);
    *possible = true;
    return LAY_OK;
}

static enum lay_status plan_panels(struct lay_linear *l, struct lay_err *err)
{
    l->form = LAY_LINEAR_PANELS;
    l->widened = l->compute != LAY_F32;
    l->type = dnnl_f32;
    l->rows_min = l->in > LAY_DNN_ONE_ROW_IN ? 2 : 1;
    int64_t out = (int64_t)(PANEL_BYTES / sizeof(float)) / l->in / PANEL_OUT_MIN * PANEL_OUT_MIN;
    out = out < PANEL_OUT_MIN ? PANEL_OUT_MIN : out > PANEL_OUT_MAX ? PANEL_OUT_MAX : out;
    l->panel_out = out < l->out ? out : l->out;
    l->n_panels = (l->out + l->panel_out - 1) / l->panel_out;
    for (int i = 0; i < 2; i++) {
        char kernel[LAY_KERNEL_NAME];
        const int64_t n = lay_panel_out(l, i ? l->n_panels - 1 : 0);
        lay_dnn_desc_destroy(&l->desc[i]);
        LAY_TRY(lay_product_layout(l->dnn, dnnl_f32, GEMM_ROW_TILE, l->in, n, &l->desc[i], kernel, err));
        if (!is_blocked(kernel))
            l->row_tile = GEMM_ROW_TILE;
    }
    const size_t element = lay_dtype_size(l->compute);
    const size_t bytes[] = {lay_dnn_desc_bytes(&l->desc[0]), lay_dnn_desc_bytes(&l->desc[1])};
    l->block_bytes = bytes[0] / sizeof(float) * element;
    l->bytes = (size_t)(l->n_panels - 1) * l->block_bytes + bytes[1] / sizeof(float) * element;
    return LAY_OK;
}

static enum lay_status plan(struct lay_linear *l, struct lay_err *err)
{
    bool possible;
    LAY_TRY(l->compute == LAY_I8 ? plan_quantised(l, &possible, err) : plan_whole(l, &possible, err));
    return possible ? LAY_OK : plan_panels(l, err);
}

static enum lay_status build(struct lay_linear *l, const struct lay_matrix *parts, int n_parts,
                             const float *bias, struct lay_err *err)
{
    if (l->compute == LAY_I8) {
        l->scales = lay_alloc_aligned((size_t)l->out, sizeof *l->scales);
        l->sums = lay_alloc_aligned((size_t)l->out, sizeof *l->sums);
        if (!l->scales || !l->sums)
            return lay_no_memory(err, "scales");
    }
    if (bias) {
        l->bias = lay_alloc_aligned((size_t)l->out, sizeof *bias);
        if (!l->bias)
            return lay_no_memory(err, "a bias");
        memcpy(l->bias, bias, (size_t)l->out * sizeof *bias);
    }
    if (!lay_dnn_alloc(l->bytes, &l->memory, &l->packed))
        return lay_fail(err, LAY_ERR_MEMORY, "out of memory for packed weights [%lld, %lld] (%zu MB)",
                        (long long)l->out, (long long)l->in, l->bytes >> 20);
    return lay_linear_pack(l, parts, n_parts, err);
}

static void enlist(struct lay_linear *l)
{
    l->next = l->dnn->linears;
    l->link = &l->dnn->linears;
    if (l->next)
        l->next->link = &l->next;
    l->dnn->linears = l;
}

static void delist(struct lay_linear *l)
{
    *l->link = l->next;
    if (l->next)
        l->next->link = l->link;
}

enum lay_status lay_linear_begin(struct lay_dnn *dnn, enum lay_dtype compute, int64_t out, int64_t in,
                                 struct lay_linear **linear, struct lay_err *err)
{
    assert(in > 0 && out > 0 && (compute == LAY_F32 || compute == LAY_BF16 || compute == LAY_I8));
    struct lay_linear *l = lay_alloc(1, sizeof *l);
    if (!l)
        return lay_no_memory(err, "a linear layer");
    l->dnn = dnn;
    l->compute = compute;
    l->in = in;
    l->out = out;
    enlist(l);
    const enum lay_status status = plan(l, err);
    if (status != LAY_OK)
        lay_linear_destroy(l);
    else
        *linear = l;
    return status;
}

enum lay_status lay_linear_create(struct lay_dnn *dnn, enum lay_dtype compute, const struct lay_matrix *parts,
                                  int n_parts, const float *bias, struct lay_linear **linear,
                                  struct lay_err *err)
{
    struct lay_linear *l;
    int64_t out = 0;
    assert(n_parts > 0);
    for (int i = 0; i < n_parts; i++) {
        assert(parts[i].cols == parts[0].cols);
        out += parts[i].rows;
    }
    LAY_TRY(lay_linear_begin(dnn, compute, out, parts[0].cols, &l, err));
    const enum lay_status status = build(l, parts, n_parts, bias, err);
    if (status != LAY_OK)
        lay_linear_destroy(l);
    else
        *linear = l;
    return status;
}

void lay_linear_destroy(struct lay_linear *linear)
{
    if (!linear)
        return;
    delist(linear);
    lay_dnn_desc_destroy(&linear->desc[0]);
    lay_dnn_desc_destroy(&linear->desc[1]);
    lay_free(linear->memory);
    lay_free(linear->bias);
    lay_free(linear->scales);
    lay_free(linear->sums);
    lay_free(linear);
}

int64_t lay_linear_in(const struct lay_linear *linear)
{
    return linear->in;
}

int64_t lay_linear_out(const struct lay_linear *linear)
{
    return linear->out;
}

size_t lay_linear_bytes(const struct lay_linear *linear)
{
    const int vectors = (linear->bias != NULL) + (linear->scales != NULL) + (linear->sums != NULL);
    return linear->bytes + (size_t)vectors * (size_t)linear->out * sizeof(float);
}

enum lay_status lay_linear_forward(const struct lay_linear *linear, const float *x, float *y, int64_t rows,
                                   bool accumulate, struct lay_err *err)
{
    static enum lay_status (*const run[])(const struct lay_linear *, const float *, float *, int64_t, bool,
                                          struct lay_err *) = {
        [LAY_LINEAR_WHOLE] = lay_linear_run_whole,
        [LAY_LINEAR_QUANTISED] = lay_linear_run_quantised,
        [LAY_LINEAR_PANELS] = lay_linear_run_panels,
    };
    return rows == 0 ? LAY_OK : run[linear->form](linear, x, y, rows, accumulate, err);
}

enum lay_status lay_linear_forward_each(const struct lay_linear *const *layers, int n, const float *x,
                                        float *const *y, int64_t rows, struct lay_err *err)
{
    static enum lay_status (*const run[])(const struct lay_linear *const *, int, const float *,
                                          float *const *, int64_t, struct lay_err *) = {
        [LAY_LINEAR_WHOLE] = lay_linear_run_whole_each,
        [LAY_LINEAR_QUANTISED] = lay_linear_run_quantised_each,
        [LAY_LINEAR_PANELS] = NULL,
    };
    bool alike = rows > 0 && n > 0;
    for (int i = 0; i < n; i++)
        alike = alike && layers[i]->form == layers[0]->form;
    if (alike && run[layers[0]->form])
        return run[layers[0]->form](layers, n, x, y, rows, err);
    for (int i = 0; i < n; i++)
        LAY_TRY(lay_linear_forward(layers[i], x, y[i], rows, false, err));
    return LAY_OK;
}

void lay_linear_kernel(const struct lay_linear *l, int64_t rows, char name[LAY_LINEAR_KERNEL_NAME])
{
    _Static_assert(LAY_LINEAR_KERNEL_NAME == LAY_KERNEL_NAME, "one size of kernel names");
    const bool panels = l->form == LAY_LINEAR_PANELS;
    const int64_t in = panels ? l->in : lay_part_in(l, 0), out = panels ? l->panel_out : l->out;
    const int64_t fixed = panels && l->row_tile ? l->row_tile : rows < l->rows_min ? l->rows_min : rows;
    if (lay_product_kernel(l->dnn, l->type, fixed, in, out, &l->desc[0], name, NULL) != LAY_OK)
        name[0] = 0;
}

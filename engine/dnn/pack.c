#include "engine/base/mem.h"
#include "engine/dnn/internal.h"

#include <assert.h>
#include <string.h>

#define STAGING_BYTES ((size_t)8 << 20) /* converted rows at a time; kept for the next layer */
/* A multiple of every block of outputs that oneDNN's layouts use (16, 32, 48, 64). */
#define OUT_GRANULE 192

/* Outputs first … first + n of the parts as oneDNN's weights [in, n]. */
struct source {
    const void *data;
    dnnl_data_type_t type;
    int64_t in_stride, out_stride;
};

static size_t type_size(dnnl_data_type_t type)
{
    return type == dnnl_f32 ? sizeof(float) : type == dnnl_bf16 ? sizeof(uint16_t) : sizeof(int8_t);
}

static void convert_row(const struct lay_matrix *part, int64_t row, float *dst)
{
    const size_t size = lay_dtype_size(part->dtype);
    const char *data = part->data;
    if (!part->transposed) {
        const void *source = data + (size_t)(row * part->cols) * size;
        if (part->dtype == LAY_F16 && (uintptr_t)source % size == 0)
            lay_widen_f16(source, dst, part->cols); /* the usual form of published LLMs: worth being fast */
        else
            lay_to_f32(part->dtype, source, dst, (size_t)part->cols);
        return;
    }
    for (int64_t c = 0; c < part->cols; c++)
        lay_to_f32(part->dtype, data + (size_t)(c * part->rows + row) * size, dst + c, 1);
}

/* Finds the part that holds output `row`, which becomes the row within that part. */
static const struct lay_matrix *part_of(const struct lay_matrix *parts, int64_t *row)
{
    for (; *row >= parts->rows; parts++)
        *row -= parts->rows;
    return parts;
}

/* True when oneDNN can read the outputs where they lie: one part, a type it converts, aligned. Rows of int8
 * layers are quantised on the way. */
static bool direct(const struct lay_linear *l, const struct lay_matrix *parts, int64_t first, int64_t n,
                   struct source *source)
{
    const struct lay_matrix *part = part_of(parts, &first);
    const size_t size = lay_dtype_size(part->dtype);
    const bool usable =
        l->compute != LAY_I8 && (part->dtype == LAY_F32 || (part->dtype == LAY_BF16 && l->type == dnnl_bf16));
    if (!usable || first + n > part->rows || (uintptr_t)part->data % size != 0)
        return false;
    source->type = part->dtype == LAY_F32 ? dnnl_f32 : dnnl_bf16;
    source->in_stride = part->transposed ? part->rows : 1;
    source->out_stride = part->transposed ? 1 : part->cols;
    source->data = (const char *)part->data + (size_t)(first * source->out_stride) * size;
    return true;
}

/* Otherwise they are converted into `staging` first. */
static void stage(const struct lay_linear *l, const struct lay_matrix *parts, int64_t first, int64_t n,
                  float *staging, struct source *source)
{
    *source = (struct source){staging, dnnl_f32, 1, l->in};
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < n; i++) {
        int64_t row = first + i;
        const struct lay_matrix *part = part_of(parts, &row);
        convert_row(part, row, staging + i * l->in);
    }
}

/* Turns the staged rows of outputs first … into integers, each with a scale of its own: bytes in `narrow`, or
 * f32 in place for panels, whose layouts are those of f32. */
static void quantise(const struct lay_linear *l, int64_t first, int64_t n, float *staging, int8_t *narrow,
                     struct source *source)
{
    const bool panels = l->form == LAY_LINEAR_PANELS;
    if (!panels)
        *source = (struct source){narrow, dnnl_s8, 1, l->in};
#pragma omp parallel for schedule(static) /* every row by itself */
    for (int64_t i = 0; i < n; i++) {
        float *row = staging + i * l->in;
        int8_t *q = narrow + i * l->in;
        l->scales[first + i] = panels ? lay_quantise_f32(row, row, l->in) : lay_quantise_s8(row, q, l->in);
        int32_t sum = 0;
        for (int64_t k = 0; k < l->in && !panels; k++)
            sum += q[k];
        l->sums[first + i] = LAY_U8_ZERO * sum;
    }
}

/* Inputs first_in … of the source into the block (first_out of `to` on) of one packed matrix. */
static dnnl_status_t reorder(struct lay_dnn *dnn, const struct source *source, int64_t first_in,
                             const struct lay_dnn_desc *to, int64_t in, int64_t first_out, int64_t n,
                             void *packed)
{
    struct lay_dnn_desc from = {0}, part = {0};
    const char *data =
        (const char *)source->data + (size_t)(first_in * source->in_stride) * type_size(source->type);
    if (lay_dnn_desc_pads_f32(to)) {
        assert(source->type == dnnl_f32); /* only bf16 layouts are filled from bf16 */
        lay_dnn_place(to, (const float *)(const void *)data, source->in_stride, source->out_stride, first_out,
                      n, packed);
        return dnnl_success;
    }
    dnnl_status_t status =
        lay_dnn_desc_strided(&from, source->type, in, n, source->in_stride, source->out_stride);
    if (status == dnnl_success)
        status = lay_dnn_desc_part(&part, to, 0, first_out, in, n);
    if (status == dnnl_success)
        status = lay_dnn_reorder(dnn->engine, dnn->stream, &from, (void *)(uintptr_t)data, &part, packed);
    lay_dnn_desc_destroy(&from);
    lay_dnn_desc_destroy(&part);
    return status;
}

static dnnl_status_t pack_whole(struct lay_linear *l, const struct source *source, int64_t first, int64_t n)
{
    dnnl_status_t status = dnnl_success;
    for (int64_t p = 0; p < l->n_parts && status == dnnl_success; p++)
        status = reorder(l->dnn, source, p * l->part_in, &l->desc[p == l->n_parts - 1], lay_part_in(l, p),
                         first, n, l->packed + (size_t)p * l->block_bytes);
    return status;
}

/* One panel; `wide` holds it in f32 while it is rounded to what is kept. */
static dnnl_status_t pack_panel(struct lay_linear *l, const struct source *source, int64_t panel, float *wide)
{
    const struct lay_dnn_desc *to = &l->desc[panel == l->n_panels - 1];
    char *packed = l->packed + (size_t)panel * l->block_bytes;
    const int64_t n = lay_panel_out(l, panel), count = (int64_t)(lay_dnn_desc_bytes(to) / sizeof *wide);
    if (!l->widened)
        return reorder(l->dnn, source, 0, to, l->in, 0, n, packed);
    assert(wide);
    memset(wide, 0, (size_t)count * sizeof *wide); /* the layout's padding */
    const dnnl_status_t status = reorder(l->dnn, source, 0, to, l->in, 0, n, wide);
    if (l->compute == LAY_I8)
        lay_narrow_s8(wide, (int8_t *)packed, count);
    else
        lay_round_bf16(wide, (uint16_t *)(void *)packed, count);
    return status;
}

/* Converted rows at a time. */
static int64_t step_of(const struct lay_linear *l)
{
    const int64_t step = (int64_t)(STAGING_BYTES / sizeof(float)) / l->in / OUT_GRANULE * OUT_GRANULE;
    if (l->form == LAY_LINEAR_PANELS)
        return l->panel_out;
    return step < OUT_GRANULE ? OUT_GRANULE : step;
}

/* Outputs from `first` on that are packed at once: as many as can be read where they lie, else a step. */
static int64_t next_outputs(const struct lay_linear *l, const struct lay_matrix *parts, int64_t first,
                            struct source *source, bool *in_place)
{
    int64_t row = first, n = l->out - first < step_of(l) ? l->out - first : step_of(l);
    const int64_t left = part_of(parts, &row)->rows - row;
    const int64_t whole = first + left == l->out ? left : left / OUT_GRANULE * OUT_GRANULE;
    if (l->form != LAY_LINEAR_PANELS && whole > n && direct(l, parts, first, whole, source)) {
        *in_place = true;
        return whole;
    }
    *in_place = direct(l, parts, first, n, source);
    return n;
}

static enum lay_status reserve(struct lay_linear *l, struct lay_err *err)
{
    const int64_t step = step_of(l) < l->out ? step_of(l) : l->out;
    struct lay_dnn *dnn = l->dnn;
    if (l->widened)
        LAY_TRY(lay_scratch_reserve(&dnn->wide, lay_dnn_desc_bytes(&l->desc[0]), "packing weights", err));
    if (l->form == LAY_LINEAR_QUANTISED)
        LAY_TRY(lay_scratch_reserve(&dnn->narrow, (size_t)(step * l->in), "packing weights", err));
    return LAY_OK;
}

enum lay_status lay_linear_pack(struct lay_linear *l, const struct lay_matrix *parts, int n_parts,
                                struct lay_err *err)
{
    (void)n_parts;
    struct lay_dnn *dnn = l->dnn;
    const bool panels = l->form == LAY_LINEAR_PANELS;
    LAY_TRY(reserve(l, err));
    for (int64_t first = 0, n; first < l->out; first += n) {
        struct source source;
        bool in_place;
        n = next_outputs(l, parts, first, &source, &in_place);
        if (!in_place) {
            LAY_TRY(lay_scratch_reserve(&dnn->staging, (size_t)(n * l->in) * sizeof(float), "packing weights",
                                        err));
            stage(l, parts, first, n, (float *)(void *)dnn->staging.data, &source);
        }
        if (l->compute == LAY_I8)
            quantise(l, first, n, (float *)(void *)dnn->staging.data, (int8_t *)dnn->narrow.data, &source);
        const dnnl_status_t status =
            panels ? pack_panel(l, &source, first / l->panel_out, (float *)(void *)dnn->wide.data)
                   : pack_whole(l, &source, first, n);
        LAY_TRY(lay_dnn_check(status, "packing weights", err));
    }
    return LAY_OK;
}

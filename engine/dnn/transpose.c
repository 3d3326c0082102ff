#include "engine/base/mem.h"
#include "engine/dnn/gradient.h"
#include "engine/dnn/internal.h"

#include <assert.h>
#include <string.h>

enum lay_status lay_linear_refill(struct lay_linear *l, const struct lay_matrix *parts, int n_parts,
                                  const float *bias, struct lay_err *err)
{
    int64_t out = 0;
    for (int i = 0; i < n_parts; i++)
        out += parts[i].rows;
    assert(out == l->out && parts[0].cols == l->in && (bias != NULL) == (l->bias != NULL));
    (void)out;
    if (bias)
        memcpy(l->bias, bias, (size_t)l->out * sizeof *bias);
    return lay_linear_pack(l, parts, n_parts, err);
}

/* A packed matrix of the layer: rows first_in … of its inputs, outputs first_out …, both of the size `desc`
 * says. */
static dnnl_status_t unpack(const struct lay_linear *l, const struct lay_dnn_desc *desc, void *packed,
                            int64_t first_in, int64_t in, int64_t first_out, int64_t out,
                            dnnl_data_type_t type, char *plain)
{
    struct lay_dnn_desc to = {0};
    const size_t size = type == dnnl_f32 ? sizeof(float) : sizeof(uint16_t);
    dnnl_status_t status = lay_dnn_desc_strided(&to, type, in, out, 1, l->in);
    if (status == dnnl_success)
        status = lay_dnn_reorder(l->dnn->engine, l->dnn->stream, desc, packed, &to,
                                 plain + (size_t)(first_out * l->in + first_in) * size);
    lay_dnn_desc_destroy(&to);
    return status;
}

static dnnl_status_t unpack_whole(const struct lay_linear *l, char *plain)
{
    dnnl_status_t status = dnnl_success;
    for (int64_t p = 0; p < l->n_parts && status == dnnl_success; p++)
        status = unpack(l, &l->desc[p == l->n_parts - 1], l->packed + (size_t)p * l->block_bytes,
                        p * l->part_in, lay_part_in(l, p), 0, l->out, l->type, plain);
    return status;
}

/* Panels are f32 products; stored as bf16 they are widened first. */
static dnnl_status_t unpack_panels(const struct lay_linear *l, char *plain, float *wide)
{
    dnnl_status_t status = dnnl_success;
    for (int64_t p = 0; p < l->n_panels && status == dnnl_success; p++) {
        const struct lay_dnn_desc *desc = &l->desc[p == l->n_panels - 1];
        char *packed = l->packed + (size_t)p * l->block_bytes;
        if (l->widened) {
            lay_widen_bf16((const uint16_t *)(const void *)packed, wide,
                           (int64_t)(lay_dnn_desc_bytes(desc) / sizeof *wide));
            packed = (char *)wide;
        }
        status = unpack(l, desc, packed, 0, l->in, p * l->panel_out, lay_panel_out(l, p), dnnl_f32, plain);
    }
    return status;
}

/* The weights [out, in], row by row, into the context's scratch memory. */
static enum lay_status unpack_all(const struct lay_linear *l, struct lay_matrix *matrix, struct lay_err *err)
{
    const bool panels = l->form == LAY_LINEAR_PANELS, half = !panels && l->type == dnnl_bf16;
    struct lay_scratch *scratch = &l->dnn->result;
    assert(l->compute != LAY_I8);
    const size_t count = (size_t)(l->out * l->in);
    LAY_TRY(lay_scratch_reserve(scratch, count * (half ? sizeof(uint16_t) : sizeof(float)),
                                "transposing weights", err));
    if (l->widened)
        LAY_TRY(
            lay_scratch_reserve(&l->dnn->pad, lay_dnn_desc_bytes(&l->desc[0]), "transposing weights", err));
    const dnnl_status_t status = panels ? unpack_panels(l, scratch->data, (float *)(void *)l->dnn->pad.data)
                                        : unpack_whole(l, scratch->data);
    LAY_TRY(lay_dnn_check(status, "unpacking weights", err));
    *matrix = (struct lay_matrix){scratch->data, half ? LAY_BF16 : LAY_F32, l->in, l->out, true};
    return LAY_OK;
}

enum lay_status lay_linear_transpose(const struct lay_linear *linear, struct lay_linear **transposed,
                                     struct lay_err *err)
{
    struct lay_matrix matrix;
    *transposed = NULL;
    LAY_TRY(unpack_all(linear, &matrix, err));
    return lay_linear_create(linear->dnn, linear->compute, &matrix, 1, NULL, transposed, err);
}

enum lay_status lay_linear_transpose_into(const struct lay_linear *linear, struct lay_linear *transposed,
                                          struct lay_err *err)
{
    struct lay_matrix matrix;
    assert(transposed->in == linear->out && transposed->out == linear->in &&
           transposed->compute == linear->compute);
    LAY_TRY(unpack_all(linear, &matrix, err));
    return lay_linear_pack(transposed, &matrix, 1, err);
}

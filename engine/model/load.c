#include "engine/model/load.h"

#include "engine/base/mem.h"

#include <stdio.h>

enum { NAME_MAX_BYTES = 256, PARTS_MAX = 4 };

static enum lay_status join(char name[NAME_MAX_BYTES], const char *prefix, const char *part,
                            const char *suffix, struct lay_err *err)
{
    if (snprintf(name, NAME_MAX_BYTES, "%s%s%s", prefix, part, suffix) >= NAME_MAX_BYTES)
        return lay_fail(err, LAY_ERR_INTERNAL, "tensor name too long: %s%s%s", prefix, part, suffix);
    return LAY_OK;
}

/* The biases of all parts one after the other. */
static enum lay_status load_biases(const struct lay_loader *loader, const char *prefix,
                                   const char *const *parts, int n_parts, int64_t out, float **bias,
                                   struct lay_err *err)
{
    *bias = lay_alloc((size_t)(n_parts * out), sizeof **bias);
    if (!*bias)
        return lay_no_memory(err, "a bias");
    for (int i = 0; i < n_parts; i++) {
        char name[NAME_MAX_BYTES];
        const struct lay_tensor *tensor;
        LAY_TRY(join(name, prefix, parts[i], ".bias", err));
        LAY_TRY(lay_weights_get(loader->weights, name, 1, &out, &tensor, err));
        LAY_TRY(lay_tensor_to_f32(tensor, *bias + i * out, err));
    }
    return LAY_OK;
}

enum lay_status lay_load_linear(const struct lay_loader *loader, const char *prefix, const char *const *parts,
                                int64_t out, int64_t in, bool bias, struct lay_linear **linear,
                                struct lay_err *err)
{
    const struct lay_tensor *tensors[PARTS_MAX];
    struct lay_matrix matrices[PARTS_MAX];
    const int64_t shape[] = {out, in};
    int n = 0;
    *linear = NULL;
    for (; n < PARTS_MAX && parts[n]; n++) {
        char name[NAME_MAX_BYTES];
        LAY_TRY(join(name, prefix, parts[n], ".weight", err));
        LAY_TRY(lay_weights_get(loader->weights, name, 2, shape, &tensors[n], err));
        matrices[n] =
            (struct lay_matrix){tensors[n]->data, tensors[n]->dtype, out, in, tensors[n]->transposed};
    }
    float *biases = NULL;
    enum lay_status status = LAY_OK;
    if (bias)
        status = load_biases(loader, prefix, parts, n, out, &biases, err);
    if (status == LAY_OK)
        status = lay_linear_create(loader->dnn, lay_precision_for(loader->precision, parts[0]), matrices, n,
                                   biases, linear, err);
    lay_free(biases);
    for (int i = 0; i < n; i++)
        lay_tensor_drop_pages(tensors[i]);
    return status;
}

enum lay_status lay_load_vector(const struct lay_loader *loader, const char *prefix, const char *name,
                                int64_t length, float **vector, struct lay_err *err)
{
    char full[NAME_MAX_BYTES];
    LAY_TRY(join(full, prefix, name, "", err));
    return lay_weights_vector(loader->weights, full, length, vector, err);
}

enum lay_status lay_load_embedding(const struct lay_loader *loader, const char *name, int64_t rows,
                                   int64_t cols, struct lay_embedding *table, struct lay_err *err)
{
    const int64_t shape[] = {rows, cols};
    const struct lay_tensor *tensor;
    LAY_TRY(lay_weights_get(loader->weights, name, 2, shape, &tensor, err));
    if (tensor->transposed)
        return lay_fail(err, LAY_ERR_INPUT,
                        "%s: %s is stored transposed; an embedding table must be stored row by row: save it "
                        "with .contiguous()",
                        tensor->file, tensor->name);
    *table = (struct lay_embedding){tensor->data, tensor->dtype, rows, cols,
                                    lay_precision_rows(loader->precision)};
    lay_tensor_drop_pages(tensor);
    return LAY_OK;
}

enum lay_status lay_work_reserve(struct lay_work *work, int64_t rows, int64_t cols, struct lay_err *err)
{
    size_t needed;
    if (!lay_mul_size((size_t)rows, (size_t)cols, &needed))
        return lay_no_memory(err, "activations");
    if (needed <= work->capacity)
        return LAY_OK;
    lay_work_free(work);
    work->data = lay_alloc_aligned(needed, sizeof *work->data);
    if (!work->data)
        return lay_no_memory(err, "activations");
    work->capacity = needed;
    return LAY_OK;
}

void lay_work_free(struct lay_work *work)
{
    lay_free(work->data);
    *work = (struct lay_work){0};
}

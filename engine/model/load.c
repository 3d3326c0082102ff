#include "engine/model/load.h"

#include "engine/base/mem.h"
#include "engine/dnn/stored.h"

#include <stdio.h>
#include <string.h>

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

/* What a layer is called in a packed copy: "layers.0.mlp.gate_proj+up_proj". Counts the parts. */
static enum lay_status block_name(char name[NAME_MAX_BYTES], const char *prefix, const char *const *parts,
                                  int *n_parts, struct lay_err *err)
{
    LAY_TRY(join(name, prefix, parts[0], "", err));
    for (*n_parts = 1; *n_parts < PARTS_MAX && parts[*n_parts]; ++*n_parts) {
        char longer[NAME_MAX_BYTES];
        LAY_TRY(join(longer, name, "+", parts[*n_parts], err));
        memcpy(name, longer, sizeof longer);
    }
    return LAY_OK;
}

static enum lay_status pack_linear(const struct lay_loader *loader, const char *prefix,
                                   const char *const *parts, int n, int64_t out, int64_t in, bool bias,
                                   struct lay_linear **linear, struct lay_err *err)
{
    const struct lay_tensor *tensors[PARTS_MAX];
    struct lay_matrix matrices[PARTS_MAX];
    const int64_t shape[] = {out, in};
    for (int i = 0; i < n; i++) {
        char name[NAME_MAX_BYTES];
        LAY_TRY(join(name, prefix, parts[i], ".weight", err));
        LAY_TRY(lay_weights_get(loader->weights, name, 2, shape, &tensors[i], err));
        matrices[i] =
            (struct lay_matrix){tensors[i]->data, tensors[i]->dtype, out, in, tensors[i]->transposed};
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

static enum lay_status restore_linear(const struct lay_loader *loader, const char *block,
                                      enum lay_dtype compute, int64_t out, int64_t in, bool bias,
                                      struct lay_linear **linear, struct lay_err *err)
{
    size_t bytes;
    const void *image = lay_packed_find(lay_weights_packed(loader->weights), block, &bytes);
    if (!image)
        return lay_fail(err, LAY_ERR_INPUT, "stored weights lack %s", block);
    LAY_TRY(lay_linear_restore(loader->dnn, compute, out, in, bias, image, bytes, linear, err));
    lay_weights_heard(loader->weights, (size_t)(out * in));
    return LAY_OK;
}

static enum lay_status write_block(void *context, const void *bytes, size_t length, struct lay_err *err)
{
    return lay_packed_write(context, bytes, length, err);
}

enum lay_status lay_load_linear(const struct lay_loader *loader, const char *prefix, const char *const *parts,
                                int64_t out, int64_t in, bool bias, struct lay_linear **linear,
                                struct lay_err *err)
{
    char block[NAME_MAX_BYTES];
    int n;
    *linear = NULL;
    LAY_TRY(block_name(block, prefix, parts, &n, err));
    if (lay_weights_packed(loader->weights))
        return restore_linear(loader, block, lay_precision_for(loader->precision, parts[0]), n * out, in,
                              bias, linear, err);
    LAY_TRY(pack_linear(loader, prefix, parts, n, out, in, bias, linear, err));
    struct lay_packed_writer *writer = lay_weights_writer(loader->weights);
    /* what cannot be written is no reason not to go on; lay_packed_commit tells */
    if (writer && lay_packed_begin(writer, block, NULL) == LAY_OK)
        (void)lay_linear_store(*linear, write_block, writer, NULL);
    return LAY_OK;
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

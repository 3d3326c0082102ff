/* From what a torch pickle built to the tensors of its state dict. */
#include "engine/store/pickle.h"

#include "engine/base/mem.h"

#include <string.h>

/* Under these keys training scripts put the state dict (beside epochs, optimizers …). */
static const char *const wrappers[] = {"model_state_dict", "state_dict", "model", "module"};
#define N_WRAPPERS (sizeof wrappers / sizeof *wrappers)
#define WRAPPERS_DEEP 4

enum layout { LAYOUT_CONTIGUOUS, LAYOUT_TRANSPOSED, LAYOUT_OTHER };

/* Strides of dimensions of one element mean nothing. */
static enum layout layout_of(const struct lay_pickle_tensor *tensor, size_t count)
{
    int64_t expected = 1;
    bool contiguous = true;
    if (count == 0)
        return LAYOUT_CONTIGUOUS;
    for (int i = tensor->rank - 1; i >= 0; i--) {
        contiguous = contiguous && (tensor->shape[i] == 1 || tensor->stride[i] == expected);
        expected *= tensor->shape[i]; /* at most count, which was checked */
    }
    if (contiguous)
        return LAYOUT_CONTIGUOUS;
    if (tensor->rank == 2 && tensor->stride[0] == 1 && tensor->stride[1] == tensor->shape[0])
        return LAYOUT_TRANSPOSED;
    return LAYOUT_OTHER;
}

static enum lay_status add_tensor(const struct lay_pickle *pickle, struct lay_pickle_text name,
                                  const struct lay_pickle_tensor *from, struct lay_tensor_list *list,
                                  struct lay_err *err)
{
    const struct lay_pickle_storage *storage = &pickle->storages[from->storage];
    struct lay_tensor tensor = {.file = pickle->path, .dtype = storage->dtype, .rank = from->rank};
    char shown[129];
    const size_t n = name.length < sizeof shown - 1 ? name.length : sizeof shown - 1;
    memcpy(shown, name.bytes, n);
    shown[n] = 0;
    if (memchr(name.bytes, 0, name.length))
        return lay_fail(err, LAY_ERR_INPUT,
                        "%s: the name of a tensor (\"%s\") holds a NUL byte; the file is "
                        "damaged, download it again",
                        pickle->path, shown);
    memcpy(tensor.shape, from->shape, sizeof tensor.shape);
    LAY_TRY(lay_tensor_measure(&tensor, pickle->path, shown, err));
    const enum layout layout = layout_of(from, tensor.count);
    if (layout == LAYOUT_OTHER)
        return lay_fail(err, LAY_ERR_INPUT,
                        "%s: tensor \"%s\" is a strided view, which is not supported; save it after "
                        ".contiguous()",
                        pickle->path, shown);
    if (from->offset > storage->view_count || tensor.count > storage->view_count - from->offset)
        return lay_fail(err, LAY_ERR_INPUT,
                        "%s: tensor \"%s\" reaches beyond its storage of %zu elements; the file is damaged, "
                        "download it again",
                        pickle->path, shown, storage->view_count);
    tensor.transposed = layout == LAYOUT_TRANSPOSED;
    tensor.data = storage->data + (storage->view_offset + from->offset) * lay_dtype_size(storage->dtype);
    return lay_tensor_list_add(list, &tensor, name.bytes, name.length, err);
}

static enum lay_status add_entry(const struct lay_pickle *pickle, const struct lay_pickle_cell *cell,
                                 struct lay_tensor_list *list, struct lay_err *err)
{
    const struct lay_pickle_value *key = &pickle->values[cell->key], *value = &pickle->values[cell->value];
    if (value->kind != LAY_PICKLE_TENSOR)
        return LAY_OK;
    if (key->kind != LAY_PICKLE_TEXT)
        return lay_fail(err, LAY_ERR_INPUT,
                        "%s: a tensor's key is no text; this is no state dict, save the weights with "
                        "torch.save(model.state_dict(), …)",
                        pickle->path);
    return add_tensor(pickle, key->text, &pickle->tensors[value->index], list, err);
}

static enum lay_status collect(const struct lay_pickle *pickle, const struct lay_pickle_value *dict, int deep,
                               struct lay_tensor_list *list, struct lay_err *err)
{
    for (uint32_t cell = dict->first; cell != LAY_PICKLE_NONE; cell = pickle->cells[cell].next)
        LAY_TRY(add_entry(pickle, &pickle->cells[cell], list, err));
    if (deep == WRAPPERS_DEEP)
        return LAY_OK;
    for (size_t i = 0; i < N_WRAPPERS; i++) {
        const struct lay_pickle_value *inner = lay_pickle_get(pickle, dict, wrappers[i]);
        if (inner && inner->kind == LAY_PICKLE_DICT && inner != dict)
            LAY_TRY(collect(pickle, inner, deep + 1, list, err));
    }
    return LAY_OK;
}

enum lay_status lay_pickle_collect(const struct lay_pickle *pickle, struct lay_tensor_list *list,
                                   struct lay_err *err)
{
    const struct lay_pickle_value *root = &pickle->values[pickle->root];
    if (root->kind != LAY_PICKLE_DICT)
        return lay_fail(err, LAY_ERR_INPUT,
                        "%s: holds no state dict; save the weights with torch.save(model.state_dict(), …)",
                        pickle->path);
    return collect(pickle, root, 0, list, err);
}

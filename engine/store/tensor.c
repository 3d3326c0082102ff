#include "engine/store/parse.h"

#include "engine/base/mem.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum lay_status lay_tensor_list_add(struct lay_tensor_list *list, const struct lay_tensor *tensor,
                                    const char *name, size_t name_length, struct lay_err *err)
{
    if (list->count == LAY_CHECKPOINT_MAX_TENSORS)
        return lay_fail(err, LAY_ERR_INPUT, "%s: more than %zu tensors; this is no model", tensor->file,
                        LAY_CHECKPOINT_MAX_TENSORS);
    char *copy = lay_strndup(name, name_length);
    if (!copy || !lay_grow((void **)&list->items, &list->capacity, list->count + 1, sizeof *list->items)) {
        lay_free(copy);
        return lay_no_memory(err, "the tensor list");
    }
    struct lay_tensor *added = &list->items[list->count++];
    *added = *tensor;
    added->name = copy;
    return LAY_OK;
}

void lay_tensor_list_free(struct lay_tensor_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        lay_free((void *)(uintptr_t)list->items[i].name);
    lay_free(list->items);
    *list = (struct lay_tensor_list){0};
}

enum lay_status lay_tensor_measure(struct lay_tensor *tensor, const char *path, const char *name,
                                   struct lay_err *err)
{
    size_t count = 1;
    bool fits = true;
    for (int i = 0; i < tensor->rank; i++) {
        if (tensor->shape[i] < 0)
            return lay_fail(err, LAY_ERR_INPUT,
                            "%s: tensor \"%s\" has a negative size; the file is damaged, download it again",
                            path, name);
        fits = fits && lay_mul_size(count, (size_t)tensor->shape[i], &count);
    }
    tensor->count = count;
    if (!fits || !lay_mul_size(count, lay_dtype_size(tensor->dtype), &tensor->bytes))
        return lay_fail(err, LAY_ERR_INPUT,
                        "%s: tensor \"%s\" is larger than any memory; the file is damaged, download it again",
                        path, name);
    return LAY_OK;
}

/* Rows of the stored [columns, rows] matrix are converted one at a time and scattered. */
static enum lay_status transposed_to_f32(const struct lay_tensor *tensor, float *dst, struct lay_err *err)
{
    const size_t rows = (size_t)tensor->shape[0], columns = (size_t)tensor->shape[1];
    const size_t stored_row = rows * lay_dtype_size(tensor->dtype);
    float *row = lay_alloc(rows, sizeof *row);
    if (!row)
        return lay_no_memory(err, "a transposed tensor");
    for (size_t column = 0; column < columns; column++) {
        lay_to_f32(tensor->dtype, (const char *)tensor->data + column * stored_row, row, rows);
        for (size_t i = 0; i < rows; i++)
            dst[i * columns + column] = row[i];
    }
    lay_free(row);
    return LAY_OK;
}

enum lay_status lay_tensor_to_f32(const struct lay_tensor *tensor, float *dst, struct lay_err *err)
{
    if (!lay_dtype_is_floating(tensor->dtype))
        return lay_fail(err, LAY_ERR_INPUT, "%s: tensor \"%s\" holds %s where floating-point numbers belong",
                        tensor->file, tensor->name, lay_dtype_name(tensor->dtype));
    if (tensor->count == 0)
        return LAY_OK;
    if (tensor->transposed)
        return transposed_to_f32(tensor, dst, err);
    lay_to_f32(tensor->dtype, tensor->data, dst, tensor->count);
    return LAY_OK;
}

const char *lay_tensor_shape_text(const struct lay_tensor *tensor, char *text, size_t size)
{
    size_t used = (size_t)snprintf(text, size, "[");
    for (int i = 0; i < tensor->rank && used < size; i++)
        used +=
            (size_t)snprintf(text + used, size - used, "%s%lld", i ? ", " : "", (long long)tensor->shape[i]);
    if (used < size)
        snprintf(text + used, size - used, "]");
    return text;
}

void lay_tensor_drop_pages(const struct lay_tensor *tensor)
{
    if (tensor->maker && tensor->maker->keeps(tensor->maker->context, tensor))
        return;
    /* Pages that the tensor shares with a neighbour stay. */
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    const uintptr_t begin = ((uintptr_t)tensor->data + page - 1) / page * page;
    const uintptr_t end = ((uintptr_t)tensor->data + tensor->bytes) / page * page;
    if (begin < end)
        (void)madvise((void *)begin, end - begin, MADV_DONTNEED);
}

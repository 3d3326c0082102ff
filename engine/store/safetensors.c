/* The safetensors format: u64 length of the header, a JSON header, the data. Checked as strictly as the
 * reference implementation does: every byte of the data belongs to exactly one tensor. */
#include "engine/store/parse.h"

#include "engine/base/json.h"
#include "engine/base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define HEADER_MAX ((size_t)100000000) /* bytes; the limit of the reference implementation */

struct section {
    const char *path;
    const unsigned char *data; /* behind the header */
    size_t size;
};

/* A whole number from 0 on; doubles hold these exactly up to 2^53, beyond any file. */
static bool whole(const cJSON *item, int64_t *value)
{
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0) || item->valuedouble > 9007199254740992.0 ||
        item->valuedouble != floor(item->valuedouble))
        return false;
    *value = (int64_t)item->valuedouble;
    return true;
}

static enum lay_status bad_entry(const struct section *section, const char *name, const char *what,
                                 struct lay_err *err)
{
    return lay_fail(err, LAY_ERR_INPUT, "%s: tensor \"%s\": %s; the file is damaged, download it again",
                    section->path, name, what);
}

static enum lay_status read_shape(const struct section *section, const cJSON *entry,
                                  struct lay_tensor *tensor, struct lay_err *err)
{
    const cJSON *shape = cJSON_GetObjectItemCaseSensitive(entry, "shape");
    if (!cJSON_IsArray(shape))
        return bad_entry(section, entry->string, "\"shape\" is not an array", err);
    for (const cJSON *size = shape->child; size; size = size->next) {
        if (tensor->rank == LAY_TENSOR_MAX_RANK)
            return lay_fail(err, LAY_ERR_INPUT, "%s: tensor \"%s\" has more than %d dimensions",
                            section->path, entry->string, LAY_TENSOR_MAX_RANK);
        if (!whole(size, &tensor->shape[tensor->rank++]))
            return bad_entry(section, entry->string, "a size in \"shape\" is not a whole number", err);
    }
    return LAY_OK;
}

static enum lay_status read_dtype(const struct section *section, const cJSON *entry,
                                  struct lay_tensor *tensor, struct lay_err *err)
{
    const char *dtype = NULL;
    LAY_TRY(lay_json_get_string(entry, section->path, "dtype", &dtype, err));
    if (!dtype)
        return bad_entry(section, entry->string, "\"dtype\" is missing", err);
    tensor->dtype = lay_dtype_by_name(dtype);
    if (tensor->dtype == LAY_DTYPE_COUNT)
        return lay_fail(
            err, LAY_ERR_INPUT,
            "%s: tensor \"%s\" is stored as %s, which is not supported; convert it to F32, F16 or "
            "BF16",
            section->path, entry->string, dtype);
    return LAY_OK;
}

static enum lay_status read_entry(const struct section *section, const cJSON *entry,
                                  struct lay_tensor_list *list, struct lay_err *err)
{
    struct lay_tensor tensor = {.file = section->path};
    int64_t begin, end;
    if (!cJSON_IsObject(entry))
        return bad_entry(section, entry->string, "its description is not an object", err);
    LAY_TRY(read_dtype(section, entry, &tensor, err));
    LAY_TRY(read_shape(section, entry, &tensor, err));
    LAY_TRY(lay_tensor_measure(&tensor, section->path, entry->string, err));
    const cJSON *offsets = cJSON_GetObjectItemCaseSensitive(entry, "data_offsets");
    if (!cJSON_IsArray(offsets) || cJSON_GetArraySize(offsets) != 2 || !whole(offsets->child, &begin) ||
        !whole(offsets->child->next, &end) || begin > end)
        return bad_entry(section, entry->string, "\"data_offsets\" is not a range", err);
    if ((size_t)end > section->size)
        return lay_fail(
            err, LAY_ERR_INPUT,
            "%s: tensor \"%s\" ends at byte %lld of the data, but the file has only %zu; it is cut "
            "off, download it again",
            section->path, entry->string, (long long)end, section->size);
    if ((size_t)(end - begin) != tensor.bytes)
        return bad_entry(section, entry->string, "its range of bytes does not fit its shape and dtype", err);
    tensor.data = section->data + begin;
    return lay_tensor_list_add(list, &tensor, entry->string, strlen(entry->string), err);
}

static int by_data(const void *a, const void *b)
{
    const struct lay_tensor *const *x = a, *const *y = b;
    const uintptr_t p = (uintptr_t)(*x)->data, q = (uintptr_t)(*y)->data;
    if (p != q)
        return p < q ? -1 : 1;
    return (*x)->bytes < (*y)->bytes ? -1 : (*x)->bytes > (*y)->bytes;
}

static enum lay_status walk_ranges(const struct section *section, const struct lay_tensor *const *ordered,
                                   size_t n, struct lay_err *err)
{
    const unsigned char *covered = section->data;
    for (size_t i = 0; i < n; i++) {
        const unsigned char *begin = ordered[i]->data;
        if (begin < covered)
            return lay_fail(err, LAY_ERR_INPUT,
                            "%s: tensors \"%s\" and \"%s\" overlap; the file is damaged, download it again",
                            section->path, ordered[i - 1]->name, ordered[i]->name);
        if (begin > covered)
            return bad_entry(section, ordered[i]->name, "there is a gap in front of its data", err);
        covered = begin + ordered[i]->bytes;
    }
    if (covered != section->data + section->size)
        return lay_fail(
            err, LAY_ERR_INPUT,
            "%s: %zu bytes at the end belong to no tensor; the file is damaged, download it again",
            section->path, (size_t)(section->data + section->size - covered));
    return LAY_OK;
}

static enum lay_status check_coverage(const struct section *section, const struct lay_tensor_list *list,
                                      size_t first, struct lay_err *err)
{
    const size_t n = list->count - first;
    const struct lay_tensor **ordered = lay_alloc(n, sizeof *ordered);
    if (!ordered)
        return lay_no_memory(err, "the tensor list");
    for (size_t i = 0; i < n; i++)
        ordered[i] = &list->items[first + i];
    if (n > 1)
        qsort(ordered, n, sizeof *ordered, by_data);
    const enum lay_status status = walk_ranges(section, ordered, n, err);
    lay_free(ordered);
    return status;
}

static enum lay_status read_entries(const struct section *section, const cJSON *header,
                                    struct lay_tensor_list *list, struct lay_err *err)
{
    const size_t first = list->count;
    if (!cJSON_IsObject(header))
        return lay_fail(err, LAY_ERR_INPUT, "%s: the header is not a JSON object; download the file again",
                        section->path);
    for (const cJSON *entry = header->child; entry; entry = entry->next)
        if (strcmp(entry->string, "__metadata__") != 0)
            LAY_TRY(read_entry(section, entry, list, err));
    return check_coverage(section, list, first, err);
}

enum lay_status lay_safetensors_parse(const char *path, const unsigned char *data, size_t size,
                                      struct lay_tensor_list *list, struct lay_err *err)
{
    uint64_t length = 0;
    cJSON *header;
    if (size < 8)
        return lay_fail(err, LAY_ERR_INPUT, "%s: only %zu bytes; not a safetensors file, download it again",
                        path, size);
    for (int i = 7; i >= 0; i--)
        length = length << 8 | data[i];
    if (length > size - 8)
        return lay_fail(err, LAY_ERR_INPUT,
                        "%s: the header is said to have %llu bytes, but only %zu follow; the file is cut off "
                        "or not safetensors, download it again",
                        path, (unsigned long long)length, size - 8);
    if (length > HEADER_MAX)
        return lay_fail(err, LAY_ERR_INPUT, "%s: a header of %llu bytes is beyond the limit of %zu", path,
                        (unsigned long long)length, HEADER_MAX);
    if (length == 0 || data[8] != '{')
        return lay_fail(err, LAY_ERR_INPUT, "%s: the header is not a JSON object; download the file again",
                        path);
    enum lay_status status = lay_json_parse(path, (const char *)data + 8, (size_t)length, &header, err);
    if (status != LAY_OK)
        return lay_err_context(err, status, "safetensors header");
    const struct section section = {path, data + 8 + length, size - 8 - (size_t)length};
    status = read_entries(&section, header, list, err);
    cJSON_Delete(header);
    return status;
}

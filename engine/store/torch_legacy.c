/* torch.save before 1.6: pickles of the magic number, the protocol, the system, the object and the keys of
 * the storages, then, in the order of the keys, i64 number of elements and the elements of each storage. */
#include "engine/store/pickle.h"

#include "engine/base/mem.h"

#include <stdlib.h>
#include <string.h>

#define PROTOCOL 1001

/* PROTO 2, LONG1 0x1950a86a20f9469cfc6c, STOP */
static const unsigned char magic[] = {0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46,
                                      0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, '.'};

struct reader {
    const char *path;
    const unsigned char *data;
    size_t size, at;
};

static enum lay_status damaged(const struct reader *reader, const char *what, struct lay_err *err)
{
    return lay_fail(err, LAY_ERR_INPUT, "%s: byte %zu: %s; the file is damaged, download it again",
                    reader->path, reader->at, what);
}

static enum lay_status next_pickle(struct reader *reader, struct lay_pickle *pickle, struct lay_err *err)
{
    size_t used;
    const enum lay_status status = lay_pickle_run(reader->path, reader->data + reader->at,
                                                  reader->size - reader->at, pickle, &used, err);
    reader->at += used;
    return status;
}

static enum lay_status check_protocol(struct reader *reader, struct lay_err *err)
{
    struct lay_pickle pickle;
    enum lay_status status = next_pickle(reader, &pickle, err);
    if (status == LAY_OK) {
        const struct lay_pickle_value *root = &pickle.values[pickle.root];
        if (root->kind != LAY_PICKLE_INT || root->integer != PROTOCOL)
            status = damaged(reader, "the protocol is not 1001", err);
    }
    lay_pickle_free(&pickle);
    return status;
}

static enum lay_status check_system(struct reader *reader, struct lay_err *err)
{
    struct lay_pickle pickle;
    enum lay_status status = next_pickle(reader, &pickle, err);
    if (status == LAY_OK) {
        const struct lay_pickle_value *root = &pickle.values[pickle.root];
        const struct lay_pickle_value *little =
            root->kind == LAY_PICKLE_DICT ? lay_pickle_get(&pickle, root, "little_endian") : NULL;
        if (!little || little->kind != LAY_PICKLE_BOOL)
            status = damaged(reader, "the byte order is not stated", err);
        else if (!little->integer)
            status = lay_fail(err, LAY_ERR_INPUT,
                              "%s: written on a big-endian machine, which is not supported; save it again on "
                              "a little-endian one",
                              reader->path);
    }
    lay_pickle_free(&pickle);
    return status;
}

static int compare_texts(struct lay_pickle_text a, struct lay_pickle_text b)
{
    const size_t n = a.length < b.length ? a.length : b.length;
    const int order = n ? memcmp(a.bytes, b.bytes, n) : 0;
    return order ? order : (a.length > b.length) - (a.length < b.length);
}

static int by_key(const void *a, const void *b)
{
    const struct lay_pickle_storage *const *x = a, *const *y = b;
    return compare_texts((*x)->key, (*y)->key);
}

/* The first mention of `key` in `sorted`, n if there is none. */
static size_t first_mention(struct lay_pickle_storage *const *sorted, size_t n, struct lay_pickle_text key)
{
    size_t low = 0, high = n;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (compare_texts(sorted[middle]->key, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < n && compare_texts(sorted[low]->key, key) == 0 ? low : n;
}

static enum lay_status read_storage(struct reader *reader, struct lay_pickle_storage *const *sorted, size_t n,
                                    struct lay_pickle_text key, struct lay_err *err)
{
    uint64_t count = 0;
    size_t bytes, i = first_mention(sorted, n, key);
    if (i == n)
        return damaged(reader, "a storage that no tensor uses", err);
    if (reader->size - reader->at < 8)
        return damaged(reader, "the storages are cut off", err);
    for (int b = 7; b >= 0; b--)
        count = count << 8 | reader->data[reader->at + (size_t)b];
    reader->at += 8;
    if (!lay_mul_size((size_t)count, lay_dtype_size(sorted[i]->dtype), &bytes) ||
        bytes > reader->size - reader->at)
        return damaged(reader, "the storages are cut off", err);
    for (const enum lay_dtype dtype = sorted[i]->dtype; i < n && compare_texts(sorted[i]->key, key) == 0;
         i++) {
        if (sorted[i]->count != count || sorted[i]->dtype != dtype)
            return damaged(reader, "a storage has another size or type than its tensors say", err);
        sorted[i]->data = reader->data + reader->at;
    }
    reader->at += bytes;
    return LAY_OK;
}

static enum lay_status read_storages(struct reader *reader, const struct lay_pickle *keys,
                                     struct lay_pickle_storage *const *sorted, size_t n, struct lay_err *err)
{
    const struct lay_pickle_value *root = &keys->values[keys->root];
    if (root->kind != LAY_PICKLE_LIST)
        return damaged(reader, "the list of storages is missing", err);
    for (uint32_t cell = root->first; cell != LAY_PICKLE_NONE; cell = keys->cells[cell].next) {
        const struct lay_pickle_value *key = &keys->values[keys->cells[cell].value];
        if (key->kind != LAY_PICKLE_TEXT)
            return damaged(reader, "the key of a storage is no text", err);
        LAY_TRY(read_storage(reader, sorted, n, key->text, err));
    }
    for (size_t i = 0; i < n; i++)
        if (!sorted[i]->data)
            return damaged(reader, "the storage of a tensor is missing", err);
    return LAY_OK;
}

static enum lay_status attach_storages(struct reader *reader, struct lay_pickle *pickle, struct lay_err *err)
{
    struct lay_pickle keys;
    const size_t n = pickle->n_storages;
    struct lay_pickle_storage **sorted = lay_alloc(n, sizeof *sorted);
    if (!sorted)
        return lay_no_memory(err, "a pickle");
    for (size_t i = 0; i < n; i++)
        sorted[i] = &pickle->storages[i];
    if (n > 1)
        qsort(sorted, n, sizeof *sorted, by_key);
    enum lay_status status = next_pickle(reader, &keys, err);
    if (status == LAY_OK)
        status = read_storages(reader, &keys, sorted, n, err);
    lay_pickle_free(&keys);
    lay_free(sorted);
    return status;
}

enum lay_status lay_torch_legacy_parse(const char *path, const unsigned char *data, size_t size,
                                       struct lay_tensor_list *list, struct lay_err *err)
{
    struct reader reader = {path, data, size, sizeof magic};
    struct lay_pickle pickle;
    if (size < sizeof magic || memcmp(data, magic, sizeof magic) != 0)
        return lay_fail(err, LAY_ERR_INPUT,
                        "%s: a pickle, but not one that torch.save wrote; save the weights with "
                        "torch.save(model.state_dict(), …) or as safetensors",
                        path);
    LAY_TRY(check_protocol(&reader, err));
    LAY_TRY(check_system(&reader, err));
    enum lay_status status = next_pickle(&reader, &pickle, err);
    if (status == LAY_OK)
        status = attach_storages(&reader, &pickle, err);
    if (status == LAY_OK)
        status = lay_pickle_collect(&pickle, list, err);
    lay_pickle_free(&pickle);
    return status;
}

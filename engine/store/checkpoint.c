#include "engine/store/checkpoint.h"

#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "engine/base/str.h"
#include "engine/store/identity.h"
#include "engine/store/index.h"
#include "engine/store/parse.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

struct lay_checkpoint {
    char *path;
    char format[64];
    struct lay_shard_list shards;
    struct lay_file_map *maps; /* one per shard */
    struct lay_tensor_list tensors;
    struct lay_tensor_maker maker; /* of lay_checkpoint_make */
    void *made;                    /* one mapping of all its data */
    size_t made_bytes;
};

static bool starts_with(const unsigned char *data, size_t size, const char *magic, size_t length)
{
    return size >= length && memcmp(data, magic, length) == 0;
}

enum lay_status lay_weight_file_parse(const char *path, const unsigned char *data, size_t size,
                                      const char **format, struct lay_tensor_list *list, struct lay_err *err)
{
    static const char lfs[] = "version https://git-lfs";
    if (size == 0)
        return lay_fail(err, LAY_ERR_INPUT, "%s: the file is empty; download it again", path);
    if (starts_with(data, size, lfs, sizeof lfs - 1))
        return lay_fail(err, LAY_ERR_INPUT,
                        "%s: a Git LFS pointer, not the weights; run `git lfs pull` in its directory", path);
    if (starts_with(data, size, "PK", 2)) {
        *format = "torch zip";
        return lay_torch_zip_parse(path, data, size, list, err);
    }
    if (data[0] == 0x80) {
        /* 0x80 opens a pickle; as a safetensors length it would need the '{' at byte 8 that a pickle lacks.
         */
        if (size < 9 || data[8] != '{') {
            *format = "torch legacy";
            return lay_torch_legacy_parse(path, data, size, list, err);
        }
    }
    *format = "safetensors";
    return lay_safetensors_parse(path, data, size, list, err);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct lay_tensor *)a)->name, ((const struct lay_tensor *)b)->name);
}

static enum lay_status sort_and_check(struct lay_checkpoint *checkpoint, struct lay_err *err)
{
    struct lay_tensor_list *list = &checkpoint->tensors;
    if (list->count == 0)
        return lay_fail(err, LAY_ERR_INPUT, "%s: holds no tensors; name a file with model weights",
                        checkpoint->path);
    qsort(list->items, list->count, sizeof *list->items, by_name);
    for (size_t i = 1; i < list->count; i++) {
        const struct lay_tensor *a = &list->items[i - 1], *b = &list->items[i];
        if (strcmp(a->name, b->name) == 0)
            return lay_fail(err, LAY_ERR_INPUT,
                            "%s: tensor \"%s\" is there twice (also in %s); download the checkpoint again",
                            a->file, a->name, b->file);
    }
    return LAY_OK;
}

/* What the index promises must be where it says. */
static enum lay_status check_index(const struct lay_checkpoint *checkpoint, struct lay_err *err)
{
    const cJSON *map = cJSON_GetObjectItemCaseSensitive(checkpoint->shards.index, "weight_map");
    for (const cJSON *item = map ? map->child : NULL; item; item = item->next) {
        const struct lay_tensor *tensor = lay_checkpoint_find(checkpoint, item->string);
        if (!tensor || strcmp(lay_path_basename(tensor->file), item->valuestring) != 0)
            return lay_fail(err, LAY_ERR_INPUT,
                            "%s: tensor \"%s\" is not in shard \"%s\" as the index says; index and shards "
                            "belong to different downloads, download them again",
                            checkpoint->shards.index_path, item->string, item->valuestring);
    }
    return LAY_OK;
}

static enum lay_status read_files(struct lay_checkpoint *checkpoint, struct lay_err *err)
{
    const struct lay_shard_list *shards = &checkpoint->shards;
    const char *format = "";
    for (size_t i = 0; i < shards->count; i++) {
        struct lay_file_map *map = &checkpoint->maps[i];
        LAY_TRY(lay_file_map(shards->paths[i], map, err));
        LAY_TRY(lay_weight_file_parse(shards->paths[i], map->data, map->size, &format, &checkpoint->tensors,
                                      err));
    }
    struct lay_str text = {0};
    lay_str_puts(&text, format);
    if (shards->index)
        lay_str_printf(&text, ", %zu shards", shards->count);
    strncpy(checkpoint->format, lay_str_text(&text), sizeof checkpoint->format - 1);
    lay_str_free(&text);
    LAY_TRY(sort_and_check(checkpoint, err));
    return check_index(checkpoint, err);
}

static enum lay_status open_into(struct lay_checkpoint *checkpoint, const char *path, struct lay_err *err)
{
    checkpoint->path = lay_strdup(path);
    if (!checkpoint->path)
        return lay_no_memory(err, "a path");
    LAY_TRY(lay_shards_find(path, &checkpoint->shards, err));
    checkpoint->maps = lay_alloc(checkpoint->shards.count, sizeof *checkpoint->maps);
    if (!checkpoint->maps)
        return lay_no_memory(err, "the list of weight files");
    return read_files(checkpoint, err);
}

enum lay_status lay_checkpoint_open(const char *path, struct lay_checkpoint **checkpoint, struct lay_err *err)
{
    *checkpoint = lay_alloc(1, sizeof **checkpoint);
    if (!*checkpoint)
        return lay_no_memory(err, "a checkpoint");
    const enum lay_status status = open_into(*checkpoint, path, err);
    if (status != LAY_OK) {
        lay_checkpoint_close(*checkpoint);
        *checkpoint = NULL;
    }
    return status;
}

enum lay_status lay_checkpoint_identity(const struct lay_checkpoint *checkpoint, struct lay_str *text,
                                        struct lay_err *err)
{
    if (checkpoint->shards.count == 0)
        return lay_fail(err, LAY_ERR_INPUT, "%s: is in no file", checkpoint->path);
    for (size_t i = 0; i < checkpoint->shards.count; i++)
        LAY_TRY(lay_file_identity(checkpoint->shards.paths[i], &checkpoint->maps[i], text, err));
    return LAY_OK;
}

/* --- tensors that are made --- */

enum { MADE_ALIGNMENT = 4096 }; /* pages of one tensor hold nothing of another */

/* Pages come when they are first written, so the mapping costs nothing yet. */
static enum lay_status map_made(struct lay_checkpoint *checkpoint, size_t bytes, struct lay_err *err)
{
    void *memory = mmap(NULL, bytes ? bytes : 1, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return lay_no_memory(err, checkpoint->path);
    checkpoint->made = memory;
    checkpoint->made_bytes = bytes ? bytes : 1;
    return LAY_OK;
}

static enum lay_status make_list(struct lay_checkpoint *checkpoint, const struct lay_tensor *tensors,
                                 size_t count, struct lay_err *err)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        struct lay_tensor tensor = tensors[i];
        tensor.file = checkpoint->path;
        tensor.maker = &checkpoint->maker;
        LAY_TRY(lay_tensor_measure(&tensor, checkpoint->path, tensor.name, err));
        LAY_TRY(lay_tensor_list_add(&checkpoint->tensors, &tensor, tensor.name, strlen(tensor.name), err));
        if (!lay_add_size(bytes, tensor.bytes, &bytes) || !lay_add_size(bytes, MADE_ALIGNMENT - 1, &bytes))
            return lay_no_memory(err, checkpoint->path);
        bytes -= bytes % MADE_ALIGNMENT;
    }
    LAY_TRY(map_made(checkpoint, bytes, err));
    char *at = checkpoint->made;
    for (size_t i = 0; i < checkpoint->tensors.count; i++) {
        struct lay_tensor *tensor = &checkpoint->tensors.items[i];
        tensor->data = at;
        at += (tensor->bytes + MADE_ALIGNMENT - 1) / MADE_ALIGNMENT * MADE_ALIGNMENT;
    }
    return sort_and_check(checkpoint, err);
}

enum lay_status lay_checkpoint_make(const char *name, const struct lay_tensor *tensors, size_t count,
                                    const struct lay_tensor_maker *maker, struct lay_checkpoint **checkpoint,
                                    struct lay_err *err)
{
    struct lay_checkpoint *made = lay_alloc(1, sizeof *made);
    *checkpoint = NULL;
    if (!made) {
        maker->destroy(maker->context);
        return lay_no_memory(err, "a checkpoint");
    }
    made->maker = *maker;
    strcpy(made->format, "made");
    made->path = lay_strdup(name);
    const enum lay_status status =
        made->path ? make_list(made, tensors, count, err) : lay_no_memory(err, "a path");
    if (status != LAY_OK)
        lay_checkpoint_close(made);
    else
        *checkpoint = made;
    return status;
}

void lay_checkpoint_close(struct lay_checkpoint *checkpoint)
{
    if (!checkpoint)
        return;
    lay_tensor_list_free(&checkpoint->tensors);
    if (checkpoint->made)
        (void)munmap(checkpoint->made, checkpoint->made_bytes);
    if (checkpoint->maker.destroy)
        checkpoint->maker.destroy(checkpoint->maker.context);
    for (size_t i = 0; checkpoint->maps && i < checkpoint->shards.count; i++)
        lay_file_unmap(&checkpoint->maps[i]);
    lay_free(checkpoint->maps);
    lay_shards_free(&checkpoint->shards);
    lay_free(checkpoint->path);
    lay_free(checkpoint);
}

const char *lay_checkpoint_path(const struct lay_checkpoint *checkpoint)
{
    return checkpoint->path;
}

const char *lay_checkpoint_format(const struct lay_checkpoint *checkpoint)
{
    return checkpoint->format;
}

size_t lay_checkpoint_count(const struct lay_checkpoint *checkpoint)
{
    return checkpoint->tensors.count;
}

const struct lay_tensor *lay_checkpoint_at(const struct lay_checkpoint *checkpoint, size_t index)
{
    return &checkpoint->tensors.items[index];
}

const struct lay_tensor *lay_checkpoint_find(const struct lay_checkpoint *checkpoint, const char *name)
{
    const struct lay_tensor key = {.name = name};
    return bsearch(&key, checkpoint->tensors.items, checkpoint->tensors.count, sizeof key, by_name);
}

#include "engine/store/index.h"

#include "engine/base/file.h"
#include "engine/base/mem.h"

#include <stdlib.h>
#include <string.h>

static const char *const candidates[] = {
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
};
#define N_CANDIDATES (sizeof candidates / sizeof *candidates)

static bool ends_with(const char *text, const char *end)
{
    const size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

static enum lay_status add_path(struct lay_shard_list *shards, size_t *capacity, char *path,
                                struct lay_err *err)
{
    if (!path || !lay_grow((void **)&shards->paths, capacity, shards->count + 1, sizeof *shards->paths)) {
        lay_free(path);
        return lay_no_memory(err, "the list of weight files");
    }
    shards->paths[shards->count++] = path;
    return LAY_OK;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The distinct file names of weight_map; *names is an array of pointers into the tree. */
static enum lay_status distinct_files(const char *path, const cJSON *map, const char ***names, size_t *count,
                                      struct lay_err *err)
{
    size_t capacity = 0, n = 0;
    for (const cJSON *item = map->child; item; item = item->next) {
        const char *file = cJSON_IsString(item) ? item->valuestring : NULL;
        if (!file)
            return lay_fail(err, LAY_ERR_INPUT, "%s: weight_map of \"%s\" is not a file name", path,
                            item->string);
        if (!*file || strchr(file, '/') || strcmp(file, "..") == 0 || strcmp(file, ".") == 0)
            return lay_fail(
                err, LAY_ERR_INPUT,
                "%s: \"%s\" is said to be in \"%s\", which is not a plain file name; an index may "
                "only name files beside it",
                path, item->string, file);
        if (!lay_grow((void **)names, &capacity, n + 1, sizeof **names))
            return lay_no_memory(err, "the list of weight files");
        (*names)[n++] = file;
    }
    if (n == 0)
        return lay_fail(err, LAY_ERR_INPUT, "%s: weight_map is empty; download the index again", path);
    qsort(*names, n, sizeof **names, by_text);
    *count = 1;
    for (size_t i = 1; i < n; i++)
        if (strcmp((*names)[i], (*names)[*count - 1]) != 0)
            (*names)[(*count)++] = (*names)[i];
    if (*count > LAY_CHECKPOINT_MAX_SHARDS)
        return lay_fail(err, LAY_ERR_INPUT, "%s: names %zu files, more than %d", path, *count,
                        LAY_CHECKPOINT_MAX_SHARDS);
    return LAY_OK;
}

static enum lay_status add_shards(struct lay_shard_list *shards, const char *const *names, size_t n,
                                  struct lay_err *err)
{
    size_t capacity = 0, missing = 0;
    const char *first_missing = NULL;
    enum lay_status status = LAY_OK;
    char *dir = lay_path_dirname(shards->index_path);
    if (!dir)
        return lay_no_memory(err, "a path");
    for (size_t i = 0; i < n && status == LAY_OK; i++) {
        status = add_path(shards, &capacity, lay_path_join(dir, names[i]), err);
        if (status == LAY_OK && !lay_path_exists(shards->paths[shards->count - 1])) {
            first_missing = first_missing ? first_missing : names[i];
            missing++;
        }
    }
    if (status == LAY_OK && missing)
        status = lay_fail(err, LAY_ERR_INPUT,
                          "%s: shard \"%s\" is missing (%zu of %zu shards are); download it again into %s",
                          shards->index_path, first_missing, missing, n, dir);
    lay_free(dir);
    return status;
}

static enum lay_status read_index(struct lay_shard_list *shards, struct lay_err *err)
{
    const char **names = NULL;
    size_t n = 0;
    LAY_TRY(lay_json_read(shards->index_path, &shards->index, err));
    const cJSON *map = cJSON_GetObjectItemCaseSensitive(shards->index, "weight_map");
    if (!cJSON_IsObject(map))
        return lay_fail(err, LAY_ERR_INPUT,
                        "%s: \"weight_map\" is missing; this is not the index of a sharded checkpoint",
                        shards->index_path);
    enum lay_status status = distinct_files(shards->index_path, map, &names, &n, err);
    if (status == LAY_OK)
        status = add_shards(shards, names, n, err);
    lay_free(names);
    return status;
}

static enum lay_status use_file(struct lay_shard_list *shards, char *path, struct lay_err *err)
{
    size_t capacity = 0;
    if (!path)
        return lay_no_memory(err, "a path");
    if (!ends_with(path, ".index.json"))
        return add_path(shards, &capacity, path, err);
    shards->index_path = path;
    return read_index(shards, err);
}

static enum lay_status search_directory(const char *dir, struct lay_shard_list *shards, struct lay_err *err)
{
    for (size_t i = 0; i < N_CANDIDATES; i++) {
        char *path = lay_path_join(dir, candidates[i]);
        if (!path)
            return lay_no_memory(err, "a path");
        if (lay_path_exists(path))
            return use_file(shards, path, err);
        lay_free(path);
    }
    return lay_fail(err, LAY_ERR_INPUT,
                    "%s: no weights: neither model.safetensors nor pytorch_model.bin nor the index of a "
                    "sharded one (*.index.json) is there; name the model's directory or its weight file",
                    dir);
}

enum lay_status lay_shards_find(const char *path, struct lay_shard_list *shards, struct lay_err *err)
{
    *shards = (struct lay_shard_list){0};
    enum lay_status status;
    if (!lay_path_exists(path))
        status =
            lay_fail(err, LAY_ERR_INPUT, "%s: does not exist; name a model directory or a weight file", path);
    else if (lay_path_is_dir(path))
        status = search_directory(path, shards, err);
    else
        status = use_file(shards, lay_strdup(path), err);
    if (status != LAY_OK)
        lay_shards_free(shards);
    return status;
}

void lay_shards_free(struct lay_shard_list *shards)
{
    for (size_t i = 0; i < shards->count; i++)
        lay_free(shards->paths[i]);
    lay_free(shards->paths);
    lay_free(shards->index_path);
    cJSON_Delete(shards->index);
    *shards = (struct lay_shard_list){0};
}

#include "engine/store/packed.h"

#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/base/mem.h"

#include <stdlib.h>
#include <string.h>

#define HEADER_BYTES 64
#define BLOCK_ALIGNMENT ((size_t)4096)
#define INDEX_BYTES_MAX ((size_t)64 << 20)

static const char header_magic[HEADER_BYTES] = "LAYCACHE\0\0\0\0\0\0\0\1";
static const char trailer_magic[8] = {'L', 'A', 'Y', 'I', 'N', 'D', 'E', 'X'};

struct trailer {
    char magic[8];
    uint64_t offset, length;
    struct lay_hash hash;
    char rest[24];
};
_Static_assert(sizeof(struct trailer) == 64, "the format says so");

struct block {
    char *name;
    size_t offset, bytes;
};

struct block_list {
    struct block *items;
    size_t count, capacity;
};

static void blocks_free(struct block_list *blocks)
{
    for (size_t i = 0; i < blocks->count; i++)
        lay_free(blocks->items[i].name);
    lay_free(blocks->items);
}

static bool blocks_add(struct block_list *blocks, const char *name, size_t offset, size_t bytes)
{
    const struct block block = {lay_strdup(name), offset, bytes};
    if (block.name &&
        lay_grow((void **)&blocks->items, &blocks->capacity, blocks->count + 1, sizeof *blocks->items)) {
        blocks->items[blocks->count++] = block;
        return true;
    }
    lay_free(block.name);
    return false;
}

/* --- reading --- */

struct lay_packed {
    struct lay_file_map map;
    struct lay_hash fingerprint;
    struct block_list blocks; /* in order of name */
};

static enum lay_status damaged(const char *path, struct lay_err *err)
{
    return lay_fail(err, LAY_ERR_INPUT, "%s: is no packed cache or a damaged one", path);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct block *)a)->name, ((const struct block *)b)->name);
}

/* A whole number from 0 on in a JSON object; SIZE_MAX when there is none. */
static size_t number_of(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    const bool good = cJSON_IsNumber(item) && item->valuedouble >= 0 && item->valuedouble < 9e15;
    return good ? (size_t)item->valuedouble : SIZE_MAX;
}

static enum lay_status read_blocks(struct lay_packed *p, const char *path, const cJSON *index, size_t end,
                                   struct lay_err *err)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(index, "blocks"))
    {
        const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, "name"));
        const size_t offset = number_of(item, "offset"), bytes = number_of(item, "bytes");
        if (!name || offset % BLOCK_ALIGNMENT != 0 || offset > end || bytes > end - offset)
            return damaged(path, err);
        if (!blocks_add(&p->blocks, name, offset, bytes))
            return lay_no_memory(err, "a packed cache");
    }
    qsort(p->blocks.items, p->blocks.count, sizeof *p->blocks.items, by_name);
    return LAY_OK;
}

static enum lay_status read_index(struct lay_packed *p, const char *path, const char *key,
                                  const struct trailer *trailer, struct lay_err *err)
{
    cJSON *index = NULL;
    const char *text = (const char *)p->map.data + trailer->offset;
    if (lay_json_parse(path, text, trailer->length, &index, NULL) != LAY_OK)
        return damaged(path, err);
    const char *its_key = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(index, "key"));
    const char *hex = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(index, "fingerprint"));
    enum lay_status status = LAY_OK;
    if (!its_key || !hex || !lay_hash_parse(hex, &p->fingerprint))
        status = damaged(path, err);
    else if (strcmp(its_key, key) != 0)
        status = lay_fail(err, LAY_ERR_INPUT, "%s: is the packed cache of other weights", path);
    if (status == LAY_OK)
        status = read_blocks(p, path, index, trailer->offset, err);
    cJSON_Delete(index);
    return status;
}

static enum lay_status open_into(struct lay_packed *p, const char *path, const char *key, struct lay_err *err)
{
    struct trailer trailer;
    LAY_TRY(lay_file_map(path, &p->map, err));
    if (p->map.size < HEADER_BYTES + sizeof trailer || memcmp(p->map.data, header_magic, HEADER_BYTES) != 0)
        return damaged(path, err);
    const size_t end = p->map.size - sizeof trailer;
    memcpy(&trailer, p->map.data + end, sizeof trailer);
    if (memcmp(trailer.magic, trailer_magic, sizeof trailer_magic) != 0 || trailer.offset > end ||
        trailer.length != end - trailer.offset || trailer.length > INDEX_BYTES_MAX)
        return damaged(path, err);
    const struct lay_hash hash = lay_hash_bytes(p->map.data + trailer.offset, trailer.length);
    if (memcmp(&hash, &trailer.hash, sizeof hash) != 0)
        return damaged(path, err);
    return read_index(p, path, key, &trailer, err);
}

enum lay_status lay_packed_open(const char *path, const char *key, struct lay_packed **packed,
                                struct lay_err *err)
{
    *packed = lay_alloc(1, sizeof **packed);
    if (!*packed)
        return lay_no_memory(err, "a packed cache");
    const enum lay_status status = open_into(*packed, path, key, err);
    if (status != LAY_OK) {
        lay_packed_close(*packed);
        *packed = NULL;
    }
    return status;
}

void lay_packed_close(struct lay_packed *packed)
{
    if (!packed)
        return;
    blocks_free(&packed->blocks);
    lay_file_unmap(&packed->map);
    lay_free(packed);
}

const void *lay_packed_find(const struct lay_packed *packed, const char *name, size_t *bytes)
{
    const struct block key = {.name = (char *)(uintptr_t)name};
    const struct block *found =
        bsearch(&key, packed->blocks.items, packed->blocks.count, sizeof key, by_name);
    if (!found)
        return NULL;
    *bytes = found->bytes;
    return packed->map.data + found->offset;
}

struct lay_hash lay_packed_fingerprint(const struct lay_packed *packed)
{
    return packed->fingerprint;
}

/* --- writing --- */

struct lay_packed_writer {
    struct lay_file_writer *file;
    char *key;
    struct block_list blocks;
    size_t at;              /* bytes written */
    struct lay_err failure; /* the first */
};

static void writer_free(struct lay_packed_writer *w)
{
    blocks_free(&w->blocks);
    lay_free(w->key);
    lay_free(w);
}

static enum lay_status put(struct lay_packed_writer *w, const void *bytes, size_t length, struct lay_err *err)
{
    if (w->failure.status == LAY_OK)
        lay_file_writer_write(w->file, bytes, length, &w->failure);
    if (w->failure.status != LAY_OK)
        return lay_fail(err, w->failure.status, "%s", w->failure.message);
    w->at += length;
    return LAY_OK;
}

enum lay_status lay_packed_create(const char *path, const char *key, struct lay_packed_writer **writer,
                                  struct lay_err *err)
{
    struct lay_packed_writer *w = lay_alloc(1, sizeof *w);
    *writer = NULL;
    if (!w)
        return lay_no_memory(err, "a packed cache");
    w->key = lay_strdup(key);
    enum lay_status status =
        w->key ? lay_file_writer_open(path, &w->file, err) : lay_no_memory(err, "a packed cache");
    if (status == LAY_OK)
        status = put(w, header_magic, sizeof header_magic, err);
    if (status != LAY_OK) {
        lay_packed_abort(w);
        return status;
    }
    *writer = w;
    return LAY_OK;
}

enum lay_status lay_packed_begin(struct lay_packed_writer *w, const char *name, struct lay_err *err)
{
    static const char zeros[BLOCK_ALIGNMENT];
    LAY_TRY(put(w, zeros, (BLOCK_ALIGNMENT - w->at % BLOCK_ALIGNMENT) % BLOCK_ALIGNMENT, err));
    if (blocks_add(&w->blocks, name, w->at, 0))
        return LAY_OK;
    lay_no_memory(&w->failure, "a packed cache");
    return lay_no_memory(err, "a packed cache");
}

enum lay_status lay_packed_write(struct lay_packed_writer *w, const void *bytes, size_t length,
                                 struct lay_err *err)
{
    LAY_TRY(put(w, bytes, length, err));
    w->blocks.items[w->blocks.count - 1].bytes += length;
    return LAY_OK;
}

static cJSON *index_of(const struct lay_packed_writer *w, struct lay_hash fingerprint)
{
    char hex[LAY_HASH_HEX];
    cJSON *index = cJSON_CreateObject();
    lay_hash_hex(fingerprint, hex);
    bool ok =
        cJSON_AddStringToObject(index, "key", w->key) && cJSON_AddStringToObject(index, "fingerprint", hex);
    cJSON *list = cJSON_AddArrayToObject(index, "blocks");
    for (size_t i = 0; i < w->blocks.count && ok; i++) {
        cJSON *item = cJSON_CreateObject();
        ok = lay_json_add(list, NULL, item) &&
             cJSON_AddStringToObject(item, "name", w->blocks.items[i].name) &&
             cJSON_AddNumberToObject(item, "offset", (double)w->blocks.items[i].offset) &&
             cJSON_AddNumberToObject(item, "bytes", (double)w->blocks.items[i].bytes);
    }
    if (ok)
        return index;
    cJSON_Delete(index);
    return NULL;
}

static enum lay_status put_index(struct lay_packed_writer *w, struct lay_hash fingerprint,
                                 struct lay_err *err)
{
    struct lay_str text = {0};
    cJSON *index = index_of(w, fingerprint);
    if (index)
        lay_json_put(&text, index, -1);
    enum lay_status status = index ? lay_str_check(&text, err) : lay_no_memory(err, "a packed cache");
    struct trailer trailer = {
        .offset = w->at, .length = text.length, .hash = lay_hash_bytes(lay_str_text(&text), text.length)};
    memcpy(trailer.magic, trailer_magic, sizeof trailer_magic);
    if (status == LAY_OK)
        status = put(w, text.data, text.length, err);
    if (status == LAY_OK)
        status = put(w, &trailer, sizeof trailer, err);
    lay_str_free(&text);
    cJSON_Delete(index);
    return status;
}

enum lay_status lay_packed_commit(struct lay_packed_writer *w, struct lay_hash fingerprint,
                                  struct lay_err *err)
{
    const enum lay_status status = put_index(w, fingerprint, err);
    if (status != LAY_OK) {
        lay_packed_abort(w);
        return status;
    }
    struct lay_file_writer *file = w->file;
    writer_free(w);
    return lay_file_writer_place(file, err);
}

void lay_packed_abort(struct lay_packed_writer *w)
{
    if (!w)
        return;
    lay_file_writer_abort(w->file);
    writer_free(w);
}

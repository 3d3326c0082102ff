/* torch.save's zip: <top>/data.pkl describes, <top>/data/KEY holds one storage each, stored, so that the data
 * are used where they lie. */
#include "engine/store/pickle.h"

#include "engine/base/mem.h"
#include "engine/base/str.h"

#include <string.h>
#include <zip.h>

/* libzip reads the central directory, but does not tell where an entry's data begin. So it reads through a
 * source of ours that remembers where it last read. */
struct window {
    const unsigned char *data;
    size_t size;
    size_t at;        /* where the next read begins */
    size_t last_read; /* where the last one began */
    zip_error_t error;
};

static zip_int64_t window_seek(struct window *window, void *data, zip_uint64_t length)
{
    const zip_int64_t at =
        zip_source_seek_compute_offset(window->at, window->size, data, length, &window->error);
    if (at < 0)
        return -1;
    window->at = (size_t)at;
    return 0;
}

static zip_int64_t window_stat(const struct window *window, void *data)
{
    zip_stat_t *stat = data;
    zip_stat_init(stat);
    stat->size = window->size;
    stat->valid |= ZIP_STAT_SIZE;
    return sizeof *stat;
}

static zip_int64_t window_read(struct window *window, void *data, zip_uint64_t length)
{
    const size_t left = window->size - window->at;
    const size_t n = length < left ? (size_t)length : left;
    if (n)
        memcpy(data, window->data + window->at, n);
    window->last_read = window->at;
    window->at += n;
    return (zip_int64_t)n;
}

static zip_int64_t window_command(void *user, void *data, zip_uint64_t length, zip_source_cmd_t command)
{
    struct window *window = user;
    switch (command) {
    case ZIP_SOURCE_SUPPORTS:
        return zip_source_make_command_bitmap(ZIP_SOURCE_OPEN, ZIP_SOURCE_READ, ZIP_SOURCE_CLOSE,
                                              ZIP_SOURCE_STAT, ZIP_SOURCE_ERROR, ZIP_SOURCE_FREE,
                                              ZIP_SOURCE_SEEK, ZIP_SOURCE_TELL, ZIP_SOURCE_SUPPORTS, -1);
    case ZIP_SOURCE_OPEN:
        window->at = 0;
        return 0;
    case ZIP_SOURCE_READ:
        return window_read(window, data, length);
    case ZIP_SOURCE_SEEK:
        return window_seek(window, data, length);
    case ZIP_SOURCE_TELL:
        return (zip_int64_t)window->at;
    case ZIP_SOURCE_STAT:
        return window_stat(window, data);
    case ZIP_SOURCE_ERROR:
        return zip_error_to_data(&window->error, data, length);
    case ZIP_SOURCE_CLOSE:
    case ZIP_SOURCE_FREE:
        return 0;
    default:
        zip_error_set(&window->error, ZIP_ER_OPNOTSUPP, 0);
        return -1;
    }
}

struct archive {
    const char *path;
    struct window window;
    zip_t *zip;
    char *top; /* "archive/" */
};

struct entry {
    const unsigned char *data;
    size_t size;
};

static enum lay_status damaged(const struct archive *archive, const char *entry, const char *what,
                               struct lay_err *err)
{
    return lay_fail(err, LAY_ERR_INPUT,
                    "%s: entry \"%s\" of the zip %s; the file is damaged, download it again", archive->path,
                    entry, what);
}

/* Where libzip begins to read the entry's data. */
static enum lay_status locate(struct archive *archive, zip_uint64_t index, const char *name,
                              struct entry *entry, struct lay_err *err)
{
    unsigned char first;
    zip_file_t *file = zip_fopen_index(archive->zip, index, ZIP_FL_COMPRESSED);
    if (!file)
        return damaged(archive, name, "cannot be read", err);
    archive->window.last_read = SIZE_MAX;
    const zip_int64_t n = zip_fread(file, &first, 1);
    zip_fclose(file);
    const size_t begin = archive->window.last_read;
    if (n != 1 || begin > archive->window.size || entry->size > archive->window.size - begin ||
        archive->window.data[begin] != first)
        return damaged(archive, name, "reaches beyond the end of the file", err);
    entry->data = archive->window.data + begin;
    return LAY_OK;
}

static enum lay_status find_entry(struct archive *archive, zip_uint64_t index, struct entry *entry,
                                  struct lay_err *err)
{
    zip_stat_t stat;
    const zip_uint64_t needed = ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD;
    if (zip_stat_index(archive->zip, index, 0, &stat) != 0 || (stat.valid & needed) != needed)
        return damaged(archive, "?", "is not described", err);
    if (stat.comp_method != ZIP_CM_STORE ||
        (stat.valid & ZIP_STAT_ENCRYPTION_METHOD && stat.encryption_method))
        return lay_fail(err, LAY_ERR_INPUT,
                        "%s: entry \"%s\" of the zip is compressed, which torch.save never does; save the "
                        "weights again with torch.save or as safetensors",
                        archive->path, stat.name);
    if (stat.size != stat.comp_size || stat.size > archive->window.size)
        return damaged(archive, stat.name, "reaches beyond the end of the file", err);
    *entry = (struct entry){.data = archive->window.data, .size = (size_t)stat.size};
    return entry->size ? locate(archive, index, stat.name, entry, err) : LAY_OK;
}

static enum lay_status named_entry(struct archive *archive, const char *folder, struct lay_pickle_text name,
                                   bool required, struct entry *entry, struct lay_err *err)
{
    struct lay_str full = {0};
    *entry = (struct entry){0};
    lay_str_puts(&full, archive->top);
    lay_str_puts(&full, folder);
    lay_str_append(&full, name.bytes, name.length);
    enum lay_status status = lay_str_check(&full, err);
    const zip_int64_t index = status == LAY_OK ? zip_name_locate(archive->zip, full.data, 0) : -1;
    if (index >= 0)
        status = find_entry(archive, (zip_uint64_t)index, entry, err);
    else if (status == LAY_OK && required)
        status = damaged(archive, full.data, "is missing", err);
    lay_str_free(&full);
    return status;
}

/* The folder that data.pkl is in; torch names it after the file, others "archive". */
static enum lay_status find_top(struct archive *archive, struct lay_err *err)
{
    static const char wanted[] = "data.pkl";
    const zip_int64_t n = zip_get_num_entries(archive->zip, 0);
    for (zip_int64_t i = 0; i < n; i++) {
        const char *name = zip_get_name(archive->zip, (zip_uint64_t)i, ZIP_FL_ENC_RAW);
        const char *slash = name ? strchr(name, '/') : NULL;
        if (!slash || strcmp(slash + 1, wanted) != 0)
            continue;
        archive->top = lay_strndup(name, (size_t)(slash + 1 - name));
        return archive->top ? LAY_OK : lay_no_memory(err, "a path");
    }
    return lay_fail(err, LAY_ERR_INPUT,
                    "%s: a zip file without data.pkl: not written by torch.save; name a weight file",
                    archive->path);
}

static enum lay_status check_byte_order(struct archive *archive, struct lay_err *err)
{
    struct entry entry;
    const struct lay_pickle_text name = {"byteorder", 9};
    LAY_TRY(named_entry(archive, "", name, false, &entry, err)); /* absent before torch 2.1: little */
    if (entry.data && (entry.size != 6 || memcmp(entry.data, "little", 6) != 0))
        return lay_fail(err, LAY_ERR_INPUT,
                        "%s: written on a big-endian machine, which is not supported; save it again on a "
                        "little-endian one",
                        archive->path);
    return LAY_OK;
}

static enum lay_status find_storages(struct archive *archive, struct lay_pickle *pickle, struct lay_err *err)
{
    for (size_t i = 0; i < pickle->n_storages; i++) {
        struct lay_pickle_storage *storage = &pickle->storages[i];
        struct entry entry;
        size_t bytes;
        LAY_TRY(named_entry(archive, "data/", storage->key, true, &entry, err));
        if (!lay_mul_size(storage->count, lay_dtype_size(storage->dtype), &bytes) || bytes != entry.size)
            return lay_fail(err, LAY_ERR_INPUT,
                            "%s: storage \"%.*s\" has %zu bytes where %zu elements of %s belong; the file is "
                            "damaged, download it again",
                            archive->path, (int)(storage->key.length < 40 ? storage->key.length : 40),
                            storage->key.bytes, entry.size, storage->count, lay_dtype_name(storage->dtype));
        storage->data = entry.data;
    }
    return LAY_OK;
}

static enum lay_status read_archive(struct archive *archive, struct lay_tensor_list *list,
                                    struct lay_err *err)
{
    struct entry entry;
    struct lay_pickle pickle;
    size_t used;
    LAY_TRY(find_top(archive, err));
    LAY_TRY(check_byte_order(archive, err));
    LAY_TRY(named_entry(archive, "", (struct lay_pickle_text){"data.pkl", 8}, true, &entry, err));
    enum lay_status status = lay_pickle_run(archive->path, entry.data, entry.size, &pickle, &used, err);
    if (status == LAY_OK)
        status = find_storages(archive, &pickle, err);
    if (status == LAY_OK)
        status = lay_pickle_collect(&pickle, list, err);
    lay_pickle_free(&pickle);
    return status;
}

enum lay_status lay_torch_zip_parse(const char *path, const unsigned char *data, size_t size,
                                    struct lay_tensor_list *list, struct lay_err *err)
{
    struct archive archive = {.path = path, .window = {.data = data, .size = size}};
    zip_error_t error;
    zip_error_init(&error);
    zip_error_init(&archive.window.error);
    zip_source_t *source = zip_source_function_create(window_command, &archive.window, &error);
    if (source)
        archive.zip = zip_open_from_source(source, ZIP_RDONLY, &error);
    enum lay_status status;
    if (archive.zip) {
        status = read_archive(&archive, list, err);
        zip_discard(archive.zip);
    } else {
        status = lay_fail(err, LAY_ERR_INPUT,
                          "%s: not a readable zip file (%s); it is probably cut off, download it again", path,
                          zip_error_strerror(&error));
        zip_source_free(source);
    }
    lay_free(archive.top);
    zip_error_fini(&archive.window.error);
    zip_error_fini(&error);
    return status;
}

#include "engine/pack_cache.h"

#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "engine/dnn/stored.h"

#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define ABANDONED_SECONDS 3600 /* a temporary file that nobody wrote to for so long */

/* Everything a copy depends on. */
static enum lay_status describe(const struct lay_cached_part *part, struct lay_str *text, struct lay_err *err)
{
    lay_str_printf(text, "layeval packing %d\npart %s\ndtype %s\nkeep ", LAY_PACKING_VERSION, part->name,
                   lay_precision_name(part->precision.dtype));
    lay_precision_put_keep(text, part->precision.keep);
    lay_str_printf(text, "\nonednn %s\nisa %s\nbf16 %s\nint8 %s\n", lay_dnn_version(), lay_dnn_isa(),
                   lay_dnn_bf16_support(), lay_dnn_int8_support());
    return lay_weights_identity(part->weights, text, err);
}

static enum lay_status make_key(const struct lay_cached_part *part, char key[LAY_HASH_HEX],
                                struct lay_err *err)
{
    struct lay_str text = {0};
    const enum lay_status status = describe(part, &text, err);
    if (status == LAY_OK)
        lay_hash_hex(lay_hash_bytes(text.data, text.length), key);
    lay_str_free(&text);
    return status;
}

static char *path_of(const char *dir, const struct lay_cached_part *part, const char *key)
{
    struct lay_str name = {0};
    lay_str_printf(&name, "%s/%s-%s-%s.packed", dir, part->name, lay_precision_name(part->precision.dtype),
                   key);
    return lay_str_take(&name);
}

static void note(struct lay_str *notes, const char *what, const struct lay_err *err)
{
    lay_str_printf(notes, "packed cache: %s%s\n", err->message, what);
}

/* What writers that were killed left behind. */
static void remove_abandoned(const char *dir)
{
    struct lay_dir list;
    if (lay_dir_list(dir, &list, NULL) != LAY_OK)
        return;
    for (size_t i = 0; i < list.count; i++) {
        struct stat st;
        char *path = strstr(list.names[i], ".packed.tmp-") ? lay_path_join(dir, list.names[i]) : NULL;
        if (path && stat(path, &st) == 0 && time(NULL) - st.st_mtime > ABANDONED_SECONDS)
            unlink(path);
        lay_free(path);
    }
    lay_dir_free(&list);
}

/* *used: loaded from the copy. Else it may have to be packed; what is wrong with the copy is noted. */
static enum lay_status load_copy(const char *path, const char *key, const struct lay_cached_part *part,
                                 struct lay_packed **packed, bool *used, struct lay_str *notes,
                                 struct lay_err *err)
{
    struct lay_err why = {0};
    *used = false;
    if (!lay_path_exists(path))
        return LAY_OK;
    if (lay_packed_open(path, key, packed, &why) != LAY_OK) {
        note(notes, "; packing the weights again", &why);
        return LAY_OK;
    }
    lay_weights_use(part->weights, *packed, NULL);
    const enum lay_status status = part->load(part->context, &why);
    *used = status == LAY_OK;
    if (*used) {
        lay_str_printf(notes, "packed cache: %s mapped from %s\n", part->name, path);
        return LAY_OK;
    }
    lay_weights_use(part->weights, NULL, NULL);
    lay_packed_close(*packed);
    *packed = NULL;
    if (status != LAY_ERR_INPUT)
        return lay_fail(err, status, "%s", why.message);
    lay_str_printf(notes, "packed cache: %s: %s; packing the weights again\n", path, why.message);
    return LAY_OK;
}

/* A copy is kept only if the weight files are still those that the key stands for. */
static void finish_copy(struct lay_packed_writer *writer, const char *key, const struct lay_cached_part *part,
                        struct lay_str *notes)
{
    char now[LAY_HASH_HEX];
    struct lay_err why = {0};
    enum lay_status status = make_key(part, now, &why);
    if (status == LAY_OK && strcmp(now, key) != 0)
        status = lay_fail(&why, LAY_ERR_INPUT, "the weight files changed while they were read");
    if (status == LAY_OK)
        status = lay_packed_commit(writer, lay_weights_fingerprint(part->weights), &why);
    else
        lay_packed_abort(writer);
    if (status != LAY_OK)
        note(notes, "; no copy is kept, the run goes on", &why);
}

static enum lay_status pack_and_keep(const char *dir, const char *path, const char *key,
                                     const struct lay_cached_part *part, struct lay_str *notes,
                                     struct lay_err *err)
{
    struct lay_packed_writer *writer = NULL;
    struct lay_err why = {0};
    enum lay_status status = lay_mkdirs(dir, &why);
    if (status == LAY_OK) {
        remove_abandoned(dir);
        status = lay_packed_create(path, key, &writer, &why);
    }
    if (status != LAY_OK)
        note(notes, "; no copy is kept, the run goes on", &why);
    lay_weights_use(part->weights, NULL, writer);
    status = part->load(part->context, err);
    lay_weights_use(part->weights, NULL, NULL);
    if (status != LAY_OK)
        lay_packed_abort(writer);
    else if (writer)
        finish_copy(writer, key, part, notes);
    return status;
}

enum lay_status lay_pack_cache_load(const char *dir, const struct lay_cached_part *part,
                                    struct lay_packed **packed, struct lay_str *notes, struct lay_err *err)
{
    char key[LAY_HASH_HEX];
    struct lay_err why = {0};
    bool used;
    *packed = NULL;
    if (make_key(part, key, &why) != LAY_OK) {
        note(notes, "; it is not used", &why);
        return part->load(part->context, err);
    }
    char *path = path_of(dir, part, key);
    if (!path)
        return lay_no_memory(err, "a path");
    enum lay_status status = load_copy(path, key, part, packed, &used, notes, err);
    if (status == LAY_OK && !used)
        status = pack_and_keep(dir, path, key, part, notes, err);
    lay_free(path);
    return status;
}

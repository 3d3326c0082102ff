/* {"en": "…", "bn": "…"} per line. */
#include "tasks/parallel.h"

#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "tasks/dataset.h"

#include <string.h>

/* The languages of a file: its keys, and what they are called in it. */
struct columns {
    char *keys[LAY_PARALLEL_LANGUAGES_MAX]; /* of parallel->languages[i]; owned */
    int members;                            /* of every object */
};

static bool is_wanted(const struct lay_parallel_options *options,
                      const struct lay_parallel_language *language)
{
    if (options->n_languages == 0 || lay_parallel_is(language, "en"))
        return true;
    for (size_t i = 0; i < options->n_languages; i++)
        if (lay_parallel_is(language, options->languages[i]))
            return true;
    return false;
}

/* The first line says which languages there are. */
static enum lay_status read_keys(const struct lay_parallel_options *options, const struct lay_source *source,
                                 const cJSON *object, struct columns *columns, struct lay_parallel *parallel,
                                 struct lay_err *err)
{
    const cJSON *item;
    columns->members = cJSON_GetArraySize(object);
    cJSON_ArrayForEach(item, object)
    {
        if (strcmp(item->string, "id") == 0)
            continue;
        LAY_TRY(lay_parallel_add_language(parallel, item->string, source->path, err));
        if (!is_wanted(options, &parallel->languages[parallel->n_languages - 1])) {
            lay_parallel_drop_language(parallel);
            continue;
        }
        char **key = &columns->keys[parallel->n_languages - 1];
        *key = lay_strdup(item->string);
        if (!*key)
            return lay_no_memory(err, "parallel sentences");
    }
    for (size_t i = 0; i < options->n_languages; i++)
        if (lay_parallel_find(parallel, options->languages[i]) == parallel->n_languages)
            return lay_fail(err, LAY_ERR_INPUT, "%s: has no \"%s\", which --lang names", source->path,
                            options->languages[i]);
    return LAY_OK;
}

static enum lay_status read_object(const struct lay_parallel_options *options,
                                   const struct lay_source *source, const cJSON *object,
                                   struct columns *columns, struct lay_parallel *parallel,
                                   struct lay_err *err)
{
    if (parallel->n_languages == 0)
        LAY_TRY(read_keys(options, source, object, columns, parallel, err));
    if (cJSON_GetArraySize(object) != columns->members)
        return lay_source_fail(source, err,
                               "%d members, but %d in the first line; every line must have the "
                               "same languages",
                               cJSON_GetArraySize(object), columns->members);
    for (size_t i = 0; i < parallel->n_languages; i++) {
        struct lay_parallel_language *language = &parallel->languages[i];
        const char *text = "";
        LAY_TRY(lay_source_string(source, object, columns->keys[i], &text, err));
        if (options->limit == 0 || language->count < options->limit)
            LAY_TRY(lay_parallel_add_text(language, text, strlen(text), err));
    }
    return LAY_OK;
}

static enum lay_status read_lines(const struct lay_parallel_options *options, struct lay_source *source,
                                  struct columns *columns, struct lay_parallel *parallel, struct lay_err *err)
{
    for (;;) {
        cJSON *object;
        LAY_TRY(lay_source_next_object(source, &object, err));
        if (!object)
            return LAY_OK;
        const enum lay_status status = read_object(options, source, object, columns, parallel, err);
        cJSON_Delete(object);
        LAY_TRY(status);
    }
}

enum lay_status lay_parallel_read_json(const struct lay_parallel_options *options,
                                       struct lay_parallel *parallel, struct lay_err *err)
{
    struct lay_source source = {.path = lay_strdup(options->json)};
    struct columns columns = {.members = 0};
    lay_str_puts(&parallel->about, lay_path_basename(options->json));
    enum lay_status status = source.path ? LAY_OK : lay_no_memory(err, "a path");
    if (status == LAY_OK)
        status = lay_file_read(options->json, LAY_DATA_FILE_MAX, &source.content, err);
    if (status == LAY_OK)
        status = read_lines(options, &source, &columns, parallel, err);
    for (size_t i = 0; i < LAY_PARALLEL_LANGUAGES_MAX; i++)
        lay_free(columns.keys[i]);
    lay_source_close(&source);
    return status;
}

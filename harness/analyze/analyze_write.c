/* What an analysis leaves behind. */
#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "harness/analyze/analyze.h"
#include "reports/analysis/analysis_write.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool has_prefix(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool has_suffix(const char *text, const char *suffix)
{
    const size_t length = strlen(text), end = strlen(suffix);
    return length > end && strcmp(text + length - end, suffix) == 0;
}

/* Whether an analysis may have left the file. */
static bool is_ours(const char *name)
{
    static const char *const pictures[] = {"similarity", "components", "encoder_layers", "tokens_",
                                           "attention",  "fusion_",    "gates"};
    for (int f = 0; f < LAY_FIGURE_COUNT; f++)
        if (strcmp(name, lay_figure_info((enum lay_figure)f)->file) == 0)
            return true;
    for (size_t i = 0; i < sizeof pictures / sizeof *pictures; i++)
        if (has_prefix(name, pictures[i]) && has_suffix(name, ".svg"))
            return true;
    return strcmp(name, "analysis.json") == 0 || strcmp(name, "analysis.html") == 0;
}

static enum lay_status remove_from(const char *dir, const char *name, struct lay_err *err)
{
    char *path = lay_path_join(dir, name);
    if (!path)
        return lay_no_memory(err, "a path");
    enum lay_status status = LAY_OK;
    if (unlink(path) != 0 && errno != ENOENT)
        status = lay_fail(err, LAY_ERR_IO, "%s: cannot be removed: %s", path, strerror(errno));
    lay_free(path);
    return status;
}

/* What an earlier analysis left must not stand beside this one. */
static enum lay_status clear(const char *dir, struct lay_err *err)
{
    struct lay_dir list;
    LAY_TRY(lay_dir_list(dir, &list, err));
    enum lay_status status = LAY_OK;
    for (size_t i = 0; i < list.count && status == LAY_OK; i++)
        if (is_ours(list.names[i]))
            status = remove_from(dir, list.names[i], err);
    lay_dir_free(&list);
    return status;
}

/* What determines the figures. */
static cJSON *describe(const struct lay_analyze_options *options, const struct lay_parallel *parallel,
                       const struct lay_system *system)
{
    cJSON *about = cJSON_CreateObject();
    cJSON_AddStringToObject(about, "layeval_version", LAYEVAL_VERSION);
    lay_json_add(about, "system", lay_system_describe(system));
    cJSON_AddStringToObject(about, "dtype", lay_precision_name(lay_system_dtype(system)));
    cJSON *sentences = cJSON_AddObjectToObject(about, "sentences");
    cJSON_AddStringToObject(sentences, "source", lay_str_text(&parallel->about));
    cJSON_AddNumberToObject(sentences, "count", (double)parallel->count);
    cJSON_AddStringToObject(sentences, "hash", parallel->hash);
    cJSON_AddBoolToObject(sentences, "with_text", options->with_text);
    if (about && sentences && cJSON_GetArraySize(about) == 4 && cJSON_GetArraySize(sentences) == 4)
        return about;
    cJSON_Delete(about); /* cJSON drops what it cannot allocate */
    return NULL;
}

static enum lay_status write_json(const struct lay_analyze_options *options,
                                  const struct lay_parallel *parallel, const struct lay_system *system,
                                  const struct lay_analysis *analysis, const char *dir, struct lay_err *err)
{
    struct lay_str text = {0};
    cJSON *about = describe(options, parallel, system);
    enum lay_status status = about ? LAY_OK : lay_no_memory(err, "a description");
    if (status == LAY_OK)
        status = lay_analysis_json(analysis, about, &text, err);
    if (status == LAY_OK)
        status = lay_file_write_in(dir, "analysis.json", &text, err);
    cJSON_Delete(about);
    lay_str_free(&text);
    return status;
}

static enum lay_status write_csv(const struct lay_system *system, const struct lay_analysis *analysis,
                                 enum lay_figure figure, const char *dir, struct lay_err *err)
{
    struct lay_str text = {0};
    enum lay_status status = lay_analysis_csv(analysis, lay_system_name(system), figure, &text, err);
    if (status == LAY_OK)
        status = lay_file_write_in(dir, lay_figure_info(figure)->file, &text, err);
    lay_str_free(&text);
    return status;
}

static enum lay_status write_picture(void *context, const struct lay_picture *picture, struct lay_err *err)
{
    const char *dir = context;
    char name[64];
    snprintf(name, sizeof name, "%s.svg", picture->name);
    char *path = lay_path_join(dir, name);
    const enum lay_status status =
        path ? lay_file_write(path, picture->svg, picture->length, err) : lay_no_memory(err, "a path");
    lay_free(path);
    return status;
}

enum lay_status lay_analyze_write_page(const struct lay_analysed *systems, size_t count, const char *dir,
                                       struct lay_err *err)
{
    struct lay_str text = {0};
    enum lay_status status = lay_analysis_page(systems, count, &text, err);
    if (status == LAY_OK)
        status = lay_file_write_in(dir, "analysis.html", &text, err);
    lay_str_free(&text);
    return status;
}

enum lay_status lay_analyze_write(const struct lay_analyze_options *options,
                                  const struct lay_parallel *parallel, const struct lay_system *system,
                                  const struct lay_analysis *analysis, const char *dir, struct lay_err *err)
{
    const struct lay_analysed analysed = {lay_system_name(system), analysis};
    LAY_TRY(clear(dir, err));
    for (int f = 0; f < LAY_FIGURE_COUNT; f++) {
        if (!lay_analysis_has(analysis, (enum lay_figure)f))
            continue;
        LAY_TRY(write_csv(system, analysis, (enum lay_figure)f, dir, err));
        LAY_TRY(lay_analysis_draw(&analysed, 1, (enum lay_figure)f, true, write_picture, (void *)dir, err));
    }
    LAY_TRY(lay_analyze_write_page(&analysed, 1, dir, err));
    return write_json(options, parallel, system, analysis, dir, err);
}

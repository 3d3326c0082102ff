/* What an analysis leaves behind. */
#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "harness/analyze/analyze.h"
#include "reports/analysis/analysis_write.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static enum lay_status write_into(const char *dir, const char *name, const struct lay_str *text,
                                  struct lay_err *err)
{
    char *path = lay_path_join(dir, name);
    enum lay_status status = path ? lay_str_check(text, err) : lay_no_memory(err, "a path");
    if (status == LAY_OK)
        status = lay_file_write(path, lay_str_text(text), text->length, err);
    lay_free(path);
    return status;
}

/* What an earlier analysis left of a figure that this one does not have. */
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

/* What determines the figures. */
static cJSON *describe(const struct lay_analyze_options *options, const struct lay_parallel *parallel,
                       const struct lay_system *system)
{
    cJSON *about = cJSON_CreateObject();
    cJSON_AddStringToObject(about, "layeval_version", LAYEVAL_VERSION);
    cJSON_AddItemToObject(about, "system", lay_system_describe(system));
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
        status = write_into(dir, "analysis.json", &text, err);
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
        status = write_into(dir, lay_figure_info(figure)->file, &text, err);
    lay_str_free(&text);
    return status;
}

enum lay_status lay_analyze_write(const struct lay_analyze_options *options,
                                  const struct lay_parallel *parallel, const struct lay_system *system,
                                  const struct lay_analysis *analysis, const char *dir, struct lay_err *err)
{
    for (int f = 0; f < LAY_FIGURE_COUNT; f++)
        if (lay_analysis_has(analysis, (enum lay_figure)f))
            LAY_TRY(write_csv(system, analysis, (enum lay_figure)f, dir, err));
        else
            LAY_TRY(remove_from(dir, lay_figure_info((enum lay_figure)f)->file, err));
    return write_json(options, parallel, system, analysis, dir, err);
}

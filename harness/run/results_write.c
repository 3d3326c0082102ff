#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "harness/run/results.h"
#include "harness/run/shard.h"
#include "reports/paper.h"
#include "reports/results_csv.h"
#include "reports/results_json.h"
#include "reports/samples.h"
#include "reports/table.h"

static enum lay_status write_text(const char *dir, const char *name, const struct lay_str *text,
                                  struct lay_err *err)
{
    char *path = lay_path_join(dir, name);
    if (!path)
        return lay_no_memory(err, "a path");
    const enum lay_status status = lay_file_write(path, lay_str_text(text), text->length, err);
    lay_free(path);
    return status;
}

static enum lay_status write_tables(const struct lay_system_result *results, size_t count, bool combined,
                                    const char *dir, struct lay_err *err)
{
    struct lay_str text = {0};
    enum lay_status status = lay_results_json_put(&text, results, count, combined, err);
    if (status == LAY_OK)
        status = write_text(dir, "results.json", &text, err);
    lay_str_clear(&text);
    if (status == LAY_OK)
        status = lay_results_csv_put(&text, results, count, err);
    if (status == LAY_OK)
        status = write_text(dir, "results.csv", &text, err);
    lay_str_free(&text);
    return status;
}

static enum lay_status write_samples(const struct lay_system_result *result, const char *dir,
                                     struct lay_err *err)
{
    for (size_t t = 0; t < result->count; t++)
        for (size_t i = 0; i < result->tasks[t].count; i++)
            LAY_TRY(lay_samples_write(dir, result, &result->tasks[t], &result->tasks[t].cells[i], err));
    return LAY_OK;
}

enum lay_status lay_results_write(const struct lay_system_result *result,
                                  const struct lay_results_options *options, struct lay_err *err)
{
    struct lay_shard shard;
    LAY_TRY(lay_mkdirs(options->dir, err));
    if (options->log_samples)
        LAY_TRY(write_samples(result, options->dir, err));
    /* the official layout cannot say that it is that of a part */
    for (size_t t = 0; t < result->count && !lay_shard_read(result->manifest, &shard, NULL); t++)
        LAY_TRY(lay_paper_write(options->dir, &result->tasks[t], err));
    return write_tables(result, 1, false, options->dir, err);
}

enum lay_status lay_results_write_combined(const struct lay_system_result *results, size_t count,
                                           const char *dir, struct lay_err *err)
{
    LAY_TRY(lay_mkdirs(dir, err));
    return write_tables(results, count, true, dir, err);
}

enum lay_status lay_results_print(const struct lay_system_result *results, size_t count, FILE *stream,
                                  struct lay_err *err)
{
    struct lay_str text = {0};
    const struct lay_table_options options = lay_table_options_for(fileno(stream));
    const enum lay_status status = lay_table_put(&text, results, count, &options, err);
    if (status == LAY_OK)
        fputs(lay_str_text(&text), stream);
    lay_str_free(&text);
    return status;
}

#include "tasks/dataset.h"

#include "engine/base/file.h"
#include "engine/base/mem.h"

#include <string.h>

char *lay_pattern_expand(const char *dir, const char *pattern, const char *iso, const char *name)
{
    struct lay_str file = {0};
    for (const char *at = pattern; *at;) {
        if (strncmp(at, "{iso}", 5) == 0) {
            lay_str_puts(&file, iso);
            at += 5;
        } else if (strncmp(at, "{Name}", 6) == 0) {
            lay_str_puts(&file, name);
            at += 6;
        } else {
            lay_str_putc(&file, *at++);
        }
    }
    char *relative = lay_str_take(&file);
    char *path = relative ? lay_path_join(dir, relative) : NULL;
    lay_free(relative);
    return path;
}

/* The language's file, by its code or its alias; *path NULL when neither exists. Both is refused: which of
 * them is meant cannot be known. */
static enum lay_status locate(const char *dir, const struct lay_layout *layout,
                              const struct lay_language *language, char **path, struct lay_err *err)
{
    enum lay_status status = LAY_OK;
    char *other = NULL;
    *path = lay_pattern_expand(dir, layout->pattern, language->iso, language->name);
    if (language->alias[0] && strstr(layout->pattern, "{iso}"))
        other = lay_pattern_expand(dir, layout->pattern, language->alias, language->name);
    if (!*path || (language->alias[0] && strstr(layout->pattern, "{iso}") && !other)) {
        status = lay_no_memory(err, "a path");
    } else if (other && lay_path_exists(other) && lay_path_exists(*path)) {
        status = lay_fail(err, LAY_ERR_INPUT, "%s and %s both exist; remove one", *path, other);
    } else if (other && lay_path_exists(other)) {
        lay_free(*path);
        *path = other;
        other = NULL;
    } else if (!lay_path_exists(*path)) {
        lay_free(*path);
        *path = NULL;
    }
    lay_free(other);
    if (status != LAY_OK) {
        lay_free(*path);
        *path = NULL;
    }
    return status;
}

/* Whether the folder holds a file of this layout for any language of the task. */
static enum lay_status layout_present(const struct lay_task *task, const char *dir,
                                      const struct lay_layout *layout, bool *present, struct lay_err *err)
{
    const struct lay_language *list[64];
    const size_t count = lay_languages_of(task->name, true, list, 64);
    *present = false;
    for (size_t i = 0; i < count && !*present; i++) {
        char *path;
        LAY_TRY(locate(dir, layout, list[i], &path, err));
        *present = path != NULL;
        lay_free(path);
    }
    return LAY_OK;
}

static enum lay_status no_files(const struct lay_task *task, const char *dir, struct lay_err *err)
{
    struct lay_str patterns = {0};
    const struct lay_layout unusable = {.pattern = task->unusable};
    bool present = false;
    if (task->unusable)
        LAY_TRY(layout_present(task, dir, &unusable, &present, err));
    if (present)
        return lay_fail(err, LAY_ERR_INPUT, "%s: holds only %s: %s (`data/fetch.sh %s` downloads the data)",
                        dir, task->unusable, task->unusable_why, task->name);
    for (size_t i = 0; i < task->n_layouts; i++)
        lay_str_printf(&patterns, "%s%s", i ? ", " : "", task->layouts[i].pattern);
    const enum lay_status status = lay_fail(
        err, LAY_ERR_INPUT,
        "%s: no %s data there (looked for %s); `data/fetch.sh %s` downloads it, or point --data at it", dir,
        task->title, lay_str_text(&patterns), task->name);
    lay_str_free(&patterns);
    return status;
}

static enum lay_status layout_named(const struct lay_task *task, const char *name,
                                    const struct lay_layout **layout, struct lay_err *err)
{
    struct lay_str names = {0};
    for (size_t i = 0; i < task->n_layouts; i++) {
        if (strcmp(task->layouts[i].name, name) == 0) {
            *layout = &task->layouts[i];
            lay_str_free(&names);
            return LAY_OK;
        }
        lay_str_printf(&names, "%s%s", i ? ", " : "", task->layouts[i].name);
    }
    const enum lay_status status =
        lay_fail(err, LAY_ERR_USAGE, "--layout: %s has no layout \"%s\"; there are %s", task->name, name,
                 lay_str_text(&names));
    lay_str_free(&names);
    return status;
}

static enum lay_status choose_layout(const struct lay_task *task, const char *dir, const char *name,
                                     const struct lay_layout **layout, struct lay_err *err)
{
    size_t chosen = task->n_layouts;
    if (name)
        return layout_named(task, name, layout, err);
    for (size_t i = 0; i < task->n_layouts; i++) {
        const struct lay_layout *candidate = &task->layouts[i];
        bool present;
        LAY_TRY(layout_present(task, dir, candidate, &present, err));
        if (present && chosen < i)
            return lay_fail(err, LAY_ERR_INPUT,
                            "%s: holds %s in two layouts, %s (%s) and %s (%s); choose one with --layout", dir,
                            task->title, task->layouts[chosen].name, task->layouts[chosen].pattern,
                            candidate->name, candidate->pattern);
        if (present)
            chosen = i;
    }
    if (chosen == task->n_layouts)
        return no_files(task, dir, err);
    *layout = &task->layouts[chosen];
    return LAY_OK;
}

static enum lay_status missing_file(const struct lay_task *task, const struct lay_language *language,
                                    const char *dir, const struct lay_layout *layout, struct lay_err *err)
{
    const struct lay_layout unusable = {.pattern = task->unusable};
    char *hidden = NULL;
    if (task->unusable)
        LAY_TRY(locate(dir, &unusable, language, &hidden, err));
    if (hidden) {
        const enum lay_status status =
            lay_fail(err, LAY_ERR_INPUT, "%s: there is no %s beside it, and %s", hidden,
                     lay_path_basename(layout->pattern), task->unusable_why);
        lay_free(hidden);
        return status;
    }
    char *path = lay_pattern_expand(dir, layout->pattern, language->iso, language->name);
    char *also = lay_pattern_expand(dir, layout->pattern, language->alias, language->name);
    const bool two = path && also && language->alias[0] && strstr(layout->pattern, "{iso}");
    const enum lay_status status =
        !path || !also
            ? lay_no_memory(err, "a path")
            : lay_fail(err, LAY_ERR_INPUT,
                       "%s%s%s: not found, so there is no %s data for %s; `data/fetch.sh %s` downloads "
                       "it, or leave %s out with --lang",
                       path, two ? " or " : "", two ? also : "", task->title, language->name, task->name,
                       language->iso);
    lay_free(path);
    lay_free(also);
    return status;
}

static enum lay_status read_source(struct lay_source *source, const struct lay_layout *layout, bool optional,
                                   struct lay_err *err)
{
    struct lay_dataset *dataset = source->dataset;
    char hex[LAY_HASH_HEX];
    LAY_TRY(lay_file_read(source->path, LAY_DATA_FILE_MAX, &source->content, err));
    if (source->content.length == 0)
        return lay_fail(err, LAY_ERR_INPUT, "%s: the file is empty", source->path);
    lay_hash_hex(lay_hash_bytes(lay_str_text(&source->content), source->content.length), hex);
    lay_str_puts(&source->hashes, hex);
    LAY_TRY(layout->read(source, err));
    if (dataset->count == 0 && !optional)
        return lay_fail(err, LAY_ERR_INPUT, "%s: holds no item in %s", source->path, dataset->language->name);
    LAY_TRY(lay_str_check(&source->hashes, err));
    if (source->hashes.length >= LAY_HASH_HEX) /* several files */
        lay_hash_hex(lay_hash_bytes(lay_str_text(&source->hashes), source->hashes.length), hex);
    memcpy(dataset->hash, hex, sizeof hex);
    dataset->file = lay_strdup(source->path);
    return dataset->file ? LAY_OK : lay_no_memory(err, "a path");
}

static enum lay_status load_from(const char *dir, const struct lay_data_options *options,
                                 struct lay_dataset *dataset, struct lay_err *err)
{
    const struct lay_layout *layout = dataset->task->layouts;
    struct lay_source source = {.dataset = dataset};
    LAY_TRY(choose_layout(dataset->task, dir, options->layout, &layout, err));
    LAY_TRY(locate(dir, layout, dataset->language, &source.path, err));
    if (!source.path && options->optional)
        return LAY_OK;
    if (!source.path)
        return missing_file(dataset->task, dataset->language, dir, layout, err);
    dataset->layout = layout->name;
    const enum lay_status status = read_source(&source, layout, options->optional, err);
    lay_source_close(&source);
    return status;
}

static void apply_limit(struct lay_dataset *dataset, int64_t limit)
{
    dataset->total = dataset->count;
    if (limit < 0 || (uint64_t)limit >= dataset->count)
        return;
    lay_samples_free(dataset->samples + limit, dataset->count - (size_t)limit);
    dataset->count = (size_t)limit;
}

enum lay_status lay_dataset_load(const struct lay_task *task, const struct lay_language *language,
                                 const struct lay_data_options *options, struct lay_dataset **out,
                                 struct lay_err *err)
{
    *out = NULL;
    if (!lay_language_in(language, task->name))
        return lay_fail(err, LAY_ERR_USAGE,
                        "%s has no %s data; `layeval tasks --task %s` lists its languages", task->title,
                        language->name, task->name);
    if (!options->dir || !lay_path_is_dir(options->dir))
        return lay_fail(err, LAY_ERR_INPUT,
                        "%s: not a directory; --data must name the folder with the data files",
                        options->dir ? options->dir : "--data");
    struct lay_dataset *dataset = lay_alloc(1, sizeof *dataset);
    char *inner = lay_path_join(options->dir, task->name);
    enum lay_status status = LAY_OK;
    if (!dataset || !inner) {
        status = lay_no_memory(err, "a data set");
    } else {
        dataset->task = task;
        dataset->language = language;
        status = load_from(lay_path_is_dir(inner) ? inner : options->dir, options, dataset, err);
    }
    lay_free(inner);
    if (status != LAY_OK || dataset->count == 0) {
        lay_dataset_free(dataset);
        return status;
    }
    apply_limit(dataset, options->limit);
    *out = dataset;
    return LAY_OK;
}

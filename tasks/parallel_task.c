/* The rows of benchmarks: item i is the same in every language. */
#include "tasks/parallel.h"

#include "engine/base/file.h"
#include "engine/base/mem.h"

#include <string.h>

#define LANGUAGES_MAX 64 /* of one task */

struct reading {
    const struct lay_parallel_options *options;
    const struct lay_task *tasks[LANGUAGES_MAX];
    size_t n_tasks;
    size_t english[LANGUAGES_MAX]; /* rows of each task in English */
    struct lay_parallel *parallel;
};

static bool in_all_tasks(const struct reading *r, const struct lay_language *language)
{
    for (size_t t = 0; t < r->n_tasks; t++)
        if (!lay_language_in(language, r->tasks[t]->name))
            return false;
    return true;
}

/* Appends one task's rows; *found false when there are no data for the language. */
static enum lay_status read_rows(struct reading *r, size_t t, const struct lay_language *language,
                                 bool required, bool *found, struct lay_err *err)
{
    struct lay_parallel_language *target = &r->parallel->languages[r->parallel->n_languages - 1];
    const struct lay_data_options options = {.dir = r->options->data_dir,
                                             .layout = r->options->layout,
                                             .limit = r->options->limit ? (int64_t)r->options->limit : -1,
                                             .optional = !required};
    struct lay_dataset *data;
    LAY_TRY(lay_dataset_load(r->tasks[t], language, &options, &data, err));
    *found = data != NULL;
    if (!data)
        return LAY_OK;
    enum lay_status status = LAY_OK;
    if (r->parallel->n_languages == 1)
        r->english[t] = data->total;
    else if (data->total != r->english[t])
        status =
            lay_fail(err, LAY_ERR_INPUT,
                     "%s: %zu items, but %zu in English; the rows must be translations of each other, or "
                     "leave %s out with --lang",
                     data->file, data->total, r->english[t], language->iso);
    for (size_t i = 0; i < data->count && status == LAY_OK; i++)
        status =
            lay_parallel_add_text(target, data->samples[i].question, strlen(data->samples[i].question), err);
    lay_dataset_free(data);
    return status;
}

/* A language without data in one of the tasks is left out, or refused when it was asked for. */
static enum lay_status read_language(struct reading *r, const struct lay_language *language, bool required,
                                     struct lay_err *err)
{
    bool found = true;
    LAY_TRY(lay_parallel_add_language(r->parallel, language->iso, r->options->data_dir, err));
    for (size_t t = 0; t < r->n_tasks && found; t++)
        LAY_TRY(read_rows(r, t, language, required, &found, err));
    if (!found)
        lay_parallel_drop_language(r->parallel);
    return LAY_OK;
}

static enum lay_status wanted_language(const struct reading *r, const char *name,
                                       const struct lay_language **language, struct lay_err *err)
{
    *language = lay_language_find(name);
    if (!*language || !in_all_tasks(r, *language))
        return lay_fail(err, LAY_ERR_USAGE, "--lang: \"%s\" is not a language of %s", name,
                        lay_str_text(&r->parallel->about));
    return LAY_OK;
}

static enum lay_status read_languages(struct reading *r, struct lay_err *err)
{
    const struct lay_parallel_options *o = r->options;
    const struct lay_language *list[LANGUAGES_MAX], *language;
    LAY_TRY(wanted_language(r, "en", &language, err));
    LAY_TRY(read_language(r, language, true, err));
    for (size_t i = 0; i < o->n_languages; i++) {
        LAY_TRY(wanted_language(r, o->languages[i], &language, err));
        if (lay_parallel_find(r->parallel, language->iso) != 0)
            LAY_TRY(read_language(r, language, true, err));
    }
    if (o->n_languages > 0)
        return LAY_OK;
    size_t count = lay_languages_of(r->tasks[0]->name, false, list, LANGUAGES_MAX);
    count = count < LANGUAGES_MAX ? count : LANGUAGES_MAX;
    for (size_t i = 0; i < count; i++)
        if (strcmp(list[i]->iso, "en") != 0 && in_all_tasks(r, list[i]))
            LAY_TRY(read_language(r, list[i], false, err));
    return LAY_OK;
}

/* DIR/<task> is there; DIR itself may hold one task's files too, which then must be named. */
static bool has_folder(const char *dir, const struct lay_task *task)
{
    char *folder = lay_path_join(dir, task->name);
    const bool there = folder && lay_path_is_dir(folder);
    lay_free(folder);
    return there;
}

static enum lay_status choose_tasks(struct reading *r, struct lay_err *err)
{
    const struct lay_parallel_options *o = r->options;
    if (o->n_tasks > LANGUAGES_MAX)
        return lay_fail(err, LAY_ERR_USAGE, "at most %d tasks", LANGUAGES_MAX);
    for (r->n_tasks = 0; r->n_tasks < o->n_tasks; r->n_tasks++)
        LAY_TRY(lay_task_find(o->tasks[r->n_tasks], &r->tasks[r->n_tasks], err));
    for (size_t t = 0; o->n_tasks == 0 && t < lay_task_count() && t < LANGUAGES_MAX; t++)
        if (has_folder(o->data_dir, lay_task_at(t)))
            r->tasks[r->n_tasks++] = lay_task_at(t);
    if (r->n_tasks == 0)
        return lay_fail(err, LAY_ERR_INPUT,
                        "%s: has no folder called like a benchmark; name the benchmark whose files it holds "
                        "with --task",
                        o->data_dir);
    return LAY_OK;
}

enum lay_status lay_parallel_read_tasks(const struct lay_parallel_options *options,
                                        struct lay_parallel *parallel, struct lay_err *err)
{
    struct reading reading = {.options = options, .parallel = parallel};
    LAY_TRY(choose_tasks(&reading, err));
    for (size_t t = 0; t < reading.n_tasks; t++)
        lay_str_printf(&parallel->about, "%s%s", t ? " + " : "", reading.tasks[t]->name);
    return read_languages(&reading, err);
}

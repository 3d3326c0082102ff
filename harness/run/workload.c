#include "harness/run/workload.h"

#include "engine/base/mem.h"

#include <string.h>
#include <strings.h>

#define MAX_LANGUAGES 64 /* of one task */

/* The languages of one task that were asked for. */
struct selection {
    const struct lay_language *list[MAX_LANGUAGES];
    bool optional[MAX_LANGUAGES]; /* only if there is data */
    size_t count;
};

static bool task_chosen(const struct lay_task *task, const struct lay_option_list *names)
{
    const struct lay_task *named;
    for (size_t i = 0; i < names->count; i++)
        if (lay_task_find(names->items[i], &named, NULL) == LAY_OK && named == task)
            return true;
    return false;
}

static enum lay_status check_tasks(const struct lay_option_list *names, struct lay_err *err)
{
    const struct lay_task *task;
    for (size_t i = 0; i < names->count; i++)
        LAY_TRY(lay_task_find(names->items[i], &task, err));
    return LAY_OK;
}

static size_t chosen_tasks(const struct lay_option_list *names)
{
    size_t count = 0;
    for (size_t i = 0; i < lay_task_count(); i++)
        count += task_chosen(lay_task_at(i), names);
    return count;
}

/* Words in place of languages. */
static bool holds_word(const struct lay_option_list *names, const char *word)
{
    for (size_t i = 0; i < names->count; i++)
        if (strcasecmp(names->items[i], word) == 0)
            return true;
    return false;
}

static bool is_word(const char *name)
{
    return strcasecmp(name, "all") == 0 || strcasecmp(name, "available") == 0;
}

/* Every name is a language of at least one chosen task. */
static enum lay_status check_languages(const struct lay_workload_options *options, struct lay_str *notes,
                                       struct lay_err *err)
{
    for (size_t i = 0; i < options->languages->count; i++) {
        const char *name = options->languages->items[i];
        if (is_word(name))
            continue;
        const struct lay_language *language = lay_language_find(name);
        if (!language)
            return lay_fail(err, LAY_ERR_USAGE,
                            "--lang: unknown language \"%s\"; `layeval tasks` lists the languages", name);
        size_t found = 0, missing = 0;
        for (size_t t = 0; t < lay_task_count(); t++) {
            const struct lay_task *task = lay_task_at(t);
            if (!task_chosen(task, options->tasks))
                continue;
            const bool has = lay_language_in(language, task->name) != NULL;
            found += has;
            missing += !has;
            if (!has)
                lay_str_printf(notes, "%s has no %s (%s)\n", task->title, language->name, language->iso);
        }
        if (missing && !found)
            return lay_fail(err, LAY_ERR_USAGE,
                            "--lang: \"%s\" is not a language of %s; `layeval tasks` lists the languages",
                            name,
                            chosen_tasks(options->tasks) == 1 ? options->tasks->items[0] : "these tasks");
    }
    return LAY_OK;
}

static bool named(const struct lay_language *language, const struct lay_option_list *names)
{
    for (size_t i = 0; i < names->count; i++)
        if (!is_word(names->items[i]) && lay_language_find(names->items[i]) == language)
            return true;
    return false;
}

static enum lay_status select_languages(const struct lay_task *task, const struct lay_option_list *names,
                                        struct selection *selection, struct lay_err *err)
{
    const struct lay_language *list[MAX_LANGUAGES];
    const bool all = holds_word(names, "all"), available = holds_word(names, "available");
    const size_t count = lay_languages_of(task->name, true, list, MAX_LANGUAGES);
    selection->count = 0;
    if (count > MAX_LANGUAGES)
        return lay_fail(err, LAY_ERR_INTERNAL, "%s has more than %d languages", task->title, MAX_LANGUAGES);
    for (size_t i = 0; i < count; i++) {
        const bool by_default = lay_language_in(list[i], task->name)->printed >= 0;
        const bool required = all || named(list[i], names) || (names->count == 0 && by_default);
        if (!required && !(available && by_default))
            continue;
        selection->optional[selection->count] = !required;
        selection->list[selection->count++] = list[i];
    }
    if (selection->count == 0)
        return lay_fail(err, LAY_ERR_USAGE, "--lang: none of these languages is one of %s", task->name);
    return LAY_OK;
}

/* "NAME" stands for the only task, "TASK:NAME" for that one. */
static enum lay_status layout_of(const struct lay_task *task, const struct lay_workload_options *options,
                                 const char **layout, struct lay_err *err)
{
    *layout = NULL;
    for (size_t i = 0; i < options->layouts->count; i++) {
        const char *item = options->layouts->items[i];
        const char *colon = strchr(item, ':');
        if (!colon && chosen_tasks(options->tasks) > 1)
            return lay_fail(err, LAY_ERR_USAGE, "--layout %s: write TASK:%s when there are several tasks",
                            item, item);
        if (!colon)
            *layout = item;
        else if (strlen(task->name) == (size_t)(colon - item) &&
                 strncmp(task->name, item, (size_t)(colon - item)) == 0)
            *layout = colon + 1;
    }
    return LAY_OK;
}

static const char *below(const char *dir, const char *path)
{
    size_t length = strlen(dir);
    while (length > 1 && dir[length - 1] == '/')
        length--;
    if (strncmp(path, dir, length) != 0 || path[length] != '/')
        return path;
    path += length;
    return path + strspn(path, "/");
}

static enum lay_status load_cell(const struct lay_task *task, const struct lay_language *language,
                                 const struct lay_data_options *data_options, int64_t limit,
                                 struct lay_workload_cell *cell, struct lay_err *err)
{
    *cell = (struct lay_workload_cell){.task = task, .language = language};
    LAY_TRY(lay_dataset_load(task, language, data_options, &cell->data, err));
    if (!cell->data)
        return LAY_OK;
    cell->wanted = limit >= 0 && (size_t)limit < cell->data->count ? (size_t)limit : cell->data->count;
    cell->n_chosen = cell->wanted;
    cell->file = below(task->name, below(data_options->dir, cell->data->file));
    if (cell->file[0] == '/') /* a manifest holds no absolute paths */
        cell->file = strrchr(cell->file, '/') + 1;
    return LAY_OK;
}

static enum lay_status load_task(const struct lay_task *task, const struct lay_workload_options *options,
                                 struct lay_workload *workload, struct lay_str *notes, struct lay_err *err)
{
    struct selection selection;
    struct lay_data_options data_options = {.dir = options->data_dir,
                                            .limit = options->whole_file ? -1 : options->limit};
    LAY_TRY(select_languages(task, options->languages, &selection, err));
    LAY_TRY(layout_of(task, options, &data_options.layout, err));
    const size_t before = workload->count;
    struct lay_str missing = {0};
    enum lay_status status = LAY_OK;
    for (size_t i = 0; i < selection.count; i++) {
        struct lay_workload_cell *cell = &workload->cells[workload->count];
        data_options.optional = selection.optional[i];
        status = load_cell(task, selection.list[i], &data_options, options->limit, cell, err);
        if (status != LAY_OK)
            break;
        if (!cell->data) {
            lay_str_printf(&missing, " %s", selection.list[i]->iso);
            continue;
        }
        workload->count++;
        workload->samples += cell->n_chosen;
    }
    if (missing.length > 0)
        lay_str_printf(notes, "%s: no data for%s\n", task->title, lay_str_text(&missing));
    lay_str_free(&missing);
    if (status == LAY_OK && workload->count == before)
        return lay_fail(err, LAY_ERR_INPUT,
                        "%s: holds no %s data of any language; `data/fetch.sh %s` downloads it",
                        options->data_dir, task->title, task->name);
    return status;
}

enum lay_status lay_workload_load(const struct lay_workload_options *options, struct lay_workload *workload,
                                  struct lay_str *notes, struct lay_err *err)
{
    *workload = (struct lay_workload){0};
    LAY_TRY(check_tasks(options->tasks, err));
    LAY_TRY(check_languages(options, notes, err));
    workload->cells = lay_alloc(lay_task_count() * MAX_LANGUAGES, sizeof *workload->cells);
    if (!workload->cells)
        return lay_no_memory(err, "a workload");
    for (size_t i = 0; i < lay_task_count(); i++)
        if (task_chosen(lay_task_at(i), options->tasks))
            LAY_TRY(load_task(lay_task_at(i), options, workload, notes, err));
    return LAY_OK;
}

void lay_workload_free(struct lay_workload *workload)
{
    for (size_t i = 0; i < workload->count; i++) {
        lay_dataset_free(workload->cells[i].data);
        lay_free(workload->cells[i].chosen);
    }
    lay_free(workload->cells);
    *workload = (struct lay_workload){0};
}

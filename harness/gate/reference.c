#include "harness/gate/reference.h"

#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "reports/accuracy.h"
#include "tasks/language.h"
#include "tasks/task.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { LABELS_SHOWN = 3, SYSTEMS_SHOWN = 8, HEAD_BYTES = 4096 };

static bool is_average(const char *language)
{
    enum lay_set set;
    return lay_set_find(language, &set);
}

/* Averages of a file are over all its languages, so a choice of languages leaves them out. */
static bool is_chosen(const struct lay_selection *selection, const char *task, const char *language)
{
    if (!lay_selection_lists(selection->tasks, selection->n_tasks, task))
        return false;
    return is_average(language) ? selection->n_languages == 0
                                : lay_selection_lists(selection->languages, selection->n_languages, language);
}

static enum lay_status copy(const char *text, char **to, struct lay_err *err)
{
    *to = text ? lay_strdup(text) : NULL;
    return text && !*to ? lay_no_memory(err, "the reference") : LAY_OK;
}

static enum lay_status append(struct lay_reference *reference, const struct lay_reference_entry *entry,
                              const struct lay_cell *cell, struct lay_err *err)
{
    if (!lay_grow((void **)&reference->figures, &reference->capacity, reference->count + 1,
                  sizeof *reference->figures))
        return lay_no_memory(err, "the reference");
    struct lay_reference_figure *figure = &reference->figures[reference->count++];
    *figure = (struct lay_reference_figure){.accuracy = entry->accuracy, .n = entry->n, .cell = cell};
    snprintf(figure->task, sizeof figure->task, "%s", entry->task);
    snprintf(figure->language, sizeof figure->language, "%s", entry->language);
    LAY_TRY(copy(entry->system, &figure->system, err));
    LAY_TRY(copy(entry->label, &figure->label, err));
    return copy(entry->over, &figure->over, err);
}

enum lay_status lay_reference_add(struct lay_reference *reference,
                                  const struct lay_reference_options *options,
                                  const struct lay_reference_entry *entry, struct lay_err *err)
{
    const struct lay_task *task;
    const struct lay_language *language = lay_language_find(entry->language);
    struct lay_reference_entry ours = *entry;
    const bool known = lay_task_find(entry->task, &task, NULL) == LAY_OK &&
                       (is_average(entry->language) || (language && lay_language_in(language, task->name)));
    if (!known) {
        reference->foreign++;
        return LAY_OK;
    }
    ours.task = task->name;
    ours.language = is_average(entry->language) ? entry->language : language->iso;
    if (isnan(entry->accuracy) || !is_chosen(&options->chosen->selection, ours.task, ours.language))
        return LAY_OK;
    if (!(entry->accuracy >= 0 && entry->accuracy <= 100))
        return lay_fail(err, LAY_ERR_INPUT, "%s: %s %s: %g is no accuracy", options->path, ours.task,
                        ours.language, entry->accuracy);
    return append(reference, &ours, NULL, err);
}

/* --- a run --- */

static enum lay_status add_average(const struct lay_system_result *system, const struct lay_task_result *task,
                                   enum lay_set set, enum lay_scorer scorer, struct lay_reference *reference,
                                   struct lay_err *err)
{
    struct lay_average average;
    struct lay_str over = {0};
    LAY_TRY(lay_task_average(task, set, &average, err));
    if (average.languages == 0 || average.expected == 0 || average.counts.n == 0)
        return LAY_OK;
    lay_average_languages(&over, task, set);
    enum lay_status status = lay_str_check(&over, err);
    const struct lay_reference_entry entry = {.system = system->name,
                                              .label = system->name,
                                              .task = task->task,
                                              .language = lay_set_name(set),
                                              .over = lay_str_text(&over),
                                              .accuracy =
                                                  scorer == LAY_SCORER_PAPER ? average.paper : average.strict,
                                              .n = average.counts.n};
    if (status == LAY_OK && !isnan(entry.accuracy))
        status = append(reference, &entry, NULL, err);
    lay_str_free(&over);
    return status;
}

static enum lay_status add_task(const struct lay_system_result *system, const struct lay_task_result *task,
                                enum lay_scorer scorer, struct lay_reference *reference, struct lay_err *err)
{
    for (size_t i = 0; i < task->count; i++) {
        const struct lay_cell *cell = &task->cells[i];
        const struct lay_counts counts = lay_cell_counts(cell);
        const struct lay_reference_entry entry = {
            .system = system->name,
            .label = system->name,
            .task = task->task,
            .language = cell->language,
            .accuracy = lay_accuracy(lay_scorer_hits(scorer, &counts), counts.n),
            .n = counts.n};
        if (counts.n > 0)
            LAY_TRY(append(reference, &entry, cell, err));
    }
    for (enum lay_set set = 0; set < LAY_SET_COUNT; set++)
        LAY_TRY(add_average(system, task, set, scorer, reference, err));
    return LAY_OK;
}

static enum lay_status read_runs(const struct lay_reference_options *options, struct lay_reference *reference,
                                 struct lay_err *err)
{
    LAY_TRY(lay_loaded_list_open(&options->path, 1, options->match, &reference->runs, err));
    LAY_TRY(lay_views_create(reference->runs.results, reference->runs.count, options->chosen,
                             &reference->views, err));
    for (size_t i = 0; i < reference->runs.count; i++)
        for (size_t j = 0; j < reference->views[i].count; j++)
            LAY_TRY(add_task(&reference->views[i], &reference->views[i].tasks[j], options->scorer, reference,
                             err));
    return LAY_OK;
}

/* --- picking --- */

static void free_figure(struct lay_reference_figure *figure)
{
    lay_free(figure->system);
    lay_free(figure->label);
    lay_free(figure->over);
}

static bool is_system(const struct lay_reference *reference, const char *name)
{
    for (size_t i = 0; i < reference->count; i++)
        if (strcmp(reference->figures[i].system, name) == 0)
            return true;
    return false;
}

/* A text that is a system's name picks that system; any other must be in the label. */
static enum lay_status pick(const char *text, const char *path, struct lay_reference *reference,
                            struct lay_err *err)
{
    const bool system = is_system(reference, text);
    size_t kept = 0;
    for (size_t i = 0; i < reference->count; i++) {
        struct lay_reference_figure *figure = &reference->figures[i];
        if (system ? strcmp(figure->system, text) == 0 : strstr(figure->label, text) != NULL)
            reference->figures[kept++] = *figure;
        else
            free_figure(figure);
    }
    reference->count = kept;
    return kept ? LAY_OK
                : lay_fail(err, LAY_ERR_INPUT, "--pick: no figure in %s is described by \"%s\"", path, text);
}

static bool same_place(const struct lay_reference_figure *a, const struct lay_reference_figure *b)
{
    return strcmp(a->system, b->system) == 0 && strcmp(a->task, b->task) == 0 &&
           strcmp(a->language, b->language) == 0;
}

static enum lay_status refuse_several(const char *path, const struct lay_reference *reference, size_t at,
                                      struct lay_err *err)
{
    const struct lay_reference_figure *first = &reference->figures[at];
    struct lay_str labels = {0};
    size_t shown = 0;
    for (size_t i = at; i < reference->count && shown < LABELS_SHOWN; i++)
        if (same_place(first, &reference->figures[i]))
            lay_str_printf(&labels, "%s%.2f (%.200s)", shown++ ? ", " : "", reference->figures[i].accuracy,
                           reference->figures[i].label);
    enum lay_status status = lay_str_check(&labels, err);
    if (status == LAY_OK)
        status =
            lay_fail(err, LAY_ERR_INPUT,
                     "%s: several figures for %s %s: %s; choose with --pick and a text that only one has",
                     path, first->task, first->language, lay_str_text(&labels));
    lay_str_free(&labels);
    return status;
}

/* One figure a place. The same figure from several sources is one. */
static enum lay_status check_unique(const char *path, const struct lay_reference *reference,
                                    struct lay_err *err)
{
    for (size_t i = 0; i < reference->count; i++)
        for (size_t j = i + 1; j < reference->count; j++)
            if (same_place(&reference->figures[i], &reference->figures[j]) &&
                reference->figures[i].accuracy != reference->figures[j].accuracy)
                return refuse_several(path, reference, i, err);
    return LAY_OK;
}

/* --- the whole --- */

static enum lay_status read_file(const struct lay_reference_options *options, struct lay_reference *reference,
                                 struct lay_err *err)
{
    char head[HEAD_BYTES] = "";
    FILE *file = fopen(options->path, "re");
    if (!file)
        return lay_fail(err, LAY_ERR_INPUT,
                        "%s: cannot be opened; name a run directory, a results.json, a results.csv or a "
                        "baselines CSV file",
                        options->path);
    const size_t length = fread(head, 1, sizeof head - 1, file);
    fclose(file);
    head[length] = 0;
    return head[strspn(head, " \t\r\n")] == '{' ? lay_reference_read_json(options, reference, err)
                                                : lay_reference_read_csv(options, reference, err);
}

static enum lay_status read_any(const struct lay_reference_options *options, struct lay_reference *reference,
                                struct lay_err *err)
{
    LAY_TRY(lay_path_is_dir(options->path) ? read_runs(options, reference, err)
                                           : read_file(options, reference, err));
    for (size_t i = 0; i < options->picks->count && reference->count; i++)
        LAY_TRY(pick(options->picks->items[i], options->path, reference, err));
    LAY_TRY(check_unique(options->path, reference, err));
    if (reference->count)
        return LAY_OK;
    return lay_fail(
        err, LAY_ERR_INPUT,
        "%s: no figure for the tasks and languages that were chosen (%zu entries are of other tasks "
        "or languages)",
        options->path, reference->foreign);
}

enum lay_status lay_reference_open(const struct lay_reference_options *options,
                                   struct lay_reference *reference, struct lay_err *err)
{
    *reference = (struct lay_reference){0};
    const enum lay_status status = read_any(options, reference, err);
    if (status != LAY_OK)
        lay_reference_close(reference);
    return status;
}

void lay_reference_close(struct lay_reference *reference)
{
    for (size_t i = 0; i < reference->count; i++)
        free_figure(&reference->figures[i]);
    lay_free(reference->figures);
    lay_views_free(reference->views, reference->runs.count);
    lay_loaded_list_free(&reference->runs);
    *reference = (struct lay_reference){0};
}

/* The names there are, each once, and how many. */
static size_t list_systems(const struct lay_reference *reference, struct lay_str *names)
{
    size_t distinct = 0;
    for (size_t i = 0; i < reference->count; i++) {
        const char *name = reference->figures[i].system;
        size_t first = 0;
        while (strcmp(reference->figures[first].system, name) != 0)
            first++;
        if (first == i && distinct++ < SYSTEMS_SHOWN)
            lay_str_printf(names, "%s%s", distinct > 1 ? ", " : "", name);
    }
    lay_str_puts(names, distinct > SYSTEMS_SHOWN ? ", …" : "");
    return distinct;
}

enum lay_status lay_reference_system(const struct lay_reference *reference, const char *name,
                                     const char **system, struct lay_err *err)
{
    struct lay_str names = {0};
    *system = is_system(reference, name) ? name : reference->figures[0].system;
    if (*system == name)
        return LAY_OK;
    const size_t distinct = list_systems(reference, &names);
    enum lay_status status = lay_str_check(&names, err);
    if (status == LAY_OK && distinct > 1)
        status =
            lay_fail(err, LAY_ERR_INPUT, "the reference has no system \"%s\" but %s; choose one with --pick",
                     name, lay_str_text(&names));
    lay_str_free(&names);
    return status;
}

const struct lay_reference_figure *lay_reference_figure(const struct lay_reference *reference,
                                                        const char *system, const char *task,
                                                        const char *language)
{
    for (size_t i = 0; i < reference->count; i++) {
        const struct lay_reference_figure *figure = &reference->figures[i];
        if (strcmp(figure->system, system) == 0 && strcmp(figure->task, task) == 0 &&
            strcmp(figure->language, language) == 0)
            return figure;
    }
    return NULL;
}

#include "harness/run/results.h"

#include "engine/base/mem.h"
#include "harness/run/manifest.h"
#include "harness/run/scoring.h"
#include "harness/run/shard.h"
#include "tasks/task.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_LANGUAGES = 64 };

static const cJSON *member_of(const cJSON *object, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

/* --- tasks and languages --- */

/* How many languages the papers' averages of the task are over. */
static void set_sizes(const struct lay_task *task, struct lay_task_result *result)
{
    const struct lay_language *list[MAX_LANGUAGES];
    const size_t count = lay_languages_of(task->name, false, list, MAX_LANGUAGES);
    for (size_t i = 0; i < count && i < MAX_LANGUAGES; i++) {
        const enum lay_resource resource = lay_language_in(list[i], task->name)->resource;
        result->set_size[LAY_SET_AVG]++;
        if (resource != LAY_RESOURCE_NONE)
            result->set_size[resource == LAY_RESOURCE_LOW ? LAY_SET_LRL : LAY_SET_HRL]++;
    }
}

static enum lay_status find_task(struct lay_system_result *result, const char *name,
                                 struct lay_task_result **found, struct lay_err *err)
{
    const struct lay_task *task;
    for (size_t i = 0; i < result->count; i++)
        if (strcmp(result->tasks[i].task, name) == 0) {
            *found = &result->tasks[i];
            return LAY_OK;
        }
    if (lay_task_find(name, &task, NULL) != LAY_OK)
        return lay_fail(err, LAY_ERR_INPUT,
                        "the journal: no task is called \"%s\"; was another layeval used?", name);
    struct lay_task_result *tasks = lay_realloc(result->tasks, result->count + 1, sizeof *tasks);
    if (!tasks)
        return lay_no_memory(err, "the results");
    result->tasks = tasks;
    *found = &tasks[result->count++];
    **found = (struct lay_task_result){.math = task->kind == LAY_TASK_MATH, .version = task->version};
    snprintf((*found)->task, sizeof(*found)->task, "%s", task->name);
    snprintf((*found)->title, sizeof(*found)->title, "%s", task->title);
    set_sizes(task, *found);
    return LAY_OK;
}

static void describe_cell(struct lay_cell *cell, const struct lay_language *language,
                          const struct lay_language_task *place)
{
    static const enum lay_group groups[] = {[LAY_RESOURCE_NONE] = LAY_GROUP_NONE,
                                            [LAY_RESOURCE_LOW] = LAY_GROUP_LRL,
                                            [LAY_RESOURCE_HIGH] = LAY_GROUP_HRL};
    *cell = (struct lay_cell){.group = groups[place->resource],
                              .in_average = place->printed >= 0,
                              .right_to_left = language->right_to_left,
                              .official_order = place->official};
    snprintf(cell->language, sizeof cell->language, "%s", language->iso);
    snprintf(cell->language_name, sizeof cell->language_name, "%s", language->name);
}

static enum lay_status find_cell(struct lay_task_result *task, const char *iso, struct lay_cell **found,
                                 struct lay_err *err)
{
    for (size_t i = 0; i < task->count; i++)
        if (strcmp(task->cells[i].language, iso) == 0) {
            *found = &task->cells[i];
            return LAY_OK;
        }
    const struct lay_language *language = lay_language_find(iso);
    const struct lay_language_task *place = language ? lay_language_in(language, task->task) : NULL;
    if (!place || strcmp(language->iso, iso) != 0)
        return lay_fail(err, LAY_ERR_INPUT, "the journal: %s has no language \"%s\"", task->task, iso);
    struct lay_cell *cells = lay_realloc(task->cells, task->count + 1, sizeof *cells);
    if (!cells)
        return lay_no_memory(err, "the results");
    task->cells = cells;
    *found = &cells[task->count++];
    describe_cell(*found, language, place);
    return LAY_OK;
}

/* Tasks and languages the manifest promises, in its order. */
static enum lay_status add_promised(const cJSON *manifest, struct lay_system_result *result,
                                    struct lay_err *err)
{
    const cJSON *item, *language;
    cJSON_ArrayForEach(item, member_of(manifest, "tasks"))
    {
        struct lay_task_result *task;
        struct lay_cell *cell;
        const char *name = cJSON_GetStringValue(member_of(item, "task"));
        if (!name)
            return lay_json_missing(LAY_MANIFEST_FILE, "task", err);
        LAY_TRY(find_task(result, name, &task, err));
        cJSON_ArrayForEach(language, member_of(item, "languages"))
        {
            int64_t first_line = 0;
            const char *iso = cJSON_GetStringValue(member_of(language, "language"));
            if (!iso)
                return lay_json_missing(LAY_MANIFEST_FILE, "language", err);
            LAY_TRY(find_cell(task, iso, &cell, err));
            LAY_TRY(lay_json_get_int(language, LAY_MANIFEST_FILE, "first_line", &first_line, err));
            /* Where the official order is that of appearance in the data file. */
            if (cell->official_order < 0 && first_line > 0 && first_line < INT32_MAX)
                cell->official_order = (int)first_line;
        }
    }
    return LAY_OK;
}

static int place_of(const struct lay_task_result *task, const struct lay_cell *cell)
{
    const int printed = lay_language_in(lay_language_find(cell->language), task->task)->printed;
    return printed < 0 ? INT32_MAX : printed;
}

/* The papers' printed order; languages outside it follow by code. */
static void sort_cells(struct lay_task_result *task)
{
    for (size_t i = 1; i < task->count; i++) {
        const struct lay_cell moved = task->cells[i];
        size_t at = i;
        for (; at > 0; at--) {
            const int before = place_of(task, &task->cells[at - 1]), place = place_of(task, &moved);
            if (before < place ||
                (before == place && strcmp(task->cells[at - 1].language, moved.language) <= 0))
                break;
            task->cells[at] = task->cells[at - 1];
        }
        task->cells[at] = moved;
    }
}

/* --- from entries to records --- */

/* Where an entry goes. */
struct slot {
    struct lay_task_result *task;
    struct lay_cell *cell;
};

/* The place of an entry; `last` is that of the entry before it, which mostly is the same one. */
static enum lay_status find_slot(const struct lay_journal_entry *entry, struct lay_system_result *result,
                                 struct slot *last, struct lay_err *err)
{
    if (last->cell && strcmp(last->cell->language, entry->language) == 0 &&
        strcmp(last->task->task, entry->task) == 0)
        return LAY_OK;
    LAY_TRY(find_task(result, entry->task, &last->task, err));
    return find_cell(last->task, entry->language, &last->cell, err);
}

/* First pass: which tasks and languages there are and how many records each gets. */
static enum lay_status make_room(const struct lay_journal *journal, struct lay_system_result *result,
                                 struct lay_err *err)
{
    struct slot slot = {0};
    for (size_t i = 0; i < journal->count; i++) {
        LAY_TRY(find_slot(&journal->entries[i], result, &slot, err));
        slot.cell->count++;
    }
    for (size_t t = 0; t < result->count; t++) {
        struct lay_task_result *task = &result->tasks[t];
        sort_cells(task);
        for (size_t i = 0; i < task->count; i++) {
            const size_t wanted = task->cells[i].count;
            task->cells[i].count = 0;
            task->cells[i].records = lay_alloc(wanted + 1, sizeof(struct lay_record));
            if (!task->cells[i].records)
                return lay_no_memory(err, "the results");
        }
    }
    return LAY_OK;
}

static enum lay_status copy_name(const char *name, const cJSON *manifest, char **copy, struct lay_err *err)
{
    char label[LAY_SHARD_LABEL];
    struct lay_str text = {0};
    lay_shard_label(manifest, label);
    lay_str_printf(&text, "%s%s", name, label);
    *copy = lay_str_take(&text);
    return *copy ? LAY_OK : lay_no_memory(err, "the results");
}

/* One entry on its way. */
struct job {
    struct lay_journal_entry *entry;
    struct lay_record *record;
    const struct lay_scoring *scoring;
};

struct jobs {
    struct job *items; /* one an entry */
    size_t count;
    struct lay_scoring *scorings; /* one a language of a task */
};

/* Second pass: the records' places. Cells no longer move; what a cell needs for scoring is prepared
 * when it is first met. */
static enum lay_status plan_jobs(const struct lay_journal *journal, const cJSON *manifest,
                                 enum lay_match match, struct lay_system_result *result, struct jobs *jobs,
                                 struct lay_err *err)
{
    struct slot slot = {0};
    size_t cells = 0, *first = NULL; /* per task, its first place in scorings */
    enum lay_status status = LAY_OK;
    for (size_t t = 0; t < result->count; t++)
        cells += result->tasks[t].count;
    jobs->items = lay_alloc(journal->count + 1, sizeof *jobs->items);
    jobs->scorings = lay_alloc(cells + 1, sizeof *jobs->scorings);
    first = lay_alloc(result->count + 1, sizeof *first);
    if (!jobs->items || !jobs->scorings || !first)
        status = lay_no_memory(err, "the results");
    for (size_t t = 1; t < result->count && status == LAY_OK; t++)
        first[t] = first[t - 1] + result->tasks[t - 1].count;
    for (size_t i = 0; i < journal->count && status == LAY_OK; i++) {
        struct lay_journal_entry *entry = &journal->entries[i];
        LAY_TRY_GOTO(status, find_slot(entry, result, &slot, err), done);
        struct lay_scoring *scoring =
            &jobs->scorings[first[slot.task - result->tasks] + (size_t)(slot.cell - slot.task->cells)];
        if (!scoring->task)
            LAY_TRY_GOTO(status, lay_scoring_prepare(manifest, entry, match, scoring, err), done);
        jobs->items[i] = (struct job){entry, &slot.cell->records[slot.cell->count++], scoring};
    }
done:
    lay_free(first);
    return status;
}

/* Third pass. In parallel: a record depends on its entry alone and has its own place, and of several failures
 * that of the first entry is reported, so nothing depends on threads. */
static enum lay_status do_jobs(const struct jobs *jobs, bool take, struct lay_err *err)
{
    size_t failed_at = SIZE_MAX;
    struct lay_err failure = {0};
    enum lay_status result = LAY_OK;
#pragma omp parallel for schedule(dynamic, 64) if (jobs->count > 512)
    for (size_t i = 0; i < jobs->count; i++) {
        const struct job *job = &jobs->items[i];
        struct lay_err own = {0};
        const enum lay_status status = lay_scoring_do(job->scoring, job->entry, take, job->record, &own);
        if (status == LAY_OK)
            continue;
#pragma omp critical(lay_results_failure)
        if (i < failed_at) {
            failed_at = i;
            failure = own;
            result = status;
        }
    }
    return result == LAY_OK ? LAY_OK : lay_fail(err, result, "%s", failure.message);
}

static enum lay_status fill(const struct lay_journal *journal, bool take, const cJSON *manifest,
                            enum lay_match match, struct lay_system_result *result, struct lay_err *err)
{
    struct jobs jobs = {.count = journal->count};
    enum lay_status status = plan_jobs(journal, manifest, match, result, &jobs, err);
    if (status == LAY_OK)
        status = do_jobs(&jobs, take, err);
    lay_free(jobs.items);
    lay_free(jobs.scorings);
    return status;
}

static int by_id(const void *a, const void *b)
{
    const struct lay_record *x = a, *y = b;
    return (x->doc_id > y->doc_id) - (x->doc_id < y->doc_id);
}

/* Sealed journals have them in order. */
static void sort_records(struct lay_cell *cell)
{
    for (size_t i = 1; i < cell->count; i++)
        if (cell->records[i - 1].doc_id > cell->records[i].doc_id) {
            qsort(cell->records, cell->count, sizeof *cell->records, by_id);
            return;
        }
}

/* The entries behind `journal` change only if `take`. */
static enum lay_status collect(const struct lay_journal *journal, bool take, const cJSON *manifest,
                               enum lay_match match, struct lay_system_result *result, struct lay_err *err)
{
    const cJSON *system = member_of(manifest, "system");
    const char *name = "system", *method = "";
    enum lay_status status;
    *result = (struct lay_system_result){
        .match = lay_match_name(match), .strict_version = LAY_STRICT_VERSION, .manifest = manifest};
    LAY_TRY(lay_languages_load(NULL, err));
    LAY_TRY(lay_json_get_string(system, LAY_MANIFEST_FILE ": system", "name", &name, err));
    LAY_TRY(lay_json_get_string(system, LAY_MANIFEST_FILE ": system", "method", &method, err));
    LAY_TRY_GOTO(status, copy_name(name, manifest, &result->name, err), fail);
    result->method = lay_strdup(method);
    if (!result->method) {
        status = lay_no_memory(err, "the results");
        goto fail;
    }
    LAY_TRY_GOTO(status, add_promised(manifest, result, err), fail);
    LAY_TRY_GOTO(status, make_room(journal, result, err), fail);
    LAY_TRY_GOTO(status, fill(journal, take, manifest, match, result, err), fail);
    for (size_t t = 0; t < result->count; t++)
        for (size_t i = 0; i < result->tasks[t].count; i++)
            sort_records(&result->tasks[t].cells[i]);
    return LAY_OK;
fail:
    lay_system_result_free(result);
    return status;
}

enum lay_status lay_results_collect(const struct lay_journal *journal, const cJSON *manifest,
                                    enum lay_match match, struct lay_system_result *result,
                                    struct lay_err *err)
{
    return collect(journal, false, manifest, match, result, err);
}

enum lay_status lay_results_take(struct lay_journal *journal, const cJSON *manifest, enum lay_match match,
                                 struct lay_system_result *result, struct lay_err *err)
{
    return collect(journal, true, manifest, match, result, err);
}

#include "harness/run/results.h"

#include "engine/base/mem.h"
#include "harness/run/manifest.h"
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

static const cJSON *manifest_task(const cJSON *manifest, const char *name)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, member_of(manifest, "tasks"))
    {
        const char *task = cJSON_GetStringValue(member_of(item, "task"));
        if (task && strcmp(task, name) == 0)
            return item;
    }
    return NULL;
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

/* --- records --- */

/* XNLI: what the label is called in answers; else the target itself. */
static const char *gold_of(const cJSON *manifest, const struct lay_journal_entry *entry)
{
    const cJSON *words = member_of(manifest_task(manifest, entry->task), "label_words");
    const char *word = cJSON_GetStringValue(cJSON_GetObjectItem(words, entry->target));
    return word ? word : entry->target;
}

/* The bare question, under the names the data files have for it. */
static const char *question_of(const cJSON *doc)
{
    static const char *const keys[] = {"m_query", "question", "query"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const char *text = cJSON_GetStringValue(member_of(doc, keys[i]));
        if (text)
            return text;
    }
    return NULL;
}

static enum lay_status copy_text(const char *text, char **copy, struct lay_err *err)
{
    *copy = text ? lay_strdup(text) : NULL;
    return text && !*copy ? lay_no_memory(err, "the results") : LAY_OK;
}

static enum lay_status copy_entry(const struct lay_journal_entry *entry, const char *gold, bool math,
                                  struct lay_record *record, struct lay_err *err)
{
    char where[128];
    snprintf(where, sizeof where, LAY_JOURNAL_FILE ": %s %s %lld: doc", entry->task, entry->language,
             (long long)entry->doc_id);
    record->doc_id = entry->doc_id;
    record->truncated = entry->truncated;
    record->source_tokens = entry->source_tokens;
    record->prompt_tokens = entry->prompt_tokens;
    record->output_tokens = entry->output_tokens;
    snprintf(record->ended, sizeof record->ended, "%s", entry->ended);
    if (entry->doc)
        LAY_TRY(lay_json_parse(where, entry->doc, strlen(entry->doc), &record->doc, err));
    LAY_TRY(copy_text(math ? question_of(record->doc) : NULL, &record->question, err));
    LAY_TRY(copy_text(entry->source, &record->source, err));
    LAY_TRY(copy_text(entry->prompt, &record->prompt, err));
    LAY_TRY(copy_text(gold, &record->target, err));
    LAY_TRY(copy_text(entry->error, &record->error_message, err));
    return copy_text(entry->output ? entry->output : "", &record->output, err);
}

enum { MAX_LABELS = 16 };

/* The words answers are expected to use for the task's labels: the manifest's where a prompt set renames
 * them. */
static size_t labels_of(const cJSON *manifest, const struct lay_task *task, const char *labels[MAX_LABELS])
{
    const cJSON *words = member_of(manifest_task(manifest, task->name), "label_words");
    const size_t n = task->n_labels < MAX_LABELS ? task->n_labels : MAX_LABELS;
    for (size_t i = 0; i < n; i++) {
        const char *word = cJSON_GetStringValue(cJSON_GetObjectItem(words, task->labels[i]));
        labels[i] = word ? word : task->labels[i];
    }
    return n;
}

static enum lay_status score_record(const cJSON *manifest, const struct lay_task *task,
                                    const struct lay_language *language, enum lay_match match,
                                    struct lay_record *record, struct lay_err *err)
{
    const char *labels[MAX_LABELS];
    const size_t n_labels = labels_of(manifest, task, labels);
    struct lay_score score = {0};
    struct lay_str paper = {0}, strict = {0};
    const enum lay_status status =
        lay_score_labelled(task, language, labels, n_labels, record->target, record->output,
                           strlen(record->output), match, &score, &paper, &strict, err);
    record->paper_extracted = lay_str_take(&paper);
    record->strict_extracted = lay_str_take(&strict);
    LAY_TRY(status);
    if (!record->paper_extracted || !record->strict_extracted)
        return lay_no_memory(err, "the results");
    record->paper_number = score.paper_number;
    record->paper_target_number = score.paper_target_number;
    record->error = strcmp(record->ended, "error") == 0;
    if (record->error) /* neither right nor wrong, whatever an empty answer would count as */
        return LAY_OK;
    record->paper_correct = score.paper_correct;
    record->strict_correct = score.strict == LAY_STRICT_CORRECT;
    record->unparsed = score.strict == LAY_STRICT_UNPARSED;
    return LAY_OK;
}

static int by_id(const void *a, const void *b)
{
    const struct lay_record *x = a, *y = b;
    return (x->doc_id > y->doc_id) - (x->doc_id < y->doc_id);
}

/* Second pass: every cell knows how many records it gets. */
static enum lay_status fill(const struct lay_journal *journal, const cJSON *manifest, enum lay_match match,
                            struct lay_system_result *result, struct lay_err *err)
{
    for (size_t i = 0; i < journal->count; i++) {
        const struct lay_journal_entry *entry = &journal->entries[i];
        const struct lay_task *task;
        struct lay_task_result *group;
        struct lay_cell *cell;
        LAY_TRY(find_task(result, entry->task, &group, err));
        LAY_TRY(find_cell(group, entry->language, &cell, err));
        LAY_TRY(lay_task_find(entry->task, &task, err));
        struct lay_record *record = &cell->records[cell->count++];
        LAY_TRY(copy_entry(entry, gold_of(manifest, entry), group->math, record, err));
        LAY_TRY(score_record(manifest, task, lay_language_find(entry->language), match, record, err));
    }
    return LAY_OK;
}

/* First pass: which tasks and languages there are and how many records each gets. */
static enum lay_status make_room(const struct lay_journal *journal, struct lay_system_result *result,
                                 struct lay_err *err)
{
    struct lay_task_result *task;
    struct lay_cell *cell;
    for (size_t i = 0; i < journal->count; i++) {
        LAY_TRY(find_task(result, journal->entries[i].task, &task, err));
        LAY_TRY(find_cell(task, journal->entries[i].language, &cell, err));
        cell->count++;
    }
    for (size_t t = 0; t < result->count; t++) {
        task = &result->tasks[t];
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

enum lay_status lay_results_collect(const struct lay_journal *journal, const cJSON *manifest,
                                    enum lay_match match, struct lay_system_result *result,
                                    struct lay_err *err)
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
    LAY_TRY_GOTO(status, copy_text(method, &result->method, err), fail);
    LAY_TRY_GOTO(status, add_promised(manifest, result, err), fail);
    LAY_TRY_GOTO(status, make_room(journal, result, err), fail);
    LAY_TRY_GOTO(status, fill(journal, manifest, match, result, err), fail);
    for (size_t t = 0; t < result->count; t++)
        for (size_t i = 0; i < result->tasks[t].count; i++)
            qsort(result->tasks[t].cells[i].records, result->tasks[t].cells[i].count,
                  sizeof(struct lay_record), by_id);
    return LAY_OK;
fail:
    lay_system_result_free(result);
    return status;
}

#include "harness/run/scoring.h"

#include "engine/base/json_scan.h"
#include "engine/base/mem.h"

#include <stdio.h>
#include <string.h>

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

enum lay_status lay_scoring_prepare(const cJSON *manifest, const struct lay_journal_entry *entry,
                                    enum lay_match match, struct lay_scoring *scoring, struct lay_err *err)
{
    *scoring = (struct lay_scoring){.match = match};
    LAY_TRY(lay_task_find(entry->task, &scoring->task, err));
    const struct lay_task *task = scoring->task;
    scoring->language = lay_language_find(entry->language);
    scoring->words = member_of(manifest_task(manifest, task->name), "label_words");
    scoring->n_labels = task->n_labels < LAY_SCORING_MAX_LABELS ? task->n_labels : LAY_SCORING_MAX_LABELS;
    for (size_t i = 0; i < scoring->n_labels; i++) {
        const char *word = cJSON_GetStringValue(cJSON_GetObjectItem(scoring->words, task->labels[i]));
        scoring->labels[i] = word ? word : task->labels[i];
    }
    return LAY_OK;
}

/* XNLI: what the label is called in answers; else the target itself. */
static const char *gold_of(const struct lay_scoring *scoring, const struct lay_journal_entry *entry)
{
    const char *word = cJSON_GetStringValue(cJSON_GetObjectItem(scoring->words, entry->target));
    return word ? word : entry->target;
}

/* The bare question, under the names the data files have for it, the first of them first; NULL without. */
static enum lay_status find_question(const struct lay_journal_entry *entry, char **question,
                                     struct lay_err *err)
{
    static const char *const keys[] = {"m_query", "question", "query"};
    enum { N_KEYS = sizeof keys / sizeof *keys };
    struct lay_json_slice key, value, found = {0};
    struct lay_json_scan scan;
    char where[128];
    size_t best = N_KEYS;
    snprintf(where, sizeof where, LAY_JOURNAL_FILE ": %s %s %lld: doc", entry->task, entry->language,
             (long long)entry->doc_id);
    if (!lay_json_scan_open(&scan, entry->doc, strlen(entry->doc)))
        return LAY_OK; /* an array: no member has a name */
    while (lay_json_scan_member(&scan, &key, &value))
        for (size_t i = 0; i < best; i++)
            if (lay_json_slice_is(key, keys[i]) && *value.text == '"') {
                best = i;
                found = value;
            }
    if (!lay_json_scan_ended(&scan))
        return lay_fail(err, LAY_ERR_INPUT, "%s: not valid JSON", where);
    return found.text ? lay_json_slice_string(found, where, keys[best], question, err) : LAY_OK;
}

static enum lay_status copy_text(const char *text, char **copy, struct lay_err *err)
{
    *copy = text ? lay_strdup(text) : NULL;
    return text && !*copy ? lay_no_memory(err, "the results") : LAY_OK;
}

/* The texts of an entry that records have, too. */
struct text_pair {
    char **entry, **record;
};
enum { N_TEXTS = 6 };

static void pair_texts(struct lay_journal_entry *entry, struct lay_record *record,
                       struct text_pair pairs[N_TEXTS])
{
    const struct text_pair list[N_TEXTS] = {
        {&entry->doc, &record->doc},       {&entry->source, &record->source},
        {&entry->prompt, &record->prompt}, {&entry->target, &record->target},
        {&entry->output, &record->output}, {&entry->error, &record->error_message}};
    memcpy(pairs, list, sizeof list);
}

/* `take`: texts are moved out of the entry instead of copied. */
static enum lay_status transfer_texts(struct lay_journal_entry *entry, const struct lay_scoring *scoring,
                                      bool take, struct lay_record *record, struct lay_err *err)
{
    struct text_pair pairs[N_TEXTS];
    const char *gold = gold_of(scoring, entry);
    if (entry->doc && scoring->task->kind == LAY_TASK_MATH)
        LAY_TRY(find_question(entry, &record->question, err));
    if (gold != entry->target)
        LAY_TRY(copy_text(gold, &record->target, err));
    pair_texts(entry, record, pairs);
    for (size_t i = 0; i < N_TEXTS; i++) {
        if (*pairs[i].record)
            continue;
        if (!take) {
            LAY_TRY(copy_text(*pairs[i].entry, pairs[i].record, err));
            continue;
        }
        *pairs[i].record = *pairs[i].entry;
        *pairs[i].entry = NULL;
    }
    return record->output ? LAY_OK : copy_text("", &record->output, err);
}

static enum lay_status transfer(struct lay_journal_entry *entry, const struct lay_scoring *scoring, bool take,
                                struct lay_record *record, struct lay_err *err)
{
    record->doc_id = entry->doc_id;
    record->truncated = entry->truncated;
    record->source_tokens = entry->source_tokens;
    record->prompt_tokens = entry->prompt_tokens;
    record->output_tokens = entry->output_tokens;
    snprintf(record->ended, sizeof record->ended, "%s", entry->ended);
    return transfer_texts(entry, scoring, take, record, err);
}

static enum lay_status score_record(const struct lay_scoring *scoring, struct lay_record *record,
                                    struct lay_err *err)
{
    struct lay_score score = {0};
    struct lay_str paper = {0}, strict = {0};
    const enum lay_status status = lay_score_labelled(
        scoring->task, scoring->language, scoring->labels, scoring->n_labels, record->target, record->output,
        strlen(record->output), scoring->match, &score, &paper, &strict, err);
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

enum lay_status lay_scoring_do(const struct lay_scoring *scoring, struct lay_journal_entry *entry, bool take,
                               struct lay_record *record, struct lay_err *err)
{
    LAY_TRY(transfer(entry, scoring, take, record, err));
    return score_record(scoring, record, err);
}

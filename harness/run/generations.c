#include "harness/run/generations.h"

#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/base/mem.h"
#include "engine/base/str.h"
#include "harness/run/journal_line.h"
#include "harness/run/manifest.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const cJSON *member_of(const cJSON *object, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

static enum lay_status copy_text(const char *text, char **copy, struct lay_err *err)
{
    *copy = lay_strdup(text);
    return *copy ? LAY_OK : lay_no_memory(err, "generations");
}

static enum lay_status copy_optional(const cJSON *line, const char *where, const char *key, char **copy,
                                     struct lay_err *err)
{
    const char *text = NULL;
    LAY_TRY(lay_json_get_string(line, where, key, &text, err));
    return text ? copy_text(text, copy, err) : LAY_OK;
}

/* "output", else the first text of "resps". Multiple-choice samples of lm-evaluation-harness hold likelihoods
 * there and no text. */
static enum lay_status read_output(const cJSON *line, const char *where, struct lay_journal_entry *entry,
                                   struct lay_err *err)
{
    const char *text = NULL;
    LAY_TRY(lay_json_get_string(line, where, "output", &text, err));
    if (!text) {
        const cJSON *item = member_of(line, "resps");
        if (!item)
            return lay_fail(
                err, LAY_ERR_INPUT,
                "%s: neither \"output\" nor \"resps\"; a line holds {\"output\", \"target\"} or a "
                "sample of lm-evaluation-harness",
                where);
        while (cJSON_IsArray(item))
            item = item->child;
        text = cJSON_GetStringValue(item);
        if (!text)
            return lay_fail(err, LAY_ERR_INPUT,
                            "%s: \"resps\" must be [[\"text\"]]; likelihoods of choices cannot be scored",
                            where);
    }
    return copy_text(text, &entry->output, err);
}

/* A string, or a number as lm-evaluation-harness tasks have it. */
static enum lay_status read_target(const cJSON *line, const char *where, struct lay_journal_entry *entry,
                                   struct lay_err *err)
{
    const cJSON *target = member_of(line, "target");
    struct lay_str text = {0};
    if (!target)
        return lay_json_missing(where, "target", err);
    if (cJSON_IsString(target))
        return copy_text(target->valuestring, &entry->target, err);
    if (!cJSON_IsNumber(target))
        return lay_fail(err, LAY_ERR_INPUT, "%s: \"target\" must be a string or a number", where);
    lay_json_put(&text, target, -1);
    entry->target = lay_str_take(&text);
    return entry->target ? LAY_OK : lay_no_memory(err, "generations");
}

static enum lay_status read_ended(const cJSON *line, const char *where, struct lay_journal_entry *entry,
                                  struct lay_err *err)
{
    static const char *const known[] = {"eos", "length", "stop", "error", "unknown"};
    const char *ended = entry->error ? "error" : "unknown";
    LAY_TRY(lay_json_get_string(line, where, "ended", &ended, err));
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(ended, known[i]) == 0) {
            snprintf(entry->ended, sizeof entry->ended, "%s", ended);
            return LAY_OK;
        }
    return lay_fail(err, LAY_ERR_INPUT, "%s: \"ended\" must be eos, length, stop, error or unknown", where);
}

static enum lay_status read_doc(cJSON *line, struct lay_journal_entry *entry, struct lay_err *err)
{
    static const char *const answer_keys[] = {"output", "resps", "filtered_resps"};
    struct lay_str text = {0};
    const cJSON *doc = member_of(line, "doc");
    if (!cJSON_IsObject(doc)) { /* what else the line says about the item */
        for (size_t i = 0; i < sizeof answer_keys / sizeof *answer_keys; i++)
            cJSON_DeleteItemFromObjectCaseSensitive(line, answer_keys[i]);
        doc = line;
    }
    lay_json_put(&text, doc, -1);
    entry->doc = lay_str_take(&text);
    return entry->doc ? LAY_OK : lay_no_memory(err, "generations");
}

/* The prompt: "prompt", else the first argument of a sample. */
static enum lay_status read_prompt(const cJSON *line, const char *where, struct lay_journal_entry *entry,
                                   struct lay_err *err)
{
    const cJSON *arguments = member_of(member_of(line, "arguments"), "gen_args_0");
    const char *text = cJSON_GetStringValue(member_of(arguments, "arg_0"));
    LAY_TRY(lay_json_get_string(line, where, "prompt", &text, err));
    return text ? copy_text(text, &entry->prompt, err) : LAY_OK;
}

static enum lay_status read_entry(const struct lay_generations_options *options, cJSON *line,
                                  const char *where, struct lay_journal_entry *entry, struct lay_err *err)
{
    LAY_TRY(copy_text(options->task->name, &entry->task, err));
    LAY_TRY(copy_text(options->language->iso, &entry->language, err));
    LAY_TRY(lay_json_get_int(line, where, "doc_id", &entry->doc_id, err));
    LAY_TRY(lay_json_get_int(line, where, "source_tokens", &entry->source_tokens, err));
    LAY_TRY(lay_json_get_int(line, where, "prompt_tokens", &entry->prompt_tokens, err));
    LAY_TRY(lay_json_get_int(line, where, "output_tokens", &entry->output_tokens, err));
    LAY_TRY(lay_json_get_bool(line, where, "truncated", &entry->truncated, err));
    LAY_TRY(copy_optional(line, where, "source", &entry->source, err));
    LAY_TRY(copy_optional(line, where, "error", &entry->error, err));
    LAY_TRY(read_output(line, where, entry, err));
    LAY_TRY(read_target(line, where, entry, err));
    LAY_TRY(read_prompt(line, where, entry, err));
    LAY_TRY(read_ended(line, where, entry, err));
    if (entry->doc_id < 0)
        return lay_fail(err, LAY_ERR_INPUT, "%s: \"doc_id\" must not be negative", where);
    return read_doc(line, entry, err);
}

struct reader {
    const struct lay_generations_options *options;
    struct lay_journal *journal;
    size_t capacity;
    char *filter; /* of the first line that has one */
    size_t other_filters;
};

/* Whether the line repeats an answer for another filter. */
static enum lay_status other_filter(struct reader *reader, const cJSON *line, const char *where, bool *other,
                                    struct lay_err *err)
{
    const char *filter = NULL;
    *other = false;
    LAY_TRY(lay_json_get_string(line, where, "filter", &filter, err));
    if (!filter)
        return LAY_OK;
    if (!reader->filter)
        return copy_text(filter, &reader->filter, err);
    *other = strcmp(filter, reader->filter) != 0;
    reader->other_filters += *other;
    return LAY_OK;
}

static enum lay_status take_object(struct reader *reader, cJSON *line, const char *where, struct lay_err *err)
{
    struct lay_journal *journal = reader->journal;
    bool other;
    if (!cJSON_IsObject(line))
        return lay_fail(err, LAY_ERR_INPUT, "%s: not a JSON object; a line holds {\"output\", \"target\"}",
                        where);
    LAY_TRY(other_filter(reader, line, where, &other, err));
    if (other)
        return LAY_OK;
    if (!lay_grow((void **)&journal->entries, &reader->capacity, journal->count + 1,
                  sizeof *journal->entries))
        return lay_no_memory(err, "generations");
    struct lay_journal_entry *entry = &journal->entries[journal->count];
    *entry = (struct lay_journal_entry){.doc_id = (int64_t)journal->count};
    journal->count++; /* from here on lay_journal_free sees to it */
    return read_entry(reader->options, line, where, entry, err);
}

static bool is_blank(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (!strchr(" \t\r", text[i]) || !text[i])
            return false;
    return true;
}

/* The name stands in front of the line number here, as it does everywhere. */
static enum lay_status parse_line(const char *where, const char *text, size_t length, cJSON **line,
                                  struct lay_err *err)
{
    struct lay_err inner = {0};
    const enum lay_status status = lay_json_parse("", text, length, line, &inner);
    if (status == LAY_OK)
        return LAY_OK;
    const char *reason = strstr(inner.message, ": ");
    return lay_fail(err, status, "%s: %s", where, reason ? reason + 2 : inner.message);
}

static enum lay_status read_lines(struct reader *reader, const char *text, size_t size, struct lay_err *err)
{
    size_t number = 0;
    for (size_t at = 0; at < size;) {
        struct lay_str where = {0};
        cJSON *line = NULL;
        const char *end = memchr(text + at, '\n', size - at);
        const size_t length = end ? (size_t)(end - text) - at : size - at;
        number++;
        lay_str_printf(&where, "%s:%zu", reader->options->file, number);
        enum lay_status status = lay_str_check(&where, err);
        if (status == LAY_OK && !is_blank(text + at, length)) {
            status = parse_line(lay_str_text(&where), text + at, length, &line, err);
            if (status == LAY_OK)
                status = take_object(reader, line, lay_str_text(&where), err);
        }
        cJSON_Delete(line);
        lay_str_free(&where);
        LAY_TRY(status);
        at += length + 1;
    }
    return LAY_OK;
}

static int by_id(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static enum lay_status refuse_repeats(const struct reader *reader, struct lay_err *err)
{
    const struct lay_journal *journal = reader->journal;
    enum lay_status status = LAY_OK;
    if (journal->count == 0)
        return lay_fail(err, LAY_ERR_INPUT, "%s: no lines to score", reader->options->file);
    int64_t *ids = lay_alloc(journal->count, sizeof *ids);
    if (!ids)
        return lay_no_memory(err, "generations");
    for (size_t i = 0; i < journal->count; i++)
        ids[i] = journal->entries[i].doc_id;
    qsort(ids, journal->count, sizeof *ids, by_id);
    for (size_t i = 1; i < journal->count && status == LAY_OK; i++)
        if (ids[i] == ids[i - 1])
            status = lay_fail(err, LAY_ERR_INPUT,
                              "%s: doc_id %lld stands on more than one line; every item may be answered once",
                              reader->options->file, (long long)ids[i]);
    lay_free(ids);
    return status;
}

/* --- the manifest --- */

static bool add_string(cJSON *object, const char *key, const char *text)
{
    return cJSON_AddStringToObject(object, key, text) != NULL;
}

static bool add_number(cJSON *object, const char *key, int64_t number)
{
    return cJSON_AddNumberToObject(object, key, (double)number) != NULL;
}

static bool add_object_to(cJSON *array, cJSON **object)
{
    *object = cJSON_CreateObject();
    return lay_json_add(array, NULL, *object);
}

static bool add_label_words(cJSON *object, const struct lay_generations_options *options)
{
    const struct lay_task *task = options->task;
    cJSON *words = cJSON_AddObjectToObject(object, "label_words");
    bool ok = words != NULL;
    for (size_t i = 0; i < task->n_labels && ok; i++)
        ok = add_string(words, task->labels[i], lay_prompt_target(options->prompts, task, task->labels[i]));
    return ok;
}

static bool add_task(cJSON *manifest, const struct lay_generations_options *options, const char *hash,
                     size_t count)
{
    cJSON *tasks = cJSON_AddArrayToObject(manifest, "tasks"), *task, *languages, *language;
    return tasks && add_object_to(tasks, &task) && add_string(task, "task", options->task->name) &&
           add_number(task, "version", options->task->version) &&
           (!options->prompts || !options->task->n_labels || add_label_words(task, options)) &&
           (languages = cJSON_AddArrayToObject(task, "languages")) != NULL &&
           add_object_to(languages, &language) && add_string(language, "language", options->language->iso) &&
           add_string(language, "file", lay_path_basename(options->file)) &&
           add_string(language, "layout", "generations") && add_string(language, "hash", hash) &&
           add_number(language, "n", (int64_t)count) && add_number(language, "total", (int64_t)count);
}

static bool fill_manifest(cJSON *manifest, const struct lay_generations_options *options, const char *name,
                          const char *hash, size_t count)
{
    cJSON *system, *source, *set = NULL;
    if (!add_string(manifest, "layeval", LAYEVAL_VERSION) ||
        !(system = cJSON_AddObjectToObject(manifest, "system")) || !add_string(system, "name", name) ||
        !add_string(system, "method", "generations") ||
        !(source = cJSON_AddObjectToObject(manifest, "generations")) ||
        !add_string(source, "file", lay_path_basename(options->file)) || !add_string(source, "hash", hash) ||
        !add_number(source, "lines", (int64_t)count))
        return false;
    if (options->prompts)
        set = cJSON_AddObjectToObject(manifest, "prompt_set");
    if (options->prompts && (!set || !add_string(set, "name", lay_prompt_set_name(options->prompts)) ||
                             !add_number(set, "version", lay_prompt_set_version(options->prompts)) ||
                             !add_string(set, "hash", lay_prompt_set_hash(options->prompts))))
        return false;
    return add_task(manifest, options, hash, count) &&
           add_string(manifest, "match", lay_match_name(options->match)) &&
           add_number(manifest, "strict_version", LAY_STRICT_VERSION);
}

static enum lay_status build_manifest(const struct lay_generations_options *options, const char *hash,
                                      size_t count, cJSON **manifest, struct lay_err *err)
{
    const char *base = lay_path_basename(options->file);
    const char *dot = strrchr(base, '.');
    char *name = options->name ? lay_strdup(options->name)
                               : lay_strndup(base, dot && dot > base ? (size_t)(dot - base) : strlen(base));
    *manifest = cJSON_CreateObject();
    const bool done = name && *manifest && fill_manifest(*manifest, options, name, hash, count);
    lay_free(name);
    return done ? LAY_OK : lay_no_memory(err, "the manifest");
}

enum lay_status lay_generations_read(const struct lay_generations_options *options,
                                     struct lay_journal *journal, cJSON **manifest, size_t *other_filters,
                                     struct lay_err *err)
{
    struct reader reader = {.options = options, .journal = journal};
    struct lay_file_map map = {0};
    char hash[LAY_HASH_HEX];
    enum lay_status status;
    *journal = (struct lay_journal){0};
    *manifest = NULL;
    LAY_TRY_GOTO(status, lay_file_map(options->file, &map, err), done);
    if (map.size > LAY_GENERATIONS_FILE_MAX)
        LAY_TRY_GOTO(status,
                     lay_fail(err, LAY_ERR_INPUT, "%s: %zu bytes are more than such a file may have",
                              options->file, map.size),
                     done);
    LAY_TRY_GOTO(status, read_lines(&reader, (const char *)map.data, map.size, err), done);
    LAY_TRY_GOTO(status, refuse_repeats(&reader, err), done);
    lay_hash_hex(lay_hash_bytes(map.data, map.size), hash);
    status = build_manifest(options, hash, journal->count, manifest, err);
done:
    lay_file_unmap(&map);
    lay_free(reader.filter);
    *other_filters = reader.other_filters;
    if (status != LAY_OK) {
        lay_journal_free(journal);
        cJSON_Delete(*manifest);
        *manifest = NULL;
    }
    return status;
}

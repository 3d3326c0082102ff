#include "tasks/prompt.h"

#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "tasks/template.h"

#include <string.h>
#include <strings.h>

#define MAX_NEW_TOKENS 65536
#define TRANSLATION "translation"
#define MAX_STOPS 32
#define MAX_LABELS 8

/* What one task's entry says; texts borrowed from the tree. */
struct entry {
    const struct lay_task *task; /* NULL: translation */
    const char *encoder, *prompt;
    const char *option, *separator;
    const cJSON *stops;
    const char *labels[MAX_LABELS];
    size_t n_labels;
};

/* Stop texts of one task in one language. Texts owned. */
struct stops {
    const struct lay_task *task;
    const struct lay_language *language;
    char *texts[MAX_STOPS];
    size_t count;
};

struct lay_prompt_set {
    char *path;
    cJSON *tree;
    const char *name, *about;
    int64_t version, max_new_tokens;
    char hash[LAY_HASH_HEX];
    const cJSON *question_words, *label_words;
    struct entry *entries;
    size_t n_entries, capacity;
    struct stops *stops;
    size_t n_stops, stops_capacity;
};

static const char *const math_names[] = {"question", "question_word", "language", NULL};
static const char *const choice_names[] = {"stem", "options", "language", NULL};
static const char *const label_names[] = {"sentence1", "sentence2", "language", NULL};
static const char *const translation_names[] = {"source", "source language", "target language", NULL};
static const char *const option_names[] = {"label", "text", NULL};
static const char *const stop_names[] = {"question_word", NULL};

static const char *const *names_of(const struct lay_task *task)
{
    static const char *const *const by_kind[] = {
        [LAY_TASK_MATH] = math_names, [LAY_TASK_CHOICE] = choice_names, [LAY_TASK_LABEL] = label_names};
    return task ? by_kind[task->kind] : translation_names;
}

static const char *question_word(const struct lay_prompt_set *set, const struct lay_language *language)
{
    const cJSON *word = cJSON_GetObjectItemCaseSensitive(set->question_words, language->iso);
    return word ? word->valuestring : NULL;
}

/* An optional object member whose values are all strings that are not empty. */
static enum lay_status string_map(const cJSON *object, const char *where, const char *key, const cJSON **map,
                                  struct lay_err *err)
{
    *map = cJSON_GetObjectItemCaseSensitive(object, key);
    if (*map && !cJSON_IsObject(*map))
        return lay_fail(err, LAY_ERR_INPUT, "%s: \"%s\" must be an object", where, key);
    for (const cJSON *item = *map ? (*map)->child : NULL; item; item = item->next)
        if (!cJSON_IsString(item) || !*item->valuestring)
            return lay_fail(err, LAY_ERR_INPUT, "%s: \"%s\" in \"%s\" must be a string that is not empty",
                            where, item->string, key);
    return LAY_OK;
}

static enum lay_status read_question_words(struct lay_prompt_set *set, struct lay_err *err)
{
    LAY_TRY(string_map(set->tree, set->path, "question_words", &set->question_words, err));
    for (const cJSON *item = set->question_words ? set->question_words->child : NULL; item;
         item = item->next) {
        const struct lay_language *language = lay_language_find(item->string);
        if (!language || strcmp(language->iso, item->string) != 0)
            return lay_fail(err, LAY_ERR_INPUT,
                            "%s: \"%s\" in \"question_words\" is no ISO code of a language", set->path,
                            item->string);
    }
    return LAY_OK;
}

/* label_words must name every label of the task, each with a word of its own. */
static enum lay_status read_label_words(const struct lay_prompt_set *set, struct entry *entry,
                                        struct lay_err *err)
{
    const struct lay_task *task = entry->task;
    const cJSON *map = NULL;
    if (set->label_words)
        LAY_TRY(string_map(set->label_words, set->path, task->name, &map, err));
    if (task->n_labels > MAX_LABELS)
        return lay_fail(err, LAY_ERR_INTERNAL, "%s has more than %d labels", task->name, MAX_LABELS);
    for (size_t i = 0; i < task->n_labels; i++) {
        const cJSON *word = map ? cJSON_GetObjectItemCaseSensitive(map, task->labels[i]) : NULL;
        if (map && !word)
            return lay_fail(err, LAY_ERR_INPUT, "%s: \"label_words\" of %s has no word for \"%s\"", set->path,
                            task->name, task->labels[i]);
        entry->labels[i] = word ? word->valuestring : task->labels[i];
        for (size_t j = 0; j < i; j++)
            if (strcasecmp(entry->labels[i], entry->labels[j]) == 0)
                return lay_fail(err, LAY_ERR_INPUT, "%s: two labels of %s are called \"%s\"", set->path,
                                task->name, entry->labels[i]);
    }
    entry->n_labels = task->n_labels;
    if (map && (size_t)cJSON_GetArraySize(map) != task->n_labels)
        return lay_fail(err, LAY_ERR_INPUT,
                        "%s: \"label_words\" of %s names labels that the task does not have", set->path,
                        task->name);
    return LAY_OK;
}

static enum lay_status check_label_tasks(const struct lay_prompt_set *set, struct lay_err *err)
{
    for (const cJSON *item = set->label_words ? set->label_words->child : NULL; item; item = item->next) {
        const struct lay_task *task;
        if (lay_task_find(item->string, &task, NULL) != LAY_OK || task->n_labels == 0)
            return lay_fail(err, LAY_ERR_INPUT, "%s: \"%s\" in \"label_words\" is no task with labels",
                            set->path, item->string);
    }
    return LAY_OK;
}

/* An optional template: NULL when null or absent. */
static enum lay_status read_template(const cJSON *object, const char *where, const char *key,
                                     const char *const *names, const char **template, struct lay_err *err)
{
    LAY_TRY(lay_json_get_string(object, where, key, template, err));
    return *template ? lay_template_check(*template, names, where, err) : LAY_OK;
}

static enum lay_status check_stops(const cJSON *stops, const char *where, bool math, struct lay_err *err)
{
    if (!stops)
        return LAY_OK;
    if (!cJSON_IsArray(stops) || cJSON_GetArraySize(stops) > MAX_STOPS)
        return lay_fail(err, LAY_ERR_INPUT, "%s: \"stops\" must be a list of at most %d texts", where,
                        MAX_STOPS);
    for (const cJSON *item = stops->child; item; item = item->next) {
        if (!cJSON_IsString(item) || !*item->valuestring)
            return lay_fail(err, LAY_ERR_INPUT, "%s: every one of the \"stops\" must be a text", where);
        LAY_TRY(lay_template_check(item->valuestring, math ? stop_names : stop_names + 1, where, err));
    }
    return LAY_OK;
}

static enum lay_status read_entry(const struct lay_prompt_set *set, const cJSON *object, const char *where,
                                  struct entry *entry, struct lay_err *err)
{
    static const char *const task_keys[] = {"encoder", "prompt", "stops", NULL};
    static const char *const choice_keys[] = {"encoder", "prompt",           "stops",
                                              "option",  "option_separator", NULL};
    static const char *const translation_keys[] = {"prompt", NULL};
    const struct lay_task *task = entry->task;
    const char *const *names = names_of(task);
    const bool choice = task && task->kind == LAY_TASK_CHOICE;
    if (!cJSON_IsObject(object))
        return lay_fail(err, LAY_ERR_INPUT, "%s: must be an object", where);
    LAY_TRY(lay_json_only_keys(object, where,
                               choice ? choice_keys
                               : task ? task_keys
                                      : translation_keys,
                               err));
    LAY_TRY(read_template(object, where, "encoder", names, &entry->encoder, err));
    LAY_TRY(read_template(object, where, "prompt", names, &entry->prompt, err));
    if (!entry->encoder && !entry->prompt)
        return lay_fail(err, LAY_ERR_INPUT, "%s: \"encoder\" or \"prompt\" must say something", where);
    entry->option = "{label}. {text}";
    entry->separator = "\t";
    LAY_TRY(read_template(object, where, "option", option_names, &entry->option, err));
    LAY_TRY(lay_json_get_string(object, where, "option_separator", &entry->separator, err));
    entry->stops = cJSON_GetObjectItemCaseSensitive(object, "stops");
    LAY_TRY(check_stops(entry->stops, where, task && task->kind == LAY_TASK_MATH, err));
    return task ? read_label_words(set, entry, err) : LAY_OK;
}

static enum lay_status read_entries(struct lay_prompt_set *set, struct lay_err *err)
{
    const cJSON *tasks = cJSON_GetObjectItemCaseSensitive(set->tree, "tasks");
    if (!cJSON_IsObject(tasks) || !tasks->child)
        return lay_fail(err, LAY_ERR_INPUT, "%s: \"tasks\" must be an object with a task in it", set->path);
    for (const cJSON *item = tasks->child; item; item = item->next) {
        struct entry entry = {0};
        struct lay_str where = {0};
        enum lay_status status = LAY_OK;
        if (strcmp(item->string, TRANSLATION) != 0)
            status = lay_task_find(item->string, &entry.task, err);
        if (status != LAY_OK)
            return lay_fail(err, LAY_ERR_INPUT, "%s: \"tasks\" holds \"%s\", which is no task", set->path,
                            item->string);
        lay_str_printf(&where, "%s: %s", set->path, item->string);
        status = read_entry(set, item, lay_str_text(&where), &entry, err);
        lay_str_free(&where);
        LAY_TRY(status);
        if (!lay_grow((void **)&set->entries, &set->capacity, set->n_entries + 1, sizeof *set->entries))
            return lay_no_memory(err, "a prompt set");
        set->entries[set->n_entries++] = entry;
    }
    return LAY_OK;
}

/* The stop texts of a task in a language. One that needs a question word the language does not have is left
 * out here: lay_prompt_render refuses such a language before anything is generated. */
static enum lay_status fill_stops(const struct lay_prompt_set *set, const struct entry *entry,
                                  struct stops *stops, struct lay_err *err)
{
    const char *word = question_word(set, stops->language);
    const struct lay_template_value values[] = {{"question_word", word}};
    for (const cJSON *item = entry->stops->child; item; item = item->next) {
        struct lay_str text = {0};
        if (!word && lay_template_uses(item->valuestring, "question_word"))
            continue;
        const enum lay_status status =
            lay_template_render(item->valuestring, values, 1, set->path, &text, err);
        char *taken = lay_str_take(&text);
        if (status != LAY_OK || !taken) {
            lay_free(taken);
            return status != LAY_OK ? status : lay_no_memory(err, "a prompt set");
        }
        stops->texts[stops->count++] = taken;
    }
    return LAY_OK;
}

static enum lay_status build_stops(struct lay_prompt_set *set, struct lay_err *err)
{
    for (size_t e = 0; e < set->n_entries; e++) {
        const struct entry *entry = &set->entries[e];
        for (size_t i = 0; entry->stops && entry->task && i < lay_language_count(); i++) {
            const struct lay_language *language = lay_language_at(i);
            if (!lay_language_in(language, entry->task->name))
                continue;
            if (!lay_grow((void **)&set->stops, &set->stops_capacity, set->n_stops + 1, sizeof *set->stops))
                return lay_no_memory(err, "a prompt set");
            set->stops[set->n_stops] = (struct stops){.task = entry->task, .language = language};
            LAY_TRY(fill_stops(set, entry, &set->stops[set->n_stops++], err));
        }
    }
    return LAY_OK;
}

static enum lay_status read_set(struct lay_prompt_set *set, struct lay_err *err)
{
    static const char *const keys[] = {"name",           "version",     "about", "max_new_tokens",
                                       "question_words", "label_words", "tasks", NULL};
    LAY_TRY(lay_json_read(set->path, &set->tree, err));
    if (!cJSON_IsObject(set->tree))
        return lay_fail(err, LAY_ERR_INPUT, "%s: a prompt set must be a JSON object", set->path);
    LAY_TRY(lay_hash_file(set->path, set->hash, err));
    LAY_TRY(lay_json_only_keys(set->tree, set->path, keys, err));
    LAY_TRY(lay_json_get_string(set->tree, set->path, "name", &set->name, err));
    LAY_TRY(lay_json_get_string(set->tree, set->path, "about", &set->about, err));
    LAY_TRY(lay_json_get_int(set->tree, set->path, "version", &set->version, err));
    LAY_TRY(lay_json_get_int(set->tree, set->path, "max_new_tokens", &set->max_new_tokens, err));
    if (!set->name || !*set->name)
        return lay_json_missing(set->path, "name", err);
    if (set->version < 1 || set->version > 1000000)
        return lay_fail(err, LAY_ERR_INPUT, "%s: \"version\" must be a whole number from 1 on", set->path);
    if (set->max_new_tokens < 0 || set->max_new_tokens > MAX_NEW_TOKENS)
        return lay_fail(err, LAY_ERR_INPUT, "%s: \"max_new_tokens\" must lie between 1 and %d", set->path,
                        MAX_NEW_TOKENS);
    set->label_words = cJSON_GetObjectItemCaseSensitive(set->tree, "label_words");
    if (set->label_words && !cJSON_IsObject(set->label_words))
        return lay_fail(err, LAY_ERR_INPUT, "%s: \"label_words\" must be an object", set->path);
    LAY_TRY(read_question_words(set, err));
    LAY_TRY(check_label_tasks(set, err));
    LAY_TRY(read_entries(set, err));
    return build_stops(set, err);
}

static char *path_of(const char *data_dir, const char *name)
{
    const size_t length = strlen(name);
    if (strchr(name, '/') || (length > 5 && strcmp(name + length - 5, ".json") == 0))
        return lay_strdup(name);
    struct lay_str relative = {0};
    lay_str_printf(&relative, "prompts/%s.json", name);
    char *file = lay_str_take(&relative);
    char *path = file ? lay_path_join(data_dir ? data_dir : lay_data_dir(), file) : NULL;
    lay_free(file);
    return path;
}

enum lay_status lay_prompt_set_open(const char *data_dir, const char *name, struct lay_prompt_set **out,
                                    struct lay_err *err)
{
    *out = NULL;
    struct lay_prompt_set *set = lay_alloc(1, sizeof *set);
    if (set)
        set->path = path_of(data_dir, name);
    if (!set || !set->path) {
        lay_free(set);
        return lay_no_memory(err, "a prompt set");
    }
    enum lay_status status = LAY_OK;
    if (!lay_path_exists(set->path))
        status =
            lay_fail(err, LAY_ERR_INPUT,
                     "prompt set \"%s\": %s does not exist; `layeval tasks` lists the prompt sets there are",
                     name, set->path);
    else
        status = read_set(set, err);
    if (status != LAY_OK) {
        lay_prompt_set_close(set);
        return status;
    }
    *out = set;
    return LAY_OK;
}

void lay_prompt_set_close(struct lay_prompt_set *set)
{
    if (!set)
        return;
    for (size_t i = 0; i < set->n_stops; i++)
        for (size_t j = 0; j < set->stops[i].count; j++)
            lay_free(set->stops[i].texts[j]);
    lay_free(set->stops);
    lay_free(set->entries);
    cJSON_Delete(set->tree);
    lay_free(set->path);
    lay_free(set);
}

const char *lay_prompt_set_name(const struct lay_prompt_set *set)
{
    return set->name;
}

int lay_prompt_set_version(const struct lay_prompt_set *set)
{
    return (int)set->version;
}

const char *lay_prompt_set_hash(const struct lay_prompt_set *set)
{
    return set->hash;
}

const char *lay_prompt_set_about(const struct lay_prompt_set *set)
{
    return set->about ? set->about : "";
}

int64_t lay_prompt_max_new_tokens(const struct lay_prompt_set *set)
{
    return set->max_new_tokens;
}

static const struct entry *entry_of(const struct lay_prompt_set *set, const struct lay_task *task)
{
    for (size_t i = 0; i < set->n_entries; i++)
        if (set->entries[i].task == task)
            return &set->entries[i];
    return NULL;
}

bool lay_prompt_covers(const struct lay_prompt_set *set, const struct lay_task *task)
{
    return entry_of(set, task) != NULL;
}

bool lay_prompt_has_encoder(const struct lay_prompt_set *set, const struct lay_task *task)
{
    const struct entry *entry = entry_of(set, task);
    return entry && entry->encoder;
}

static enum lay_status render_options(const struct entry *entry, const struct lay_sample *sample,
                                      const char *where, struct lay_str *options, struct lay_err *err)
{
    for (size_t i = 0; i < sample->n_choices; i++) {
        const char label[] = {(char)('A' + i), 0};
        const struct lay_template_value values[] = {{"label", label}, {"text", sample->choices[i]}};
        if (i > 0)
            lay_str_puts(options, entry->separator);
        LAY_TRY(lay_template_render(entry->option, values, 2, where, options, err));
    }
    return lay_str_check(options, err);
}

static bool needs_question_word(const struct entry *entry)
{
    for (const cJSON *item = entry->stops ? entry->stops->child : NULL; item; item = item->next)
        if (lay_template_uses(item->valuestring, "question_word"))
            return true;
    return false;
}

enum lay_status lay_prompt_render(const struct lay_prompt_set *set, const struct lay_task *task,
                                  const struct lay_language *language, const struct lay_sample *sample,
                                  struct lay_str *encoder_text, struct lay_str *prompt, bool *has_prompt,
                                  struct lay_err *err)
{
    const struct entry *entry = entry_of(set, task);
    const char *word = question_word(set, language);
    struct lay_str options = {0};
    if (!entry)
        return lay_fail(err, LAY_ERR_INPUT,
                        "%s: prompt set %s has nothing for the task %s; choose another set", set->path,
                        set->name, task->name);
    if (!word && needs_question_word(entry))
        return lay_fail(err, LAY_ERR_INPUT, "%s: \"question_words\" has none for %s, which %s needs",
                        set->path, language->iso, task->name);
    *has_prompt = entry->prompt != NULL;
    enum lay_status status = render_options(entry, sample, set->path, &options, err);
    const struct lay_template_value values[] = {
        {"question", sample->question},      {"question_word", word},
        {"language", language->name},        {"stem", sample->question},
        {"options", lay_str_text(&options)}, {"sentence1", sample->question},
        {"sentence2", sample->second},
    };
    const size_t count = sizeof values / sizeof *values;
    if (status == LAY_OK && entry->encoder)
        status = lay_template_render(entry->encoder, values, count, set->path, encoder_text, err);
    if (status == LAY_OK && entry->prompt)
        status = lay_template_render(entry->prompt, values, count, set->path, prompt, err);
    lay_str_free(&options);
    return status;
}

enum lay_status lay_prompt_translation(const struct lay_prompt_set *set, const char *source,
                                       const char *source_language, const char *target_language,
                                       struct lay_str *prompt, struct lay_err *err)
{
    const struct entry *entry = entry_of(set, NULL);
    const struct lay_template_value values[] = {
        {"source", source}, {"source language", source_language}, {"target language", target_language}};
    if (!entry)
        return lay_fail(err, LAY_ERR_INPUT, "%s: prompt set %s has no translation prompt", set->path,
                        set->name);
    return lay_template_render(entry->prompt, values, 3, set->path, prompt, err);
}

const char *const *lay_prompt_stops(const struct lay_prompt_set *set, const struct lay_task *task,
                                    const struct lay_language *language, size_t *count)
{
    for (size_t i = 0; i < set->n_stops; i++)
        if (set->stops[i].task == task && set->stops[i].language == language) {
            *count = set->stops[i].count;
            return (const char *const *)set->stops[i].texts;
        }
    *count = 0;
    return NULL;
}

const char *const *lay_prompt_labels(const struct lay_prompt_set *set, const struct lay_task *task,
                                     size_t *count)
{
    const struct entry *entry = entry_of(set, task);
    *count = entry ? entry->n_labels : task->n_labels;
    return entry ? entry->labels : task->labels;
}

const char *lay_prompt_target(const struct lay_prompt_set *set, const struct lay_task *task,
                              const char *target)
{
    const cJSON *map = cJSON_GetObjectItemCaseSensitive(set->label_words, task->name);
    for (const cJSON *item = map ? map->child : NULL; item; item = item->next)
        if (strcasecmp(item->string, target) == 0)
            return item->valuestring;
    return target;
}

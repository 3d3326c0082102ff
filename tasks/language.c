#include "tasks/language.h"

#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/base/mem.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define MAX_LANGUAGES 64

static struct lay_language languages[MAX_LANGUAGES];
static size_t n_languages;
static cJSON *tree; /* answer markers point into it */

static enum lay_status copy_word(char *to, size_t size, const cJSON *object, const char *where,
                                 const char *key, struct lay_err *err)
{
    const char *text = NULL;
    LAY_TRY(lay_json_get_string(object, where, key, &text, err));
    if (!text || !*text)
        return lay_json_missing(where, key, err);
    if (strlen(text) >= size)
        return lay_fail(err, LAY_ERR_INPUT, "%s: \"%s\" is longer than %zu bytes", where, key, size - 1);
    memcpy(to, text, strlen(text) + 1);
    return LAY_OK;
}

static enum lay_status string_array(const cJSON *object, const char *where, const char *key,
                                    const cJSON **array, struct lay_err *err)
{
    *array = cJSON_GetObjectItemCaseSensitive(object, key);
    if (!cJSON_IsArray(*array))
        return lay_fail(err, LAY_ERR_INPUT, "%s: \"%s\" must be a list of strings", where, key);
    for (const cJSON *item = (*array)->child; item; item = item->next)
        if (!cJSON_IsString(item))
            return lay_fail(err, LAY_ERR_INPUT, "%s: \"%s\" must be a list of strings", where, key);
    return LAY_OK;
}

static enum lay_status read_language(const cJSON *object, const char *where, struct lay_language *language,
                                     struct lay_err *err)
{
    static const char *const keys[] = {"iso",           "name",          "nllb",           "aliases",
                                       "right_to_left", "dot_thousands", "answer_markers", NULL};
    const cJSON *aliases, *markers;
    if (!cJSON_IsObject(object))
        return lay_fail(err, LAY_ERR_INPUT, "%s: every language must be an object", where);
    LAY_TRY(lay_json_only_keys(object, where, keys, err));
    LAY_TRY(copy_word(language->iso, sizeof language->iso, object, where, "iso", err));
    LAY_TRY(copy_word(language->name, sizeof language->name, object, where, "name", err));
    LAY_TRY(copy_word(language->nllb, sizeof language->nllb, object, where, "nllb", err));
    LAY_TRY(lay_json_get_bool(object, where, "right_to_left", &language->right_to_left, err));
    LAY_TRY(lay_json_get_bool(object, where, "dot_thousands", &language->dot_thousands, err));
    LAY_TRY(string_array(object, where, "aliases", &aliases, err));
    LAY_TRY(string_array(object, where, "answer_markers", &markers, err));
    if (cJSON_GetArraySize(aliases) > 1 || cJSON_GetArraySize(markers) > LAY_LANGUAGE_MAX_WORDS)
        return lay_fail(err, LAY_ERR_INPUT, "%s: %s has more than 1 alias or %d answer markers", where,
                        language->iso, LAY_LANGUAGE_MAX_WORDS);
    if (aliases->child)
        snprintf(language->alias, sizeof language->alias, "%.7s", aliases->child->valuestring);
    for (const cJSON *item = markers->child; item; item = item->next)
        language->answer_markers[language->n_answer_markers++] = item->valuestring;
    return LAY_OK;
}

static struct lay_language *find(const char *name)
{
    for (size_t i = 0; i < n_languages; i++)
        if (strcasecmp(name, languages[i].iso) == 0 || strcasecmp(name, languages[i].name) == 0 ||
            (languages[i].alias[0] && strcasecmp(name, languages[i].alias) == 0))
            return &languages[i];
    return NULL;
}

/* The entry of a language for a task, made when it is not there yet. */
static struct lay_language_task *place(struct lay_language *language, const char *task)
{
    for (size_t i = 0; i < language->n_tasks; i++)
        if (strcmp(language->tasks[i].task, task) == 0)
            return &language->tasks[i];
    if (language->n_tasks == LAY_LANGUAGE_MAX_TASKS)
        return NULL;
    struct lay_language_task *entry = &language->tasks[language->n_tasks++];
    *entry = (struct lay_language_task){.printed = -1, .official = -1};
    snprintf(entry->task, sizeof entry->task, "%s", task);
    return entry;
}

enum what { PRINTED, OFFICIAL, LOW, HIGH, OFF };

static void note(struct lay_language_task *entry, enum what what, int index)
{
    switch (what) {
    case PRINTED:
        entry->printed = index;
        break;
    case OFFICIAL:
        entry->official = index;
        break;
    case LOW:
        entry->resource = LAY_RESOURCE_LOW;
        break;
    case HIGH:
        entry->resource = LAY_RESOURCE_HIGH;
        break;
    case OFF:
        break;
    }
}

static enum lay_status read_task(const cJSON *object, const char *where, struct lay_err *err)
{
    static const char *const keys[] = {"printed", "official", "low", "high", "off_by_default", NULL};
    const char *task = object->string;
    if (strlen(task) >= sizeof((struct lay_language_task *)0)->task)
        return lay_fail(err, LAY_ERR_INPUT, "%s: task name \"%s\" is too long", where, task);
    LAY_TRY(lay_json_only_keys(object, where, keys, err));
    for (enum what what = PRINTED; what <= OFF; what++) {
        const cJSON *list = cJSON_GetObjectItemCaseSensitive(object, keys[what]);
        int index = 0;
        if (what == OFFICIAL && cJSON_IsNull(list))
            continue;
        LAY_TRY(string_array(object, where, keys[what], &list, err));
        for (const cJSON *item = list->child; item; item = item->next) {
            struct lay_language *language = find(item->valuestring);
            struct lay_language_task *entry = language ? place(language, task) : NULL;
            if (!entry)
                return lay_fail(err, LAY_ERR_INPUT, "%s: %s of %s names the unknown language \"%s\"", where,
                                keys[what], task, item->valuestring);
            note(entry, what, index++);
        }
    }
    return LAY_OK;
}

static enum lay_status read_table(const char *where, struct lay_err *err)
{
    static const char *const keys[] = {"about", "tasks", "languages", NULL};
    LAY_TRY(lay_json_only_keys(tree, where, keys, err));
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(tree, "languages");
    const cJSON *tasks = cJSON_GetObjectItemCaseSensitive(tree, "tasks");
    if (!cJSON_IsArray(list) || !cJSON_IsObject(tasks))
        return lay_fail(err, LAY_ERR_INPUT, "%s: \"languages\" must be a list and \"tasks\" an object",
                        where);
    for (const cJSON *item = list->child; item; item = item->next) {
        if (n_languages == MAX_LANGUAGES)
            return lay_fail(err, LAY_ERR_INPUT, "%s: more than %d languages", where, MAX_LANGUAGES);
        LAY_TRY(read_language(item, where, &languages[n_languages], err));
        if (find(languages[n_languages].iso) || find(languages[n_languages].name))
            return lay_fail(err, LAY_ERR_INPUT, "%s: language %s stands twice", where,
                            languages[n_languages].iso);
        n_languages++;
    }
    for (const cJSON *item = tasks->child; item; item = item->next)
        LAY_TRY(read_task(item, where, err));
    return LAY_OK;
}

enum lay_status lay_languages_load(const char *data_dir, struct lay_err *err)
{
    if (tree)
        return LAY_OK;
    char *path = lay_path_join(data_dir ? data_dir : lay_data_dir(), "languages.json");
    if (!path)
        return lay_no_memory(err, "a path");
    enum lay_status status = lay_json_read(path, &tree, err);
    if (status != LAY_OK)
        status = lay_err_context(err, status, "the data directory (set LAYEVAL_DATA to where it is)");
    else
        status = read_table(path, err);
    if (status != LAY_OK) {
        cJSON_Delete(tree);
        tree = NULL;
        memset(languages, 0, sizeof languages);
        n_languages = 0;
    }
    lay_free(path);
    return status;
}

size_t lay_language_count(void)
{
    return n_languages;
}

const struct lay_language *lay_language_at(size_t index)
{
    return index < n_languages ? &languages[index] : NULL;
}

const struct lay_language *lay_language_find(const char *name)
{
    return find(name);
}

const struct lay_language_task *lay_language_in(const struct lay_language *language, const char *task)
{
    for (size_t i = 0; i < language->n_tasks; i++)
        if (strcmp(language->tasks[i].task, task) == 0)
            return &language->tasks[i];
    return NULL;
}

size_t lay_languages_of(const char *task, bool all, const struct lay_language **list, size_t max)
{
    size_t count = 0;
    for (int want = 0; want < MAX_LANGUAGES; want++)
        for (size_t i = 0; i < n_languages; i++) {
            const struct lay_language_task *entry = lay_language_in(&languages[i], task);
            if (entry && entry->printed == want && count++ < max)
                list[count - 1] = &languages[i];
        }
    for (size_t i = 0; all && i < n_languages; i++) {
        const struct lay_language_task *entry = lay_language_in(&languages[i], task);
        if (entry && entry->printed < 0 && count++ < max)
            list[count - 1] = &languages[i];
    }
    return count;
}

/* X-CSQA: commonsense questions with five options in 16 languages. The papers report on dev. */
#include "tasks/dataset.h"

#include "engine/base/mem.h"

#include <string.h>
#include <strings.h>

#define MAX_CHOICES 5
#define NO_KEY "test.jsonl has no answerKey and cannot be scored; use dev.jsonl, on which the papers report"

static enum lay_status check_choice(const struct lay_source *source, const cJSON *choice, size_t index,
                                    struct lay_err *err)
{
    const cJSON *label = cJSON_GetObjectItemCaseSensitive(choice, "label");
    const cJSON *text = cJSON_GetObjectItemCaseSensitive(choice, "text");
    if (!cJSON_IsString(label) || !cJSON_IsString(text))
        return lay_source_fail(source, err, "choice %zu must have the strings \"label\" and \"text\"",
                               index + 1);
    if (label->valuestring[0] != (char)('A' + index) || label->valuestring[1])
        return lay_source_fail(source, err, "choice %zu is labelled \"%.20s\" instead of \"%c\"", index + 1,
                               label->valuestring, (char)('A' + index));
    return LAY_OK;
}

static enum lay_status check_choices(const struct lay_source *source, const cJSON *choices, size_t *count,
                                     struct lay_err *err)
{
    *count = 0;
    if (!cJSON_IsArray(choices))
        return lay_source_fail(source, err, "\"question\" must hold a list \"choices\"");
    for (const cJSON *choice = choices->child; choice; choice = choice->next) {
        if (*count == MAX_CHOICES)
            return lay_source_fail(source, err, "more than %d choices", MAX_CHOICES);
        LAY_TRY(check_choice(source, choice, (*count)++, err));
    }
    if (*count < 2)
        return lay_source_fail(source, err, "%zu choices; there must be at least 2", *count);
    return LAY_OK;
}

static enum lay_status check_language(const struct lay_source *source, const cJSON *item, struct lay_err *err)
{
    const cJSON *lang = cJSON_GetObjectItemCaseSensitive(item, "lang");
    if (!lang)
        return LAY_OK;
    if (!cJSON_IsString(lang) || lay_language_find(lang->valuestring) != source->dataset->language)
        return lay_source_fail(source, err, "\"lang\" is \"%.20s\", but the file is the one of %s",
                               cJSON_IsString(lang) ? lang->valuestring : "?",
                               source->dataset->language->iso);
    return LAY_OK;
}

static enum lay_status check_key(const struct lay_source *source, const cJSON *item, size_t n_choices,
                                 struct lay_err *err)
{
    const char *key;
    if (!cJSON_GetObjectItemCaseSensitive(item, "answerKey"))
        return lay_source_fail(source, err, "the key \"answerKey\" is missing; " NO_KEY);
    LAY_TRY(lay_source_string(source, item, "answerKey", &key, err));
    if (key[0] < 'A' || (size_t)(key[0] - 'A') >= n_choices || key[1])
        return lay_source_fail(source, err, "answerKey \"%.20s\" is none of the labels A to %c", key,
                               (char)('A' + n_choices - 1));
    return LAY_OK;
}

static enum lay_status copy_choices(struct lay_sample *sample, const cJSON *choices, size_t count,
                                    struct lay_err *err)
{
    sample->choices = lay_alloc(count, sizeof *sample->choices);
    if (!sample->choices)
        return lay_no_memory(err, "data items");
    for (const cJSON *choice = choices->child; choice; choice = choice->next) {
        const cJSON *text = cJSON_GetObjectItemCaseSensitive(choice, "text");
        sample->choices[sample->n_choices] = lay_strdup(text->valuestring);
        if (!sample->choices[sample->n_choices++])
            return lay_no_memory(err, "data items");
    }
    return LAY_OK;
}

/* Takes item. */
static enum lay_status add_item(struct lay_source *source, cJSON *item, struct lay_err *err)
{
    const cJSON *question = cJSON_GetObjectItemCaseSensitive(item, "question");
    const cJSON *choices = cJSON_GetObjectItemCaseSensitive(question, "choices");
    const char *stem = NULL;
    size_t count = 0;
    enum lay_status status =
        cJSON_IsObject(question) ? LAY_OK : lay_source_fail(source, err, "\"question\" must be an object");
    if (status == LAY_OK)
        status = lay_source_string(source, question, "stem", &stem, err);
    if (status == LAY_OK)
        status = check_choices(source, choices, &count, err);
    if (status == LAY_OK)
        status = check_key(source, item, count, err);
    if (status == LAY_OK)
        status = check_language(source, item, err);
    if (status != LAY_OK) {
        cJSON_Delete(item);
        return status;
    }
    const cJSON *key = cJSON_GetObjectItemCaseSensitive(item, "answerKey");
    LAY_TRY(lay_source_add(source, lay_line_of(stem), NULL, lay_line_of(key->valuestring), item, err));
    return copy_choices(&source->dataset->samples[source->dataset->count - 1], choices, count, err);
}

static enum lay_status read_jsonl(struct lay_source *source, struct lay_err *err)
{
    for (;;) {
        cJSON *item;
        LAY_TRY(lay_source_next_object(source, &item, err));
        if (!item)
            return LAY_OK;
        LAY_TRY(add_item(source, item, err));
    }
}

static const struct lay_layout layouts[] = {
    {"jsonl", "{iso}/dev.jsonl",
     "JSON lines {\"id\", \"lang\", \"question\": {\"stem\", \"choices\"}, \"answerKey\"}; ja/ or jap/",
     read_jsonl},
};

const struct lay_task lay_task_xcsqa = {
    .name = "x-csqa",
    .title = "X-CSQA",
    .version = 1,
    .kind = LAY_TASK_CHOICE,
    .layouts = layouts,
    .n_layouts = sizeof layouts / sizeof *layouts,
    .download = "https://inklab.usc.edu/XCSR/ (xcsr_datasets.zip, folder X-CSQA)",
    .unusable = "{iso}/test.jsonl",
    .unusable_why = NO_KEY,
    .max_choices = MAX_CHOICES,
};

/* results.json as a reference: ours, or that of lm-evaluation-harness 0.4. */
#include "engine/base/json.h"
#include "harness/gate/reference.h"
#include "reports/accuracy.h"
#include "tasks/language.h"
#include "tasks/task.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { NAME_MAX_BYTES = 512 };

struct reading {
    const struct lay_reference_options *options;
    struct lay_reference *reference;
};

static const cJSON *member_of(const cJSON *object, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

/* --- ours --- */

/* "layalign/mgsm_bn" of the system layalign is "mgsm_bn": files over several systems have the name in front.
 */
static const char *without_prefix(const char *name, const char *system)
{
    const size_t length = strlen(system);
    return strncmp(name, system, length) == 0 && name[length] == '/' ? name + length + 1 : name;
}

/* "mgsm_bn" is the task mgsm, when bn is the language. */
static bool split_name(const char *name, const char *language, char task[NAME_MAX_BYTES])
{
    const size_t length = strlen(name), tail = strlen(language);
    if (length >= NAME_MAX_BYTES || length < tail + 2 || name[length - tail - 1] != '_' ||
        strcmp(name + length - tail, language) != 0)
        return false;
    snprintf(task, NAME_MAX_BYTES, "%.*s", (int)(length - tail - 1), name);
    return true;
}

static enum lay_status read_figure(const struct reading *reading, const cJSON *item,
                                   struct lay_reference_entry *entry, struct lay_err *err)
{
    const char *key = reading->options->scorer == LAY_SCORER_PAPER ? "accuracy_paper" : "accuracy_strict";
    LAY_TRY(lay_json_get_double(item, reading->options->path, key, &entry->accuracy, err));
    LAY_TRY(lay_json_get_int(item, reading->options->path, "n", &entry->n, err));
    return lay_reference_add(reading->reference, reading->options, entry, err);
}

static enum lay_status read_language(const struct reading *reading, const char *system, const cJSON *item,
                                     struct lay_err *err)
{
    char task[NAME_MAX_BYTES];
    struct lay_reference_entry entry = {.system = system, .label = system, .accuracy = NAN};
    LAY_TRY(lay_json_get_string(item, reading->options->path, "language", &entry.language, err));
    if (!entry.language || !split_name(without_prefix(item->string, system), entry.language, task))
        return lay_fail(err, LAY_ERR_INPUT, "%s: layeval: \"%s\" does not end in its language",
                        reading->options->path, item->string);
    entry.task = task;
    return read_figure(reading, item, &entry, err);
}

static enum lay_status join_languages(const char *path, const cJSON *list, struct lay_str *over,
                                      struct lay_err *err)
{
    const cJSON *language;
    cJSON_ArrayForEach(language, list)
    {
        const char *iso = cJSON_GetStringValue(language);
        if (!iso)
            return lay_fail(err, LAY_ERR_INPUT, "%s: layeval: \"languages\" must be names", path);
        lay_str_printf(over, "%s%s", over->length ? "+" : "", iso);
    }
    return lay_str_check(over, err);
}

/* "mgsm" is the average over all, "mgsm_lrl" and "mgsm_hrl" the others. */
static enum lay_status read_average(const struct reading *reading, const char *system, const cJSON *item,
                                    struct lay_err *err)
{
    char task[NAME_MAX_BYTES];
    struct lay_str over = {0};
    const char *name = without_prefix(item->string, system);
    struct lay_reference_entry entry = {
        .system = system, .label = system, .language = "avg", .task = name, .accuracy = NAN};
    for (enum lay_set set = LAY_SET_LRL; set <= LAY_SET_HRL; set++)
        if (split_name(name, lay_set_name(set), task)) {
            entry.language = lay_set_name(set);
            entry.task = task;
        }
    enum lay_status status = join_languages(reading->options->path, member_of(item, "languages"), &over, err);
    entry.over = lay_str_text(&over);
    if (status == LAY_OK)
        status = read_figure(reading, item, &entry, err);
    lay_str_free(&over);
    return status;
}

static enum lay_status read_ours(const struct reading *reading, const cJSON *systems, struct lay_err *err)
{
    const cJSON *system, *item;
    cJSON_ArrayForEach(system, systems)
    {
        cJSON_ArrayForEach(item, member_of(system, "tasks"))
            LAY_TRY(read_language(reading, system->string, item, err));
        cJSON_ArrayForEach(item, member_of(system, "averages"))
            LAY_TRY(read_average(reading, system->string, item, err));
    }
    return LAY_OK;
}

/* --- lm-evaluation-harness --- */

/* What follows our name at the beginning of theirs; NULL if it does not stand there. A hyphen may be an
 * underscore or left out: xcsqa, x_csqa and x-csqa. */
static const char *behind_name(const char *theirs, const char *ours)
{
    for (; *ours; ours++) {
        if (*ours != '-' && tolower((unsigned char)*theirs) != *ours)
            return NULL;
        theirs += *ours != '-' || *theirs == '-' || *theirs == '_';
    }
    return theirs;
}

/* The task an entry's name begins with; *rest, which begins with an underscore, is what follows. */
static const struct lay_task *task_of(const char *name, const char **rest)
{
    for (size_t i = 0; i < lay_task_count(); i++) {
        *rest = behind_name(name, lay_task_at(i)->name);
        if (*rest && **rest == '_')
            return lay_task_at(i);
    }
    return NULL;
}

/* The language of "_direct_bn", "_bn" or "_bn_direct": the last part if that is one, else the first. */
static const struct lay_language *language_of(const char *rest, const struct lay_task *task)
{
    char first[sizeof((struct lay_language *)NULL)->iso];
    const char *last = strrchr(rest, '_') + 1;
    const struct lay_language *language = lay_language_find(last);
    if (language && lay_language_in(language, task->name))
        return language;
    snprintf(first, sizeof first, "%.*s", (int)strcspn(rest + 1, "_"), rest + 1);
    language = lay_language_find(first);
    return language && lay_language_in(language, task->name) ? language : NULL;
}

/* Accuracies among "metric,filter" keys. */
static bool is_accuracy(const cJSON *metric)
{
    return cJSON_IsNumber(metric) && metric->string &&
           (strncmp(metric->string, "acc,", 4) == 0 || strncmp(metric->string, "exact_match,", 12) == 0);
}

/* Every accuracy of an entry is a figure of its own; the labels "mgsm_direct_bn exact_match,flexible-extract"
 * tell them apart. */
static enum lay_status read_metrics(const struct reading *reading, const cJSON *item, const cJSON *sizes,
                                    struct lay_err *err)
{
    const char *rest;
    const struct lay_task *task = item->string ? task_of(item->string, &rest) : NULL;
    const struct lay_language *language = task ? language_of(rest, task) : NULL;
    struct lay_reference_entry entry = {.system = ""};
    const cJSON *metric;
    if (!language) {
        reading->reference->foreign++;
        return LAY_OK;
    }
    entry.task = task->name;
    entry.language = language->iso;
    LAY_TRY(
        lay_json_get_int(member_of(sizes, item->string), reading->options->path, "effective", &entry.n, err));
    cJSON_ArrayForEach(metric, item)
    {
        char label[NAME_MAX_BYTES];
        if (!is_accuracy(metric))
            continue;
        snprintf(label, sizeof label, "%.255s %.255s", item->string, metric->string);
        entry.label = label;
        entry.accuracy = lay_round(100 * metric->valuedouble, 2);
        LAY_TRY(lay_reference_add(reading->reference, reading->options, &entry, err));
    }
    return LAY_OK;
}

enum lay_status lay_reference_read_json(const struct lay_reference_options *options,
                                        struct lay_reference *reference, struct lay_err *err)
{
    const struct reading reading = {options, reference};
    cJSON *root;
    LAY_TRY(lay_json_read(options->path, &root, err));
    enum lay_status status = LAY_OK;
    const cJSON *systems = member_of(member_of(root, "layeval"), "systems");
    const cJSON *results = member_of(root, "results"), *item;
    if (cJSON_IsObject(systems))
        status = read_ours(&reading, systems, err);
    else if (!cJSON_IsObject(results))
        status =
            lay_fail(err, LAY_ERR_INPUT,
                     "%s: neither a results.json of layeval nor one of lm-evaluation-harness: there is no "
                     "object \"results\"",
                     options->path);
    else
        for (item = results->child; item && status == LAY_OK; item = item->next)
            status = read_metrics(&reading, item, member_of(root, "n-samples"), err);
    cJSON_Delete(root);
    return status;
}

/* layeval tasks: benchmarks, their languages, file layouts and prompt sets. */
#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/base/mem.h"
#include "harness/command.h"
#include "harness/options.h"
#include "harness/output.h"
#include "tasks/dataset.h"
#include "tasks/prompt.h"
#include "tasks/score.h"

#include <stdio.h>
#include <string.h>

#define MAX_LANGUAGES 64
#define MAX_SETS 64

static const struct lay_usage usage = {
    .command = "tasks",
    .synopsis = "[--task NAME] [--json]",
    .description =
        "Lists the benchmarks: languages in the papers' order and their groups, versions, the layouts of\n"
        "data files that are read, where the data can be had, and the prompt sets that cover them.",
    .examples = "  layeval tasks\n"
                "  layeval tasks --task mgsm\n"
                "  layeval tasks --json",
};

struct sets {
    struct lay_prompt_set *list[MAX_SETS];
    size_t count;
};

static void close_sets(struct sets *sets)
{
    for (size_t i = 0; i < sets->count; i++)
        lay_prompt_set_close(sets->list[i]);
    sets->count = 0;
}

/* Opens every set of the data directory. */
static enum lay_status open_sets(struct sets *sets, struct lay_err *err)
{
    struct lay_dir dir;
    char *folder = lay_path_join(lay_data_dir(), "prompts");
    if (!folder)
        return lay_no_memory(err, "a path");
    enum lay_status status = lay_dir_list(folder, &dir, err);
    for (size_t i = 0; status == LAY_OK && i < dir.count && sets->count < MAX_SETS; i++) {
        const size_t length = strlen(dir.names[i]);
        if (length <= 5 || strcmp(dir.names[i] + length - 5, ".json") != 0)
            continue;
        char *path = lay_path_join(folder, dir.names[i]);
        status = path ? lay_prompt_set_open(NULL, path, &sets->list[sets->count], err)
                      : lay_no_memory(err, "a path");
        sets->count += status == LAY_OK;
        lay_free(path);
    }
    lay_dir_free(&dir);
    lay_free(folder);
    return status;
}

static const char *kind_name(enum lay_task_kind kind)
{
    static const char *const names[] = {[LAY_TASK_MATH] = "a number",
                                        [LAY_TASK_CHOICE] = "an option letter",
                                        [LAY_TASK_LABEL] = "a label word"};
    return names[kind];
}

static const char *group_name(enum lay_resource resource)
{
    static const char *const names[] = {
        [LAY_RESOURCE_NONE] = "", [LAY_RESOURCE_LOW] = "low", [LAY_RESOURCE_HIGH] = "high"};
    return names[resource];
}

/* --- text --- */

static void print_languages(const struct lay_task *task)
{
    const struct lay_language *list[MAX_LANGUAGES];
    const size_t count = lay_languages_of(task->name, true, list, MAX_LANGUAGES);
    printf("  languages    ");
    for (size_t i = 0; i < count; i++) {
        const struct lay_language_task *place = lay_language_in(list[i], task->name);
        const char *group = group_name(place->resource);
        printf("%s%s %s",
               i == 0       ? ""
               : i % 6 == 0 ? ",\n               "
                            : ", ",
               list[i]->iso, list[i]->name);
        if (*group || place->printed < 0)
            printf(" (%s)", place->printed < 0 ? "off by default" : group);
    }
    putchar('\n');
}

static void print_averages(const struct lay_task *task)
{
    const struct lay_language *list[MAX_LANGUAGES];
    const size_t count = lay_languages_of(task->name, false, list, MAX_LANGUAGES);
    size_t low = 0;
    for (size_t i = 0; i < count; i++)
        low += lay_language_in(list[i], task->name)->resource == LAY_RESOURCE_LOW;
    if (low > 0)
        printf("  averages     Lrl. (%zu low), Hrl. (%zu high), Avg. (all %zu)\n", low, count - low, count);
    else
        printf("  averages     Avg. (all %zu)\n", count);
}

static void print_task(const struct lay_task *task, const struct sets *sets)
{
    printf("%s: --task %s, version %d, the answer is %s\n", task->title, task->name, task->version,
           kind_name(task->kind));
    print_languages(task);
    print_averages(task);
    for (size_t i = 0; i < task->n_layouts; i++)
        printf("  %-13s%-8s%-20s %s\n", i == 0 ? "layouts" : "", task->layouts[i].name,
               task->layouts[i].pattern, task->layouts[i].about);
    printf("  download     %s\n               or: data/fetch.sh %s\n  prompt sets ", task->download,
           task->name);
    for (size_t i = 0; i < sets->count; i++)
        if (lay_prompt_covers(sets->list[i], task))
            printf(" %s", lay_prompt_set_name(sets->list[i]));
    printf("\n\n");
}

static void print_sets(const struct sets *sets)
{
    printf("Prompt sets (%s/prompts):\n", lay_data_dir());
    for (size_t i = 0; i < sets->count; i++)
        printf("  %-20s version %d  %s\n", lay_prompt_set_name(sets->list[i]),
               lay_prompt_set_version(sets->list[i]), lay_prompt_set_about(sets->list[i]));
    printf("\nScorers: paper (as the official code), strict version %d.\n", LAY_STRICT_VERSION);
}

/* --- JSON --- */

static bool put(cJSON *object, const char *key, const char *text)
{
    return cJSON_AddStringToObject(object, key, text) != NULL;
}

static bool put_number(cJSON *object, const char *key, double number)
{
    return cJSON_AddNumberToObject(object, key, number) != NULL;
}

/* A new object at the end of the list; NULL when memory is exhausted. */
static cJSON *append(cJSON *list)
{
    cJSON *object = list ? cJSON_CreateObject() : NULL;
    return lay_json_add(list, NULL, object) ? object : NULL;
}

static bool put_languages(cJSON *object, const struct lay_task *task)
{
    const struct lay_language *list[MAX_LANGUAGES];
    const size_t count = lay_languages_of(task->name, true, list, MAX_LANGUAGES);
    cJSON *languages = cJSON_AddArrayToObject(object, "languages");
    bool ok = languages != NULL;
    for (size_t i = 0; ok && i < count; i++) {
        const struct lay_language_task *place = lay_language_in(list[i], task->name);
        cJSON *language = append(languages);
        ok = language && put(language, "iso", list[i]->iso) && put(language, "name", list[i]->name) &&
             put(language, "nllb", list[i]->nllb) && put(language, "group", group_name(place->resource)) &&
             cJSON_AddBoolToObject(language, "default", place->printed >= 0) &&
             cJSON_AddBoolToObject(language, "right_to_left", list[i]->right_to_left);
        if (ok && place->official >= 0)
            ok = put_number(language, "official_order", place->official);
    }
    return ok;
}

static bool put_layouts(cJSON *object, const struct lay_task *task)
{
    cJSON *layouts = cJSON_AddArrayToObject(object, "layouts");
    bool ok = layouts != NULL;
    for (size_t i = 0; ok && i < task->n_layouts; i++) {
        cJSON *layout = append(layouts);
        ok = layout && put(layout, "name", task->layouts[i].name) &&
             put(layout, "files", task->layouts[i].pattern) && put(layout, "about", task->layouts[i].about);
    }
    return ok;
}

static bool put_task(cJSON *tasks, const struct lay_task *task, const struct sets *sets)
{
    cJSON *object = append(tasks);
    bool ok = object && put(object, "name", task->name) && put(object, "title", task->title) &&
              put_number(object, "version", task->version) && put(object, "answer", kind_name(task->kind)) &&
              put(object, "download", task->download) && put_languages(object, task) &&
              put_layouts(object, task);
    cJSON *names = ok ? cJSON_AddArrayToObject(object, "prompt_sets") : NULL;
    ok = names != NULL;
    for (size_t i = 0; ok && i < sets->count; i++)
        if (lay_prompt_covers(sets->list[i], task))
            ok = lay_json_add(names, NULL, cJSON_CreateString(lay_prompt_set_name(sets->list[i])));
    return ok;
}

static bool put_sets(cJSON *root, const struct sets *sets)
{
    cJSON *list = cJSON_AddArrayToObject(root, "prompt_sets");
    bool ok = list != NULL;
    for (size_t i = 0; ok && i < sets->count; i++) {
        const struct lay_prompt_set *set = sets->list[i];
        cJSON *object = append(list);
        ok = object && put(object, "name", lay_prompt_set_name(set)) &&
             put_number(object, "version", lay_prompt_set_version(set)) &&
             put(object, "hash", lay_prompt_set_hash(set)) &&
             put_number(object, "max_new_tokens", (double)lay_prompt_max_new_tokens(set)) &&
             put(object, "about", lay_prompt_set_about(set));
    }
    return ok;
}

static enum lay_status print_json(const struct lay_task *const *tasks, size_t count, const struct sets *sets,
                                  struct lay_err *err)
{
    cJSON *root = cJSON_CreateObject();
    cJSON *list = root ? cJSON_AddArrayToObject(root, "tasks") : NULL;
    struct lay_str text = {0};
    bool ok = list != NULL;
    for (size_t i = 0; ok && i < count; i++)
        ok = put_task(list, tasks[i], sets);
    ok = ok && put_sets(root, sets) && put(root, "data_directory", lay_data_dir()) &&
         put_number(root, "strict_version", LAY_STRICT_VERSION);
    if (ok)
        lay_json_put(&text, root, 2);
    const enum lay_status status = ok ? lay_str_check(&text, err) : lay_no_memory(err, "the list of tasks");
    if (status == LAY_OK)
        puts(lay_str_text(&text));
    lay_str_free(&text);
    cJSON_Delete(root);
    return status;
}

/* --- the command --- */

static enum lay_status choose(const struct lay_option_list *names, const struct lay_task **tasks,
                              size_t *count, struct lay_err *err)
{
    *count = names->count ? names->count : lay_task_count();
    for (size_t i = 0; i < *count; i++) {
        if (names->count)
            LAY_TRY(lay_task_find(names->items[i], &tasks[i], err));
        else
            tasks[i] = lay_task_at(i);
    }
    return LAY_OK;
}

static enum lay_status list_tasks(const struct lay_option_list *names, bool json, struct lay_err *err)
{
    const struct lay_task *tasks[LAY_OPTION_LIST_MAX];
    struct sets sets = {0};
    size_t count;
    LAY_TRY(choose(names, tasks, &count, err));
    LAY_TRY(lay_languages_load(NULL, err));
    enum lay_status status = open_sets(&sets, err);
    if (status == LAY_OK && json) {
        status = print_json(tasks, count, &sets, err);
    } else if (status == LAY_OK) {
        for (size_t i = 0; i < count; i++)
            print_task(tasks[i], &sets);
        print_sets(&sets);
    }
    close_sets(&sets);
    return status == LAY_OK ? lay_output_flush("", err) : status;
}

int lay_cmd_tasks(int argc, char **argv)
{
    struct lay_option_list names = {0};
    struct lay_err err = {0};
    bool json = false, help = false;
    const struct lay_option options[] = {
        {"task", "tasks", LAY_OPTION_LIST, "NAME", "only these (default: all)", &names, 0, 0},
        {"json", NULL, LAY_OPTION_FLAG, NULL, "one JSON object", &json, 0, 0},
    };
    enum lay_status status =
        lay_options_parse(&usage, options, sizeof options / sizeof *options, argc, argv, NULL, &help, &err);
    if (status == LAY_OK && !help)
        status = list_tasks(&names, json, &err);
    lay_option_list_free(&names);
    return status == LAY_OK ? 0 : lay_report_error("tasks", &err);
}

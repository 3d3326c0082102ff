#include "harness/selection.h"

#include "engine/base/mem.h"
#include "tasks/language.h"
#include "tasks/task.h"

enum lay_status lay_chosen_resolve(const struct lay_option_list *tasks,
                                   const struct lay_option_list *languages, struct lay_chosen *chosen,
                                   struct lay_err *err)
{
    LAY_TRY(lay_languages_load(NULL, err));
    for (size_t i = 0; i < tasks->count; i++) {
        const struct lay_task *task;
        LAY_TRY(lay_task_find(tasks->items[i], &task, err));
        chosen->tasks[i] = task->name;
    }
    for (size_t i = 0; i < languages->count; i++) {
        const struct lay_language *language = lay_language_find(languages->items[i]);
        if (!language)
            return lay_fail(err, LAY_ERR_USAGE,
                            "--lang: unknown language \"%s\"; `layeval tasks` lists the languages",
                            languages->items[i]);
        chosen->languages[i] = language->iso;
    }
    chosen->selection = (struct lay_selection){.tasks = chosen->tasks,
                                               .n_tasks = tasks->count,
                                               .languages = chosen->languages,
                                               .n_languages = languages->count};
    return LAY_OK;
}

enum lay_status lay_views_create(const struct lay_system_result *results, size_t count,
                                 const struct lay_chosen *chosen, struct lay_system_result **views,
                                 struct lay_err *err)
{
    enum lay_status status = LAY_OK;
    size_t tasks = 0;
    *views = lay_alloc(count + 1, sizeof **views);
    if (!*views)
        return lay_no_memory(err, "a view of the results");
    for (size_t i = 0; i < count && status == LAY_OK; i++) {
        status = lay_view_create(&results[i], &chosen->selection, &(*views)[i], err);
        tasks += (*views)[i].count;
    }
    if (status == LAY_OK && tasks == 0)
        status = lay_fail(err, LAY_ERR_USAGE, "%s",
                          chosen->selection.n_tasks + chosen->selection.n_languages > 0
                              ? "--task, --lang: no run has any of these"
                              : "there is no task in these runs");
    if (status != LAY_OK) {
        lay_views_free(*views, count);
        *views = NULL;
    }
    return status;
}

void lay_views_free(struct lay_system_result *views, size_t count)
{
    for (size_t i = 0; views && i < count; i++)
        lay_view_free(&views[i]);
    lay_free(views);
}

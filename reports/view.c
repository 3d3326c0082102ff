#include "reports/view.h"

#include "engine/base/mem.h"

#include <string.h>

bool lay_selection_lists(const char *const *names, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return count == 0;
}

static enum lay_status narrow(const struct lay_task_result *task, const struct lay_selection *selection,
                              struct lay_task_result *part, struct lay_err *err)
{
    *part = *task;
    part->count = 0;
    part->cells = lay_alloc(task->count + 1, sizeof *part->cells);
    if (!part->cells)
        return lay_no_memory(err, "a view of the results");
    for (size_t i = 0; i < task->count; i++)
        if (lay_selection_lists(selection->languages, selection->n_languages, task->cells[i].language))
            part->cells[part->count++] = task->cells[i];
    return LAY_OK;
}

enum lay_status lay_view_create(const struct lay_system_result *result, const struct lay_selection *selection,
                                struct lay_system_result *view, struct lay_err *err)
{
    *view = *result;
    view->count = 0;
    view->tasks = lay_alloc(result->count + 1, sizeof *view->tasks);
    if (!view->tasks)
        return lay_no_memory(err, "a view of the results");
    for (size_t i = 0; i < result->count; i++) {
        struct lay_task_result *part = &view->tasks[view->count];
        if (!lay_selection_lists(selection->tasks, selection->n_tasks, result->tasks[i].task))
            continue;
        if (narrow(&result->tasks[i], selection, part, err) != LAY_OK) {
            lay_view_free(view);
            return LAY_ERR_MEMORY;
        }
        if (part->count > 0)
            view->count++;
        else
            lay_free(part->cells);
    }
    return LAY_OK;
}

void lay_view_free(struct lay_system_result *view)
{
    for (size_t i = 0; i < view->count; i++)
        lay_free(view->tasks[i].cells);
    lay_free(view->tasks);
    *view = (struct lay_system_result){0};
}

const struct lay_task_result *lay_task_of(const struct lay_system_result *system, const char *task)
{
    for (size_t i = 0; i < system->count; i++)
        if (strcmp(system->tasks[i].task, task) == 0)
            return &system->tasks[i];
    return NULL;
}

const struct lay_cell *lay_cell_of(const struct lay_task_result *task, const char *language)
{
    for (size_t i = 0; i < task->count; i++)
        if (strcmp(task->cells[i].language, language) == 0)
            return &task->cells[i];
    return NULL;
}

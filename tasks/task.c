#include "tasks/dataset.h"

#include <string.h>
#include <strings.h>

/* The table: a row here declares lay_task_NAME, which tasks/NAME.c defines. */
#define TASKS(ROW)                                                                                           \
    ROW(mgsm)                                                                                                \
    ROW(msvamp)                                                                                              \
    ROW(xcsqa)                                                                                               \
    ROW(xnli)

#define DECLARE(name) extern const struct lay_task lay_task_##name;
#define ADDRESS(name) &lay_task_##name,
TASKS(DECLARE)
static const struct lay_task *const tasks[] = {TASKS(ADDRESS)};
enum { N_TASKS = sizeof tasks / sizeof *tasks };

size_t lay_task_count(void)
{
    return N_TASKS;
}

const struct lay_task *lay_task_at(size_t index)
{
    return index < N_TASKS ? tasks[index] : NULL;
}

enum lay_status lay_task_find(const char *name, const struct lay_task **task, struct lay_err *err)
{
    struct lay_str names = {0};
    for (size_t i = 0; i < N_TASKS; i++) {
        if (strcasecmp(name, tasks[i]->name) == 0) {
            *task = tasks[i];
            lay_str_free(&names);
            return LAY_OK;
        }
        lay_str_printf(&names, "%s%s", i ? ", " : "", tasks[i]->name);
    }
    const enum lay_status status =
        lay_fail(err, LAY_ERR_USAGE, "no task is called \"%s\"; there are %s", name, lay_str_text(&names));
    lay_str_free(&names);
    return status;
}

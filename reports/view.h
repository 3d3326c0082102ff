/* A part of a run's results: chosen tasks and languages, as a result of its own. */
#ifndef LAY_REPORTS_VIEW_H
#define LAY_REPORTS_VIEW_H

#include "reports/record.h"

/* Names of tasks and ISO codes of languages; an empty list means all. Borrows the names. */
struct lay_selection {
    const char *const *tasks;
    size_t n_tasks;
    const char *const *languages;
    size_t n_languages;
};
/* Whether the name is chosen by one of these lists. */
bool lay_selection_lists(const char *const *names, size_t count, const char *name);

/* `view` has its own arrays of tasks and cells and borrows all else from `result`; averages made from it are
 * over the chosen languages. Tasks of which no language is chosen are left out. Free with lay_view_free, not
 * with lay_system_result_free. LAY_ERR_MEMORY only. */
enum lay_status lay_view_create(const struct lay_system_result *result, const struct lay_selection *selection,
                                struct lay_system_result *view, struct lay_err *err);
void lay_view_free(struct lay_system_result *view); /* accepts {0} */

/* NULL if there is none. */
const struct lay_task_result *lay_task_of(const struct lay_system_result *system, const char *task);
const struct lay_cell *lay_cell_of(const struct lay_task_result *task, const char *language);

#endif

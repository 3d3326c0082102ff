#include "reports/html/merge.h"

#include "engine/base/mem.h"
#include "reports/view.h"

#include <string.h>

/* Where each system stands in the cell that is being merged. */
struct cursor {
    const struct lay_cell *cell; /* NULL: the system does not have it */
    size_t at;
};

static bool same_text(const char *a, const char *b)
{
    return !a || !b || strcmp(a, b) == 0;
}

static bool same_item(const struct lay_record *a, const struct lay_record *b)
{
    return same_text(a->target, b->target) && same_text(a->question, b->question) &&
           same_text(a->doc, b->doc);
}

static const struct lay_record *next_record(const struct cursor *cursor)
{
    return cursor->cell && cursor->at < cursor->cell->count ? &cursor->cell->records[cursor->at] : NULL;
}

static const struct lay_record **add_row(struct lay_merged *merged)
{
    size_t needed;
    if (!lay_mul_size(merged->rows + 1, merged->systems, &needed) ||
        !lay_grow((void **)&merged->records, &merged->capacity, needed, sizeof(struct lay_record *)))
        return NULL;
    const struct lay_record **row = &merged->records[merged->rows++ * merged->systems];
    memset(row, 0, merged->systems * sizeof *row);
    return row;
}

/* The row from `first` on whose item is that of `record` and which has no answer of the system yet. */
static const struct lay_record **find_row(const struct lay_merged *merged, size_t first, size_t system,
                                          const struct lay_record *record)
{
    for (size_t r = first; r < merged->rows; r++) {
        const struct lay_record **row = &merged->records[r * merged->systems];
        bool same = !row[system];
        for (size_t s = 0; s < merged->systems && same; s++)
            same = !row[s] || same_item(row[s], record);
        if (same)
            return row;
    }
    return NULL;
}

/* Adds the rows of the smallest doc_id any cursor stands at; *more is false if there is none. */
static enum lay_status add_document(struct lay_merged *merged, struct cursor *cursors, bool *more,
                                    struct lay_err *err)
{
    const struct lay_record *lowest = NULL;
    for (size_t s = 0; s < merged->systems; s++) {
        const struct lay_record *record = next_record(&cursors[s]);
        if (record && (!lowest || record->doc_id < lowest->doc_id))
            lowest = record;
    }
    const size_t first = merged->rows;
    *more = lowest != NULL;
    for (size_t s = 0; lowest && s < merged->systems; s++) {
        const struct lay_record *record;
        while ((record = next_record(&cursors[s])) && record->doc_id == lowest->doc_id) {
            const struct lay_record **row = find_row(merged, first, s, record);
            row = row ? row : add_row(merged);
            if (!row)
                return lay_no_memory(err, "the samples of the report");
            row[s] = record;
            cursors[s].at++;
        }
    }
    return LAY_OK;
}

static enum lay_status add_cell(struct lay_merged *merged, const struct lay_system_result *systems,
                                struct cursor *cursors, const struct lay_task_result *task,
                                const struct lay_cell *cell, struct lay_err *err)
{
    const size_t first = merged->rows;
    for (size_t s = 0; s < merged->systems; s++) {
        const struct lay_task_result *own = lay_task_of(&systems[s], task->task);
        cursors[s] = (struct cursor){.cell = own ? lay_cell_of(own, cell->language) : NULL};
    }
    for (bool more = true; more;)
        LAY_TRY(add_document(merged, cursors, &more, err));
    merged->cells[merged->n_cells++] =
        (struct lay_merged_cell){.task = task, .cell = cell, .rows = merged->rows - first};
    return LAY_OK;
}

/* Whether an earlier system has the task, or the task's language. */
static bool seen_before(const struct lay_system_result *systems, size_t system, const char *task,
                        const char *language)
{
    for (size_t s = 0; s < system; s++) {
        const struct lay_task_result *own = lay_task_of(&systems[s], task);
        if (own && (!language || lay_cell_of(own, language)))
            return true;
    }
    return false;
}

/* All languages of a task, whichever system has them, in the order of the first that has them. */
static enum lay_status add_task(struct lay_merged *merged, const struct lay_system_result *systems,
                                size_t first, struct cursor *cursors, const char *name, struct lay_err *err)
{
    for (size_t s = first; s < merged->systems; s++) {
        const struct lay_task_result *task = lay_task_of(&systems[s], name);
        for (size_t i = 0; task && i < task->count; i++)
            if (!seen_before(systems, s, name, task->cells[i].language))
                LAY_TRY(add_cell(merged, systems, cursors, task, &task->cells[i], err));
    }
    return LAY_OK;
}

enum lay_status lay_merged_create(const struct lay_system_result *systems, size_t count,
                                  struct lay_merged *merged, struct lay_err *err)
{
    struct cursor *cursors = lay_alloc(count + 1, sizeof *cursors);
    enum lay_status status = LAY_OK;
    *merged = (struct lay_merged){.systems = count};
    merged->cells = lay_alloc(lay_results_cells(systems, count) + 1, sizeof *merged->cells);
    if (!cursors || !merged->cells)
        status = lay_no_memory(err, "the samples of the report");
    for (size_t s = 0; s < count && status == LAY_OK; s++)
        for (size_t t = 0; t < systems[s].count && status == LAY_OK; t++) {
            const char *name = systems[s].tasks[t].task;
            if (!seen_before(systems, s, name, NULL))
                status = add_task(merged, systems, s, cursors, name, err);
        }
    lay_free(cursors);
    return status;
}

void lay_merged_free(struct lay_merged *merged)
{
    lay_free(merged->records);
    lay_free(merged->cells);
    *merged = (struct lay_merged){0};
}

/* The samples of several systems side by side: one row per sample, whichever systems answered it. */
#ifndef LAY_REPORTS_HTML_MERGE_H
#define LAY_REPORTS_HTML_MERGE_H

#include "reports/record.h"

/* Consecutive rows of one task and language. */
struct lay_merged_cell {
    const struct lay_task_result *task; /* of the first system that has it */
    const struct lay_cell *cell;
    size_t rows;
};

struct lay_merged {
    size_t systems;
    const struct lay_record **records; /* [rows, systems]; NULL: the system did not answer it */
    size_t rows, capacity;
    struct lay_merged_cell *cells; /* tasks as they appear, languages in the papers' printed order */
    size_t n_cells;
};

/* Records with the same task, language, doc_id and the same item are one row; where the items differ (another
 * data file) there are several rows with one doc_id. Borrows everything from `systems`. Free with
 * lay_merged_free, also after a failure. LAY_ERR_MEMORY only. */
enum lay_status lay_merged_create(const struct lay_system_result *systems, size_t count,
                                  struct lay_merged *merged, struct lay_err *err);
void lay_merged_free(struct lay_merged *merged);

#endif

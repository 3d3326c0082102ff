/* What rows of a table of scores are called, and where published ones come from. */
#ifndef LAY_REPORTS_ROW_LABEL_H
#define LAY_REPORTS_ROW_LABEL_H

#include "reports/score_table.h"

/* Appends the row's name; that of a published row with model and encoder where another one of the table has
 * the same name. */
void lay_row_label_put(struct lay_str *out, const struct lay_score_table *table, size_t row);

/* Sources of published rows are numbered from 1 in the table's order; 0 for a system's own row. */
size_t lay_row_source(const struct lay_score_table *table, size_t row);
/* The source with that number; NULL behind the last. */
const char *lay_row_source_text(const struct lay_score_table *table, size_t number);

/* Whether one of the row's averages is over other languages than the papers'. */
bool lay_row_partial(const struct lay_score_table *table, size_t row);

#endif

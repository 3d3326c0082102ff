/* For a terminal: the table of reports/table.h with intervals, then differences. */
#include "reports/grid.h"
#include "reports/report/part.h"
#include "reports/row_label.h"
#include "reports/text.h"

#include <math.h>

static void add_differences(struct lay_grid *grid, const struct lay_score_table *table, size_t ours,
                            size_t published)
{
    struct lay_str label = {0};
    lay_str_printf(&label, "%s - ", table->rows[ours].name);
    lay_row_label_put(&label, table, published);
    lay_str_printf(&label, " [%zu]", lay_row_source(table, published));
    lay_grid_add_text(grid, lay_str_text(&label));
    grid->text.failed |= label.failed;
    lay_str_free(&label);
    for (size_t c = 0; c < table->n_columns; c++) {
        const struct lay_difference d =
            lay_report_difference(lay_score_at(table, ours, c), lay_score_at(table, published, c));
        if (isnan(d.points))
            lay_grid_add(grid, "-");
        else
            lay_grid_add(grid, "%+.1f%s", d.points, d.within ? "" : "*");
    }
}

static enum lay_status put_differences(void *context, const struct lay_report *report,
                                       const struct lay_score_table *table, struct lay_err *err)
{
    struct lay_str *out = context;
    struct lay_grid grid = {.columns = table->n_columns + 1};
    enum lay_status status = LAY_OK;
    (void)report;
    lay_grid_add(&grid, "%s, ours - published", table->title);
    for (size_t c = 0; c < table->n_columns; c++)
        lay_grid_add(&grid, "%s", table->columns[c].title);
    const size_t heading = grid.cells;
    for (size_t r = 0; r < table->n_rows; r++)
        for (size_t p = lay_report_next_published(table, r, r); p < table->n_rows;
             p = lay_report_next_published(table, r, p))
            add_differences(&grid, table, r, p);
    if (grid.cells > heading) {
        status = lay_grid_put(out, &grid, err);
        lay_str_puts(out, "* the published figure is outside the 95 % interval of ours\n\n");
    } else {
        lay_str_printf(out, "%s: no published row has the method of a run\n\n", table->title);
    }
    lay_grid_free(&grid);
    return status;
}

enum lay_status lay_report_put_terminal(struct lay_str *out, const struct lay_report *report,
                                        struct lay_err *err)
{
    struct lay_table_options options = report->terminal;
    options.intervals = true;
    options.baselines = report->baselines;
    if (report->heading)
        lay_str_printf(out, "%s\n\n", report->heading);
    LAY_TRY(lay_table_put(out, report->systems, report->count, &options, err));
    if (report->differences)
        LAY_TRY(lay_report_each_task(report, put_differences, out, err));
    return lay_str_check(out, err);
}

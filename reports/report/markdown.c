/* GitHub-flavoured Markdown: per task a table of scores, one of strict scores and intervals, one of counts.
 */
#include "reports/remarks.h"
#include "reports/report/part.h"
#include "reports/row_label.h"
#include "reports/text.h"

#include <math.h>
#include <string.h>

static void put_heading(struct lay_str *out, const char *first, const struct lay_score_table *table)
{
    lay_str_printf(out, "| %s |", first);
    for (size_t c = 0; c < table->n_columns; c++)
        lay_str_printf(out, " %s |", table->columns[c].title);
    lay_str_puts(out, "\n|---|");
    for (size_t c = 0; c < table->n_columns; c++)
        lay_str_puts(out, "---:|");
    lay_str_putc(out, '\n');
}

static void put_label(struct lay_str *out, const struct lay_score_table *table, size_t row)
{
    struct lay_str label = {0};
    lay_row_label_put(&label, table, row);
    lay_text_put_markdown(out, lay_str_text(&label));
    out->failed |= label.failed;
    lay_str_free(&label);
    if (table->rows[row].published)
        lay_str_printf(out, " (published<sup>%zu</sup>)", lay_row_source(table, row));
}

/* --- scores --- */

static void put_score(struct lay_str *out, const struct lay_score *score)
{
    static const char *const before[] = {"", "**", "<u>"}, *const after[] = {"", "**", "</u>"};
    lay_str_printf(out, " %s", before[score->place]);
    lay_score_put(out, score);
    lay_str_printf(out, "%s%s |", after[score->place], score->partial && !isnan(score->paper) ? "\\*" : "");
}

static void put_scores(struct lay_str *out, const struct lay_score_table *table)
{
    put_heading(out, "accuracy in %", table);
    for (size_t r = 0; r < table->n_rows; r++) {
        lay_str_puts(out, "| ");
        put_label(out, table, r);
        lay_str_puts(out, " |");
        for (size_t c = 0; c < table->n_columns; c++)
            put_score(out, lay_score_at(table, r, c));
        lay_str_putc(out, '\n');
    }
    lay_str_putc(out, '\n');
}

/* Strict scores and intervals: of our own rows only. */
static void put_details(struct lay_str *out, const struct lay_score_table *table)
{
    put_heading(out, "strict score; 95 % interval of the paper score", table);
    for (size_t r = 0; r < table->n_rows; r++) {
        if (table->rows[r].published)
            continue;
        lay_str_puts(out, "| ");
        put_label(out, table, r);
        lay_str_puts(out, " |");
        for (size_t c = 0; c < table->n_columns; c++) {
            const struct lay_score *score = lay_score_at(table, r, c);
            if (isnan(score->strict))
                lay_str_puts(out, " - |");
            else
                lay_str_printf(out, " %.1f; %.1f–%.1f |", score->strict, score->interval.low,
                               score->interval.high);
        }
        lay_str_putc(out, '\n');
    }
    lay_str_putc(out, '\n');
}

static void put_counts(struct lay_str *out, const struct lay_score_table *table)
{
    lay_str_puts(out, "| answers | all | scorers disagree | unparsed | cut off | truncated input | errors |\n"
                      "|---|---:|---:|---:|---:|---:|---:|\n");
    for (size_t r = 0; r < table->n_rows; r++) {
        if (!table->rows[r].task)
            continue;
        const struct lay_counts n = lay_task_counts(table->rows[r].task);
        const int64_t figures[] = {n.n, n.disagree, n.unparsed, n.ended_length, n.truncated, n.error};
        lay_str_puts(out, "| ");
        put_label(out, table, r);
        lay_str_puts(out, " |");
        for (size_t i = 0; i < sizeof figures / sizeof *figures; i++)
            lay_str_printf(out, " %lld |", (long long)figures[i]);
        lay_str_putc(out, '\n');
    }
    lay_str_putc(out, '\n');
}

/* --- below --- */

static enum lay_status put_notes(struct lay_str *out, const struct lay_score_table *table,
                                 struct lay_err *err)
{
    struct lay_str remarks = {0};
    const char *source;
    enum lay_status status = LAY_OK;
    bool partial = false;
    for (size_t r = 0; r < table->n_rows && status == LAY_OK; r++) {
        partial |= lay_row_partial(table, r);
        if (table->rows[r].task)
            status = lay_remarks_put(&remarks, table->rows[r].name, table->rows[r].task, err);
    }
    if (partial)
        lay_str_puts(out, "- \\* averaged over other languages than the papers'; not ranked\n");
    for (size_t n = 1; (source = lay_row_source_text(table, n)); n++) {
        lay_str_printf(out, "- <sup>%zu</sup> ", n);
        lay_text_put_markdown(out, source);
        lay_str_putc(out, '\n');
    }
    if (remarks.length)
        remarks.data[remarks.length - 1] = 0; /* the last newline */
    for (char *line = remarks.data; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
        struct lay_str one = {0};
        lay_str_append(&one, line, strcspn(line, "\n"));
        lay_str_puts(out, "- ");
        lay_text_put_markdown(out, lay_str_text(&one));
        lay_str_putc(out, '\n');
        out->failed |= one.failed;
        lay_str_free(&one);
    }
    lay_str_putc(out, '\n');
    lay_str_free(&remarks);
    return status;
}

static void put_difference_row(struct lay_str *out, const struct lay_score_table *table, size_t ours,
                               size_t published)
{
    lay_str_puts(out, "| ");
    put_label(out, table, ours);
    lay_str_puts(out, " − ");
    put_label(out, table, published);
    lay_str_puts(out, " |");
    for (size_t c = 0; c < table->n_columns; c++) {
        const struct lay_difference d =
            lay_report_difference(lay_score_at(table, ours, c), lay_score_at(table, published, c));
        if (isnan(d.points))
            lay_str_puts(out, " - |");
        else
            lay_str_printf(out, " %+.1f%s |", d.points, d.within ? "" : "†");
    }
    lay_str_putc(out, '\n');
}

static void put_differences(struct lay_str *out, const struct lay_score_table *table)
{
    put_heading(out, "ours − published, percentage points", table);
    for (size_t r = 0; r < table->n_rows; r++)
        for (size_t p = lay_report_next_published(table, r, r); p < table->n_rows;
             p = lay_report_next_published(table, r, p))
            put_difference_row(out, table, r, p);
    lay_str_puts(out, "\n- † the published figure is outside the 95 % interval of ours\n\n");
}

static enum lay_status put_task(void *context, const struct lay_report *report,
                                const struct lay_score_table *table, struct lay_err *err)
{
    struct lay_str *out = context;
    lay_str_puts(out, "## ");
    lay_text_put_markdown(out, table->title);
    lay_str_puts(out, "\n\n");
    put_scores(out, table);
    if (report->differences)
        put_differences(out, table);
    put_details(out, table);
    put_counts(out, table);
    return put_notes(out, table, err);
}

enum lay_status lay_report_put_markdown(struct lay_str *out, const struct lay_report *report,
                                        struct lay_err *err)
{
    lay_str_puts(out, "# ");
    lay_text_put_markdown(out, report->heading ? report->heading : "Results");
    lay_str_puts(out, "\n\n");
    LAY_TRY(lay_report_each_task(report, put_task, out, err));
    return lay_str_check(out, err);
}

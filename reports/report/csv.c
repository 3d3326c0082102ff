/* CSV, one line a figure: for spreadsheets and plots. With differences one line per figure of ours and
 * published row of the same method. */
#include "reports/report/part.h"
#include "reports/results_csv.h"

#include <math.h>
#include <string.h>

static void put_number(struct lay_str *out, double value, int decimals)
{
    lay_str_putc(out, ',');
    if (!isnan(value))
        lay_str_printf(out, "%.*f", decimals, value);
}

static enum lay_status put_texts(struct lay_str *out, const char *const *texts, size_t count,
                                 struct lay_err *err)
{
    for (size_t i = 0; i < count; i++) {
        lay_str_puts(out, i ? "," : "");
        LAY_TRY(lay_csv_field(out, texts[i], err));
    }
    return LAY_OK;
}

static void put_counts(struct lay_str *out, const struct lay_task_result *task,
                       const struct lay_score_column *column, const struct lay_average *average)
{
    struct lay_counts n = {0};
    for (size_t i = 0; i < task->count; i++)
        if (!column->average && strcmp(task->cells[i].language, column->key) == 0)
            n = lay_cell_counts(&task->cells[i]);
    if (column->average)
        n = average->counts;
    lay_str_printf(out, ",%lld,%lld,%lld,%lld,%lld,%lld", (long long)n.n, (long long)n.disagree,
                   (long long)n.unparsed, (long long)n.ended_length, (long long)n.truncated,
                   (long long)n.error);
}

static enum lay_status put_figure(struct lay_str *out, const struct lay_score_table *table, size_t r,
                                  size_t c, struct lay_err *err)
{
    const struct lay_score_row *row = &table->rows[r];
    const struct lay_score_column *column = &table->columns[c];
    const struct lay_score *score = lay_score_at(table, r, c);
    const struct lay_baseline *p = row->published;
    struct lay_average average = {0};
    if (isnan(score->paper))
        return LAY_OK;
    const char *const texts[] = {table->task,     row->name,           p ? p->method : row->system->method,
                                 p ? p->llm : "", p ? p->encoder : "", column->key};
    LAY_TRY(put_texts(out, texts, sizeof texts / sizeof *texts, err));
    put_number(out, score->paper, p || column->average ? score->decimals : 2);
    put_number(out, score->strict, column->average ? 1 : 2);
    put_number(out, score->interval.low, 2);
    put_number(out, score->interval.high, 2);
    if (column->average && row->task)
        LAY_TRY(lay_task_average(row->task, column->set, &average, err));
    if (row->task)
        put_counts(out, row->task, column, &average);
    else
        lay_str_puts(out, ",,,,,,");
    lay_str_printf(out, ",%d,%d,", score->place, score->partial);
    LAY_TRY(lay_csv_field(out, p ? p->source : "", err));
    lay_str_putc(out, '\n');
    return LAY_OK;
}

static enum lay_status put_figures(void *context, const struct lay_report *report,
                                   const struct lay_score_table *table, struct lay_err *err)
{
    (void)report;
    for (size_t r = 0; r < table->n_rows; r++)
        for (size_t c = 0; c < table->n_columns; c++)
            LAY_TRY(put_figure(context, table, r, c, err));
    return LAY_OK;
}

static enum lay_status put_difference(struct lay_str *out, const struct lay_score_table *table, size_t ours,
                                      size_t published, size_t c, struct lay_err *err)
{
    const struct lay_score *a = lay_score_at(table, ours, c), *b = lay_score_at(table, published, c);
    const struct lay_difference d = lay_report_difference(a, b);
    const char *const texts[] = {table->task, table->rows[ours].name, table->rows[published].name,
                                 table->columns[c].key};
    if (isnan(a->paper) || isnan(b->paper))
        return LAY_OK;
    LAY_TRY(put_texts(out, texts, sizeof texts / sizeof *texts, err));
    put_number(out, a->paper, table->columns[c].average ? 1 : 2);
    put_number(out, a->interval.low, 2);
    put_number(out, a->interval.high, 2);
    put_number(out, b->paper, b->decimals);
    put_number(out, d.points, 2);
    lay_str_printf(out, ",%s,", isnan(d.points) ? "" : d.within ? "1" : "0");
    LAY_TRY(lay_csv_field(out, table->rows[published].published->source, err));
    lay_str_putc(out, '\n');
    return LAY_OK;
}

static enum lay_status put_differences(void *context, const struct lay_report *report,
                                       const struct lay_score_table *table, struct lay_err *err)
{
    (void)report;
    for (size_t r = 0; r < table->n_rows; r++)
        for (size_t p = lay_report_next_published(table, r, r); p < table->n_rows;
             p = lay_report_next_published(table, r, p))
            for (size_t c = 0; c < table->n_columns; c++)
                LAY_TRY(put_difference(context, table, r, p, c, err));
    return LAY_OK;
}

enum lay_status lay_report_put_csv(struct lay_str *out, const struct lay_report *report, struct lay_err *err)
{
    lay_str_puts(out,
                 report->differences
                     ? "task,system,published,language,accuracy,ci_low,ci_high,published_accuracy,"
                       "difference,within_interval,source\n"
                     : "task,system,method,llm,encoder,language,accuracy,accuracy_strict,ci_low,ci_high,n,"
                       "disagree,unparsed,ended_length,truncated,error,place,partial,source\n");
    LAY_TRY(lay_report_each_task(report, report->differences ? put_differences : put_figures, out, err));
    return lay_str_check(out, err);
}

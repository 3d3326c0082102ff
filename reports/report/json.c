/* JSON: the tables as data, an object per task with columns, rows and, if asked for, differences. */
#include "reports/emit.h"
#include "reports/remarks.h"
#include "reports/report/part.h"

#include <math.h>

static void put_columns(struct lay_emit *emit, const struct lay_score_table *table)
{
    lay_emit_open(emit, "columns", '[');
    for (size_t c = 0; c < table->n_columns; c++) {
        lay_emit_open(emit, NULL, '{');
        lay_emit_string(emit, "key", table->columns[c].key);
        lay_emit_string(emit, "name", table->columns[c].name);
        lay_emit_bool(emit, "average", table->columns[c].average);
        lay_emit_close(emit, '}');
    }
    lay_emit_close(emit, ']');
}

static void put_counts(struct lay_emit *emit, const struct lay_task_result *task)
{
    const struct lay_counts n = lay_task_counts(task);
    lay_emit_open(emit, "counts", '{');
    lay_emit_int(emit, "n", n.n);
    lay_emit_int(emit, "disagree", n.disagree);
    lay_emit_int(emit, "unparsed", n.unparsed);
    lay_emit_int(emit, "ended_length", n.ended_length);
    lay_emit_int(emit, "truncated", n.truncated);
    lay_emit_int(emit, "error", n.error);
    lay_emit_close(emit, '}');
}

/* Members of figures that do not exist are left out. */
static void put_score(struct lay_emit *emit, const char *key, const struct lay_score *score)
{
    if (isnan(score->paper))
        return;
    lay_emit_open(emit, key, '{');
    lay_emit_double(emit, "accuracy", score->paper);
    if (!isnan(score->strict))
        lay_emit_double(emit, "accuracy_strict", score->strict);
    if (!isnan(score->interval.low)) {
        lay_emit_open(emit, "interval", '[');
        lay_emit_double(emit, NULL, score->interval.low);
        lay_emit_double(emit, NULL, score->interval.high);
        lay_emit_close(emit, ']');
    }
    lay_emit_int(emit, "place", score->place);
    lay_emit_bool(emit, "partial", score->partial);
    lay_emit_close(emit, '}');
}

static void put_row(struct lay_emit *emit, const struct lay_score_table *table, size_t r)
{
    const struct lay_score_row *row = &table->rows[r];
    lay_emit_open(emit, NULL, '{');
    lay_emit_string(emit, "name", row->name);
    lay_emit_string(emit, "method", row->published ? row->published->method : row->system->method);
    lay_emit_bool(emit, "published", row->published != NULL);
    if (row->published) {
        lay_emit_string(emit, "llm", row->published->llm);
        lay_emit_string(emit, "encoder", row->published->encoder);
        lay_emit_string(emit, "source", row->published->source);
    }
    lay_emit_open(emit, "scores", '{');
    for (size_t c = 0; c < table->n_columns; c++)
        put_score(emit, table->columns[c].key, lay_score_at(table, r, c));
    lay_emit_close(emit, '}');
    if (row->task)
        put_counts(emit, row->task);
    lay_emit_close(emit, '}');
}

static void put_difference(struct lay_emit *emit, const struct lay_score_table *table, size_t ours,
                           size_t published)
{
    lay_emit_open(emit, NULL, '{');
    lay_emit_string(emit, "system", table->rows[ours].name);
    lay_emit_string(emit, "published", table->rows[published].name);
    lay_emit_string(emit, "source", table->rows[published].published->source);
    lay_emit_open(emit, "points", '{');
    for (size_t c = 0; c < table->n_columns; c++) {
        const struct lay_difference d =
            lay_report_difference(lay_score_at(table, ours, c), lay_score_at(table, published, c));
        if (isnan(d.points))
            continue;
        lay_emit_open(emit, table->columns[c].key, '{');
        lay_emit_double(emit, "difference", lay_round(d.points, 2));
        lay_emit_bool(emit, "within_interval", d.within);
        lay_emit_close(emit, '}');
    }
    lay_emit_close(emit, '}');
    lay_emit_close(emit, '}');
}

static enum lay_status put_task(void *context, const struct lay_report *report,
                                const struct lay_score_table *table, struct lay_err *err)
{
    struct lay_emit *emit = context;
    lay_emit_open(emit, NULL, '{');
    lay_emit_string(emit, "task", table->task);
    lay_emit_string(emit, "title", table->title);
    put_columns(emit, table);
    lay_emit_open(emit, "rows", '[');
    for (size_t r = 0; r < table->n_rows; r++)
        put_row(emit, table, r);
    lay_emit_close(emit, ']');
    if (report->differences) {
        lay_emit_open(emit, "differences", '[');
        for (size_t r = 0; r < table->n_rows; r++)
            for (size_t p = lay_report_next_published(table, r, r); p < table->n_rows;
                 p = lay_report_next_published(table, r, p))
                put_difference(emit, table, r, p);
        lay_emit_close(emit, ']');
    }
    lay_emit_close(emit, '}');
    return lay_str_check(emit->out, err);
}

enum lay_status lay_report_put_json(struct lay_str *out, const struct lay_report *report, struct lay_err *err)
{
    struct lay_emit emit = {.out = out, .indent = 2};
    lay_emit_open(&emit, NULL, '{');
    lay_emit_string(&emit, "layeval", LAYEVAL_VERSION);
    lay_emit_string(&emit, "heading", report->heading);
    lay_emit_open(&emit, "tasks", '[');
    LAY_TRY(lay_report_each_task(report, put_task, &emit, err));
    lay_emit_close(&emit, ']');
    lay_emit_close(&emit, '}');
    lay_str_putc(out, '\n');
    return lay_str_check(out, err);
}

#include "engine/base/mem.h"
#include "reports/html.h"
#include "reports/report/part.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

const struct lay_report_format lay_report_formats[] = {
    {"terminal", NULL, NULL, lay_report_put_terminal},
    {"md", "markdown", "report.md", lay_report_put_markdown},
    {"latex", "tex", "table.tex", lay_report_put_latex},
    {"csv", NULL, NULL, lay_report_put_csv},
    {"json", NULL, NULL, lay_report_put_json},
    {"html", NULL, "report.html", lay_html_put},
    {"junit", NULL, "junit.xml", lay_report_put_junit},
};
const size_t lay_report_format_count = sizeof lay_report_formats / sizeof *lay_report_formats;

enum lay_status lay_report_format_find(const char *name, const char *option, bool in_directory,
                                       const struct lay_report_format **format, struct lay_err *err)
{
    char known[256] = "";
    for (size_t i = 0; i < lay_report_format_count; i++) {
        const struct lay_report_format *f = &lay_report_formats[i];
        if (in_directory && !f->file)
            continue;
        if (strcmp(name, f->name) == 0 || (f->alias && strcmp(name, f->alias) == 0)) {
            *format = f;
            return LAY_OK;
        }
        const size_t used = strlen(known);
        snprintf(known + used, sizeof known - used, "%s%s", used ? ", " : "", f->name);
    }
    return lay_fail(err, LAY_ERR_USAGE, "%s: \"%s\" is none of %s", option, name, known);
}

enum lay_status lay_report_each_task(const struct lay_report *report, lay_report_task_function *put,
                                     void *context, struct lay_err *err)
{
    size_t n_tasks;
    const char **tasks = lay_score_tasks(report->systems, report->count, &n_tasks);
    enum lay_status status = tasks ? LAY_OK : lay_no_memory(err, "a report");
    for (size_t t = 0; t < n_tasks && status == LAY_OK; t++) {
        struct lay_score_table table;
        status =
            lay_score_table_create(report->systems, report->count, report->baselines, tasks[t], &table, err);
        if (status == LAY_OK)
            status = put(context, report, &table, err);
        lay_score_table_free(&table);
    }
    lay_free(tasks);
    return status;
}

struct lay_difference lay_report_difference(const struct lay_score *ours, const struct lay_score *published)
{
    if (ours->partial || published->partial)
        return (struct lay_difference){.points = NAN};
    return (struct lay_difference){.points = ours->paper - published->paper,
                                   .within = published->paper >= ours->interval.low &&
                                             published->paper <= ours->interval.high};
}

bool lay_report_same_method(const struct lay_score_table *table, size_t ours, size_t published)
{
    const struct lay_score_row *a = &table->rows[ours], *b = &table->rows[published];
    return a->system && b->published && strcmp(a->system->method, b->published->method) == 0;
}

size_t lay_report_next_published(const struct lay_score_table *table, size_t ours, size_t after)
{
    size_t row = after + 1;
    while (row < table->n_rows && !lay_report_same_method(table, ours, row))
        row++;
    return row < table->n_rows ? row : table->n_rows;
}

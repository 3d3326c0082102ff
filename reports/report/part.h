/* What the formats of a report share. */
#ifndef LAY_REPORTS_REPORT_PART_H
#define LAY_REPORTS_REPORT_PART_H

#include "reports/report.h"
#include "reports/score_table.h"

/* The formats, one a file. */
enum lay_status lay_report_put_terminal(struct lay_str *out, const struct lay_report *report,
                                        struct lay_err *err);
enum lay_status lay_report_put_markdown(struct lay_str *out, const struct lay_report *report,
                                        struct lay_err *err);
enum lay_status lay_report_put_latex(struct lay_str *out, const struct lay_report *report,
                                     struct lay_err *err);
enum lay_status lay_report_put_csv(struct lay_str *out, const struct lay_report *report, struct lay_err *err);
enum lay_status lay_report_put_json(struct lay_str *out, const struct lay_report *report,
                                    struct lay_err *err);
enum lay_status lay_report_put_junit(struct lay_str *out, const struct lay_report *report,
                                     struct lay_err *err);

/* Calls `put` with the table of every task, in order. */
typedef enum lay_status lay_report_task_function(void *context, const struct lay_report *report,
                                                 const struct lay_score_table *table, struct lay_err *err);
enum lay_status lay_report_each_task(const struct lay_report *report, lay_report_task_function *put,
                                     void *context, struct lay_err *err);

/* One of our figures beside a published one. */
struct lay_difference {
    double points; /* ours minus published, percentage points; NaN: one is missing, or an average is over
                      other languages */
    bool within;   /* the published figure lies in the 95 % interval of ours */
};
struct lay_difference lay_report_difference(const struct lay_score *ours, const struct lay_score *published);

/* Whether row `ours` is a system and row `published` a published row of the same method. */
bool lay_report_same_method(const struct lay_score_table *table, size_t ours, size_t published);
/* The published row of the same method behind `after` (start with ours); n_rows when there is no more. */
size_t lay_report_next_published(const struct lay_score_table *table, size_t ours, size_t after);

#endif

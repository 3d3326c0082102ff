/* The sections of the page, each appending itself. Private to reports/html. */
#ifndef LAY_REPORTS_HTML_PART_H
#define LAY_REPORTS_HTML_PART_H

#include "reports/html.h"
#include "reports/markup.h"
#include "reports/score_table.h"

void lay_html_section_open(struct lay_str *out, const char *id, const char *title);
void lay_html_section_close(struct lay_str *out);

/* Something wider than the page may be, which then scrolls by itself and with the keyboard. */
void lay_html_scroll_open(struct lay_str *out, const char *label);
void lay_html_scroll_close(struct lay_str *out);

/* <th scope=col> and <th scope=row>; the text is escaped. */
void lay_html_column_put(struct lay_str *out, const char *text);
void lay_html_row_put(struct lay_str *out, const char *text);

/* scores.c: the table of a task, its chart, and the figures with their intervals. `index` makes ids unique.
 */
enum lay_status lay_html_scores_put(struct lay_str *out, const struct lay_score_table *table, size_t index,
                                    struct lay_err *err);
/* A figure: best and second best marked, † behind an average that is over other languages than the papers'.
 */
void lay_html_score_put(struct lay_str *out, const struct lay_score *score);
/* <th scope=row> with the row's name. */
void lay_html_label_put(struct lay_str *out, const struct lay_score_table *table, size_t row);
/* What † means, if the table has one. */
void lay_html_partial_note_put(struct lay_str *out, const struct lay_score_table *table);
/* difference.c: our figures minus those of published rows of the same method. */
void lay_html_differences_put(struct lay_str *out, const struct lay_score_table *table);
/* chart.c: bars of the columns [first, first + count). */
enum lay_status lay_html_chart_put(struct lay_str *out, const struct lay_score_table *table, const char *id,
                                   const char *title, size_t first, size_t count, struct lay_err *err);
/* summary.c */
enum lay_status lay_html_resources_put(struct lay_str *out, const struct lay_score_table *tables,
                                       size_t count, struct lay_err *err);
void lay_html_agreement_put(struct lay_str *out, const struct lay_report *report);
void lay_html_endings_put(struct lay_str *out, const struct lay_report *report);
/* training.c: the losses of the systems' bridges, if any system has them. */
bool lay_html_have_training(const struct lay_report *report);
enum lay_status lay_html_training_put(struct lay_str *out, const struct lay_report *report,
                                      struct lay_err *err);
/* figure.c */
void lay_html_figures_put(struct lay_str *out, const struct lay_html_figures *figures);
/* manifest.c */
enum lay_status lay_html_manifest_put(struct lay_str *out, const struct lay_report *report,
                                      struct lay_err *err);

#endif

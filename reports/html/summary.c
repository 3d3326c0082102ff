/* What the samples say together: low against high resource, paper against strict, what went wrong. */
#include "reports/html/part.h"
#include "reports/remarks.h"

#include <math.h>
#include <stdio.h>

/* The column of an average; n_columns if the task has none. */
static size_t column_of(const struct lay_score_table *table, enum lay_set set)
{
    size_t c = 0;
    while (c < table->n_columns && !(table->columns[c].average && table->columns[c].set == set))
        c++;
    return c;
}

static void put_average(struct lay_str *out, const struct lay_score *score)
{
    lay_str_puts(out, "<td>");
    lay_html_score_put(out, score);
    if (!isnan(score->interval.low))
        lay_str_printf(out, " (%.1f–%.1f)", score->interval.low, score->interval.high);
    lay_str_puts(out, "</td>");
}

static void put_resource_row(struct lay_str *out, const struct lay_score_table *table, size_t row, size_t low,
                             size_t high)
{
    const struct lay_score *of_low = lay_score_at(table, row, low), *of_high = lay_score_at(table, row, high);
    if (isnan(of_low->paper) || isnan(of_high->paper))
        return;
    lay_str_puts(out, table->rows[row].published ? "<tr class=\"published\">" : "<tr>");
    lay_html_label_put(out, table, row);
    put_average(out, of_low);
    put_average(out, of_high);
    lay_str_printf(out, "<td>%.1f</td></tr>\n", of_high->paper - of_low->paper);
}

static enum lay_status put_resources(struct lay_str *out, const struct lay_score_table *table, size_t index,
                                     struct lay_err *err)
{
    const size_t low = column_of(table, LAY_SET_LRL), high = column_of(table, LAY_SET_HRL);
    char id[32];
    struct lay_str title = {0};
    if (low == table->n_columns || high != low + 1)
        return LAY_OK;
    snprintf(id, sizeof id, "resources-%zu", index);
    lay_str_printf(&title, "%s, low- against high-resource languages", table->title);
    lay_html_scroll_open(out, lay_str_text(&title));
    lay_str_puts(out, "<table><caption>");
    lay_markup_text(out, table->title);
    lay_str_puts(out, "</caption><thead><tr>");
    static const char *const columns[] = {"System", "Lrl.", "Hrl.", "Hrl. − Lrl."};
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++)
        lay_html_column_put(out, columns[i]);
    lay_str_puts(out, "</tr></thead><tbody>\n");
    for (size_t r = 0; r < table->n_rows; r++)
        put_resource_row(out, table, r, low, high);
    lay_str_puts(out, "</tbody></table>\n");
    lay_html_scroll_close(out);
    lay_html_partial_note_put(out, table);
    enum lay_status status = lay_str_check(&title, err);
    if (status == LAY_OK)
        status = lay_html_chart_put(out, table, id, lay_str_text(&title), low, 2, err);
    lay_str_free(&title);
    return status;
}

enum lay_status lay_html_resources_put(struct lay_str *out, const struct lay_score_table *tables,
                                       size_t count, struct lay_err *err)
{
    lay_html_section_open(out, "resources", "Low- against high-resource languages");
    for (size_t i = 0; i < count; i++)
        LAY_TRY(put_resources(out, &tables[i], i, err));
    lay_html_section_close(out);
    return LAY_OK;
}

/* --- counts per system and task --------------------------------------------------------------------------
 */

/* A table with a row per system and task; `put` appends the cells behind those two. */
static void put_counts(struct lay_str *out, const struct lay_report *report, const char *label,
                       const char *const *columns, size_t n_columns,
                       void (*put)(struct lay_str *, const struct lay_counts *))
{
    lay_html_scroll_open(out, label);
    lay_str_puts(out, "<table><thead><tr>");
    lay_html_column_put(out, "System");
    lay_str_puts(out, "<th scope=\"col\" class=\"text\">Task</th>");
    for (size_t i = 0; i < n_columns; i++)
        lay_html_column_put(out, columns[i]);
    lay_str_puts(out, "</tr></thead><tbody>\n");
    for (size_t s = 0; s < report->count; s++)
        for (size_t t = 0; t < report->systems[s].count; t++) {
            const struct lay_task_result *task = &report->systems[s].tasks[t];
            const struct lay_counts counts = lay_task_counts(task);
            lay_str_puts(out, "<tr>");
            lay_html_row_put(out, report->systems[s].name);
            lay_str_puts(out, "<td class=\"text\">");
            lay_markup_text(out, task->title);
            lay_str_puts(out, "</td>");
            put(out, &counts);
            lay_str_puts(out, "</tr>\n");
        }
    lay_str_puts(out, "</tbody></table>\n");
    lay_html_scroll_close(out);
}

static void put_share(struct lay_str *out, int64_t part, int64_t whole)
{
    lay_str_printf(out, "<td>%lld", (long long)part);
    if (whole > 0 && part > 0)
        lay_str_printf(out, " (%.1f %%)", 100 * (double)part / (double)whole);
    lay_str_puts(out, "</td>");
}

/* Right by one score alone: their difference is that of the scores, their sum the disagreements. */
static void put_agreement(struct lay_str *out, const struct lay_counts *c)
{
    const int64_t paper_only = (c->disagree + c->correct_paper - c->correct_strict) / 2;
    const int64_t strict_only = c->disagree - paper_only, scored = c->n - c->error;
    const int64_t both = c->correct_paper - paper_only;
    put_share(out, scored - c->disagree, scored);
    put_share(out, both, scored);
    put_share(out, scored - c->disagree - both, scored);
    put_share(out, paper_only, scored);
    put_share(out, strict_only, scored);
}

void lay_html_agreement_put(struct lay_str *out, const struct lay_report *report)
{
    static const char *const columns[] = {"Agree", "Both right", "Both wrong", "Right by paper only",
                                          "Right by strict only"};
    lay_html_section_open(out, "agreement", "Agreement of paper and strict scoring");
    lay_str_puts(
        out, "<p>Of the answers without an error. Where the two scores disagree, the browser below shows the "
             "answers.</p>\n");
    put_counts(out, report, "Agreement of paper and strict scoring", columns,
               sizeof columns / sizeof *columns, put_agreement);
    lay_html_section_close(out);
}

static void put_endings(struct lay_str *out, const struct lay_counts *c)
{
    lay_str_printf(out, "<td>%lld</td>", (long long)c->n);
    put_share(out, c->unparsed, c->n);
    put_share(out, c->ended_length, c->n);
    put_share(out, c->truncated, c->n);
    put_share(out, c->error, c->n);
}

void lay_html_endings_put(struct lay_str *out, const struct lay_report *report)
{
    static const char *const columns[] = {"Samples", "Unparsed by strict", "Cut off at the token limit",
                                          "Input truncated", "Errors"};
    lay_html_section_open(out, "endings", "What went wrong");
    lay_str_puts(out, "<p>Unparsed answers are wrong by strict scoring, errors by both.</p>\n");
    put_counts(out, report, "What went wrong", columns, sizeof columns / sizeof *columns, put_endings);
    lay_html_section_close(out);
}

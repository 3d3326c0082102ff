/* The papers' table of a task, its chart, and the figures with their intervals. */
#include "reports/html/part.h"
#include "reports/remarks.h"
#include "reports/row_label.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

void lay_html_score_put(struct lay_str *out, const struct lay_score *score)
{
    static const char *const classes[] = {NULL, "best", "second"};
    const char *class = classes[score->place];
    if (class)
        lay_str_printf(out, "<span class=\"%s\">", class);
    lay_score_put(out, score);
    if (class)
        lay_str_puts(out, "</span>");
    if (score->partial && !isnan(score->paper))
        lay_str_puts(out, "<sup>†</sup>");
}

void lay_html_partial_note_put(struct lay_str *out, const struct lay_score_table *table)
{
    bool partial = false;
    for (size_t r = 0; r < table->n_rows; r++)
        partial |= lay_row_partial(table, r);
    if (partial)
        lay_str_puts(out, "<p class=\"note\">† over other languages than the papers' average; not "
                          "comparable, and not ranked.</p>\n");
}

void lay_html_label_put(struct lay_str *out, const struct lay_score_table *table, size_t row)
{
    struct lay_str label = {0};
    lay_row_label_put(&label, table, row);
    lay_html_row_put(out, lay_str_text(&label));
    out->failed |= label.failed;
    lay_str_free(&label);
}

static void put_interval(struct lay_str *out, const struct lay_score *score)
{
    if (!isnan(score->interval.low))
        lay_str_printf(out, "%.1f–%.1f", score->interval.low, score->interval.high);
}

static void open_cell(struct lay_str *out, const struct lay_score_table *table, size_t column,
                      const struct lay_score *score)
{
    lay_str_puts(out, table->columns[column].average ? "<td class=\"average\"" : "<td");
    if (score && !isnan(score->interval.low)) {
        lay_str_puts(out, " title=\"95 % interval ");
        put_interval(out, score);
        lay_str_putc(out, '"');
    }
    lay_str_putc(out, '>');
}

static void put_paper_row(struct lay_str *out, const struct lay_score_table *table, size_t row)
{
    lay_str_puts(out, table->rows[row].published ? "<tr class=\"published\">" : "<tr class=\"main\">");
    lay_html_label_put(out, table, row);
    for (size_t c = 0; c < table->n_columns; c++) {
        const struct lay_score *score = lay_score_at(table, row, c);
        open_cell(out, table, c, score);
        lay_html_score_put(out, score);
        lay_str_puts(out, "</td>");
    }
    if (table->rows[row].published) {
        lay_str_puts(out, "<td class=\"wrap source\">published: ");
        lay_markup_text(out, table->rows[row].published->source);
    } else {
        lay_str_puts(out, "<td class=\"wrap source\">this run");
    }
    lay_str_puts(out, "</td></tr>\n");
}

static void put_strict_row(struct lay_str *out, const struct lay_score_table *table, size_t row)
{
    lay_str_puts(out, "<tr class=\"strict\"><th scope=\"row\">strict<span class=\"hidden-text\">, ");
    lay_markup_text(out, table->rows[row].name);
    lay_str_puts(out, "</span></th>");
    for (size_t c = 0; c < table->n_columns; c++) {
        const double strict = lay_score_at(table, row, c)->strict;
        open_cell(out, table, c, NULL);
        if (isnan(strict))
            lay_str_putc(out, '-');
        else
            lay_str_printf(out, "%.1f", strict);
        lay_str_puts(out, "</td>");
    }
    lay_str_puts(out, "<td></td></tr>\n");
}

static void put_heading(struct lay_str *out, const struct lay_score_table *table)
{
    lay_str_puts(out, "<thead><tr>");
    lay_html_column_put(out, "System");
    for (size_t c = 0; c < table->n_columns; c++) {
        const struct lay_score_column *column = &table->columns[c];
        lay_str_printf(out, "<th scope=\"col\"%s><abbr title=\"",
                       column->average ? " class=\"average\"" : "");
        lay_markup_text(out, column->name);
        lay_str_puts(out, "\">");
        lay_markup_text(out, column->title);
        lay_str_puts(out, "</abbr></th>");
    }
    lay_str_puts(out, "<th scope=\"col\" class=\"text\">Source</th></tr></thead>\n");
}

static void put_table(struct lay_str *out, const struct lay_score_table *table)
{
    lay_html_scroll_open(out, table->title);
    lay_str_puts(out, "<table class=\"scores\">\n<caption class=\"hidden-text\">");
    lay_markup_text(out, table->title);
    lay_str_puts(out, ", accuracy in %</caption>\n");
    put_heading(out, table);
    lay_str_puts(out, "<tbody>\n");
    for (size_t r = 0; r < table->n_rows; r++) {
        put_paper_row(out, table, r);
        if (table->rows[r].system)
            put_strict_row(out, table, r);
    }
    lay_str_puts(out, "</tbody></table>\n");
    lay_html_scroll_close(out);
    lay_html_partial_note_put(out, table);
}

static int64_t samples_of(const struct lay_score_row *row, const struct lay_score_column *column)
{
    int64_t n = 0;
    for (size_t i = 0; i < row->task->count; i++) {
        const struct lay_cell *cell = &row->task->cells[i];
        const bool counts =
            column->average ? lay_set_has(column->set, cell) : strcmp(cell->language, column->key) == 0;
        n += counts ? (int64_t)cell->count : 0;
    }
    return n;
}

/* One line per language or average: what a title on a cell shows to a mouse only. */
static void put_intervals(struct lay_str *out, const struct lay_score_table *table)
{
    lay_str_puts(out, "<details><summary>Figures with 95 % intervals</summary>\n");
    lay_html_scroll_open(out, "Figures with intervals");
    lay_str_puts(out, "<table><thead><tr>");
    lay_html_column_put(out, "Language");
    for (size_t r = 0; r < table->n_rows && table->rows[r].system; r++)
        lay_html_column_put(out, table->rows[r].name);
    lay_str_puts(out, "</tr></thead><tbody>\n");
    for (size_t c = 0; c < table->n_columns; c++) {
        lay_str_puts(out, "<tr>");
        lay_html_row_put(out, table->columns[c].name);
        for (size_t r = 0; r < table->n_rows && table->rows[r].system; r++) {
            const struct lay_score *score = lay_score_at(table, r, c);
            lay_str_puts(out, "<td>");
            lay_html_score_put(out, score);
            if (!isnan(score->interval.low)) {
                lay_str_puts(out, " (");
                put_interval(out, score);
                lay_str_printf(out, "), n = %lld",
                               (long long)samples_of(&table->rows[r], &table->columns[c]));
            }
            lay_str_puts(out, "</td>");
        }
        lay_str_puts(out, "</tr>\n");
    }
    lay_str_puts(out, "</tbody></table>\n");
    lay_html_scroll_close(out);
    lay_str_puts(out,
                 "<p class=\"note\">Wilson intervals per language; for averages the mean plus or minus 1.96 "
                 "standard errors over the languages as strata.</p>\n</details>\n");
}

/* One line of text each becomes one item. */
static enum lay_status put_remarks(struct lay_str *out, const struct lay_score_table *table,
                                   struct lay_err *err)
{
    struct lay_str remarks = {0};
    enum lay_status status = LAY_OK;
    for (size_t r = 0; r < table->n_rows && status == LAY_OK; r++)
        if (table->rows[r].task)
            status = lay_remarks_put(&remarks, table->rows[r].name, table->rows[r].task, err);
    if (remarks.length)
        lay_str_puts(out, "<ul class=\"note\">\n");
    for (char *line = remarks.data, *end; line && (end = strchr(line, '\n')); line = end + 1) {
        *end = '\0';
        lay_str_puts(out, "<li>");
        lay_markup_text(out, line);
        lay_str_puts(out, "</li>\n");
    }
    if (remarks.length)
        lay_str_puts(out, "</ul>\n");
    lay_str_free(&remarks);
    return status;
}

enum lay_status lay_html_scores_put(struct lay_str *out, const struct lay_score_table *table, size_t index,
                                    struct lay_err *err)
{
    char id[32];
    size_t languages = 0;
    snprintf(id, sizeof id, "chart-%zu", index);
    while (languages < table->n_columns && !table->columns[languages].average)
        languages++;
    lay_str_puts(out, "<h3>");
    lay_markup_text(out, table->title);
    lay_str_puts(out, "</h3>\n");
    put_table(out, table);
    LAY_TRY(put_remarks(out, table, err));
    LAY_TRY(lay_html_chart_put(out, table, id, table->title, 0, languages, err));
    put_intervals(out, table);
    return LAY_OK;
}

/* Our figures beside those that were published for the same method. */
#include "reports/html/part.h"
#include "reports/report/part.h"
#include "reports/row_label.h"

#include <math.h>

static void put_cell(struct lay_str *out, const struct lay_score_table *table, size_t ours, size_t published,
                     size_t column)
{
    const struct lay_difference difference =
        lay_report_difference(lay_score_at(table, ours, column), lay_score_at(table, published, column));
    lay_str_puts(out, "<td>");
    if (isnan(difference.points))
        lay_str_putc(out, '-');
    else
        lay_str_printf(out, "%+.1f%s", difference.points, difference.within ? "" : "<sup>‡</sup>");
    lay_str_puts(out, "</td>");
}

static void put_row(struct lay_str *out, const struct lay_score_table *table, size_t ours, size_t published)
{
    struct lay_str label = {0};
    lay_row_label_put(&label, table, ours);
    lay_str_puts(&label, " − ");
    lay_row_label_put(&label, table, published);
    lay_str_puts(out, "<tr>");
    lay_html_row_put(out, lay_str_text(&label));
    for (size_t c = 0; c < table->n_columns; c++)
        put_cell(out, table, ours, published, c);
    lay_str_puts(out, "</tr>\n");
    out->failed |= label.failed;
    lay_str_free(&label);
}

void lay_html_differences_put(struct lay_str *out, const struct lay_score_table *table)
{
    lay_html_scroll_open(out, "Ours minus published");
    lay_str_puts(out, "<table><caption>Ours minus published, percentage points</caption><thead><tr>");
    lay_html_column_put(out, "Systems");
    for (size_t c = 0; c < table->n_columns; c++)
        lay_html_column_put(out, table->columns[c].title);
    lay_str_puts(out, "</tr></thead><tbody>\n");
    for (size_t ours = 0; ours < table->n_rows; ours++)
        for (size_t r = lay_report_next_published(table, ours, ours); r < table->n_rows;
             r = lay_report_next_published(table, ours, r))
            put_row(out, table, ours, r);
    lay_str_puts(out, "</tbody></table>\n");
    lay_html_scroll_close(out);
    lay_str_puts(out,
                 "<p class=\"note\">‡ the published figure lies outside the 95 % interval of ours.</p>\n");
}

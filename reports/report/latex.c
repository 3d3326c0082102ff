/* LaTeX with booktabs, to be pasted or \input: one table a task, best bold, second best underlined, published
 * rows below a rule with their sources as notes. Texts are escaped; nothing in them is a command. */
#include "engine/base/utf8.h"
#include "reports/report/part.h"
#include "reports/row_label.h"

#include <math.h>
#include <string.h>

static void put_text(struct lay_str *out, const char *text)
{
    static const struct {
        char c;
        const char *latex;
    } escapes[] = {{'\\', "\\textbackslash{}"},
                   {'{', "\\{"},
                   {'}', "\\}"},
                   {'$', "\\$"},
                   {'&', "\\&"},
                   {'#', "\\#"},
                   {'%', "\\%"},
                   {'_', "\\_"},
                   {'^', "\\textasciicircum{}"},
                   {'~', "\\textasciitilde{}"},
                   {'<', "\\textless{}"},
                   {'>', "\\textgreater{}"},
                   {'"', "\\textquotedbl{}"}};
    for (size_t at = 0, length = strlen(text); at < length;) {
        const size_t begin = at;
        const int32_t c = lay_utf8_next(text, length, &at);
        const char *latex = c < 0x20 || (c >= 0x7f && c < 0xa0) ? "?" : NULL;
        for (size_t i = 0; i < sizeof escapes / sizeof *escapes && !latex; i++)
            latex = c == escapes[i].c ? escapes[i].latex : NULL;
        if (latex)
            lay_str_puts(out, latex);
        else
            lay_str_append(out, text + begin, at - begin);
    }
}

static void put_label(struct lay_str *out, const struct lay_score_table *table, size_t row)
{
    struct lay_str label = {0};
    lay_row_label_put(&label, table, row);
    put_text(out, lay_str_text(&label));
    out->failed |= label.failed;
    lay_str_free(&label);
    if (table->rows[row].published)
        lay_str_printf(out, "$^{%zu}$", lay_row_source(table, row));
}

static void put_figure(struct lay_str *out, const struct lay_score *score)
{
    static const char *const before[] = {"", "\\textbf{", "\\underline{"};
    lay_str_printf(out, " & %s", before[score->place]);
    if (isnan(score->paper))
        lay_str_puts(out, "--");
    else
        lay_score_put(out, score);
    lay_str_puts(out, score->place ? "}" : "");
    lay_str_puts(out, score->partial && !isnan(score->paper) ? "$^{*}$" : "");
}

static void put_begin(struct lay_str *out, const struct lay_score_table *table, const char *caption)
{
    lay_str_puts(out, "\\begin{table}[t]\n\\centering\n\\caption{");
    put_text(out, table->title);
    lay_str_printf(out, "%s}\n\\setlength{\\tabcolsep}{4pt}\n\\begin{tabular}{l", caption);
    for (size_t c = 0; c < table->n_columns; c++)
        lay_str_putc(out, 'r');
    lay_str_puts(out, "}\n\\toprule\n");
    for (size_t c = 0; c < table->n_columns; c++)
        lay_str_printf(out, " & %s", table->columns[c].title);
    lay_str_puts(out, " \\\\\n\\midrule\n");
}

static void put_scores(struct lay_str *out, const struct lay_score_table *table)
{
    put_begin(out, table, ", accuracy in \\%. Best in bold, second best underlined.");
    for (size_t r = 0; r < table->n_rows; r++) {
        if (table->rows[r].published && r > 0 && !table->rows[r - 1].published)
            lay_str_puts(out, "\\midrule\n");
        put_label(out, table, r);
        for (size_t c = 0; c < table->n_columns; c++)
            put_figure(out, lay_score_at(table, r, c));
        lay_str_puts(out, " \\\\\n");
    }
    lay_str_puts(out, "\\bottomrule\n\\end{tabular}\n");
}

static void put_notes(struct lay_str *out, const struct lay_score_table *table)
{
    const char *source;
    bool partial = false;
    for (size_t r = 0; r < table->n_rows; r++)
        partial |= lay_row_partial(table, r);
    for (size_t n = 1; (source = lay_row_source_text(table, n)); n++) {
        lay_str_printf(out, "\\par\\footnotesize $^{%zu}$published: ", n);
        put_text(out, source);
        lay_str_putc(out, '\n');
    }
    if (partial)
        lay_str_puts(out, "\\par\\footnotesize $^{*}$averaged over other languages than the papers', not "
                          "ranked\n");
    lay_str_puts(out, "\\end{table}\n\n");
}

static void put_difference_row(struct lay_str *out, const struct lay_score_table *table, size_t ours,
                               size_t published)
{
    put_label(out, table, ours);
    lay_str_puts(out, " $-$ ");
    put_label(out, table, published);
    for (size_t c = 0; c < table->n_columns; c++) {
        const struct lay_difference d =
            lay_report_difference(lay_score_at(table, ours, c), lay_score_at(table, published, c));
        if (isnan(d.points))
            lay_str_puts(out, " & --");
        else
            lay_str_printf(out, " & $%+.1f$%s", d.points, d.within ? "" : "$^{\\dagger}$");
    }
    lay_str_puts(out, " \\\\\n");
}

static void put_differences(struct lay_str *out, const struct lay_score_table *table)
{
    put_begin(out, table, ", ours minus published, percentage points.");
    for (size_t r = 0; r < table->n_rows; r++)
        for (size_t p = lay_report_next_published(table, r, r); p < table->n_rows;
             p = lay_report_next_published(table, r, p))
            put_difference_row(out, table, r, p);
    lay_str_puts(out,
                 "\\bottomrule\n\\end{tabular}\n\\par\\footnotesize $^{\\dagger}$the published figure is "
                 "outside the 95\\,\\% interval of ours\n");
}

static enum lay_status put_task(void *context, const struct lay_report *report,
                                const struct lay_score_table *table, struct lay_err *err)
{
    struct lay_str *out = context;
    put_scores(out, table);
    put_notes(out, table);
    if (report->differences) {
        put_differences(out, table);
        put_notes(out, table);
    }
    return lay_str_check(out, err);
}

enum lay_status lay_report_put_latex(struct lay_str *out, const struct lay_report *report,
                                     struct lay_err *err)
{
    lay_str_puts(out, "% needs \\usepackage{booktabs} and, for names beyond ASCII, UTF-8 input\n");
    if (report->heading) {
        lay_str_puts(out, "% ");
        put_text(out, report->heading);
        lay_str_putc(out, '\n');
    }
    return lay_report_each_task(report, put_task, out, err);
}

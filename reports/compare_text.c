/* Comparisons for people: terminal and Markdown. */
#include "reports/compare_put.h"

#include "reports/grid.h"
#include "reports/text.h"

#include <math.h>
#include <string.h>

enum { IDS_SHOWN = 12 }; /* of a language in one direction; the rest is counted */

#define SIGNIFICANT 0.05

struct page {
    struct lay_str *out;
    const struct lay_comparison *comparison;
    const struct lay_compare_task *task;
    const struct lay_compare_put_options *options;
    bool markdown;
};

static void put_name(const struct page *page, const char *name)
{
    if (page->markdown)
        lay_text_put_markdown(page->out, name);
    else
        lay_text_put(page->out, name, 0);
}

static void add_percent(struct lay_grid *grid, const struct lay_compare_row *row, double percent)
{
    const int decimals = row->pool && strcmp(row->name, "all") != 0 ? 1 : 2; /* as in every report */
    if (isnan(percent))
        lay_grid_add(grid, "-");
    else
        lay_grid_add(grid, "%.*f", decimals, percent);
}

static void add_p(struct lay_grid *grid, double p, bool marked)
{
    const char *mark = marked && p < SIGNIFICANT ? "*" : "";
    if (isnan(p))
        lay_grid_add(grid, "-");
    else if (p < 0.0001)
        lay_grid_add(grid, "<0.0001%s", mark);
    else
        lay_grid_add(grid, "%.4f%s", p, mark);
}

static void add_row(struct lay_grid *grid, const struct lay_compare_row *row)
{
    lay_grid_add(grid, "%s", row->name);
    lay_grid_add(grid, "%lld", (long long)row->pair.n);
    add_percent(grid, row, row->accuracy_a);
    add_percent(grid, row, row->accuracy_b);
    if (isnan(row->difference)) {
        lay_grid_add(grid, "-");
        lay_grid_add(grid, "-");
    } else {
        lay_grid_add(grid, "%+.2f", 100 * row->difference);
        lay_grid_add(grid, "%+.2f to %+.2f", 100 * row->interval.low, 100 * row->interval.high);
    }
    lay_grid_add(grid, "%lld", (long long)row->pair.only_a);
    lay_grid_add(grid, "%lld", (long long)row->pair.only_b);
    add_p(grid, row->p, false);
    add_p(grid, row->p_holm, true);
}

static enum lay_status put_table(const struct page *page, struct lay_err *err)
{
    static const char *const heading[] = {"",       "n",      "A", "B",   "B-A", "95 % interval",
                                          "only A", "only B", "p", "Holm"};
    struct lay_grid grid = {.columns = sizeof heading / sizeof *heading};
    for (size_t i = 0; i < grid.columns; i++)
        lay_grid_add_text(&grid, heading[i]);
    for (size_t i = 0; i < page->task->count; i++)
        add_row(&grid, &page->task->rows[i]);
    const enum lay_status status =
        page->markdown ? lay_grid_put_markdown(page->out, &grid, err) : lay_grid_put(page->out, &grid, err);
    lay_grid_free(&grid);
    return status;
}

static void put_heading(const struct page *page)
{
    lay_str_puts(page->out, page->markdown ? "## " : "");
    lay_str_puts(page->out, page->task->a->title);
    lay_str_puts(page->out, ": ");
    put_name(page, page->comparison->b->name);
    lay_str_puts(page->out, " (B) against ");
    put_name(page, page->comparison->a->name);
    lay_str_printf(page->out, " (A), %s score\n%s", lay_scorer_name(page->comparison->scorer),
                   page->markdown ? "\n" : "");
}

/* Flips of one language in one direction, by id. */
static void put_ids(const struct page *page, const struct lay_compare_row *row, bool gained)
{
    const size_t flips = (size_t)(row->pair.only_a + row->pair.only_b);
    const size_t wanted = (size_t)(gained ? row->pair.only_b : row->pair.only_a);
    size_t shown = 0;
    if (row->pool || wanted == 0)
        return;
    lay_str_printf(page->out, "%s%s %s:", page->markdown ? "- " : "  ", row->name,
                   gained ? "gained" : "lost");
    for (size_t i = 0; i < flips && shown < IDS_SHOWN; i++)
        if (row->flips[i].gained == gained)
            lay_str_printf(page->out, "%s %lld", shown++ ? "," : "", (long long)row->flips[i].a->doc_id);
    if (wanted > shown)
        lay_str_printf(page->out, " and %zu more", wanted - shown);
    lay_str_putc(page->out, '\n');
}

static void put_output(const struct page *page, const char *who, const struct lay_record *record)
{
    lay_str_printf(page->out, "%s%s", page->markdown ? "\n    " : "      ", who);
    lay_str_puts(page->out, ":\n");
    lay_text_put_lines(page->out, record->error_message ? record->error_message : record->output, "        ");
}

static void put_flips(const struct page *page, const struct lay_compare_row *row)
{
    const size_t flips = row->pool ? 0 : (size_t)(row->pair.only_a + row->pair.only_b);
    for (size_t i = 0; i < flips && i < page->options->flips; i++) {
        const struct lay_flip *flip = &row->flips[i];
        lay_str_printf(page->out, "%s%s %lld %s, target ", page->markdown ? "\n### " : "    ", row->name,
                       (long long)flip->a->doc_id, flip->gained ? "gained" : "lost");
        put_name(page, flip->a->target);
        lay_str_putc(page->out, '\n');
        put_output(page, "A", flip->a);
        put_output(page, "B", flip->b);
    }
}

static void put_remarks(const struct page *page)
{
    const struct lay_compare_row *all = &page->task->rows[page->task->count - 1];
    const char *end = page->markdown ? "\n\n" : "\n";
    if (all->errors_a + all->errors_b > 0)
        lay_str_printf(page->out, "Ended in an error, counted as wrong: A %lld, B %lld%s",
                       (long long)all->errors_a, (long long)all->errors_b, end);
    for (size_t i = 0; i < page->task->count; i++) {
        const struct lay_compare_row *row = &page->task->rows[i];
        if (row->languages < row->expected && strcmp(row->name, "all") != 0)
            lay_str_printf(page->out, "%s is over %zu of %zu languages%s", row->name, row->languages,
                           row->expected, end);
    }
}

static enum lay_status put_task(const struct page *page, struct lay_err *err)
{
    put_heading(page);
    LAY_TRY(put_table(page, err));
    lay_str_puts(page->out, page->markdown ? "\n" : "");
    put_remarks(page);
    for (size_t i = 0; i < page->task->count; i++) {
        put_ids(page, &page->task->rows[i], true);
        put_ids(page, &page->task->rows[i], false);
        put_flips(page, &page->task->rows[i]);
    }
    lay_str_putc(page->out, '\n');
    return lay_str_check(page->out, err);
}

static enum lay_status put_page(struct page *page, const struct lay_comparison *comparisons, size_t count,
                                struct lay_err *err)
{
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < comparisons[i].count; j++) {
            page->comparison = &comparisons[i];
            page->task = &comparisons[i].tasks[j];
            LAY_TRY(put_task(page, err));
        }
    lay_str_printf(page->out,
                   "p: exact McNemar test, two-sided. Holm: corrected over the languages of a task; * below "
                   "%.2f.\nInterval: paired bootstrap, %zu resamples, seed %llu. lrl, hrl, avg: mean over "
                   "languages; all: every sample alike.\n",
                   SIGNIFICANT, page->options->compare.resamples,
                   (unsigned long long)page->options->compare.seed);
    return lay_str_check(page->out, err);
}

enum lay_status lay_compare_put_terminal(struct lay_str *out, const struct lay_comparison *comparisons,
                                         size_t count, const struct lay_compare_put_options *options,
                                         struct lay_err *err)
{
    struct page page = {.out = out, .options = options};
    return put_page(&page, comparisons, count, err);
}

enum lay_status lay_compare_put_markdown(struct lay_str *out, const struct lay_comparison *comparisons,
                                         size_t count, const struct lay_compare_put_options *options,
                                         struct lay_err *err)
{
    struct page page = {.out = out, .options = options, .markdown = true};
    return put_page(&page, comparisons, count, err);
}

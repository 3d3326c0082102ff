#include "reports/table.h"

#include "engine/base/mem.h"
#include "reports/remarks.h"
#include "reports/row_label.h"
#include "reports/score_table.h"
#include "reports/text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Terminal columns of a figure, and of "100.0-100.0" with a blank. */
enum { NARROW = 7, WIDE = 12 };

struct lay_table_options lay_table_options_for(int fd)
{
    const char *no_color = getenv("NO_COLOR");
    struct lay_table_options options = {.color = isatty(fd) && !(no_color && *no_color)};
    struct winsize size;
    if (isatty(fd) && ioctl(fd, TIOCGWINSZ, &size) == 0)
        options.width = size.ws_col;
    return options;
}

/* One task's table on its way out. */
struct printer {
    struct lay_str *out;
    const struct lay_table_options *options;
    const struct lay_score_table *table;
    char **labels; /* one a row */
    size_t label_width;
    int column; /* terminal columns of a figure */
};

static void attribute(const struct printer *p, const char *code)
{
    if (p->options->color)
        lay_str_printf(p->out, "\033[%sm", code);
}

static enum lay_status make_labels(struct printer *p, struct lay_err *err)
{
    p->label_width = strlen(p->options->intervals ? "  95 % interval" : "  strict");
    p->labels = lay_alloc(p->table->n_rows + 1, sizeof *p->labels);
    if (!p->labels)
        return lay_no_memory(err, "a table");
    for (size_t r = 0; r < p->table->n_rows; r++) {
        struct lay_str label = {0};
        lay_row_label_put(&label, p->table, r);
        if (p->table->rows[r].published)
            lay_str_printf(&label, " [%zu]", lay_row_source(p->table, r));
        p->labels[r] = lay_str_take(&label);
        if (!p->labels[r])
            return lay_no_memory(err, "a table");
        const size_t width = lay_text_width(p->labels[r]);
        p->label_width = width > p->label_width ? width : p->label_width;
    }
    return LAY_OK;
}

static void free_labels(struct printer *p)
{
    for (size_t r = 0; p->labels && r < p->table->n_rows; r++)
        lay_free(p->labels[r]);
    lay_free(p->labels);
}

/* --- lines --- */

static void put_header(const struct printer *p, size_t from, size_t to)
{
    lay_text_put(p->out, "", p->label_width);
    for (size_t c = from; c < to; c++)
        lay_str_printf(p->out, "%*s", p->column, p->table->columns[c].title);
    lay_str_putc(p->out, '\n');
}

/* What a line shows of a score. */
typedef void show_function(const struct lay_score *score, char *text, size_t size);

static void show_paper(const struct lay_score *score, char *text, size_t size)
{
    if (isnan(score->paper))
        snprintf(text, size, "-");
    else
        snprintf(text, size, "%.*f", score->decimals, score->paper);
}

static void show_strict(const struct lay_score *score, char *text, size_t size)
{
    if (isnan(score->strict))
        snprintf(text, size, "-");
    else
        snprintf(text, size, "%.1f", score->strict);
}

static void show_interval(const struct lay_score *score, char *text, size_t size)
{
    if (isnan(score->interval.low))
        snprintf(text, size, "-");
    else
        snprintf(text, size, "%.1f-%.1f", score->interval.low, score->interval.high);
}

/* Attributes stand around the figure alone, not around the blanks in front of it. */
static void put_line(const struct printer *p, const char *label, size_t row, size_t from, size_t to,
                     show_function *show)
{
    static const char *const places[] = {NULL, "1", "4"};
    lay_text_put(p->out, label, p->label_width);
    for (size_t c = from; c < to; c++) {
        char text[64];
        const struct lay_score *score = lay_score_at(p->table, row, c);
        const char *code = show == show_paper ? places[score->place] : NULL;
        show(score, text, sizeof text);
        lay_str_printf(p->out, "%*s", p->column - (int)strlen(text), "");
        if (code)
            attribute(p, code);
        lay_str_puts(p->out, text);
        if (code)
            attribute(p, "0");
    }
    lay_str_putc(p->out, '\n');
}

static void put_row(const struct printer *p, size_t row, size_t from, size_t to)
{
    put_line(p, p->labels[row], row, from, to, show_paper);
    if (p->table->rows[row].published)
        return;
    attribute(p, "2");
    put_line(p, "  strict", row, from, to, show_strict);
    if (p->options->intervals)
        put_line(p, "  95 % interval", row, from, to, show_interval);
    attribute(p, "0");
}

/* --- below the table --- */

static enum lay_status put_notes(const struct printer *p, struct lay_err *err)
{
    const struct lay_score_table *table = p->table;
    const char *source;
    for (size_t r = 0; r < table->n_rows; r++) {
        if (table->rows[r].task)
            LAY_TRY(lay_remarks_put(p->out, table->rows[r].name, table->rows[r].task, err));
        else if (lay_row_partial(table, r)) {
            lay_text_put(p->out, p->labels[r], 0);
            lay_str_puts(p->out, ": averages over other languages, not comparable with the papers'\n");
        }
    }
    for (size_t n = 1; (source = lay_row_source_text(table, n)); n++) {
        lay_str_printf(p->out, "[%zu] published: ", n);
        lay_text_put(p->out, source, 0);
        lay_str_putc(p->out, '\n');
    }
    return LAY_OK;
}

static enum lay_status put_task(struct printer *p, struct lay_err *err)
{
    size_t block = p->table->n_columns;
    LAY_TRY(make_labels(p, err));
    if (p->options->width > p->label_width + (size_t)p->column)
        block = (p->options->width - p->label_width) / (size_t)p->column;
    lay_str_printf(p->out, "%s, accuracy in %%\n", p->table->title);
    for (size_t from = 0; from < p->table->n_columns; from += block) {
        const size_t to = from + block < p->table->n_columns ? from + block : p->table->n_columns;
        put_header(p, from, to);
        for (size_t r = 0; r < p->table->n_rows; r++)
            put_row(p, r, from, to);
    }
    LAY_TRY(put_notes(p, err));
    lay_str_putc(p->out, '\n');
    return LAY_OK;
}

enum lay_status lay_table_put(struct lay_str *out, const struct lay_system_result *systems, size_t count,
                              const struct lay_table_options *options, struct lay_err *err)
{
    size_t n_tasks;
    const char **tasks = lay_score_tasks(systems, count, &n_tasks);
    enum lay_status status = tasks ? LAY_OK : lay_no_memory(err, "a table");
    for (size_t t = 0; t < n_tasks && status == LAY_OK; t++) {
        struct lay_score_table table;
        struct printer printer = {
            .out = out, .options = options, .table = &table, .column = options->intervals ? WIDE : NARROW};
        status = lay_score_table_create(systems, count, options->baselines, tasks[t], &table, err);
        if (status == LAY_OK)
            status = put_task(&printer, err);
        free_labels(&printer);
        lay_score_table_free(&table);
    }
    lay_free(tasks);
    return status == LAY_OK ? lay_str_check(out, err) : status;
}

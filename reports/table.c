#include "reports/table.h"

#include "engine/base/mem.h"
#include "reports/accuracy.h"
#include "reports/text.h"
#include "reports/view.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { COLUMN = 7, MAX_COLUMNS = 64 };

struct lay_table_options lay_table_options_for(int fd)
{
    const char *no_color = getenv("NO_COLOR");
    struct lay_table_options options = {.color = isatty(fd) && !(no_color && *no_color)};
    struct winsize size;
    if (isatty(fd) && ioctl(fd, TIOCGWINSZ, &size) == 0)
        options.width = size.ws_col;
    return options;
}

static void attribute(struct lay_str *out, const struct lay_table_options *options, const char *code)
{
    if (options->color)
        lay_str_printf(out, "\033[%sm", code);
}

/* What stands over a column: a language or an average. */
struct column {
    const char *language; /* NULL: an average */
    enum lay_set set;
};

struct table {
    const struct lay_system_result *systems;
    size_t count;
    const struct lay_table_options *options;
    const char *task;
    struct column columns[MAX_COLUMNS];
    size_t n_columns;
    size_t name_width;
};

/* Languages of every system, in the order of the first that has them; then the averages some system has. */
static void find_columns(struct table *table)
{
    bool has[LAY_SET_COUNT] = {false};
    table->n_columns = 0;
    table->name_width = strlen("  strict");
    for (size_t i = 0; i < table->count; i++) {
        const struct lay_task_result *task = lay_task_of(&table->systems[i], table->task);
        if (!task)
            continue;
        const size_t width = lay_text_width(table->systems[i].name);
        table->name_width = width > table->name_width ? width : table->name_width;
        for (size_t j = 0; j < task->count; j++) {
            size_t at = 0;
            while (at < table->n_columns && strcmp(table->columns[at].language, task->cells[j].language) != 0)
                at++;
            if (at == table->n_columns && at < MAX_COLUMNS - LAY_SET_COUNT)
                table->columns[table->n_columns++].language = task->cells[j].language;
            for (enum lay_set set = 0; set < LAY_SET_COUNT; set++)
                has[set] |= task->set_size[set] && lay_set_has(set, &task->cells[j]);
        }
    }
    for (enum lay_set set = 0; set < LAY_SET_COUNT; set++)
        if (has[set])
            table->columns[table->n_columns++] = (struct column){NULL, set};
}

static enum lay_status value_of(const struct lay_task_result *task, const struct column *column,
                                double *paper, double *strict, struct lay_err *err)
{
    *paper = *strict = NAN;
    if (!column->language) {
        struct lay_average average;
        LAY_TRY(lay_task_average(task, column->set, &average, err));
        *paper = average.paper;
        *strict = average.strict;
        return LAY_OK;
    }
    const struct lay_cell *cell = lay_cell_of(task, column->language);
    if (cell) {
        const struct lay_counts counts = lay_cell_counts(cell);
        *paper = lay_accuracy(counts.correct_paper, counts.n);
        *strict = lay_accuracy(counts.correct_strict, counts.n);
    }
    return LAY_OK;
}

static void put_header(struct lay_str *out, const struct table *table, size_t from, size_t to)
{
    static const char *const titles[LAY_SET_COUNT] = {"Lrl.", "Hrl.", "Avg."};
    lay_text_put(out, "", table->name_width);
    for (size_t i = from; i < to; i++)
        lay_str_printf(out, "%*s", COLUMN,
                       table->columns[i].language ? table->columns[i].language
                                                  : titles[table->columns[i].set]);
    lay_str_putc(out, '\n');
}

static void put_value(struct lay_str *out, double value)
{
    if (isnan(value))
        lay_str_printf(out, "%*s", COLUMN, "-");
    else
        lay_str_printf(out, "%*.1f", COLUMN, value);
}

static enum lay_status put_system(struct lay_str *out, const struct table *table,
                                  const struct lay_system_result *system, size_t from, size_t to,
                                  struct lay_err *err)
{
    const struct lay_task_result *task = lay_task_of(system, table->task);
    struct lay_str strict = {0};
    double paper_value, strict_value;
    enum lay_status status = LAY_OK;
    if (!task)
        return LAY_OK;
    attribute(out, table->options, "1");
    lay_text_put(out, system->name, table->name_width);
    for (size_t i = from; i < to && status == LAY_OK; i++) {
        status = value_of(task, &table->columns[i], &paper_value, &strict_value, err);
        put_value(out, paper_value);
        put_value(&strict, strict_value);
    }
    attribute(out, table->options, "0");
    lay_str_putc(out, '\n');
    attribute(out, table->options, "2");
    lay_text_put(out, "  strict", table->name_width);
    lay_str_puts(out, lay_str_text(&strict));
    attribute(out, table->options, "0");
    lay_str_putc(out, '\n');
    out->failed |= strict.failed;
    lay_str_free(&strict);
    return status;
}

static struct lay_counts task_counts(const struct lay_task_result *task)
{
    struct lay_counts total = {0};
    for (size_t i = 0; i < task->count; i++) {
        const struct lay_counts counts = lay_cell_counts(&task->cells[i]);
        lay_counts_add(&total, &counts);
    }
    return total;
}

/* "layalign: 2 of 40 answers scored differently by paper and strict; 1 unparsed; …" when there is anything.
 */
static void put_remarks(struct lay_str *out, const char *name, const struct lay_counts *c)
{
    const struct {
        int64_t count;
        const char *what;
    } remarks[] = {
        {c->disagree, "scored differently by paper and strict"}, {c->unparsed, "unparsed by strict"},
        {c->ended_length, "cut off at the token limit"},         {c->truncated, "with truncated input"},
        {c->error, "failed with an error (counted as wrong)"},
    };
    bool any = false;
    for (size_t i = 0; i < sizeof remarks / sizeof *remarks; i++) {
        if (!remarks[i].count)
            continue;
        if (!any) {
            lay_text_put(out, name, 0);
            lay_str_printf(out, ", of %lld answers: ", (long long)c->n);
        }
        lay_str_printf(out, "%s%lld %s", any ? "; " : "", (long long)remarks[i].count, remarks[i].what);
        any = true;
    }
    if (any)
        lay_str_putc(out, '\n');
}

/* An exact-match score of nearly nothing beside a good strict one means the answers use other words. */
static void put_label_note(struct lay_str *out, const char *name, const struct lay_task_result *task,
                           const struct lay_counts *c)
{
    if (task->math || c->n == 0 || c->correct_paper * 50 > c->n || c->correct_strict * 10 < c->n)
        return;
    lay_text_put(out, name, 0);
    lay_str_puts(out, ": the paper score is near zero while the strict one is not; the answers are probably "
                      "spelt otherwise than the gold labels: see label_words of the prompt set\n");
}

static enum lay_status put_average_note(struct lay_str *out, const char *name,
                                        const struct lay_task_result *task, struct lay_err *err)
{
    struct lay_average average;
    LAY_TRY(lay_task_average(task, LAY_SET_AVG, &average, err));
    if (average.languages == 0 || average.languages == average.expected)
        return LAY_OK;
    lay_text_put(out, name, 0);
    lay_str_printf(out, ": averages over %zu of %zu languages, not comparable with those over all\n",
                   average.languages, average.expected);
    return LAY_OK;
}

static enum lay_status put_notes(struct lay_str *out, const struct table *table, struct lay_err *err)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct lay_task_result *task = lay_task_of(&table->systems[i], table->task);
        if (!task)
            continue;
        const struct lay_counts counts = task_counts(task);
        put_remarks(out, table->systems[i].name, &counts);
        LAY_TRY(put_average_note(out, table->systems[i].name, task, err));
        put_label_note(out, table->systems[i].name, task, &counts);
    }
    return LAY_OK;
}

static enum lay_status put_task(struct lay_str *out, struct table *table, const char *title,
                                struct lay_err *err)
{
    find_columns(table);
    size_t block = table->n_columns;
    if (table->options->width > table->name_width + COLUMN)
        block = (table->options->width - table->name_width) / COLUMN;
    lay_str_printf(out, "%s, accuracy in %%\n", title);
    for (size_t from = 0; from < table->n_columns; from += block) {
        const size_t to = from + block < table->n_columns ? from + block : table->n_columns;
        put_header(out, table, from, to);
        for (size_t i = 0; i < table->count; i++)
            LAY_TRY(put_system(out, table, &table->systems[i], from, to, err));
    }
    LAY_TRY(put_notes(out, table, err));
    lay_str_putc(out, '\n');
    return LAY_OK;
}

enum lay_status lay_table_put(struct lay_str *out, const struct lay_system_result *systems, size_t count,
                              const struct lay_table_options *options, struct lay_err *err)
{
    struct table table = {.systems = systems, .count = count, .options = options};
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < systems[i].count; j++) {
            bool seen = false;
            table.task = systems[i].tasks[j].task;
            for (size_t k = 0; k < i; k++)
                seen |= lay_task_of(&systems[k], table.task) != NULL;
            if (!seen)
                LAY_TRY(put_task(out, &table, systems[i].tasks[j].title, err));
        }
    return lay_str_check(out, err);
}

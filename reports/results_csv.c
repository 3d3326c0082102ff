#include "reports/results_csv.h"

#include "engine/base/json.h"
#include "engine/base/mem.h"
#include "reports/accuracy.h"

#include <csv.h>
#include <math.h>
#include <string.h>

static const char *const titles[LAY_COLUMN_COUNT] = {
    "system",        "task",        "language",       "group",        "n",        "error",
    "correct_paper", "wrong_paper", "correct_strict", "wrong_strict", "unparsed", "acc_paper",
    "acc_strict",    "ci_low",      "ci_high",        "ended_length", "truncated"};
const struct lay_csv_columns lay_results_columns = {titles, LAY_COLUMN_COUNT};

enum lay_status lay_csv_field(struct lay_str *out, const char *text, struct lay_err *err)
{
    const size_t length = strlen(text);
    if (!strpbrk(text, ",\"\r\n")) {
        lay_str_append(out, text, length);
        return lay_str_check(out, err);
    }
    const size_t size = csv_write(NULL, 0, text, length);
    char *quoted = lay_alloc(size + 1, 1);
    if (!quoted)
        return lay_no_memory(err, "a CSV field");
    csv_write(quoted, size, text, length);
    lay_str_append(out, quoted, size);
    lay_free(quoted);
    return lay_str_check(out, err);
}

static void put_percent(struct lay_str *out, double percent)
{
    lay_str_putc(out, ',');
    if (!isnan(percent))
        lay_json_put_double(out, percent);
}

struct row {
    const char *language, *group;
    struct lay_counts counts;
    double paper, strict;         /* percent */
    struct lay_interval interval; /* fractions */
};

static enum lay_status put_row(struct lay_str *out, const struct lay_system_result *system,
                               const struct lay_task_result *task, const struct row *row, struct lay_err *err)
{
    const struct lay_counts *c = &row->counts;
    const char *const texts[] = {system->name, task->task, row->language, row->group};
    const int64_t counts[] = {
        c->n, c->error, c->correct_paper, c->wrong_paper, c->correct_strict, c->wrong_strict, c->unparsed};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (i)
            lay_str_putc(out, ',');
        LAY_TRY(lay_csv_field(out, texts[i], err));
    }
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        lay_str_printf(out, ",%lld", (long long)counts[i]);
    put_percent(out, row->paper);
    put_percent(out, row->strict);
    put_percent(out, lay_round(100 * row->interval.low, 2));
    put_percent(out, lay_round(100 * row->interval.high, 2));
    lay_str_printf(out, ",%lld,%lld\n", (long long)c->ended_length, (long long)c->truncated);
    return lay_str_check(out, err);
}

static enum lay_status put_language(struct lay_str *out, const struct lay_system_result *system,
                                    const struct lay_task_result *task, const struct lay_cell *cell,
                                    struct lay_err *err)
{
    static const char *const groups[] = {"", "lrl", "hrl"};
    struct row row = {
        .language = cell->language, .group = groups[cell->group], .counts = lay_cell_counts(cell)};
    row.paper = lay_accuracy(row.counts.correct_paper, row.counts.n);
    row.strict = lay_accuracy(row.counts.correct_strict, row.counts.n);
    row.interval = lay_wilson(row.counts.correct_paper, row.counts.n);
    return put_row(out, system, task, &row, err);
}

static enum lay_status put_average(struct lay_str *out, const struct lay_system_result *system,
                                   const struct lay_task_result *task, enum lay_set set, struct lay_err *err)
{
    struct lay_average average;
    struct lay_str languages = {0};
    LAY_TRY(lay_task_average(task, set, &average, err));
    if (average.languages == 0 || average.expected == 0)
        return LAY_OK;
    lay_average_languages(&languages, task, set);
    enum lay_status status = lay_str_check(&languages, err);
    const struct row row = {.language = lay_set_name(set),
                            .group = lay_str_text(&languages),
                            .counts = average.counts,
                            .paper = average.paper,
                            .strict = average.strict,
                            .interval = average.paper_fraction.interval};
    if (status == LAY_OK)
        status = put_row(out, system, task, &row, err);
    lay_str_free(&languages);
    return status;
}

static enum lay_status put_task(struct lay_str *out, const struct lay_system_result *system,
                                const struct lay_task_result *task, struct lay_err *err)
{
    for (size_t i = 0; i < task->count; i++)
        LAY_TRY(put_language(out, system, task, &task->cells[i], err));
    for (enum lay_set set = 0; set < LAY_SET_COUNT; set++)
        LAY_TRY(put_average(out, system, task, set, err));
    return LAY_OK;
}

enum lay_status lay_results_csv_put(struct lay_str *out, const struct lay_system_result *systems,
                                    size_t count, struct lay_err *err)
{
    for (size_t i = 0; i < LAY_COLUMN_COUNT; i++)
        lay_str_printf(out, "%s%c", titles[i], i + 1 < LAY_COLUMN_COUNT ? ',' : '\n');
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < systems[i].count; j++)
            LAY_TRY(put_task(out, &systems[i], &systems[i].tasks[j], err));
    return lay_str_check(out, err);
}

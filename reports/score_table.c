#include "reports/score_table.h"

#include "engine/base/mem.h"
#include "reports/view.h"

#include <math.h>
#include <string.h>

enum { OWN_DECIMALS = 1 };

static const struct lay_score_column averages[LAY_SET_COUNT] = {
    [LAY_SET_LRL] = {"lrl", "Lrl.", "low-resource languages", true, LAY_SET_LRL},
    [LAY_SET_HRL] = {"hrl", "Hrl.", "high-resource languages", true, LAY_SET_HRL},
    [LAY_SET_AVG] = {"avg", "Avg.", "all languages", true, LAY_SET_AVG},
};

static bool has_column(const struct lay_score_table *table, const char *key)
{
    for (size_t i = 0; i < table->n_columns; i++)
        if (strcmp(table->columns[i].key, key) == 0)
            return true;
    return false;
}

/* Languages in the order of the first system that has them; then the averages some system has. */
static void add_columns(struct lay_score_table *table)
{
    bool has[LAY_SET_COUNT] = {false};
    for (size_t r = 0; r < table->n_rows; r++) {
        const struct lay_task_result *task = table->rows[r].task;
        for (size_t i = 0; task && i < task->count; i++) {
            const struct lay_cell *cell = &task->cells[i];
            if (!has_column(table, cell->language))
                table->columns[table->n_columns++] = (struct lay_score_column){
                    .key = cell->language, .title = cell->language, .name = cell->language_name};
            for (enum lay_set set = 0; set < LAY_SET_COUNT; set++)
                has[set] |= task->set_size[set] && lay_set_has(set, cell);
        }
    }
    for (enum lay_set set = 0; set < LAY_SET_COUNT; set++)
        if (has[set])
            table->columns[table->n_columns++] = averages[set];
}

static const struct lay_score no_score = {
    .paper = NAN, .strict = NAN, .decimals = OWN_DECIMALS, .interval = {NAN, NAN}};

static struct lay_interval percent(struct lay_interval fraction)
{
    return (struct lay_interval){100 * fraction.low, 100 * fraction.high};
}

static enum lay_status score_system(const struct lay_task_result *task, const struct lay_score_column *column,
                                    struct lay_score *score, struct lay_err *err)
{
    *score = no_score;
    if (column->average) {
        struct lay_average average;
        LAY_TRY(lay_task_average(task, column->set, &average, err));
        score->paper = average.paper;
        score->strict = average.strict;
        score->interval = percent(average.paper_fraction.interval);
        score->partial = average.languages != average.expected;
        return LAY_OK;
    }
    const struct lay_cell *cell = lay_cell_of(task, column->key);
    if (cell && cell->count) {
        const struct lay_counts counts = lay_cell_counts(cell);
        score->paper = lay_accuracy(counts.correct_paper, counts.n);
        score->strict = lay_accuracy(counts.correct_strict, counts.n);
        score->interval = percent(lay_wilson(counts.correct_paper, counts.n));
    }
    return LAY_OK;
}

/* Whether some system says that the language is in no average. */
static bool outside_averages(const struct lay_score_table *table, const char *language)
{
    for (size_t r = 0; r < table->n_rows; r++) {
        const struct lay_cell *cell = table->rows[r].task ? lay_cell_of(table->rows[r].task, language) : NULL;
        if (cell)
            return !cell->in_average;
    }
    return false;
}

/* The papers' averages have as many languages as set_size says; a row that lists more averages over more. */
static bool averages_over_others(const struct lay_score_table *table, const struct lay_baseline *published)
{
    size_t languages = 0;
    for (size_t i = 0; i < published->count; i++) {
        const char *key = published->figures[i].language;
        bool is_average = false;
        for (enum lay_set set = 0; set < LAY_SET_COUNT; set++)
            is_average |= strcmp(key, averages[set].key) == 0;
        languages += !is_average;
        if (!is_average && outside_averages(table, key))
            return true;
    }
    return languages > table->rows[0].task->set_size[LAY_SET_AVG];
}

static void score_published(const struct lay_score_table *table, const struct lay_baseline *published,
                            const struct lay_score_column *column, struct lay_score *score)
{
    const struct lay_figure *figure = lay_baseline_figure(published, column->key);
    *score = no_score;
    if (!figure)
        return;
    score->paper = figure->accuracy;
    score->decimals = figure->decimals;
    score->partial = column->average && averages_over_others(table, published);
}

static bool ranked(const struct lay_score *score)
{
    return !isnan(score->paper) && !score->partial;
}

/* The highest figure of the column below `under`; NaN if there is none. */
static double highest(const struct lay_score_table *table, size_t column, double under)
{
    double best = NAN;
    for (size_t r = 0; r < table->n_rows; r++) {
        const struct lay_score *score = lay_score_at(table, r, column);
        const double value = lay_round(score->paper, 1);
        if (ranked(score) && value < under && !(value <= best))
            best = value;
    }
    return best;
}

static void rank_column(struct lay_score_table *table, size_t column)
{
    size_t figures = 0;
    for (size_t r = 0; r < table->n_rows; r++)
        figures += ranked(lay_score_at(table, r, column));
    if (figures < 2)
        return;
    const double best = highest(table, column, INFINITY), second = highest(table, column, best);
    for (size_t r = 0; r < table->n_rows; r++) {
        struct lay_score *score = &table->scores[r * table->n_columns + column];
        const double value = lay_round(score->paper, 1);
        score->place = !ranked(score) ? 0 : value == best ? 1 : value == second ? 2 : 0;
    }
}

static enum lay_status fill(struct lay_score_table *table, struct lay_err *err)
{
    for (size_t r = 0; r < table->n_rows; r++)
        for (size_t c = 0; c < table->n_columns; c++) {
            struct lay_score *score = &table->scores[r * table->n_columns + c];
            if (table->rows[r].published)
                score_published(table, table->rows[r].published, &table->columns[c], score);
            else
                LAY_TRY(score_system(table->rows[r].task, &table->columns[c], score, err));
        }
    for (size_t c = 0; c < table->n_columns; c++)
        rank_column(table, c);
    return LAY_OK;
}

static void add_rows(struct lay_score_table *table, const struct lay_system_result *systems, size_t count,
                     const struct lay_baseline_list *baselines)
{
    for (size_t s = 0; s < count; s++) {
        const struct lay_task_result *task = lay_task_of(&systems[s], table->task);
        if (!task)
            continue;
        table->rows[table->n_rows++] =
            (struct lay_score_row){.name = systems[s].name, .system = &systems[s], .task = task};
        table->title = table->title ? table->title : task->title;
    }
    for (size_t b = 0; table->n_rows && baselines && b < baselines->count; b++)
        if (strcmp(baselines->rows[b].task, table->task) == 0)
            table->rows[table->n_rows++] =
                (struct lay_score_row){.name = baselines->rows[b].system, .published = &baselines->rows[b]};
}

enum lay_status lay_score_table_create(const struct lay_system_result *systems, size_t count,
                                       const struct lay_baseline_list *baselines, const char *task,
                                       struct lay_score_table *table, struct lay_err *err)
{
    size_t columns = LAY_SET_COUNT;
    for (size_t s = 0; s < count; s++) {
        const struct lay_task_result *own = lay_task_of(&systems[s], task);
        columns += own ? own->count : 0;
    }
    *table = (struct lay_score_table){.task = task};
    table->rows = lay_alloc(count + (baselines ? baselines->count : 0) + 1, sizeof *table->rows);
    table->columns = lay_alloc(columns, sizeof *table->columns);
    if (!table->rows || !table->columns)
        return lay_no_memory(err, "a table of scores");
    add_rows(table, systems, count, baselines);
    add_columns(table);
    table->scores = lay_alloc(table->n_rows * table->n_columns + 1, sizeof *table->scores);
    if (!table->scores)
        return lay_no_memory(err, "a table of scores");
    return fill(table, err);
}

void lay_score_table_free(struct lay_score_table *table)
{
    lay_free(table->columns);
    lay_free(table->rows);
    lay_free(table->scores);
    *table = (struct lay_score_table){0};
}

const struct lay_score *lay_score_at(const struct lay_score_table *table, size_t row, size_t column)
{
    return &table->scores[row * table->n_columns + column];
}

void lay_score_put(struct lay_str *out, const struct lay_score *score)
{
    if (isnan(score->paper))
        lay_str_putc(out, '-');
    else
        lay_str_printf(out, "%.*f", score->decimals, score->paper);
}

const char **lay_score_tasks(const struct lay_system_result *systems, size_t count, size_t *n_tasks)
{
    size_t room = 1;
    for (size_t s = 0; s < count; s++)
        room += systems[s].count;
    const char **tasks = lay_alloc(room, sizeof *tasks);
    *n_tasks = 0;
    for (size_t s = 0; tasks && s < count; s++)
        for (size_t t = 0; t < systems[s].count; t++) {
            bool seen = false;
            for (size_t i = 0; i < *n_tasks; i++)
                seen |= strcmp(tasks[i], systems[s].tasks[t].task) == 0;
            if (!seen)
                tasks[(*n_tasks)++] = systems[s].tasks[t].task;
        }
    return tasks;
}

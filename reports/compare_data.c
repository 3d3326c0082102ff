/* Comparisons for programs: CSV, JSON, and the flipped samples as JSON lines. */
#include "reports/compare_put.h"

#include "reports/accuracy.h"
#include "reports/emit.h"
#include "reports/results_csv.h"

#include <math.h>

/* The figures of a row, under the names both formats have for them. */
struct figure {
    const char *name;
    bool whole;
    double value; /* NaN: there is none */
};

enum { FIGURES = 13 };

static void figures_of(const struct lay_compare_row *row, struct figure figures[FIGURES])
{
    const struct figure list[FIGURES] = {
        {"n", true, (double)row->pair.n},
        {"acc_a", false, row->accuracy_a},
        {"acc_b", false, row->accuracy_b},
        {"difference", false, lay_round(100 * row->difference, 4)},
        {"ci_low", false, lay_round(100 * row->interval.low, 4)},
        {"ci_high", false, lay_round(100 * row->interval.high, 4)},
        {"only_a", true, (double)row->pair.only_a},
        {"only_b", true, (double)row->pair.only_b},
        {"both", true, (double)row->pair.both},
        {"errors_a", true, (double)row->errors_a},
        {"errors_b", true, (double)row->errors_b},
        {"p", false, row->p},
        {"p_holm", false, row->p_holm},
    };
    for (size_t i = 0; i < FIGURES; i++)
        figures[i] = list[i];
}

/* --- CSV --- */

static enum lay_status put_csv_row(struct lay_str *out, const struct lay_comparison *comparison,
                                   const struct lay_compare_task *task, const struct lay_compare_row *row,
                                   struct lay_err *err)
{
    struct figure figures[FIGURES];
    figures_of(row, figures);
    LAY_TRY(lay_csv_field(out, comparison->a->name, err));
    lay_str_putc(out, ',');
    LAY_TRY(lay_csv_field(out, comparison->b->name, err));
    lay_str_printf(out, ",%s,%s,%s", lay_scorer_name(comparison->scorer), task->a->task, row->name);
    for (size_t i = 0; i < FIGURES; i++) {
        lay_str_putc(out, ',');
        if (figures[i].whole)
            lay_str_printf(out, "%lld", (long long)figures[i].value);
        else if (!isnan(figures[i].value))
            lay_json_put_double(out, figures[i].value);
    }
    lay_str_putc(out, '\n');
    return lay_str_check(out, err);
}

enum lay_status lay_compare_put_csv(struct lay_str *out, const struct lay_comparison *comparisons,
                                    size_t count, const struct lay_compare_put_options *options,
                                    struct lay_err *err)
{
    (void)options;
    lay_str_puts(out, "a,b,score,task,language,n,acc_a,acc_b,difference,ci_low,ci_high,only_a,only_b,both,"
                      "errors_a,errors_b,p,p_holm\n");
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < comparisons[i].count; j++)
            for (size_t k = 0; k < comparisons[i].tasks[j].count; k++)
                LAY_TRY(put_csv_row(out, &comparisons[i], &comparisons[i].tasks[j],
                                    &comparisons[i].tasks[j].rows[k], err));
    return lay_str_check(out, err);
}

/* --- JSON --- */

static void put_ids(struct lay_emit *emit, const struct lay_compare_row *row, const char *key, bool gained)
{
    const size_t flips = (size_t)(row->pair.only_a + row->pair.only_b);
    lay_emit_open(emit, key, '[');
    for (size_t i = 0; i < flips; i++)
        if (row->flips[i].gained == gained)
            lay_emit_int(emit, NULL, row->flips[i].a->doc_id);
    lay_emit_close(emit, ']');
}

static void put_json_row(struct lay_emit *emit, const struct lay_compare_row *row)
{
    struct figure figures[FIGURES];
    figures_of(row, figures);
    lay_emit_open(emit, NULL, '{');
    lay_emit_string(emit, "language", row->name);
    for (size_t i = 0; i < FIGURES; i++) {
        if (figures[i].whole)
            lay_emit_int(emit, figures[i].name, (int64_t)figures[i].value);
        else
            lay_emit_double(emit, figures[i].name, figures[i].value);
    }
    if (row->pool) {
        lay_emit_int(emit, "languages", (int64_t)row->languages);
        lay_emit_int(emit, "expected_languages", (int64_t)row->expected);
    } else {
        put_ids(emit, row, "gained", true);
        put_ids(emit, row, "lost", false);
    }
    lay_emit_close(emit, '}');
}

static void put_json_comparison(struct lay_emit *emit, const struct lay_comparison *comparison)
{
    lay_emit_open(emit, NULL, '{');
    lay_emit_string(emit, "a", comparison->a->name);
    lay_emit_string(emit, "b", comparison->b->name);
    lay_emit_open(emit, "tasks", '[');
    for (size_t i = 0; i < comparison->count; i++) {
        lay_emit_open(emit, NULL, '{');
        lay_emit_string(emit, "task", comparison->tasks[i].a->task);
        lay_emit_open(emit, "rows", '[');
        for (size_t j = 0; j < comparison->tasks[i].count; j++)
            put_json_row(emit, &comparison->tasks[i].rows[j]);
        lay_emit_close(emit, ']');
        lay_emit_close(emit, '}');
    }
    lay_emit_close(emit, ']');
    lay_emit_close(emit, '}');
}

enum lay_status lay_compare_put_json(struct lay_str *out, const struct lay_comparison *comparisons,
                                     size_t count, const struct lay_compare_put_options *options,
                                     struct lay_err *err)
{
    struct lay_emit emit = {.out = out, .indent = 2};
    lay_emit_open(&emit, NULL, '{');
    lay_emit_string(&emit, "score", lay_scorer_name(options->compare.scorer));
    lay_emit_int(&emit, "seed", (int64_t)options->compare.seed);
    lay_emit_int(&emit, "resamples", (int64_t)options->compare.resamples);
    lay_emit_open(&emit, "comparisons", '[');
    for (size_t i = 0; i < count; i++)
        put_json_comparison(&emit, &comparisons[i]);
    lay_emit_close(&emit, ']');
    lay_emit_close(&emit, '}');
    lay_str_putc(out, '\n');
    return lay_str_check(out, err);
}

/* --- flipped samples --- */

static const char *extracted(const struct lay_record *record, enum lay_scorer scorer)
{
    return scorer == LAY_SCORER_PAPER ? record->paper_extracted : record->strict_extracted;
}

static void put_flip(struct lay_str *out, const struct lay_comparison *comparison,
                     const struct lay_compare_task *task, const struct lay_compare_row *row,
                     const struct lay_flip *flip)
{
    struct lay_emit emit = {.out = out, .indent = -1};
    lay_emit_open(&emit, NULL, '{');
    lay_emit_string(&emit, "a", comparison->a->name);
    lay_emit_string(&emit, "b", comparison->b->name);
    lay_emit_string(&emit, "score", lay_scorer_name(comparison->scorer));
    lay_emit_string(&emit, "task", task->a->task);
    lay_emit_string(&emit, "language", row->name);
    lay_emit_int(&emit, "doc_id", flip->a->doc_id);
    lay_emit_string(&emit, "change", flip->gained ? "gained" : "lost");
    lay_emit_string(&emit, "target", flip->a->target);
    lay_emit_string(&emit, "extracted_a", extracted(flip->a, comparison->scorer));
    lay_emit_string(&emit, "extracted_b", extracted(flip->b, comparison->scorer));
    lay_emit_string(&emit, "output_a", flip->a->output);
    lay_emit_string(&emit, "output_b", flip->b->output);
    lay_emit_json(&emit, "doc", flip->a->doc);
    lay_emit_close(&emit, '}');
    lay_str_putc(out, '\n');
}

static void put_task_flips(struct lay_str *out, const struct lay_comparison *comparison,
                           const struct lay_compare_task *task)
{
    for (size_t i = 0; i < task->count; i++) {
        const struct lay_compare_row *row = &task->rows[i];
        const size_t flips = row->pool ? 0 : (size_t)(row->pair.only_a + row->pair.only_b);
        for (size_t j = 0; j < flips; j++)
            put_flip(out, comparison, task, row, &row->flips[j]);
    }
}

enum lay_status lay_compare_put_flips(struct lay_str *out, const struct lay_comparison *comparisons,
                                      size_t count, struct lay_err *err)
{
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < comparisons[i].count; j++)
            put_task_flips(out, &comparisons[i], &comparisons[i].tasks[j]);
    return lay_str_check(out, err);
}

const struct lay_compare_format lay_compare_formats[] = {
    {"terminal", true, lay_compare_put_terminal},
    {"md", true, lay_compare_put_markdown},
    {"csv", false, lay_compare_put_csv},
    {"json", false, lay_compare_put_json},
};
const size_t lay_compare_format_count = sizeof lay_compare_formats / sizeof *lay_compare_formats;

#include "reports/compare.h"

#include "engine/base/hash.h"
#include "engine/base/mem.h"
#include "reports/view.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

const char *lay_scorer_name(enum lay_scorer scorer)
{
    static const char *const names[LAY_SCORER_COUNT] = {"paper", "strict"};
    return names[scorer];
}

enum lay_status lay_scorer_find(const char *name, enum lay_scorer *scorer, struct lay_err *err)
{
    for (*scorer = 0; *scorer < LAY_SCORER_COUNT; (*scorer)++)
        if (strcmp(name, lay_scorer_name(*scorer)) == 0)
            return LAY_OK;
    return lay_fail(err, LAY_ERR_USAGE, "--score: \"%s\" is neither paper nor strict", name);
}

int64_t lay_scorer_hits(enum lay_scorer scorer, const struct lay_counts *counts)
{
    return scorer == LAY_SCORER_PAPER ? counts->correct_paper : counts->correct_strict;
}

bool lay_scorer_right(enum lay_scorer scorer, const struct lay_record *record)
{
    return scorer == LAY_SCORER_PAPER ? record->paper_correct : record->strict_correct;
}

struct lay_paired lay_pair_cells(const struct lay_cell *a, const struct lay_cell *b, enum lay_scorer scorer,
                                 struct lay_flip *flips)
{
    struct lay_paired pair = {0};
    for (size_t i = 0, j = 0; i < a->count && j < b->count;) {
        const struct lay_record *x = &a->records[i], *y = &b->records[j];
        i += x->doc_id <= y->doc_id;
        j += y->doc_id <= x->doc_id;
        if (x->doc_id != y->doc_id)
            continue;
        const bool right_a = lay_scorer_right(scorer, x), right_b = lay_scorer_right(scorer, y);
        if (flips && right_a != right_b)
            flips[pair.only_a + pair.only_b] = (struct lay_flip){x, y, right_b};
        pair.n++;
        pair.both += right_a && right_b;
        pair.only_a += right_a && !right_b;
        pair.only_b += right_b && !right_a;
    }
    return pair;
}

/* --- languages --- */

static uint64_t stream_of(const struct lay_task_result *task, const char *language)
{
    char name[sizeof task->task + 16];
    const int length = snprintf(name, sizeof name, "%s_%s", task->task, language);
    return lay_hash_bytes(name, (size_t)length).low;
}

static enum lay_status compare_language(const struct lay_task_result *task, const struct lay_cell *a,
                                        const struct lay_cell *b, const struct lay_compare_options *options,
                                        struct lay_compare_row *row, struct lay_err *err)
{
    const struct lay_counts counts_a = lay_cell_counts(a), counts_b = lay_cell_counts(b);
    snprintf(row->name, sizeof row->name, "%s", a->language);
    row->languages = row->expected = 1;
    row->pair = lay_pair_cells(a, b, options->scorer, NULL);
    row->flips = lay_alloc((size_t)(row->pair.only_a + row->pair.only_b) + 1, sizeof *row->flips);
    if (!row->flips)
        return lay_no_memory(err, "the flipped samples");
    lay_pair_cells(a, b, options->scorer, row->flips);
    row->errors_a = counts_a.error;
    row->errors_b = counts_b.error;
    row->accuracy_a = lay_accuracy(lay_scorer_hits(options->scorer, &counts_a), counts_a.n);
    row->accuracy_b = lay_accuracy(lay_scorer_hits(options->scorer, &counts_b), counts_b.n);
    row->difference = lay_paired_difference(&row->pair);
    row->p = lay_mcnemar(row->pair.only_a, row->pair.only_b);
    const struct lay_paired_stratum stratum = {row->pair, 1, stream_of(task, a->language)};
    return lay_paired_bootstrap(&stratum, 1, options->seed, options->resamples, &row->interval, err);
}

static enum lay_status adjust(struct lay_compare_row *rows, size_t count, struct lay_err *err)
{
    double *p = lay_alloc(2 * count + 1, sizeof *p);
    if (!p)
        return lay_no_memory(err, "p values");
    for (size_t i = 0; i < count; i++)
        p[i] = rows[i].p;
    lay_holm(p, count, p + count);
    for (size_t i = 0; i < count; i++)
        rows[i].p_holm = p[count + i];
    lay_free(p);
    return LAY_OK;
}

/* --- pools --- */

/* The rows of languages that belong to a pool, as strata; `in` tells which. */
static enum lay_status compare_pool(const struct lay_compare_task *task, size_t languages, const bool *in,
                                    const struct lay_compare_options *options, struct lay_compare_row *row,
                                    struct lay_err *err)
{
    const bool by_sample = strcmp(row->name, "all") == 0;
    struct lay_paired_stratum *strata = lay_alloc(languages + 1, sizeof *strata);
    if (!strata)
        return lay_no_memory(err, "pools of languages");
    row->pool = true;
    row->p_holm = NAN;
    for (size_t i = 0; i < languages; i++) {
        const struct lay_compare_row *part = &task->rows[i];
        if (!in[i] || (by_sample && part->pair.n == 0))
            continue;
        strata[row->languages++] =
            (struct lay_paired_stratum){.pair = part->pair, .stream = stream_of(task->a, part->name)};
        row->pair.n += part->pair.n;
        row->pair.both += part->pair.both;
        row->pair.only_a += part->pair.only_a;
        row->pair.only_b += part->pair.only_b;
        row->errors_a += part->errors_a;
        row->errors_b += part->errors_b;
    }
    double difference = 0;
    for (size_t i = 0; i < row->languages; i++) {
        strata[i].weight =
            by_sample ? (double)strata[i].pair.n / (double)row->pair.n : 1 / (double)row->languages;
        difference += strata[i].weight * lay_paired_difference(&strata[i].pair);
    }
    row->difference = row->languages ? difference : NAN;
    row->p = lay_mcnemar(row->pair.only_a, row->pair.only_b);
    const enum lay_status status =
        lay_paired_bootstrap(strata, row->languages, options->seed, options->resamples, &row->interval, err);
    lay_free(strata);
    return status;
}

static enum lay_status compare_set(struct lay_compare_task *task, size_t languages, enum lay_set set,
                                   const struct lay_compare_options *options, bool *in, struct lay_err *err)
{
    struct lay_average a, b;
    LAY_TRY(lay_task_average(task->a, set, &a, err));
    LAY_TRY(lay_task_average(task->b, set, &b, err));
    if (a.languages == 0 || a.expected == 0)
        return LAY_OK;
    struct lay_compare_row *row = &task->rows[task->count++];
    snprintf(row->name, sizeof row->name, "%s", lay_set_name(set));
    row->expected = a.expected;
    row->accuracy_a = options->scorer == LAY_SCORER_PAPER ? a.paper : a.strict;
    row->accuracy_b = options->scorer == LAY_SCORER_PAPER ? b.paper : b.strict;
    for (size_t i = 0; i < languages; i++)
        in[i] = lay_set_has(set, &task->a->cells[i]);
    return compare_pool(task, languages, in, options, row, err);
}

static enum lay_status compare_all(struct lay_compare_task *task, size_t languages,
                                   const struct lay_compare_options *options, bool *in, struct lay_err *err)
{
    struct lay_compare_row *row = &task->rows[task->count++];
    snprintf(row->name, sizeof row->name, "all");
    row->expected = languages;
    for (size_t i = 0; i < languages; i++)
        in[i] = true;
    LAY_TRY(compare_pool(task, languages, in, options, row, err));
    row->accuracy_a = lay_accuracy(row->pair.both + row->pair.only_a, row->pair.n);
    row->accuracy_b = lay_accuracy(row->pair.both + row->pair.only_b, row->pair.n);
    return LAY_OK;
}

/* --- tasks --- */

static enum lay_status compare_task(struct lay_compare_task *task, const struct lay_compare_options *options,
                                    struct lay_err *err)
{
    const size_t languages = task->a->count;
    enum lay_status status = LAY_OK;
    bool *in = lay_alloc(languages + 1, sizeof *in);
    task->rows = lay_alloc(languages + LAY_SET_COUNT + 1, sizeof *task->rows);
    if (!in || !task->rows)
        status = lay_no_memory(err, "the comparison");
    for (size_t i = 0; i < languages && status == LAY_OK; i++) {
        const struct lay_cell *a = &task->a->cells[i], *b = lay_cell_of(task->b, a->language);
        status = compare_language(task->a, a, b, options, &task->rows[task->count++], err);
    }
    if (status == LAY_OK)
        status = adjust(task->rows, languages, err);
    for (enum lay_set set = 0; set < LAY_SET_COUNT && status == LAY_OK; set++)
        status = compare_set(task, languages, set, options, in, err);
    if (status == LAY_OK)
        status = compare_all(task, languages, options, in, err);
    lay_free(in);
    return status;
}

enum lay_status lay_comparison_create(const struct lay_system_result *a, const struct lay_system_result *b,
                                      const struct lay_compare_options *options,
                                      struct lay_comparison *comparison, struct lay_err *err)
{
    enum lay_status status;
    *comparison = (struct lay_comparison){.a = a, .b = b, .scorer = options->scorer};
    LAY_TRY(lay_compare_check(a, b, err));
    comparison->tasks = lay_alloc(a->count + 1, sizeof *comparison->tasks);
    if (!comparison->tasks)
        return lay_no_memory(err, "the comparison");
    for (size_t i = 0; i < a->count; i++) {
        struct lay_compare_task *task = &comparison->tasks[comparison->count++];
        task->a = &a->tasks[i];
        task->b = lay_task_of(b, a->tasks[i].task);
        LAY_TRY_GOTO(status, compare_task(task, options, err), fail);
    }
    return LAY_OK;
fail:
    lay_comparison_free(comparison);
    return status;
}

void lay_comparison_free(struct lay_comparison *comparison)
{
    for (size_t i = 0; i < comparison->count; i++) {
        for (size_t j = 0; j < comparison->tasks[i].count; j++)
            lay_free(comparison->tasks[i].rows[j].flips);
        lay_free(comparison->tasks[i].rows);
    }
    lay_free(comparison->tasks);
    *comparison = (struct lay_comparison){0};
}

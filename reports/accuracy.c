#include "reports/accuracy.h"

#include "engine/base/mem.h"
#include "engine/base/str.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void lay_counts_add(struct lay_counts *counts, const struct lay_counts *more)
{
    counts->n += more->n;
    counts->error += more->error;
    counts->correct_paper += more->correct_paper;
    counts->wrong_paper += more->wrong_paper;
    counts->correct_strict += more->correct_strict;
    counts->wrong_strict += more->wrong_strict;
    counts->unparsed += more->unparsed;
    counts->disagree += more->disagree;
    counts->ended_eos += more->ended_eos;
    counts->ended_length += more->ended_length;
    counts->ended_stop += more->ended_stop;
    counts->ended_unknown += more->ended_unknown;
    counts->truncated += more->truncated;
}

static void count_answer(struct lay_counts *counts, const struct lay_record *record)
{
    if (record->paper_correct)
        counts->correct_paper++;
    else
        counts->wrong_paper++;
    if (record->strict_correct)
        counts->correct_strict++;
    else if (record->unparsed)
        counts->unparsed++;
    else
        counts->wrong_strict++;
    counts->disagree += record->paper_correct != record->strict_correct;
    if (strcmp(record->ended, "eos") == 0)
        counts->ended_eos++;
    else if (strcmp(record->ended, "length") == 0)
        counts->ended_length++;
    else if (strcmp(record->ended, "stop") == 0)
        counts->ended_stop++;
    else
        counts->ended_unknown++;
}

struct lay_counts lay_cell_counts(const struct lay_cell *cell)
{
    struct lay_counts counts = {.n = (int64_t)cell->count};
    for (size_t i = 0; i < cell->count; i++) {
        counts.truncated += cell->records[i].truncated;
        if (cell->records[i].error)
            counts.error++;
        else
            count_answer(&counts, &cell->records[i]);
    }
    return counts;
}

double lay_round(double value, int decimals)
{
    char text[400]; /* DBL_MAX has 309 digits before the point */
    snprintf(text, sizeof text, "%.*f", decimals, value);
    return strtod(text, NULL);
}

double lay_accuracy(int64_t hits, int64_t n)
{
    return n > 0 ? lay_round((double)hits / (double)n * 100, 2) : NAN;
}

double lay_accuracy_average(const double *accuracies, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += accuracies[i];
    return count ? lay_round(sum / (double)count, 1) : NAN;
}

bool lay_set_has(enum lay_set set, const struct lay_cell *cell)
{
    return cell->in_average &&
           (set == LAY_SET_AVG || cell->group == (set == LAY_SET_LRL ? LAY_GROUP_LRL : LAY_GROUP_HRL));
}

const char *lay_set_name(enum lay_set set)
{
    static const char *const names[LAY_SET_COUNT] = {"lrl", "hrl", "avg"};
    return names[set];
}

bool lay_set_find(const char *name, enum lay_set *set)
{
    for (*set = 0; *set < LAY_SET_COUNT; (*set)++)
        if (strcmp(name, lay_set_name(*set)) == 0)
            return true;
    return false;
}

/* Cells without an official place come after the others, by ISO code: the official code takes XNLI's
 * languages as its file has them, and the file is sorted that way. */
static bool official_before(const struct lay_cell *a, const struct lay_cell *b)
{
    const int place_a = a->official_order, place_b = b->official_order;
    if ((place_a < 0) != (place_b < 0))
        return place_b < 0;
    return place_a != place_b ? place_a < place_b : strcmp(a->language, b->language) < 0;
}

size_t *lay_official_order(const struct lay_task_result *task)
{
    size_t *order = lay_alloc(task->count + 1, sizeof *order);
    for (size_t i = 0; order && i < task->count; i++) {
        size_t at = i;
        for (; at > 0 && official_before(&task->cells[i], &task->cells[order[at - 1]]); at--)
            order[at] = order[at - 1];
        order[at] = i;
    }
    return order;
}

enum lay_status lay_task_average(const struct lay_task_result *task, enum lay_set set,
                                 struct lay_average *average, struct lay_err *err)
{
    enum lay_status status = LAY_OK;
    size_t *order = lay_official_order(task);
    double *paper = lay_alloc(task->count + 1, sizeof *paper),
           *strict = lay_alloc(task->count + 1, sizeof *strict);
    struct lay_stratum *strata = lay_alloc(2 * task->count + 1, sizeof *strata);
    *average = (struct lay_average){.expected = task->set_size[set]};
    if (!order || !paper || !strict || !strata) {
        status = lay_no_memory(err, "averages");
        goto done;
    }
    struct lay_stratum *strict_strata = strata + task->count;
    for (size_t i = 0; i < task->count; i++) {
        const struct lay_cell *cell = &task->cells[order[i]];
        if (!lay_set_has(set, cell))
            continue;
        const struct lay_counts counts = lay_cell_counts(cell);
        const size_t at = average->languages++;
        lay_counts_add(&average->counts, &counts);
        paper[at] = lay_accuracy(counts.correct_paper, counts.n);
        strict[at] = lay_accuracy(counts.correct_strict, counts.n);
        strata[at] = (struct lay_stratum){counts.correct_paper, counts.n};
        strict_strata[at] = (struct lay_stratum){counts.correct_strict, counts.n};
    }
    average->paper = lay_accuracy_average(paper, average->languages);
    average->strict = lay_accuracy_average(strict, average->languages);
    average->paper_fraction = lay_stratified(strata, average->languages);
    average->strict_fraction = lay_stratified(strict_strata, average->languages);
done:
    lay_free(order);
    lay_free(paper);
    lay_free(strict);
    lay_free(strata);
    return status;
}

void lay_average_languages(struct lay_str *out, const struct lay_task_result *task, enum lay_set set)
{
    bool first = true;
    for (size_t i = 0; i < task->count; i++) {
        if (!lay_set_has(set, &task->cells[i]))
            continue;
        lay_str_printf(out, "%s%s", first ? "" : "+", task->cells[i].language);
        first = false;
    }
}

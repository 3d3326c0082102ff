/* Counting and the official accuracy. Percentages as the papers print them: rounded like Python's round. */
#ifndef LAY_REPORTS_ACCURACY_H
#define LAY_REPORTS_ACCURACY_H

#include "reports/record.h"
#include "reports/statistics.h"

/* n = correct_paper + wrong_paper + error = correct_strict + wrong_strict + unparsed + error, always. */
struct lay_counts {
    int64_t n, error;
    int64_t correct_paper, wrong_paper;
    int64_t correct_strict, wrong_strict, unparsed;
    int64_t disagree; /* one scorer says right, the other does not */
    int64_t ended_eos, ended_length, ended_stop, ended_unknown;
    int64_t truncated;
};

void lay_counts_add(struct lay_counts *counts, const struct lay_counts *more);
struct lay_counts lay_cell_counts(const struct lay_cell *cell);

/* Python's round(value, decimals): the decimal nearest to the exact binary value, halves to even. */
double lay_round(double value, int decimals);

/* The official `round(hit / n * 100, 2)`; NaN for n = 0. Errors count in n and are never right. */
double lay_accuracy(int64_t hits, int64_t n);

/* The official average: rounded accuracies added one by one, `round(sum / count, 1)`. NaN for none. */
double lay_accuracy_average(const double *accuracies, size_t count);

/* One of the papers' averages over the languages of a task that the run has. */
struct lay_average {
    size_t languages; /* present; 0: there is no such average */
    size_t expected;  /* languages in the papers' average; fewer present make another figure */
    struct lay_counts counts;
    double paper, strict; /* percent, one decimal; added up in the official order of languages */
    struct lay_stratified paper_fraction, strict_fraction;
};

bool lay_set_has(enum lay_set set, const struct lay_cell *cell);
const char *lay_set_name(enum lay_set set);             /* "lrl", "hrl", "avg" */
bool lay_set_find(const char *name, enum lay_set *set); /* false if it is none of these */

/* LAY_ERR_MEMORY only. */
enum lay_status lay_task_average(const struct lay_task_result *task, enum lay_set set,
                                 struct lay_average *average, struct lay_err *err);

/* Appends the languages of an average that the run has, "bn+th+sw": averages are comparable when these are
 * the same. */
struct lay_str;
void lay_average_languages(struct lay_str *out, const struct lay_task_result *task, enum lay_set set);

/* Indices of a task's cells in the official code's order of languages. Returns; free with lay_free. */
size_t *lay_official_order(const struct lay_task_result *task);

#endif

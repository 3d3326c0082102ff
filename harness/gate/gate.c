#include "harness/gate/gate.h"

#include "engine/base/mem.h"
#include "reports/accuracy.h"
#include "reports/view.h"
#include "tasks/language.h"
#include "tasks/task.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDING 1e-9 /* percentage points: a drop of exactly max_drop passes */

const char *lay_gate_problem_name(enum lay_gate_problem problem)
{
    static const char *const names[LAY_GATE_PROBLEMS] = {"regression", "threshold", "missing",
                                                         "incomplete", "samples",   "errors"};
    return names[problem];
}

/* What is held against what. */
struct subject {
    struct lay_gate *gate;
    const struct lay_gate_options *options;
    const struct lay_loaded *run;
    const struct lay_system_result *view;
    const struct lay_reference *reference; /* may be NULL */
    const char *system;                    /* of the reference */
};

/* --- checks --- */

static enum lay_status add_check(const struct subject *subject, const char *task, const char *language,
                                 struct lay_gate_check **check, struct lay_err *err)
{
    struct lay_gate_checks *checks = &subject->gate->checks;
    if (!lay_grow((void **)&checks->items, &checks->capacity, checks->count + 1, sizeof *checks->items))
        return lay_no_memory(err, "the checks");
    *check = &checks->items[checks->count++];
    **check = (struct lay_gate_check){
        .system = subject->view->name, .accuracy = NAN, .reference = NAN, .drop = NAN, .p = NAN};
    snprintf((*check)->task, sizeof(*check)->task, "%s", task);
    snprintf((*check)->language, sizeof(*check)->language, "%s", language);
    return LAY_OK;
}

static void add_sentence(struct lay_str *to, const char *format, va_list arguments)
{
    char sentence[512];
    vsnprintf(sentence, sizeof sentence, format, arguments);
    lay_str_printf(to, "%s%s", to->length ? "; " : "", sentence);
}

__attribute__((format(printf, 2, 3))) static void note(struct lay_gate_check *check, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    add_sentence(&check->notes, format, arguments);
    va_end(arguments);
}

__attribute__((format(printf, 4, 5))) static void fail(struct lay_gate_check *check,
                                                       const struct lay_gate_options *options,
                                                       enum lay_gate_problem problem, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    add_sentence(options->allowed[problem] ? &check->notes : &check->failures, format, arguments);
    va_end(arguments);
    check->problems[problem] += !options->allowed[problem];
    check->failed |= !options->allowed[problem];
}

/* --- languages --- */

static int64_t promised_samples(const cJSON *manifest, const char *task, const char *language)
{
    const cJSON *item, *cell;
    int64_t n = 0;
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(manifest, "tasks"))
    {
        const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, "task"));
        if (!name || strcmp(name, task) != 0)
            continue;
        cJSON_ArrayForEach(cell, cJSON_GetObjectItemCaseSensitive(item, "languages"))
        {
            const char *iso = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(cell, "language"));
            if (iso && strcmp(iso, language) == 0 && lay_json_get_int(cell, "", "n", &n, NULL) != LAY_OK)
                n = 0;
        }
    }
    return n;
}

static void check_complete(const struct subject *subject, const struct lay_task_result *task,
                           const struct lay_cell *cell, struct lay_gate_check *check)
{
    const int64_t n = (int64_t)cell->count;
    const int64_t promised = promised_samples(subject->run->manifest, task->task, cell->language);
    if (n < promised || n == 0)
        fail(check, subject->options, LAY_GATE_INCOMPLETE, "only %lld of %lld samples are answered",
             (long long)n, (long long)promised);
}

/* A reference run may have had errors of its own: only more of them are a problem. */
static void check_errors(const struct subject *subject, const struct lay_counts *counts,
                         const struct lay_cell *theirs, struct lay_gate_check *check)
{
    const int64_t before = theirs ? lay_cell_counts(theirs).error : 0;
    if (counts->error > before)
        fail(check, subject->options, LAY_GATE_ERRORS, "%lld of %lld samples ended in an error%s",
             (long long)counts->error, (long long)counts->n, before ? ", more than in the reference" : "");
    else if (counts->error)
        note(check, "%lld of %lld samples ended in an error, no more than in the reference",
             (long long)counts->error, (long long)counts->n);
}

static enum lay_status check_targets(const struct subject *subject, const struct lay_task_result *task,
                                     const struct lay_cell *theirs, const struct lay_cell *ours,
                                     struct lay_err *err)
{
    for (size_t i = 0, j = 0; i < theirs->count && j < ours->count;) {
        const struct lay_record *a = &theirs->records[i], *b = &ours->records[j];
        i += a->doc_id <= b->doc_id;
        j += b->doc_id <= a->doc_id;
        if (a->doc_id == b->doc_id && !lay_same_sample(a, b, task->math))
            return lay_fail(err, LAY_ERR_INPUT,
                            "%s: %s %s: sample %lld has another target than in the reference; the two runs "
                            "are not over the same data",
                            subject->run->dir, task->task, ours->language, (long long)a->doc_id);
    }
    return LAY_OK;
}

/* With both runs' samples at hand accuracies are those of the samples both have. */
static void pair_samples(const struct subject *subject, const struct lay_cell *theirs,
                         const struct lay_cell *ours, struct lay_gate_check *check)
{
    const struct lay_paired pair = lay_pair_cells(theirs, ours, subject->options->scorer, NULL);
    check->pair = pair;
    if (pair.n < (int64_t)theirs->count)
        fail(check, subject->options, LAY_GATE_SAMPLES, "%lld of the reference's %zu samples are not there",
             (long long)((int64_t)theirs->count - pair.n), theirs->count);
    else if (pair.n < (int64_t)ours->count)
        note(check, "compared on the %lld samples the reference has", (long long)pair.n);
    check->accuracy = lay_accuracy(pair.both + pair.only_b, pair.n);
    check->reference = lay_accuracy(pair.both + pair.only_a, pair.n);
    check->p = lay_mcnemar(pair.only_a, pair.only_b);
}

static enum lay_status check_language(const struct subject *subject, const struct lay_task_result *task,
                                      const struct lay_cell *cell, struct lay_err *err)
{
    struct lay_gate_check *check;
    const struct lay_counts counts = lay_cell_counts(cell);
    const struct lay_reference_figure *figure =
        subject->reference
            ? lay_reference_figure(subject->reference, subject->system, task->task, cell->language)
            : NULL;
    LAY_TRY(add_check(subject, task->task, cell->language, &check, err));
    check->accuracy = lay_accuracy(lay_scorer_hits(subject->options->scorer, &counts), counts.n);
    check_complete(subject, task, cell, check);
    check_errors(subject, &counts, figure ? figure->cell : NULL, check);
    if (!figure) {
        if (subject->reference)
            note(check, "not in the reference");
        return LAY_OK;
    }
    check->reference = figure->accuracy;
    if (figure->cell) {
        LAY_TRY(check_targets(subject, task, figure->cell, cell, err));
        pair_samples(subject, figure->cell, cell, check);
    } else if (figure->n && figure->n != counts.n)
        fail(check, subject->options, LAY_GATE_SAMPLES, "%lld samples, the reference has %lld",
             (long long)counts.n, (long long)figure->n);
    check->drop = check->reference - check->accuracy;
    return LAY_OK;
}

/* p of the languages from `first` on, corrected together. */
static enum lay_status adjust(struct lay_gate *gate, size_t first, struct lay_err *err)
{
    const size_t count = gate->checks.count - first;
    size_t n = 0;
    double *p = lay_alloc(2 * count + 1, sizeof *p);
    if (!p)
        return lay_no_memory(err, "p values");
    double *adjusted = p + count;
    for (size_t i = first; i < gate->checks.count; i++)
        if (!isnan(gate->checks.items[i].p))
            p[n++] = gate->checks.items[i].p;
    lay_holm(p, n, adjusted);
    n = 0;
    for (size_t i = first; i < gate->checks.count; i++)
        if (!isnan(gate->checks.items[i].p))
            gate->checks.items[i].p = adjusted[n++];
    lay_free(p);
    return LAY_OK;
}

/* --- averages --- */

/* Samples of the languages of an average, together; n = 0 where a language's are not at hand or the two runs
 * do not share all of them. */
static struct lay_paired pool(const struct subject *subject, const struct lay_task_result *task,
                              enum lay_set set, const struct lay_gate_check *languages)
{
    struct lay_paired pooled = {0};
    for (size_t i = 0; i < task->count; i++) {
        const struct lay_paired *pair = &languages[i].pair;
        const struct lay_reference_figure *figure =
            lay_reference_figure(subject->reference, subject->system, task->task, task->cells[i].language);
        if (!lay_set_has(set, &task->cells[i]))
            continue;
        if (!figure || !figure->cell || pair->n != (int64_t)task->cells[i].count || pair->n != figure->n)
            return (struct lay_paired){0};
        pooled.n += pair->n;
        pooled.both += pair->both;
        pooled.only_a += pair->only_a;
        pooled.only_b += pair->only_b;
    }
    return pooled;
}

static bool same_languages(const struct lay_reference_figure *figure, const char *over,
                           const struct lay_average *average)
{
    return figure->over ? strcmp(figure->over, over) == 0 : average->languages == average->expected;
}

static void compare_average(const struct subject *subject, const struct lay_task_result *task,
                            enum lay_set set, size_t first, const struct lay_reference_figure *figure,
                            struct lay_gate_check *check)
{
    check->reference = figure->accuracy;
    check->drop = figure->accuracy - check->accuracy;
    if (subject->reference->runs.count == 0)
        return;
    check->pair = pool(subject, task, set, &subject->gate->checks.items[first]);
    if (check->pair.n > 0) {
        check->p = lay_mcnemar(check->pair.only_a, check->pair.only_b);
        return;
    }
    check->reference = check->drop = NAN;
    note(check, "the two runs' averages are not over the same samples: not compared");
}

/* The checks of the task's languages begin at `first`. */
static enum lay_status check_average(const struct subject *subject, const struct lay_task_result *task,
                                     enum lay_set set, size_t first, struct lay_err *err)
{
    struct lay_average average;
    struct lay_gate_check *check;
    struct lay_str over = {0};
    LAY_TRY(lay_task_average(task, set, &average, err));
    if (average.languages == 0 || average.expected == 0)
        return LAY_OK;
    LAY_TRY(add_check(subject, task->task, lay_set_name(set), &check, err));
    check->accuracy = subject->options->scorer == LAY_SCORER_PAPER ? average.paper : average.strict;
    if (average.languages < average.expected)
        note(check, "over %zu of %zu languages", average.languages, average.expected);
    const struct lay_reference_figure *figure =
        subject->reference
            ? lay_reference_figure(subject->reference, subject->system, task->task, check->language)
            : NULL;
    lay_average_languages(&over, task, set);
    enum lay_status status = lay_str_check(&over, err);
    if (status == LAY_OK && figure && same_languages(figure, lay_str_text(&over), &average))
        compare_average(subject, task, set, first, figure, check);
    else if (figure && figure->over && average.languages == average.expected)
        note(check, "the reference's is over other languages: not compared");
    else if (figure)
        fail(check, subject->options, LAY_GATE_MISSING, "the reference's is over more languages");
    lay_str_free(&over);
    return status;
}

/* --- verdicts --- */

static void judge(const struct lay_gate_options *options, struct lay_gate_check *check)
{
    if (!(check->drop > options->max_drop + ROUNDING))
        return;
    if (isnan(check->p))
        fail(check, options, LAY_GATE_REGRESSION,
             "%.2f against %.2f: a drop of %.2f points, %.2f are allowed", check->accuracy, check->reference,
             check->drop, options->max_drop);
    else if (check->p <= options->alpha)
        fail(check, options, LAY_GATE_REGRESSION,
             "%.2f against %.2f: a drop of %.2f points, %.2f are allowed; %lld samples lost, %lld gained, p "
             "%.2g",
             check->accuracy, check->reference, check->drop, options->max_drop, (long long)check->pair.only_a,
             (long long)check->pair.only_b, check->p);
    else
        note(check, "a drop of %.2f points that may be luck (%lld samples lost, %lld gained, p %.2g)",
             check->drop, (long long)check->pair.only_a, (long long)check->pair.only_b, check->p);
}

static enum lay_status check_task(const struct subject *subject, const struct lay_task_result *task,
                                  struct lay_err *err)
{
    const size_t first = subject->gate->checks.count;
    for (size_t i = 0; i < task->count; i++)
        LAY_TRY(check_language(subject, task, &task->cells[i], err));
    LAY_TRY(adjust(subject->gate, first, err));
    for (enum lay_set set = 0; set < LAY_SET_COUNT; set++)
        LAY_TRY(check_average(subject, task, set, first, err));
    for (size_t i = first; i < subject->gate->checks.count; i++)
        judge(subject->options, &subject->gate->checks.items[i]);
    return LAY_OK;
}

/* What the reference has of this system beyond the run. */
static enum lay_status check_missing(const struct subject *subject, struct lay_err *err)
{
    for (size_t i = 0; i < subject->reference->count; i++) {
        const struct lay_reference_figure *figure = &subject->reference->figures[i];
        const struct lay_task_result *task = lay_task_of(subject->view, figure->task);
        enum lay_set set;
        struct lay_gate_check *check;
        if (strcmp(figure->system, subject->system) != 0 ||
            lay_reference_figure(subject->reference, subject->system, figure->task, figure->language) !=
                figure)
            continue;
        bool there = task && lay_cell_of(task, figure->language);
        if (task && lay_set_find(figure->language, &set)) {
            struct lay_average average;
            LAY_TRY(lay_task_average(task, set, &average, err));
            there = average.languages > 0 && average.expected > 0;
        }
        if (there)
            continue;
        LAY_TRY(add_check(subject, figure->task, figure->language, &check, err));
        check->reference = figure->accuracy;
        fail(check, subject->options, LAY_GATE_MISSING, "the run has no such result, the reference has %.2f",
             figure->accuracy);
    }
    return LAY_OK;
}

/* --- thresholds --- */

static struct lay_gate_check *find_check(const struct subject *subject, size_t first, const char *task,
                                         const char *language)
{
    for (size_t i = first; i < subject->gate->checks.count; i++) {
        struct lay_gate_check *check = &subject->gate->checks.items[i];
        if (strcmp(check->task, task) == 0 && strcmp(check->language, language) == 0)
            return check;
    }
    return NULL;
}

/* What the run has no result for, fails too. */
static enum lay_status hold(const struct subject *subject, size_t first, const char *task,
                            const struct lay_gate_threshold *threshold, struct lay_err *err)
{
    struct lay_gate_check *check = find_check(subject, first, task, threshold->language);
    if (!check)
        LAY_TRY(add_check(subject, task, threshold->language, &check, err));
    if (isnan(check->accuracy))
        fail(check, subject->options, LAY_GATE_THRESHOLD,
             "no result to hold the least accuracy of %.2f against", threshold->accuracy);
    else if (check->accuracy < threshold->accuracy - ROUNDING)
        fail(check, subject->options, LAY_GATE_THRESHOLD, "%.2f is below the least accuracy of %.2f",
             check->accuracy, threshold->accuracy);
    return LAY_OK;
}

static enum lay_status check_threshold(const struct subject *subject, size_t first,
                                       const struct lay_gate_threshold *threshold, struct lay_err *err)
{
    if (*threshold->task)
        return hold(subject, first, threshold->task, threshold, err);
    for (size_t i = 0; i < subject->view->count; i++)
        LAY_TRY(hold(subject, first, subject->view->tasks[i].task, threshold, err));
    return LAY_OK;
}

/* --- the whole --- */

enum lay_status lay_gate_add(struct lay_gate *gate, const struct lay_gate_options *options,
                             const struct lay_loaded *run, const struct lay_system_result *view,
                             const struct lay_reference *reference, struct lay_err *err)
{
    struct subject subject = {gate, options, run, view, reference, NULL};
    const size_t first = gate->checks.count;
    if (reference)
        LAY_TRY(lay_reference_system(reference, view->name, &subject.system, err));
    for (size_t i = 0; i < view->count; i++)
        LAY_TRY(check_task(&subject, &view->tasks[i], err));
    if (reference)
        LAY_TRY(check_missing(&subject, err));
    for (size_t i = 0; i < options->n_thresholds; i++)
        LAY_TRY(check_threshold(&subject, first, &options->thresholds[i], err));
    return LAY_OK;
}

enum lay_status lay_gate_finish(struct lay_gate *gate, struct lay_err *err)
{
    for (size_t i = 0; i < gate->checks.count; i++) {
        const struct lay_gate_check *check = &gate->checks.items[i];
        LAY_TRY(lay_str_check(&check->failures, err));
        LAY_TRY(lay_str_check(&check->notes, err));
        gate->failed += check->failed;
        for (enum lay_gate_problem problem = 0; problem < LAY_GATE_PROBLEMS; problem++)
            gate->problems[problem] += check->problems[problem];
    }
    return LAY_OK;
}

void lay_gate_free(struct lay_gate *gate)
{
    for (size_t i = 0; i < gate->checks.count; i++) {
        lay_str_free(&gate->checks.items[i].failures);
        lay_str_free(&gate->checks.items[i].notes);
    }
    lay_free(gate->checks.items);
    *gate = (struct lay_gate){0};
}

/* Two systems on the same samples: what `layeval compare` reports.
 *
 * A is the reference, B what is compared with it; differences are B − A. Only results over the same tasks,
 * languages, samples and targets are compared. A sample that ended in an error is wrong, as everywhere. */
#ifndef LAY_REPORTS_COMPARE_H
#define LAY_REPORTS_COMPARE_H

#include "reports/accuracy.h"
#include "reports/paired.h"
#include "reports/record.h"

enum lay_scorer { LAY_SCORER_PAPER, LAY_SCORER_STRICT, LAY_SCORER_COUNT };

const char *lay_scorer_name(enum lay_scorer scorer); /* "paper", "strict" */
enum lay_status lay_scorer_find(const char *name, enum lay_scorer *scorer,
                                struct lay_err *err); /* LAY_ERR_USAGE, naming --score */
bool lay_scorer_right(enum lay_scorer scorer, const struct lay_record *record);
int64_t lay_scorer_hits(enum lay_scorer scorer, const struct lay_counts *counts);

/* A sample that only one of the two got right. Borrows the records. */
struct lay_flip {
    const struct lay_record *a, *b;
    bool gained; /* B is the one */
};

/* A language; or a pool of languages: lrl, hrl, avg (the papers' averages: every language weighs the same)
 * and all (every sample weighs the same). */
struct lay_compare_row {
    char name[8];
    bool pool;
    size_t languages, expected; /* of an average: how many languages it has, and has in the papers */
    struct lay_paired pair;     /* of a pool: of its languages together */
    int64_t errors_a, errors_b;
    double accuracy_a, accuracy_b; /* percent, rounded as in every report */
    double difference;             /* fraction; of an average the mean of the languages' differences */
    struct lay_interval interval;  /* fractions: paired bootstrap, 95 % */
    double p;                      /* exact McNemar; of a pool over its samples together */
    double p_holm;                 /* adjusted over the languages of the task; NaN for a pool */
    struct lay_flip *flips;        /* of a language, by doc_id; [only_a + only_b] */
};

struct lay_compare_task {
    const struct lay_task_result *a, *b; /* borrowed */
    struct lay_compare_row *rows;        /* languages in the papers' order, then the pools */
    size_t count;
};

struct lay_comparison {
    const struct lay_system_result *a, *b; /* borrowed */
    enum lay_scorer scorer;
    struct lay_compare_task *tasks;
    size_t count;
};

struct lay_compare_options {
    enum lay_scorer scorer;
    uint64_t seed;
    size_t resamples;
};

/* LAY_ERR_INPUT that lists what differs when the two have not answered the same samples: tasks, languages,
 * doc_ids, targets. */
enum lay_status lay_compare_check(const struct lay_system_result *a, const struct lay_system_result *b,
                                  struct lay_err *err);

/* Checks, then compares. A language's figures depend on its samples and the options alone, not on what else
 * is compared. Free with lay_comparison_free, which accepts {0}. */
enum lay_status lay_comparison_create(const struct lay_system_result *a, const struct lay_system_result *b,
                                      const struct lay_compare_options *options,
                                      struct lay_comparison *comparison, struct lay_err *err);
void lay_comparison_free(struct lay_comparison *comparison);

/* The samples two cells share, counted. `flips` (may be NULL) has room for all of them. */
struct lay_paired lay_pair_cells(const struct lay_cell *a, const struct lay_cell *b, enum lay_scorer scorer,
                                 struct lay_flip *flips);

/* Whether two records of one doc_id are the same question: their targets are equal, as text or as numbers, or
 * else their items are. (Layouts of one data set differ in items, prompt sets in label words.) */
bool lay_same_sample(const struct lay_record *a, const struct lay_record *b, bool math);

#endif

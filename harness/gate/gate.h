/* A run against a reference, check by check: what `layeval gate` decides.
 *
 * Every language and average of the run, and everything the reference has beyond it, is one check. A check
 * collects its problems; nothing ends early, so that every regression is listed. */
#ifndef LAY_HARNESS_GATE_GATE_H
#define LAY_HARNESS_GATE_GATE_H

#include "harness/gate/reference.h"

enum lay_gate_problem {
    LAY_GATE_REGRESSION, /* a drop larger than allowed, and significant where samples are at hand */
    LAY_GATE_THRESHOLD,  /* below --min-accuracy */
    LAY_GATE_MISSING,    /* the reference has it, the run has not */
    LAY_GATE_INCOMPLETE, /* the run has answered fewer samples than its manifest names */
    LAY_GATE_SAMPLES,    /* not the reference's samples */
    LAY_GATE_ERRORS,     /* samples that ended in an error, more than in a reference run */
    LAY_GATE_PROBLEMS
};
const char *lay_gate_problem_name(enum lay_gate_problem problem); /* "regression", … */

/* --min-accuracy: 40, mgsm=40 or mgsm:bn=40. Without a language: the average over all. */
struct lay_gate_threshold {
    char task[16];    /* "": every task */
    char language[8]; /* ISO, or lrl, hrl, avg */
    double accuracy;  /* percent */
    bool applied;     /* some check was held against it */
};

struct lay_gate_options {
    enum lay_scorer scorer;
    double max_drop;                 /* percentage points */
    double alpha;                    /* after Holm's correction over the languages of a task */
    bool allowed[LAY_GATE_PROBLEMS]; /* noted, not failed */
    const struct lay_gate_threshold *thresholds;
    size_t n_thresholds;
};

struct lay_gate_check {
    const char *system; /* borrowed from the run */
    char task[16], language[8];
    double accuracy, reference, drop; /* percent; NaN where there is none. drop = reference − accuracy */
    struct lay_paired pair;           /* samples both answered (a: the reference); n = 0: not at hand */
    double p;                         /* McNemar, adjusted over languages; NaN without samples */
    size_t problems[LAY_GATE_PROBLEMS];
    bool failed;
    struct lay_str failures, notes; /* sentences, separated by "; " */
};

struct lay_gate {
    struct lay_gate_checks {
        struct lay_gate_check *items;
        size_t count, capacity;
    } checks;
    size_t failed;                      /* checks */
    size_t problems[LAY_GATE_PROBLEMS]; /* of failed checks */
};

/* Adds the checks of one system. `view` is what is chosen of run->result. `reference` may be NULL: only
 * completeness, errors and thresholds are checked. LAY_ERR_INPUT where the two were asked other questions
 * (targets differ), and from lay_reference_system. Borrows names; free with lay_gate_free. */
enum lay_status lay_gate_add(struct lay_gate *gate, const struct lay_gate_options *options,
                             const struct lay_loaded *run, const struct lay_system_result *view,
                             const struct lay_reference *reference, struct lay_err *err);

/* Counts, once all systems are in. LAY_ERR_MEMORY only. */
enum lay_status lay_gate_finish(struct lay_gate *gate, struct lay_err *err);
void lay_gate_free(struct lay_gate *gate);

/* LAY_ERR_USAGE naming --min-accuracy or --allow. */
enum lay_status lay_gate_read_threshold(const char *text, struct lay_gate_threshold *threshold,
                                        struct lay_err *err);
enum lay_status lay_gate_read_allowed(const char *text, struct lay_gate_options *options,
                                      struct lay_err *err);

#endif

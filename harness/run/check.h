/* --check-against: how far a dtype changes what an earlier run of the same samples in another dtype answered.
 *
 * The answers of both runs are compared sample by sample, and the next-token distributions of the first
 * prompts of every language: KL(earlier ‖ this) = Σ p (ln p − ln q) over the vocabulary in nats, and whether
 * the most likely token is the same. The two precisions are loaded one after the other. check.json in the run
 * directory holds the figures. */
#ifndef LAY_HARNESS_CHECK_H
#define LAY_HARNESS_CHECK_H

#include "harness/run/loaded.h"
#include "harness/run/run_system.h"

#include <stdio.h>

#define LAY_CHECK_FILE "check.json"

struct lay_agreement {
    int64_t samples;
    int64_t same_output; /* the same text */
    int64_t same_answer; /* the paper's scorer read the same in it */
    int64_t correct, correct_against;
};

struct lay_divergence {
    int64_t prompts;
    double mean_kl, max_kl; /* nats */
    int64_t same_top;
};

struct lay_check {
    struct lay_loaded against;
    const char *system; /* the name; borrowed */
    char dtype[8], dtype_against[8];
    struct lay_agreement agreement;
    struct lay_divergence divergence;
};

/* Reads the run to compare with: options->check_against itself, or the system's directory in it.
 * LAY_ERR_INPUT when it is unfinished or not over the same system, prompts and samples. Close with
 * lay_check_close, also after a failure. */
enum lay_status lay_check_open(const struct lay_run_system *run, const struct lay_run_options *options,
                               const struct lay_workload *workload, struct lay_check *check,
                               struct lay_err *err);
void lay_check_close(struct lay_check *check); /* accepts {0} */

/* After lay_run_system_evaluate. Closes the system's weights before it loads those of the other dtype, and
 * leaves run->system NULL. `path` is the system file. Writes check.json. */
enum lay_status lay_check_run(struct lay_check *check, struct lay_run_system *run, const char *path,
                              const struct lay_run_options *options, const struct lay_workload *workload,
                              struct lay_err *err);

/* One line for people. */
void lay_check_print(const struct lay_check *check, FILE *stream);

/* Over the records that two results over the same samples have. */
struct lay_agreement lay_agreement_of(const struct lay_system_result *result,
                                      const struct lay_system_result *against);

#endif

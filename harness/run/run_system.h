/* One system of a run, from its file to its run directory. */
#ifndef LAY_HARNESS_RUN_SYSTEM_H
#define LAY_HARNESS_RUN_SYSTEM_H

#include "harness/run/items.h"
#include "harness/run/journal.h"
#include "harness/run/manifest.h"
#include "harness/run/run.h"
#include "harness/run/rundir.h"
#include "harness/run/workload.h"
#include "reports/record.h"
#include "tasks/prompt.h"

struct lay_run_system {
    struct lay_system *system;
    struct lay_prompt_set *prompts;
    int64_t max_new_tokens;
    char *dir; /* its run directory; NULL in a dry run */
    struct lay_rundir *lock;
    cJSON *manifest; /* that of the directory; NULL until there is one */
    char manifest_hash[LAY_HASH_HEX];
    struct lay_journal journal; /* what earlier sessions left, then everything */
    struct lay_system_result result;
    struct lay_training *training; /* of the bridge, for a new run directory; NULL: unknown */
};

/* The system file, configurations, tokenizers and the prompt set; renders one prompt of every language, so
 * that nothing of this fails later. No weights. */
enum lay_status lay_run_system_open(const char *path, const struct lay_run_options *options,
                                    const struct lay_workload *workload, struct lay_run_system *run,
                                    struct lay_err *err);
/* How the samples of a workload are rendered for this system. */
struct lay_items_options lay_run_system_items(const struct lay_run_system *run,
                                              const struct lay_workload *workload);
/* LAY_ERR_INPUT with the numbers when a sample can never fit into the memory there is. No weights. */
enum lay_status lay_run_system_check_fit(struct lay_run_system *run, const struct lay_workload *workload,
                                         struct lay_err *err);
/* What the manifest is or will be; see manifest.h for what it lacks before the weights are loaded. */
enum lay_status lay_run_system_manifest(const struct lay_run_system *run,
                                        const struct lay_run_options *options,
                                        const struct lay_workload *workload, cJSON **manifest,
                                        struct lay_err *err);
/* Releases everything; accepts {0}. */
void lay_run_system_close(struct lay_run_system *run);

/* Creates or resumes the run directory: locks it, compares its manifest as far as that is possible before the
 * weights are known, reads its journal. */
enum lay_status lay_run_system_prepare(struct lay_run_system *run, const char *dir,
                                       const struct lay_run_options *options,
                                       const struct lay_workload *workload, struct lay_err *err);

/* Loads the weights, answers what is outstanding, seals the journal, scores it into run->result and writes
 * the reports. Does not load anything when the journal is complete. */
enum lay_status lay_run_system_evaluate(struct lay_run_system *run, const struct lay_run_options *options,
                                        const struct lay_workload *workload, struct lay_err *err);

#endif

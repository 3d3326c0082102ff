/* From a journal to scores and files: shared by `run` and `score`. */
#ifndef LAY_HARNESS_RESULTS_H
#define LAY_HARNESS_RESULTS_H

#include "engine/base/json.h"
#include "harness/run/journal.h"
#include "reports/record.h"
#include "tasks/score.h"

#include <stdio.h>

struct lay_results_options {
    const char *dir; /* the run directory files are written to; created if need be */
    enum lay_match match;
    bool log_samples; /* write samples_*.jsonl (default true) */
};

/* Scores every entry and groups them: tasks in the manifest's order, languages in the papers' printed order,
 * samples by id. Languages the manifest names are there even without entries. `manifest` gives the system's
 * name (with lay_shard_label) and method and, per task, what its labels are called in answers; it is borrowed
 * by `result`. Free with lay_system_result_free. An entry of an unknown task or language is LAY_ERR_INPUT. */
enum lay_status lay_results_collect(const struct lay_journal *journal, const cJSON *manifest,
                                    enum lay_match match, struct lay_system_result *result,
                                    struct lay_err *err);

/* The same, and the texts of the entries move into the records: of each entry only task, language, doc_id and
 * numbers are left. */
enum lay_status lay_results_take(struct lay_journal *journal, const cJSON *manifest, enum lay_match match,
                                 struct lay_system_result *result, struct lay_err *err);

/* Writes results.json, results.csv, samples_*.jsonl and, except for a shard, paper/ into options->dir, each
 * atomically. */
enum lay_status lay_results_write(const struct lay_system_result *result,
                                  const struct lay_results_options *options, struct lay_err *err);

/* results.csv and results.json over several systems, into dir. */
enum lay_status lay_results_write_combined(const struct lay_system_result *results, size_t count,
                                           const char *dir, struct lay_err *err);

/* The terminal table of all systems on `stream`. */
enum lay_status lay_results_print(const struct lay_system_result *results, size_t count, FILE *stream,
                                  struct lay_err *err);

#endif

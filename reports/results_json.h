/* results.json in the layout of lm-evaluation-harness 0.4: results, groups, group_subtasks, configs,
 * versions, n-shot, higher_is_better, n-samples, config, task_hashes, model_source, model_name; no dates, no
 * durations.
 *
 * A task is named mgsm_bn; its groups mgsm (the papers' average), mgsm_lrl and mgsm_hrl. Metrics are
 * fractions: `acc,paper`, `acc_stderr,paper`, `acc,strict`, `acc_stderr,strict`; a group's is the unweighted
 * mean over its languages. "N/A" as there where a standard error does not exist, null where there are no
 * samples. Ours is under `layeval`: per system what determined the result, per task the accounting, official
 * percentages and intervals, per average the languages it covers and whether those are all of the papers'.
 * Over several systems every task and group name gets "<system>/" in front; the layout stays. */
#ifndef LAY_REPORTS_RESULTS_JSON_H
#define LAY_REPORTS_RESULTS_JSON_H

#include "engine/base/str.h"
#include "reports/record.h"

/* Appends the whole file; `combined`: names carry their system. */
enum lay_status lay_results_json_put(struct lay_str *out, const struct lay_system_result *systems,
                                     size_t count, bool combined, struct lay_err *err);

#endif

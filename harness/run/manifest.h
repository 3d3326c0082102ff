/* manifest.json: everything that determines the result of a run and nothing else: no dates, no paths of this
 * machine, neither batch size nor threads (results do not depend on them). The journal is bound to it by the
 * hash of the file (formats.md). */
#ifndef LAY_HARNESS_MANIFEST_H
#define LAY_HARNESS_MANIFEST_H

#include "engine/base/json.h"
#include "engine/system.h"
#include "harness/run/shard.h"
#include "harness/run/workload.h"
#include "tasks/prompt.h"
#include "tasks/score.h"

#define LAY_MANIFEST_FILE "manifest.json"

struct lay_manifest_inputs {
    const struct lay_system *system;
    const struct lay_prompt_set *prompts;
    const struct lay_workload *workload;
    int64_t max_new_tokens;
    int64_t official_batch; /* 0: off */
    int64_t limit;          /* -1: all */
    struct lay_shard shard;
    enum lay_match match;
};

/* Before the weights are loaded "weights_fingerprint" and, as a rule, "batch_invariant" are missing. Returns;
 * free with cJSON_Delete. */
enum lay_status lay_manifest_build(const struct lay_manifest_inputs *inputs, cJSON **manifest,
                                   struct lay_err *err);

/* "tolerance", "float-eq" */
const char *lay_match_name(enum lay_match match);

/* Atomically; `hash` gets that of the file. */
enum lay_status lay_manifest_write(const char *dir, const cJSON *manifest, char hash[LAY_HASH_HEX],
                                   struct lay_err *err);
/* LAY_ERR_INPUT when missing or damaged. */
enum lay_status lay_manifest_read(const char *dir, cJSON **manifest, char hash[LAY_HASH_HEX],
                                  struct lay_err *err);

/* How many samples the run has: those of its shard, else of all languages. */
int64_t lay_manifest_samples(const cJSON *manifest);

/* Appends "KEY (A_NAME VALUE, B_NAME VALUE), …" to `text`, nothing when they are equal. `before_load`: keys
 * that `b` lacks do not count. */
struct lay_manifest_side {
    const char *name;
    const cJSON *manifest;
};
void lay_manifest_differences(struct lay_manifest_side a, struct lay_manifest_side b, bool before_load,
                              struct lay_str *text);

/* LAY_ERR_INPUT with the differing keys and both values when `stored` and `wanted` differ. Before the weights
 * are loaded keys that `wanted` lacks do not count. */
enum lay_status lay_manifest_compare(const char *dir, const cJSON *stored, const cJSON *wanted,
                                     bool before_load, struct lay_err *err);

#endif

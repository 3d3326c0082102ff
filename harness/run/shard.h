/* A part of a run that one machine answers: --shard 2/4. `layeval merge` puts the parts together.
 *
 * Which samples a part gets follows from the data files, --limit, --official-batch and the two numbers, and
 * from nothing else: neither the system nor the machine. Every language is divided, and so are short and
 * long samples; the official batches of one language are never divided themselves. */
#ifndef LAY_HARNESS_SHARD_H
#define LAY_HARNESS_SHARD_H

#include "engine/base/json.h"
#include "harness/run/workload.h"

#include <stdbool.h>
#include <stdint.h>

#define LAY_SHARDS_MAX 256 /* directories that a command line names */

struct lay_shard {
    int64_t index, count; /* 1 … count; count 0: the whole run */
};

/* "2/4"; LAY_ERR_USAGE for anything else. */
enum lay_status lay_shard_parse(const char *text, struct lay_shard *shard, struct lay_err *err);

/* Sets `chosen` of every cell, and what follows from it. Of two shards none has more than one sample (or
 * official batch; 0: off) more than the other. More shards than there is to share are LAY_ERR_USAGE. */
enum lay_status lay_shard_choose(struct lay_shard shard, int64_t official_batch,
                                 struct lay_workload *workload, struct lay_err *err);

/* What a manifest says; false for that of a whole run. `samples`, which may be NULL: how many the part has.
 */
bool lay_shard_read(const cJSON *manifest, struct lay_shard *shard, int64_t *samples);

/* " [shard 2/4]", "" for a whole run: stands behind the system's name in all results, so that those of a part
 * are taken for nothing else. */
#define LAY_SHARD_LABEL 64 /* characters with the NUL */
void lay_shard_label(const cJSON *manifest, char label[LAY_SHARD_LABEL]);

#endif

/* The shards of one run put together: what is left is, byte for byte, what the run without --shard leaves
 * (timing.json aside: it lists the sessions of all shards).
 *
 * Everything is read and checked before anything is written. The shards' directories are only read. */
#ifndef LAY_HARNESS_MERGE_H
#define LAY_HARNESS_MERGE_H

#include "engine/base/err.h"

#include <stdbool.h>
#include <stddef.h>

struct lay_merge_options {
    const char *const *dirs; /* as --out of each shard named them, in any order */
    size_t count;
    const char *out;
    bool log_samples; /* write samples_*.jsonl */
};

/* Prints the table on stdout. LAY_ERR_INPUT names the shard that is missing, there twice, unfinished, no
 * shard, or not of the same run, then with the keys of the manifest that differ. */
enum lay_status lay_merge(const struct lay_merge_options *options, struct lay_err *err);

#endif

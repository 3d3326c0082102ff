/* timing.json: all that may differ between two equal runs: dates, durations, memory, machine (formats.md).
 * One object per session, since a run may have been interrupted and resumed. */
#ifndef LAY_HARNESS_TIMING_H
#define LAY_HARNESS_TIMING_H

#include "engine/base/err.h"
#include "engine/generate/stats.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define LAY_TIMING_FILE "timing.json"

struct lay_timing {
    time_t started;
    double clock; /* monotonic seconds at the start */
    double load_seconds;
    size_t samples, errors; /* answered in this session */
    int64_t output_tokens;
    double journal_seconds; /* spent in writing the journal, in the way of the samples */
    size_t peak_bytes;      /* RssAnon + RssShmem, the largest seen */
    double looked;
};

void lay_timing_start(struct lay_timing *timing);
/* Looks at the memory, at most a few times a second. */
void lay_timing_sample(struct lay_timing *timing);

struct lay_timing_context {
    const struct lay_generate_stats *stats; /* NULL when nothing was generated */
    int64_t batch_size;                     /* 0: auto */
    int threads;
    bool complete;
};

/* Appends this session to DIR/timing.json; one that is not ours is begun anew. */
enum lay_status lay_timing_write(const struct lay_timing *timing, const struct lay_timing_context *context,
                                 const char *dir, struct lay_err *err);

/* Joins the sessions of several directories' timing.json into that of DIR, each with a member "shard"; a file
 * that is not there has no sessions. */
struct lay_timing_source {
    const char *dir;
    char shard[48]; /* "2/4" */
};
enum lay_status lay_timing_merge(const struct lay_timing_source *sources, size_t count, const char *dir,
                                 struct lay_err *err);

#endif

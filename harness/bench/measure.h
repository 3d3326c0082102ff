/* One cell of the benchmark: the engine's real path at fixed sizes, several times, and the bound beside it.
 */
#ifndef LAY_HARNESS_BENCH_MEASURE_H
#define LAY_HARNESS_BENCH_MEASURE_H

#include "engine/base/profile.h"
#include "harness/bench/bound.h"

#include <signal.h>

/* Sizes. A prompt of `prompt` rows of the LLM consists of bos, with a bridge the soft prompt of `source`
 * tokens and its boundary, and random tokens. An encoder alone reads `prompt` tokens a sequence. */
struct lay_cell {
    int threads;
    int64_t batch; /* sequences, all in flight at once */
    int64_t prompt, new_tokens, source;
    int64_t warm_up, repetitions;
    size_t memory; /* for weights, keys and values; 0: what the cell needs */
    uint64_t seed;
    const int64_t *lengths; /* [n_lengths] new tokens of each answer: a run with `batch` in flight at most */
    size_t n_lengths;
    const volatile sig_atomic_t *stop;
};

/* Of the repetitions. */
struct lay_spread {
    double median, min, max;
};

enum lay_part {
    LAY_PART_ENCODER,
    LAY_PART_ALIGNER,
    LAY_PART_PREFILL,
    LAY_PART_DECODE,
    LAY_PART_HEAD,
    LAY_PART_COUNT
};
const char *lay_part_name(enum lay_part part);

/* Rows or tokens a second; 0 where a phase has none. */
struct lay_measurement {
    struct lay_spread wall;  /* seconds */
    struct lay_spread total; /* prompt rows and new tokens a second; of an encoder alone: its tokens */
    struct lay_spread prefill, decode; /* decode: the steps without prompt rows */
    struct lay_spread encoder;         /* source tokens a second, bridge not included */
    struct lay_profile profile;        /* of the median repetition */
    struct lay_generate_stats stats;   /* of the median repetition */
    double seconds[LAY_PART_COUNT];    /* of the median repetition; prefill and decode without the head */
    size_t peak_bytes, kv_bytes;
    /* the bound; 0 when not measured */
    double bound_seconds[LAY_PART_COUNT];                           /* of the same work */
    double bound_total, bound_prefill, bound_decode, bound_encoder; /* rates */
    double read_bytes, copy_bytes;                                  /* a second, all threads */
    double steadiness;                                              /* of the machine meanwhile (bound.h) */
    /* a run of forced lengths; 0 without */
    double lengths_wall, lengths_tokens;
};

/* LAY_ERR_USAGE when the sizes do not fit the subject; LAY_ERR_INTERRUPTED when *stop. bounds NULL: without.
 */
enum lay_status lay_measure(const struct lay_subject *subject, const struct lay_cell *cell,
                            struct lay_bounds *bounds, struct lay_measurement *result, struct lay_err *err);

#endif

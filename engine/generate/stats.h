/* What generation has done so far. */
#ifndef LAY_GENERATE_STATS_H
#define LAY_GENERATE_STATS_H

#include <stdint.h>

/* Seconds are wall time of the calling thread. Added to, never reset. */
struct lay_generate_stats {
    int64_t encoder_tokens, prefill_tokens, decode_tokens, steps;
    double encoder_seconds, llm_seconds;
};

#endif

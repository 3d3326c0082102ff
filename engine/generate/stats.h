/* What generation has done so far. */
#ifndef LAY_GENERATE_STATS_H
#define LAY_GENERATE_STATS_H

#include <stdint.h>

/* Seconds are wall time of the calling thread. Added to, never reset. encoder_seconds covers encoder and
 * bridge. Steps without a prompt row are counted once more by themselves: pure_… */
struct lay_generate_stats {
    int64_t encoder_tokens, prefill_tokens, decode_tokens, steps;
    int64_t shared_tokens; /* prompt tokens whose keys and values another request had computed */
    int64_t set_back;      /* sequences that gave their pages up for want of memory, and began again */
    double encoder_seconds, llm_seconds;
    int64_t pure_decode_tokens, pure_decode_steps;
    double pure_decode_seconds;
};

#endif

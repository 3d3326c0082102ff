/* Where the time goes: a lap clock that costs the test of a pointer when it is off.
 *
 * lay_profile_lap(op) books the time since the calling thread's previous lap under (current phase, op), so
 * one call behind each operation accounts for all of it. Threads that a parallel region starts do not book.
 */
#ifndef LAY_BASE_PROFILE_H
#define LAY_BASE_PROFILE_H

#include <stddef.h>
#include <stdint.h>

/* A pass of the LLM with any prompt rows in it is prefill, one with none is decode. */
enum lay_phase { LAY_PHASE_ENCODER, LAY_PHASE_ALIGNER, LAY_PHASE_PREFILL, LAY_PHASE_DECODE, LAY_PHASE_COUNT };

enum lay_op {
    LAY_OP_EMBEDDING,
    LAY_OP_NORM,
    LAY_OP_QKV, /* products */
    LAY_OP_ROPE,
    LAY_OP_KV_WRITE,
    LAY_OP_ATTENTION,
    LAY_OP_ADAPTER_ATTENTION,
    LAY_OP_ATTN_OUT, /* product */
    LAY_OP_MLP_IN,   /* product */
    LAY_OP_ACTIVATION,
    LAY_OP_MLP_OUT, /* product */
    LAY_OP_HEAD,    /* product */
    LAY_OP_FUSE,    /* LayAlign: across encoder layers */
    LAY_OP_MAPPING, /* products of the bridge */
    LAY_OP_SCHEDULE,
    LAY_OP_COUNT
};

struct lay_profile {
    double seconds[LAY_PHASE_COUNT][LAY_OP_COUNT];
    int64_t calls[LAY_PHASE_COUNT][LAY_OP_COUNT];
    enum lay_phase phase;
    double last; /* clock of the previous lap */
};

/* The profile of this thread, NULL when off. Set by whoever wants one, after lay_profile_start. */
extern _Thread_local struct lay_profile *lay_profile;

const char *lay_phase_name(enum lay_phase phase); /* "encoder", … */
const char *lay_op_name(enum lay_op op);          /* "attention", … */

void lay_profile_start(struct lay_profile *profile); /* zeroes it and starts the clock */
void lay_profile_book(enum lay_op op);
void lay_profile_switch(enum lay_phase phase);
double lay_profile_phase_seconds(const struct lay_profile *profile, enum lay_phase phase);

static inline void lay_profile_lap(enum lay_op op)
{
    if (lay_profile)
        lay_profile_book(op);
}

/* What follows belongs to this phase; the time since the last lap is scheduling. */
static inline void lay_profile_phase(enum lay_phase phase)
{
    if (lay_profile)
        lay_profile_switch(phase);
}

#endif

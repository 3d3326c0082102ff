#include "engine/base/profile.h"

#include "engine/base/clock.h"

_Thread_local struct lay_profile *lay_profile;

static const char *const phases[LAY_PHASE_COUNT] = {"encoder", "aligner", "prefill", "decode"};
static const char *const ops[LAY_OP_COUNT] = {
    [LAY_OP_EMBEDDING] = "embedding",
    [LAY_OP_NORM] = "norm",
    [LAY_OP_QKV] = "qkv",
    [LAY_OP_ROPE] = "rope",
    [LAY_OP_KV_WRITE] = "kv_write",
    [LAY_OP_ATTENTION] = "attention",
    [LAY_OP_ADAPTER_ATTENTION] = "adapter_attention",
    [LAY_OP_ATTN_OUT] = "attn_out",
    [LAY_OP_MLP_IN] = "mlp_in",
    [LAY_OP_ACTIVATION] = "activation",
    [LAY_OP_MLP_OUT] = "mlp_out",
    [LAY_OP_HEAD] = "head",
    [LAY_OP_FUSE] = "fuse",
    [LAY_OP_MAPPING] = "mapping",
    [LAY_OP_SCHEDULE] = "schedule",
};

const char *lay_phase_name(enum lay_phase phase)
{
    return phases[phase];
}

const char *lay_op_name(enum lay_op op)
{
    return ops[op];
}

void lay_profile_start(struct lay_profile *profile)
{
    *profile = (struct lay_profile){.phase = LAY_PHASE_PREFILL, .last = lay_clock_now()};
}

void lay_profile_book(enum lay_op op)
{
    struct lay_profile *p = lay_profile;
    const double t = lay_clock_now();
    p->seconds[p->phase][op] += t - p->last;
    p->calls[p->phase][op]++;
    p->last = t;
}

void lay_profile_switch(enum lay_phase phase)
{
    lay_profile_book(LAY_OP_SCHEDULE);
    lay_profile->phase = phase;
}

double lay_profile_phase_seconds(const struct lay_profile *profile, enum lay_phase phase)
{
    double sum = 0;
    for (int op = 0; op < LAY_OP_COUNT; op++)
        sum += profile->seconds[phase][op];
    return sum;
}

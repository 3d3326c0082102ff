#include "engine/train/schedule.h"

#include <math.h>
#include <string.h>

static const char *const names[LAY_SCHEDULE_COUNT] = {
    [LAY_SCHEDULE_COSINE] = "cosine", [LAY_SCHEDULE_LINEAR] = "linear", [LAY_SCHEDULE_CONSTANT] = "constant"};

const char *lay_schedule_name(enum lay_schedule_kind kind)
{
    return names[kind];
}

enum lay_status lay_schedule_by_name(const char *name, enum lay_schedule_kind *kind, struct lay_err *err)
{
    for (int i = 0; i < LAY_SCHEDULE_COUNT; i++)
        if (strcmp(name, names[i]) == 0) {
            *kind = (enum lay_schedule_kind)i;
            return LAY_OK;
        }
    return lay_fail(err, LAY_ERR_USAGE, "--schedule: \"%s\" is none of cosine, linear, constant", name);
}

double lay_schedule_rate(const struct lay_schedule *schedule, int64_t step)
{
    if (step < schedule->warm_up)
        return schedule->learning_rate * (double)step / (double)schedule->warm_up;
    const int64_t left = schedule->steps - schedule->warm_up;
    const double progress = left > 0 ? (double)(step - schedule->warm_up) / (double)left : 1;
    switch (schedule->kind) {
    case LAY_SCHEDULE_COSINE:
        return schedule->learning_rate * fmax(0, 0.5 * (1 + cos(3.14159265358979323846 * progress)));
    case LAY_SCHEDULE_LINEAR:
        return schedule->learning_rate * fmax(0, 1 - progress);
    default:
        return schedule->learning_rate;
    }
}

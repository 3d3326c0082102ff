/* Learning rates over the steps of a run, as transformers' get_scheduler: linear warm-up from 0, then cosine,
 * linear or constant. */
#ifndef LAY_TRAIN_SCHEDULE_H
#define LAY_TRAIN_SCHEDULE_H

#include "engine/base/err.h"

#include <stdint.h>

enum lay_schedule_kind {
    LAY_SCHEDULE_COSINE,
    LAY_SCHEDULE_LINEAR,
    LAY_SCHEDULE_CONSTANT,
    LAY_SCHEDULE_COUNT
};

struct lay_schedule {
    enum lay_schedule_kind kind;
    double learning_rate; /* the highest */
    int64_t warm_up;      /* steps: step s < warm_up has s / warm_up of it, so the first has none */
    int64_t steps;        /* of the run; behind the last one the rate would be 0 (cosine, linear) */
};

const char *lay_schedule_name(enum lay_schedule_kind kind); /* "cosine", … */
/* LAY_ERR_USAGE with the names there are. */
enum lay_status lay_schedule_by_name(const char *name, enum lay_schedule_kind *kind, struct lay_err *err);

/* Of step 0, 1, … steps − 1. */
double lay_schedule_rate(const struct lay_schedule *schedule, int64_t step);

#endif

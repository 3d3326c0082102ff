/* The progress of a training on stderr: one line rewritten on a terminal, else one every ten seconds. */
#ifndef LAY_HARNESS_TRAIN_DISPLAY_H
#define LAY_HARNESS_TRAIN_DISPLAY_H

#include "engine/train/schedule.h"
#include "harness/train/log.h"

#include <stdbool.h>

struct lay_train_display {
    bool quiet, terminal;
    int64_t before, steps;   /* done before this session, and in all */
    double started, printed; /* monotonic seconds */
    int64_t rows;            /* tokens computed in this session, LLM's and encoder's */
    double loss;             /* running mean */
};

void lay_train_display_start(struct lay_train_display *display, const struct lay_schedule *schedule,
                             int64_t done, bool quiet);
/* A step is done; `rows` tokens were computed for it. */
void lay_train_display_step(struct lay_train_display *display, const struct lay_train_row *row, int64_t rows);
/* A dev loss is known: a line that stays. */
void lay_train_display_dev(struct lay_train_display *display, const struct lay_train_row *row);
void lay_train_display_end(struct lay_train_display *display);

#endif

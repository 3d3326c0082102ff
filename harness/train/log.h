/* What every step was like: log.csv, log.json, loss.svg. No times: they are in timing.json. */
#ifndef LAY_HARNESS_TRAIN_LOG_H
#define LAY_HARNESS_TRAIN_LOG_H

#include "reports/training.h"

#include <stddef.h>

/* One step. All doubles, so that the rows can lie in the state's file as a tensor [rows, LAY_TRAIN_COLUMNS].
 */
struct lay_train_row {
    double step;          /* from 1 */
    double epoch;         /* passes through the data, with their fraction */
    double samples;       /* trained on so far */
    double tokens;        /* target tokens of this step */
    double loss;          /* mean over them, before the update */
    double learning_rate; /* of the update */
    double gradient_norm; /* before clipping */
    double dev_loss;      /* after the update; NaN: not measured here */
};
enum { LAY_TRAIN_COLUMNS = sizeof(struct lay_train_row) / sizeof(double) };

struct lay_train_log {
    struct lay_train_row *rows;
    size_t count, capacity;
};

enum lay_status lay_train_log_add(struct lay_train_log *log, const struct lay_train_row *row,
                                  struct lay_err *err);
void lay_train_log_free(struct lay_train_log *log);

/* The curves of a stage, longer logs averaged over stretches of steps. */
enum lay_status lay_train_log_curves(const struct lay_train_log *log, struct lay_training_stage *stage,
                                     struct lay_err *err);
/* All three files, each atomically. Perplexity is e to the loss. */
enum lay_status lay_train_log_write(const struct lay_train_log *log, const char *dir, const char *title,
                                    struct lay_err *err);

#endif

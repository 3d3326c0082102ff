/* How a bridge was trained, for those who look at its scores. `layeval train` leaves the file beside the
 * checkpoint, `layeval run` carries it into the run directory, the HTML report draws it from its numbers.
 *
 * layeval-training.json:
 *   {"version": 1, "stages": [{"stage": "translation", "steps": 600, "planned": 600, "batch": 32,
 *     "learning_rate": 4e-05, "schedule": "cosine", "loss": [[1, 9.2], …], "dev_loss": [[600, 0.4], …]}]}
 * `stages` are those the bridge went through, the last one last; `steps` those behind this checkpoint of the
 * `planned` ones. A loss is the mean of a stretch of values (per target token), written [first step, mean].
 */
#ifndef LAY_REPORTS_TRAINING_H
#define LAY_REPORTS_TRAINING_H

#include "reports/svg.h"

#include <stdint.h>

#define LAY_TRAINING_FILE "layeval-training.json"

enum { LAY_TRAINING_POINTS = 500, LAY_TRAINING_STAGES = 8 };

struct lay_training_curve {
    double step[LAY_TRAINING_POINTS], loss[LAY_TRAINING_POINTS];
    size_t count;
};

struct lay_training_stage {
    char stage[16];    /* "translation", "task" */
    char schedule[16]; /* "cosine" */
    int64_t steps, planned, batch;
    double learning_rate; /* the highest */
    struct lay_training_curve train, dev;
};

struct lay_training {
    struct lay_training_stage stages[LAY_TRAINING_STAGES];
    size_t count;
};

/* Means of stretches of n losses, where there are more than a curve has points; steps ascend. */
void lay_training_curve_set(struct lay_training_curve *curve, const double *step, const double *loss,
                            size_t n);
/* The stage to fill in next; the oldest is forgotten when there are too many. */
struct lay_training_stage *lay_training_add(struct lay_training *training);

/* Appends the file's text. */
void lay_training_put(struct lay_str *out, const struct lay_training *training);
/* The opposite, from hostile text: LAY_ERR_INPUT in the name of `name` for anything that lay_training_put
 * does not write. */
enum lay_status lay_training_parse(const char *name, const char *text, size_t length,
                                   struct lay_training *training, struct lay_err *err);

enum lay_status lay_training_write(const struct lay_training *training, const char *dir, struct lay_err *err);
/* *training is NULL if `dir` has no such file. Returns; free with lay_free. */
enum lay_status lay_training_read(const char *dir, struct lay_training **training, struct lay_err *err);
/* Of the file beside the checkpoint `path`, or in it if it is a directory. */
enum lay_status lay_training_read_beside(const char *path, struct lay_training **training,
                                         struct lay_err *err);
/* Reads one from `from` and writes it to `to`; nothing if there is none. */
enum lay_status lay_training_copy(const char *from, const char *to, struct lay_err *err);

/* The picture: the loss of training and, where there is one, the dev loss, by their logarithms. `frame` lacks
 * labels. */
enum lay_status lay_training_draw(struct lay_str *out, const struct lay_training_stage *stage,
                                  struct lay_svg_frame frame, struct lay_err *err);

#endif

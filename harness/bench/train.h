/* layeval bench --train: steps of training with random samples of one size, beside the time that the matrix
 * products they cannot do without would take at the best rates of this machine. */
#ifndef LAY_HARNESS_BENCH_TRAIN_H
#define LAY_HARNESS_BENCH_TRAIN_H

#include "harness/bench/subject.h"
#include "harness/bench/table.h"

#include <signal.h>

struct lay_train_cell {
    int threads;
    int64_t batch;  /* samples */
    int64_t prompt; /* LLM rows of a sample before its target: bos, soft prompt, text prompt */
    int64_t target; /* target tokens */
    int64_t source; /* tokens the encoder reads; 0: an LLM alone */
    int64_t warm_up, repetitions;
    size_t memory; /* 0: what is free */
    uint64_t seed;
    double bound_seconds;              /* spent on each product's best rate; 0: no bound */
    size_t bound_pool;                 /* bytes, as for lay_bounds_create */
    const volatile sig_atomic_t *stop; /* non-zero: LAY_ERR_INTERRUPTED after the current step */
};

struct lay_train_row {
    char name[160];
    enum lay_dtype dtype;
    struct lay_train_cell cell; /* its pointers are not read */
    int64_t rows;               /* LLM rows of a step */
    double seconds;             /* of a step: median of the repetitions */
    double bound;               /* seconds of the products; 0: not measured */
    double steadiness;          /* of the machine while the bound was measured (bound.h) */
    size_t planned, peak;       /* bytes: said before the start, and anonymous memory seen */
    int64_t kept_layers, layers;
};

/* Bridges learn between frozen models; an LLM alone learns itself. `say` (may be NULL) hears the plan before
 * anything is loaded. LAY_ERR_USAGE for encoders alone. */
enum lay_status lay_measure_training(const struct lay_subject_source *source, enum lay_dtype dtype,
                                     const struct lay_train_cell *cell, void (*say)(const char *plan),
                                     struct lay_train_row *row, struct lay_err *err);

/* Nothing when there is no row. */
void lay_train_put(struct lay_str *out, enum lay_bench_format format, const struct lay_train_row *rows,
                   size_t count);

#endif

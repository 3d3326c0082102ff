/* Proof by trying: the same row gives the same bits whatever rows it is multiplied with, wherever it stands
 * among them and however many threads run (engine.md, Determinism). Random rows, some of them far larger or
 * smaller than the others; every result is compared bit for bit with that of one product on one thread. */
#ifndef LAY_DNN_INVARIANCE_H
#define LAY_DNN_INVARIANCE_H

#include "engine/base/str.h"
#include "engine/dnn/linear.h"

#define LAY_INVARIANCE_ROWS 48 /* of the product that others are compared with */
#define LAY_INVARIANCE_TRIALS_MAX 64

/* Rows first … first + rows − 1 of those, multiplied on `threads` threads, as a residual or not. */
struct lay_invariance_trial {
    int64_t first, rows;
    int threads;
    bool accumulate;
};

/* What a run does when its weights are loaded: a handful of trials. */
extern const struct lay_invariance_trial lay_invariance_few[];
extern const size_t lay_invariance_few_count;
/* Every number of rows in `rows` (from 1 to LAY_INVARIANCE_ROWS) at three places on 1, 2 and 4 threads;
 * returns how many trials these are, at most LAY_INVARIANCE_TRIALS_MAX. */
size_t lay_invariance_many(const int64_t *rows, size_t n,
                           struct lay_invariance_trial trials[LAY_INVARIANCE_TRIALS_MAX]);

struct lay_invariance {
    bool holds;
    int64_t layers, products;          /* tried */
    int64_t in, out;                   /* where it does not hold: the layer's shape, … */
    struct lay_invariance_trial trial; /* … the trial and … */
    int64_t row;                       /* … the row of the LAY_INVARIANCE_ROWS */
};

/* What is tried: y [rows, out] = (y +) the product of x [rows, in], on the current number of threads. */
struct lay_invariance_product {
    int64_t in, out;
    enum lay_status (*multiply)(const void *context, const float *x, float *y, int64_t rows, bool accumulate,
                                struct lay_err *err);
    const void *context;
};

/* *verdict is added to, so it can stand for several products: begin with {.holds = true}. Returns other than
 * LAY_OK only when a product fails. */
enum lay_status lay_invariance_try(const struct lay_invariance_product *product,
                                   const struct lay_invariance_trial *trials, size_t n,
                                   struct lay_invariance *verdict, struct lay_err *err);
enum lay_status lay_linear_invariance(const struct lay_linear *linear,
                                      const struct lay_invariance_trial *trials, size_t n,
                                      struct lay_invariance *verdict, struct lay_err *err);

/* One layer of every shape and form among those that live in `dnn`. */
enum lay_status lay_dnn_invariance(struct lay_dnn *dnn, const struct lay_invariance_trial *trials, size_t n,
                                   struct lay_invariance *verdict, struct lay_err *err);

/* The verdict in one sentence: "the products of 7 layer shapes gave every row the same bits …". */
void lay_invariance_print(const struct lay_invariance *verdict, struct lay_str *text);

#endif

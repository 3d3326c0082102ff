/* What the machine can do: the best rate of a product on packed weights that are in no cache, and of memory.
 * The bound that `layeval bench` prints is made of these (engine.md, Bound). */
#ifndef LAY_DNN_RATE_H
#define LAY_DNN_RATE_H

#include "engine/dnn/linear.h"

struct lay_rates;

/* Weights are walked through a pool of memory larger than the last-level cache, so no call finds its own in a
 * cache, unless the pool is held to fewer bytes, `pool`; 0: 1 GB. Borrows dnn. compute as for
 * lay_linear_create. */
enum lay_status lay_rates_create(struct lay_dnn *dnn, enum lay_dtype compute, size_t pool,
                                 struct lay_rates **rates, struct lay_err *err);
void lay_rates_destroy(struct lay_rates *rates); /* accepts NULL */
/* Gives the pool's memory back until it is needed again. */
void lay_rates_rest(struct lay_rates *rates);

struct lay_rate {
    double library_seconds; /* oneDNN's product of this type, uncut, input rows converted; 0: has none */
    double layer_seconds;   /* lay_linear_forward of one layer */
    double seconds;         /* the better of the two: what a product takes at best */
    double median_seconds;  /* the same way, the median of its calls */
};

/* Best of many calls of [rows, in] × [in, out] on the current number of threads, for at least `budget`
 * seconds each. */
enum lay_status lay_rates_measure(struct lay_rates *rates, int64_t in, int64_t out, int64_t rows,
                                  double budget, struct lay_rate *rate, struct lay_err *err);

/* Bytes a second of reading and of copying (bytes read plus bytes written) a buffer that fits in no cache. */
enum lay_status lay_rates_memory(struct lay_rates *rates, double *read, double *copy, struct lay_err *err);

#endif

/* The binomial distribution, exactly: a tail for tests of significance, and random draws for resampling. */
#ifndef LAY_REPORTS_BINOMIAL_H
#define LAY_REPORTS_BINOMIAL_H

#include "engine/base/err.h"

#include <stddef.h>
#include <stdint.h>

/* P(X <= k) for X ~ Binomial(n, 1/2), 2k <= n: the terms themselves are added, no normal approximation. Its
 * relative error grows with k to some 1e-11 at k = 1e5; what is below the smallest double is 0. */
double lay_binomial_half_tail(int64_t n, int64_t k);

/* What draws need to know of Binomial(n, p) for all n up to `most`. */
struct lay_binomial_table {
    double *log_factorial; /* [most + 1] */
    int64_t most;
};
enum lay_status lay_binomial_table_create(int64_t most, struct lay_binomial_table *table,
                                          struct lay_err *err);
void lay_binomial_table_free(struct lay_binomial_table *table);

/* The draw from Binomial(n, p), n <= table->most, that belongs to the uniform fraction u in [0, 1). Values
 * are ordered outwards from the most likely one, so that about √(n·p·(1−p)) of them are looked at; equal
 * arguments give equal draws. */
int64_t lay_binomial_draw(const struct lay_binomial_table *table, int64_t n, double p, double u);

#endif

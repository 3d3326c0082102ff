/* Two systems on the same samples: exact tests and resampling of paired outcomes.
 *
 * A sample is right or wrong for each of the two, so a language comes down to four counts. Differences are
 * those of the second system from the first, b − a, as fractions. */
#ifndef LAY_REPORTS_PAIRED_H
#define LAY_REPORTS_PAIRED_H

#include "engine/base/err.h"
#include "reports/statistics.h"

/* both + only_a + only_b + those right for neither = n. */
struct lay_paired {
    int64_t n, both, only_a, only_b;
};

/* (only_b − only_a) / n; NaN for n = 0. */
double lay_paired_difference(const struct lay_paired *pair);

/* Exact two-sided McNemar test (McNemar 1947; Conover 1999, 3.5): twice the smaller tail of Binomial(only_a +
 * only_b, 1/2), at most 1. 1 if nothing differs. */
double lay_mcnemar(int64_t only_a, int64_t only_b);

/* Holm's (1979) step-down adjusted p values of `count` tests; `adjusted` is not `p`. Comparing them with
 * alpha keeps the chance of any false rejection below alpha. */
void lay_holm(const double *p, size_t count, double *adjusted);

#define LAY_RESAMPLES 10000 /* the default */

/* One language within a mean: weight · (b − a). */
struct lay_paired_stratum {
    struct lay_paired pair;
    double weight;   /* 1/k for the mean over k languages, n/N for all samples alike */
    uint64_t stream; /* of random numbers: any number that is the language's own */
};

/* The 95 % percentile interval of Σ weight · (b − a) from a paired bootstrap stratified by language (Efron
 * 1979): every resample draws n of a language's n sample pairs with replacement. Of a resample only the
 * numbers of pairs of each kind matter, and these are multinomial, so they are drawn as such: the same
 * distribution as drawing pair by pair, without looking at any sample. A language's draws depend on seed and
 * stream alone: not on what else is compared, and not on threads. NaN if a stratum has no samples or there is
 * none. LAY_ERR_MEMORY only. */
enum lay_status lay_paired_bootstrap(const struct lay_paired_stratum *strata, size_t count, uint64_t seed,
                                     size_t resamples, struct lay_interval *interval, struct lay_err *err);

#endif

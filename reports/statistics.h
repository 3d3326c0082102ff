/* Intervals for proportions. Everything is a fraction 0–1; what is undefined (no samples) is NaN. */
#ifndef LAY_REPORTS_STATISTICS_H
#define LAY_REPORTS_STATISTICS_H

#include <stddef.h>
#include <stdint.h>

#define LAY_Z95 1.959963984540054 /* the normal distribution's 97.5 % point */

struct lay_interval {
    double low, high;
};

/* Wilson's 95 % score interval (Wilson 1927) of hits out of n. No hits: low is exactly 0; all: high is 1. */
struct lay_interval lay_wilson(int64_t hits, int64_t n);

/* Standard error of the mean as lm-evaluation-harness reports it: sample standard deviation over √n,
 * i.e. √(p(1−p)/(n−1)). NaN below two samples. */
double lay_standard_error(int64_t hits, int64_t n);

/* One stratum of an average: a language. */
struct lay_stratum {
    int64_t hits, n;
};

/* The unweighted mean over strata of hits/n with its stratified normal 95 % interval, mean ± z·√(Σ
 * pᵢ(1−pᵢ)/nᵢ)/k, cut to [0, 1]; the mean's standard error from those of the strata, √(Σ seᵢ²)/k. NaN if a
 * stratum is empty or there is none. */
struct lay_stratified {
    double mean, standard_error;
    struct lay_interval interval;
};
struct lay_stratified lay_stratified(const struct lay_stratum *strata, size_t count);

#endif

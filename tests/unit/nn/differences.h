/* Backward functions against finite differences, in double, of forward functions a test writes down. */
#ifndef LAY_TESTS_NN_DIFFERENCES_H
#define LAY_TESTS_NN_DIFFERENCES_H

#include "helpers.h"

#define STEP 1e-4

/* A scalar function of n numbers: Σ weight · y(x). */
struct function {
    double (*value)(const struct function *f, const double *x);
    const void *context;
    const float *weight; /* of the outputs: what stands for dy */
};

static inline double slope(const struct function *f, double *x, int64_t i)
{
    const double middle = x[i];
    x[i] = middle + STEP;
    const double above = f->value(f, x);
    x[i] = middle - STEP;
    const double below = f->value(f, x);
    x[i] = middle;
    return (above - below) / (2 * STEP);
}

static inline double *widened(const float *x, int64_t n)
{
    double *wide = malloc((size_t)(n + 1) * sizeof *wide);
    assert_non_null(wide);
    for (int64_t i = 0; i < n; i++)
        wide[i] = (double)x[i];
    return wide;
}

/* gradient [n] at x against finite differences; the error of those is of order STEP². */
static inline void check(const struct function *f, const float *x, const float *gradient, int64_t n,
                         const char *what)
{
    double *wide = widened(x, n);
    for (int64_t i = 0; i < n; i++) {
        const double expected = slope(f, wide, i);
        if (!(fabs((double)gradient[i] - expected) <= 2e-5 * (1 + fabs(expected))))
            fail_msg("%s: element %lld is %.9g, by differences %.9g", what, (long long)i, (double)gradient[i],
                     expected);
    }
    free(wide);
}

static inline void assert_same(const float *a, const float *b, int64_t n)
{
    assert_memory_equal(a, b, (size_t)n * sizeof *a);
}

#endif

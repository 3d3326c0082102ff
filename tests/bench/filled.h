/* Numbers to calculate with, for benchmarks. */
#ifndef LAY_TESTS_BENCH_FILLED_H
#define LAY_TESTS_BENCH_FILLED_H

#include "tests/random.h"

#include <stdlib.h>

/* [n] numbers in −1 … 1; free with free. */
static inline float *filled(int64_t n)
{
    float *x = malloc((size_t)n * sizeof *x);
    if (!x)
        exit(1);
    random_fill(x, (size_t)n, 1);
    return x;
}

#endif

/* Random numbers and references shared by the tests of engine/nn. */
#ifndef LAY_TEST_NN_HELPERS_H
#define LAY_TEST_NN_HELPERS_H

#include "engine/base/dtype.h"
#include "engine/nn/kernels.h"

#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/random.h"

static uint32_t random_state = 2463534242u;

static inline float uniform(float low, float high)
{
    return low + (high - low) * (float)random_24(&random_state) / (float)(1 << 24);
}

static inline int64_t random_int(int64_t low, int64_t high) /* inclusive */
{
    return low + (int64_t)(random_24(&random_state) % (uint32_t)(high - low + 1));
}

static inline float *random_floats(int64_t n, float range)
{
    float *x = malloc((size_t)(n + 1) * sizeof *x);
    assert_non_null(x);
    for (int64_t i = 0; i < n; i++)
        x[i] = uniform(-range, range);
    return x;
}

static inline float *copied(const float *x, int64_t n)
{
    float *y = malloc((size_t)(n + 1) * sizeof *y);
    assert_non_null(y);
    memcpy(y, x, (size_t)n * sizeof *y);
    return y;
}

/* Distance in units of the last place of the f32 nearest to `exact`. */
static inline double ulps(float got, double exact)
{
    const float nearest = fabsf((float)exact);
    double unit = (double)nextafterf(nearest, INFINITY) - (double)nearest;
    if (unit < ldexp(1, -149))
        unit = ldexp(1, -149);
    return fabs((double)got - exact) / unit;
}

#endif

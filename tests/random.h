/* Numbers for tests and benchmarks, the same on every machine: ranqd1 of Numerical Recipes. */
#ifndef LAY_TESTS_RANDOM_H
#define LAY_TESTS_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* The next 24 bits; `state` is any number at first. */
static inline uint32_t random_24(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

/* The next of −1 … 1, a multiple of 2^-23. */
static inline float random_signed(uint32_t *state)
{
    return (float)((int32_t)random_24(state) - (1 << 23)) / (float)(1 << 23);
}

/* x [n] in −1 … 1. */
static inline void random_fill(float *x, size_t n, uint32_t seed)
{
    for (size_t i = 0; i < n; i++)
        x[i] = random_signed(&seed);
}

#endif

/* Reproducible random numbers: SplitMix64 (Steele, Lea, Flood 2014), the same on every machine. */
#ifndef LAY_BASE_RANDOM_H
#define LAY_BASE_RANDOM_H

#include <stdint.h>

#define LAY_RANDOM_STEP UINT64_C(0x9e3779b97f4a7c15) /* between the counter's values */

/* SplitMix64's output function on a counter: any element of a stream can be had at once. */
static inline uint64_t lay_random_mix(uint64_t x)
{
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

/* The next fraction in [0, 1) of a stream, a multiple of 2^-53. `state` is any number at first. */
static inline double lay_random_fraction(uint64_t *state)
{
    *state += LAY_RANDOM_STEP;
    return (double)(lay_random_mix(*state) >> 11) * 0x1p-53;
}

#endif

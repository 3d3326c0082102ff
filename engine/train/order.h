/* The order in which an epoch visits its samples: a permutation that depends on seed, epoch and count alone,
 * so a run can be resumed anywhere without remembering a generator's state. */
#ifndef LAY_TRAIN_ORDER_H
#define LAY_TRAIN_ORDER_H

#include "engine/base/err.h"

#include <stddef.h>
#include <stdint.h>

/* order [count] becomes a permutation of 0 … count − 1: Fisher–Yates from the end, place i exchanged with
 * place r mod (i + 1), r the next number of SplitMix64 (Steele, Lea and Flood 2014) that is below the largest
 * multiple of i + 1 (so all places are equally likely). SplitMix64 starts from seed · 2³² + epoch, mixed
 * once. Epoch −1 is what the dev set is drawn with. count is below 2³². */
void lay_order(uint64_t seed, int64_t epoch, uint32_t *order, size_t count);

/* Uniform in [0, 1) from 53 bits of the same generator; *state moves on. */
double lay_random_unit(uint64_t *state);
/* The state that `seed` and a number start from. */
uint64_t lay_random_state(uint64_t seed, uint64_t number);

#endif

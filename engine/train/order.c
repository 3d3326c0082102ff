#include "engine/train/order.h"

static uint64_t next(uint64_t *state)
{
    *state += 0x9E3779B97F4A7C15u;
    uint64_t z = *state;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

uint64_t lay_random_state(uint64_t seed, uint64_t number)
{
    uint64_t state = (seed << 32) + number;
    return next(&state);
}

double lay_random_unit(uint64_t *state)
{
    return (double)(next(state) >> 11) * 0x1p-53;
}

/* Below n without favour for any: numbers of the incomplete last stretch are drawn again. */
static uint64_t below(uint64_t *state, uint64_t n)
{
    const uint64_t excess = (UINT64_MAX % n + 1) % n;
    uint64_t r = next(state);
    while (r > UINT64_MAX - excess)
        r = next(state);
    return r % n;
}

void lay_order(uint64_t seed, int64_t epoch, uint32_t *order, size_t count)
{
    uint64_t state = lay_random_state(seed, (uint64_t)epoch);
    for (size_t i = 0; i < count; i++)
        order[i] = (uint32_t)i;
    for (size_t i = count; i-- > 1;) {
        const size_t j = (size_t)below(&state, i + 1);
        const uint32_t held = order[i];
        order[i] = order[j];
        order[j] = held;
    }
}

#include "reports/paired.h"

#include "engine/base/mem.h"
#include "engine/base/random.h"
#include "reports/binomial.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

double lay_paired_difference(const struct lay_paired *pair)
{
    return pair->n > 0 ? (double)(pair->only_b - pair->only_a) / (double)pair->n : NAN;
}

double lay_mcnemar(int64_t only_a, int64_t only_b)
{
    const int64_t fewer = only_a < only_b ? only_a : only_b;
    const double p = 2 * lay_binomial_half_tail(only_a + only_b, fewer);
    return p < 1 ? p : 1;
}

void lay_holm(const double *p, size_t count, double *adjusted)
{
    double largest = 0;
    for (size_t i = 0; i < count; i++)
        adjusted[i] = NAN; /* not ranked yet */
    for (size_t rank = 0; rank < count; rank++) {
        size_t least = count;
        for (size_t i = 0; i < count; i++)
            if (isnan(adjusted[i]) && (least == count || p[i] < p[least]))
                least = i;
        const double scaled = (double)(count - rank) * p[least];
        largest = scaled > largest ? scaled : largest;
        adjusted[least] = largest < 1 ? largest : 1;
    }
}

/* totals[r] += weight · (b − a) of resample r. First how many of the n draws are pairs that differ, then how
 * many of these go to the rarer kind. */
static enum lay_status add_resamples(const struct lay_paired_stratum *stratum, uint64_t seed, double *totals,
                                     size_t resamples, struct lay_err *err)
{
    const struct lay_paired *pair = &stratum->pair;
    const int64_t differ = pair->only_a + pair->only_b;
    const bool rarer_is_a = pair->only_a < pair->only_b;
    if (differ == 0)
        return LAY_OK;
    struct lay_binomial_table table;
    LAY_TRY(lay_binomial_table_create(pair->n, &table, err));
    const double differing = (double)differ / (double)pair->n;
    const double rarer = (double)(rarer_is_a ? pair->only_a : pair->only_b) / (double)differ;
    const double scale = (rarer_is_a ? 1 : -1) * stratum->weight / (double)pair->n;
    uint64_t state = lay_random_mix(lay_random_mix(seed + LAY_RANDOM_STEP) ^ stratum->stream);
    for (size_t i = 0; i < resamples; i++) {
        const int64_t drawn = lay_binomial_draw(&table, pair->n, differing, lay_random_fraction(&state));
        const int64_t few = lay_binomial_draw(&table, drawn, rarer, lay_random_fraction(&state));
        totals[i] += scale * (double)(drawn - 2 * few);
    }
    lay_binomial_table_free(&table);
    return LAY_OK;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

enum lay_status lay_paired_bootstrap(const struct lay_paired_stratum *strata, size_t count, uint64_t seed,
                                     size_t resamples, struct lay_interval *interval, struct lay_err *err)
{
    enum lay_status status = LAY_OK;
    bool empty = count == 0 || resamples == 0;
    *interval = (struct lay_interval){NAN, NAN};
    for (size_t i = 0; i < count; i++)
        empty = empty || strata[i].pair.n == 0;
    if (empty)
        return LAY_OK;
    double *totals = lay_alloc(resamples, sizeof *totals);
    if (!totals)
        return lay_no_memory(err, "the resamples");
    for (size_t i = 0; i < count && status == LAY_OK; i++)
        status = add_resamples(&strata[i], seed, totals, resamples, err);
    if (status == LAY_OK) {
        const size_t outside = resamples / 40; /* 2.5 % at either end */
        qsort(totals, resamples, sizeof *totals, by_value);
        *interval = (struct lay_interval){totals[outside], totals[resamples - 1 - outside]};
    }
    lay_free(totals);
    return status;
}

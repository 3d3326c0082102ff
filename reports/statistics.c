#include "reports/statistics.h"

#include <math.h>

struct lay_interval lay_wilson(int64_t hits, int64_t n)
{
    if (n <= 0)
        return (struct lay_interval){NAN, NAN};
    const double total = (double)n, p = (double)hits / total, z2 = LAY_Z95 * LAY_Z95;
    const double scale = 1 + z2 / total;
    const double centre = (p + z2 / (2 * total)) / scale;
    const double half = LAY_Z95 / scale * sqrt(p * (1 - p) / total + z2 / (4 * total * total));
    /* In exact arithmetic the ends are 0 and 1 there; rounding must not leave 1e-17. */
    return (struct lay_interval){hits == 0 ? 0 : centre - half, hits == n ? 1 : centre + half};
}

double lay_standard_error(int64_t hits, int64_t n)
{
    if (n < 2)
        return NAN;
    const double p = (double)hits / (double)n;
    return sqrt(p * (1 - p) / (double)(n - 1));
}

struct lay_stratified lay_stratified(const struct lay_stratum *strata, size_t count)
{
    double mean = 0, variance = 0, error2 = 0;
    for (size_t i = 0; i < count; i++) {
        const double n = (double)strata[i].n, p = (double)strata[i].hits / n; /* 0/0 is NaN and stays it */
        const double error = lay_standard_error(strata[i].hits, strata[i].n);
        mean += p;
        variance += p * (1 - p) / n;
        error2 += error * error;
    }
    const double k = (double)count;
    struct lay_stratified result = {.mean = mean / k, .standard_error = sqrt(error2) / k};
    const double half = LAY_Z95 * sqrt(variance) / k;
    result.interval.low = result.mean - half < 0 ? 0 : result.mean - half;
    result.interval.high = result.mean + half > 1 ? 1 : result.mean + half;
    return result;
}

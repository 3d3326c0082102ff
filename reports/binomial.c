#include "reports/binomial.h"

#include "engine/base/mem.h"

#include <assert.h>
#include <math.h>

/* C(n, k) / 2^n. The product is kept in range by moving powers of two into `exponent`. */
static double half_term(int64_t n, int64_t k)
{
    enum { SHIFT = 512 };
    double product = 1;
    int64_t exponent = -n;
    for (int64_t i = 1; i <= k; i++) {
        product *= (double)(n - k + i) / (double)i;
        if (product > 0x1p512) {
            product = ldexp(product, -SHIFT);
            exponent += SHIFT;
        }
    }
    return exponent < -4096 ? 0 : ldexp(product, (int)exponent);
}

double lay_binomial_half_tail(int64_t n, int64_t k)
{
    assert(k >= 0 && 2 * k <= n);
    double sum = 1, ratio = 1;
    for (int64_t i = k; i > 0 && ratio > 0x1p-60; i--) { /* C(n, i − 1) = C(n, i) · i / (n − i + 1) */
        ratio *= (double)i / (double)(n - i + 1);
        sum += ratio;
    }
    return half_term(n, k) * sum;
}

enum lay_status lay_binomial_table_create(int64_t most, struct lay_binomial_table *table, struct lay_err *err)
{
    *table = (struct lay_binomial_table){.most = most};
    table->log_factorial = lay_alloc((size_t)most + 1, sizeof *table->log_factorial);
    if (!table->log_factorial)
        return lay_no_memory(err, "a table of factorials");
    for (int64_t i = 1; i <= most; i++)
        table->log_factorial[i] = table->log_factorial[i - 1] + log((double)i);
    return LAY_OK;
}

void lay_binomial_table_free(struct lay_binomial_table *table)
{
    lay_free(table->log_factorial);
    *table = (struct lay_binomial_table){0};
}

int64_t lay_binomial_draw(const struct lay_binomial_table *table, int64_t n, double p, double u)
{
    assert(n <= table->most);
    if (n == 0 || !(p > 0))
        return 0;
    if (!(p < 1))
        return n;
    const double *log_factorial = table->log_factorial, odds = p / (1 - p);
    const int64_t mode = (int64_t)((double)(n + 1) * p) < n ? (int64_t)((double)(n + 1) * p) : n;
    double above = exp(log_factorial[n] - log_factorial[mode] - log_factorial[n - mode] +
                       (double)mode * log(p) + (double)(n - mode) * log1p(-p));
    double below = above;
    int64_t high = mode, low = mode;
    u -= above;
    while (u >= 0 && (high < n || low > 0)) {
        if (high < n) {
            above *= odds * (double)(n - high) / (double)(high + 1);
            high++;
            u -= above;
            if (u < 0)
                return high;
        }
        if (low > 0) {
            below *= (double)low / (odds * (double)(n - low + 1));
            low--;
            u -= below;
            if (u < 0)
                return low;
        }
    }
    return mode; /* also where rounding has left a crumb of u behind the last value */
}

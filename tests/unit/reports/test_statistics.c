/* Intervals against published values and arithmetic by hand. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "reports/statistics.h"

static void near_to(double value, double expected, double limit)
{
    if (!(fabs(value - expected) <= limit))
        fail_msg("%.17g is not %.17g", value, expected);
}

/* Newcombe (1998), Two-sided confidence intervals for the single proportion, table I, method 3. */
static void wilson_is_as_published(void **state)
{
    (void)state;
    const struct {
        int64_t hits, n;
        double low, high;
    } rows[] = {{81, 263, 0.2553, 0.3662},
                {15, 148, 0.0624, 0.1605},
                {0, 20, 0.0000, 0.1611},
                {1, 29, 0.0061, 0.1718}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct lay_interval interval = lay_wilson(rows[i].hits, rows[i].n);
        near_to(interval.low, rows[i].low, 0.00005);
        near_to(interval.high, rows[i].high, 0.00005);
    }
}

static void wilson_at_the_ends(void **state)
{
    (void)state;
    const double z2 = LAY_Z95 * LAY_Z95;
    for (int64_t n = 1; n <= 1000;
         n++) { /* none right: n-th high end is z²/(n + z²), all right the mirror image */
        const struct lay_interval none = lay_wilson(0, n), all = lay_wilson(n, n);
        assert_true(none.low == 0 && all.high == 1);
        near_to(none.high, z2 / ((double)n + z2), 1e-12);
        near_to(all.low, (double)n / ((double)n + z2), 1e-12);
    }
    assert_true(isnan(lay_wilson(0, 0).low) && isnan(lay_wilson(0, 0).high));
}

static void standard_error_is_that_of_the_sample(void **state)
{
    (void)state;
    /* 0, 1, 1, 1: mean 3/4, squared deviations 9/16 + 3/16 = 3/4, variance 1/4 (n - 1 = 3), error 1/2 / 2. */
    near_to(lay_standard_error(3, 4), 0.25, 1e-15);
    assert_true(lay_standard_error(4, 4) == 0 && lay_standard_error(0, 4) == 0);
    assert_true(isnan(lay_standard_error(1, 1)) && isnan(lay_standard_error(0, 0)));
}

static void stratified_by_hand(void **state)
{
    (void)state;
    /* p = 1/2 of 4, p = 4/5 of 10: mean 0.65, variance (0.25/4 + 0.16/10)/4 = 0.019625. */
    const struct lay_stratum strata[] = {{2, 4}, {8, 10}};
    const struct lay_stratified result = lay_stratified(strata, 2);
    near_to(result.mean, 0.65, 1e-15);
    near_to(result.interval.low, 0.65 - LAY_Z95 * sqrt(0.019625), 1e-12);
    near_to(result.interval.high, 0.65 + LAY_Z95 * sqrt(0.019625), 1e-12);
    /* errors: 0.25/3 and 0.16/9, halved together */
    near_to(result.standard_error, sqrt(0.25 / 3 + 0.16 / 9) / 2, 1e-15);
}

static void stratified_is_cut_to_possible_values(void **state)
{
    (void)state;
    const struct lay_stratum high[] = {{9, 10}, {10, 10}}, all[] = {{3, 3}, {5, 5}},
                             empty[] = {{3, 3}, {0, 0}};
    assert_true(lay_stratified(high, 2).interval.high == 1);
    assert_true(lay_stratified(all, 2).interval.low == 1 && lay_stratified(all, 2).interval.high == 1);
    assert_true(isnan(lay_stratified(empty, 2).mean) && isnan(lay_stratified(empty, 2).interval.low));
    assert_true(isnan(lay_stratified(NULL, 0).mean));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wilson_is_as_published),
        cmocka_unit_test(wilson_at_the_ends),
        cmocka_unit_test(standard_error_is_that_of_the_sample),
        cmocka_unit_test(stratified_by_hand),
        cmocka_unit_test(stratified_is_cut_to_possible_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Paired tests and resampling against exact arithmetic and against implementations of another kind. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/base/mem.h"
#include "reports/binomial.h"
#include "reports/paired.h"

static void near_to(double value, double expected, double relative)
{
    if (!(fabs(value - expected) <= relative * fabs(expected)))
        fail_msg("%.17g is not %.17g", value, expected);
}

/* --- McNemar --- */

/* By Pascal's rule in whole numbers: C(100, 50) < 2^97. */
static double mcnemar_in_whole_numbers(int only_a, int only_b)
{
    static unsigned __int128 row[128];
    const int n = only_a + only_b, fewer = only_a < only_b ? only_a : only_b;
    for (int i = 0; i <= n; i++)
        row[i] = i == 0;
    for (int i = 1; i <= n; i++)
        for (int k = i; k > 0; k--)
            row[k] += row[k - 1];
    unsigned __int128 tail = 0;
    for (int k = 0; k <= fewer; k++)
        tail += 2 * row[k];
    const double p = ldexp((double)tail, -n);
    return p < 1 ? p : 1;
}

static void mcnemar_is_exact_for_every_small_table(void **state)
{
    (void)state;
    for (int a = 0; a <= 50; a++)
        for (int b = 0; b <= 50; b++)
            near_to(lay_mcnemar(a, b), mcnemar_in_whole_numbers(a, b), 1e-14);
}

static void mcnemar_by_hand(void **state)
{
    (void)state;
    assert_true(lay_mcnemar(0, 0) == 1);
    assert_true(lay_mcnemar(1, 0) == 1 && lay_mcnemar(0, 1) == 1); /* 2 · 1/2 */
    assert_true(lay_mcnemar(0, 6) == 2.0 / 64);
    near_to(lay_mcnemar(9, 1), 2.0 * (1 + 10) / 1024, 1e-15);
    assert_true(lay_mcnemar(7, 7) == 1); /* a tie */
    /* all right against all wrong: 2 / 2^n, and what no double holds is 0 */
    assert_true(lay_mcnemar(250, 0) == ldexp(2, -250) && lay_mcnemar(0, 5010) == 0);
}

/* The table of Agresti (1990), p. 350 (R's example of mcnemar.test): 86 and 150 changed their minds; the
 * others by summing whole numbers. */
static void mcnemar_of_large_tables(void **state)
{
    (void)state;
    near_to(lay_mcnemar(86, 150), 3.715936139571442e-05, 1e-12);
    near_to(lay_mcnemar(600, 500), 0.0028195449914364275, 1e-12);
    near_to(lay_mcnemar(37000, 37500), 0.06751964049031507, 1e-10);
}

/* --- Holm --- */

static void holm_by_hand(void **state)
{
    (void)state;
    /* ordered 0.01 0.02 0.03 0.04: ·4 = 0.04, ·3 = 0.06, ·2 = 0.06, ·1 = 0.04 raised to 0.06 */
    const double p[] = {0.03, 0.01, 0.04, 0.02};
    double adjusted[4];
    lay_holm(p, 4, adjusted);
    near_to(adjusted[1], 0.04, 1e-15);
    near_to(adjusted[3], 0.06, 1e-15);
    near_to(adjusted[0], 0.06, 1e-15);
    near_to(adjusted[2], 0.06, 1e-15);
    lay_holm(p, 1, adjusted); /* one test stays as it is */
    assert_true(adjusted[0] == 0.03);
    lay_holm(p, 0, adjusted);
}

static void holm_with_ties_stays_below_one(void **state)
{
    (void)state;
    const double ties[] = {0.01, 1, 0.01, 1, 0.6};
    double adjusted[5];
    lay_holm(ties, 5, adjusted);
    near_to(adjusted[0], 0.05, 1e-15);
    near_to(adjusted[2], 0.05, 1e-15); /* 4 · 0.01, raised to the one before */
    assert_true(adjusted[1] == 1 && adjusted[3] == 1 && adjusted[4] == 1);
}

/* --- binomial draws --- */

static void draws_follow_the_distribution(void **state)
{
    (void)state;
    struct lay_binomial_table table;
    assert_int_equal(lay_binomial_table_create(12, &table, NULL), LAY_OK);
    /* Evenly spaced u: the share of each value is its probability, to the spacing's grain at both ends of
     * each of its pieces. */
    const int steps = 100000;
    const double p = 0.3;
    int seen[13] = {0};
    for (int i = 0; i < steps; i++)
        seen[lay_binomial_draw(&table, 12, p, (i + 0.5) / steps)]++;
    double expected = pow(1 - p, 12);
    for (int k = 0; k <= 12; k++) {
        assert_true(fabs((double)seen[k] / steps - expected) <= 1.0 / steps + 1e-12);
        expected *= p / (1 - p) * (12 - k) / (k + 1);
    }
    lay_binomial_table_free(&table);
}

static void draws_at_the_ends(void **state)
{
    (void)state;
    struct lay_binomial_table table;
    assert_int_equal(lay_binomial_table_create(5000, &table, NULL), LAY_OK);
    const double last = 1 - 0x1p-53;
    for (int64_t n = 0; n <= 5000; n += 1000) {
        assert_int_equal(lay_binomial_draw(&table, n, 0, last), 0);
        assert_int_equal(lay_binomial_draw(&table, n, 1, 0), n);
        const int64_t extreme = lay_binomial_draw(&table, n, 0.25, last);
        assert_true(extreme >= 0 && extreme <= n);
    }
    lay_binomial_table_free(&table);
}

/* --- bootstrap --- */

static struct lay_interval bootstrap(int64_t n, int64_t only_a, int64_t only_b, uint64_t seed,
                                     size_t resamples)
{
    const struct lay_paired_stratum stratum = {
        .pair = {.n = n, .only_a = only_a, .only_b = only_b}, .weight = 1, .stream = 17};
    struct lay_interval interval;
    assert_int_equal(lay_paired_bootstrap(&stratum, 1, seed, resamples, &interval, NULL), LAY_OK);
    return interval;
}

static void bootstrap_without_a_difference(void **state)
{
    (void)state;
    const struct lay_interval same = bootstrap(250, 0, 0, 1, 10000), none = bootstrap(0, 0, 0, 1, 10000);
    assert_true(same.low == 0 && same.high == 0);
    assert_true(isnan(none.low) && isnan(none.high));
}

static void bootstrap_of_all_right_against_all_wrong(void **state)
{
    (void)state;
    const struct lay_interval up = bootstrap(250, 0, 250, 1, 10000), down = bootstrap(250, 250, 0, 1, 10000);
    assert_true(up.low == 1 && up.high == 1 && down.low == -1 && down.high == -1);
    const struct lay_interval one = bootstrap(1, 0, 1, 1, 10000);
    assert_true(one.low == 1 && one.high == 1);
}

enum { SMALL = 40 };

/* The distribution of the sum of n draws from {−1, 0, 1}, one draw after the other; sum s is at [s + SMALL].
 */
static void exact_distribution(int n, double minus, double plus, double *probability)
{
    double next[2 * SMALL + 1];
    for (int i = 0; i <= 2 * SMALL; i++)
        probability[i] = i == SMALL;
    for (int draw = 0; draw < n; draw++) {
        for (int i = 0; i <= 2 * SMALL; i++)
            next[i] = probability[i] * (1 - minus - plus) + (i < 2 * SMALL ? probability[i + 1] * minus : 0) +
                      (i > 0 ? probability[i - 1] * plus : 0);
        for (int i = 0; i <= 2 * SMALL; i++)
            probability[i] = next[i];
    }
}

/* Both ends must be 2.5 % points of the exact distribution, up to five standard errors of a share of 10 000
 * resamples. */
static void bootstrap_ends_are_quantiles(void **state)
{
    (void)state;
    const int tables[][3] = {{40, 3, 9}, {40, 9, 3}, {40, 5, 5}, {40, 0, 1}, {25, 12, 13}, {7, 1, 2}};
    const double slack = 5 * sqrt(0.025 * 0.975 / 10000);
    for (size_t t = 0; t < sizeof tables / sizeof *tables; t++) {
        const int n = tables[t][0];
        double probability[2 * SMALL + 1], below = 0, up_to = 0;
        exact_distribution(n, (double)tables[t][1] / n, (double)tables[t][2] / n, probability);
        const struct lay_interval interval = bootstrap(n, tables[t][1], tables[t][2], t, 10000);
        const int ends[] = {(int)lround(interval.low * n), (int)lround(interval.high * n)};
        const double shares[] = {0.025, 0.975};
        near_to(interval.low * n + SMALL, ends[0] + SMALL, 1e-12); /* a whole number of samples */
        for (int end = 0; end < 2; end++) {
            below = 0;
            for (int i = 0; i < ends[end] + SMALL; i++)
                below += probability[i];
            up_to = below + probability[ends[end] + SMALL];
            assert_true(below <= shares[end] + slack && up_to >= shares[end] - slack);
        }
    }
}

/* The mean over languages of different sizes is weighted by language, and languages are drawn apart: its
 * variance is Σ (d − (b − a)²) / nᵢ / k² with d the share of pairs that differ. */
static void bootstrap_of_a_mean_over_languages(void **state)
{
    (void)state;
    const struct lay_paired pairs[] = {
        {.n = 1000, .only_a = 100, .only_b = 150}, {.n = 250, .only_a = 30, .only_b = 20}, {.n = 5010}};
    struct lay_paired_stratum strata[3];
    double mean = 0, variance = 0;
    for (size_t i = 0; i < 3; i++) {
        const double n = (double)pairs[i].n, differ = (double)(pairs[i].only_a + pairs[i].only_b) / n;
        const double difference = (double)(pairs[i].only_b - pairs[i].only_a) / n;
        strata[i] = (struct lay_paired_stratum){.pair = pairs[i], .weight = 1.0 / 3, .stream = i};
        mean += difference / 3;
        variance += (differ - difference * difference) / n / 9;
    }
    struct lay_interval interval;
    assert_int_equal(lay_paired_bootstrap(strata, 3, 5, 100000, &interval, NULL), LAY_OK);
    const double half = LAY_Z95 * sqrt(variance);
    assert_true(fabs(interval.low - (mean - half)) < 0.02 * half);
    assert_true(fabs(interval.high - (mean + half)) < 0.02 * half);
}

static void bootstrap_depends_on_seed_and_stream_alone(void **state)
{
    (void)state;
    const struct lay_interval once = bootstrap(1000, 60, 90, 3, 10000),
                              again = bootstrap(1000, 60, 90, 3, 10000);
    assert_true(once.low == again.low && once.high == again.high);
    size_t other = 0;
    for (uint64_t seed = 4; seed < 12; seed++) {
        const struct lay_interval interval = bootstrap(1000, 60, 90, seed, 10000);
        other += interval.low != once.low || interval.high != once.high;
        assert_true(fabs(interval.low - once.low) <= 0.004 && fabs(interval.high - once.high) <= 0.004);
    }
    assert_true(other > 0);
}

static void bootstrap_without_memory(void **state)
{
    (void)state;
    const struct lay_paired_stratum stratum = {.pair = {.n = 10, .only_a = 1, .only_b = 2}, .weight = 1};
    struct lay_interval interval;
    struct lay_err err;
    for (long n = 0; n < 2; n++) {
        lay_mem_fail_after(n);
        assert_int_equal(lay_paired_bootstrap(&stratum, 1, 0, 10000, &interval, &err), LAY_ERR_MEMORY);
        lay_mem_fail_after(-1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mcnemar_is_exact_for_every_small_table),
        cmocka_unit_test(mcnemar_by_hand),
        cmocka_unit_test(mcnemar_of_large_tables),
        cmocka_unit_test(holm_by_hand),
        cmocka_unit_test(holm_with_ties_stays_below_one),
        cmocka_unit_test(draws_follow_the_distribution),
        cmocka_unit_test(draws_at_the_ends),
        cmocka_unit_test(bootstrap_without_a_difference),
        cmocka_unit_test(bootstrap_of_all_right_against_all_wrong),
        cmocka_unit_test(bootstrap_ends_are_quantiles),
        cmocka_unit_test(bootstrap_of_a_mean_over_languages),
        cmocka_unit_test(bootstrap_depends_on_seed_and_stream_alone),
        cmocka_unit_test(bootstrap_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

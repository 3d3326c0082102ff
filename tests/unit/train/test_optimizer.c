/* AdamW and clipping against PyTorch (tests/reference/adamw.py), learning rates against transformers'
 * formulas, the order of samples against an implementation in Python. */
#include "engine/train/optimizer.h"
#include "engine/train/order.h"
#include "engine/train/schedule.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void adamw_takes_the_steps_of_pytorch(void **state)
{
    (void)state;
    static const float gradients[3][5] = {
        {0.1f, -0.2f, 0.3f, 0, 1e-4f}, {0.5f, 0.25f, -0.125f, 0, 1e-4f}, {-1, 2, 4, 1e-3f, -1e-4f}};
    static const double rates[3] = {0.1, 0.05, 0.02};
    static const double expected[3][5] = {
        {0.899000049, -1.898, 0.399500012, 2.99699998, -0.0999899954},
        {0.85387665, -1.90809357, 0.385397404, 2.99550152, -0.149935007},
        {0.860482454, -1.92222834, 0.370851517, 2.98071289, -0.153511226},
    };
    const struct lay_adamw adamw = {0.8, 0.999, 1e-8, 0.01};
    float value[5] = {1, -2, 0.5f, 3, 0}, first[5] = {0}, second[5] = {0};
    for (int step = 0; step < 3; step++) {
        lay_adamw_step(&adamw, rates[step], step + 1, 5, gradients[step], value, first, second);
        for (int i = 0; i < 5; i++)
            if (fabs((double)value[i] - expected[step][i]) > 1e-6)
                fail_msg("step %d, element %d: %.9g, PyTorch has %.9g", step + 1, i, (double)value[i],
                         expected[step][i]);
    }
}

static void gradients_are_clipped_as_pytorch_clips_them(void **state)
{
    (void)state;
    const float gradient[5] = {3, 4, 0, 0, 12};
    const double norm = sqrt(lay_sum_of_squares(gradient, 5));
    assert_true(norm == 13.0);
    assert_true(fabs(12 * lay_clip_factor(norm, 2) - 1.846153736) < 1e-7);
    assert_true(lay_clip_factor(norm, 13.5) == 1);
    assert_true(lay_clip_factor(norm, 0) == 1);
}

static void rates_rise_from_nothing_and_fall(void **state)
{
    (void)state;
    struct lay_schedule s = {LAY_SCHEDULE_COSINE, 2, 4, 12};
    assert_true(lay_schedule_rate(&s, 0) == 0);
    assert_true(lay_schedule_rate(&s, 1) == 0.5);
    assert_true(lay_schedule_rate(&s, 4) == 2);
    assert_true(fabs(lay_schedule_rate(&s, 8) - 1) < 1e-15); /* half of 2: cos(π/2) = 0 */
    assert_true(fabs(lay_schedule_rate(&s, 6) - (1 + sqrt(0.5))) < 1e-15);
    s.kind = LAY_SCHEDULE_LINEAR;
    assert_true(lay_schedule_rate(&s, 8) == 1);
    assert_true(lay_schedule_rate(&s, 11) == 0.25);
    s.kind = LAY_SCHEDULE_CONSTANT;
    assert_true(lay_schedule_rate(&s, 3) == 1.5);
    assert_true(lay_schedule_rate(&s, 11) == 2);
}

static void schedules_have_names(void **state)
{
    (void)state;
    enum lay_schedule_kind kind;
    struct lay_err err = {0};
    for (int i = 0; i < LAY_SCHEDULE_COUNT; i++) {
        assert_int_equal(lay_schedule_by_name(lay_schedule_name((enum lay_schedule_kind)i), &kind, &err),
                         LAY_OK);
        assert_int_equal(kind, i);
    }
    assert_int_equal(lay_schedule_by_name("step", &kind, &err), LAY_ERR_USAGE);
    assert_non_null(strstr(err.message, "cosine, linear, constant"));
}

static void an_epoch_has_its_order(void **state)
{
    (void)state;
    static const struct {
        uint64_t seed;
        int64_t epoch;
        uint32_t expected[10];
    } cases[] = {{0, 0, {0, 1, 4, 6, 3, 9, 8, 7, 2, 5}},
                 {7, 3, {9, 8, 6, 2, 4, 5, 3, 7, 1, 0}},
                 {7, -1, {0, 6, 4, 9, 5, 3, 8, 2, 1, 7}}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint32_t order[10];
        lay_order(cases[i].seed, cases[i].epoch, order, 10);
        assert_memory_equal(order, cases[i].expected, sizeof order);
    }
}

static void every_sample_is_visited_once(void **state)
{
    (void)state;
    enum { N = 10007 };
    uint32_t *order = calloc(N, sizeof *order);
    unsigned char *seen = calloc(N, 1);
    assert_non_null(order);
    assert_non_null(seen);
    lay_order(3, 5, order, N);
    for (size_t i = 0; i < N; i++) {
        assert_true(order[i] < N);
        assert_int_equal(seen[order[i]]++, 0);
    }
    free(order);
    free(seen);
    lay_order(3, 5, NULL, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adamw_takes_the_steps_of_pytorch),
        cmocka_unit_test(gradients_are_clipped_as_pytorch_clips_them),
        cmocka_unit_test(rates_rise_from_nothing_and_fall),
        cmocka_unit_test(schedules_have_names),
        cmocka_unit_test(an_epoch_has_its_order),
        cmocka_unit_test(every_sample_is_visited_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

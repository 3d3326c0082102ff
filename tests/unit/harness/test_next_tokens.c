/* Divergence of next-token distributions, against sums done by hand, and agreement of answers. */
#include "harness/run/check.h"
#include "harness/run/next_tokens.h"
#include "tests/unit/harness/fake_system.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void assert_near(double a, double b)
{
    if (!(fabs(a - b) < 1e-6))
        fail_msg("%.9f is not %.9f", a, b);
}

static void divergence_is_the_sum_over_the_vocabulary(void **state)
{
    (void)state;
    /* p = (1/2, 1/4, 1/4), q = (1/4, 1/4, 1/2): Σ p ln(p/q) = 1/2 ln 2 − 1/4 ln 2 */
    float p[] = {logf(0.5f), logf(0.25f), logf(0.25f)}, q[] = {logf(0.25f), logf(0.25f), logf(0.5f)};
    const struct lay_next_tokens a = {p, 1, 3}, b = {q, 1, 3};
    bool same;
    assert_near(lay_next_tokens_kl(&a, &b, 0, &same), 0.25 * log(2));
    assert_false(same);
    assert_near(lay_next_tokens_kl(&a, &a, 0, &same), 0);
    assert_true(same);
    p[1] = NAN;
    assert_true(isnan(lay_next_tokens_kl(&a, &b, 0, &same)));
}

static struct lay_next_tokens get(enum lay_dtype dtype, int64_t prompts)
{
    static struct lay_language language = {.iso = "en"};
    static const struct lay_workload_cell cells[] = {{.language = &language}, {.language = &language}};
    struct lay_item list[] = {{.cell = &cells[0], .wanted = true},
                              {.cell = &cells[0], .wanted = false},
                              {.cell = &cells[0], .wanted = true},
                              {.cell = &cells[1], .wanted = true}};
    size_t start[] = {0, 3, 4};
    const struct lay_items items = {.list = list, .count = 4, .start = start, .wanted = 3};
    struct lay_system system = {.options.dtype = dtype};
    struct lay_next_tokens tokens;
    assert_int_equal(lay_next_tokens_get(&system, &items, 2, prompts, &tokens, NULL), LAY_OK);
    return tokens;
}

static void distributions_are_those_of_wanted_prompts(void **state)
{
    (void)state;
    struct lay_next_tokens f32 = get(LAY_F32, 10), bf16 = get(LAY_BF16, 2);
    assert_int_equal(f32.prompts, 3);
    assert_int_equal(bf16.prompts, 2);
    assert_int_equal(f32.vocab_size, 2);
    /* logits 0 and 1; 0 and 2 */
    assert_near(f32.log_probabilities[1], 1 - log(1 + exp(1)));
    assert_near(bf16.log_probabilities[2], -log(1 + exp(2)));
    bool same;
    const double p = 1 / (1 + exp(-1)), q = 1 / (1 + exp(-2));
    assert_near(lay_next_tokens_kl(&f32, &bf16, 1, &same), p * log(p / q) + (1 - p) * log((1 - p) / (1 - q)));
    assert_true(same);
    lay_next_tokens_free(&f32);
    lay_next_tokens_free(&bf16);
}

static void agreement_counts_texts_answers_and_verdicts(void **state)
{
    (void)state;
    struct lay_record a[] = {{.output = "so 3.", .paper_extracted = "3", .paper_correct = true},
                             {.output = "it is 4", .paper_extracted = "4", .paper_correct = true},
                             {.output = "5", .paper_extracted = "5"},
                             {.error = true}};
    struct lay_record b[] = {{.output = "so 3.", .paper_extracted = "3", .paper_correct = true},
                             {.output = "4", .paper_extracted = "4", .paper_correct = true},
                             {.output = "6", .paper_extracted = "6", .paper_correct = true},
                             {.output = ""}};
    struct lay_cell cells[] = {{.records = a, .count = 4}, {.records = b, .count = 4}};
    struct lay_task_result tasks[] = {{.cells = &cells[0], .count = 1}, {.cells = &cells[1], .count = 1}};
    const struct lay_system_result x = {.tasks = &tasks[0], .count = 1}, y = {.tasks = &tasks[1], .count = 1};
    const struct lay_agreement agreement = lay_agreement_of(&x, &y);
    assert_int_equal(agreement.samples, 4);
    assert_int_equal(agreement.same_output, 1);
    assert_int_equal(agreement.same_answer, 2);
    assert_int_equal(agreement.correct, 2);
    assert_int_equal(agreement.correct_against, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(divergence_is_the_sum_over_the_vocabulary),
        cmocka_unit_test(distributions_are_those_of_wanted_prompts),
        cmocka_unit_test(agreement_counts_texts_answers_and_verdicts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Comparisons of hand-made results: every figure by hand, and refusals that say what differs. */
#include "tests/unit/reports/build.h"

#include <math.h>

#include "reports/compare.h"
#include "reports/compare_put.h"
#include "reports/view.h"

static const struct lay_compare_options paper = {LAY_SCORER_PAPER, 0, LAY_RESAMPLES};

/* bn: 4 samples, a right on 0 1, b on 1 2 3; de: 2 samples, a on both, b on none; te (in no average): the
 * same for both. */
static void build_pair(struct lay_system_result *a, struct lay_system_result *b)
{
    const struct build_cell cells_a[] = {{"bn", "Bengali", LAY_GROUP_LRL, true, 0, "PPwe"},
                                         {"de", "German", LAY_GROUP_HRL, true, 1, "PP"},
                                         {"te", "Telugu", LAY_GROUP_NONE, false, 2, "Pw"}};
    const struct build_cell cells_b[] = {{"bn", "Bengali", LAY_GROUP_LRL, true, 0, "wPPP"},
                                         {"de", "German", LAY_GROUP_HRL, true, 1, "ws"},
                                         {"te", "Telugu", LAY_GROUP_NONE, false, 2, "Pw"}};
    *a = build_system("a", 1);
    *b = build_system("b", 1);
    build_task(&a->tasks[0], "mgsm", true, cells_a, 3);
    build_task(&b->tasks[0], "mgsm", true, cells_b, 3);
    for (enum lay_set set = 0; set < LAY_SET_COUNT; set++)
        a->tasks[0].set_size[set] = b->tasks[0].set_size[set] = set == LAY_SET_AVG ? 2 : 1;
}

static void check_row(const struct lay_compare_row *row, const char *name, int64_t n, int64_t both,
                      int64_t only_a, int64_t only_b, double difference, double p)
{
    assert_string_equal(row->name, name);
    assert_int_equal(row->pair.n, n);
    assert_int_equal(row->pair.both, both);
    assert_int_equal(row->pair.only_a, only_a);
    assert_int_equal(row->pair.only_b, only_b);
    assert_true(fabs(row->difference - difference) < 1e-12);
    assert_true(fabs(row->p - p) < 1e-12);
    assert_true(row->interval.low <= row->difference && row->difference <= row->interval.high);
}

static void languages_and_pools_by_hand(void **state)
{
    (void)state;
    struct lay_system_result a, b;
    struct lay_comparison comparison;
    build_pair(&a, &b);
    assert_int_equal(lay_comparison_create(&a, &b, &paper, &comparison, NULL), LAY_OK);
    assert_int_equal(comparison.count, 1);
    const struct lay_compare_row *rows = comparison.tasks[0].rows;
    assert_int_equal(comparison.tasks[0].count, 7);
    check_row(&rows[0], "bn", 4, 1, 1, 2, 0.25, 1); /* 2 · (1 + 3) / 8 */
    check_row(&rows[1], "de", 2, 0, 2, 0, -1, 0.5); /* 2 · 1 / 4 */
    check_row(&rows[2], "te", 2, 1, 0, 0, 0, 1);
    check_row(&rows[3], "lrl", 4, 1, 1, 2, 0.25, 1);
    check_row(&rows[4], "hrl", 2, 0, 2, 0, -1, 0.5);
    check_row(&rows[5], "avg", 6, 1, 3, 2, (0.25 - 1) / 2, 1);
    check_row(&rows[6], "all", 8, 2, 3, 2, -1.0 / 8, 1);
    assert_true(rows[0].accuracy_a == 50 && rows[0].accuracy_b == 75);
    assert_true(rows[5].accuracy_a == 75 && rows[5].accuracy_b == 37.5);
    assert_true(rows[6].accuracy_a == 62.5 && rows[6].accuracy_b == 50);
    assert_int_equal(rows[0].errors_a, 1);
    assert_int_equal(rows[6].errors_a, 1);
    assert_true(rows[1].p_holm == 1 && rows[0].p_holm == 1 && isnan(rows[5].p_holm)); /* 3 · 0.5, cut */
    assert_true(rows[0].flips[0].a->doc_id == 0 && !rows[0].flips[0].gained);
    assert_true(rows[0].flips[1].b->doc_id == 2 && rows[0].flips[1].gained);
    assert_true(rows[0].flips[2].b->doc_id == 3 && rows[0].flips[2].gained);
    lay_comparison_free(&comparison);

    const struct lay_compare_options strict = {LAY_SCORER_STRICT, 0, LAY_RESAMPLES};
    assert_int_equal(lay_comparison_create(&a, &b, &strict, &comparison, NULL), LAY_OK);
    check_row(&comparison.tasks[0].rows[1], "de", 2, 1, 1, 0, -0.5, 1);
    lay_comparison_free(&comparison);
    lay_system_result_free(&a);
    lay_system_result_free(&b);
}

/* A language's figures are its own, whatever stands beside it. */
static void a_view_does_not_change_a_language(void **state)
{
    (void)state;
    struct lay_system_result a, b, part_a, part_b;
    struct lay_comparison whole, part;
    const char *const languages[] = {"bn"};
    const struct lay_selection bengali = {.languages = languages, .n_languages = 1};
    build_pair(&a, &b);
    assert_int_equal(lay_view_create(&a, &bengali, &part_a, NULL), LAY_OK);
    assert_int_equal(lay_view_create(&b, &bengali, &part_b, NULL), LAY_OK);
    assert_int_equal(lay_comparison_create(&a, &b, &paper, &whole, NULL), LAY_OK);
    assert_int_equal(lay_comparison_create(&part_a, &part_b, &paper, &part, NULL), LAY_OK);
    assert_int_equal(part.tasks[0].count, 4); /* bn, lrl, avg, all */
    assert_memory_equal(&part.tasks[0].rows[0].interval, &whole.tasks[0].rows[0].interval,
                        sizeof(struct lay_interval));
    assert_true(part.tasks[0].rows[2].languages == 1 && part.tasks[0].rows[2].expected == 2);
    lay_comparison_free(&whole);
    lay_comparison_free(&part);
    lay_view_free(&part_a);
    lay_view_free(&part_b);
    lay_system_result_free(&a);
    lay_system_result_free(&b);
}

static void refused(const struct lay_system_result *a, const struct lay_system_result *b, const char *why)
{
    struct lay_err err = {0};
    struct lay_comparison comparison;
    assert_int_equal(lay_comparison_create(a, b, &paper, &comparison, &err), LAY_ERR_INPUT);
    if (!strstr(err.message, why))
        fail_msg("\"%s\" does not say \"%s\"", err.message, why);
}

static void unequal_samples_are_refused_by_name(void **state)
{
    (void)state;
    struct lay_system_result a, b;
    build_pair(&a, &b);
    struct lay_cell *cell = &b.tasks[0].cells[0];
    cell->records[3].doc_id = 9;
    refused(&a, &b, "mgsm bn: 1 only in the first (doc_id 3); mgsm bn: 1 only in the second (doc_id 9)");
    cell->records[3].doc_id = 3;
    cell->records[1].target[0] = '2';
    cell->records[1].paper_target_number = 28;
    lay_free(cell->records[1].doc);
    cell->records[1].doc = lay_strdup("{\"answer\": \"28\"}");
    refused(&a, &b, "mgsm bn: 1 with another target (doc_id 1)");
    snprintf(cell->language, sizeof cell->language, "th");
    refused(&a, &b, "mgsm bn only in the first; mgsm th only in the second");
    snprintf(b.tasks[0].task, sizeof b.tasks[0].task, "msvamp");
    refused(&a, &b, "mgsm only in the first; msvamp only in the second");
    lay_system_result_free(&a);
    lay_system_result_free(&b);
}

static void many_differences_are_counted(void **state)
{
    (void)state;
    struct build_cell cells[11];
    char names[11][4];
    struct lay_system_result a = build_system("a", 1), b = build_system("b", 1);
    for (int i = 0; i < 11; i++) {
        snprintf(names[i], sizeof names[i], "%c%c", 'a' + i, 'a' + i);
        cells[i] = (struct build_cell){names[i], names[i], LAY_GROUP_NONE, true, i, "PwPwPwPw"};
    }
    build_task(&a.tasks[0], "mgsm", true, cells, 11);
    build_task(&b.tasks[0], "mgsm", true, cells, 11);
    for (int i = 0; i < 11; i++)
        b.tasks[0].cells[i].count = 1;
    refused(&a, &b, "mgsm aa: 7 only in the first (doc_id 1, 2, 3, 4, 5, …); mgsm bb: 7");
    refused(&a, &b, "; and 3 more; compare what both have");
    for (int i = 0; i < 11; i++)
        b.tasks[0].cells[i].count = 8;
    lay_system_result_free(&a);
    lay_system_result_free(&b);
}

/* The same question under another name of its answer: label words differ between prompt sets, the spelling of
 * numbers between layouts. */
static void the_same_question_may_be_spelt_otherwise(void **state)
{
    (void)state;
    struct lay_system_result a, b;
    build_pair(&a, &b);
    struct lay_record *x = &a.tasks[0].cells[0].records[0], *y = &b.tasks[0].cells[0].records[0];
    assert_true(lay_same_sample(x, y, false));
    y->target[0] = '2'; /* the docs are equal */
    assert_true(lay_same_sample(x, y, false));
    lay_free(x->doc);
    lay_free(y->doc);
    x->doc = lay_strdup("{\"a\": 1, \"b\": \"\\u00e9\"}");
    y->doc = lay_strdup("{\"b\":\"é\",\"a\":1}"); /* laid out otherwise */
    assert_true(lay_same_sample(x, y, false));
    y->doc[1] = '!'; /* no JSON is like nothing */
    assert_false(lay_same_sample(x, y, false));
    assert_true(lay_same_sample(x, y, true)); /* both targets were read as the same number */
    y->paper_target_number = 28;
    assert_false(lay_same_sample(x, y, true));
    lay_system_result_free(&a);
    lay_system_result_free(&b);
}

static void empty_languages_have_no_figures(void **state)
{
    (void)state;
    const struct build_cell none[] = {{"bn", "Bengali", LAY_GROUP_LRL, true, 0, ""}};
    struct lay_system_result a = build_system("a", 1), b = build_system("b", 1);
    struct lay_comparison comparison;
    struct lay_str out = {0};
    const struct lay_compare_put_options options = {.compare = paper};
    build_task(&a.tasks[0], "mgsm", true, none, 1);
    build_task(&b.tasks[0], "mgsm", true, none, 1);
    a.tasks[0].set_size[LAY_SET_AVG] = b.tasks[0].set_size[LAY_SET_AVG] = 1;
    assert_int_equal(lay_comparison_create(&a, &b, &paper, &comparison, NULL), LAY_OK);
    for (size_t i = 0; i < comparison.tasks[0].count; i++) {
        const struct lay_compare_row *row = &comparison.tasks[0].rows[i];
        assert_true(isnan(row->difference) && isnan(row->interval.low) && isnan(row->accuracy_a));
        assert_true(row->p == 1);
    }
    assert_int_equal(lay_compare_put_csv(&out, &comparison, 1, &options, NULL), LAY_OK);
    assert_non_null(strstr(lay_str_text(&out), "a,b,paper,mgsm,bn,0,,,,,,0,0,0,0,0,1.0,1.0\n"));
    lay_str_free(&out);
    lay_comparison_free(&comparison);
    lay_system_result_free(&a);
    lay_system_result_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(languages_and_pools_by_hand),
        cmocka_unit_test(a_view_does_not_change_a_language),
        cmocka_unit_test(unequal_samples_are_refused_by_name),
        cmocka_unit_test(many_differences_are_counted),
        cmocka_unit_test(the_same_question_may_be_spelt_otherwise),
        cmocka_unit_test(empty_languages_have_no_figures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

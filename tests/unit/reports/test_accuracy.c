/* Rounding as Python does it, the official average, and that every answer is accounted for. */
#include "build.h"

#include "reports/accuracy.h"

#include <math.h>

static cJSON *golden(const char *name)
{
    char path[512];
    cJSON *root;
    struct lay_err err = {0};
    snprintf(path, sizeof path, LAYEVAL_TEST_DIR "/golden/eval_functions/%s", name);
    if (lay_json_read(path, &root, &err) != LAY_OK)
        fail_msg("%s", err.message);
    return root;
}

static void accuracy_is_rounded_as_the_official_code_does(void **state)
{
    (void)state;
    cJSON *root = golden("accuracy_rounding.json");
    const cJSON *triples = root->child, *triple;
    size_t seen = 0;
    cJSON_ArrayForEach(triple, triples)
    {
        const int64_t hits = (int64_t)cJSON_GetArrayItem(triple, 0)->valuedouble;
        const int64_t n = (int64_t)cJSON_GetArrayItem(triple, 1)->valuedouble;
        assert_true(lay_accuracy(hits, n) == cJSON_GetArrayItem(triple, 2)->valuedouble);
        seen++;
    }
    assert_int_equal(seen, 363);
    cJSON_Delete(root);
}

static void average_is_the_official_one(void **state)
{
    (void)state;
    cJSON *root = golden("accuracy_rounding.json");
    const cJSON *cases = root->child->next, *one, *item;
    size_t seen = 0;
    cJSON_ArrayForEach(one, cases)
    {
        double values[64];
        size_t count = 0;
        cJSON_ArrayForEach(item, cJSON_GetArrayItem(one, 0)) values[count++] = item->valuedouble;
        assert_true(lay_accuracy_average(values, count) == cJSON_GetArrayItem(one, 1)->valuedouble);
        seen++;
    }
    assert_int_equal(seen, 49);
    cJSON_Delete(root);
}

static void rounding_goes_by_the_exact_binary_value(void **state)
{
    (void)state;
    /* Python: round(0.125, 2), round(0.375, 2), round(2.675, 2), round(0.05, 1), round(0.25, 1), round(0.35,
     * 1) */
    assert_true(lay_round(0.125, 2) == 0.12);
    assert_true(lay_round(0.375, 2) == 0.38);
    assert_true(lay_round(2.675, 2) == 2.67);
    assert_true(lay_round(0.05, 1) == 0.1);
    assert_true(lay_round(0.25, 1) == 0.2);
    assert_true(lay_round(0.35, 1) == 0.3);
    assert_true(isnan(lay_accuracy(0, 0)));
    assert_true(isnan(lay_accuracy_average(NULL, 0)));
    assert_true(lay_accuracy(5, 5) == 100.0);
}

static void every_answer_is_accounted_for(void **state)
{
    (void)state;
    const struct build_cell cells[] = {{"bn", "Bengali", LAY_GROUP_LRL, true, 0, "PPpswuUlteeP"}};
    struct lay_task_result *task;
    struct lay_system_result system = build_system("s", 1);
    task = &system.tasks[0];
    build_task(task, "mgsm", true, cells, 1);
    const struct lay_counts c = lay_cell_counts(&task->cells[0]);
    assert_int_equal(c.n, 12);
    assert_int_equal(c.error, 2);
    assert_int_equal(c.correct_paper, 5);  /* P P p U P */
    assert_int_equal(c.wrong_paper, 5);    /* s w u l t */
    assert_int_equal(c.correct_strict, 4); /* P P s P */
    assert_int_equal(c.wrong_strict, 4);   /* p w l t */
    assert_int_equal(c.unparsed, 2);
    assert_int_equal(c.disagree, 3); /* p s U */
    assert_int_equal(c.ended_length, 1);
    assert_int_equal(c.ended_eos, 9);
    assert_int_equal(c.truncated, 1);
    assert_int_equal(c.n, c.correct_paper + c.wrong_paper + c.error);
    assert_int_equal(c.n, c.correct_strict + c.wrong_strict + c.unparsed + c.error);
    lay_system_result_free(&system);
}

/* bn 1/3 → 33.33, th 2/3 → 66.67, sw 1/2 → 50.0; de 1/1 → 100.0; Telugu is in no average. */
static const struct build_cell mixed[] = {
    {"bn", "Bengali", LAY_GROUP_LRL, true, 0, "Pww"}, {"th", "Thai", LAY_GROUP_LRL, true, 1, "PPw"},
    {"sw", "Swahili", LAY_GROUP_LRL, true, 2, "Pw"},  {"de", "German", LAY_GROUP_HRL, true, 5, "P"},
    {"te", "Telugu", LAY_GROUP_NONE, false, -1, "w"},
};

static void averages_are_over_their_own_languages(void **state)
{
    (void)state;
    struct lay_average average;
    struct lay_system_result system = build_system("s", 1);
    struct lay_task_result *task = &system.tasks[0];
    build_task(task, "mgsm", true, mixed, 5);
    task->set_size[LAY_SET_LRL] = 3;
    task->set_size[LAY_SET_HRL] = 7;
    task->set_size[LAY_SET_AVG] = 10;
    assert_int_equal(lay_task_average(task, LAY_SET_LRL, &average, NULL), LAY_OK);
    assert_int_equal(average.languages, 3);
    assert_int_equal(average.expected, 3);
    assert_true(average.paper == 50.0); /* (33.33 + 66.67 + 50) / 3 */
    assert_int_equal(average.counts.n, 8);
    assert_int_equal(lay_task_average(task, LAY_SET_HRL, &average, NULL), LAY_OK);
    assert_int_equal(average.languages, 1);
    assert_int_equal(average.expected, 7);
    assert_true(average.paper == 100.0);
    assert_int_equal(lay_task_average(task, LAY_SET_AVG, &average, NULL), LAY_OK);
    assert_int_equal(average.languages, 4);
    assert_true(average.paper == 62.5); /* 250 / 4 */
    assert_true(average.strict == 62.5);
    lay_system_result_free(&system);
}

static void official_order_is_kept(void **state)
{
    (void)state;
    const struct build_cell cells[] = {
        {"sw", "Swahili", LAY_GROUP_NONE, true, 1, "P"},
        {"en", "English", LAY_GROUP_NONE, true, -1, "P"},
        {"ur", "Urdu", LAY_GROUP_NONE, true, 0, "P"},
        {"bg", "Bulgarian", LAY_GROUP_NONE, true, -1, "P"},
    };
    struct lay_system_result system = build_system("s", 1);
    build_task(&system.tasks[0], "x-csqa", false, cells, 4);
    size_t *order = lay_official_order(&system.tasks[0]);
    const size_t expected[] = {2, 0, 3, 1}; /* ur sw, then without a place: bg en */
    assert_memory_equal(order, expected, sizeof expected);
    lay_free(order);
    lay_system_result_free(&system);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accuracy_is_rounded_as_the_official_code_does),
        cmocka_unit_test(average_is_the_official_one),
        cmocka_unit_test(rounding_goes_by_the_exact_binary_value),
        cmocka_unit_test(every_answer_is_accounted_for),
        cmocka_unit_test(averages_are_over_their_own_languages),
        cmocka_unit_test(official_order_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

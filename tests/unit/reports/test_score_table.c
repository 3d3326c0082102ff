/* The papers' table: who is best, which averages may be compared, and what published rows bring. */
#include "build.h"

#include "reports/score_table.h"

#include <math.h>

static const struct build_cell four_languages[] = {
    {"bn", "Bengali", LAY_GROUP_LRL, true, 0, "Pwww"},
    {"sw", "Swahili", LAY_GROUP_LRL, true, 1, "PPww"},
    {"en", "English", LAY_GROUP_HRL, true, 2, "PPPw"},
    {"te", "Telugu", LAY_GROUP_NONE, false, 3, "PPPP"},
};

static void set_sizes(struct lay_task_result *task, size_t low, size_t high)
{
    task->set_size[LAY_SET_LRL] = low;
    task->set_size[LAY_SET_HRL] = high;
    task->set_size[LAY_SET_AVG] = low + high;
}

static struct lay_system_result one_system(const char *name, const struct build_cell *cells, size_t count)
{
    struct lay_system_result system = build_system(name, 1);
    build_task(&system.tasks[0], "mgsm", true, cells, count);
    set_sizes(&system.tasks[0], 2, 1);
    return system;
}

static size_t column_of(const struct lay_score_table *table, const char *key)
{
    size_t c = 0;
    while (strcmp(table->columns[c].key, key) != 0)
        assert_true(++c < table->n_columns);
    return c;
}

static const struct lay_score *score_of(const struct lay_score_table *table, size_t row, const char *key)
{
    return lay_score_at(table, row, column_of(table, key));
}

static void columns_are_languages_then_averages(void **state)
{
    (void)state;
    struct lay_system_result system = one_system("a", four_languages, 4);
    struct lay_score_table table;
    assert_int_equal(lay_score_table_create(&system, 1, NULL, "mgsm", &table, NULL), LAY_OK);
    static const char *const keys[] = {"bn", "sw", "en", "te", "lrl", "hrl", "avg"};
    assert_int_equal(table.n_columns, 7);
    for (size_t c = 0; c < 7; c++)
        assert_string_equal(table.columns[c].key, keys[c]);
    assert_true(score_of(&table, 0, "bn")->paper == 25);
    assert_true(score_of(&table, 0, "lrl")->paper == 37.5); /* (25 + 50) / 2 */
    assert_true(score_of(&table, 0, "avg")->paper == 50);   /* (25 + 50 + 75) / 3; Telugu is in no average */
    for (size_t c = 0; c < 7; c++)
        assert_int_equal(lay_score_at(&table, 0, c)->place, 0); /* nobody to be better than */
    lay_score_table_free(&table);
    lay_system_result_free(&system);
}

static void best_and_second_share_places_when_equal(void **state)
{
    (void)state;
    const char *const kinds[] = {"PPPw", "PPPw", "PPww", "Pwww"};
    static const int places[] = {1, 1, 2, 0};
    struct lay_system_result systems[4];
    for (size_t i = 0; i < 4; i++) {
        const struct build_cell cell = {"bn", "Bengali", LAY_GROUP_LRL, true, 0, kinds[i]};
        systems[i] = one_system("s", &cell, 1);
    }
    struct lay_score_table table;
    assert_int_equal(lay_score_table_create(systems, 4, NULL, "mgsm", &table, NULL), LAY_OK);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(score_of(&table, i, "bn")->place, places[i]);
        /* One of the two low-resource languages: another average than the papers', never ranked. */
        assert_true(score_of(&table, i, "lrl")->partial);
        assert_int_equal(score_of(&table, i, "lrl")->place, 0);
    }
    lay_score_table_free(&table);
    for (size_t i = 0; i < 4; i++)
        lay_system_result_free(&systems[i]);
}

static void published_rows_are_ranked_by_what_is_printed(void **state)
{
    (void)state;
    struct lay_figure printed[] = {{"bn", 25.04, 2}, {"avg", 90, 1}};
    struct lay_figure with_telugu[] = {{"bn", 20, 1}, {"te", 99, 1}, {"avg", 95, 1}};
    struct lay_baseline rows[] = {
        {.system = "A", .task = "mgsm", .source = "s", .figures = printed, .count = 2},
        {.system = "B", .task = "mgsm", .source = "s", .figures = with_telugu, .count = 3},
        {.system = "C", .task = "msvamp", .source = "s", .figures = printed, .count = 2},
    };
    const struct lay_baseline_list baselines = {rows, 3};
    struct lay_system_result system = one_system("ours", four_languages, 4);
    struct lay_score_table table;
    assert_int_equal(lay_score_table_create(&system, 1, &baselines, "mgsm", &table, NULL), LAY_OK);
    assert_int_equal(table.n_rows, 3); /* C is of another task */
    assert_int_equal(score_of(&table, 0, "bn")->place, 1);
    assert_int_equal(score_of(&table, 1, "bn")->place, 1); /* 25.04 and 25.00 print as 25.0 */
    assert_int_equal(score_of(&table, 2, "bn")->place, 2);
    assert_int_equal(score_of(&table, 1, "avg")->place, 1);
    assert_int_equal(score_of(&table, 0, "avg")->place, 2);
    assert_true(score_of(&table, 2, "avg")->partial); /* averaged over Telugu too */
    assert_int_equal(score_of(&table, 2, "avg")->place, 0);
    assert_true(isnan(score_of(&table, 1, "sw")->paper));
    assert_true(isnan(score_of(&table, 1, "bn")->strict));
    struct lay_str text = {0};
    lay_score_put(&text, score_of(&table, 1, "bn"));
    lay_str_putc(&text, ' ');
    lay_score_put(&text, score_of(&table, 1, "sw"));
    lay_str_putc(&text, ' ');
    lay_score_put(&text, score_of(&table, 0, "bn"));
    assert_string_equal(lay_str_text(&text), "25.04 - 25.0");
    lay_str_free(&text);
    lay_score_table_free(&table);
    lay_system_result_free(&system);
}

static void no_rows_are_no_table(void **state)
{
    (void)state;
    struct lay_baseline row = {.system = "A", .task = "mgsm", .source = "s"};
    const struct lay_baseline_list baselines = {&row, 1};
    struct lay_score_table table;
    assert_int_equal(lay_score_table_create(NULL, 0, &baselines, "mgsm", &table, NULL), LAY_OK);
    assert_int_equal(table.n_rows, 0);
    assert_int_equal(table.n_columns, 0);
    lay_score_table_free(&table);
}

static void tasks_are_listed_once(void **state)
{
    (void)state;
    struct lay_system_result systems[2] = {build_system("a", 2), build_system("b", 2)};
    build_task(&systems[0].tasks[0], "xnli", false, four_languages, 1);
    build_task(&systems[0].tasks[1], "mgsm", true, four_languages, 1);
    build_task(&systems[1].tasks[0], "mgsm", true, four_languages, 1);
    build_task(&systems[1].tasks[1], "msvamp", true, four_languages, 1);
    size_t count;
    const char **tasks = lay_score_tasks(systems, 2, &count);
    assert_int_equal(count, 3);
    assert_string_equal(tasks[0], "xnli");
    assert_string_equal(tasks[1], "mgsm");
    assert_string_equal(tasks[2], "msvamp");
    lay_free(tasks);
    lay_system_result_free(&systems[0]);
    lay_system_result_free(&systems[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_are_languages_then_averages),
        cmocka_unit_test(best_and_second_share_places_when_equal),
        cmocka_unit_test(published_rows_are_ranked_by_what_is_printed),
        cmocka_unit_test(no_rows_are_no_table),
        cmocka_unit_test(tasks_are_listed_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

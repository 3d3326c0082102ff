/* The formats of a report: what they say of the same table, and that a lack of memory ends them cleanly. */
#include "build.h"

#include "reports/report.h"

static const struct build_cell languages[] = {
    {"bn", "Bengali", LAY_GROUP_LRL, true, 0, "PpsuU"},
    {"en", "English", LAY_GROUP_HRL, true, 1, "PPlte"},
};

static struct lay_system_result system_called(const char *name)
{
    struct lay_system_result system = build_system(name, 1);
    build_task(&system.tasks[0], "mgsm", true, languages, 2);
    system.tasks[0].set_size[LAY_SET_LRL] = system.tasks[0].set_size[LAY_SET_HRL] = 1;
    system.tasks[0].set_size[LAY_SET_AVG] = 2;
    return system;
}

/* A report of two systems and one published row of the same method, in every format. */
static void each_format(void (*check)(const struct lay_report_format *format, struct lay_report *report))
{
    struct lay_system_result systems[] = {system_called("one"), system_called("two")};
    struct lay_figure figures[] = {{"bn", 58.75, 2}, {"avg", 20, 1}};
    char name[] = "Other", method[] = "plain", empty[] = "", task[] = "mgsm", source[] = "a paper";
    struct lay_baseline row = {.system = name,
                               .method = method,
                               .llm = empty,
                               .encoder = empty,
                               .task = task,
                               .source = source,
                               .figures = figures,
                               .count = 2};
    struct lay_baseline_list list = {&row, 1};
    struct lay_report report = {
        .systems = systems, .count = 2, .baselines = &list, .heading = "Heading", .differences = true};
    for (size_t i = 0; i < lay_report_format_count; i++)
        check(&lay_report_formats[i], &report);
    lay_system_result_free(&systems[0]);
    lay_system_result_free(&systems[1]);
}

static void check_content(const struct lay_report_format *format, struct lay_report *report)
{
    struct lay_str text = {0};
    struct lay_err err = {0};
    if (format->put(&text, report, &err) != LAY_OK)
        fail_msg("%s: %s", format->name, err.message);
    assert_non_null(strstr(lay_str_text(&text), "two"));
    if (strcmp(format->name, "junit") != 0) {
        assert_non_null(strstr(lay_str_text(&text), "58.75"));
        assert_non_null(strstr(lay_str_text(&text), "a paper"));
        assert_non_null(strstr(lay_str_text(&text), "1.2")); /* 60 of ours minus 58.75: 1.25 */
    }
    lay_str_free(&text);
}

static void every_format_has_the_figures_and_the_source(void **state)
{
    (void)state;
    each_format(check_content);
}

static void check_memory(const struct lay_report_format *format, struct lay_report *report)
{
    enum lay_status status;
    long n = 0;
    report->terminal.color = true;
    do {
        struct lay_str text = {0};
        lay_mem_fail_after(n++);
        status = format->put(&text, report, NULL);
        lay_mem_fail_after(-1);
        lay_str_free(&text);
        if (status != LAY_OK)
            assert_int_equal(status, LAY_ERR_MEMORY);
    } while (status != LAY_OK && n < 10000);
    assert_int_equal(status, LAY_OK);
    assert_true(n > 1);
}

static void memory_may_run_out_anywhere(void **state)
{
    (void)state;
    each_format(check_memory);
}

static void formats_are_found_by_name_and_alias(void **state)
{
    (void)state;
    const struct lay_report_format *format;
    struct lay_err err = {0};
    assert_int_equal(lay_report_format_find("tex", "--report", true, &format, NULL), LAY_OK);
    assert_string_equal(format->file, "table.tex");
    assert_int_equal(lay_report_format_find("csv", "--format", false, &format, NULL), LAY_OK);
    assert_int_equal(lay_report_format_find("csv", "--report", true, &format, &err), LAY_ERR_USAGE);
    assert_non_null(strstr(err.message, "--report: \"csv\" is none of md, latex"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_format_has_the_figures_and_the_source),
        cmocka_unit_test(memory_may_run_out_anywhere),
        cmocka_unit_test(formats_are_found_by_name_and_alias),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* JUnit XML: escaping, what XML forbids, counts. Whole documents by hand; tests/cli/test_gate.py validates.
 */
#include "tests/unit/reports/build.h"

#include "reports/junit.h"

static void check(const struct lay_junit_case *cases, size_t count, const char *expected)
{
    struct lay_str out = {0};
    assert_int_equal(lay_junit_put(&out, cases, count, NULL), LAY_OK);
    assert_string_equal(lay_str_text(&out), expected);
    lay_str_free(&out);
}

static void no_cases_is_a_document(void **state)
{
    (void)state;
    check(NULL, 0,
          "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
          "<testsuites name=\"layeval\" tests=\"0\" failures=\"0\" errors=\"0\">\n</testsuites>\n");
}

static void suites_and_counts(void **state)
{
    (void)state;
    const struct lay_junit_case cases[] = {{.system = "a", .task = "mgsm", .name = "bn"},
                                           {.system = "a",
                                            .task = "mgsm",
                                            .name = "th",
                                            .failure = "worse",
                                            .type = "regression",
                                            .output = "o"},
                                           {.system = "a", .task = "xnli", .name = "sw", .skipped = "empty"}};
    check(cases, 3,
          "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
          "<testsuites name=\"layeval\" tests=\"3\" failures=\"1\" errors=\"0\">\n"
          "  <testsuite name=\"layeval.a.mgsm\" tests=\"2\" failures=\"1\" errors=\"0\" skipped=\"0\">\n"
          "    <testcase name=\"bn\" classname=\"layeval.a.mgsm\"/>\n"
          "    <testcase name=\"th\" classname=\"layeval.a.mgsm\">\n"
          "      <failure message=\"worse\" type=\"regression\"/>\n"
          "      <system-out>o</system-out>\n"
          "    </testcase>\n"
          "  </testsuite>\n"
          "  <testsuite name=\"layeval.a.xnli\" tests=\"1\" failures=\"0\" errors=\"0\" skipped=\"1\">\n"
          "    <testcase name=\"sw\" classname=\"layeval.a.xnli\">\n"
          "      <skipped message=\"empty\"/>\n"
          "    </testcase>\n"
          "  </testsuite>\n"
          "</testsuites>\n");
}

/* Controls, an escape sequence, U+FFFE, U+FFFF, a stray byte, a cut sequence and an overlong form are gone;
 * markup is escaped; line breaks survive an attribute; other scripts and U+10FFFF stay. */
static void hostile_texts(void **state)
{
    (void)state;
    const struct lay_junit_case item = {
        .system = "s<&>\"'\x01\x1b[31m\x7f",
        .task = "t",
        .name = "বাংলা\xff\xe0\xa6 \xc0\xaf \xef\xbf\xbe\xef\xbf\xbf\xf4\x8f\xbf\xbf",
        .failure = "a\nb\tc\rd ]]>",
        .type = "errors"};
    check(&item, 1,
          "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
          "<testsuites name=\"layeval\" tests=\"1\" failures=\"1\" errors=\"0\">\n"
          "  <testsuite name=\"layeval.s&lt;&amp;&gt;&quot;'[31m.t\" tests=\"1\" failures=\"1\" "
          "errors=\"0\" "
          "skipped=\"0\">\n"
          "    <testcase name=\"বাংলা  \xf4\x8f\xbf\xbf\" "
          "classname=\"layeval.s&lt;&amp;&gt;&quot;'[31m.t\">\n"
          "      <failure message=\"a&#10;b&#9;c&#13;d ]]&gt;\" type=\"errors\"/>\n"
          "    </testcase>\n"
          "  </testsuite>\n"
          "</testsuites>\n");
}

static void results_as_cases(void **state)
{
    (void)state;
    const struct build_cell cells[] = {{"bn", "Bengali", LAY_GROUP_LRL, true, 0, "Pswe"},
                                       {"th", "Thai", LAY_GROUP_LRL, true, 1, ""}};
    struct lay_system_result system = build_system("a", 1);
    struct lay_str out = {0};
    build_task(&system.tasks[0], "mgsm", true, cells, 2);
    assert_int_equal(lay_junit_put_results(&out, &system, 1, NULL), LAY_OK);
    assert_string_equal(
        lay_str_text(&out),
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
        "<testsuites name=\"layeval\" tests=\"2\" failures=\"1\" errors=\"0\">\n"
        "  <testsuite name=\"layeval.a.mgsm\" tests=\"2\" failures=\"1\" errors=\"0\" skipped=\"1\">\n"
        "    <testcase name=\"bn\" classname=\"layeval.a.mgsm\">\n"
        "      <failure message=\"1 of 4 samples ended in an error; the first: broke\" type=\"errors\"/>\n"
        "      <system-out>accuracy 25.00 (paper), 50.00 (strict), n 4</system-out>\n"
        "    </testcase>\n"
        "    <testcase name=\"th\" classname=\"layeval.a.mgsm\">\n"
        "      <skipped message=\"no samples are answered\"/>\n"
        "    </testcase>\n"
        "  </testsuite>\n"
        "</testsuites>\n");
    lay_str_free(&out);
    lay_system_result_free(&system);
}

static void memory_that_runs_out_is_said(void **state)
{
    (void)state;
    const struct build_cell cells[] = {{"bn", "Bengali", LAY_GROUP_LRL, true, 0, "Pe"}};
    struct lay_system_result system = build_system("a", 1);
    build_task(&system.tasks[0], "mgsm", true, cells, 1);
    enum lay_status status = LAY_ERR_MEMORY;
    for (long n = 0; status == LAY_ERR_MEMORY; n++) {
        struct lay_str out = {0};
        lay_mem_fail_after(n);
        status = lay_junit_put_results(&out, &system, 1, NULL);
        lay_mem_fail_after(-1);
        lay_str_free(&out);
        assert_true(n < 100);
    }
    assert_int_equal(status, LAY_OK);
    lay_system_result_free(&system);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_cases_is_a_document),
        cmocka_unit_test(suites_and_counts),
        cmocka_unit_test(hostile_texts),
        cmocka_unit_test(results_as_cases),
        cmocka_unit_test(memory_that_runs_out_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

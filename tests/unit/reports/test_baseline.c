/* Baselines files: published rows put together from lines, and what is refused, by file and line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "reports/baseline.h"

#define HEADER "system,method,llm,encoder,task,language,accuracy,source\n"

static const char scratch[] = "/tmp/layeval-test-baseline.csv";

static enum lay_status read_text(const char *text, struct lay_baseline_list *list, struct lay_err *err)
{
    assert_int_equal(lay_file_write(scratch, text, strlen(text), NULL), LAY_OK);
    const enum lay_status status = lay_baseline_read(scratch, list, err);
    unlink(scratch);
    return status;
}

static void lines_of_one_source_make_one_row(void **state)
{
    (void)state;
    struct lay_baseline_list list = {0};
    struct lay_err err = {0};
    static const char text[] = HEADER "A,plain,L,,mgsm,bn,6.40,\"paper, table 2\"\n"
                                      "A,plain,L,,mgsm,avg,37.9,\"paper, table 2\"\r\n"
                                      "A,plain,L,,msvamp,avg,40,\"paper, table 2\"\n"
                                      "\n"
                                      "A,plain,L,,mgsm,bn,6.0,elsewhere\n"
                                      "\"A \"\"two\"\"\",plain,L,,mgsm,bn,100,elsewhere";
    if (read_text(text, &list, &err) != LAY_OK)
        fail_msg("%s", err.message);
    assert_int_equal(list.count, 4);
    assert_string_equal(list.rows[0].source, "paper, table 2");
    assert_int_equal(list.rows[0].count, 2);
    assert_true(lay_baseline_figure(&list.rows[0], "bn")->accuracy == 6.4);
    assert_int_equal(lay_baseline_figure(&list.rows[0], "bn")->decimals, 2);
    assert_int_equal(lay_baseline_figure(&list.rows[0], "avg")->decimals, 1);
    assert_null(lay_baseline_figure(&list.rows[0], "th"));
    assert_string_equal(list.rows[1].task, "msvamp");
    assert_int_equal(list.rows[1].figures[0].decimals, 0);
    assert_string_equal(list.rows[2].source, "elsewhere");
    assert_string_equal(list.rows[3].system, "A \"two\"");
    lay_baseline_list_free(&list);
}

static void faults_are_named_by_line(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"", ":0: the first line must be"},
        {"system,method\n", ":1: the first line must be"},
        {"system,method,llm,encoder,task,language,source,accuracy\n", ":1: the first line must be"},
        {HEADER "A,plain,L,,mgsm,bn,6.4\n", ":2: expected 8 columns, found 7"},
        {HEADER "A,plain,L,,mgsm,bn,6.4,s\nA,plain,L,,mgsm,th,6.4,s,s\n", ":3: expected 8 columns, found 9"},
        {HEADER "A,plain,L,,mgsm,bn,6.4,\n", ":2: a figure without a source"},
        {HEADER "A,plain,L,,mgsm,bn,6.4,\" \"\n", ":2: a figure without a source"},
        {HEADER ",plain,L,,mgsm,bn,6.4,s\n", ":2: the column system is empty"},
        {HEADER "A,plain,L,,mgsm,bn,,s\n", ":2: the column accuracy is empty"},
        {HEADER "A,plain,L,,mgsm,bn,-1,s\n", ":2: the accuracy \"-1\""},
        {HEADER "A,plain,L,,mgsm,bn,100.1,s\n", ":2: the accuracy \"100.1\""},
        {HEADER "A,plain,L,,mgsm,bn,nan,s\n", ":2: the accuracy \"nan\""},
        {HEADER "A,plain,L,,mgsm,bn,6.,s\n", ":2: the accuracy \"6.\""},
        {HEADER "A,plain,L,,mgsm,bn,0x1,s\n", ":2: the accuracy \"0x1\""},
        {HEADER "A,plain,L,,mgsm,bn,6.4%,s\n", ":2: the accuracy \"6.4%\""},
        {HEADER "A,plain,L,,mgsm,average of all,6.4,s\n", ":2: \"average of all\" is neither"},
        {HEADER "A,plain,L,,mgsm,bn,6.4,s\n\nA,plain,L,,mgsm,bn,6.5,s\n", ":4: A has a figure for mgsm bn"},
        {HEADER "A,plain,L,,mgsm,bn,6.4,\"s\nt\n", ":3: a quoted field does not end"},
        {HEADER "A,pl\"ain,L,,mgsm,bn,6.4,s\n", ":2: "},
        {HEADER "A\xff,plain,L,,mgsm,bn,6.4,s\n", ":2: the column system is not UTF-8"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct lay_baseline_list list = {0};
        struct lay_err err = {0};
        char wanted[128];
        snprintf(wanted, sizeof wanted, "%s%s", scratch, cases[i].message);
        assert_int_equal(read_text(cases[i].text, &list, &err), LAY_ERR_INPUT);
        if (strncmp(err.message, wanted, strlen(wanted)) != 0)
            fail_msg("%s instead of %s", err.message, wanted);
        lay_baseline_list_free(&list);
    }
}

static void a_figure_in_two_files_is_refused(void **state)
{
    (void)state;
    struct lay_baseline_list list = {0};
    assert_int_equal(read_text(HEADER "A,plain,L,,mgsm,bn,6.4,s\n", &list, NULL), LAY_OK);
    assert_int_equal(read_text(HEADER "A,plain,L,,mgsm,th,6.4,s\n", &list, NULL), LAY_OK);
    assert_int_equal(list.count, 1);
    assert_int_equal(list.rows[0].count, 2);
    assert_int_equal(read_text(HEADER "A,plain,L,,mgsm,bn,6.4,s\n", &list, NULL), LAY_ERR_INPUT);
    lay_baseline_list_free(&list);
    assert_int_equal(lay_baseline_read("no-such-file.csv", &list, NULL), LAY_ERR_INPUT);
}

static void our_own_files_are_read(void **state)
{
    (void)state;
    struct lay_baseline_list list = {0};
    struct lay_err err = {0};
    size_t figures = 0;
    if (lay_baseline_read("data/baselines/layalign_paper.csv", &list, &err) != LAY_OK)
        fail_msg("%s", err.message);
    for (size_t i = 0; i < list.count; i++)
        figures += list.rows[i].count;
    assert_int_equal(figures, 594); /* lines of the file, without the first */
    lay_baseline_list_free(&list);
}

/* The n-th allocation fails, for every n. */
static void memory_may_run_out_anywhere(void **state)
{
    (void)state;
    static const char text[] = HEADER "A,plain,L,,mgsm,bn,6.4,s\nA,plain,L,,mgsm,th,6.4,s\n";
    assert_int_equal(lay_file_write(scratch, text, strlen(text), NULL), LAY_OK);
    enum lay_status status;
    long n = 0;
    do {
        struct lay_baseline_list list = {0};
        lay_mem_fail_after(n++);
        status = lay_baseline_read(scratch, &list, NULL);
        lay_mem_fail_after(-1);
        lay_baseline_list_free(&list);
        assert_true(status == LAY_OK || status == LAY_ERR_MEMORY);
    } while (status != LAY_OK);
    assert_true(n > 20);
    unlink(scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_of_one_source_make_one_row), cmocka_unit_test(faults_are_named_by_line),
        cmocka_unit_test(a_figure_in_two_files_is_refused), cmocka_unit_test(our_own_files_are_read),
        cmocka_unit_test(memory_may_run_out_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Command lines: what is accepted, what is refused with which name in the message. */
#include "harness/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

struct values {
    bool flag, help;
    const char *text;
    int64_t number;
    double fraction;
    size_t size;
    struct lay_option_list list, paths, positional;
};

static const struct lay_usage usage = {"try", "[options]", "A command for tests.", NULL};

static enum lay_status parse(struct values *v, bool allow_positional, struct lay_err *err, ...)
{
    const struct lay_option options[] = {
        {"Heading", NULL, LAY_OPTION_HEADING, NULL, NULL, NULL, 0, 0},
        {"write-out", NULL, LAY_OPTION_FLAG, NULL, "a flag", &v->flag, 0, 0},
        {"out", "output-path", LAY_OPTION_STRING, "DIR", "a text", &v->text, 0, 0},
        {"limit", NULL, LAY_OPTION_INT, "N", "a number", &v->number, 1, 100},
        {"free", NULL, LAY_OPTION_INT, "N", "a number", &v->number, 0, 0},
        {"drop", NULL, LAY_OPTION_DOUBLE, "X", "a fraction", &v->fraction, 0, 0},
        {"memory", NULL, LAY_OPTION_SIZE, "SIZE", "a size", &v->size, 0, 0},
        {"task", "tasks", LAY_OPTION_LIST, "LIST", "a list", &v->list, 0, 0},
        {"system", NULL, LAY_OPTION_PATHS, "FILE", "paths", &v->paths, 0, 0},
    };
    char *argv[32] = {(char *)(uintptr_t) "try"};
    int argc = 1;
    va_list words;
    va_start(words, err);
    for (char *word; (word = va_arg(words, char *)) != NULL;)
        argv[argc++] = word;
    va_end(words);
    *v = (struct values){0};
    return lay_options_parse(&usage, options, sizeof options / sizeof *options, argc, argv,
                             allow_positional ? &v->positional : NULL, &v->help, err);
}

static void release(struct values *v)
{
    lay_option_list_free(&v->list);
    lay_option_list_free(&v->paths);
    lay_option_list_free(&v->positional);
}

static void values_come_separate_or_with_an_equals_sign(void **state)
{
    (void)state;
    struct values v;
    struct lay_err err = {0};
    assert_int_equal(parse(&v, false, &err, "--out", "a b", "--limit=7", "--write-out", NULL), LAY_OK);
    assert_string_equal(v.text, "a b");
    assert_int_equal(v.number, 7);
    assert_true(v.flag);
    assert_int_equal(parse(&v, false, &err, "--out=", NULL), LAY_OK);
    assert_string_equal(v.text, "");
    assert_int_equal(parse(&v, false, &err, "--out=a=b", NULL), LAY_OK);
    assert_string_equal(v.text, "a=b");
    assert_int_equal(parse(&v, false, &err, "--free", "-3", NULL), LAY_OK);
    assert_int_equal(v.number, -3);
    assert_int_equal(parse(&v, false, &err, "--drop", "1.5", NULL), LAY_OK);
    assert_true(v.fraction == 1.5);
}

static void hyphens_underscores_and_aliases_are_the_same(void **state)
{
    (void)state;
    struct values v;
    struct lay_err err = {0};
    assert_int_equal(parse(&v, false, &err, "--write_out", "--output_path", "x", NULL), LAY_OK);
    assert_true(v.flag);
    assert_string_equal(v.text, "x");
    assert_int_equal(parse(&v, false, &err, "--output-path=y", NULL), LAY_OK);
    assert_string_equal(v.text, "y");
}

static void lists_are_split_at_commas_and_paths_are_not(void **state)
{
    (void)state;
    struct values v;
    struct lay_err err = {0};
    assert_int_equal(parse(&v, false, &err, "--task", "mgsm,xnli", "--tasks=msvamp,", "--system", "a,b.json",
                           "--system", "c.json", NULL),
                     LAY_OK);
    assert_int_equal(v.list.count, 3);
    assert_string_equal(v.list.items[0], "mgsm");
    assert_string_equal(v.list.items[1], "xnli");
    assert_string_equal(v.list.items[2], "msvamp");
    assert_int_equal(v.paths.count, 2);
    assert_string_equal(v.paths.items[0], "a,b.json");
    release(&v);
}

static void sizes_have_binary_units(void **state)
{
    static const struct {
        const char *text;
        size_t bytes;
    } good[] = {{"0", 0},
                {"1024", 1024},
                {"2k", 2048},
                {"3KB", 3072},
                {"500M", 524288000},
                {"16G", 17179869184},
                {"1.5g", 1610612736},
                {"1T", 1099511627776}};
    static const char *const bad[] = {"", "G", "-1", "16X", "16 G", "1e30", "nan", "16Gx"};
    (void)state;
    struct values v;
    struct lay_err err = {0};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_int_equal(parse(&v, false, &err, "--memory", good[i].text, NULL), LAY_OK);
        assert_int_equal(v.size, good[i].bytes);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(parse(&v, false, &err, "--memory", bad[i], NULL), LAY_ERR_USAGE);
        assert_non_null(strstr(err.message, "--memory"));
    }
}

static void positional_arguments_need_permission(void **state)
{
    (void)state;
    struct values v;
    struct lay_err err = {0};
    assert_int_equal(parse(&v, true, &err, "a", "--write-out", "-", "--", "--limit", NULL), LAY_OK);
    assert_int_equal(v.positional.count, 3);
    assert_string_equal(v.positional.items[0], "a");
    assert_string_equal(v.positional.items[1], "-");
    assert_string_equal(v.positional.items[2], "--limit");
    release(&v);
    assert_int_equal(parse(&v, false, &err, "stray", NULL), LAY_ERR_USAGE);
    assert_non_null(strstr(err.message, "stray"));
}

static void refusals_name_the_option(void **state)
{
    (void)state;
    struct values v;
    struct lay_err err = {0};
    assert_int_equal(parse(&v, false, &err, "--nonsense", "1", NULL), LAY_ERR_USAGE);
    assert_non_null(strstr(err.message, "--nonsense"));
    assert_int_equal(parse(&v, false, &err, "-x", NULL), LAY_ERR_USAGE);
    assert_non_null(strstr(err.message, "-x"));
    assert_int_equal(parse(&v, false, &err, "--limi", "1", NULL), LAY_ERR_USAGE); /* no abbreviations */
    assert_int_equal(parse(&v, false, &err, "--heading", NULL), LAY_ERR_USAGE);
    assert_int_equal(parse(&v, false, &err, "--limit", NULL), LAY_ERR_USAGE);
    assert_non_null(strstr(err.message, "--limit"));
    assert_int_equal(parse(&v, false, &err, "--write-out=1", NULL), LAY_ERR_USAGE);
    assert_non_null(strstr(err.message, "--write-out"));
    static const char *const numbers[] = {"0", "101", "7x", "", "99999999999999999999", "1.5"};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        assert_int_equal(parse(&v, false, &err, "--limit", numbers[i], NULL), LAY_ERR_USAGE);
        assert_non_null(strstr(err.message, "--limit"));
    }
    assert_int_equal(parse(&v, false, &err, "--drop", "inf", NULL), LAY_ERR_USAGE);
    assert_int_equal(parse(&v, false, &err, "--drop", "1,5", NULL), LAY_ERR_USAGE);
}

static void a_list_has_an_end(void **state)
{
    (void)state;
    struct values v;
    struct lay_err err = {0};
    char text[2 * (LAY_OPTION_LIST_MAX + 1) + 1] = "";
    for (int i = 0; i < LAY_OPTION_LIST_MAX; i++)
        strcat(text, "a,");
    assert_int_equal(parse(&v, false, &err, "--task", text, NULL), LAY_OK);
    assert_int_equal(v.list.count, LAY_OPTION_LIST_MAX);
    release(&v);
    strcat(text, "a");
    assert_int_equal(parse(&v, false, &err, "--task", text, NULL), LAY_ERR_USAGE);
    release(&v);
}

static void help_stops_parsing(void **state)
{
    (void)state;
    struct values v;
    struct lay_err err = {0};
    assert_int_equal(parse(&v, false, &err, "--help", "--nonsense", NULL), LAY_OK);
    assert_true(v.help);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_come_separate_or_with_an_equals_sign),
        cmocka_unit_test(hyphens_underscores_and_aliases_are_the_same),
        cmocka_unit_test(lists_are_split_at_commas_and_paths_are_not),
        cmocka_unit_test(sizes_have_binary_units),
        cmocka_unit_test(positional_arguments_need_permission),
        cmocka_unit_test(refusals_name_the_option),
        cmocka_unit_test(a_list_has_an_end),
        cmocka_unit_test(help_stops_parsing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

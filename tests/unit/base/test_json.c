/* JSON: what is refused and where, and output that is Python's to the byte. */
#include "tests/unit/base/golden_eval.h"

#include "engine/base/json.h"
#include "engine/base/json_scan.h"
#include "engine/base/mem.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

static void assert_refused(const char *text, const char *word)
{
    cJSON *root = NULL;
    struct lay_err err = {0};
    assert_int_equal(lay_json_parse("f.json", text, strlen(text), &root, &err), LAY_ERR_INPUT);
    assert_null(root);
    if (strncmp(err.message, "f.json", 6) != 0 || !strstr(err.message, word))
        fail_msg("no \"%s\" in: %s", word, err.message);
}

static void broken_json_is_refused_with_its_place(void **state)
{
    (void)state;
    assert_refused("", "not valid JSON");
    assert_refused("{\n\n\"a\": ,}", "f.json:3");
    assert_refused("{} x", "behind the end");
    assert_refused("{\"a\": 1, \"b\": 2, \"a\": 3}", "\"a\" stands twice");
    assert_refused("[{\"c\": {\"x\": 1, \"x\": 2}}]", "\"x\" stands twice");
    assert_refused("\"\xff\"", "invalid UTF-8 at byte 1");
    assert_refused("\"\xed\xa0\x80\"", "invalid UTF-8"); /* a surrogate */
    assert_refused("\"\xc0\xaf\"", "invalid UTF-8");     /* overlong */
}

static cJSON *parse(const char *text)
{
    cJSON *root;
    struct lay_err err = {0};
    if (lay_json_parse("f.json", text, strlen(text), &root, &err) != LAY_OK)
        fail_msg("%s", err.message);
    return root;
}

static void a_bom_and_white_space_are_read(void **state)
{
    (void)state;
    cJSON *root = parse("\xef\xbb\xbf {\"a\": [1]} \r\n\t");
    assert_non_null(cJSON_GetObjectItemCaseSensitive(root, "a"));
    cJSON_Delete(root);
}

/* A quadratic check would compare 2 × 10^10 pairs. */
static void many_keys_are_checked_quickly(void **state)
{
    (void)state;
    struct lay_str text = {0};
    struct lay_err err = {0};
    cJSON *root;
    lay_str_putc(&text, '{');
    for (int i = 0; i < 200000; i++)
        lay_str_printf(&text, "%s\"key%d\":%d", i ? "," : "", i * 7919 % 200000, i);
    lay_str_putc(&text, '}');
    const clock_t start = clock();
    assert_int_equal(lay_json_parse("f.json", text.data, text.length, &root, &err), LAY_OK);
    assert_true((double)(clock() - start) / CLOCKS_PER_SEC < 10);
    cJSON_Delete(root);
    text.data[--text.length] = 0;
    lay_str_puts(&text, ",\"key77\":1}");
    assert_int_equal(lay_json_parse("f.json", text.data, text.length, &root, &err), LAY_ERR_INPUT);
    assert_non_null(strstr(err.message, "\"key77\" stands twice"));
    lay_str_free(&text);
}

static void getters_keep_defaults_and_check_types(void **state)
{
    (void)state;
    struct lay_err err = {0};
    int64_t i = 5;
    double d = 0.5;
    bool b = true;
    const char *s = "default";
    cJSON *root = parse(
        "{\"i\": 9007199254740992, \"half\": 1.5, \"d\": -2e3, \"b\": false, \"s\": \"x\", \"n\": null}");
    assert_int_equal(lay_json_get_int(root, "f", "absent", &i, &err), LAY_OK);
    assert_int_equal(lay_json_get_int(root, "f", "n", &i, &err), LAY_OK);
    assert_int_equal(i, 5);
    assert_int_equal(lay_json_get_int(root, "f", "i", &i, &err), LAY_OK);
    assert_true(i == 9007199254740992);
    assert_int_equal(lay_json_get_int(root, "f", "half", &i, &err), LAY_ERR_INPUT);
    assert_string_equal(err.message, "f: \"half\" must be a whole number");
    assert_int_equal(lay_json_get_int(root, "f", "s", &i, &err), LAY_ERR_INPUT);
    assert_int_equal(lay_json_get_double(root, "f", "d", &d, &err), LAY_OK);
    assert_true(d == -2000);
    assert_int_equal(lay_json_get_double(root, "f", "b", &d, &err), LAY_ERR_INPUT);
    assert_int_equal(lay_json_get_bool(root, "f", "b", &b, &err), LAY_OK);
    assert_false(b);
    assert_int_equal(lay_json_get_bool(root, "f", "i", &b, &err), LAY_ERR_INPUT);
    assert_int_equal(lay_json_get_string(root, "f", "n", &s, &err), LAY_OK);
    assert_string_equal(s, "default");
    assert_int_equal(lay_json_get_string(root, "f", "s", &s, &err), LAY_OK);
    assert_string_equal(s, "x");
    assert_int_equal(lay_json_get_string(root, "f", "i", &s, &err), LAY_ERR_INPUT);
    static const char *const all[] = {"i", "half", "d", "b", "s", "n", NULL}, *const some[] = {"i", "half",
                                                                                               NULL};
    assert_int_equal(lay_json_only_keys(root, "f", all, &err), LAY_OK);
    assert_int_equal(lay_json_only_keys(root, "f", some, &err), LAY_ERR_INPUT);
    assert_non_null(strstr(err.message, "unknown key \"d\""));
    cJSON_Delete(root);
}

/* As CPython's repr prints them. */
static void doubles_print_as_python_prints_them(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *text;
    } rows[] = {
        {0.0, "0.0"},
        {-0.0, "-0.0"},
        {1.0, "1.0"},
        {0.1, "0.1"},
        {1.0 / 3, "0.3333333333333333"},
        {2.0 / 3, "0.6666666666666666"},
        {0.1 + 0.2, "0.30000000000000004"},
        {1e15, "1000000000000000.0"},
        {1e16, "1e+16"},
        {123456789012345678.0, "1.2345678901234568e+17"},
        {9999999999999998.0, "9999999999999998.0"},
        {1e22, "1e+22"},
        {1e23, "1e+23"},
        {0.0001, "0.0001"},
        {0.00001, "1e-05"},
        {0.00012345, "0.00012345"},
        {-1.5e-7, "-1.5e-07"},
        {1e100, "1e+100"},
        {5e-324, "5e-324"},
        {DBL_MAX, "1.7976931348623157e+308"},
        {DBL_MIN, "2.2250738585072014e-308"},
        {INFINITY, "Infinity"},
        {-INFINITY, "-Infinity"},
        {NAN, "NaN"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct lay_str out = {0};
        lay_json_put_double(&out, rows[i].value);
        assert_string_equal(lay_str_text(&out), rows[i].text);
        lay_str_free(&out);
    }
}

static void doubles_print_as_in_the_golden_triples(void **state)
{
    (void)state;
    char path[4096];
    cJSON *root;
    struct lay_err err = {0};
    size_t compared = 0;
    if (!golden_eval_path(path, sizeof path, "extract_last_num.json"))
        skip();
    assert_int_equal(lay_json_read(path, &root, &err), LAY_OK);
    for (const cJSON *row = root->child; row; row = row->next) {
        const char *text = NULL, *hex = NULL;
        struct lay_str out = {0};
        assert_int_equal(lay_json_get_string(row, path, "str", &text, &err), LAY_OK);
        assert_int_equal(lay_json_get_string(row, path, "hex", &hex, &err), LAY_OK);
        const double value = strtod(hex, NULL);
        if (!isfinite(value)) /* str() and json differ there */
            continue;
        lay_json_put_double(&out, value);
        assert_string_equal(lay_str_text(&out), text);
        lay_str_free(&out);
        compared++;
    }
    assert_true(compared > 50);
    cJSON_Delete(root);
}

static void strings_are_escaped_as_python_escapes_them(void **state)
{
    (void)state;
    static const char text[] = "a\"\\/\n\r\t\b\f\x01\x1f\x7f é\0x";
    struct lay_str out = {0};
    lay_json_put_string(&out, text, sizeof text - 1);
    assert_string_equal(lay_str_text(&out), "\"a\\\"\\\\/\\n\\r\\t\\b\\f\\u0001\\u001f\x7f é\\u0000x\"");
    lay_str_free(&out);
}

static void assert_put(const char *text, int indent, const char *expected)
{
    struct lay_str out = {0};
    cJSON *root = parse(text);
    lay_json_put(&out, root, indent);
    assert_string_equal(lay_str_text(&out), expected);
    lay_str_free(&out);
    cJSON_Delete(root);
}

static void trees_print_as_python_prints_them(void **state)
{
    (void)state;
    static const char tree[] = "{\"b\":[1,2.5,null,true],\"a\":{},\"c\":[],\"d\":{\"é\":\"x\"}}";
    assert_put(tree, -1, "{\"b\": [1, 2.5, null, true], \"a\": {}, \"c\": [], \"d\": {\"é\": \"x\"}}");
    assert_put(tree, 2,
               "{\n  \"b\": [\n    1,\n    2.5,\n    null,\n    true\n  ],\n  \"a\": {},\n  \"c\": [],\n"
               "  \"d\": {\n    \"é\": \"x\"\n  }\n}");
    assert_put("[-0.5, 9007199254740991, -3]", -1, "[-0.5, 9007199254740991, -3]");
}

/* "key=value;…", "!" behind it when the object does not end as it should, "?" when there is none. */
static const char *scanned(const char *text)
{
    static char shown[256];
    struct lay_json_scan scan;
    struct lay_json_slice key, value;
    size_t used = 0;
    if (!lay_json_scan_open(&scan, text, strlen(text)))
        return "?";
    shown[0] = 0;
    while (lay_json_scan_member(&scan, &key, &value))
        used += (size_t)snprintf(shown + used, sizeof shown - used, "%.*s=%.*s;", (int)key.length, key.text,
                                 (int)value.length, value.text);
    snprintf(shown + used, sizeof shown - used, "%s", lay_json_scan_ended(&scan) ? "" : "!");
    return shown;
}

static void members_are_walked_without_a_tree(void **state)
{
    (void)state;
    static const struct {
        const char *text, *members;
    } cases[] = {
        {"{}", ""},
        {" { \"a\" : 1 , \"b\":[1, {\"c\": \"]}\"}] }\n", "a=1;b=[1, {\"c\": \"]}\"}];"},
        {"{\"a\\\"\": \"\\\\\", \"b\": \"x\\\"},{\"}", "a\\\"=\"\\\\\";b=\"x\\\"},{\";"},
        {"{\"a\": null}", "a=null;"},
        {"[1]", "?"},
        {"", "?"},
        {"{", "!"},
        {"{\"a\": 1", "!"},
        {"{\"a\": }", "!"},
        {"{\"a\" 1}", "!"},
        {"{\"a\": \"x}", "!"},
        {"{\"a\": \"x\\", "!"},
        {"{a: 1}", "!"},
        {"{\"a\": 1} x", "a=1;!"},
        {"{\"a\": 1]", "a=1;!"},
        {"{\"a\": 1,}", "a=1;!"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(scanned(cases[i].text), cases[i].members);
}

static void slices_are_decoded_and_checked(void **state)
{
    (void)state;
    static const struct {
        const char *json, *text; /* NULL: refused */
    } strings[] = {
        {"\"\"", ""},      {"\"é\"", "é"},      {"\"a\\n\\u00e9\\ud83d\\ude00\"", "a\né😀"},
        {"\"\\q\"", NULL}, {"\"\\u12\"", NULL}, {"12", NULL},
        {"\"", NULL},
    };
    static const struct {
        const char *json;
        int64_t number;
        bool good;
    } numbers[] = {
        {"0", 0, true},
        {"-17", -17, true},
        {"999999999999999", 999999999999999, true},
        {"9999999999999999", 0, false},
        {"1.0", 0, false},
        {"-", 0, false},
        {"1e3", 0, false},
        {"\"1\"", 0, false},
    };
    for (size_t i = 0; i < sizeof strings / sizeof *strings; i++) {
        const struct lay_json_slice slice = {strings[i].json, strlen(strings[i].json)};
        char *text;
        const enum lay_status status = lay_json_slice_string(slice, "f:1", "k", &text, NULL);
        assert_int_equal(status, strings[i].text ? LAY_OK : LAY_ERR_INPUT);
        if (strings[i].text)
            assert_string_equal(text, strings[i].text);
        lay_free(text);
    }
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        const struct lay_json_slice slice = {numbers[i].json, strlen(numbers[i].json)};
        int64_t number = 0;
        assert_int_equal(lay_json_slice_int(slice, "f:1", "k", &number, NULL),
                         numbers[i].good ? LAY_OK : LAY_ERR_INPUT);
        assert_int_equal(number, numbers[i].number);
    }
}

/* A string of nothing but escapes with its end far away must not be searched again and again. */
static void long_strings_are_scanned_in_one_go(void **state)
{
    (void)state;
    enum { PAIRS = 8 << 20 };
    struct lay_str text = {0};
    struct lay_json_scan scan;
    struct lay_json_slice key, value;
    lay_str_puts(&text, "{\"a\": \"");
    for (size_t i = 0; i < PAIRS; i++)
        lay_str_append(&text, "\\n", 2);
    lay_str_puts(&text, "\"}");
    const clock_t start = clock();
    assert_true(lay_json_scan_open(&scan, text.data, text.length));
    assert_true(lay_json_scan_member(&scan, &key, &value));
    assert_true(lay_json_scan_ended(&scan));
    assert_int_equal(value.length, 2 * PAIRS + 2);
    assert_true(clock() - start < 5 * CLOCKS_PER_SEC);
    lay_str_free(&text);
}

/* A text that is in order is not called broken because memory ran out. */
static void a_lack_of_memory_is_no_broken_json(void **state)
{
    (void)state;
    static const char text[] = "{\"a\": [1, \"x\"]}";
    cJSON *root = NULL;
    enum lay_status status;
    long n = 0;
    do {
        lay_mem_fail_after(n++);
        status = lay_json_parse("t", text, strlen(text), &root, NULL);
        lay_mem_fail_after(-1);
        assert_true(status == LAY_OK || status == LAY_ERR_MEMORY);
    } while (status != LAY_OK);
    assert_true(n > 4);
    cJSON_Delete(root);
    assert_int_equal(lay_json_parse("t", "{", 1, &root, NULL), LAY_ERR_INPUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(broken_json_is_refused_with_its_place),
        cmocka_unit_test(a_bom_and_white_space_are_read),
        cmocka_unit_test(many_keys_are_checked_quickly),
        cmocka_unit_test(getters_keep_defaults_and_check_types),
        cmocka_unit_test(doubles_print_as_python_prints_them),
        cmocka_unit_test(doubles_print_as_in_the_golden_triples),
        cmocka_unit_test(strings_are_escaped_as_python_escapes_them),
        cmocka_unit_test(trees_print_as_python_prints_them),
        cmocka_unit_test(members_are_walked_without_a_tree),
        cmocka_unit_test(slices_are_decoded_and_checked),
        cmocka_unit_test(long_strings_are_scanned_in_one_go),
        cmocka_unit_test(a_lack_of_memory_is_no_broken_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Text: strings that grow, UTF-8, the Unicode facts of Python, errors, allocation. */
#include "engine/base/err.h"
#include "engine/base/mem.h"
#include "engine/base/str.h"
#include "engine/base/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

/* Where the decimal digits begin: Python 3.11's unicodedata (Unicode 14), and the two blocks of Unicode 15.
 */
static const int32_t zeros[] = {
    0x30,    0x660,   0x6f0,   0x7c0,   0x966,   0x9e6,   0xa66,   0xae6,   0xb66,   0xbe6,
    0xc66,   0xce6,   0xd66,   0xde6,   0xe50,   0xed0,   0xf20,   0x1040,  0x1090,  0x17e0,
    0x1810,  0x1946,  0x19d0,  0x1a80,  0x1a90,  0x1b50,  0x1bb0,  0x1c40,  0x1c50,  0xa620,
    0xa8d0,  0xa900,  0xa9d0,  0xa9f0,  0xaa50,  0xabf0,  0xff10,  0x104a0, 0x10d30, 0x11066,
    0x110f0, 0x11136, 0x111d0, 0x112f0, 0x11450, 0x114d0, 0x11650, 0x116c0, 0x11730, 0x118e0,
    0x11950, 0x11c50, 0x11d50, 0x11da0, 0x11f50, 0x16a60, 0x16ac0, 0x16b50, 0x1d7ce, 0x1d7d8,
    0x1d7e2, 0x1d7ec, 0x1d7f6, 0x1e140, 0x1e2f0, 0x1e4f0, 0x1e950, 0x1fbf0,
};
enum { N_ZEROS = sizeof zeros / sizeof *zeros };

static int expected_digit(int32_t c)
{
    for (int i = 0; i < N_ZEROS; i++)
        if (c >= zeros[i] && c < zeros[i] + 10)
            return (int)(c - zeros[i]);
    return -1;
}

static void every_digit_of_unicode_15_has_its_value(void **state)
{
    (void)state;
    for (int32_t c = 0; c < 0x110000; c++) {
        const int digit = lay_unicode_digit(c), expected = expected_digit(c);
        /* Newer tables of utf8proc may know more digits, never fewer or others. */
        if (expected >= 0 || c < 0x10d40)
            assert_int_equal(digit, expected);
        assert_in_range(digit + 1, 0, 10);
    }
}

/* [c for c in range(0x110000) if chr(c).isspace()] in Python. */
static void spaces_are_pythons(void **state)
{
    (void)state;
    static const int32_t spaces[] = {0x9,    0xa,    0xb,    0xc,    0xd,    0x1c,   0x1d,   0x1e,
                                     0x1f,   0x20,   0x85,   0xa0,   0x1680, 0x2000, 0x2001, 0x2002,
                                     0x2003, 0x2004, 0x2005, 0x2006, 0x2007, 0x2008, 0x2009, 0x200a,
                                     0x2028, 0x2029, 0x202f, 0x205f, 0x3000};
    size_t next = 0;
    for (int32_t c = 0; c < 0x110000; c++) {
        const bool expected = next < sizeof spaces / sizeof *spaces && spaces[next] == c;
        assert_int_equal(lay_unicode_is_space(c), expected);
        next += expected;
    }
}

static void assert_strip(const char *text, const char *expected)
{
    size_t length = strlen(text);
    lay_utf8_strip(&text, &length);
    assert_int_equal(length, strlen(expected));
    assert_memory_equal(text, expected, length);
}

static void strip_removes_white_space_at_both_ends(void **state)
{
    (void)state;
    assert_strip("", "");
    assert_strip(" \t\n ", "");
    assert_strip("a", "a");
    assert_strip("  a b\r\n", "a b");
    assert_strip("\xe3\x80\x80 é\xc2\xa0", "é");      /* ideographic and no-break space */
    assert_strip("\xe2\x80\x8b x", "\xe2\x80\x8b x"); /* a zero-width space is none */
    assert_strip("\x1c\xc2\x85"
                 "Entailment\xe2\x80\xa8",
                 "Entailment");     /* FS, NEL, line separator */
    assert_strip("x\x80", "x\x80"); /* malformed bytes stay */
}

static void assert_valid(const char *bytes, size_t length, bool valid, size_t where)
{
    size_t bad_at = 99;
    assert_int_equal(lay_utf8_valid(bytes, length, &bad_at), valid);
    if (!valid)
        assert_int_equal(bad_at, where);
}

static void only_well_formed_utf8_is_valid(void **state)
{
    (void)state;
    assert_valid("", 0, true, 0);
    assert_valid("aé字😀", 10, true, 0);
    assert_valid("a\0b", 3, true, 0);
    assert_valid("ab\x80", 3, false, 2);           /* a continuation alone */
    assert_valid("\xc3", 1, false, 0);             /* cut off */
    assert_valid("\xf0\x9f\x98", 3, false, 0);     /* cut off */
    assert_valid("\xc0\x80", 2, false, 0);         /* overlong */
    assert_valid("\xe0\x9f\xbf", 3, false, 0);     /* overlong */
    assert_valid("\xed\xa0\x80", 3, false, 0);     /* surrogate */
    assert_valid("\xf4\x90\x80\x80", 4, false, 0); /* beyond U+10FFFF */
    assert_valid("\xff", 1, false, 0);
}

static void code_points_are_read_one_by_one(void **state)
{
    (void)state;
    static const char text[] = "aé字😀\x80z";
    static const int32_t expected[] = {'a', 0xe9, 0x5b57, 0x1f600, 0xfffd, 'z'};
    size_t at = 0;
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(lay_utf8_next(text, sizeof text - 1, &at), expected[i]);
    assert_int_equal(at, sizeof text - 1);
}

static void strings_grow_and_are_handed_over(void **state)
{
    (void)state;
    struct lay_str str = {0};
    assert_string_equal(lay_str_text(&str), "");
    for (int i = 0; i < 1000; i++)
        lay_str_printf(&str, "%d,", i);
    assert_int_equal(str.length, 10 * 2 + 90 * 3 + 900 * 4);
    assert_string_equal(str.data + str.length - 4, "999,");
    lay_str_clear(&str);
    assert_string_equal(lay_str_text(&str), "");
    lay_str_append(&str, "a\0b", 3);
    lay_str_putc(&str, 'c');
    assert_memory_equal(str.data, "a\0bc", 5);
    char *text = lay_str_take(&str);
    assert_true(!str.data && text[3] == 'c');
    lay_free(text);
    text = lay_str_take(&str);
    assert_string_equal(text, "");
    lay_free(text);
}

static void a_string_remembers_that_memory_ran_out(void **state)
{
    (void)state;
    struct lay_str str = {0};
    struct lay_err err = {0};
    lay_str_puts(&str, "kept");
    lay_mem_fail_after(0);
    for (int i = 0; i < 100; i++)
        lay_str_puts(&str, "0123456789");
    lay_mem_fail_after(-1);
    lay_str_puts(&str, "more");
    assert_true(str.failed);
    assert_int_equal(lay_str_check(&str, &err), LAY_ERR_MEMORY);
    assert_null(lay_str_take(&str));
    assert_int_equal(lay_str_check(&str, &err), LAY_OK);
}

static void sizes_that_overflow_are_refused(void **state)
{
    (void)state;
    size_t n;
    void *array = NULL;
    size_t capacity = 0;
    assert_null(lay_alloc(SIZE_MAX / 2, 3));
    assert_null(lay_alloc_aligned(SIZE_MAX / 2, 3));
    assert_null(lay_alloc_aligned(SIZE_MAX - 1, 1));
    assert_null(lay_realloc(NULL, SIZE_MAX / 2, 3));
    assert_null(lay_strndup("x", SIZE_MAX));
    assert_false(lay_mul_size(SIZE_MAX, 2, &n));
    assert_false(lay_add_size(SIZE_MAX, 1, &n));
    assert_true(lay_mul_size(6, 7, &n) && n == 42);
    assert_false(lay_grow(&array, &capacity, SIZE_MAX / 2, 8));
    assert_true(!array && capacity == 0);
}

static void memory_is_zeroed_and_aligned(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 63, 64, 65, 1000};
    for (size_t i = 0; i < 6; i++) {
        unsigned char *plain = lay_alloc(sizes[i], 1), *aligned = lay_alloc_aligned(sizes[i], 1);
        assert_true(plain && aligned && (uintptr_t)aligned % LAY_ALIGNMENT == 0);
        for (size_t j = 0; j < sizes[i]; j++)
            assert_true(plain[j] == 0 && aligned[j] == 0);
        lay_free(plain);
        lay_free(aligned);
    }
}

static void messages_are_one_line_with_context_in_front(void **state)
{
    (void)state;
    struct lay_err err = {0};
    assert_int_equal(lay_fail(&err, LAY_ERR_INPUT, "%s:%d: bad\nline", "f", 3), LAY_ERR_INPUT);
    assert_string_equal(err.message, "f:3: bad line");
    assert_int_equal(lay_err_context(&err, LAY_ERR_INPUT, "while %s", "reading"), LAY_ERR_INPUT);
    assert_string_equal(err.message, "while reading: f:3: bad line");
    assert_int_equal(lay_fail(NULL, LAY_ERR_IO, "nobody listens"), LAY_ERR_IO);
    char endless[3000];
    memset(endless, 'x', sizeof endless);
    endless[sizeof endless - 1] = 0;
    (void)lay_fail(&err, LAY_ERR_USAGE, "%s", endless);
    assert_int_equal(strlen(err.message), LAY_ERR_MESSAGE_MAX - 1);
    (void)lay_err_context(&err, LAY_ERR_USAGE, "%s", endless);
    assert_int_equal(strlen(err.message), LAY_ERR_MESSAGE_MAX - 1);
}

static void exit_codes_are_the_documented_ones(void **state)
{
    (void)state;
    assert_int_equal(lay_exit_code(LAY_OK), 0);
    assert_int_equal(lay_exit_code(LAY_ERR_USAGE), 2);
    assert_int_equal(lay_exit_code(LAY_ERR_INPUT), 3);
    assert_int_equal(lay_exit_code(LAY_ERR_IO), 3);
    assert_int_equal(lay_exit_code(LAY_ERR_INTERNAL), 4);
    assert_int_equal(lay_exit_code(LAY_ERR_INTERRUPTED), 130);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_digit_of_unicode_15_has_its_value),
        cmocka_unit_test(spaces_are_pythons),
        cmocka_unit_test(strip_removes_white_space_at_both_ends),
        cmocka_unit_test(only_well_formed_utf8_is_valid),
        cmocka_unit_test(code_points_are_read_one_by_one),
        cmocka_unit_test(strings_grow_and_are_handed_over),
        cmocka_unit_test(a_string_remembers_that_memory_ran_out),
        cmocka_unit_test(sizes_that_overflow_are_refused),
        cmocka_unit_test(memory_is_zeroed_and_aligned),
        cmocka_unit_test(messages_are_one_line_with_context_in_front),
        cmocka_unit_test(exit_codes_are_the_documented_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

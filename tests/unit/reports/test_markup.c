/* Text that is to stand in a page, whatever it holds. */
#include "build.h"

#include "reports/markup.h"

static void assert_markup(const char *text, const char *expected)
{
    struct lay_str out = {0};
    lay_markup_text(&out, text);
    assert_string_equal(lay_str_text(&out), expected);
    lay_str_free(&out);
}

static void markup_characters_are_escaped(void **state)
{
    (void)state;
    assert_markup("</script><b a=\"1\" c='2'>&amp;",
                  "&lt;/script&gt;&lt;b a=&quot;1&quot; c=&#39;2&#39;&gt;&amp;amp;");
    assert_markup("", "");
    assert_markup(NULL, "");
}

static void other_scripts_stay_as_they_are(void **state)
{
    (void)state;
    assert_markup("১২ আম, คำตอบ, الجواب, 答案 😀", "১২ আম, คำตอบ, الجواب, 答案 😀");
    assert_markup("a\tb\nc", "a\tb\nc");
}

static void what_no_page_may_hold_is_shown_by_a_sign(void **state)
{
    (void)state;
    assert_markup("a\x01z\x1f\x7f\r", "a\u2401z\u241f\u2421\u240d");
    assert_markup("\xc2\x85", "\ufffd");                      /* U+0085, a C1 control */
    assert_markup("\xef\xbf\xbf", "\ufffd");                  /* U+FFFF, a non-character */
    assert_markup("\xff<\xe0\xa4", "\ufffd&lt;\ufffd\ufffd"); /* malformed UTF-8 */
}

static void plain_text_is_not_escaped(void **state)
{
    (void)state;
    struct lay_str out = {0};
    lay_markup_plain(&out, "<&>\x1e\x02");
    assert_string_equal(lay_str_text(&out), "<&>\u241e\u2402");
    lay_str_free(&out);
}

static void numbers_have_no_trailing_zeros(void **state)
{
    (void)state;
    const struct {
        double value;
        int decimals;
        const char *text;
    } cases[] = {{1.5, 2, "1.5"},  {100, 0, "100"},     {100, 2, "100"},      {0.125, 3, "0.125"},
                 {-0.001, 2, "0"}, {-1.25, 2, "-1.25"}, {12.3456, 2, "12.35"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct lay_str out = {0};
        lay_markup_number(&out, cases[i].value, cases[i].decimals);
        assert_string_equal(lay_str_text(&out), cases[i].text);
        lay_str_free(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(markup_characters_are_escaped),
        cmocka_unit_test(other_scripts_stay_as_they_are),
        cmocka_unit_test(what_no_page_may_hold_is_shown_by_a_sign),
        cmocka_unit_test(plain_text_is_not_escaped),
        cmocka_unit_test(numbers_have_no_trailing_zeros),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

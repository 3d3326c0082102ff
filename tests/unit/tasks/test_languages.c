/* The language table against the specification's, and decimal digits against Unicode's. */
#include "tests/unit/tasks/support.h"

#include "engine/base/utf8.h"

static void check_order(const char *task, const char *expected)
{
    const struct lay_language *list[64];
    const size_t count = lay_languages_of(task, false, list, 64);
    struct lay_str found = {0};
    for (size_t i = 0; i < count; i++)
        lay_str_printf(&found, "%s%s", i ? " " : "", list[i]->iso);
    assert_string_equal(lay_str_text(&found), expected);
    lay_str_free(&found);
}

static void printed_orders_are_the_papers(void **state)
{
    (void)state;
    check_order("mgsm", "bn th sw ja zh de fr ru es en");
    check_order("msvamp", "bn th sw ja zh de fr ru es en");
    check_order("x-csqa", "sw ur hi ar vi ja pl zh nl ru it de pt fr es en");
    check_order("xnli", "sw ur hi th ar tr el vi zh ru bg de fr es en");
}

static void check_official(const char *task, const char *expected)
{
    const struct lay_language *list[64];
    const size_t count = lay_languages_of(task, false, list, 64);
    struct lay_str found = {0};
    for (int place = 0; place < (int)count; place++)
        for (size_t i = 0; i < count; i++)
            if (lay_language_in(list[i], task)->official == place)
                lay_str_printf(&found, "%s%s", found.length ? " " : "", list[i]->iso);
    assert_string_equal(lay_str_text(&found), expected);
    lay_str_free(&found);
}

static void official_orders_are_the_official_codes(void **state)
{
    (void)state;
    check_official("mgsm", "bn th sw ja zh de fr ru es en");
    check_official("msvamp", "bn th sw ja zh de fr ru es en");
    check_official("x-csqa", "ur sw hi ar vi ja pl zh nl ru it de pt fr es en");
    check_official("xnli", ""); /* order of appearance in the file */
}

static void groups_are_low_bn_th_sw_and_high_the_others(void **state)
{
    static const char *const tasks[] = {"mgsm", "msvamp"};
    (void)state;
    for (size_t t = 0; t < 2; t++) {
        const struct lay_language *list[64];
        const size_t count = lay_languages_of(tasks[t], false, list, 64);
        assert_int_equal(count, 10);
        for (size_t i = 0; i < count; i++)
            assert_int_equal(lay_language_in(list[i], tasks[t])->resource,
                             strstr("bn th sw", list[i]->iso) ? LAY_RESOURCE_LOW : LAY_RESOURCE_HIGH);
    }
    assert_int_equal(lay_language_in(lay_language_find("bn"), "x-csqa") == NULL, true);
    assert_int_equal(lay_language_in(lay_language_find("sw"), "x-csqa")->resource, LAY_RESOURCE_NONE);
    assert_int_equal(lay_language_in(lay_language_find("sw"), "xnli")->resource, LAY_RESOURCE_NONE);
}

static void telugu_is_in_mgsm_but_off_by_default(void **state)
{
    const struct lay_language *list[64];
    (void)state;
    assert_int_equal(lay_languages_of("mgsm", true, list, 64), 11);
    assert_string_equal(list[10]->iso, "te");
    assert_int_equal(lay_language_in(list[10], "mgsm")->printed, -1);
    assert_null(lay_language_in(list[10], "msvamp"));
}

static void names_and_nllb_codes_are_the_specifications(void **state)
{
    static const char *const table[][3] = {
        {"bn", "Bengali", "ben_Beng"},    {"th", "Thai", "tha_Thai"},    {"sw", "Swahili", "swh_Latn"},
        {"ja", "Japanese", "jpn_Jpan"},   {"zh", "Chinese", "zho_Hans"}, {"de", "German", "deu_Latn"},
        {"fr", "French", "fra_Latn"},     {"ru", "Russian", "rus_Cyrl"}, {"es", "Spanish", "spa_Latn"},
        {"en", "English", "eng_Latn"},    {"te", "Telugu", "tel_Telu"},  {"ar", "Arabic", "arb_Arab"},
        {"vi", "Vietnamese", "vie_Latn"}, {"hi", "Hindi", "hin_Deva"},   {"ur", "Urdu", "urd_Arab"},
        {"pl", "Polish", "pol_Latn"},     {"nl", "Flemish", "nld_Latn"}, {"it", "Italian", "ita_Latn"},
        {"pt", "Portuguese", "por_Latn"}, {"tr", "Turkish", "tur_Latn"}, {"el", "Greek", "ell_Grek"},
        {"bg", "Bulgarian", "bul_Cyrl"},
    };
    const size_t count = sizeof table / sizeof *table;
    (void)state;
    assert_int_equal(lay_language_count(), count);
    for (size_t i = 0; i < count; i++) {
        const struct lay_language *language = lay_language_find(table[i][0]);
        assert_non_null(language);
        assert_string_equal(language->name, table[i][1]);
        assert_string_equal(language->nllb, table[i][2]);
        assert_ptr_equal(lay_language_find(table[i][1]), language);
        assert_int_equal(language->right_to_left,
                         strcmp(language->iso, "ar") == 0 || strcmp(language->iso, "ur") == 0);
    }
    assert_ptr_equal(lay_language_find("jap"), lay_language_find("ja"));
    assert_ptr_equal(lay_language_find("GERMAN"), lay_language_find("de"));
    assert_null(lay_language_find("klingon"));
    assert_null(lay_language_find(""));
}

/* The zeros of every block of decimal digits (category Nd) in Unicode 15.0 and 15.1, from UnicodeData.txt. */
static const int32_t zeros[] = {
    0x30,    0x660,   0x6F0,   0x7C0,   0x966,   0x9E6,   0xA66,   0xAE6,   0xB66,   0xBE6,
    0xC66,   0xCE6,   0xD66,   0xDE6,   0xE50,   0xED0,   0xF20,   0x1040,  0x1090,  0x17E0,
    0x1810,  0x1946,  0x19D0,  0x1A80,  0x1A90,  0x1B50,  0x1BB0,  0x1C40,  0x1C50,  0xA620,
    0xA8D0,  0xA900,  0xA9D0,  0xA9F0,  0xAA50,  0xABF0,  0xFF10,  0x104A0, 0x10D30, 0x11066,
    0x110F0, 0x11136, 0x111D0, 0x112F0, 0x11450, 0x114D0, 0x11650, 0x116C0, 0x11730, 0x118E0,
    0x11950, 0x11C50, 0x11D50, 0x11DA0, 0x11F50, 0x16A60, 0x16AC0, 0x16B50, 0x1D7CE, 0x1D7D8,
    0x1D7E2, 0x1D7EC, 0x1D7F6, 0x1E140, 0x1E2F0, 0x1E4F0, 0x1E950, 0x1FBF0,
};

static void decimal_digits_are_unicodes(void **state)
{
    const size_t count = sizeof zeros / sizeof *zeros;
    size_t digits = 0;
    (void)state;
    assert_int_equal(count, 68);
    for (size_t i = 0; i < count; i++)
        for (int value = 0; value < 10; value++)
            assert_int_equal(lay_unicode_digit(zeros[i] + value), value);
    for (int32_t rune = 0; rune < 0x110000; rune++)
        digits += lay_unicode_digit(rune) >= 0;
    assert_int_equal(digits, 680); /* and nothing else is one: not ², ½, ① or 三 */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(printed_orders_are_the_papers),
        cmocka_unit_test(official_orders_are_the_official_codes),
        cmocka_unit_test(groups_are_low_bn_th_sw_and_high_the_others),
        cmocka_unit_test(telugu_is_in_mgsm_but_off_by_default),
        cmocka_unit_test(names_and_nllb_codes_are_the_specifications),
        cmocka_unit_test(decimal_digits_are_unicodes),
    };
    return cmocka_run_group_tests(tests, load_languages, NULL);
}

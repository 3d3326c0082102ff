/* Normalising as Hugging Face's Precompiled does: on a map made by hand, and on SentencePiece's nmt_nfkc as
 * the demo encoder carries it. */
#include "support.h"

#include "engine/token/charsmap.h"
#include "engine/token/sp_model.h"

static void assert_mapped(const struct lay_charsmap *map, const char *text, const char *expected)
{
    struct lay_str out = {0};
    lay_charsmap_apply(map, text, strlen(text), &out);
    assert_string_equal(lay_str_text(&out), expected);
    lay_str_free(&out);
}

/* A double array with the one key "A" → "bc". The root's offset is 0x40, so label 'A' (0x41) leads to unit 1:
 * label 'A', a leaf (bit 8), offset 3, so its value is unit 1 ^ 3 = 2. */
static void a_map_made_by_hand(void **state)
{
    static const unsigned char bytes[] = {12,   0,    0, 0,    /* size of the double array */
                                          0,    0,    1, 0,    /* unit 0: offset 0x40 in bits 10… */
                                          0x41, 0x0d, 0, 0,    /* unit 1 */
                                          0,    0,    0, 0x80, /* unit 2: value 0 */
                                          'b',  'c',  0};
    struct lay_charsmap map;
    struct lay_err err = {0};
    (void)state;
    assert_int_equal(lay_charsmap_open("map", bytes, sizeof bytes, &map, &err), LAY_OK);
    assert_mapped(&map, "xAAB", "xbcbcB");
    assert_mapped(&map, "", "");
    for (size_t size = 1; size < sizeof bytes; size++) {
        const enum lay_status status = lay_charsmap_open("map", bytes, size, &map, &err);
        assert_int_equal(status, LAY_ERR_INPUT);
    }
    assert_int_equal(lay_charsmap_open("map", NULL, 0, &map, &err), LAY_OK);
    assert_mapped(&map, "xA", "xA");
}

static void nmt_nfkc_grapheme_by_grapheme(void **state)
{
    static const struct {
        const char *text, *expected;
    } cases[] = {
        {"plain", "plain"},
        {"ﬁne １２ ａ", "fine 12 a"},
        {"x² ½", "x2 1⁄2"},
        {"a\tb\nc\u00a0d", "a b c d"},
        {"▁x", " x"},
        {"e\u0301", "é"},                   /* three bytes: the grapheme is replaced as a whole */
        {"caf\u00e9", "caf\u00e9"},         /* composed already */
        {"e\u0323\u0302", "ẹ"},             /* five bytes: the shortest rule that fits replaces all of it */
        {"ক\u09c7\u09be", "ক\u09c7\u09be"}, /* nine bytes: character by character, so not composed to ো */
        {"\u0915\u0958", "\u0915\u0915\u093c"}, /* each of the two its own grapheme; U+0958 decomposes */
        {"\uff76\uff9e", "\u30ab\u3099"},       /* half-width ga: six bytes, so two characters on their own */
    };
    struct lay_str file = {0};
    struct lay_sp_model model;
    struct lay_charsmap map;
    struct lay_err err = {0};
    (void)state;
    assert_int_equal(lay_file_read("data/demo/encoder/spiece.model", 1 << 24, &file, &err), LAY_OK);
    assert_int_equal(lay_sp_model_parse("spiece.model", file.data, file.length, &model, &err), LAY_OK);
    assert_non_null(model.charsmap);
    assert_int_equal(lay_charsmap_open("map", model.charsmap, model.charsmap_size, &map, &err), LAY_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_mapped(&map, cases[i].text, cases[i].expected);
    lay_sp_model_free(&model);
    lay_str_free(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_map_made_by_hand),
        cmocka_unit_test(nmt_nfkc_grapheme_by_grapheme),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

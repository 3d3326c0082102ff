/* What each convention puts on top of a model, on models whose segmentations are worked out by hand. */
#include "handmade.h"

#include "engine/token/convention.h"

static struct lay_tokenizer *reopen(struct lay_tokenizer *old, const char *dir)
{
    lay_tokenizer_close(old);
    return open_or_fail(dir);
}

#define decoded(tokenizer, expected, ...)                                                                    \
    do {                                                                                                     \
        const int32_t ids_[] = {__VA_ARGS__};                                                                \
        assert_decoded(tokenizer, ids_, sizeof ids_ / sizeof *ids_, expected);                               \
    } while (0)

/* --- T5 ----------------------------------------------------------------------------------------------------
 */

static void t5_appends_eos_and_has_no_byte_fallback(void **state)
{
    char *dir = make_t5();
    struct lay_tokenizer *t = open_or_fail(dir);
    (void)state;
    assert_string_equal(lay_tokenizer_convention(t), "t5");
    assert_encoded(t, "", true, 1);
    assert_encoded(t, "a b", true, 6, 3, 5, 1); /* ▁a | ▁ b */
    assert_encoded(t, "ab", true, 6, 5, 1);     /* ▁a+b: −5, ▁+ab: −6 */
    assert_encoded(t, "bab", true, 3, 5, 7, 1); /* ▁ b ab */
    assert_encoded(t, "ab", false, 6, 5);
    assert_encoded(t, "xya", true, 3, 2, 4, 1);    /* x and y are one unknown */
    assert_encoded(t, " a  b ", true, 6, 3, 5, 1); /* the run of blanks is one mark; the last blank goes */
    assert_int_equal(lay_tokenizer_bos(t), -1);
    assert_int_equal(lay_tokenizer_eos(t), 1);
    assert_int_equal(lay_tokenizer_pad(t), 0);
    lay_tokenizer_close(t);
    remove_dir(dir);
}

static void t5_extra_ids_stand_above_the_pieces_in_descending_order(void **state)
{
    char *dir = make_t5();
    struct lay_tokenizer *t = open_or_fail(dir);
    (void)state;
    assert_int_equal(lay_tokenizer_size(t), 108);
    assert_int_equal(lay_tokenizer_id(t, "<extra_id_99>"), 8);
    assert_int_equal(lay_tokenizer_id(t, "<extra_id_0>"), 107);
    assert_encoded(t, "a<extra_id_0>b", true, 6, 107, 3, 5, 1);
    decoded(t, "a b", 6, 107, 3, 5, 1);
    put_text(dir, "tokenizer_config.json", "{\"extra_ids\": 2}");
    t = reopen(t, dir);
    assert_int_equal(lay_tokenizer_size(t), 10);
    assert_int_equal(lay_tokenizer_id(t, "<extra_id_1>"), 8);
    put_text(
        dir, "tokenizer_config.json",
        "{\"extra_ids\": 1, \"added_tokens_decoder\": {\"8\": {\"content\": \"<extra_id_0>\", \"special\": "
        "true, \"normalized\": false, \"lstrip\": true, \"rstrip\": true}}}");
    t = reopen(t, dir);
    assert_encoded(t, "a  <extra_id_0>  b", true, 6, 8, 3, 5, 1);
    lay_tokenizer_close(t);
    remove_dir(dir);
}

static void t5_special_tokens_are_cut_out_and_what_follows_gets_its_mark(void **state)
{
    char *dir = make_t5();
    struct lay_tokenizer *t = open_or_fail(dir);
    (void)state;
    assert_encoded(t, "a</s>b", true, 6, 1, 3, 5, 1);
    assert_encoded(t, "<pad>a<unk>", true, 0, 6, 2, 1);
    assert_encoded(t, "a </s> a", true, 6, 1, 6, 1);
    put_text(dir, "tokenizer_config.json", "{\"legacy\": false}");
    t = reopen(t, dir);
    assert_encoded(t, "a</s>b", true, 6, 1, 5, 1); /* a mark only where the whole text begins */
    assert_encoded(t, "a</s> b", true, 6, 1, 3, 5, 1);
    lay_tokenizer_close(t);
    remove_dir(dir);
}

static void t5_decode_drops_the_marks_of_the_first_piece(void **state)
{
    char *dir = make_t5();
    struct lay_tokenizer *t = open_or_fail(dir);
    (void)state;
    decoded(t, "ab", 6, 5, 1);
    decoded(t, "b a", 3, 5, 6);
    decoded(t, "a", 1, 2, 0, 6, 1);
    decoded(t, "a", 6, 5000, -3); /* ids beyond the vocabulary are left out */
    lay_tokenizer_close(t);
    remove_dir(dir);
}

/* mT5's own model has byte pieces; the fast tokenizer knows them as texts only. */
static void t5_treats_byte_pieces_as_texts(void **state)
{
    struct lay_str model = {0};
    char *dir = make_temp_dir();
    (void)state;
    put_handmade_piece(&model, &(struct handmade_piece){"<pad>", 0, CONTROL});
    put_handmade_piece(&model, &(struct handmade_piece){"</s>", 0, CONTROL});
    put_handmade_piece(&model, &(struct handmade_piece){"<unk>", 0, UNKNOWN});
    put_handmade_bytes(&model);
    put_handmade_piece(&model, &(struct handmade_piece){"▁", -2, NORMAL});
    put_handmade_trainer(&model, UNIGRAM, true);
    put_file(dir, "spiece.model", model.data, model.length);
    put_text(dir, "config.json", "{\"model_type\": \"mt5\"}");
    struct lay_tokenizer *t = open_or_fail(dir);
    assert_encoded(t, "é", true, 259, 2, 1);
    assert_encoded(t, "<0x41>", true, 259, 3 + 0x41, 1);
    decoded(t, "<0x41>", 259, 3 + 0x41);
    lay_tokenizer_close(t);
    remove_dir(dir);
    lay_str_free(&model);
}

/* --- XLM-R and NLLB --- */

static void xlm_r_offsets_ids_by_one(void **state)
{
    char *dir = make_fairseq();
    struct lay_tokenizer *t = open_or_fail(dir);
    (void)state;
    assert_string_equal(lay_tokenizer_convention(t), "xlm-r");
    assert_encoded(t, "a b", true, 0, 7, 4, 6, 2);
    assert_encoded(t, "a b", false, 7, 4, 6);
    assert_encoded(t, "xy", true, 0, 4, 3, 2);
    assert_int_equal(lay_tokenizer_size(t), 9); /* 4 + ▁, a, b, ▁a + <mask> */
    assert_int_equal(lay_tokenizer_id(t, "<mask>"), 8);
    assert_encoded(t, "a <mask> b", true, 0, 7, 8, 4, 6, 2); /* <mask> swallows the blank in front of it */
    assert_encoded(t, "<s>a<pad></s>", false, 0, 7, 1, 2);
    assert_int_equal(lay_tokenizer_bos(t), 0);
    assert_int_equal(lay_tokenizer_pad(t), 1);
    assert_int_equal(lay_tokenizer_eos(t), 2);
    assert_string_equal(lay_tokenizer_piece(t, 7), "▁a");
    decoded(t, "a b", 0, 7, 4, 6, 2);
    lay_tokenizer_close(t);
    remove_dir(dir);
}

static void nllb_puts_the_language_in_front(void **state)
{
    struct lay_err err = {0};
    char *dir = make_fairseq();
    (void)state;
    put_text(dir, "tokenizer_config.json", "{\"tokenizer_class\": \"NllbTokenizer\"}");
    struct lay_tokenizer *t = open_or_fail(dir);
    const int32_t languages = 7 + 1; /* pieces of the model + 1 */
    assert_int_equal(lay_tokenizer_size(t), languages + 202 + 1);
    assert_int_equal(lay_tokenizer_id(t, "<mask>"), languages + 202);
    assert_encoded(t, "a b", true, languages + 46, 7, 4, 6, 2); /* eng_Latn is the default */
    assert_int_equal(lay_tokenizer_set_language(t, "ben_Beng", &err), LAY_OK);
    assert_encoded(t, "a b", true, languages + 25, 7, 4, 6, 2);
    assert_encoded(t, "a fra_Latn b", false, 7, languages + 56, 4, 6);
    decoded(t, "a b", languages + 25, 7, 4, 6, 2);
    assert_int_equal(lay_tokenizer_set_language(t, "bn", &err), LAY_ERR_INPUT);
    assert_non_null(strstr(err.message, "\"bn\""));
    lay_tokenizer_close(t);
    remove_dir(dir);
}

/* Ids of facebook/nllb-200: 256000 pieces, so the first language is 256001. */
static void nllb_languages_have_their_published_ids(void **state)
{
    static const struct {
        const char *code;
        int id;
    } published[] = {{"ace_Arab", 256001}, {"arb_Arab", 256011}, {"ben_Beng", 256026}, {"bul_Cyrl", 256033},
                     {"eng_Latn", 256047}, {"fra_Latn", 256057}, {"als_Latn", 256162}, {"zul_Latn", 256202}};
    (void)state;
    for (size_t i = 0; i < sizeof published / sizeof *published; i++)
        assert_string_equal(lay_nllb_languages[published[i].id - 256001], published[i].code);
    for (int i = 0; i < LAY_NLLB_LANGUAGES; i++)
        for (int j = 0; j < i; j++)
            assert_string_not_equal(lay_nllb_languages[i], lay_nllb_languages[j]);
}

/* --- LLaMA -----------------------------------------------------------------------------------------------
 */

static void llama_marks_the_start_and_falls_back_to_bytes(void **state)
{
    char *dir = make_llama();
    struct lay_tokenizer *t = open_or_fail(dir);
    struct lay_ids nothing = encode(t, "", false);
    (void)state;
    assert_string_equal(lay_tokenizer_convention(t), "llama");
    assert_int_equal(nothing.count, 0);
    assert_encoded(t, "", true, 1);
    assert_encoded(t, "a b", true, 1, 262, 259, 261);
    assert_encoded(t, "ab", false, 262, 261);       /* ▁a is the better merge */
    assert_encoded(t, "bab", false, 259, 261, 263); /* ▁ b ab */
    assert_encoded(t, " a ", false, 259, 262, 259); /* no blank is lost: "▁" + "▁a▁" */
    assert_encoded(t, "é\n", false, 259, 3 + 0xC3, 3 + 0xA9, 3 + 0x0A);
    assert_encoded(t, "a</s>b", false, 262, 2, 259, 261); /* a mark behind every special token */
    assert_encoded(t, "<s>a", true, 1, 1, 262);
    assert_int_equal(lay_tokenizer_bos(t), 1);
    assert_int_equal(lay_tokenizer_eos(t), 2);
    assert_int_equal(lay_tokenizer_pad(t), -1);
    assert_int_equal(lay_tokenizer_size(t), 264);
    lay_tokenizer_close(t);
    remove_dir(dir);
}

static void llama_configuration_decides_on_bos_eos_and_prefix(void **state)
{
    char *dir = make_llama();
    (void)state;
    put_text(dir, "tokenizer_config.json", "{\"add_bos_token\": false, \"add_eos_token\": true}");
    struct lay_tokenizer *t = open_or_fail(dir);
    assert_encoded(t, "a", true, 262, 2);
    put_text(dir, "tokenizer_config.json", "{\"add_prefix_space\": false}");
    t = reopen(t, dir);
    assert_encoded(t, "a a", true, 1, 260, 262);
    lay_tokenizer_close(t);
    remove_dir(dir);
}

/* ByteFallback of Hugging Face: a run that is no UTF-8 becomes U+FFFD for each of its bytes. */
static void llama_decode_joins_bytes_and_drops_one_blank(void **state)
{
    char *dir = make_llama();
    struct lay_tokenizer *t = open_or_fail(dir);
    (void)state;
    decoded(t, "a b", 1, 262, 259, 261, 2);
    decoded(t, " a", 259, 262);
    decoded(t, "é", 3 + 0xC3, 3 + 0xA9);
    decoded(t, "aéb", 262, 3 + 0xC3, 3 + 0xA9, 261);
    decoded(t, "a\uFFFDb", 262, 3 + 0xC3, 261);
    decoded(t, "\uFFFD\uFFFD\uFFFD", 3 + 0xC3, 3 + 0xA9, 3 + 0xE2);
    decoded(t, "", 1, 2, 0);
    lay_tokenizer_close(t);
    remove_dir(dir);
}

/* --- added tokens ----------------------------------------------------------------------------------------
 */

static void added_tokens_come_from_every_file(void **state)
{
    char *dir = make_llama();
    (void)state;
    put_text(dir, "added_tokens.json", "{\"[PAD]\": 264}");
    put_text(dir, "special_tokens_map.json",
             "{\"pad_token\": \"[PAD]\", \"additional_special_tokens\": [\"<|end|>\"]}");
    struct lay_tokenizer *t = open_or_fail(dir);
    assert_int_equal(lay_tokenizer_pad(t), 264);
    assert_int_equal(lay_tokenizer_id(t, "<|end|>"), 265); /* has no id of its own: appended */
    assert_int_equal(lay_tokenizer_size(t), 266);
    assert_encoded(t, "a[PAD]<|end|>", false, 262, 264, 265);
    decoded(t, "a", 262, 264, 265);
    put_text(dir, "tokenizer_config.json",
             "{\"added_tokens_decoder\": {\"300\": {\"content\": \"<|im|>\", \"special\": false, "
             "\"normalized\": false, \"single_word\": true}}}");
    t = reopen(t, dir);
    assert_int_equal(lay_tokenizer_id(t, "<|im|>"), 300); /* and added_tokens.json is not read any more */
    assert_encoded(t, "a<|im|>", false, 262, 3 + '<', 3 + '|', 3 + 'i', 3 + 'm', 3 + '|', 3 + '>');
    lay_tokenizer_close(t);
    remove_dir(dir);
}

/* A token that is not special is looked for in normalised text, as "▁<x>" under LLaMA's normaliser. */
static void normalized_tokens_are_found_in_normalised_text(void **state)
{
    char *dir = make_llama();
    (void)state;
    put_text(dir, "added_tokens.json", "{\"<x>\": 264}");
    struct lay_tokenizer *t = open_or_fail(dir);
    assert_encoded(t, "a <x> b", false, 262, 264, 259, 261);
    assert_encoded(t, "<x>", false, 264);
    assert_encoded(t, "a<x>", false, 262, 3 + '<', 3 + 'x', 3 + '>');
    decoded(t, "a<x>", 262, 264); /* not special: decode keeps it */
    lay_tokenizer_close(t);
    remove_dir(dir);
}

static void the_longest_of_the_leftmost_tokens_wins(void **state)
{
    char *dir = make_t5();
    (void)state;
    put_text(dir, "tokenizer_config.json",
             "{\"extra_ids\": 0, \"additional_special_tokens\": [\"<q>\", \"<q><r>\", \"q\"]}");
    struct lay_tokenizer *t = open_or_fail(dir);
    assert_encoded(t, "<q><r><q>q", false, 9, 8, 10);
    lay_tokenizer_close(t);
    remove_dir(dir);
}

/* --- which convention ------------------------------------------------------------------------------------
 */

static void convention_follows_class_then_model_type_then_file_name(void **state)
{
    static const struct {
        const char *settings, *config, *convention;
    } cases[] = {
        {"{\"tokenizer_class\": \"LlamaTokenizerFast\"}", "{\"model_type\": \"mt5\"}", "llama"},
        {"{\"tokenizer_class\": \"PreTrainedTokenizerFast\"}", "{\"model_type\": \"mistral\"}", "llama"},
        {"{}", "{\"model_type\": \"umt5\"}", "t5"},
        {"{}", "{\"model_type\": \"m2m_100\"}", "nllb"},
        {"{}", "{\"model_type\": \"xlm-roberta\"}", "xlm-r"},
        {"{}", "{}", "xlm-r"},
    };
    char *dir = make_fairseq();
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put_text(dir, "tokenizer_config.json", cases[i].settings);
        put_text(dir, "config.json", cases[i].config);
        struct lay_tokenizer *t = open_or_fail(dir);
        assert_string_equal(lay_tokenizer_convention(t), cases[i].convention);
        lay_tokenizer_close(t);
    }
    remove_dir(dir);
}

/* --- tokenizer.json --------------------------------------------------------------------------------------
 */

static void tokenizer_json_decides_how_texts_are_prepared(void **state)
{
    char *dir = make_llama();
    (void)state;
    put_text(dir, "tokenizer.json",
             "{\"version\": \"1.0\", \"model\": {\"vocab\": {\"a\\\"}\": 1}, \"merges\": [\"[\"]},"
             " \"normalizer\": null, \"pre_tokenizer\": {\"type\": \"Metaspace\", \"replacement\": \"▁\","
             " \"prepend_scheme\": \"first\", \"split\": false},"
             " \"added_tokens\": [{\"id\": 264, \"content\": \"<|x|>\", \"special\": true, \"normalized\": "
             "false}]}");
    struct lay_tokenizer *t = open_or_fail(dir);
    assert_encoded(t, "a</s>a", false, 262, 2, 260);
    assert_encoded(t, " a", false, 262); /* Metaspace puts no second mark in front */
    assert_encoded(t, "a<|x|> b", false, 262, 264, 259, 261);
    put_text(
        dir, "tokenizer.json",
        "{\"normalizer\": {\"type\": \"Sequence\", \"normalizers\": [{\"type\": \"Prepend\", \"prepend\": "
        "\"▁\"}, {\"type\": \"Replace\", \"pattern\": {\"String\": \" \"}, \"content\": \"▁\"}]}, "
        "\"pre_tokenizer\": null, \"added_tokens\": []}");
    t = reopen(t, dir);
    assert_encoded(t, "a</s>a", false, 262, 2, 262);
    lay_tokenizer_close(t);
    remove_dir(dir);
}

/* The published XLM-R files: words are split at white space, so the last blank leaves no mark behind. */
static void white_space_split_and_metaspace_in_sequence(void **state)
{
    char *dir = make_fairseq();
    (void)state;
    put_text(
        dir, "tokenizer.json",
        "{\"normalizer\": null, \"pre_tokenizer\": {\"type\": \"Sequence\", \"pretokenizers\": [{\"type\": "
        "\"WhitespaceSplit\"}, {\"type\": \"Metaspace\", \"replacement\": \"▁\", \"add_prefix_space\": "
        "true}]}}");
    struct lay_tokenizer *t = open_or_fail(dir);
    assert_encoded(t, " a \t\n b ", true, 0, 7, 4, 6, 2);
    lay_tokenizer_close(t);
    remove_dir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t5_appends_eos_and_has_no_byte_fallback),
        cmocka_unit_test(t5_extra_ids_stand_above_the_pieces_in_descending_order),
        cmocka_unit_test(t5_special_tokens_are_cut_out_and_what_follows_gets_its_mark),
        cmocka_unit_test(t5_decode_drops_the_marks_of_the_first_piece),
        cmocka_unit_test(t5_treats_byte_pieces_as_texts),
        cmocka_unit_test(xlm_r_offsets_ids_by_one),
        cmocka_unit_test(nllb_puts_the_language_in_front),
        cmocka_unit_test(nllb_languages_have_their_published_ids),
        cmocka_unit_test(llama_marks_the_start_and_falls_back_to_bytes),
        cmocka_unit_test(llama_configuration_decides_on_bos_eos_and_prefix),
        cmocka_unit_test(llama_decode_joins_bytes_and_drops_one_blank),
        cmocka_unit_test(added_tokens_come_from_every_file),
        cmocka_unit_test(normalized_tokens_are_found_in_normalised_text),
        cmocka_unit_test(the_longest_of_the_leftmost_tokens_wins),
        cmocka_unit_test(convention_follows_class_then_model_type_then_file_name),
        cmocka_unit_test(tokenizer_json_decides_how_texts_are_prepared),
        cmocka_unit_test(white_space_split_and_metaspace_in_sequence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

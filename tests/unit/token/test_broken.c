/* Files from outside that are not what they should be: a message and LAY_ERR_INPUT, never a crash. */
#include "handmade.h"

static void assert_refused_as(const char *path, enum lay_status expected, const char *hint)
{
    struct lay_err err = {0};
    struct lay_tokenizer *tokenizer;
    assert_int_equal(lay_tokenizer_open(path, &tokenizer, &err), expected);
    assert_null(tokenizer);
    assert_int_equal(err.status, expected);
    if (!strstr(err.message, hint))
        fail_msg("\"%s\" does not say \"%s\"", err.message, hint);
}

static void assert_refused(const char *path, const char *hint)
{
    assert_refused_as(path, LAY_ERR_INPUT, hint);
}

static void missing_models_are_named(void **state)
{
    char *dir = make_temp_dir();
    (void)state;
    assert_refused("/nonexistent/model", "/nonexistent/model");
    assert_refused(dir, "no tokenizer");
    put_text(dir, "tokenizer.json", "{}");
    assert_refused(dir, "SentencePiece model not found");
    assert_refused(dir, "byte-level BPE tokenizer.json comes later");
    remove_dir(dir);
}

static void unknown_conventions_are_named(void **state)
{
    static const struct {
        const char *file, *content, *hint;
    } cases[] = {
        {"tokenizer_config.json", "{\"tokenizer_class\": \"AlbertTokenizer\"}", "AlbertTokenizer"},
        {"tokenizer_config.json", "{\"tokenizer_class\": \"LlamaTokenizerSlow\"}", "LlamaTokenizerSlow"},
        {"tokenizer_config.json", "{\"tokenizer_class\": 1}", "tokenizer_class"},
        {"tokenizer_config.json", "[]", "object"},
        {"tokenizer_config.json", "{\"eos_token\": 7}", "eos_token"},
        {"tokenizer_config.json", "{\"eos_token\": {}}", "content"},
        {"tokenizer_config.json", "{\"extra_ids\": 1e9}", "extra_ids"},
        {"tokenizer_config.json", "{\"extra_ids\": -7}", "extra_ids"},
        {"tokenizer_config.json", "{\"added_tokens_decoder\": {\"x\": {\"content\": \"y\"}}}", "\"x\""},
        {"tokenizer_config.json", "{\"added_tokens_decoder\": {\"3\": {\"content\": \"y\"}}}", "\"y\""},
        {"tokenizer_config.json", "{\"added_tokens_decoder\": {\"999999999\": {\"content\": \"y\"}}}",
         "\"y\""},
        {"tokenizer_config.json", "{\"additional_special_tokens\": {}}", "additional_special_tokens"},
        {"tokenizer_config.json", "{\"eos_token\": \"\"}", "\"\""},
        {"added_tokens.json", "{\"y\": \"z\"}", "\"y\""},
        {"special_tokens_map.json", "{", "special_tokens_map.json"},
        {"config.json", "{\"model_type\": \"gpt2\"}", "gpt2"},
        {"tokenizer.json", "{\"normalizer\": {\"type\": \"Lowercase\"}}", "Lowercase"},
        {"tokenizer.json", "{\"pre_tokenizer\": {\"type\": \"ByteLevel\"}}", "ByteLevel"},
        {"tokenizer.json", "{\"normalizer\": {\"type\": \"Replace\", \"pattern\": {\"String\": \"x\"}}}",
         "Replace"},
        {"tokenizer.json", "{\"model\": {\"vocab\": {\"a\": 1}", "tokenizer.json"},
        {"tokenizer.json", "{\"model\": \"a}", "tokenizer.json"},
        {"tokenizer.json", "{\"added_tokens\": [{\"id\": 3}]}", "content"},
        {"tokenizer.json", "", "tokenizer.json"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *dir = make_t5();
        put_text(dir, cases[i].file, cases[i].content);
        assert_refused(dir, cases[i].hint);
        remove_dir(dir);
    }
}

static void nested_sequences_do_not_exhaust_the_stack(void **state)
{
    char *dir = make_t5();
    struct lay_str text = {0};
    (void)state;
    lay_str_puts(&text, "{\"normalizer\": ");
    for (int i = 0; i < 300; i++)
        lay_str_puts(&text, "{\"type\": \"Sequence\", \"normalizers\": [");
    for (int i = 0; i < 300; i++)
        lay_str_puts(&text, "]}");
    lay_str_puts(&text, "}");
    put_text(dir, "tokenizer.json", lay_str_text(&text));
    assert_refused(dir, "Sequence");
    lay_str_free(&text);
    remove_dir(dir);
}

/* --- damaged models ----------------------------------------------------------------------------------------
 */

static void assert_model_refused(const struct lay_str *model, const char *hint)
{
    char *dir = make_temp_dir();
    put_file(dir, "spiece.model", lay_str_text(model), model->length);
    assert_refused(dir, hint);
    remove_dir(dir);
}

static void models_that_make_no_sense_are_refused(void **state)
{
    static const struct {
        struct handmade_piece pieces[3];
        int algorithm;
        bool byte_fallback;
        const char *hint;
    } cases[] = {
        {{{"</s>", 0, CONTROL}, {"a", 0, NORMAL}}, UNIGRAM, false, "0 unknown pieces"},
        {{{"<unk>", 0, UNKNOWN}, {"<u>", 0, UNKNOWN}}, UNIGRAM, false, "2 unknown pieces"},
        {{{"<unk>", 0, UNKNOWN}, {"", 0, NORMAL}}, UNIGRAM, false, "piece 1"},
        {{{"<unk>", 0, UNKNOWN}, {"\xff", 0, NORMAL}}, UNIGRAM, false, "piece 1"},
        {{{"<unk>", 0, UNKNOWN}, {"a", 0, 9}}, UNIGRAM, false, "piece 1"},
        {{{"<unk>", 0, UNKNOWN}, {"a", 1.0f / 0.0f, NORMAL}}, UNIGRAM, false, "piece 1"},
        {{{"<unk>", 0, UNKNOWN}, {"a", 0, BYTE}}, UNIGRAM, true, "byte piece 1"},
        {{{"<unk>", 0, UNKNOWN}, {"<0x41>", 0, BYTE}}, UNIGRAM, true, "1 byte pieces"},
        {{{"<unk>", 0, UNKNOWN}, {"a", 0, NORMAL}}, UNIGRAM, true, "0 byte pieces"},
        {{{"<unk>", 0, UNKNOWN}, {"a", 0, NORMAL}}, 7, false, "model type 7"},
        {{{"<unk>", 0, UNKNOWN}, {"a", 0, NORMAL}, {"a", 0, NORMAL}}, UNIGRAM, false, "SentencePiece"},
        {{{"<unk>", 0, UNKNOWN}, {"a", 0, NORMAL}}, UNIGRAM, false, "\"</s>\""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct lay_str model = {0};
        for (size_t j = 0; j < 3 && cases[i].pieces[j].text; j++)
            put_handmade_piece(&model, &cases[i].pieces[j]);
        put_handmade_trainer(&model, cases[i].algorithm, cases[i].byte_fallback);
        assert_model_refused(&model, cases[i].hint);
        lay_str_free(&model);
    }
}

static void garbage_is_no_model(void **state)
{
    static const char *const garbage[] = {"", "not a model", "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
                                          "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "\x0b\x0c"};
    (void)state;
    for (size_t i = 0; i < sizeof garbage / sizeof *garbage; i++) {
        struct lay_str model = {0};
        lay_str_puts(&model, garbage[i]);
        assert_model_refused(&model, "SentencePiece model");
        lay_str_free(&model);
    }
}

/* A model cut anywhere either still opens (a cut between fields) and encodes, or is refused. */
static void truncated_models_never_crash(void **state)
{
    struct lay_str whole = {0};
    struct lay_err err = {0};
    char *dir = make_temp_dir();
    int refused = 0;
    (void)state;
    assert_int_equal(lay_file_read("data/demo/llm/tokenizer.model", 1 << 24, &whole, &err), LAY_OK);
    for (size_t length = whole.length; length > 0; length -= length > 997 ? 997 : length) {
        struct lay_tokenizer *tokenizer;
        put_file(dir, "tokenizer.model", whole.data, length - 1);
        const enum lay_status status = lay_tokenizer_open(dir, &tokenizer, &err);
        assert_true(status == LAY_OK || status == LAY_ERR_INPUT);
        refused += status != LAY_OK;
        if (status == LAY_OK) {
            struct lay_ids ids = encode(tokenizer, "abc é 中文", true);
            lay_ids_free(&ids);
        }
        lay_tokenizer_close(tokenizer);
    }
    assert_true(refused > 20); /* without the trainer's message, which stands last, bytes make no sense */
    lay_str_free(&whole);
    remove_dir(dir);
}

static void texts_that_are_no_utf8_are_refused(void **state)
{
    char *dir = make_t5();
    struct lay_tokenizer *tokenizer = open_or_fail(dir);
    struct lay_ids ids = {0};
    struct lay_err err = {0};
    (void)state;
    assert_int_equal(lay_tokenizer_encode(tokenizer, "a\xc3", 2, true, &ids, &err), LAY_ERR_INPUT);
    assert_non_null(strstr(err.message, "byte 1"));
    lay_ids_free(&ids);
    lay_tokenizer_close(tokenizer);
    remove_dir(dir);
}

/* NUL is a character like any other to a tokenizer with byte fallback. */
static void texts_may_hold_nul(void **state)
{
    char *dir = make_llama();
    struct lay_tokenizer *tokenizer = open_or_fail(dir);
    struct lay_ids ids = {0};
    struct lay_err err = {0};
    const int32_t expected[] = {262, 3 + 0, 261};
    (void)state;
    assert_int_equal(lay_tokenizer_encode(tokenizer, "a\0b", 3, false, &ids, &err), LAY_OK);
    assert_ids(&ids, expected, 3, "a NUL b");
    lay_ids_free(&ids);
    lay_tokenizer_close(tokenizer);
    remove_dir(dir);
}

/* The n-th allocation fails, n = 0, 1, 2 …, until opening and encoding succeed. (cJSON does not tell lack of
 * memory from a fault in the text.) */
static void running_out_of_memory_is_reported(void **state)
{
    char *dir = make_llama();
    enum lay_status status = LAY_ERR_MEMORY;
    long n = 0;
    (void)state;
    put_text(dir, "tokenizer_config.json",
             "{\"added_tokens_decoder\": {\"264\": {\"content\": \"<x>\", \"normalized\": true}}, "
             "\"pad_token\": \"[PAD]\"}");
    for (; status != LAY_OK && n < 5000; n++) {
        struct lay_tokenizer *tokenizer;
        struct lay_ids ids = {0};
        struct lay_str text = {0};
        struct lay_err err = {0};
        lay_mem_fail_after(n);
        status = lay_tokenizer_open(dir, &tokenizer, &err);
        if (status == LAY_OK)
            status = lay_tokenizer_encode(tokenizer, "a <x> b</s>", 11, true, &ids, &err);
        if (status == LAY_OK)
            status = lay_tokenizer_decode(tokenizer, ids.data, ids.count, &text, &err);
        lay_mem_fail_after(-1);
        assert_int_equal(err.status, status);
        assert_true(status == LAY_OK || status == LAY_ERR_MEMORY);
        lay_ids_free(&ids);
        lay_str_free(&text);
        lay_tokenizer_close(tokenizer);
    }
    assert_int_equal(status, LAY_OK);
    assert_true(n > 50);
    remove_dir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(missing_models_are_named),
        cmocka_unit_test(unknown_conventions_are_named),
        cmocka_unit_test(nested_sequences_do_not_exhaust_the_stack),
        cmocka_unit_test(models_that_make_no_sense_are_refused),
        cmocka_unit_test(garbage_is_no_model),
        cmocka_unit_test(truncated_models_never_crash),
        cmocka_unit_test(texts_that_are_no_utf8_are_refused),
        cmocka_unit_test(texts_may_hold_nul),
        cmocka_unit_test(running_out_of_memory_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

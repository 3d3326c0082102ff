/* Ids equal to llama.cpp's and to those of the Hugging Face fast tokenizers on real vocabularies and texts.
 */
#include "support.h"

#include "engine/base/json.h"
#include "engine/base/utf8.h"

static char *shared_path(const char *name)
{
    const char *dir = shared_dir();
    return dir ? lay_path_join(dir, name) : NULL;
}

static void read_all(const char *path, struct lay_str *content)
{
    struct lay_err err = {0};
    if (lay_file_read(path, (size_t)1 << 28, content, &err) != LAY_OK)
        fail_msg("%s", err.message);
}

/* --- llama.cpp: 46 texts, each followed by a separator line; one line of ids each --- */

static void check_line(const struct lay_tokenizer *tokenizer, const char *text, size_t length, char **line)
{
    struct lay_err err = {0};
    struct lay_ids ids = {0}, expected = {0};
    char *at = *line, *end = strchr(at, '\n');
    assert_non_null(end);
    for (char *next; strtol(at, &next, 10), next != at && next <= end; at = next)
        assert_int_equal(lay_ids_push(&expected, (int32_t)strtol(at, NULL, 10), &err), LAY_OK);
    *line = end + 1;
    assert_int_equal(lay_tokenizer_encode(tokenizer, text, length, false, &ids, &err), LAY_OK);
    assert_ids(&ids, expected.data, expected.count, text);
    lay_ids_free(&ids);
    lay_ids_free(&expected);
}

static void llama_ids_equal_llama_cpp(void **state)
{
    static const char separator[] = "\n__ggml_vocab_test__\n";
    char *dir = shared_path("real/tokenizers");
    (void)state;
    if (!dir)
        skip();
    struct lay_str input = {0}, output = {0};
    char *model = lay_path_join(dir, "llama2"),
         *in = lay_path_join(dir, "llama-cpp/ggml-vocab-llama-spm.gguf.inp"),
         *out = lay_path_join(dir, "llama-cpp/ggml-vocab-llama-spm.gguf.out");
    struct lay_tokenizer *tokenizer = open_or_fail(model);
    read_all(in, &input);
    read_all(out, &output);
    int texts = 0;
    char *line = output.data, *at = input.data;
    for (char *end; (end = strstr(at, separator)) != NULL; at = end + sizeof separator - 1, texts++) {
        *end = 0;
        check_line(tokenizer, at, (size_t)(end - at), &line);
    }
    assert_int_equal(texts, 46);
    lay_str_free(&input);
    lay_str_free(&output);
    lay_tokenizer_close(tokenizer);
    lay_free(model);
    lay_free(in);
    lay_free(out);
    lay_free(dir);
}

/* --- Hugging Face: 257 texts for three conventions --- */

/* The text of "datasets/…/file:line": which column is used depends on the file's layout. */
static char *text_of_source(const char *shared, const char *source)
{
    struct lay_str content = {0}, text = {0};
    struct lay_err err = {0};
    const char *colon = strrchr(source, ':');
    assert_non_null(colon);
    char *relative = lay_strndup(source, (size_t)(colon - source)), *real = lay_path_join(shared, "real"),
         *path = lay_path_join(real, relative);
    read_all(path, &content);
    char *line = content.data;
    for (long n = strtol(colon + 1, NULL, 10); n > 1; n--)
        line = strchr(line, '\n') + 1;
    size_t length = strcspn(line, "\n");
    if (strstr(relative, "mgsm")) {
        lay_str_append(&text, line, strcspn(line, "\t"));
    } else if (strstr(relative, "msvamp")) {
        cJSON *row;
        assert_int_equal(lay_json_parse(relative, line, length, &row, &err), LAY_OK);
        lay_str_puts(&text, cJSON_GetObjectItem(row, "m_query")->valuestring);
        cJSON_Delete(row);
    } else {
        const size_t first = strcspn(line, "\t");
        lay_str_puts(&text, "Premise: ");
        lay_str_append(&text, line, first);
        lay_str_puts(&text, "\nHypothesis: ");
        lay_str_append(&text, line + first + 1, strcspn(line + first + 1, "\t\n"));
        lay_str_puts(&text, "\nLabel:");
    }
    lay_str_free(&content);
    lay_free(relative);
    lay_free(real);
    lay_free(path);
    return lay_str_take(&text);
}

static void check_golden(const struct lay_tokenizer *tokenizer, const char *name, bool special)
{
    const char *shared = shared_dir();
    char *dir = lay_path_join(shared, "golden/tokenizers"), *path = lay_path_join(dir, name);
    struct lay_err err = {0};
    cJSON *root;
    const cJSON *item, *id;
    int texts = 0;
    if (lay_json_read(path, &root, &err) != LAY_OK)
        fail_msg("%s", err.message);
    cJSON_ArrayForEach(item, cJSON_GetObjectItem(root, "texts"))
    {
        const char *source = cJSON_GetObjectItem(item, "source")->valuestring;
        const cJSON *given = cJSON_GetObjectItem(item, "text");
        char *text = given ? lay_strdup(given->valuestring) : text_of_source(shared, source);
        struct lay_ids expected = {0}, ids = encode(tokenizer, text, special);
        cJSON_ArrayForEach(id, cJSON_GetObjectItem(item, "ids"))
        {
            assert_int_equal(lay_ids_push(&expected, id->valueint, &err), LAY_OK);
        }
        assert_ids(&ids, expected.data, expected.count, source);
        lay_ids_free(&ids);
        lay_ids_free(&expected);
        lay_free(text);
        texts++;
    }
    assert_int_equal(texts, 257);
    cJSON_Delete(root);
    lay_free(path);
    lay_free(dir);
}

static void golden_as(const char *model, const char *file, const char *class, const char *golden,
                      bool special)
{
    char *path = shared_path(model), settings[80];
    if (!path)
        skip();
    char *dir = make_model_dir(path, file);
    snprintf(settings, sizeof settings, "{\"tokenizer_class\": \"%s\"}", class);
    put_text(dir, "tokenizer_config.json", settings);
    struct lay_tokenizer *tokenizer = open_or_fail(dir);
    check_golden(tokenizer, golden, special);
    lay_tokenizer_close(tokenizer);
    remove_dir(dir);
    lay_free(path);
}

static void llama_ids_equal_hugging_face(void **state)
{
    (void)state;
    golden_as("real/tokenizers/llama2/tokenizer.model", "tokenizer.model", "LlamaTokenizer", "llama2.json",
              false);
}

static void t5_ids_equal_hugging_face(void **state)
{
    (void)state;
    golden_as("real/tokenizers/hf-fixtures/test_sentencepiece.model", "spiece.model", "T5Tokenizer",
              "t5_unigram.json", true);
}

static void xlm_r_ids_equal_hugging_face(void **state)
{
    (void)state;
    golden_as("real/tokenizers/hf-fixtures/test_sentencepiece.model", "sentencepiece.bpe.model",
              "XLMRobertaTokenizerFast", "xlmr_unigram.json", true);
}

/* --- every fixture loads, and what was decoded once encodes to itself --- */

static void is_stable(const struct lay_tokenizer *tokenizer, const char *text)
{
    struct lay_err err = {0};
    struct lay_str decoded = {0}, again = {0};
    struct lay_ids ids = encode(tokenizer, text, true), second;
    assert_int_equal(lay_tokenizer_decode(tokenizer, ids.data, ids.count, &decoded, &err), LAY_OK);
    second = encode(tokenizer, lay_str_text(&decoded), true);
    assert_int_equal(lay_tokenizer_decode(tokenizer, second.data, second.count, &again, &err), LAY_OK);
    assert_string_equal(lay_str_text(&again), lay_str_text(&decoded));
    struct lay_ids third = encode(tokenizer, lay_str_text(&again), true);
    assert_ids(&third, second.data, second.count, text);
    assert_true(second.count > 1);
    lay_ids_free(&ids);
    lay_ids_free(&second);
    lay_ids_free(&third);
    lay_str_free(&decoded);
    lay_str_free(&again);
}

static void fixtures_load_and_are_stable(void **state)
{
    static const struct {
        const char *file, *class;
        int64_t pieces; /* as SOURCES.md lists them */
    } fixtures[] = {
        {"test_sentencepiece.model", "T5Tokenizer", 1000},
        {"test_sentencepiece_with_bytefallback.model", "LlamaTokenizer", 2000},
        {"test_sentencepiece_with_bytefallback.model", "MT5Tokenizer", 2000},
        {"test_sentencepiece_bpe.model", "NllbTokenizer", 1000},
        {"test_sentencepiece_no_bos.model", "T5Tokenizer", 1000},
        {"test_sentencepiece_bpe_char.model", "XLMRobertaTokenizer", 79},
    };
    static const char *const texts[] = {"This is a test.", "I was born in 92000, and this is false.",
                                        "  two  blanks ", "the cat sat on the mat"};
    char *dir = shared_path("real/tokenizers/hf-fixtures");
    (void)state;
    if (!dir)
        skip();
    for (size_t i = 0; i < sizeof fixtures / sizeof *fixtures; i++) {
        char *model = lay_path_join(dir, fixtures[i].file), settings[80];
        char *copy = make_model_dir(model, "tokenizer.model");
        snprintf(settings, sizeof settings, "{\"tokenizer_class\": \"%s\"}", fixtures[i].class);
        put_text(copy, "tokenizer_config.json", settings);
        struct lay_tokenizer *tokenizer = open_or_fail(copy);
        assert_true(lay_tokenizer_size(tokenizer) >= fixtures[i].pieces);
        for (size_t j = 0; j < sizeof texts / sizeof *texts; j++)
            is_stable(tokenizer, texts[j]);
        lay_tokenizer_close(tokenizer);
        remove_dir(copy);
        lay_free(model);
    }
    lay_free(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(llama_ids_equal_llama_cpp),    cmocka_unit_test(llama_ids_equal_hugging_face),
        cmocka_unit_test(t5_ids_equal_hugging_face),    cmocka_unit_test(xlm_r_ids_equal_hugging_face),
        cmocka_unit_test(fixtures_load_and_are_stable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

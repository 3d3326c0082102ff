/* MGSM and MSVAMP: tables and JSON lines, what is refused and how it is said. */
#include "tests/unit/tasks/data_folder.h"

static void mgsm_rows_equal_the_official_reader(void **state)
{
    cJSON *root = read_json("golden/eval_functions/read_mgsm.json");
    (void)state;
    for (const cJSON *file = root->child; file; file = file->next) {
        const char *at = text_of(file, "tsv");
        for (const cJSON *row = cJSON_GetObjectItem(file, "rows")->child; row; row = row->next) {
            struct lay_str answer = {0};
            struct lay_line question;
            const size_t length = strcspn(at, "\n");
            assert_true(lay_mgsm_row((struct lay_line){at, length}, &question, &answer) >= 2);
            assert_int_equal(question.length, strlen(text_of(row, "question")));
            assert_memory_equal(question.text, text_of(row, "question"), question.length);
            assert_string_equal(lay_str_text(&answer), text_of(row, "answer"));
            lay_str_free(&answer);
            at += length + 1;
        }
    }
    cJSON_Delete(root);
}

static void mgsm_reads_bom_crlf_quotes_and_a_missing_last_newline(void **state)
{
    (void)state;
    put("mgsm_de.tsv", "\xEF\xBB\xBF"
                       "Er sagt \"5\t2,125\r\n  zwei  Wörter \t 7.50\r\ndrei\t3");
    struct lay_dataset *dataset = loaded("mgsm", "de");
    assert_int_equal(dataset->count, 3);
    assert_string_equal(dataset->layout, "tsv");
    assert_string_equal(dataset->samples[0].question, "Er sagt \"5");
    assert_string_equal(dataset->samples[0].target, "2125");
    assert_string_equal(dataset->samples[1].question, "zwei  Wörter ");
    assert_string_equal(dataset->samples[1].target, "7.50");
    assert_string_equal(dataset->samples[2].target, "3");
    assert_int_equal(dataset->samples[2].id, 2);
    assert_string_equal(text_of(dataset->samples[2].doc, "question"), "drei");
    assert_string_equal(text_of(dataset->samples[2].doc, "answer"), "3");
    char *path = lay_path_join(folder, "mgsm_de.tsv"), hex[LAY_HASH_HEX];
    struct lay_err err = {0};
    assert_ok(lay_hash_file(path, hex, &err), err);
    assert_string_equal(dataset->hash, hex);
    assert_string_equal(dataset->file, path);
    lay_free(path);
    lay_dataset_free(dataset);
}

static void mgsm_refuses_broken_tsv(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t length;
        const char *message;
    } cases[] = {
#define CASE(text, message) {(text), sizeof(text) - 1, (message)}
        CASE("a\t1\nb\t2\textra\n", "mgsm_en.tsv:2: expected 2 columns (question, TAB, answer), found 3"),
        CASE("a\t1\nonly a question\n", "mgsm_en.tsv:2: expected 2 columns (question, TAB, answer), found 1"),
        CASE("a\t1\nb\t\n", "mgsm_en.tsv:2: expected 2"), /* strip takes the TAB away */
        CASE("a\t1\n\nb\t2\n", "mgsm_en.tsv:2: the line is blank"),
        CASE("a\t1\n \t \n", "mgsm_en.tsv:2: the line is blank"),
        CASE("a\tseven\n", "mgsm_en.tsv:1: the answer \"seven\" holds no number"),
        CASE("a\t1\nb\xFF\t2\n", "mgsm_en.tsv:2: invalid UTF-8 at byte 2"),
        CASE("a\t1\nb\xC3", "mgsm_en.tsv:2: invalid UTF-8"),
        CASE("a\t1\n\xED\xA0\x80\t2\n", "mgsm_en.tsv:2: invalid UTF-8"),
        CASE("a\t1\nb\0c\t2\n", "mgsm_en.tsv:2: a NUL byte"),
        CASE("", "mgsm_en.tsv: the file is empty"),
        CASE("\xEF\xBB\xBF", "mgsm_en.tsv: holds no item in English"),
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put_bytes("mgsm_en.tsv", cases[i].bytes, cases[i].length);
        refused("mgsm", "en", LAY_ERR_INPUT, cases[i].message);
    }
}

static void mgsm_reads_json_lines(void **state)
{
    (void)state;
    put("mgsm_Thai.json", "{\"query\": \"\\u0e01\\ud83d\\ude00 \", \"response\": "
                          "\"18\"}\n{\"query\":\"b\",\"response\":\"2\"}");
    struct lay_dataset *dataset = loaded("mgsm", "th");
    assert_int_equal(dataset->count, 2);
    assert_string_equal(dataset->layout, "json");
    assert_string_equal(dataset->samples[0].question, "ก😀 "); /* the text of the file, unchanged */
    lay_dataset_free(dataset);
}

static void json_lines_refuse_what_they_do_not_understand(void **state)
{
    static const char *const cases[][2] = {
        {"{\"query\":\"a\",\"response\":\"1\"}\n{\"query\":\"b\"\n", "mgsm_English.json:2: not valid JSON"},
        {"{\"query\":\"a\",\"response\":\"1\"} trailing\n", "mgsm_English.json:1: "},
        {"[1]\n", "mgsm_English.json:1: a JSON object must stand here"},
        {"{\"query\":\"a\"}\n", "mgsm_English.json:1: the key \"response\" is missing"},
        {"{\"query\":\"a\",\"response\":7}\n", "mgsm_English.json:1: \"response\" must be a string"},
        {"{\"query\":\" \",\"response\":\"7\"}\n", "mgsm_English.json:1: \"query\" is empty"},
        {"{\"query\":\"a\",\"query\":\"b\",\"response\":\"7\"}\n",
         "mgsm_English.json:1: key \"query\" stands twice"},
        {"{\"query\":\"a\\u0000b\",\"response\":\"7\"}\n", "mgsm_English.json:1: \\u0000"},
        {"{\"query\":\"a\\ud800\",\"response\":\"7\"}\n", "mgsm_English.json:1: not valid JSON"},
        {"{\"query\":\"a\",\"response\":\"x\"}\n", "mgsm_English.json:1: the answer \"x\" holds no number"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put("mgsm_English.json", cases[i][0]);
        refused("mgsm", "en", LAY_ERR_INPUT, cases[i][1]);
    }
    put("mgsm_English.json", "{\"query\":\"a backslash \\\\u0000 is fine\",\"response\":\"7\"}\n");
    lay_dataset_free(loaded("mgsm", "en"));
}

static void msvamp_reads_m_query_and_both_extensions(void **state)
{
    static const char lines[] =
        "{\"query\":\"e\",\"equation\":\"- number0 number1\",\"response\":\"8.0\",\"m_query\":\" x \"}\n";
    (void)state;
    put("test_Bengali.json", lines);
    put("test_English.json", "{\"m_query\":\"e\",\"equation\":\"q\",\"response\":\"8.0\"}\n");
    struct lay_dataset *dataset = loaded("msvamp", "bn");
    assert_string_equal(dataset->samples[0].question, " x ");
    assert_string_equal(dataset->samples[0].target, "8.0");
    assert_string_equal(text_of(dataset->samples[0].doc, "equation"), "- number0 number1");
    lay_dataset_free(dataset);
    lay_dataset_free(loaded("msvamp", "en"));
    take_away("test_Bengali.json");
    take_away("test_English.json");
    put("test_Bengali.jsonl", lines);
    dataset = loaded("msvamp", "bn");
    assert_string_equal(dataset->layout, "jsonl");
    lay_dataset_free(dataset);
    put("test_Bengali.jsonl", "{\"query\":\"no m_query\",\"response\":\"8.0\"}\n");
    refused("msvamp", "bn", LAY_ERR_INPUT, "test_Bengali.jsonl:1: the key \"m_query\" is missing");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mgsm_rows_equal_the_official_reader),
        in_folder(mgsm_reads_bom_crlf_quotes_and_a_missing_last_newline),
        in_folder(mgsm_refuses_broken_tsv),
        in_folder(mgsm_reads_json_lines),
        in_folder(json_lines_refuse_what_they_do_not_understand),
        in_folder(msvamp_reads_m_query_and_both_extensions),
    };
    return cmocka_run_group_tests(tests, load_languages, NULL);
}

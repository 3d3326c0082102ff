/* Data files: every layout, what is refused and how it is said, our samples, the real data where it is at
 * hand. */
#include "tests/unit/tasks/support.h"

#include "tasks/dataset.h"

#include <ftw.h>

static char folder[64];

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/layeval-data-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static void put_bytes(const char *name, const char *bytes, size_t length)
{
    struct lay_err err = {0};
    char *path = lay_path_join(folder, name);
    char *dir = lay_path_dirname(path);
    assert_ok(lay_mkdirs(dir, &err), err);
    assert_ok(lay_file_write(path, bytes, length, &err), err);
    lay_free(path);
    lay_free(dir);
}

static void put(const char *name, const char *text)
{
    put_bytes(name, text, strlen(text));
}

static void take_away(const char *name)
{
    char *path = lay_path_join(folder, name);
    assert_int_equal(unlink(path), 0);
    lay_free(path);
}

static enum lay_status load(const char *dir, const char *task, const char *language, const char *layout,
                            int64_t limit, struct lay_dataset **dataset, struct lay_err *err)
{
    const struct lay_data_options options = {.dir = dir, .layout = layout, .limit = limit};
    return lay_dataset_load(task_named(task), lay_language_find(language), &options, dataset, err);
}

static struct lay_dataset *loaded(const char *task, const char *language)
{
    struct lay_err err = {0};
    struct lay_dataset *dataset = NULL;
    assert_ok(load(folder, task, language, NULL, -1, &dataset, &err), err);
    return dataset;
}

static void refused(const char *task, const char *language, enum lay_status status, const char *message)
{
    struct lay_err err = {0};
    struct lay_dataset *dataset;
    const enum lay_status found = load(folder, task, language, NULL, -1, &dataset, &err);
    if (found != status || !strstr(err.message, message))
        fail_msg("status %d, message \"%s\"; expected %d and \"%s\"", (int)found, err.message, (int)status,
                 message);
    assert_null(dataset);
}

/* --- MGSM
 * -------------------------------------------------------------------------------------------------------- */

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

/* --- folders and layouts
 * ----------------------------------------------------------------------------------------- */

static void a_missing_language_file_says_what_was_looked_for(void **state)
{
    (void)state;
    put("mgsm_en.tsv", "a\t1\n");
    refused("mgsm", "sw", LAY_ERR_INPUT, "mgsm_sw.tsv: not found");
    refused("mgsm", "sw", LAY_ERR_INPUT, "data/fetch.sh mgsm");
    refused("mgsm", "ar", LAY_ERR_USAGE, "MGSM has no Arabic data");
}

static void an_empty_folder_says_what_was_looked_for(void **state)
{
    struct lay_err err = {0};
    struct lay_dataset *dataset;
    (void)state;
    refused("msvamp", "en", LAY_ERR_INPUT, "test_{Name}.json");
    refused("xnli", "en", LAY_ERR_INPUT, "xnli.test.tsv");
    assert_int_equal(load("/nonexistent", "xnli", "en", NULL, -1, &dataset, &err), LAY_ERR_INPUT);
    assert_non_null(strstr(err.message, "/nonexistent"));
}

static void two_layouts_are_refused_unless_one_is_named(void **state)
{
    struct lay_err err = {0};
    struct lay_dataset *dataset;
    (void)state;
    put("mgsm_en.tsv", "from tsv\t1\n");
    put("mgsm_German.json", "{\"query\":\"aus json\",\"response\":\"1\"}\n");
    refused("mgsm", "en", LAY_ERR_INPUT, "choose one with --layout");
    assert_ok(load(folder, "mgsm", "en", "tsv", -1, &dataset, &err), err);
    lay_dataset_free(dataset);
    assert_ok(load(folder, "mgsm", "de", "json", -1, &dataset, &err), err);
    assert_string_equal(dataset->samples[0].question, "aus json");
    lay_dataset_free(dataset);
    assert_int_equal(load(folder, "mgsm", "de", "tsv", -1, &dataset, &err), LAY_ERR_INPUT);
    assert_int_equal(load(folder, "mgsm", "de", "xml", -1, &dataset, &err), LAY_ERR_USAGE);
    assert_non_null(strstr(err.message, "tsv, json"));
}

static void a_folder_named_like_the_task_is_preferred(void **state)
{
    (void)state;
    put("mgsm/mgsm_en.tsv", "inner\t1\n");
    put("mgsm_en.tsv", "outer\t1\n");
    struct lay_dataset *dataset = loaded("mgsm", "en");
    assert_string_equal(dataset->samples[0].question, "inner");
    lay_dataset_free(dataset);
}

static void limit_takes_the_first_but_checks_the_whole_file(void **state)
{
    struct lay_err err = {0};
    struct lay_dataset *dataset;
    (void)state;
    put("mgsm_en.tsv", "a\t1\nb\t2\nc\t3\n");
    assert_ok(load(folder, "mgsm", "en", NULL, 2, &dataset, &err), err);
    assert_int_equal(dataset->count, 2);
    assert_int_equal(dataset->total, 3);
    lay_dataset_free(dataset);
    put("mgsm_en.tsv", "a\t1\nb\t2\nbroken\n");
    assert_int_equal(load(folder, "mgsm", "en", NULL, 1, &dataset, &err), LAY_ERR_INPUT);
}

/* --- MSVAMP
 * ------------------------------------------------------------------------------------------------------ */

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

/* --- X-CSQA
 * ------------------------------------------------------------------------------------------------------ */

#define CHOICES "[{\"label\":\"A\",\"text\":\"x\"},{\"label\":\"B\",\"text\":\"\"}]"
#define ITEM(lang, key)                                                                                      \
    "{\"id\":\"1\",\"lang\":\"" lang "\",\"question\":{\"stem\":\"s\",\"choices\":" CHOICES                  \
    "},\"answerKey\":\"" key "\"}"

static void xcsqa_reads_dev_and_finds_japanese_under_both_names(void **state)
{
    (void)state;
    put("en/dev.jsonl", ITEM("en", "B") "\n");
    put("jap/dev.jsonl", ITEM("jap", "A"));
    struct lay_dataset *dataset = loaded("x-csqa", "ja");
    assert_int_equal(dataset->samples[0].n_choices, 2);
    assert_string_equal(dataset->samples[0].choices[0], "x");
    assert_string_equal(dataset->samples[0].target, "A");
    assert_string_equal(text_of(dataset->samples[0].doc, "id"), "1");
    lay_dataset_free(dataset);
    put("ja/dev.jsonl", ITEM("ja", "A"));
    refused("x-csqa", "ja", LAY_ERR_INPUT, "both exist");
    take_away("jap/dev.jsonl");
    lay_dataset_free(loaded("x-csqa", "ja"));
    refused("x-csqa", "ur", LAY_ERR_INPUT, "ur/dev.jsonl: not found");
}

static void xcsqa_test_files_are_refused_with_the_reason(void **state)
{
    static const char no_key[] =
        "{\"id\":\"1\",\"lang\":\"en\",\"question\":{\"stem\":\"s\",\"choices\":" CHOICES "}}\n";
    (void)state;
    put("sw/test.jsonl", no_key);
    refused("x-csqa", "en", LAY_ERR_INPUT, "test.jsonl has no answerKey");
    refused("x-csqa", "en", LAY_ERR_INPUT, "dev.jsonl");
    put("en/dev.jsonl", ITEM("en", "B"));
    refused("x-csqa", "sw", LAY_ERR_INPUT, "sw/test.jsonl: there is no dev.jsonl beside it");
    put("en/dev.jsonl", no_key);
    refused("x-csqa", "en", LAY_ERR_INPUT, "en/dev.jsonl:1: the key \"answerKey\" is missing");
}

static void xcsqa_refuses_broken_items(void **state)
{
    static const char *const cases[][2] = {
        {ITEM("en", "C"), "answerKey \"C\" is none of the labels A to B"},
        {ITEM("en", "a"), "answerKey \"a\""},
        {ITEM("de", "A"), "\"lang\" is \"de\""},
        {"{\"question\":\"s\",\"answerKey\":\"A\"}", "\"question\" must be an object"},
        {"{\"question\":{\"choices\":" CHOICES "},\"answerKey\":\"A\"}", "\"stem\" is missing"},
        {"{\"question\":{\"stem\":\"s\"},\"answerKey\":\"A\"}", "choices"},
        {"{\"question\":{\"stem\":\"s\",\"choices\":[]},\"answerKey\":\"A\"}", "at least 2"},
        {"{\"question\":{\"stem\":\"s\",\"choices\":[{\"label\":\"B\",\"text\":\"\"}]},\"answerKey\":\"A\"}",
         "labelled \"B\" instead of \"A\""},
        {"{\"question\":{\"stem\":\"s\",\"choices\":[7]},\"answerKey\":\"A\"}", "choice 1"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put("en/dev.jsonl", cases[i][0]);
        refused("x-csqa", "en", LAY_ERR_INPUT, cases[i][1]);
        refused("x-csqa", "en", LAY_ERR_INPUT, "en/dev.jsonl:1: ");
    }
}

/* --- XNLI
 * -------------------------------------------------------------------------------------------------------- */

#define HEADER                                                                                               \
    "language\tgold_label\tsentence1_binary_parse\tsentence2_binary_parse\tsentence1_parse\tsentence2_"      \
    "parse\t"                                                                                                \
    "sentence1\tsentence2\tpromptID\tpairID\tgenre\tlabel1\tlabel2\tlabel3\tlabel4\tlabel5\tsentence1_"      \
    "tokenized\t"                                                                                            \
    "sentence2_tokenized\tmatch\n"
#define ROW(lang, label, first, second)                                                                      \
    lang "\t" label "\t\t\t\t\t" first "\t" second "\t1\t1\tg\tl\tl\tl\tl\tl\tt\tt\tTrue\n"

static void check_pair(const struct lay_dataset *dataset, size_t index, const char *first, const char *second,
                       const char *label)
{
    assert_true(index < dataset->count);
    assert_string_equal(dataset->samples[index].question, first);
    assert_string_equal(dataset->samples[index].second, second);
    assert_string_equal(dataset->samples[index].target, label);
    assert_string_equal(text_of(dataset->samples[index].doc, "sentence1"), first);
}

static void xnli_reads_the_original_tsv(void **state)
{
    (void)state;
    put("xnli.test.tsv", HEADER ROW("ar", "neutral", "a", "b") ROW("en", "entailment", "c \"", "d")
                             ROW("ar", "contradiction", "e", "f"));
    struct lay_dataset *dataset = loaded("xnli", "ar");
    assert_int_equal(dataset->count, 2);
    assert_int_equal(dataset->first_line, 2);
    check_pair(dataset, 0, "a", "b", "neutral");
    check_pair(dataset, 1, "e", "f", "contradiction");
    assert_int_equal(dataset->samples[1].id, 1);
    lay_dataset_free(dataset);
    dataset = loaded("xnli", "en");
    assert_int_equal(dataset->first_line, 3);
    check_pair(dataset, 0, "c \"", "d", "entailment");
    lay_dataset_free(dataset);
    refused("xnli", "sw", LAY_ERR_INPUT, "holds no item in Swahili");
    put("xnli.test.tsv", HEADER ROW("ar", "-", "a", "b"));
    refused("xnli", "ar", LAY_ERR_INPUT, "xnli.test.tsv:2: the label \"-\" is none of");
    put("xnli.test.tsv", HEADER ROW("xx", "neutral", "a", "b"));
    refused("xnli", "ar", LAY_ERR_INPUT, "xnli.test.tsv:2: \"xx\" is no language of XNLI");
    put("xnli.test.tsv", HEADER ROW("en", "neutral", "a", "b") "en\tneutral\n");
    refused("xnli", "ar", LAY_ERR_INPUT, "xnli.test.tsv:3: expected 19 columns, found 2");
    put("xnli.test.tsv", ROW("en", "neutral", "a", "b"));
    refused("xnli", "en", LAY_ERR_INPUT, "xnli.test.tsv:1: the header's column 1 must be \"language\"");
    put("xnli.test.tsv", HEADER ROW("en", "neutral", "", "b"));
    refused("xnli", "en", LAY_ERR_INPUT, "xnli.test.tsv:2: an empty sentence");
    put("xnli.test.tsv", HEADER);
    refused("xnli", "en", LAY_ERR_INPUT, "holds no item");
}

static void xnli_reads_json_lines(void **state)
{
    (void)state;
    put("xnli.test.jsonl",
        "{\"gold_label\":\"neutral\",\"language\":\"th\",\"sentence1\":\"a\",\"sentence2\":\"b\",\"genre\":"
        "\"g\"}\n"
        "{\"gold_label\":\"entailment\",\"language\":\"en\",\"sentence1\":\"c\",\"sentence2\":\"d\"}");
    struct lay_dataset *dataset = loaded("xnli", "en");
    assert_int_equal(dataset->count, 1);
    assert_int_equal(dataset->first_line, 2);
    check_pair(dataset, 0, "c", "d", "entailment");
    lay_dataset_free(dataset);
    put("xnli.test.jsonl",
        "{\"gold_label\":\"-\",\"language\":\"th\",\"sentence1\":\"a\",\"sentence2\":\"b\"}\n");
    refused("xnli", "en", LAY_ERR_INPUT, "xnli.test.jsonl:1: the label \"-\"");
    put("xnli.test.jsonl", "{\"gold_label\":\"neutral\",\"sentence1\":\"a\",\"sentence2\":\"b\"}\n");
    refused("xnli", "en", LAY_ERR_INPUT, "the key \"language\" is missing");
}

static void xnli_joins_labels_by_row(void **state)
{
    char first[LAY_HASH_HEX];
    (void)state;
    put("test-en.tsv", "a\tb\nc\td\n");
    refused("xnli", "en", LAY_ERR_INPUT, "test.labels.tsv");
    put("test.labels.tsv",
        "row\tpromptID\tpairID\tgenre\tgold_label\n1\t1\t1\tg\tneutral\n2\t1\t2\tg\tentailment\n");
    struct lay_dataset *dataset = loaded("xnli", "en");
    assert_int_equal(dataset->count, 2);
    check_pair(dataset, 0, "a", "b", "neutral");
    check_pair(dataset, 1, "c", "d", "entailment");
    memcpy(first, dataset->hash, sizeof first);
    lay_dataset_free(dataset);
    put("test.labels.tsv", "neutral\r\ncontradiction");
    dataset = loaded("xnli", "en");
    check_pair(dataset, 1, "c", "d", "contradiction");
    assert_string_not_equal(dataset->hash, first); /* the labels are part of the data */
    lay_dataset_free(dataset);
    put("test.labels.tsv", "neutral\n");
    refused("xnli", "en", LAY_ERR_INPUT, "test-en.tsv:2: ");
    put("test.labels.tsv", "neutral\nneutral\nneutral\n");
    refused("xnli", "en", LAY_ERR_INPUT, "test.labels.tsv:3: ");
    put("test.labels.tsv", "neutral\nmaybe\n");
    refused("xnli", "en", LAY_ERR_INPUT, "test.labels.tsv:2: the label \"maybe\"");
    put("test.labels.tsv", "1\tneutral\n2\tneutral\n");
    refused("xnli", "en", LAY_ERR_INPUT, "test.labels.tsv:1: no column is headed");
}

static void xnli_reads_three_columns_without_a_labels_file(void **state)
{
    (void)state;
    put("test-en.tsv", "a\tb\tNeutral\nc\td\tentailment\n");
    struct lay_dataset *dataset = loaded("xnli", "en");
    check_pair(dataset, 0, "a", "b", "Neutral"); /* as the data file spells it */
    lay_dataset_free(dataset);
    put("test-en.tsv", "a\tb\tneutral\nc\td\n");
    refused("xnli", "en", LAY_ERR_INPUT, "test-en.tsv:2: expected 3 columns, found 2");
    put("test-en.tsv", "a\tb\tneutral\tx\n");
    refused("xnli", "en", LAY_ERR_INPUT, "test-en.tsv:1: expected 2 columns");
}

static void xnli_reads_one_json_array_with_codes_or_names(void **state)
{
    static const char items[] =
        "[{\"sentence1\":\"a\",\"sentence2\":\"b\",\"label\":\"Neutral\",\"language\":\"Swahili\"},\n"
        " {\"sentence1\":\"c\",\"sentence2\":\"d\",\"label\":\"entailment\",\"language\":\"en\"}]\n";
    char wrapped[sizeof items + 32];
    (void)state;
    put("test.json", items);
    struct lay_dataset *dataset = loaded("xnli", "sw");
    assert_int_equal(dataset->count, 1);
    check_pair(dataset, 0, "a", "b", "Neutral");
    lay_dataset_free(dataset);
    snprintf(wrapped, sizeof wrapped, "\xEF\xBB\xBF{\"data\": %s}", items);
    put("test.json", wrapped);
    dataset = loaded("xnli", "en");
    check_pair(dataset, 0, "c", "d", "entailment");
    assert_int_equal(dataset->first_line, 2); /* the second item */
    lay_dataset_free(dataset);
    put("test.json", "{\"items\": []}");
    refused("xnli", "en", LAY_ERR_INPUT, "test.json: a list of items");
    put("test.json", "[{\"sentence1\":\"a\",\"sentence2\":\"b\",\"label\":\"x\",\"language\":\"en\"}]");
    refused("xnli", "en", LAY_ERR_INPUT, "test.json:1: the label \"x\"");
    put("test.json", "[7]");
    refused("xnli", "en", LAY_ERR_INPUT, "test.json:1: ");
    put("test.json", "[\n\n{]");
    refused("xnli", "en", LAY_ERR_INPUT, "test.json:3: not valid JSON");
    put("test.json", "[\n\"\xFF\"]");
    refused("xnli", "en", LAY_ERR_INPUT, "test.json:2: invalid UTF-8");
}

/* --- out of memory
 * ----------------------------------------------------------------------------------------------- */

static void running_out_of_memory_leaks_nothing(void **state)
{
    static const struct {
        const char *task, *language;
    } sets[] = {{"mgsm", "en"}, {"x-csqa", "en"}, {"xnli", "en"}};
    (void)state;
    put("mgsm/mgsm_en.tsv", "a\t1\nb\t2\n");
    put("x-csqa/en/dev.jsonl", ITEM("en", "B"));
    put("xnli/test-en.tsv", "a\tb\nc\td\n");
    put("xnli/test.labels.tsv", "neutral\nneutral\n");
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        bool failed = true;
        for (long n = 0; failed && n < 2000; n++) {
            struct lay_err err = {0};
            struct lay_dataset *dataset;
            lay_mem_fail_after(n);
            failed = load(folder, sets[i].task, sets[i].language, NULL, -1, &dataset, &err) != LAY_OK;
            lay_mem_fail_after(-1);
            assert_int_equal(dataset == NULL, failed);
            lay_dataset_free(dataset);
        }
        assert_false(failed);
    }
}

/* --- our own samples
 * --------------------------------------------------------------------------------------------- */

struct expected {
    const char *task;
    const char *languages;
    const char *targets; /* worked out by hand from the English items */
};

static const struct expected samples[] = {
    {"mgsm", "bn th sw zh de fr es en", "19 15 14 1640 9 360 24 380"},
    {"msvamp", "bn th sw zh de ru es en", "23.0 18.0 42.0 7.0 53.0 17.0 60.0 8.0"},
    {"x-csqa", "sw ur hi ar zh de en", "B C A D E B C D"},
    {"xnli", "sw ur th ar zh de en",
     "entailment neutral contradiction entailment neutral contradiction entailment neutral contradiction"},
};

static void check_samples(const struct expected *expected, const char *language)
{
    struct lay_err err = {0};
    struct lay_dataset *dataset;
    struct lay_str targets = {0};
    char dir[4096];
    snprintf(dir, sizeof dir, "%s/samples", lay_data_dir());
    assert_ok(load(dir, expected->task, language, NULL, -1, &dataset, &err), err);
    for (size_t i = 0; i < dataset->count; i++)
        lay_str_printf(&targets, "%s%s", i ? " " : "", dataset->samples[i].target);
    assert_string_equal(lay_str_text(&targets), expected->targets);
    lay_str_free(&targets);
    lay_dataset_free(dataset);
}

static void our_samples_load_and_have_the_right_answers(void **state)
{
    (void)state;
    for (size_t s = 0; s < sizeof samples / sizeof *samples; s++) {
        int count = 0;
        for (size_t i = 0; i < lay_language_count(); i++) {
            const struct lay_language *language = lay_language_at(i);
            if (!lay_language_in(language, samples[s].task) || !strstr(samples[s].languages, language->iso))
                continue;
            check_samples(&samples[s], language->iso);
            count++;
        }
        assert_true(count >= 6);
    }
}

/* The arithmetic of the English items, once more. */
static void answers_of_the_math_samples_follow_from_their_numbers(void **state)
{
    const int mgsm[] = {12 - 5 + 3 * 4,  48 - 48 / 2 - 9,           2 * 4 + 3 * 4 / 2, (6 * 15 - 8) * 20,
                        (300 - 75) / 25, 500 - 500 * 40 / 100 + 60, 84 / 3 - 4,        3 * 80 + 2 * 70};
    const int msvamp[] = {14 + 9, 31 - 13, 6 * 7, 56 / 8, 90 - 37, 45 - 28, 12 * 5, 72 / 9};
    (void)state;
    char *end = (char *)(uintptr_t)samples[0].targets;
    for (size_t i = 0; i < 8; i++)
        assert_true(strtod(end, &end) == mgsm[i]);
    end = (char *)(uintptr_t)samples[1].targets;
    for (size_t i = 0; i < 8; i++)
        assert_true(strtod(end, &end) == msvamp[i]);
}

/* --- the real data
 * ----------------------------------------------------------------------------------------------- */

static const char *real_data(void)
{
    static char path[4096];
    const char *shared = getenv("LAYEVAL_SHARED");
    snprintf(path, sizeof path, "%s/real/datasets", shared ? shared : "../shared");
    if (lay_path_is_dir(path))
        return path;
    print_message("%s is not there: skipped (set LAYEVAL_SHARED)\n", path);
    return NULL;
}

static void check_real(const char *relative, const char *task, bool all, size_t languages, size_t items)
{
    const struct lay_language *list[64];
    char dir[4200];
    const char *root = real_data();
    if (!root)
        skip();
    snprintf(dir, sizeof dir, "%s/%s", root, relative);
    assert_int_equal(lay_languages_of(task, all, list, 64), languages);
    for (size_t i = 0; i < languages; i++) {
        struct lay_err err = {0};
        struct lay_dataset *dataset;
        assert_ok(load(dir, task, list[i]->iso, NULL, -1, &dataset, &err), err);
        assert_int_equal(dataset->count, items);
        lay_dataset_free(dataset);
    }
}

static void real_mgsm_has_11_times_250(void **state)
{
    (void)state;
    check_real("", "mgsm", true, 11, 250);
    check_real("mgsm/mathoctopus", "mgsm", true, 11, 250);
}

static void real_msvamp_has_10_times_1000(void **state)
{
    (void)state;
    check_real("", "msvamp", true, 10, 1000);
}

static void real_xcsqa_has_16_times_5(void **state)
{
    (void)state;
    check_real("x-csqa/sample", "x-csqa", true, 16, 5);
}

static void real_xnli_has_15_times_5010(void **state)
{
    (void)state;
    check_real("", "xnli", true, 15, 5010);
}

static void real_xnli_in_the_original_layouts_gives_the_same_pairs(void **state)
{
    static const char *const layouts[] = {"tsv", "jsonl"};
    char dir[4200];
    const char *root = real_data();
    (void)state;
    if (!root)
        skip();
    snprintf(dir, sizeof dir, "%s/xnli/original_format_sample", root);
    struct lay_err err = {0};
    struct lay_dataset *sets[2];
    for (size_t i = 0; i < 2; i++)
        assert_ok(load(dir, "xnli", "ar", layouts[i], -1, &sets[i], &err), err);
    assert_int_equal(sets[0]->count, 2);
    assert_int_equal(sets[1]->count, 2);
    for (size_t i = 0; i < 2; i++)
        check_pair(sets[0], i, sets[1]->samples[i].question, sets[1]->samples[i].second,
                   sets[1]->samples[i].target);
    assert_string_equal(sets[0]->samples[0].target, "contradiction");
    assert_string_equal(sets[0]->samples[1].target, "entailment");
    lay_dataset_free(sets[0]);
    lay_dataset_free(sets[1]);
}

#define in_folder(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mgsm_rows_equal_the_official_reader),
        in_folder(mgsm_reads_bom_crlf_quotes_and_a_missing_last_newline),
        in_folder(mgsm_refuses_broken_tsv),
        in_folder(mgsm_reads_json_lines),
        in_folder(json_lines_refuse_what_they_do_not_understand),
        in_folder(a_missing_language_file_says_what_was_looked_for),
        in_folder(an_empty_folder_says_what_was_looked_for),
        in_folder(two_layouts_are_refused_unless_one_is_named),
        in_folder(a_folder_named_like_the_task_is_preferred),
        in_folder(limit_takes_the_first_but_checks_the_whole_file),
        in_folder(msvamp_reads_m_query_and_both_extensions),
        in_folder(xcsqa_reads_dev_and_finds_japanese_under_both_names),
        in_folder(xcsqa_test_files_are_refused_with_the_reason),
        in_folder(xcsqa_refuses_broken_items),
        in_folder(xnli_reads_the_original_tsv),
        in_folder(xnli_reads_json_lines),
        in_folder(xnli_joins_labels_by_row),
        in_folder(xnli_reads_three_columns_without_a_labels_file),
        in_folder(xnli_reads_one_json_array_with_codes_or_names),
        in_folder(running_out_of_memory_leaks_nothing),
        cmocka_unit_test(our_samples_load_and_have_the_right_answers),
        cmocka_unit_test(answers_of_the_math_samples_follow_from_their_numbers),
        cmocka_unit_test(real_mgsm_has_11_times_250),
        cmocka_unit_test(real_msvamp_has_10_times_1000),
        cmocka_unit_test(real_xcsqa_has_16_times_5),
        cmocka_unit_test(real_xnli_has_15_times_5010),
        cmocka_unit_test(real_xnli_in_the_original_layouts_gives_the_same_pairs),
    };
    return cmocka_run_group_tests(tests, load_languages, NULL);
}

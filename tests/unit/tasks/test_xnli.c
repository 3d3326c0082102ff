/* XNLI: every layout, what is refused and how it is said. */
#include "tests/unit/tasks/data_folder.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(xnli_reads_the_original_tsv),
        in_folder(xnli_reads_json_lines),
        in_folder(xnli_joins_labels_by_row),
        in_folder(xnli_reads_three_columns_without_a_labels_file),
        in_folder(xnli_reads_one_json_array_with_codes_or_names),
        cmocka_unit_test(real_xnli_in_the_original_layouts_gives_the_same_pairs),
    };
    return cmocka_run_group_tests(tests, load_languages, NULL);
}

/* X-CSQA: its files, what is refused and how it is said. */
#include "tests/unit/tasks/data_folder.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(xcsqa_reads_dev_and_finds_japanese_under_both_names),
        in_folder(xcsqa_test_files_are_refused_with_the_reason),
        in_folder(xcsqa_refuses_broken_items),
    };
    return cmocka_run_group_tests(tests, load_languages, NULL);
}

/* Training data in the official layouts: what items become, and what is refused. */
#include "tasks/train_data.h"

#include "tests/unit/tasks/support.h"

static char root[64];
static struct lay_prompt_set *prompts;

static void put(const char *name, const char *text)
{
    char path[256];
    struct lay_err err = {0};
    snprintf(path, sizeof path, "%s/%s", root, name);
    char *dir = lay_path_dirname(path);
    assert_ok(lay_mkdirs(dir, &err), err);
    lay_free(dir);
    assert_ok(lay_file_write(path, text, strlen(text), &err), err);
}

static int make_data(void **state)
{
    struct lay_err err = {0};
    strcpy(root, "/tmp/layeval-train-XXXXXX");
    if (load_languages(state) != 0 || !mkdtemp(root) ||
        lay_prompt_set_open(NULL, "mindmerger", &prompts, &err) != LAY_OK)
        return -1;
    put("bilingual_pairs/en-de/train_100k.de", "Eins.\nZwei.\nDrei.\n");
    put("bilingual_pairs/en-de/train_100k.en", "One.\r\nTwo.\nThree.");
    put("bilingual_pairs/en-sw/train_100k.sw", "Moja.\n");
    put("bilingual_pairs/en-sw/train_100k.en", "One.\n");
    put("bilingual_pairs/en-en/train_100k.en", "One.\n");
    put("short/en-de/train_100k.de", "Eins.\nZwei.\n");
    put("short/en-de/train_100k.en", "One.\n");
    put("query_translation/metamath_615k.json",
        "[{\"query\": \"2 + 2?\", \"response\": \"The answer is: 4\", \"lang\": \"English\"},\n"
        " {\"query\": \"2 + 3?\", \"response\": \"The answer is: 5\", \"lang\": \"German\", \"id\": 7},\n"
        " {\"query\": \"2 + 4?\", \"response\": \"The answer is: 6\", \"lang\": \"German\"}]");
    put("query_translation/x-csqa/train_es.jsonl",
        "{\"id\": \"1\", \"lang\": \"es\", \"question\": {\"stem\": \"?\", \"choices\": [{\"label\": \"A\", "
        "\"text\": \"uno\"}, {\"label\": \"B\", \"text\": \"dos\"}]}, \"answerKey\": \"B\"}\n");
    put("query_translation/xnli_dev.json",
        "[{\"sentence1\": \"a\", \"sentence2\": \"b\", \"label\": \"neutral\", \"language\": \"Thai\"}]");
    put("tongue/metamath_615k.json", "[{\"query\": \"?\", \"response\": \"1\", \"lang\": \"Klingon\"}]");
    put("empty/metamath_615k.json", "[]");
    put("merger/query_translation/math.json",
        "{\"data\": [{\"query\": \"7 + 1?\", \"response\": \"The answer is: 8\", \"lang\": \"Thai\"},\n"
        " {\"query\": \"7 + 2?\", \"response\": \"The answer is: 9\", \"lang\": \"Thai\"},\n"
        " {\"query\": \"7 + 3?\", \"response\": \"The answer is: 10\", \"lang\": \"Flemish\"}]}");
    put("both/math.json", "[{\"query\": \"?\", \"response\": \"second\", \"lang\": \"Thai\"}]");
    put("both/metamath_615k.json", "[{\"query\": \"?\", \"response\": \"first\", \"lang\": \"Thai\"}]");
    put("object/math.json", "{\"items\": []}");
    put("lines.jsonl", "{\"source\": \"Eins\", \"prompt\": \"\", \"target\": \"One\", \"lang\": \"de\"}\n"
                       "{\"prompt\": \"Say one\", \"target\": \"One\"}\n");
    put("bad.jsonl",
        "{\"source\": \"Eins\", \"target\": \"One\"}\n{\"source\": \"Zwei\", \"answer\": \"Two\"}\n");
    return 0;
}

static int remove_data(void **state)
{
    char command[128];
    (void)state;
    lay_prompt_set_close(prompts);
    snprintf(command, sizeof command, "rm -r %s", root);
    return system(command);
}

static char path_text[256];
static const char *in_root(const char *name)
{
    snprintf(path_text, sizeof path_text, "%s/%s", root, name);
    return path_text;
}

static void pairs_are_read_line_by_line(void **state)
{
    (void)state;
    struct lay_err err = {0};
    struct lay_train_set set = {0};
    const struct lay_train_data_options options = {.prompts = prompts};
    char name[100];
    assert_ok(lay_train_data_read(&set, "translation", root, &options, &err), err);
    assert_int_equal(set.count, 4); /* English pairs are no translation, unless asked for */
    assert_int_equal(set.n_files, 2);
    assert_string_equal(set.items[1].source, "Zwei.");
    assert_string_equal(set.items[1].target, "Two.");
    assert_null(set.items[1].prompt);
    assert_string_equal(set.items[1].language->iso, "de");
    assert_string_equal(lay_train_item_name(&set, &set.items[1], name, sizeof name), "train_100k.de:2");
    lay_train_set_free(&set);
}

static void a_pair_may_have_the_official_prompt(void **state)
{
    (void)state;
    struct lay_err err = {0};
    struct lay_train_set set = {0};
    const struct lay_language *languages[] = {lay_language_find("en"), lay_language_find("de")};
    const struct lay_train_data_options options = {
        .languages = languages, .n_languages = 2, .limit = 2, .prompts = prompts, .text_prompt = true};
    assert_ok(lay_train_data_read(&set, "translation", in_root("bilingual_pairs"), &options, &err), err);
    assert_int_equal(set.count, 3);
    const struct lay_train_item *item = &set.items[0];
    assert_string_equal(item->language->iso, "de");
    assert_string_equal(
        item->prompt,
        "Below is an instruction that describes a task, paired with an input that provides further "
        "context. Write a response that appropriately completes the request.\n### Instruction:\n"
        "Translate the following sentences from German to English.\n### Input:\nEins.\n"
        "### Response:");
    assert_string_equal(set.items[2].source, "One.");
    assert_string_equal(set.items[2].target, "One.");
    lay_train_set_free(&set);
}

static void tasks_are_said_by_the_prompt_set(void **state)
{
    (void)state;
    struct lay_err err = {0};
    struct lay_train_set set = {0};
    const struct lay_train_data_options options = {.prompts = prompts, .text_prompt = true, .limit = 1};
    static const char *const tasks[] = {"mgsm", "x-csqa", "xnli"};
    for (size_t i = 0; i < 3; i++)
        assert_ok(lay_train_data_read(&set, tasks[i], root, &options, &err), err);
    assert_int_equal(set.count, 4); /* one of each language */
    assert_string_equal(set.items[1].source, "2 + 3?");
    assert_string_equal(
        set.items[1].prompt,
        "Below is an instruction that describes a task. Write a response that appropriately completes "
        "the request.\n\n### Instruction:\n2 + 3?\n\n### Response: Let's think step by step.");
    assert_string_equal(set.items[1].target, "The answer is: 5");
    assert_string_equal(set.items[2].source, "?\nOptions:A. uno\tB. dos\nAnswer:");
    assert_string_equal(set.items[2].target, "B");
    assert_string_equal(set.items[3].prompt, "Premise: a\nHypothesis: b\nLabel:");
    assert_string_equal(set.items[3].target, "Neutral");
    assert_int_equal(set.items[3].line, 1);
    lay_train_set_free(&set);
}

static void mindmergers_math_is_read_where_layaligns_is_not(void **state)
{
    (void)state;
    struct lay_err err = {0};
    struct lay_train_set set = {0};
    const struct lay_train_data_options options = {.prompts = prompts, .limit = 1};
    assert_ok(lay_train_data_read(&set, "mgsm", in_root("merger"), &options, &err), err);
    assert_int_equal(set.count, 2); /* one of each language */
    assert_string_equal(set.items[0].source, "7 + 1?");
    assert_string_equal(set.items[0].target, "The answer is: 8");
    assert_string_equal(set.items[0].language->iso, "th");
    assert_string_equal(set.items[1].source, "7 + 3?");
    assert_string_equal(set.items[1].language->iso, "nl");
    assert_int_equal(set.items[1].line, 3);
    assert_ok(lay_train_data_read(&set, "msvamp", in_root("both"), &options, &err), err);
    assert_int_equal(set.count, 3);
    assert_string_equal(set.items[2].target, "first");
    lay_train_set_free(&set);
}

static void lines_are_taken_as_they_are(void **state)
{
    (void)state;
    struct lay_err err = {0};
    struct lay_train_set set = {0};
    const struct lay_train_data_options options = {.prompts = prompts, .text_prompt = true};
    assert_ok(lay_train_data_read_lines(&set, in_root("lines.jsonl"), &options, &err), err);
    assert_int_equal(set.count, 2);
    assert_string_equal(set.items[0].source, "Eins");
    assert_null(set.items[0].prompt);
    assert_string_equal(set.items[0].language->iso, "de");
    assert_null(set.items[1].source);
    assert_string_equal(set.items[1].prompt, "Say one");
    lay_train_set_free(&set);
}

static void faults_name_their_place(void **state)
{
    (void)state;
    const struct lay_language *thai = lay_language_find("th");
    const struct {
        const char *task, *dir;
        bool thai;
        enum lay_status status;
        const char *says;
    } cases[] = {
        {"translation", "short", false, LAY_ERR_INPUT, "different numbers of lines"},
        {"translation", "bilingual_pairs", true, LAY_ERR_INPUT,
         "holds no bilingual_pairs/en-th/train_100k.th, nor"},
        {"translation", "query_translation", false, LAY_ERR_INPUT, "train_100k.{iso}"},
        {"mgsm", "tongue", false, LAY_ERR_INPUT, "metamath_615k.json:1: \"lang\" is \"Klingon\""},
        {"mgsm", "empty", false, LAY_ERR_INPUT, "holds no training item"},
        {"mgsm", "query_translation", true, LAY_ERR_INPUT, "holds no training item in Thai"},
        {"mgsm", "short", false, LAY_ERR_INPUT, "holds no query_translation/metamath_615k.json or math.json"},
        {"mgsm", "object", false, LAY_ERR_INPUT, "math.json: a list of"},
        {"x-csqa", "query_translation", true, LAY_ERR_INPUT,
         "holds no query_translation/x-csqa/train_{iso}.jsonl"},
        {"mmlu", "query_translation", false, LAY_ERR_USAGE, "no training data reader for \"mmlu\""},
        {"mgsm", "nowhere", false, LAY_ERR_INPUT, "is not there; name"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct lay_err err = {0};
        struct lay_train_set set = {0};
        const struct lay_train_data_options options = {
            .languages = cases[i].thai ? &thai : NULL, .n_languages = cases[i].thai, .prompts = prompts};
        assert_int_equal(lay_train_data_read(&set, cases[i].task, in_root(cases[i].dir), &options, &err),
                         cases[i].status);
        if (!strstr(err.message, cases[i].says))
            fail_msg("\"%s\" does not say \"%s\"", err.message, cases[i].says);
        lay_train_set_free(&set);
    }
}

static void unknown_keys_of_lines_are_refused(void **state)
{
    (void)state;
    struct lay_err err = {0};
    struct lay_train_set set = {0};
    const struct lay_train_data_options options = {.prompts = prompts};
    assert_int_equal(lay_train_data_read_lines(&set, in_root("bad.jsonl"), &options, &err), LAY_ERR_INPUT);
    assert_non_null(strstr(err.message, "bad.jsonl:2:"));
    assert_non_null(strstr(err.message, "answer"));
    lay_train_set_free(&set);
}

static void memory_may_end_anywhere(void **state)
{
    (void)state;
    const struct lay_train_data_options options = {.prompts = prompts, .text_prompt = true};
    for (long n = 0;; n++) {
        struct lay_train_set set = {0};
        struct lay_err err = {0};
        lay_mem_fail_after(n);
        const enum lay_status status = lay_train_data_read(&set, "translation", root, &options, &err);
        lay_mem_fail_after(-1);
        lay_train_set_free(&set);
        if (status == LAY_OK)
            break;
        assert_int_not_equal(status, LAY_ERR_INTERNAL);
        assert_true(n < 1000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs_are_read_line_by_line),
        cmocka_unit_test(a_pair_may_have_the_official_prompt),
        cmocka_unit_test(tasks_are_said_by_the_prompt_set),
        cmocka_unit_test(mindmergers_math_is_read_where_layaligns_is_not),
        cmocka_unit_test(lines_are_taken_as_they_are),
        cmocka_unit_test(faults_name_their_place),
        cmocka_unit_test(unknown_keys_of_lines_are_refused),
        cmocka_unit_test(memory_may_end_anywhere),
    };
    return cmocka_run_group_tests(tests, make_data, remove_data);
}

/* Prompts byte for byte against the official construct_prompt_* functions; what a prompt set file may not
 * hold. */
#include "tests/unit/tasks/support.h"

#include "tasks/prompt.h"

static struct lay_prompt_set *open_set(const char *name)
{
    struct lay_err err = {0};
    struct lay_prompt_set *set = NULL;
    assert_ok(lay_prompt_set_open(NULL, name, &set, &err), err);
    return set;
}

static void check_prompt(const char *task, const struct lay_sample *sample, const char *source,
                         const char *expected)
{
    struct lay_err err = {0};
    struct lay_prompt_set *set = open_set("mindmerger");
    struct lay_str encoder = {0}, prompt = {0};
    bool has_prompt = false;
    assert_ok(lay_prompt_render(set, task_named(task), lay_language_find("sw"), sample, &encoder, &prompt,
                                &has_prompt, &err),
              err);
    assert_true(has_prompt);
    assert_string_equal(lay_str_text(&prompt), expected);
    assert_string_equal(lay_str_text(&encoder), source);
    lay_str_free(&encoder);
    lay_str_free(&prompt);
    lay_prompt_set_close(set);
}

static void check_choice(const cJSON *item, const char *source, const char *expected)
{
    char *texts[16];
    const cJSON *question = cJSON_GetObjectItem(item, "question");
    struct lay_sample sample = {.question = cJSON_GetObjectItem(question, "stem")->valuestring,
                                .choices = texts};
    for (const cJSON *choice = cJSON_GetObjectItem(question, "choices")->child; choice; choice = choice->next)
        texts[sample.n_choices++] = cJSON_GetObjectItem(choice, "text")->valuestring;
    check_prompt("x-csqa", &sample, source, expected);
}

static void check_pair(const cJSON *item, const char *source, const char *expected)
{
    const struct lay_sample sample = {.question = cJSON_GetObjectItem(item, "sentence1")->valuestring,
                                      .second = cJSON_GetObjectItem(item, "sentence2")->valuestring};
    check_prompt("xnli", &sample, source, expected);
}

static void check_translation(const char *source, const char *from, const char *to, const char *expected)
{
    struct lay_err err = {0};
    struct lay_prompt_set *set = open_set("mindmerger");
    struct lay_str prompt = {0};
    assert_ok(lay_prompt_translation(set, source, from, to, &prompt, &err), err);
    assert_string_equal(lay_str_text(&prompt), expected);
    lay_str_free(&prompt);
    lay_prompt_set_close(set);
}

static void prompts_equal_the_official_ones(void **state)
{
    cJSON *root = read_json("golden/eval_functions/prompts.json");
    (void)state;
    for (const cJSON *item = cJSON_GetObjectItem(root, "construct_prompt_math")->child; item;
         item = item->next) {
        struct lay_sample sample = {.question = cJSON_GetObjectItem(item, "query")->valuestring};
        check_prompt("mgsm", &sample, sample.question, text_of(item, "prompt"));
        check_prompt("msvamp", &sample, sample.question, text_of(item, "prompt"));
    }
    for (const cJSON *item = cJSON_GetObjectItem(root, "construct_prompt_x_csqa")->child; item;
         item = item->next)
        check_choice(cJSON_GetObjectItem(item, "sample"), text_of(item, "prompt"), text_of(item, "prompt"));
    for (const cJSON *item = cJSON_GetObjectItem(root, "construct_prompt_xnli")->child; item;
         item = item->next)
        check_pair(cJSON_GetObjectItem(item, "sample"), text_of(item, "prompt"), text_of(item, "prompt"));
    for (const cJSON *item = cJSON_GetObjectItem(root, "construct_prompt_mt")->child; item; item = item->next)
        check_translation(text_of(item, "query"), text_of(item, "src_lang_name"),
                          text_of(item, "trg_lang_name"), text_of(item, "prompt"));
    cJSON_Delete(root);
}

/* MathDataset.__getitem__: which text is the source (what the encoder reads) and which the prompt. */
static void dispatch_equals_the_official_dataset(void **state)
{
    cJSON *root = read_json("golden/eval_functions/prompts.json");
    (void)state;
    int count = 0;
    for (const cJSON *item = cJSON_GetObjectItem(root, "MathDataset_dispatch")->child; item;
         item = item->next) {
        const cJSON *sample = cJSON_GetObjectItem(item, "sample"),
                    *result = cJSON_GetObjectItem(item, "result");
        const char *task = text_of(item, "task");
        const char *source = text_of(result, "source"), *prompt = text_of(result, "prompt");
        if (strstr(task, "csqa"))
            check_choice(sample, source, prompt);
        else if (strcmp(task, "xnli") == 0)
            check_pair(sample, source, prompt);
        else if (strcmp(task, "translation") == 0)
            check_translation(source, text_of(sample, "source_language"), text_of(sample, "target_language"),
                              prompt);
        else
            check_prompt("mgsm",
                         &(struct lay_sample){.question = cJSON_GetObjectItem(sample, "source")->valuestring},
                         source, prompt);
        count++;
    }
    assert_int_equal(count, 6);
    cJSON_Delete(root);
}

static void langbridge_metamath_puts_the_question_word_into_the_encoder_text(void **state)
{
    struct lay_err err = {0};
    struct lay_prompt_set *set = open_set("langbridge-metamath");
    const struct lay_sample sample = {.question = (char[]){"Was ist 1+1?"}};
    struct lay_str encoder = {0}, prompt = {0};
    bool has_prompt = true;
    size_t count;
    (void)state;
    assert_ok(lay_prompt_render(set, task_named("mgsm"), lay_language_find("de"), &sample, &encoder, &prompt,
                                &has_prompt, &err),
              err);
    assert_false(has_prompt);
    assert_string_equal(lay_str_text(&encoder),
                        "Below is an instruction that describes a task. Write a response that appropriately "
                        "completes the request.\n\n### Instruction:\nFrage: Was ist 1+1?\n\n### Response:\n");
    lay_str_clear(&encoder);
    assert_ok(lay_prompt_render(set, task_named("msvamp"), lay_language_find("de"), &sample, &encoder,
                                &prompt, &has_prompt, &err),
              err);
    assert_string_equal(lay_str_text(&encoder),
                        "Below is an instruction that describes a task. Write a response that appropriately "
                        "completes the request.\n\n### Instruction:\nWas ist 1+1?\n\n### Response:\n");
    const char *const *stops = lay_prompt_stops(set, task_named("mgsm"), lay_language_find("sw"), &count);
    assert_int_equal(count, 4);
    assert_string_equal(stops[0], "Swali:");
    assert_string_equal(stops[1], "[END]");
    assert_string_equal(stops[2], "</s>");
    assert_string_equal(stops[3], "<|im_end|>");
    assert_false(lay_prompt_covers(set, task_named("xnli")));
    assert_int_equal(lay_prompt_render(set, task_named("xnli"), lay_language_find("de"), &sample, &encoder,
                                       &prompt, &has_prompt, &err),
                     LAY_ERR_INPUT);
    lay_str_free(&encoder);
    lay_str_free(&prompt);
    lay_prompt_set_close(set);
}

static void shipped_sets_say_what_each_side_reads(void **state)
{
    static const struct {
        const char *name;
        bool encoder, prompt;
    } sets[] = {{"mindmerger", true, true}, {"metamath", false, true}, {"langbridge", true, false}};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct lay_prompt_set *set = open_set(sets[i].name);
        assert_string_equal(lay_prompt_set_name(set), sets[i].name);
        assert_int_equal(lay_prompt_set_version(set), 1);
        assert_int_equal(lay_prompt_max_new_tokens(set), 512);
        assert_int_equal(strlen(lay_prompt_set_hash(set)), 32);
        for (size_t t = 0; t < lay_task_count(); t++) {
            const struct lay_task *task = lay_task_at(t);
            struct lay_err err = {0};
            struct lay_sample sample = {.question = (char[]){"q {question} {"}, .second = (char[]){"s"}};
            struct lay_str encoder = {0}, prompt = {0};
            bool has_prompt;
            size_t count;
            assert_ok(lay_prompt_render(set, task, lay_language_find("en"), &sample, &encoder, &prompt,
                                        &has_prompt, &err),
                      err);
            assert_int_equal(lay_prompt_has_encoder(set, task), sets[i].encoder);
            assert_int_equal(has_prompt, sets[i].prompt);
            assert_int_equal(encoder.length > 0, sets[i].encoder);
            assert_int_equal(prompt.length > 0, sets[i].prompt);
            if (sets[i].prompt)
                assert_non_null(strstr(lay_str_text(&prompt), "q {question} {")); /* not filled in again */
            assert_null(lay_prompt_stops(set, task, lay_language_find("en"), &count));
            assert_int_equal(count, 0);
            lay_str_free(&encoder);
            lay_str_free(&prompt);
        }
        assert_string_equal(lay_prompt_target(set, task_named("xnli"), "entailment"), "Entailment");
        assert_string_equal(lay_prompt_target(set, task_named("xnli"), "Neutral"), "Neutral");
        assert_string_equal(lay_prompt_target(set, task_named("x-csqa"), "A"), "A");
        lay_prompt_set_close(set);
    }
}

#define HEAD "{\"name\":\"x\",\"version\":1,"
#define TASKS "\"tasks\":{\"mgsm\":{\"prompt\":\"{question}\"}}"

/* Each is one step away from a set that is accepted; the message must name the fault. */
static void broken_sets_are_refused(void **state)
{
    static const char *const cases[][2] = {
        {"[]", "must be a JSON object"},
        {"{\"version\":1," TASKS "}", "\"name\" is missing"},
        {"{\"name\":\"x\"," TASKS "}", "\"version\""},
        {HEAD "\"colour\":1," TASKS "}", "colour"},
        {HEAD "\"max_new_tokens\":-1," TASKS "}", "max_new_tokens"},
        {HEAD "\"max_new_tokens\":\"9\"," TASKS "}", "max_new_tokens"},
        {HEAD "\"question_words\":{\"xx\":\"Q\"}," TASKS "}", "xx"},
        {HEAD "\"question_words\":{\"de\":\"\"}," TASKS "}", "de"},
        {HEAD "\"label_words\":{\"mgsm\":{}}," TASKS "}", "mgsm"},
        {HEAD "\"label_words\":{\"xnli\":{\"entailment\":\"E\"}},\"tasks\":{\"xnli\":{\"prompt\":\"p\"}}}",
         "neutral"},
        {HEAD "\"label_words\":{\"xnli\":{\"entailment\":\"a\",\"neutral\":\"A\",\"contradiction\":\"c\"}},"
              "\"tasks\":{\"xnli\":{\"prompt\":\"p\"}}}",
         "two labels"},
        {HEAD "\"label_words\":{\"xnli\":{\"entailment\":\"a\",\"neutral\":\"b\",\"contradiction\":\"c\","
              "\"d\":\"d\"}},"
              "\"tasks\":{\"xnli\":{\"prompt\":\"p\"}}}",
         "does not have"},
        {HEAD "\"tasks\":{}}", "a task in it"},
        {HEAD "\"tasks\":{\"squad\":{\"prompt\":\"p\"}}}", "squad"},
        {HEAD "\"tasks\":{\"mgsm\":{}}}", "must say something"},
        {HEAD "\"tasks\":{\"mgsm\":{\"prompt\":7}}}", "prompt"},
        {HEAD "\"tasks\":{\"mgsm\":{\"prompt\":\"{stem}\"}}}", "{stem}"},
        {HEAD "\"tasks\":{\"xnli\":{\"prompt\":\"{question}\"}}}", "{question}"},
        {HEAD "\"tasks\":{\"mgsm\":{\"prompt\":\"{question\"}}}", "single brace"},
        {HEAD "\"tasks\":{\"mgsm\":{\"prompt\":\"a } b\"}}}", "single brace"},
        {HEAD "\"tasks\":{\"mgsm\":{\"prompt\":\"p\",\"option\":\"o\"}}}", "option"},
        {HEAD "\"tasks\":{\"mgsm\":{\"prompt\":\"p\",\"stops\":\"x\"}}}", "stops"},
        {HEAD "\"tasks\":{\"mgsm\":{\"prompt\":\"p\",\"stops\":[\"\"]}}}", "stops"},
        {HEAD "\"tasks\":{\"xnli\":{\"prompt\":\"p\",\"stops\":[\"{question_word}\"]}}}", "{question_word}"},
        {HEAD "\"tasks\":{\"translation\":{\"encoder\":\"p\"}}}", "encoder"},
        {HEAD TASKS, "not valid JSON"},
    };
    char path[] = "/tmp/layeval-prompt-XXXXXX.json";
    const int fd = mkstemps(path, 5);
    assert_true(fd >= 0);
    close(fd);
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct lay_err err = {0};
        struct lay_prompt_set *set;
        assert_ok(lay_file_write(path, cases[i][0], strlen(cases[i][0]), &err), err);
        assert_int_equal(lay_prompt_set_open(NULL, path, &set, &err), LAY_ERR_INPUT);
        assert_null(set);
        if (!strstr(err.message, cases[i][1]) || !strstr(err.message, path))
            fail_msg("%s: message \"%s\"", cases[i][0], err.message);
    }
    unlink(path);
}

static void a_user_set_renames_labels_options_and_doubles_braces(void **state)
{
    static const char text[] = HEAD
        "\"label_words\":{\"xnli\":{\"entailment\":\"yes\",\"neutral\":\"maybe\",\"contradiction\":\"no\"}},"
        "\"tasks\":{\"xnli\":{\"prompt\":\"{{{sentence1}}}\",\"stops\":[\"\\n\"]},"
        "\"x-csqa\":{\"prompt\":\"{stem} {options}\",\"option\":\"({label}) "
        "{text}\",\"option_separator\":\"; \"}}}";
    char path[] = "/tmp/layeval-prompt-XXXXXX.json";
    const int fd = mkstemps(path, 5);
    struct lay_err err = {0};
    struct lay_prompt_set *set;
    struct lay_str encoder = {0}, prompt = {0};
    bool has_prompt;
    size_t count;
    char *choices[] = {(char[]){"sea"}, (char[]){"{sky}"}};
    const struct lay_sample pair = {.question = (char[]){"p"}, .second = (char[]){"h"}};
    const struct lay_sample question = {.question = (char[]){"Where?"}, .choices = choices, .n_choices = 2};
    (void)state;
    assert_true(fd >= 0);
    close(fd);
    assert_ok(lay_file_write(path, text, strlen(text), &err), err);
    assert_ok(lay_prompt_set_open(NULL, path, &set, &err), err);
    unlink(path);
    assert_ok(lay_prompt_render(set, task_named("xnli"), lay_language_find("en"), &pair, &encoder, &prompt,
                                &has_prompt, &err),
              err);
    assert_string_equal(lay_str_text(&prompt), "{p}");
    assert_int_equal(encoder.length, 0);
    lay_str_clear(&prompt);
    assert_ok(lay_prompt_render(set, task_named("x-csqa"), lay_language_find("en"), &question, &encoder,
                                &prompt, &has_prompt, &err),
              err);
    assert_string_equal(lay_str_text(&prompt), "Where? (A) sea; (B) {sky}");
    assert_string_equal(lay_prompt_target(set, task_named("xnli"), "contradiction"), "no");
    const char *const *labels = lay_prompt_labels(set, task_named("xnli"), &count);
    assert_int_equal(count, 3);
    assert_string_equal(labels[1], "maybe");
    const char *const *stops = lay_prompt_stops(set, task_named("xnli"), lay_language_find("ar"), &count);
    assert_int_equal(count, 1);
    assert_string_equal(stops[0], "\n");
    lay_str_free(&encoder);
    lay_str_free(&prompt);
    lay_prompt_set_close(set);
}

static void an_unknown_set_is_refused_by_name(void **state)
{
    struct lay_err err = {0};
    struct lay_prompt_set *set;
    (void)state;
    assert_int_equal(lay_prompt_set_open(NULL, "nonesuch", &set, &err), LAY_ERR_INPUT);
    assert_non_null(strstr(err.message, "nonesuch"));
}

static void running_out_of_memory_while_opening_leaks_nothing(void **state)
{
    bool failed = true;
    (void)state;
    for (long n = 0; failed && n < 5000; n++) {
        struct lay_err err = {0};
        struct lay_prompt_set *set;
        lay_mem_fail_after(n);
        failed = lay_prompt_set_open(NULL, "langbridge-metamath", &set, &err) != LAY_OK;
        lay_mem_fail_after(-1);
        assert_int_equal(set == NULL, failed);
        lay_prompt_set_close(set);
    }
    assert_false(failed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prompts_equal_the_official_ones),
        cmocka_unit_test(dispatch_equals_the_official_dataset),
        cmocka_unit_test(langbridge_metamath_puts_the_question_word_into_the_encoder_text),
        cmocka_unit_test(shipped_sets_say_what_each_side_reads),
        cmocka_unit_test(broken_sets_are_refused),
        cmocka_unit_test(a_user_set_renames_labels_options_and_doubles_braces),
        cmocka_unit_test(an_unknown_set_is_refused_by_name),
        cmocka_unit_test(running_out_of_memory_while_opening_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, load_languages, NULL);
}

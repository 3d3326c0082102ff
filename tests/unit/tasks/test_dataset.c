/* Folders and layouts of data files, our samples, the real data where it is at hand. */
#include "tests/unit/tasks/data_folder.h"

/* --- folders and layouts --- */

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

/* --- out of memory --- */

static void running_out_of_memory_leaks_nothing(void **state)
{
    static const struct {
        const char *task, *language;
    } sets[] = {{"mgsm", "en"}, {"x-csqa", "en"}, {"xnli", "en"}};
    (void)state;
    put("mgsm/mgsm_en.tsv", "a\t1\nb\t2\n");
    put("x-csqa/en/dev.jsonl",
        "{\"id\":\"1\",\"lang\":\"en\",\"question\":{\"stem\":\"s\",\"choices\":"
        "[{\"label\":\"A\",\"text\":\"x\"},{\"label\":\"B\",\"text\":\"\"}]},\"answerKey\":\"B\"}");
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

/* --- our own samples --- */

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

/* --- the real data --- */

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(a_missing_language_file_says_what_was_looked_for),
        in_folder(an_empty_folder_says_what_was_looked_for),
        in_folder(two_layouts_are_refused_unless_one_is_named),
        in_folder(a_folder_named_like_the_task_is_preferred),
        in_folder(limit_takes_the_first_but_checks_the_whole_file),
        in_folder(running_out_of_memory_leaks_nothing),
        cmocka_unit_test(our_samples_load_and_have_the_right_answers),
        cmocka_unit_test(answers_of_the_math_samples_follow_from_their_numbers),
        cmocka_unit_test(real_mgsm_has_11_times_250),
        cmocka_unit_test(real_msvamp_has_10_times_1000),
        cmocka_unit_test(real_xcsqa_has_16_times_5),
        cmocka_unit_test(real_xnli_has_15_times_5010),
    };
    return cmocka_run_group_tests(tests, load_languages, NULL);
}

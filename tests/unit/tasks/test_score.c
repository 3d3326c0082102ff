/* Scores: paper against the official functions' outputs, strict against readings written by hand. */
#include "tests/unit/tasks/support.h"

#include "tasks/score.h"

#include <locale.h>
#include <math.h>

static double extract(const char *text)
{
    struct lay_err err = {0};
    double number;
    assert_ok(lay_extract_last_num(text, strlen(text), &number, &err), err);
    return number;
}

static void check_extract_triples(void)
{
    cJSON *root = read_json("golden/eval_functions/extract_last_num.json");
    assert_int_equal(cJSON_GetArraySize(root), 88);
    for (const cJSON *item = root->child; item; item = item->next) {
        const double expected = strtod(text_of(item, "hex"), NULL); /* hexadecimal: exact */
        const double found = extract(text_of(item, "text"));
        if (memcmp(&expected, &found, sizeof found) != 0)
            fail_msg("\"%s\": expected %a, found %a", text_of(item, "text"), expected, found);
    }
    cJSON_Delete(root);
}

static void extract_last_num_equals_the_official_function(void **state)
{
    (void)state;
    check_extract_triples();
}

/* de_DE writes a decimal comma; strtod would read 3.14 as 3 there. Skipped where no such locale is installed.
 */
static void numbers_do_not_depend_on_the_locale(void **state)
{
    (void)state;
    if (!setlocale(LC_ALL, "de_DE.UTF-8") && !setlocale(LC_ALL, "fr_FR.UTF-8"))
        skip();
    assert_true(extract("3.14") == 3.14);
    setlocale(LC_ALL, "C");
}

static void str_of_extracted_numbers_is_pythons(void **state)
{
    cJSON *root = read_json("golden/eval_functions/extract_last_num.json");
    (void)state;
    for (const cJSON *item = root->child; item; item = item->next) {
        struct lay_err err = {0};
        struct lay_score score;
        struct lay_str paper = {0};
        const char *text = text_of(item, "text");
        assert_ok(lay_score_answer(task_named("mgsm"), lay_language_find("en"), "1", text, strlen(text),
                                   LAY_MATCH_TOLERANCE, &score, &paper, NULL, &err),
                  err);
        assert_string_equal(lay_str_text(&paper), text_of(item, "str"));
        lay_str_free(&paper);
    }
    cJSON_Delete(root);
}

static void check_math_loop(enum lay_match match, const char *hits_key, const char *results_key)
{
    cJSON *root = read_json("golden/eval_functions/evaluate_math.json");
    const cJSON *hit = cJSON_GetObjectItem(root, hits_key)->child;
    const cJSON *record = cJSON_GetObjectItem(cJSON_GetObjectItem(root, results_key), "results")->child;
    for (const cJSON *row = cJSON_GetObjectItem(root, "rows")->child; row; row = row->next) {
        struct lay_err err = {0};
        struct lay_score score;
        struct lay_str paper = {0};
        const char *output = text_of(row, "output");
        assert_ok(lay_score_answer(task_named("mgsm"), lay_language_find("en"), text_of(row, "target"),
                                   output, strlen(output), match, &score, &paper, NULL, &err),
                  err);
        assert_int_equal(score.paper_correct, hit->valuedouble == 100.0);
        assert_string_equal(lay_str_text(&paper), text_of(record, "prediction"));
        lay_str_free(&paper);
        hit = hit->next;
        record = record->next;
    }
    assert_null(hit);
    assert_null(record);
    cJSON_Delete(root);
}

static void math_hits_equal_layalign(void **state)
{
    (void)state;
    check_math_loop(LAY_MATCH_TOLERANCE, "single_hits_layalign", "layalign");
}

static void math_hits_equal_mindmerger(void **state)
{
    (void)state;
    check_math_loop(LAY_MATCH_FLOAT_EQ, "single_hits_mindmerger", "mindmerger");
}

static void classification_hits_equal_the_official_loop(void **state)
{
    cJSON *root = read_json("golden/eval_functions/evaluate_classification.json");
    const cJSON *hit = cJSON_GetObjectItem(root, "single_hits")->child;
    const cJSON *record = cJSON_GetObjectItem(root, "results")->child;
    (void)state;
    for (const cJSON *row = cJSON_GetObjectItem(root, "rows")->child; row; row = row->next) {
        struct lay_err err = {0};
        struct lay_score score;
        struct lay_str paper = {0};
        const char *output = text_of(row, "output"), *target = text_of(row, "target");
        const struct lay_task *task = task_named(strlen(target) > 1 ? "xnli" : "x-csqa");
        assert_ok(lay_score_answer(task, lay_language_find("en"), target, output, strlen(output),
                                   LAY_MATCH_TOLERANCE, &score, &paper, NULL, &err),
                  err);
        assert_int_equal(score.paper_correct, hit->valuedouble == 100.0);
        assert_string_equal(lay_str_text(&paper), text_of(record, "prediction"));
        lay_str_free(&paper);
        hit = hit->next;
        record = record->next;
    }
    assert_null(hit);
    cJSON_Delete(root);
}

static void gold_answers_of_mgsm_are_read_the_same_way(void **state)
{
    cJSON *root = read_json("golden/eval_functions/read_mgsm.json");
    (void)state;
    for (const cJSON *file = root->child; file; file = file->next) {
        const cJSON *gold = cJSON_GetObjectItem(file, "gold_extract_last_num")->child;
        for (const cJSON *row = cJSON_GetObjectItem(file, "rows")->child; row;
             row = row->next, gold = gold->next)
            assert_true(extract(text_of(row, "answer")) == strtod(gold->valuestring, NULL));
    }
    cJSON_Delete(root);
}

/* Runs one hand-written case; returns what strict read, "" when unparsed. */
static enum lay_strict strict_read(const char *task, const cJSON *item, const char *target,
                                   struct lay_str *read)
{
    struct lay_err err = {0};
    struct lay_score score;
    const char *text = cJSON_GetArrayItem(item, 1)->valuestring;
    const struct lay_language *language = lay_language_find(cJSON_GetArrayItem(item, 0)->valuestring);
    assert_non_null(language);
    assert_ok(lay_score_answer(task_named(task), language, target, text, strlen(text), LAY_MATCH_TOLERANCE,
                               &score, NULL, read, &err),
              err);
    return score.strict;
}

static void strict_reads_numbers_by_position(void **state)
{
    cJSON *root = read_json("unit/tasks/strict_numbers.json");
    int failures = 0;
    (void)state;
    for (const cJSON *item = cJSON_GetObjectItem(root, "cases")->child; item; item = item->next) {
        struct lay_str read = {0};
        const cJSON *expected = cJSON_GetArrayItem(item, 2);
        char target[40];
        snprintf(target, sizeof target, "%.17g", cJSON_IsNull(expected) ? 1.0 : expected->valuedouble);
        const enum lay_strict strict = strict_read("mgsm", item, target, &read);
        const enum lay_strict wanted = cJSON_IsNull(expected) ? LAY_STRICT_UNPARSED : LAY_STRICT_CORRECT;
        const bool same =
            cJSON_IsNull(expected)
                ? read.length == 0
                : read.length > 0 && fabs(strtod(read.data, NULL) - expected->valuedouble) < 1e-9;
        if (strict != wanted || !same) {
            print_error("\"%s\" (%s): read \"%s\"\n", cJSON_GetArrayItem(item, 1)->valuestring,
                        cJSON_GetArrayItem(item, 0)->valuestring, lay_str_text(&read));
            failures++;
        }
        lay_str_free(&read);
    }
    assert_int_equal(failures, 0);
    cJSON_Delete(root);
}

static void check_words(const char *key, const char *task, const char *other)
{
    cJSON *root = read_json("unit/tasks/strict_words.json");
    int failures = 0;
    for (const cJSON *item = cJSON_GetObjectItem(root, key)->child; item; item = item->next) {
        struct lay_str read = {0}, again = {0};
        const cJSON *expected = cJSON_GetArrayItem(item, 2);
        const char *wanted = cJSON_IsNull(expected) ? "" : expected->valuestring;
        const enum lay_strict right = strict_read(task, item, *wanted ? wanted : other, &read);
        const enum lay_strict wrong = strict_read(task, item, other, &again);
        const bool other_is_it = strcmp(wanted, other) == 0;
        if (strcmp(lay_str_text(&read), wanted) != 0 ||
            right != (*wanted ? LAY_STRICT_CORRECT : LAY_STRICT_UNPARSED) ||
            (*wanted && wrong != (other_is_it ? LAY_STRICT_CORRECT : LAY_STRICT_WRONG))) {
            print_error("\"%s\": read \"%s\"\n", cJSON_GetArrayItem(item, 1)->valuestring,
                        lay_str_text(&read));
            failures++;
        }
        lay_str_free(&read);
        lay_str_free(&again);
    }
    assert_int_equal(failures, 0);
    cJSON_Delete(root);
}

static void strict_reads_option_letters(void **state)
{
    (void)state;
    check_words("choices", "x-csqa", "C");
}

static void strict_reads_label_words(void **state)
{
    (void)state;
    check_words("labels", "xnli", "neutral");
}

static void strict_labels_ignore_case_and_follow_the_prompt_set(void **state)
{
    static const char *const words[] = {"Ja", "Vielleicht", "Nein"};
    struct lay_err err = {0};
    struct lay_score score;
    const struct lay_task *task = task_named("xnli");
    const struct lay_language *language = lay_language_find("de");
    (void)state;
    assert_ok(lay_score_answer(task, language, "Entailment", "entailment", 10, LAY_MATCH_TOLERANCE, &score,
                               NULL, NULL, &err),
              err);
    assert_false(score.paper_correct);
    assert_int_equal(score.strict, LAY_STRICT_CORRECT);
    assert_ok(lay_score_labelled(task, language, words, 3, "Ja", "nein.", 5, LAY_MATCH_TOLERANCE, &score,
                                 NULL, NULL, &err),
              err);
    assert_int_equal(score.strict, LAY_STRICT_WRONG);
    assert_ok(lay_score_labelled(task, language, words, 3, "Ja", "entailment", 10, LAY_MATCH_TOLERANCE,
                                 &score, NULL, NULL, &err),
              err);
    assert_int_equal(score.strict, LAY_STRICT_UNPARSED);
}

static void strict_and_paper_differ_where_they_should(void **state)
{
    struct lay_err err = {0};
    struct lay_score score;
    const struct lay_task *task = task_named("msvamp");
    const struct lay_language *language = lay_language_find("en");
    (void)state;
    assert_ok(
        lay_score_answer(task, language, "-5", "it is 5", 7, LAY_MATCH_TOLERANCE, &score, NULL, NULL, &err),
        err);
    assert_true(score.paper_correct);
    assert_int_equal(score.strict, LAY_STRICT_WRONG);
    assert_ok(lay_score_answer(task, language, "0", "none", 4, LAY_MATCH_TOLERANCE, &score, NULL, NULL, &err),
              err);
    assert_true(score.paper_correct);
    assert_int_equal(score.strict, LAY_STRICT_UNPARSED);
    assert_ok(
        lay_score_answer(task, language, "0.5", "1/2", 3, LAY_MATCH_TOLERANCE, &score, NULL, NULL, &err),
        err);
    assert_false(score.paper_correct);
    assert_int_equal(score.strict, LAY_STRICT_CORRECT);
}

/* Answers that would take a careless reader quadratic time; the test's own time limit is the check. */
static void long_answers_are_read_quickly(void **state)
{
    static const char *const pieces[] = {"1,", "\\boxed{", "#### ", "1 ", "1.1,", "A", "(", "1/"};
    (void)state;
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        struct lay_err err = {0};
        struct lay_score score;
        struct lay_str text = {0};
        while (text.length < 100000)
            lay_str_puts(&text, pieces[i]);
        for (size_t t = 0; t < lay_task_count(); t++)
            assert_ok(lay_score_answer(lay_task_at(t), lay_language_find("en"), "A", lay_str_text(&text),
                                       text.length, LAY_MATCH_TOLERANCE, &score, NULL, NULL, &err),
                      err);
        lay_str_free(&text);
    }
}

static void running_out_of_memory_is_reported(void **state)
{
    static const char *const tasks[] = {"mgsm", "x-csqa", "xnli"};
    (void)state;
    for (size_t t = 0; t < 3; t++) {
        bool failed = true;
        for (long n = 0; failed && n < 100; n++) {
            struct lay_err err = {0};
            struct lay_score score;
            struct lay_str paper = {0}, strict = {0};
            lay_mem_fail_after(n);
            const enum lay_status status =
                lay_score_answer(task_named(tasks[t]), lay_language_find("en"), "B", "B. 12", 5,
                                 LAY_MATCH_TOLERANCE, &score, &paper, &strict, &err);
            lay_mem_fail_after(-1);
            failed = status != LAY_OK;
            if (failed)
                assert_int_equal(status, LAY_ERR_MEMORY);
            lay_str_free(&paper);
            lay_str_free(&strict);
        }
        assert_false(failed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(extract_last_num_equals_the_official_function),
        cmocka_unit_test(numbers_do_not_depend_on_the_locale),
        cmocka_unit_test(str_of_extracted_numbers_is_pythons),
        cmocka_unit_test(math_hits_equal_layalign),
        cmocka_unit_test(math_hits_equal_mindmerger),
        cmocka_unit_test(classification_hits_equal_the_official_loop),
        cmocka_unit_test(gold_answers_of_mgsm_are_read_the_same_way),
        cmocka_unit_test(strict_reads_numbers_by_position),
        cmocka_unit_test(strict_reads_option_letters),
        cmocka_unit_test(strict_reads_label_words),
        cmocka_unit_test(strict_labels_ignore_case_and_follow_the_prompt_set),
        cmocka_unit_test(strict_and_paper_differ_where_they_should),
        cmocka_unit_test(long_answers_are_read_quickly),
        cmocka_unit_test(running_out_of_memory_is_reported),
    };
    return cmocka_run_group_tests(tests, load_languages, NULL);
}

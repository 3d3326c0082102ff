/* The files of a run directory, against texts written by hand and by the official code. */
#include "build.h"

#include "engine/base/file.h"
#include "reports/emit.h"
#include "reports/paper.h"
#include "reports/results_csv.h"
#include "reports/results_json.h"
#include "reports/samples.h"
#include "reports/table.h"

#include <math.h>
#include <stdlib.h>

static const struct build_cell cells[] = {
    {"bn", "Bengali", LAY_GROUP_LRL, true, 1, "Ppw"},
    {"th", "Thai", LAY_GROUP_LRL, true, 0, "ulte"},
    {"te", "Telugu", LAY_GROUP_NONE, false, -1, ""},
};

static struct lay_system_result small_system(const char *name)
{
    struct lay_system_result system = build_system(name, 1);
    build_task(&system.tasks[0], "mgsm", true, cells, 3);
    system.tasks[0].set_size[LAY_SET_LRL] = 2;
    system.tasks[0].set_size[LAY_SET_AVG] = 10;
    return system;
}

/* Wilson for 2/3: p̂ 0.6667; (0.6667 + 1.9207/3 ± …)/(1 + 3.8415/3): 20.77 to 93.85 %; none of 4: up to
 * 3.8415/7.8415 = 48.99 %. Averages: (66.67 + 0)/2 = 33.335 → 33.3; strict (33.33 + 0)/2 → 16.7; variance
 * (2/9/3)/4 = 1/54, ± 1.95996·0.136083 = 0.266718 around 1/3: 6.66 to 60.01 %. */
static void csv_has_every_row(void **state)
{
    (void)state;
    static const char expected[] =
        "system,task,language,group,n,error,correct_paper,wrong_paper,correct_strict,wrong_strict,unparsed,"
        "acc_paper,acc_strict,ci_low,ci_high,ended_length,truncated\n"
        "\"a,\"\"b\"\"\",mgsm,bn,lrl,3,0,2,1,1,2,0,66.67,33.33,20.77,93.85,0,0\n"
        "\"a,\"\"b\"\"\",mgsm,th,lrl,4,1,0,3,0,2,1,0.0,0.0,0.0,48.99,1,1\n"
        "\"a,\"\"b\"\"\",mgsm,te,,0,0,0,0,0,0,0,,,,,0,0\n"
        "\"a,\"\"b\"\"\",mgsm,lrl,bn+th,7,1,2,4,1,4,1,33.3,16.7,6.66,60.01,1,1\n"
        "\"a,\"\"b\"\"\",mgsm,avg,bn+th,7,1,2,4,1,4,1,33.3,16.7,6.66,60.01,1,1\n";
    struct lay_str text = {0};
    struct lay_system_result system = small_system("a,\"b\"");
    assert_int_equal(lay_results_csv_put(&text, &system, 1, NULL), LAY_OK);
    assert_string_equal(lay_str_text(&text), expected);
    lay_str_free(&text);
    lay_system_result_free(&system);
}

static void scores_tsv_is_in_the_official_order(void **state)
{
    (void)state;
    struct lay_str text = {0};
    struct lay_system_result system = small_system("s");
    assert_int_equal(lay_paper_scores_put(&text, &system.tasks[0], NULL), LAY_OK);
    assert_string_equal(lay_str_text(&text), "Thai\t0.0\nBengali\t66.67\n");
    lay_str_free(&text);
    lay_system_result_free(&system);
}

static char *text_of(const cJSON *object, const char *key)
{
    return lay_strdup(cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key)));
}

/* The numbers of the records are read from the file; what is tested is the layout, byte for byte. */
static void language_file_is_that_of_the_official_code(void **state)
{
    (void)state;
    const char *path = LAYEVAL_TEST_DIR "/golden/eval_functions/results_file_sample.json";
    struct lay_str official = {0}, ours = {0};
    struct lay_err err = {0};
    cJSON *root, *item;
    assert_int_equal(lay_file_read(path, 1 << 20, &official, &err), LAY_OK);
    assert_int_equal(lay_json_read(path, &root, &err), LAY_OK);
    struct lay_record records[64] = {0};
    struct lay_cell cell = {.records = records};
    const struct lay_task_result task = {.math = true};
    cJSON_ArrayForEach(item, root)
    {
        struct lay_record *record = &records[cell.count++];
        record->question = text_of(item, "question");
        record->prompt = text_of(item, "prompt");
        record->output = text_of(item, "output");
        record->paper_target_number = cJSON_GetObjectItemCaseSensitive(item, "answer")->valuedouble;
        record->paper_number = atof(cJSON_GetObjectItemCaseSensitive(item, "prediction")->valuestring);
    }
    assert_int_equal(cell.count, 15);
    assert_int_equal(lay_paper_language_put(&ours, &task, &cell, &err), LAY_OK);
    assert_string_equal(lay_str_text(&ours), lay_str_text(&official));
    for (size_t i = 0; i < cell.count; i++) {
        lay_free(records[i].question);
        lay_free(records[i].prompt);
        lay_free(records[i].output);
    }
    cJSON_Delete(root);
    lay_str_free(&official);
    lay_str_free(&ours);
}

static void numbers_are_written_as_python_does(void **state)
{
    (void)state;
    struct lay_str text = {0};
    lay_paper_number(&text, INFINITY);
    lay_str_putc(&text, ' ');
    lay_paper_number(&text, 18.0);
    lay_str_putc(&text, ' ');
    lay_paper_number(&text, 1e16);
    assert_string_equal(lay_str_text(&text), "inf 18.0 1e+16");
    lay_str_free(&text);
}

static void labels_are_stripped_as_the_official_code_does(void **state)
{
    (void)state;
    struct lay_record record = {.prompt = (char[]){"p"},
                                .target = (char[]){"Entailment"},
                                .output = (char[]){"\xC2\xA0"
                                                   "Entailment \n\xE3\x80\x80"}};
    const struct lay_cell cell = {.records = &record, .count = 1};
    const struct lay_task_result task = {.math = false};
    struct lay_str text = {0};
    assert_int_equal(lay_paper_language_put(&text, &task, &cell, NULL), LAY_OK);
    assert_string_equal(lay_str_text(&text),
                        "[\n  {\n    \"prompt\": \"p\",\n    \"prediction\": \"Entailment\",\n"
                        "    \"answer\": \"Entailment\"\n  }\n]");
    lay_str_free(&text);
}

/* As Python's json.dumps({"a": [], "b": {"c": [1, {}]}, "d": 1.0}, indent=2) lays it out; NaN is null with
 * us. */
static void emitted_json_is_laid_out_as_in_python(void **state)
{
    (void)state;
    struct lay_str text = {0};
    struct lay_emit emit = {.out = &text, .indent = 2};
    cJSON *tree = cJSON_Parse("{\"c\": [1, {}]}");
    lay_emit_open(&emit, NULL, '{');
    lay_emit_open(&emit, "a", '[');
    lay_emit_close(&emit, ']');
    lay_emit_tree(&emit, "b", tree);
    lay_emit_double(&emit, "d", 1.0);
    lay_emit_double(&emit, "e", NAN);
    lay_emit_close(&emit, '}');
    assert_string_equal(lay_str_text(&text),
                        "{\n  \"a\": [],\n  \"b\": {\n    \"c\": [\n      1,\n      {}\n    ]\n"
                        "  },\n  \"d\": 1.0,\n  \"e\": null\n}");
    cJSON_Delete(tree);
    lay_str_free(&text);
}

static const cJSON *at(const cJSON *root, const char *const *path)
{
    for (; root && *path; path++)
        root = cJSON_GetObjectItemCaseSensitive(root, *path);
    return root;
}
#define AT(root, ...) at(root, (const char *const[]){__VA_ARGS__, NULL})

static void json_reads_back(void **state)
{
    (void)state;
    struct lay_str text = {0};
    cJSON *root;
    struct lay_system_result systems[] = {small_system("one"), small_system("two")};
    assert_int_equal(lay_results_json_put(&text, systems, 1, false, NULL), LAY_OK);
    assert_int_equal(lay_json_parse("t", text.data, text.length, &root, NULL), LAY_OK);
    assert_float_equal(AT(root, "results", "mgsm_bn", "acc,paper")->valuedouble, 2.0 / 3, 1e-15);
    assert_true(AT(root, "results", "mgsm_th", "acc_stderr,paper")->valuedouble == 0);
    assert_true(cJSON_IsNull(AT(root, "results", "mgsm_te", "acc,paper")));
    assert_string_equal(AT(root, "results", "mgsm_te", "acc_stderr,paper")->valuestring, "N/A");
    assert_float_equal(AT(root, "groups", "mgsm_lrl", "acc,strict")->valuedouble, 1.0 / 6, 1e-15);
    assert_int_equal(cJSON_GetArraySize(AT(root, "group_subtasks", "mgsm")), 2);
    assert_null(AT(root, "groups", "mgsm_hrl")); /* no such language */
    assert_true(cJSON_IsTrue(AT(root, "layeval", "systems", "one", "averages", "mgsm_lrl", "complete")));
    assert_true(cJSON_IsFalse(AT(root, "layeval", "systems", "one", "averages", "mgsm", "complete")));
    cJSON_Delete(root);
    lay_str_clear(&text);
    assert_int_equal(lay_results_json_put(&text, systems, 2, true, NULL), LAY_OK);
    assert_int_equal(lay_json_parse("t", text.data, text.length, &root, NULL), LAY_OK);
    assert_non_null(AT(root, "results", "one/mgsm_bn"));
    assert_non_null(AT(root, "layeval", "systems", "two", "tasks", "two/mgsm_bn"));
    cJSON_Delete(root);
    lay_str_free(&text);
    lay_system_result_free(&systems[0]);
    lay_system_result_free(&systems[1]);
}

static void table_shows_both_scores_and_what_deserves_attention(void **state)
{
    (void)state;
    static const char expected[] =
        "mgsm, accuracy in %\n"
        "             bn     th     te   Lrl.   Avg.\n"
        "\xE7\xB3\xBB\xE7\xBB\x9F       66.7    0.0      -   33.3   33.3\n"
        "  strict   33.3    0.0      -   16.7   16.7\n"
        "\xE7\xB3\xBB\xE7\xBB\x9F, of 7 answers: 1 scored differently by paper and strict; 1 unparsed by "
        "strict; "
        "1 cut off at the token limit; 1 with truncated input; 1 failed with an error (counted as wrong)\n"
        "\xE7\xB3\xBB\xE7\xBB\x9F: averages over 2 of 10 languages, not comparable with those over all\n\n";
    const struct lay_table_options options = {0};
    struct lay_str text = {0};
    struct lay_system_result system = small_system("\xE7\xB3\xBB\xE7\xBB\x9F"); /* two wide characters */
    assert_int_equal(lay_table_put(&text, &system, 1, &options, NULL), LAY_OK);
    assert_string_equal(lay_str_text(&text), expected);
    lay_str_free(&text);
    lay_system_result_free(&system);
}

static void table_wraps_and_neutralises_control_characters(void **state)
{
    (void)state;
    const struct lay_table_options options = {.width = 30};
    struct lay_str text = {0};
    struct lay_system_result system = small_system("x\033[2J");
    assert_int_equal(lay_table_put(&text, &system, 1, &options, NULL), LAY_OK);
    assert_null(strchr(lay_str_text(&text), '\033'));
    /* 8 columns for names, 7 for each figure: three figures a block */
    assert_non_null(
        strstr(lay_str_text(&text), "\n             bn     th     te\nx?[2J      66.7    0.0      -\n"));
    assert_non_null(strstr(lay_str_text(&text), "\n           Lrl.   Avg.\nx?[2J      33.3   33.3\n"));
    lay_str_free(&text);
    lay_system_result_free(&system);
}

static void label_words_are_suspected(void **state)
{
    (void)state;
    const struct build_cell words[] = {{"en", "English", LAY_GROUP_NONE, true, 0, "sssswwww"}};
    const struct lay_table_options options = {0};
    struct lay_str text = {0};
    struct lay_system_result system = build_system("s", 1);
    build_task(&system.tasks[0], "xnli", false, words, 1);
    system.tasks[0].set_size[LAY_SET_AVG] = 1;
    assert_int_equal(lay_table_put(&text, &system, 1, &options, NULL), LAY_OK);
    assert_non_null(strstr(lay_str_text(&text), "label_words"));
    assert_null(strstr(lay_str_text(&text), "not comparable"));
    lay_str_free(&text);
    lay_system_result_free(&system);
}

/* Every writer with the n-th allocation failing, for every n: a clean LAY_ERR_MEMORY, nothing leaks (ASan).
 */
static enum lay_status all_texts(const struct lay_system_result *system, struct lay_err *err)
{
    const struct lay_table_options options = {.color = true, .width = 80};
    struct lay_str text = {0};
    enum lay_status status = lay_results_csv_put(&text, system, 1, err);
    if (status == LAY_OK)
        status = lay_results_json_put(&text, system, 1, true, err);
    if (status == LAY_OK)
        status = lay_table_put(&text, system, 1, &options, err);
    if (status == LAY_OK)
        status = lay_paper_scores_put(&text, &system->tasks[0], err);
    if (status == LAY_OK)
        status = lay_paper_language_put(&text, &system->tasks[0], &system->tasks[0].cells[0], err);
    if (status == LAY_OK)
        status = lay_sample_put(&text, &system->tasks[0].cells[0].records[0], NULL, err);
    lay_str_free(&text);
    return status;
}

static void memory_may_run_out_anywhere(void **state)
{
    (void)state;
    struct lay_system_result system = small_system("a,b");
    long n = 0;
    enum lay_status status;
    do {
        struct lay_err err = {0};
        lay_mem_fail_after(n++);
        status = all_texts(&system, &err);
        lay_mem_fail_after(-1);
        if (status != LAY_OK)
            assert_int_equal(status, LAY_ERR_MEMORY);
    } while (status != LAY_OK && n < 10000);
    assert_int_equal(status, LAY_OK);
    assert_true(n > 20);
    lay_system_result_free(&system);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(csv_has_every_row),
        cmocka_unit_test(scores_tsv_is_in_the_official_order),
        cmocka_unit_test(language_file_is_that_of_the_official_code),
        cmocka_unit_test(numbers_are_written_as_python_does),
        cmocka_unit_test(labels_are_stripped_as_the_official_code_does),
        cmocka_unit_test(emitted_json_is_laid_out_as_in_python),
        cmocka_unit_test(json_reads_back),
        cmocka_unit_test(table_shows_both_scores_and_what_deserves_attention),
        cmocka_unit_test(table_wraps_and_neutralises_control_characters),
        cmocka_unit_test(label_words_are_suspected),
        cmocka_unit_test(memory_may_run_out_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* From journal entries to scored, grouped, ordered records. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "fake_system.h"
#include "harness/run/results.h"
#include "reports/accuracy.h"
#include "reports/results_csv.h"

static struct lay_journal_entry entry(const char *task, const char *language, int64_t id, const char *target,
                                      const char *output)
{
    struct lay_journal_entry e = {
        .task = (char *)(uintptr_t)task,
        .language = (char *)(uintptr_t)language,
        .doc_id = id,
        .target = (char *)(uintptr_t)target,
        .output = (char *)(uintptr_t)output,
        .doc = (char *)(uintptr_t) "{\"query\": \"not this\", \"m_query\": \"how many?\"}"};
    snprintf(e.ended, sizeof e.ended, "eos");
    return e;
}

static cJSON *parse(const char *text)
{
    cJSON *root = cJSON_Parse(text);
    assert_non_null(root);
    return root;
}

#define COLLECT(entries, manifest, result)                                                                   \
    do {                                                                                                     \
        struct lay_journal journal_ = {.entries = (entries), .count = sizeof(entries) / sizeof *(entries)};  \
        struct lay_err err_ = {0};                                                                           \
        if (lay_results_collect(&journal_, (manifest), LAY_MATCH_TOLERANCE, (result), &err_) != LAY_OK)      \
            fail_msg("%s", err_.message);                                                                    \
    } while (0)

static void languages_stand_in_the_printed_order_and_samples_by_id(void **state)
{
    (void)state;
    struct lay_system_result result;
    cJSON *manifest = parse("{\"system\": {\"name\": \"s\", \"method\": \"layalign\"}}");
    struct lay_journal_entry entries[] = {
        entry("mgsm", "en", 1, "5", "5"),   entry("mgsm", "te", 0, "5", "5"),
        entry("mgsm", "sw", 7, "5", "4"),   entry("mgsm", "sw", 2, "5", "5"),
        entry("mgsm", "bn", 0, "12", "১২"), entry("mgsm", "en", 0, "5", "6"),
    };
    COLLECT(entries, manifest, &result);
    assert_string_equal(result.name, "s");
    assert_string_equal(result.method, "layalign");
    assert_int_equal(result.count, 1);
    const struct lay_task_result *task = &result.tasks[0];
    static const char *const order[] = {"bn", "sw", "en", "te"}; /* Telugu is not in the papers' order */
    assert_int_equal(task->count, 4);
    for (size_t i = 0; i < 4; i++)
        assert_string_equal(task->cells[i].language, order[i]);
    assert_true(task->cells[2].in_average && !task->cells[3].in_average);
    assert_int_equal(task->cells[0].group, LAY_GROUP_LRL);
    assert_int_equal(task->cells[2].group, LAY_GROUP_HRL);
    assert_int_equal(task->set_size[LAY_SET_LRL], 3);
    assert_int_equal(task->set_size[LAY_SET_HRL], 7);
    assert_int_equal(task->set_size[LAY_SET_AVG], 10);
    assert_int_equal(task->cells[1].records[0].doc_id, 2);
    assert_int_equal(task->cells[1].records[1].doc_id, 7);
    assert_true(task->cells[1].records[0].paper_correct && !task->cells[1].records[1].paper_correct);
    assert_true(task->cells[0].records[0].paper_correct && task->cells[0].records[0].paper_number == 12.0);
    assert_string_equal(task->cells[0].records[0].question, "how many?");
    lay_system_result_free(&result);
    cJSON_Delete(manifest);
}

static void an_error_is_neither_right_nor_wrong(void **state)
{
    (void)state;
    struct lay_system_result result;
    cJSON *manifest = parse("{\"system\": {\"name\": \"s\"}}");
    struct lay_journal_entry entries[] = {entry("mgsm", "bn", 0, "0", "")}; /* no number reads as 0.0 */
    snprintf(entries[0].ended, sizeof entries[0].ended, "error");
    entries[0].error = (char *)(uintptr_t) "too long";
    COLLECT(entries, manifest, &result);
    const struct lay_counts counts = lay_cell_counts(&result.tasks[0].cells[0]);
    assert_int_equal(counts.n, 1);
    assert_int_equal(counts.error, 1);
    assert_int_equal(counts.correct_paper + counts.wrong_paper, 0);
    assert_int_equal(counts.correct_strict + counts.wrong_strict + counts.unparsed, 0);
    assert_string_equal(result.tasks[0].cells[0].records[0].error_message, "too long");
    lay_system_result_free(&result);
    cJSON_Delete(manifest);
}

static void labels_are_called_what_the_manifest_says(void **state)
{
    (void)state;
    struct lay_system_result result;
    cJSON *manifest =
        parse("{\"system\": {\"name\": \"s\"}, \"tasks\": [{\"task\": \"xnli\", \"label_words\": "
              "{\"entailment\": \"Ja\", \"neutral\": \"Vielleicht\"}, \"languages\": []}]}");
    struct lay_journal_entry entries[] = {entry("xnli", "de", 0, "entailment", "Ja"),
                                          entry("xnli", "de", 1, "neutral", "neutral"),
                                          entry("xnli", "de", 2, "contradiction", "contradiction")};
    COLLECT(entries, manifest, &result);
    const struct lay_record *records = result.tasks[0].cells[0].records;
    assert_string_equal(records[0].target, "Ja");
    assert_true(records[0].paper_correct);
    assert_false(records[1].paper_correct);
    assert_true(records[2].paper_correct); /* has no other name */
    lay_system_result_free(&result);
    cJSON_Delete(manifest);
}

static void promised_languages_are_there_without_samples(void **state)
{
    (void)state;
    struct lay_system_result result;
    struct lay_str text = {0};
    cJSON *manifest = parse("{\"system\": {\"name\": \"s\"}, \"tasks\": [{\"task\": \"mgsm\", \"languages\": "
                            "[{\"language\": \"th\", \"n\": 2}, {\"language\": \"bn\", \"n\": 2}]}]}");
    struct lay_journal_entry entries[] = {entry("mgsm", "bn", 0, "1", "1")};
    COLLECT(entries, manifest, &result);
    assert_int_equal(result.tasks[0].count, 2);
    assert_int_equal(result.tasks[0].cells[1].count, 0);
    assert_int_equal(lay_results_csv_put(&text, &result, 1, NULL), LAY_OK);
    /* no accuracy of nothing, and none of an average that would need it */
    assert_non_null(strstr(lay_str_text(&text), "s,mgsm,th,lrl,0,0,0,0,0,0,0,,,,,0,0\n"));
    assert_non_null(strstr(lay_str_text(&text), "s,mgsm,avg,bn+th,1,0,1,0,1,0,0,,,,,0,0\n"));
    lay_str_free(&text);
    lay_system_result_free(&result);
    cJSON_Delete(manifest);
}

/* The official code takes XNLI's languages as its file has them. */
static void official_order_follows_the_file_where_it_must(void **state)
{
    (void)state;
    struct lay_system_result result;
    cJSON *manifest =
        parse("{\"system\": {\"name\": \"s\"}, \"tasks\": [{\"task\": \"xnli\", \"languages\": ["
              "{\"language\": \"sw\", \"first_line\": 30}, {\"language\": \"ar\", \"first_line\": 2}, "
              "{\"language\": \"en\", \"first_line\": 9}]}]}");
    struct lay_journal journal = {0};
    assert_int_equal(lay_results_collect(&journal, manifest, LAY_MATCH_TOLERANCE, &result, NULL), LAY_OK);
    static const char *const printed[] = {"sw", "ar", "en"}, *const official[] = {"ar", "en", "sw"};
    size_t *order = lay_official_order(&result.tasks[0]);
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(result.tasks[0].cells[i].language, printed[i]);
        assert_string_equal(result.tasks[0].cells[order[i]].language, official[i]);
    }
    lay_free(order);
    lay_system_result_free(&result);
    cJSON_Delete(manifest);
}

static void foreign_entries_are_refused(void **state)
{
    (void)state;
    cJSON *manifest = parse("{\"system\": {\"name\": \"s\"}}");
    struct lay_journal_entry wrong[] = {entry("gsm8k", "en", 0, "1", "1"), entry("mgsm", "ur", 0, "1", "1"),
                                        entry("mgsm", "xx", 0, "1", "1"), entry("mgsm", "en", 0, "1", "1")};
    wrong[3].doc = (char *)(uintptr_t) "{";
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct lay_journal_entry entries[] = {entry("mgsm", "bn", 0, "1", "1"), wrong[i]};
        struct lay_journal journal = {.entries = entries, .count = 2};
        struct lay_system_result result;
        struct lay_err err = {0};
        assert_int_equal(lay_results_collect(&journal, manifest, LAY_MATCH_TOLERANCE, &result, &err),
                         LAY_ERR_INPUT);
        assert_non_null(strstr(err.message, "journal"));
    }
    cJSON_Delete(manifest);
}

/* The n-th allocation fails, for every n: collecting and writing end cleanly, and what is written is whole.
 */
static void memory_may_run_out_anywhere(void **state)
{
    (void)state;
    char dir[] = "/tmp/layeval-results-XXXXXX", command[64];
    cJSON *manifest = parse("{\"system\": {\"name\": \"s\"}}");
    struct lay_journal_entry entries[] = {entry("mgsm", "bn", 0, "1", "1"), entry("mgsm", "sw", 0, "1", "2")};
    struct lay_journal journal = {.entries = entries, .count = 2};
    assert_non_null(mkdtemp(dir));
    const struct lay_results_options options = {.dir = dir, .log_samples = true};
    assert_int_equal(lay_languages_load(NULL, NULL), LAY_OK);
    long n = 0;
    enum lay_status status;
    do {
        struct lay_system_result result = {0};
        struct lay_err err = {0};
        lay_mem_fail_after(n++);
        status = lay_results_collect(&journal, manifest, LAY_MATCH_TOLERANCE, &result, &err);
        if (status == LAY_OK)
            status = lay_results_write(&result, &options, &err);
        lay_mem_fail_after(-1);
        lay_system_result_free(&result);
    } while (status != LAY_OK && n < 100000);
    assert_int_equal(status, LAY_OK);
    assert_true(n > 50);
    snprintf(command, sizeof command, "test -z \"$(find %s -name '*.tmp-*')\" && rm -r %s", dir, dir);
    assert_int_equal(system(command), 0);
    cJSON_Delete(manifest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(languages_stand_in_the_printed_order_and_samples_by_id),
        cmocka_unit_test(an_error_is_neither_right_nor_wrong),
        cmocka_unit_test(labels_are_called_what_the_manifest_says),
        cmocka_unit_test(promised_languages_are_there_without_samples),
        cmocka_unit_test(official_order_follows_the_file_where_it_must),
        cmocka_unit_test(foreign_entries_are_refused),
        cmocka_unit_test(memory_may_run_out_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

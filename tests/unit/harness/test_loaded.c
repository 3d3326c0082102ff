/* Runs read back from their directories. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "harness/run/loaded.h"
#include "harness/run/manifest.h"
#include "harness/run/results.h"
#include "tests/unit/harness/scratch.h"

static char root[SCRATCH_MAX];

static int make_root(void **state)
{
    (void)state;
    return scratch_create(root) ? 0 : -1;
}

static int remove_root(void **state)
{
    (void)state;
    return scratch_remove(root);
}

static const char *at(const char *name)
{
    return scratch_at(root, name);
}

/* A run of two Bengali samples, the first right within the tolerance only. */
static void make_run(const char *dir, const char *system)
{
    char text[512], hash[LAY_HASH_HEX], task[] = "mgsm", language[] = "bn", doc[] = "{}";
    snprintf(text, sizeof text,
             "{\"system\": {\"name\": \"%s\", \"method\": \"plain\"}, \"match\": \"tolerance\", \"tasks\": "
             "[{\"task\": \"mgsm\", \"languages\": [{\"language\": \"bn\", \"n\": 3}]}]}",
             system);
    struct lay_journal_entry entries[2] = {
        {.target = (char[]){"1"}, .output = (char[]){"1.0001"}, .doc_id = 0},
        {.target = (char[]){"1"}, .output = (char[]){"1"}, .doc_id = 1},
    };
    struct lay_journal journal = {.entries = entries, .count = 2};
    for (size_t i = 0; i < 2; i++) {
        entries[i].task = task;
        entries[i].language = language;
        entries[i].doc = doc;
        snprintf(entries[i].ended, sizeof entries[i].ended, "eos");
    }
    cJSON *manifest = cJSON_Parse(text);
    assert_int_equal(lay_mkdirs(dir, NULL), LAY_OK);
    assert_int_equal(lay_manifest_write(dir, manifest, hash, NULL), LAY_OK);
    memcpy(journal.manifest_hash, hash, sizeof hash);
    assert_int_equal(lay_journal_seal(dir, &journal, NULL), LAY_OK);
    cJSON_Delete(manifest);
}

static void a_run_is_scored_by_its_own_rule_or_another(void **state)
{
    (void)state;
    struct lay_loaded run;
    make_run(at("one"), "layalign");
    assert_int_equal(lay_loaded_open(at("one"), NULL, &run, NULL), LAY_OK);
    assert_int_equal(run.match, LAY_MATCH_TOLERANCE);
    assert_int_equal(run.promised, 3);
    assert_int_equal(run.journal.count, 2);
    assert_string_equal(run.result.name, "layalign");
    assert_true(run.result.tasks[0].cells[0].records[0].paper_correct);
    lay_loaded_free(&run);
    assert_int_equal(lay_loaded_open(at("one"), "float-eq", &run, NULL), LAY_OK);
    assert_false(run.result.tasks[0].cells[0].records[0].paper_correct);
    assert_true(run.result.tasks[0].cells[0].records[1].paper_correct);
    lay_loaded_free(&run);
    assert_int_equal(lay_loaded_open(at("one"), "fuzzy", &run, NULL), LAY_ERR_USAGE);
}

/* Moving the texts out of the journal gives the same records as copying them. */
static void taking_texts_and_copying_them_is_the_same(void **state)
{
    (void)state;
    struct lay_loaded run;
    struct lay_journal journal;
    struct lay_system_result copied;
    make_run(at("one"), "layalign");
    assert_int_equal(lay_loaded_open(at("one"), NULL, &run, NULL), LAY_OK);
    assert_int_equal(lay_journal_read(at("one"), &journal, NULL), LAY_OK);
    assert_int_equal(lay_results_collect(&journal, run.manifest, run.match, &copied, NULL), LAY_OK);
    assert_non_null(journal.entries[0].output);
    assert_null(run.journal.entries[0].output);
    assert_string_equal(run.journal.entries[0].task, "mgsm");
    for (size_t i = 0; i < 2; i++) {
        const struct lay_record *a = &run.result.tasks[0].cells[0].records[i];
        const struct lay_record *b = &copied.tasks[0].cells[0].records[i];
        assert_string_equal(a->output, b->output);
        assert_string_equal(a->target, b->target);
        assert_string_equal(a->doc, b->doc);
        assert_string_equal(a->paper_extracted, b->paper_extracted);
        assert_int_equal(a->paper_correct, b->paper_correct);
    }
    lay_system_result_free(&copied);
    lay_journal_free(&journal);
    lay_loaded_free(&run);
}

static void a_journal_of_another_manifest_is_refused(void **state)
{
    (void)state;
    struct lay_loaded run;
    struct lay_err err = {0};
    char hash[LAY_HASH_HEX];
    make_run(at("swapped"), "layalign");
    cJSON *manifest = cJSON_Parse("{\"system\": {\"name\": \"other\"}}");
    assert_int_equal(lay_manifest_write(at("swapped"), manifest, hash, NULL), LAY_OK);
    cJSON_Delete(manifest);
    assert_int_equal(lay_loaded_open(at("swapped"), NULL, &run, &err), LAY_ERR_INPUT);
    assert_non_null(strstr(err.message, "belongs to another manifest.json"));
}

static void directories_of_several_are_opened_in_the_order_of_their_results(void **state)
{
    (void)state;
    struct lay_loaded_list list;
    struct lay_err err = {0};
    static const char order[] = "{\"layeval\": {\"systems\": {\"b\": {}, \"gone\": {}, \"a\": {}}}}";
    make_run(at("many/a"), "a");
    make_run(at("many/b"), "b");
    make_run(at("many/c"), "c");
    make_run(at("alone"), "a");
    assert_int_equal(lay_mkdirs(at("many/no-run"), NULL), LAY_OK);
    assert_int_equal(lay_file_write(at("many/results.json"), order, strlen(order), NULL), LAY_OK);
    const char *const dirs[] = {at("many"), at("alone")};
    assert_int_equal(lay_loaded_list_open(dirs, 2, NULL, &list, &err), LAY_OK);
    assert_int_equal(list.count, 4);
    assert_string_equal(list.results[0].name, "b");
    assert_string_equal(list.results[2].name, "c");
    /* two systems are called "a": the directories tell them apart */
    char name[160];
    snprintf(name, sizeof name, "a (%s)", at("many/a"));
    assert_string_equal(list.results[1].name, name);
    snprintf(name, sizeof name, "a (%s)", at("alone"));
    assert_string_equal(list.results[3].name, name);
    lay_loaded_list_free(&list);
}

static void what_holds_no_run_or_the_same_run_is_refused(void **state)
{
    (void)state;
    struct lay_loaded_list list;
    struct lay_err err = {0};
    make_run(at("one"), "layalign");
    assert_int_equal(lay_mkdirs(at("empty"), NULL), LAY_OK);
    const struct {
        const char *dirs[2], *message;
        enum lay_status status;
    } cases[] = {
        {{at("one"), at("empty")}, "no manifest.json in it", LAY_ERR_INPUT},
        {{at("one"), at("nowhere")}, "no such directory", LAY_ERR_INPUT},
        {{at("one"), at("one/.")}, "is there twice", LAY_ERR_USAGE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(lay_loaded_list_open(cases[i].dirs, 2, NULL, &list, &err), cases[i].status);
        assert_non_null(strstr(err.message, cases[i].message));
    }
}

/* The n-th allocation fails, for every n. */
static void memory_may_run_out_anywhere(void **state)
{
    (void)state;
    make_run(at("two/a"), "same");
    make_run(at("two/b"), "same");
    const char *const dirs[] = {at("two")};
    enum lay_status status;
    long n = 0;
    do {
        struct lay_loaded_list list;
        lay_mem_fail_after(n++);
        status = lay_loaded_list_open(dirs, 1, NULL, &list, NULL);
        lay_mem_fail_after(-1);
        assert_int_equal(list.count, status == LAY_OK ? 2 : 0);
        lay_loaded_list_free(&list);
    } while (status != LAY_OK && n < 100000);
    assert_int_equal(status, LAY_OK);
    assert_true(n > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_is_scored_by_its_own_rule_or_another),
        cmocka_unit_test(taking_texts_and_copying_them_is_the_same),
        cmocka_unit_test(a_journal_of_another_manifest_is_refused),
        cmocka_unit_test(directories_of_several_are_opened_in_the_order_of_their_results),
        cmocka_unit_test(what_holds_no_run_or_the_same_run_is_refused),
        cmocka_unit_test(memory_may_run_out_anywhere),
    };
    return cmocka_run_group_tests(tests, make_root, remove_root);
}

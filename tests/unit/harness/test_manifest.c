/* The manifest: what it holds, what it must not hold, and that differences are named. */
#include "harness/run/manifest.h"

#include "tests/unit/harness/fake_system.h"
#include "tests/unit/harness/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static char base[SCRATCH_MAX];

static int set_up(void **state)
{
    (void)state;
    return scratch_create(base) && lay_languages_load(NULL, NULL) == LAY_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    return scratch_remove(base);
}

/* MGSM in Bengali, file and counts made up. */
static cJSON *build(int64_t limit, bool loaded)
{
    struct lay_err err = {0};
    const struct lay_system_options options = {.dtype = LAY_F32, .batch_size = 17, .official_batch = 3};
    struct lay_system *system = NULL;
    struct lay_prompt_set *prompts;
    cJSON *manifest;
    const struct lay_task *task;
    char file[] = "/somewhere/data/mgsm_bn.tsv";
    struct lay_dataset data = {.total = 250, .file = file, .layout = "tsv", .first_line = 1, .hash = "abc"};
    assert_int_equal(lay_task_find("mgsm", &task, &err), LAY_OK);
    struct lay_workload_cell cell = {.task = task,
                                     .language = lay_language_find("bn"),
                                     .data = &data,
                                     .wanted = limit < 0 ? 250 : (size_t)limit,
                                     .file = "mgsm_bn.tsv"};
    struct lay_workload workload = {.cells = &cell, .count = 1, .samples = cell.wanted};
    assert_int_equal(lay_prompt_set_open(NULL, "langbridge-metamath", &prompts, &err), LAY_OK);
    assert_int_equal(lay_system_open("sys.json", &options, &system, &err), LAY_OK);
    system->loaded = loaded;
    const struct lay_manifest_inputs inputs = {.system = system,
                                               .prompts = prompts,
                                               .workload = &workload,
                                               .max_new_tokens = 99,
                                               .official_batch = 3,
                                               .limit = limit,
                                               .shard = {limit < 0 ? 0 : 2, limit < 0 ? 0 : 3},
                                               .match = LAY_MATCH_FLOAT_EQ};
    assert_int_equal(lay_manifest_build(&inputs, &manifest, &err), LAY_OK);
    lay_system_close(system);
    lay_prompt_set_close(prompts);
    return manifest;
}

/* The value at "a.b[0].c", printed. */
static const char *value_at(const cJSON *node, const char *path)
{
    static struct lay_str text;
    char key[64];
    while (*path && node) {
        const size_t length = strcspn(path, ".[");
        if (*path == '[') {
            node = cJSON_GetArrayItem(node, atoi(path + 1));
            path += strcspn(path, "]") + 1;
        } else {
            snprintf(key, sizeof key, "%.*s", (int)length, path);
            node = cJSON_GetObjectItemCaseSensitive(node, key);
            path += length;
        }
        path += *path == '.';
    }
    if (!node)
        return "(missing)";
    lay_str_clear(&text);
    lay_json_put(&text, node, -1);
    return lay_str_text(&text);
}

static void everything_that_determines_the_result_is_there(void **state)
{
    static const char *const expected[][2] = {
        {"layeval", "\"" LAYEVAL_VERSION "\""},
        {"system.name", "\"sys\""},
        {"prompt_set.name", "\"langbridge-metamath\""},
        {"prompt_set.version", "1"},
        {"tasks[0].task", "\"mgsm\""},
        {"tasks[0].languages[0].language", "\"bn\""},
        {"tasks[0].languages[0].file", "\"mgsm_bn.tsv\""},
        {"tasks[0].languages[0].layout", "\"tsv\""},
        {"tasks[0].languages[0].hash", "\"abc\""},
        {"tasks[0].languages[0].n", "20"},
        {"tasks[0].languages[0].total", "250"},
        {"generation.greedy", "true"},
        {"generation.max_new_tokens", "99"},
        {"generation.num_fewshot", "0"},
        {"official_batch", "3"},
        {"limit", "20"},
        {"shard", "{\"index\": 2, \"count\": 3, \"samples\": 20}"},
        {"match", "\"float-eq\""},
        {"dtype", "\"f32\""},
        {"batch_invariant", "false"},
        {"weights_fingerprint", "\"f00d\""},
        {"system.weights_fingerprint", "(missing)"},
        {"bf16", "(missing)"}, /* only where bf16 is computed with */
    };
    (void)state;
    cJSON *manifest = build(20, true);
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        assert_string_equal(value_at(manifest, expected[i][0]), expected[i][1]);
    /* tasks.md: generation stops at the question word, [END], </s>, <|im_end|> */
    const char *const stops[] = {"[END]", "</s>", "<|im_end|>"};
    for (size_t i = 0; i < sizeof stops / sizeof *stops; i++)
        assert_non_null(strstr(value_at(manifest, "generation.stops"), stops[i]));
    assert_int_equal(strlen(value_at(manifest, "prompt_set.hash")), 2 + 32);
    assert_string_not_equal(value_at(manifest, "onednn"), "(missing)");
    assert_string_not_equal(value_at(manifest, "isa"), "(missing)");
    cJSON_Delete(manifest);
}

static void nothing_of_this_machine_or_moment_is_there(void **state)
{
    (void)state;
    cJSON *manifest = build(-1, true);
    const char *text = value_at(manifest, "");
    assert_null(strstr(text, "/somewhere"));
    assert_null(strstr(text, "batch_size"));
    assert_null(strstr(text, "threads"));
    assert_null(strstr(text, "17")); /* the batch size */
    assert_string_equal(value_at(manifest, "limit"), "null");
    assert_string_equal(value_at(manifest, "shard"), "null");
    cJSON_Delete(manifest);
}

static void the_file_reads_back_with_the_same_hash(void **state)
{
    (void)state;
    struct lay_err err = {0};
    char written[LAY_HASH_HEX], hash[LAY_HASH_HEX], of_file[LAY_HASH_HEX], path[128];
    cJSON *manifest = build(-1, true), *again;
    assert_int_equal(lay_manifest_write(base, manifest, written, &err), LAY_OK);
    assert_int_equal(lay_manifest_read(base, &again, hash, &err), LAY_OK);
    snprintf(path, sizeof path, "%s/" LAY_MANIFEST_FILE, base);
    assert_int_equal(lay_hash_file(path, of_file, &err), LAY_OK);
    assert_string_equal(written, hash);
    assert_string_equal(written, of_file);
    assert_true(cJSON_Compare(manifest, again, true));
    assert_int_equal(lay_manifest_compare(base, again, manifest, false, &err), LAY_OK);
    cJSON_Delete(manifest);
    cJSON_Delete(again);
}

static void before_the_weights_are_known_their_fingerprint_does_not_count(void **state)
{
    (void)state;
    struct lay_err err = {0};
    cJSON *stored = build(-1, true), *now = build(-1, false);
    assert_int_equal(lay_manifest_compare("DIR", stored, now, true, &err), LAY_OK);
    assert_int_equal(lay_manifest_compare("DIR", stored, now, false, &err), LAY_ERR_INPUT);
    assert_non_null(strstr(err.message, "weights_fingerprint (there \"f00d\", now nothing)"));
    cJSON_Delete(stored);
    cJSON_Delete(now);
}

static void every_difference_is_named_up_to_six(void **state)
{
    (void)state;
    struct lay_err err = {0};
    cJSON *stored = cJSON_Parse("{\"a\": 1, \"b\": {\"c\": [1, {\"d\": \"x\"}]}, \"e\": [1], \"f\": true}");
    cJSON *now = cJSON_Parse("{\"a\": 2, \"b\": {\"c\": [1, {\"d\": \"y\"}]}, \"e\": [1, 2], \"g\": null}");
    assert_int_equal(lay_manifest_compare("DIR", stored, now, false, &err), LAY_ERR_INPUT);
    assert_non_null(strstr(err.message, "DIR: "));
    assert_non_null(strstr(err.message, "a (there 1, now 2)"));
    assert_non_null(strstr(err.message, "b.c[1].d (there \"x\", now \"y\")"));
    assert_non_null(strstr(err.message, "e (there [1], now [1, 2])"));
    assert_non_null(strstr(err.message, "f (there true, now nothing)"));
    assert_non_null(strstr(err.message, "g (there nothing, now null)"));
    assert_null(strstr(err.message, "more"));
    cJSON_Delete(stored);
    cJSON_Delete(now);
    stored = cJSON_Parse("{}");
    now = cJSON_Parse("{\"a\":1,\"b\":1,\"c\":1,\"d\":1,\"e\":1,\"f\":1,\"g\":1,\"h\":1}");
    assert_int_equal(lay_manifest_compare("DIR", stored, now, true, &err), LAY_ERR_INPUT);
    assert_non_null(strstr(err.message, "f (there nothing, now 1) and 2 more"));
    cJSON_Delete(stored);
    cJSON_Delete(now);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_that_determines_the_result_is_there),
        cmocka_unit_test(nothing_of_this_machine_or_moment_is_there),
        cmocka_unit_test(the_file_reads_back_with_the_same_hash),
        cmocka_unit_test(before_the_weights_are_known_their_fingerprint_does_not_count),
        cmocka_unit_test(every_difference_is_named_up_to_six),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

/* Shards of made-up runs put together: the sealed journal and the manifest of the whole, and what is refused.
 */
#include "harness/run/merge.h"

#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "harness/run/journal.h"
#include "harness/run/manifest.h"
#include "tests/unit/harness/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <unistd.h>

#include <cmocka.h>

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

/* Every test starts with an empty directory. */
static int clear(void **state)
{
    char command[SCRATCH_MAX + 16];
    (void)state;
    snprintf(command, sizeof command, "rm -rf %s/*", root);
    return system(command);
}

static const char *at(const char *name)
{
    return scratch_at(root, name);
}

/* A run of two tasks, in an order of the tables: mgsm th has 2 samples, mgsm en 3, xnli sw 1. `shard` is the
 * JSON of that member, `weights` the fingerprint. */
static cJSON *manifest_of(const char *shard, const char *weights)
{
    char text[1024];
    snprintf(text, sizeof text,
             "{\"layeval\": \"1.0\", \"system\": {\"name\": \"sys\", \"method\": \"plain\"}, \"tasks\": ["
             "{\"task\": \"mgsm\", \"languages\": [{\"language\": \"th\", \"n\": 2}, "
             "{\"language\": \"en\", \"n\": 3}]}, "
             "{\"task\": \"xnli\", \"languages\": [{\"language\": \"sw\", \"n\": 1}]}], "
             "\"limit\": null, \"shard\": %s, \"match\": \"tolerance\", \"isa\": \"avx2\", "
             "\"weights_fingerprint\": \"%s\"}",
             shard, weights);
    cJSON *manifest = cJSON_Parse(text);
    assert_non_null(manifest);
    return manifest;
}

/* "th0 en2 sw0": the samples of a journal. */
static size_t parse(const char *samples, struct lay_journal_entry *entries)
{
    static char mgsm[] = "mgsm", xnli[] = "xnli", doc[] = "{\"n\": 1}", target[] = "1";
    static char language[8][4], output[8][24];
    size_t count = 0;
    for (const char *word = samples; *word; word += strcspn(word, " "), word += *word == ' ') {
        snprintf(language[count], sizeof language[count], "%.2s", word);
        snprintf(output[count], sizeof output[count], "It is %.3s.", word);
        entries[count] = (struct lay_journal_entry){.task = strncmp(word, "sw", 2) == 0 ? xnli : mgsm,
                                                    .language = language[count],
                                                    .doc_id = strtol(word + 2, NULL, 10),
                                                    .target = target,
                                                    .output = output[count],
                                                    .doc = doc};
        snprintf(entries[count].ended, sizeof entries[count].ended, "eos");
        count++;
    }
    return count;
}

static void make_run(const char *dir, const char *shard, const char *weights, const char *samples)
{
    struct lay_journal_entry entries[8];
    struct lay_journal journal = {.entries = entries, .count = parse(samples, entries)};
    cJSON *manifest = manifest_of(shard, weights);
    assert_int_equal(lay_mkdirs(dir, NULL), LAY_OK);
    assert_int_equal(lay_manifest_write(dir, manifest, journal.manifest_hash, NULL), LAY_OK);
    assert_int_equal(lay_journal_seal(dir, &journal, NULL), LAY_OK);
    cJSON_Delete(manifest);
}

#define SHARD_1 "{\"index\": 1, \"count\": 2, \"samples\": 3}"
#define SHARD_2 "{\"index\": 2, \"count\": 2, \"samples\": 3}"

static void make_shards(void)
{
    make_run(at("a"), SHARD_1, "f00d", "th1 en0 sw0");
    make_run(at("b"), SHARD_2, "f00d", "th0 en1 en2");
}

/* root/a and root/b into root/out, without the table. */
static enum lay_status merge(struct lay_err *err)
{
    const char *dirs[] = {at("b"), at("a")};
    const struct lay_merge_options options = {
        .dirs = dirs, .count = 2, .out = at("out"), .log_samples = true};
    fflush(stdout);
    const int kept = dup(STDOUT_FILENO), null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    dup2(null, STDOUT_FILENO);
    close(null);
    *err = (struct lay_err){0};
    const enum lay_status status = lay_merge(&options, err);
    fflush(stdout);
    dup2(kept, STDOUT_FILENO);
    close(kept);
    return status;
}

static void assert_refused(const char *piece, const char *other)
{
    struct lay_err err;
    assert_int_equal(merge(&err), LAY_ERR_INPUT);
    if (!strstr(err.message, piece) || !strstr(err.message, other))
        fail_msg("neither %s nor %s in: %s", piece, other, err.message);
    assert_false(lay_path_exists(at("out")));
}

static void assert_same_file(const char *a, const char *b)
{
    struct lay_str x = {0}, y = {0};
    assert_int_equal(lay_file_read(a, (size_t)1 << 20, &x, NULL), LAY_OK);
    assert_int_equal(lay_file_read(b, (size_t)1 << 20, &y, NULL), LAY_OK);
    assert_string_equal(lay_str_text(&x), lay_str_text(&y));
    lay_str_free(&x);
    lay_str_free(&y);
}

static void the_whole_is_what_the_run_would_have_left(void **state)
{
    (void)state;
    struct lay_err err;
    make_shards();
    make_run(at("whole"), "null", "f00d", "th0 th1 en0 en1 en2 sw0");
    assert_int_equal(merge(&err), LAY_OK);
    assert_same_file(at("out/manifest.json"), at("whole/manifest.json"));
    assert_same_file(at("out/journal.jsonl"), at("whole/journal.jsonl"));
    assert_true(lay_path_exists(at("out/results.json")));
    assert_true(lay_path_exists(at("out/samples_mgsm_en.jsonl")));
    assert_true(lay_path_exists(at("out/paper/mgsm/scores.tsv")));
    assert_false(lay_path_exists(at("out/.lock")));
}

static void other_weights_are_refused(void **state)
{
    (void)state;
    make_shards();
    make_run(at("b"), SHARD_2, "beef", "th0 en1 en2");
    assert_refused(at("a: is of another run than "), "weights_fingerprint (there \"beef\", here \"f00d\")");
}

static void samples_must_be_those_of_the_run(void **state)
{
    (void)state;
    make_shards();
    make_run(at("b"), SHARD_2, "f00d", "th0 en1 en0");
    assert_refused("sample mgsm en 0 is in both", at("b"));
    make_run(at("b"), SHARD_2, "f00d", "th0 en1 en3");
    assert_refused(at("b: journal.jsonl:4: sample mgsm en 3 does not belong"), "");
    make_run(at("b"), SHARD_2, "f00d", "th0 en1 bn0");
    assert_refused(at("b: journal.jsonl:4: sample mgsm bn 0 does not belong"), "");
    make_run(at("b"), "{\"index\": 2, \"count\": 2, \"samples\": 2}", "f00d", "th0 en1");
    assert_refused("5 of 6 samples", at("a"));
}

static void a_number_of_samples_that_is_not_the_manifests_is_unfinished(void **state)
{
    (void)state;
    make_shards();
    make_run(at("b"), SHARD_2, "f00d", "th0 en1");
    assert_refused(at("b: shard 2/2 is not finished, 2 of 3"), "repeat the command");
}

static void senseless_shards_are_none(void **state)
{
    (void)state;
    static const char *const senseless[] = {"null",
                                            "3",
                                            "{\"index\": 1}",
                                            "{\"index\": 0, \"count\": 2, \"samples\": 3}",
                                            "{\"index\": 3, \"count\": 2, \"samples\": 3}",
                                            "{\"index\": 1, \"count\": 1000000000, \"samples\": 3}"};
    make_shards();
    for (size_t i = 0; i < sizeof senseless / sizeof *senseless; i++) {
        make_run(at("b"), senseless[i], "f00d", "th0 en1 en2");
        assert_refused(at("b: is not a shard"), "");
    }
}

/* The shards, the whole run, and nothing else. */
static void make_all(void **state)
{
    assert_int_equal(clear(state), 0);
    make_shards();
    make_run(at("whole"), "null", "f00d", "th0 th1 en0 en1 en2 sw0");
}

/* Whatever allocation fails, the shards stay as they are and a later merge is exact. */
static void a_lack_of_memory_leaves_a_merge_that_can_be_repeated(void **state)
{
    (void)state;
    struct lay_err err;
    enum lay_status status = LAY_ERR_MEMORY;
    long failures = 0;
    make_all(state);
    for (long n = 0; failures == 0 || status != LAY_OK || n < 4000; n += n < 300 ? 1 : n / 10) {
        lay_mem_fail_after(n);
        status = merge(&err);
        lay_mem_fail_after(-1);
        failures += status != LAY_OK;
        if (status != LAY_OK && status != LAY_ERR_MEMORY)
            fail_msg("allocation %ld: %s", n, err.message);
        if (n % 16 == 0) {
            assert_int_equal(merge(&err), LAY_OK);
            assert_same_file(at("out/manifest.json"), at("whole/manifest.json"));
            assert_same_file(at("out/journal.jsonl"), at("whole/journal.jsonl"));
            make_all(state);
        }
    }
    assert_true(failures > 300);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_whole_is_what_the_run_would_have_left, clear),
        cmocka_unit_test_setup(other_weights_are_refused, clear),
        cmocka_unit_test_setup(samples_must_be_those_of_the_run, clear),
        cmocka_unit_test_setup(a_number_of_samples_that_is_not_the_manifests_is_unfinished, clear),
        cmocka_unit_test_setup(senseless_shards_are_none, clear),
        cmocka_unit_test_setup(a_lack_of_memory_leaves_a_merge_that_can_be_repeated, clear),
    };
    return cmocka_run_group_tests(tests, make_root, remove_root);
}

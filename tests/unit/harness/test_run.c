/* A run keeps its promises around a system: whatever interrupts it, the same command ends in the same files.
 */
#include "harness/run/run.h"

#include "harness/run/journal.h"
#include "harness/run/signals.h"
#include "tests/unit/harness/fake_system.h"
#include "tests/unit/harness/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

/* Data in data/ with MGSM in two languages, 7 questions each, and run directories. */
static char base[SCRATCH_MAX];
enum { ITEMS = 7, LANGUAGES = 2, SAMPLES = ITEMS * LANGUAGES };

static const char *in_base(const char *name)
{
    return scratch_at(base, name);
}

static void write_data(const char *name, const char *word)
{
    struct lay_str text = {0};
    struct lay_err err = {0};
    for (int i = 0; i < ITEMS; i++)
        lay_str_printf(&text, "%s %d \"%.*s\"?\t%d\n", word, i, i, "abcdefghij", 10 * i);
    assert_int_equal(lay_file_write(in_base(name), text.data, text.length, &err), LAY_OK);
    lay_str_free(&text);
}

static int set_up(void **state)
{
    (void)state;
    if (!scratch_create(base) || lay_mkdirs(in_base("data"), NULL) != LAY_OK)
        return -1;
    write_data("data/mgsm_bn.tsv", "কত");
    write_data("data/mgsm_en.tsv", "How many");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return scratch_remove(base);
}

static int reset(void **state)
{
    (void)state;
    fake.fingerprint = "f00d";
    fake.interrupt_after = -1;
    fake.fail_every = 0;
    fake.raise_at_close = NULL;
    fake.loads = fake.calls = 0;
    return 0;
}

/* The command line, as lay_cmd_run would have read it. */
struct command {
    struct lay_run_options options;
    char systems[4][64];
};

static struct command *command(const char *out, const char *languages, const char *system)
{
    static struct command c;
    static char task[] = "mgsm", language[4][16], data[256];
    memset(&c, 0, sizeof c);
    snprintf(data, sizeof data, "%s/data", base);
    c.options = (struct lay_run_options){.data_dir = data,
                                         .out_dir = out,
                                         .limit = -1,
                                         .threads = 1,
                                         .log_samples = true,
                                         .quiet = true,
                                         .system = {.dtype = LAY_DTYPE_COUNT}};
    c.options.tasks.items[c.options.tasks.count++] = task;
    for (size_t i = 0; *languages; i++) {
        const size_t length = strcspn(languages, ",");
        snprintf(language[i], sizeof language[i], "%.*s", (int)length, languages);
        c.options.languages.items[c.options.languages.count++] = language[i];
        languages += length + (languages[length] == ',');
    }
    snprintf(c.systems[0], sizeof c.systems[0], "%s", system);
    c.options.systems.items[c.options.systems.count++] = c.systems[0];
    return &c;
}

static enum lay_status run(const struct command *c, struct lay_err *err)
{
    *err = (struct lay_err){0};
    return lay_run(&c->options, err);
}

static void assert_runs(const struct command *c)
{
    struct lay_err err;
    if (run(c, &err) != LAY_OK)
        fail_msg("%s", err.message);
}

static void assert_same_directory(const char *a, const char *b)
{
    char line[600];
    snprintf(line, sizeof line, "diff -r -x timing.json %s %s", a, b);
    assert_int_equal(system(line), 0);
}

/* The uninterrupted run that others are compared with. */
static const char *reference(void)
{
    static char dir[256];
    if (!dir[0]) {
        snprintf(dir, sizeof dir, "%s", in_base("reference"));
        assert_runs(command(dir, "bn,en", "merged.json"));
        fake.loads = fake.calls = 0;
    }
    return dir;
}

static size_t journalled(const char *dir, bool *sealed)
{
    struct lay_journal journal;
    struct lay_err err = {0};
    assert_int_equal(lay_journal_read(dir, &journal, &err), LAY_OK);
    const size_t count = journal.count;
    *sealed = journal.sealed;
    lay_journal_free(&journal);
    return count;
}

static void a_run_journals_every_sample_and_seals(void **state)
{
    (void)state;
    struct lay_journal journal;
    struct lay_err err = {0};
    const char *dir = reference();
    assert_int_equal(lay_journal_read(dir, &journal, &err), LAY_OK);
    assert_true(journal.sealed);
    assert_int_equal(journal.count, SAMPLES);
    for (int i = 0; i < SAMPLES; i++) { /* bn before en: the papers' order */
        assert_string_equal(journal.entries[i].language, i < ITEMS ? "bn" : "en");
        assert_int_equal(journal.entries[i].doc_id, i % ITEMS);
    }
    assert_string_equal(journal.entries[8].source, "How many 1 \"a\"?");
    assert_string_equal(journal.entries[8].target, "10");
    lay_journal_free(&journal);
    static const char *const files[] = {"manifest.json",         "results.json",          "results.csv",
                                        "samples_mgsm_bn.jsonl", "samples_mgsm_en.jsonl", "timing.json",
                                        "paper/mgsm/scores.tsv"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[512];
        snprintf(path, sizeof path, "%s/%s", dir, files[i]);
        assert_true(lay_path_exists(path));
    }
}

/* Ctrl-C after any number of replies; continued, the directory is that of the uninterrupted run. */
static void an_interrupted_run_continues_to_the_same_files(void **state)
{
    (void)state;
    const char *whole = reference();
    for (int after = 0; after <= SAMPLES; after++) {
        char dir[256];
        struct lay_err err;
        bool sealed;
        snprintf(dir, sizeof dir, "%s/stopped-%d", base, after);
        fake.interrupt_after = after;
        const enum lay_status status = run(command(dir, "bn,en", "merged.json"), &err);
        assert_int_equal(status, after < SAMPLES ? LAY_ERR_INTERRUPTED : LAY_OK);
        if (status != LAY_OK) {
            assert_int_equal(journalled(dir, &sealed), after);
            assert_false(sealed);
            assert_false(lay_path_exists(in_base("stopped/results.json")));
        }
        fake.interrupt_after = -1;
        assert_runs(command(dir, "bn,en", "merged.json"));
        assert_int_equal(fake.requests, after < SAMPLES ? SAMPLES - after : SAMPLES);
        assert_same_directory(whole, dir);
    }
}

static void many_interruptions_are_no_different(void **state)
{
    (void)state;
    struct lay_err err;
    const char *dir = in_base("often");
    int sessions = 0;
    fake.interrupt_after = 1;
    while (run(command(dir, "bn,en", "merged.json"), &err) == LAY_ERR_INTERRUPTED)
        sessions++;
    assert_int_equal(err.status, LAY_OK);
    assert_int_equal(sessions,
                     SAMPLES - 1); /* the last one finds one outstanding sample and is not stopped */
    assert_same_directory(reference(), dir);
}

/* Cut the journal at many bytes, as a crash does; with the reports gone, too. */
static void a_crash_anywhere_continues_to_the_same_files(void **state)
{
    (void)state;
    struct lay_str journal = {0};
    struct lay_err err = {0};
    char line[600];
    const char *whole = reference();
    const char *dir = in_base("crashed");
    const char *path = in_base("crashed/journal.jsonl");
    snprintf(line, sizeof line, "cp -r %s %s", whole, dir);
    assert_int_equal(system(line), 0);
    assert_int_equal(lay_file_read(path, (size_t)1 << 20, &journal, &err), LAY_OK);
    for (size_t cut = 0; cut <= journal.length; cut += 61) {
        snprintf(line, sizeof line, "rm -f %s/results.* %s/samples_* && touch %s/results.csv.tmp-1", dir, dir,
                 dir);
        assert_int_equal(system(line), 0);
        assert_int_equal(lay_file_write(path, journal.data, cut, &err), LAY_OK);
        assert_runs(command(dir, "bn,en", "merged.json"));
        assert_same_directory(whole, dir);
    }
    lay_str_free(&journal);
}

static void a_complete_run_loads_nothing(void **state)
{
    (void)state;
    const char *dir = reference();
    assert_runs(command(dir, "bn,en", "merged.json"));
    assert_int_equal(fake.loads, 0);
    assert_int_equal(fake.calls, 0);
}

static void the_order_of_options_does_not_matter(void **state)
{
    (void)state;
    const char *dir = in_base("reordered");
    assert_runs(command(dir, "English,bn,en", "merged.json"));
    assert_same_directory(reference(), dir);
}

static void another_run_in_the_directory_is_refused_with_the_keys(void **state)
{
    (void)state;
    struct lay_err err;
    const char *dir = reference();
    struct command *c = command(dir, "bn,en", "merged.json");
    c->options.limit = 3;
    assert_int_equal(run(c, &err), LAY_ERR_INPUT);
    assert_non_null(strstr(err.message, "limit (there null, now 3)"));
    assert_non_null(strstr(err.message, "tasks[0].languages[0].n (there 7, now 3)"));
    c = command(dir, "bn,en", "merged.json");
    c->options.system.dtype = LAY_F32;
    assert_int_equal(run(c, &err), LAY_ERR_INPUT);
    assert_non_null(strstr(err.message, "dtype (there \"bf16\", now \"f32\")"));
    assert_int_equal(run(command(dir, "bn,en", "other.json"), &err), LAY_ERR_INPUT);
    assert_non_null(strstr(err.message, "system.name"));
    assert_int_equal(run(command(dir, "en", "merged.json"), &err), LAY_ERR_INPUT);
    assert_non_null(strstr(err.message, "tasks[0].languages"));
    assert_int_equal(fake.loads, 0);
}

static void other_weights_are_refused_before_the_first_sample(void **state)
{
    (void)state;
    struct lay_err err;
    bool sealed;
    const char *dir = in_base("weights");
    fake.interrupt_after = 4;
    assert_int_equal(run(command(dir, "bn,en", "merged.json"), &err), LAY_ERR_INTERRUPTED);
    fake.fingerprint = "beef";
    fake.interrupt_after = -1;
    fake.calls = 0;
    assert_int_equal(run(command(dir, "bn,en", "merged.json"), &err), LAY_ERR_INPUT);
    assert_non_null(strstr(err.message, "weights_fingerprint (there \"f00d\", now \"beef\")"));
    assert_int_equal(fake.calls, 0);
    assert_int_equal(journalled(dir, &sealed), 4);
}

static void a_changed_manifest_or_a_stray_journal_is_refused(void **state)
{
    (void)state;
    char line[900];
    struct lay_err err;
    const char *dir = in_base("changed");
    snprintf(line, sizeof line, "cp -r %s %s && echo >>%s/manifest.json", reference(), dir, dir);
    assert_int_equal(system(line), 0);
    assert_int_equal(run(command(dir, "bn,en", "merged.json"), &err), LAY_ERR_INPUT);
    assert_non_null(strstr(err.message, "belongs to another manifest.json"));
    snprintf(line, sizeof line, "rm %s/manifest.json", dir);
    assert_int_equal(system(line), 0);
    assert_int_equal(run(command(dir, "bn,en", "merged.json"), &err), LAY_ERR_INPUT);
    assert_non_null(strstr(err.message, "journal.jsonl"));
    assert_int_equal(fake.loads, 0);
}

static void a_full_disk_is_reported_and_a_later_run_continues(void **state)
{
    (void)state;
    struct rlimit old, tight;
    struct lay_err err;
    bool sealed;
    const char *dir = in_base("full");
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    tight = old;
    tight.rlim_cur = 4000; /* a few samples of some 700 bytes */
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    const enum lay_status status = run(command(dir, "bn,en", "merged.json"), &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(status, LAY_ERR_IO);
    assert_int_equal(lay_exit_code(status), 3);
    assert_non_null(strstr(err.message, "journal.jsonl"));
    const size_t safe = journalled(dir, &sealed);
    assert_in_range(safe, 1, SAMPLES - 1);
    assert_false(sealed);
    assert_runs(command(dir, "bn,en", "merged.json"));
    assert_int_equal(fake.requests, SAMPLES - safe);
    assert_same_directory(reference(), dir);
}

static void a_failing_sample_is_recorded_and_the_run_goes_on(void **state)
{
    (void)state;
    struct lay_journal journal;
    struct lay_err err = {0};
    size_t errors = 0;
    const char *dir = in_base("failing");
    fake.fail_every = 2;
    assert_runs(command(dir, "bn,en", "merged.json"));
    assert_int_equal(lay_journal_read(dir, &journal, &err), LAY_OK);
    assert_int_equal(journal.count, SAMPLES);
    for (size_t i = 0; i < journal.count; i++) {
        const bool failed = strlen(journal.entries[i].prompt) % 2 == 0;
        errors += failed;
        assert_string_equal(failed ? "error" : "-", failed ? journal.entries[i].ended : "-");
        assert_string_equal(failed ? journal.entries[i].error : "does not fit", "does not fit");
        assert_int_equal(failed, journal.entries[i].error != NULL);
    }
    assert_in_range(errors, 1, SAMPLES - 1);
    lay_journal_free(&journal);
}

/* The fake system answers prompts whose length divides by three with FF 00 '-'. */
static void malformed_bytes_in_an_answer_become_replacement_characters(void **state)
{
    (void)state;
    struct lay_journal journal;
    struct lay_err err = {0};
    size_t found = 0;
    assert_int_equal(lay_journal_read(reference(), &journal, &err), LAY_OK);
    for (size_t i = 0; i < journal.count; i++) {
        if (strlen(journal.entries[i].prompt) % 3 != 0)
            continue;
        found++;
        assert_memory_equal(journal.entries[i].output, "\uFFFD\uFFFDThe answer is ", 20);
    }
    assert_in_range(found, 1, SAMPLES - 1);
    lay_journal_free(&journal);
}

/* Batches of three over files of seven: the limit of four needs samples 0 … 5, and none of them again. */
static void official_batches_are_whole(void **state)
{
    (void)state;
    struct lay_err err;
    bool sealed;
    const char *dir = in_base("official");
    struct command *c = command(dir, "en", "merged.json");
    c->options.limit = 4;
    c->options.system.official_batch = 3;
    fake.interrupt_after = 3; /* replies come last first: samples 5, 4 (not wanted) and 3 */
    assert_int_equal(run(c, &err), LAY_ERR_INTERRUPTED);
    assert_int_equal(fake.requests, 6);
    assert_string_equal(fake.first_source, "How many 0 \"\"?");
    assert_int_equal(journalled(dir, &sealed), 1);
    fake.interrupt_after = -1;
    c = command(dir, "en", "merged.json");
    c->options.limit = 4;
    c->options.system.official_batch = 3;
    assert_runs(c);
    assert_int_equal(fake.requests, 3); /* the second batch is done */
    assert_int_equal(journalled(dir, &sealed), 4);
    assert_true(sealed);
}

static void the_last_official_batch_may_be_short(void **state)
{
    (void)state;
    struct command *c = command(in_base("official-all"), "en", "merged.json");
    c->options.system.official_batch = 3;
    assert_runs(c);
    assert_int_equal(fake.calls, 1);
    assert_int_equal(fake.requests, ITEMS);
}

static void all_languages_share_a_call(void **state)
{
    (void)state;
    struct command *c = command(in_base("shared"), "bn,en", "plain.json");
    c->options.limit = 2;
    c->options.system.max_new_tokens = 33;
    assert_runs(c);
    assert_int_equal(fake.calls, 1);
    assert_int_equal(fake.requests, 4);
    assert_int_equal(fake.max_new_tokens, 33);
    assert_string_equal(fake.first_source, ""); /* plain: nothing for an encoder */
}

static void several_systems_have_a_directory_each(void **state)
{
    (void)state;
    struct lay_err err;
    const char *dir = in_base("several");
    struct command *c = command(dir, "bn,en", "merged.json");
    snprintf(c->systems[1], sizeof c->systems[1], "there/plain.json");
    c->options.systems.items[c->options.systems.count++] = c->systems[1];
    assert_runs(c);
    assert_same_directory(reference(), in_base("several/merged"));
    assert_true(lay_path_exists(in_base("several/plain/results.json")));
    assert_true(lay_path_exists(in_base("several/results.csv")));
    assert_true(lay_path_exists(in_base("several/results.json")));
    assert_false(lay_path_exists(in_base("several/manifest.json")));
    /* neither kind of directory is taken for the other */
    assert_int_equal(run(command(dir, "bn,en", "merged.json"), &err), LAY_ERR_INPUT);
    c = command(reference(), "bn,en", "merged.json");
    snprintf(c->systems[1], sizeof c->systems[1], "plain.json");
    c->options.systems.items[c->options.systems.count++] = c->systems[1];
    assert_int_equal(run(c, &err), LAY_ERR_INPUT);
    /* and two of one name are refused */
    snprintf(c->systems[1], sizeof c->systems[1], "there/merged.json");
    c->options.out_dir = in_base("same");
    assert_int_equal(run(c, &err), LAY_ERR_INPUT);
    assert_non_null(strstr(err.message, "\"merged\""));
    assert_false(lay_path_exists(in_base("same")));
}

/* A signal that came while the first system was being sealed: the second is not even loaded. */
static void an_interruption_between_systems_is_not_forgotten(void **state)
{
    (void)state;
    struct lay_err err;
    const char *dir = in_base("between");
    struct command *c = command(dir, "bn,en", "merged.json");
    snprintf(c->systems[1], sizeof c->systems[1], "plain.json");
    c->options.systems.items[c->options.systems.count++] = c->systems[1];
    fake.raise_at_close = &lay_signals_stop;
    assert_int_equal(run(c, &err), LAY_ERR_INTERRUPTED);
    assert_non_null(strstr(err.message, "1 of 2 systems are done; repeat the command"));
    assert_int_equal(fake.loads, 1);
    fake.raise_at_close = NULL;
    assert_runs(c);
    assert_int_equal(fake.loads, 2);
    assert_same_directory(reference(), in_base("between/merged"));
    assert_true(lay_path_exists(in_base("between/results.json")));
}

static void a_dry_run_touches_nothing(void **state)
{
    (void)state;
    struct command *c = command(in_base("dry"), "bn", "merged.json");
    c->options.dry_run = true;
    c->options.write_out = 1;
    assert_runs(c);
    assert_int_equal(fake.loads, 0);
    assert_false(lay_path_exists(in_base("dry")));
}

static void predict_only_leaves_the_scores_to_a_later_run(void **state)
{
    (void)state;
    bool sealed;
    const char *dir = in_base("predicted");
    struct command *c = command(dir, "bn,en", "merged.json");
    c->options.predict_only = true;
    assert_runs(c);
    assert_int_equal(journalled(dir, &sealed), SAMPLES);
    assert_true(sealed);
    assert_false(lay_path_exists(in_base("predicted/results.json")));
    assert_runs(command(dir, "bn,en", "merged.json"));
    assert_int_equal(fake.loads, 1);
    assert_same_directory(reference(), dir);
}

/* One allocation fails, sooner or later: an error or, where the lost text was only a remark, success; never a
 * broken directory. The n-th allocation, for n in growing steps, because there are thousands. */
static void a_lack_of_memory_leaves_a_run_that_continues(void **state)
{
    (void)state;
    int failures = 0;
    bool reached_end = false;
    for (long n = 0; !reached_end; n += 1 + n / 12) {
        char dir[256];
        struct lay_err err;
        snprintf(dir, sizeof dir, "%s/memory-%ld", base, n);
        const struct command *c = command(dir, "bn,en", "merged.json");
        lay_mem_fail_after(n);
        const enum lay_status status = run(c, &err);
        lay_mem_fail_after(-1);
        failures += status != LAY_OK;
        reached_end = status == LAY_OK && n > 3000;
        if (status != LAY_OK && status != LAY_ERR_MEMORY)
            fail_msg("allocation %ld: %s", n, err.message);
        assert_runs(command(dir, "bn,en", "merged.json"));
        assert_same_directory(reference(), dir);
    }
    assert_true(failures > 25);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_run_journals_every_sample_and_seals, reset),
        cmocka_unit_test_setup(an_interrupted_run_continues_to_the_same_files, reset),
        cmocka_unit_test_setup(many_interruptions_are_no_different, reset),
        cmocka_unit_test_setup(a_crash_anywhere_continues_to_the_same_files, reset),
        cmocka_unit_test_setup(a_complete_run_loads_nothing, reset),
        cmocka_unit_test_setup(the_order_of_options_does_not_matter, reset),
        cmocka_unit_test_setup(another_run_in_the_directory_is_refused_with_the_keys, reset),
        cmocka_unit_test_setup(other_weights_are_refused_before_the_first_sample, reset),
        cmocka_unit_test_setup(a_changed_manifest_or_a_stray_journal_is_refused, reset),
        cmocka_unit_test_setup(a_full_disk_is_reported_and_a_later_run_continues, reset),
        cmocka_unit_test_setup(a_failing_sample_is_recorded_and_the_run_goes_on, reset),
        cmocka_unit_test_setup(malformed_bytes_in_an_answer_become_replacement_characters, reset),
        cmocka_unit_test_setup(official_batches_are_whole, reset),
        cmocka_unit_test_setup(the_last_official_batch_may_be_short, reset),
        cmocka_unit_test_setup(all_languages_share_a_call, reset),
        cmocka_unit_test_setup(several_systems_have_a_directory_each, reset),
        cmocka_unit_test_setup(an_interruption_between_systems_is_not_forgotten, reset),
        cmocka_unit_test_setup(a_dry_run_touches_nothing, reset),
        cmocka_unit_test_setup(a_lack_of_memory_leaves_a_run_that_continues, reset),
        cmocka_unit_test_setup(predict_only_leaves_the_scores_to_a_later_run, reset),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

/* The journal survives a crash at any byte, refuses damage elsewhere and is bound to its manifest. */
#include "harness/run/journal.h"

#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "engine/base/str.h"
#include "harness/run/journal_line.h"
#include "tests/unit/harness/scratch.h"

#include <omp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#define HASH "0123456789abcdef0123456789abcdef"

static char dir[SCRATCH_MAX];
static char path[128];

static const struct lay_journal_entry samples[] = {
    {.task = "mgsm",
     .language = "bn",
     .doc_id = 0,
     .source = "কত?",
     .prompt = "a\n\"b\"\t\\",
     .target = "18",
     .output = "The answer is 18\u2028\x01.",
     .ended = "eos",
     .source_tokens = 3,
     .prompt_tokens = 4,
     .output_tokens = 5,
     .doc = "{\"question\": \"কত?\", \"answer\": \"18\"}"},
    {.task = "mgsm",
     .language = "bn",
     .doc_id = 1,
     .prompt = "",
     .target = "1,234",
     .output = "",
     .ended = "error",
     .error = "does not fit",
     .truncated = true,
     .doc = "[1, 2.5, null, true]"},
    {.task = "xnli",
     .language = "sw",
     .doc_id = 5009,
     .source = "Premise: x",
     .target = "neutral",
     .output = ", \"xxh3\": \"00\"}",
     .ended = "length",
     .output_tokens = 512,
     .doc = "{}"},
};
enum { N_SAMPLES = sizeof samples / sizeof *samples };

static int make_dir(void **state)
{
    (void)state;
    if (!scratch_create(dir))
        return -1;
    snprintf(path, sizeof path, "%s/" LAY_JOURNAL_FILE, dir);
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    return scratch_remove(dir);
}

static void start_over(void)
{
    unlink(path);
}

/* Appends samples[first … end). */
static void append(const struct lay_journal *journal, size_t first, size_t end)
{
    struct lay_journal_writer *writer;
    struct lay_err err = {0};
    size_t unsaved;
    assert_int_equal(lay_journal_open(dir, HASH, journal, &writer, &err), LAY_OK);
    for (size_t i = first; i < end; i++)
        assert_int_equal(lay_journal_append(writer, &samples[i], &err), LAY_OK);
    assert_int_equal(lay_journal_close(writer, &unsaved, &err), LAY_OK);
    assert_int_equal(unsaved, 0);
}

static void write_all_samples(void)
{
    const struct lay_journal nothing = {0};
    start_over();
    append(&nothing, 0, N_SAMPLES);
}

static void read_file(struct lay_str *content)
{
    struct lay_err err = {0};
    lay_str_clear(content);
    assert_int_equal(lay_file_read(path, (size_t)1 << 20, content, &err), LAY_OK);
}

static void write_bytes(const void *bytes, size_t length)
{
    struct lay_err err = {0};
    assert_int_equal(lay_file_write(path, bytes, length, &err), LAY_OK);
}

static void assert_same_text(const char *a, const char *b)
{
    assert_int_equal(a == NULL, b == NULL);
    if (a)
        assert_string_equal(a, b);
}

static void assert_same_entry(const struct lay_journal_entry *a, const struct lay_journal_entry *b)
{
    assert_same_text(a->task, b->task);
    assert_same_text(a->language, b->language);
    assert_same_text(a->source, b->source);
    assert_same_text(a->prompt, b->prompt);
    assert_same_text(a->target, b->target);
    assert_same_text(a->output, b->output);
    assert_same_text(a->error, b->error);
    assert_same_text(a->doc, b->doc);
    assert_string_equal(a->ended, b->ended);
    assert_int_equal(a->doc_id, b->doc_id);
    assert_int_equal(a->truncated, b->truncated);
    assert_int_equal(a->source_tokens, b->source_tokens);
    assert_int_equal(a->prompt_tokens, b->prompt_tokens);
    assert_int_equal(a->output_tokens, b->output_tokens);
}

static void what_is_appended_is_read_back(void **state)
{
    (void)state;
    struct lay_journal journal;
    struct lay_err err = {0};
    write_all_samples();
    assert_int_equal(lay_journal_read(dir, &journal, &err), LAY_OK);
    assert_string_equal(journal.manifest_hash, HASH);
    assert_false(journal.sealed);
    assert_int_equal(journal.count, N_SAMPLES);
    for (size_t i = 0; i < N_SAMPLES; i++)
        assert_same_entry(&samples[i], &journal.entries[i]);
    lay_journal_free(&journal);
}

static size_t lines_before(const struct lay_str *file, size_t bytes)
{
    size_t lines = 0;
    for (size_t i = 0; i < bytes; i++)
        lines += file->data[i] == '\n';
    return lines;
}

/* Cut at every byte, read, go on with what is missing: the file is the uninterrupted one, byte for byte. */
static void a_crash_at_any_byte_is_survived(void **state)
{
    (void)state;
    struct lay_str whole = {0}, again = {0};
    write_all_samples();
    read_file(&whole);
    for (size_t cut = 0; cut <= whole.length; cut++) {
        struct lay_journal journal;
        struct lay_err err = {0};
        write_bytes(whole.data, cut);
        const size_t lines = lines_before(&whole, cut);
        assert_int_equal(lay_journal_read(dir, &journal, &err), LAY_OK);
        assert_int_equal(journal.count, lines > 0 ? lines - 1 : 0);
        assert_string_equal(journal.manifest_hash, lines > 0 ? HASH : "");
        assert_false(journal.sealed);
        append(&journal, journal.count, N_SAMPLES);
        lay_journal_free(&journal);
        read_file(&again);
        assert_int_equal(again.length, whole.length);
        assert_memory_equal(again.data, whole.data, whole.length);
    }
    lay_str_free(&whole);
    lay_str_free(&again);
}

/* A machine that lost its power may leave a last line of the right length and the wrong content. */
static void a_last_line_of_zeros_is_dropped(void **state)
{
    (void)state;
    struct lay_str whole = {0};
    struct lay_journal journal;
    struct lay_err err = {0};
    write_all_samples();
    read_file(&whole);
    size_t start = whole.length - 1;
    while (whole.data[start - 1] != '\n')
        start--;
    memset(whole.data + start, 0, whole.length - start);
    write_bytes(whole.data, whole.length);
    assert_int_equal(lay_journal_read(dir, &journal, &err), LAY_OK);
    assert_int_equal(journal.count, N_SAMPLES - 1);
    lay_journal_free(&journal);
    lay_str_free(&whole);
}

/* … or several such lines: those that were not synced. As long as none behind them is intact. */
static void several_last_lines_of_zeros_are_dropped(void **state)
{
    (void)state;
    struct lay_str whole = {0};
    struct lay_journal journal;
    struct lay_err err = {0};
    size_t start = 0;
    write_all_samples();
    read_file(&whole);
    for (int lines = 0; lines < 2; start++) /* header and first sample */
        lines += whole.data[start] == '\n';
    for (size_t at = start; at < whole.length; at++)
        if (whole.data[at] != '\n')
            whole.data[at] = 0;
    write_bytes(whole.data, whole.length);
    assert_int_equal(lay_journal_read(dir, &journal, &err), LAY_OK);
    assert_int_equal(journal.count, 1);
    assert_int_equal(journal.intact_bytes, start);
    append(&journal, 1, N_SAMPLES);
    lay_journal_free(&journal);
    assert_int_equal(lay_journal_read(dir, &journal, &err), LAY_OK);
    assert_int_equal(journal.count, N_SAMPLES);
    lay_journal_free(&journal);
    lay_str_free(&whole);
}

/* Any changed byte in front of the last line is damage, with the line's number. (Without the newline in front
 * of it the last two lines are one torn line: both samples are redone.) */
static void a_changed_byte_in_the_middle_is_refused(void **state)
{
    (void)state;
    struct lay_str whole = {0};
    write_all_samples();
    read_file(&whole);
    size_t last = whole.length - 1;
    while (whole.data[last - 1] != '\n')
        last--;
    for (size_t at = 0; at + 1 < last; at++) {
        struct lay_journal journal;
        struct lay_err err = {0};
        char place[32];
        const char before = whole.data[at];
        whole.data[at] = (char)(before ^ 1);
        write_bytes(whole.data, whole.length);
        snprintf(place, sizeof place, LAY_JOURNAL_FILE ":%zu:", lines_before(&whole, at) + 1);
        assert_int_equal(lay_journal_read(dir, &journal, &err), LAY_ERR_INPUT);
        assert_non_null(strstr(err.message, place));
        assert_int_equal(journal.count, 0);
        whole.data[at] = before;
    }
    lay_str_free(&whole);
}

static void a_sample_twice_is_refused(void **state)
{
    (void)state;
    const struct lay_journal nothing = {0};
    struct lay_journal journal;
    struct lay_err err = {0};
    start_over();
    append(&nothing, 0, 2);
    assert_int_equal(lay_journal_read(dir, &journal, &err), LAY_OK);
    append(&journal, 1, 2);
    lay_journal_free(&journal);
    assert_int_equal(lay_journal_read(dir, &journal, &err), LAY_ERR_INPUT);
    assert_non_null(strstr(err.message, LAY_JOURNAL_FILE ":4:"));
    assert_non_null(strstr(err.message, "line 3"));
}

/* A line of our own checksum, behind a header; any number of times. */
static void put_line(struct lay_str *file, const char *body)
{
    char hex[LAY_HASH_HEX];
    if (file->length == 0)
        lay_journal_line_header(file, HASH, -1);
    lay_hash_hex(lay_hash_bytes(body, strlen(body)), hex);
    lay_str_printf(file, "%s, \"xxh3\": \"%s\"}\n", body, hex);
}

#define NUMBERS "\"source_tokens\": 1, \"prompt_tokens\": 2, \"output_tokens\": 3"

/* The checksum is right, and yet it is no line of ours: another program, another version. */
static void intact_lines_that_are_no_samples_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *line, *message;
    } cases[] = {
        {"{\"task\": \"mgsm\", \"language\": \"bn\", \"doc_id\": 0, \"target\": \"1\", \"output\": \"1\", "
         "\"ended\": \"eos\"",
         "\"doc\""},
        {"{\"task\": \"mgsm\", \"task\": \"xnli\"", "\"task\" stands twice"},
        {"{\"task\": 1", "\"task\" must be a string"},
        {"{\"doc_id\": 1.5", "\"doc_id\" must be a whole number"},
        {"{\"truncated\": 1", "\"truncated\" must be true or false"},
        {"{\"ended\": \"whenever\"", "\"ended\" must be"},
        {"{\"ended\": \"\"", "\"ended\" must be"},
        {"{\"output\": \"\\x\"", "not valid JSON"},
        {"{\"output\": \"\xff\"", "invalid UTF-8"},
        {"{\"task\" \"mgsm\"", "not valid JSON"},
        {"{\"task\": \"mgsm\", \"language\": \"bn\", \"doc_id\": -1, \"target\": \"1\", \"output\": \"1\", "
         "\"ended\": \"eos\", \"doc\": {}",
         "\"doc_id\" must not be negative"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct lay_str file = {0};
        struct lay_journal journal;
        struct lay_err err = {0};
        put_line(&file, cases[i].line);
        write_bytes(file.data, file.length);
        assert_int_equal(lay_journal_read(dir, &journal, &err), LAY_ERR_INPUT);
        if (!strstr(err.message, LAY_JOURNAL_FILE ":2") || !strstr(err.message, cases[i].message))
            fail_msg("%s", err.message);
        lay_str_free(&file);
    }
}

/* Large journals are read by several threads; that shows neither in the order nor in which of several faults
 * is reported. */
static void large_journals_read_the_same_with_any_number_of_threads(void **state)
{
    (void)state;
    enum { LINES = 3000 };
    struct lay_str file = {0};
    struct lay_journal journal;
    struct lay_err err = {0};
    for (int i = 0; i < LINES; i++) {
        char line[256];
        snprintf(line, sizeof line,
                 "{\"task\": \"mgsm\", \"language\": \"bn\", \"doc_id\": %d, \"target\": \"%d\", \"output\": "
                 "\"\", \"ended\": \"eos\", " NUMBERS ", \"doc\": {}",
                 LINES - i, i);
        put_line(&file, line);
    }
    write_bytes(file.data, file.length);
    for (int threads = 1; threads <= 4; threads++) {
        omp_set_num_threads(threads);
        assert_int_equal(lay_journal_read(dir, &journal, &err), LAY_OK);
        assert_int_equal(journal.count, LINES);
        assert_int_equal(journal.intact_bytes, file.length);
        for (int i = 0; i < LINES; i++)
            assert_int_equal(journal.entries[i].doc_id, LINES - i);
        lay_journal_free(&journal);
    }
    size_t at = 0;
    for (int line = 1; line <= 2900; line++) {
        if (line == 700 || line == 701 || line == 2900)
            file.data[at] = '!';
        at += strcspn(file.data + at, "\n") + 1;
    }
    write_bytes(file.data, file.length);
    for (int i = 0; i < 8; i++) {
        omp_set_num_threads(1 + i % 4);
        assert_int_equal(lay_journal_read(dir, &journal, &err), LAY_ERR_INPUT);
        assert_non_null(strstr(err.message, LAY_JOURNAL_FILE ":700: damaged"));
    }
    lay_str_free(&file);
}

static void a_missing_journal_is_an_input_error(void **state)
{
    (void)state;
    struct lay_journal journal;
    struct lay_err err = {0};
    start_over();
    assert_int_equal(lay_journal_read(dir, &journal, &err), LAY_ERR_INPUT);
    assert_non_null(strstr(err.message, path));
}

static void an_empty_journal_is_bound_to_nothing(void **state)
{
    (void)state;
    struct lay_journal journal;
    struct lay_err err = {0};
    write_bytes("", 0);
    assert_int_equal(lay_journal_read(dir, &journal, &err), LAY_OK);
    assert_string_equal(journal.manifest_hash, "");
    append(&journal, 0, N_SAMPLES);
    lay_journal_free(&journal);
    assert_int_equal(lay_journal_read(dir, &journal, &err), LAY_OK);
    assert_int_equal(journal.count, N_SAMPLES);
    lay_journal_free(&journal);
}

/* Sealed means complete; a sealed journal that lost lines is open again and can be completed. */
static void a_seal_holds_only_for_the_whole_file(void **state)
{
    (void)state;
    struct lay_str whole = {0};
    struct lay_journal journal;
    struct lay_err err = {0};
    write_all_samples();
    assert_int_equal(lay_journal_read(dir, &journal, &err), LAY_OK);
    assert_int_equal(lay_journal_seal(dir, &journal, &err), LAY_OK);
    lay_journal_free(&journal);
    read_file(&whole);
    assert_int_equal(lay_journal_read(dir, &journal, &err), LAY_OK);
    assert_true(journal.sealed);
    assert_int_equal(journal.count, N_SAMPLES);
    lay_journal_free(&journal);

    write_bytes(whole.data, whole.length - 1);
    assert_int_equal(lay_journal_read(dir, &journal, &err), LAY_OK);
    assert_false(journal.sealed);
    assert_int_equal(journal.count, N_SAMPLES - 1);
    append(&journal, N_SAMPLES - 1, N_SAMPLES);
    lay_journal_free(&journal);
    assert_int_equal(lay_journal_read(dir, &journal, &err), LAY_OK);
    assert_false(journal.sealed);
    assert_int_equal(journal.count, N_SAMPLES);
    assert_int_equal(lay_journal_seal(dir, &journal, &err), LAY_OK);
    lay_journal_free(&journal);

    struct lay_str again = {0};
    read_file(&again);
    assert_int_equal(again.length, whole.length);
    assert_memory_equal(again.data, whole.data, whole.length);
    lay_str_free(&again);
    lay_str_free(&whole);
}

/* A full disk, played by a limit on file sizes: the write fails and the file keeps whole lines only. */
static void a_failing_write_leaves_whole_lines(void **state)
{
    (void)state;
    const struct lay_journal nothing = {0};
    struct lay_journal_writer *writer;
    struct lay_journal journal;
    struct lay_str one = {0};
    struct lay_err err = {0};
    size_t unsaved;
    struct rlimit old, tight;
    start_over();
    append(&nothing, 0, 1);
    read_file(&one);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    tight = old;
    tight.rlim_cur = one.length + 20; /* 20 bytes of the second line get through */
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    assert_int_equal(lay_journal_read(dir, &journal, &err), LAY_OK);
    assert_int_equal(lay_journal_open(dir, HASH, &journal, &writer, &err), LAY_OK);
    assert_int_equal(lay_journal_append(writer, &samples[1], &err), LAY_ERR_IO);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_non_null(strstr(err.message, path));
    assert_int_equal(lay_exit_code(err.status), 3);
    assert_int_equal(lay_journal_close(writer, &unsaved, &err), LAY_OK);
    assert_int_equal(unsaved, 0);
    lay_journal_free(&journal);
    struct lay_str after = {0};
    read_file(&after);
    assert_int_equal(after.length, one.length);
    assert_memory_equal(after.data, one.data, one.length);
    lay_str_free(&after);
    lay_str_free(&one);
}

/* What locks cannot see: another process appends, or puts another file in the place of the journal. */
static void a_second_writer_is_noticed(void **state)
{
    (void)state;
    const struct lay_journal nothing = {0};
    for (int replaced = 0; replaced < 2; replaced++) {
        struct lay_journal_writer *writer;
        struct lay_err err = {0};
        size_t unsaved;
        start_over();
        assert_int_equal(lay_journal_open(dir, HASH, &nothing, &writer, &err), LAY_OK);
        assert_int_equal(lay_journal_append(writer, &samples[0], &err), LAY_OK);
        if (replaced) {
            write_bytes("x", 1);
        } else {
            FILE *other = fopen(path, "a");
            assert_non_null(other);
            assert_int_equal(fputs("x\n", other) >= 0 && fclose(other) == 0, 1);
        }
        assert_int_equal(lay_journal_append(writer, &samples[1], &err), LAY_ERR_IO);
        assert_non_null(strstr(err.message, "by another process"));
        assert_int_equal(lay_journal_close(writer, &unsaved, &err), LAY_OK);
    }
}

/* A sample may take long: lines are on the disk within the second even if no other follows. */
static void lines_are_saved_without_others_following(void **state)
{
    (void)state;
    const struct lay_journal nothing = {0};
    struct lay_journal_writer *writer;
    struct lay_err err = {0};
    size_t unsaved;
    start_over();
    assert_int_equal(lay_journal_open(dir, HASH, &nothing, &writer, &err), LAY_OK);
    assert_int_equal(lay_journal_append(writer, &samples[0], &err), LAY_OK);
    assert_int_equal(lay_journal_unsaved(writer), 1);
    for (int tenths = 0; tenths < 100 && lay_journal_unsaved(writer) > 0; tenths++)
        usleep(100000);
    assert_int_equal(lay_journal_unsaved(writer), 0);
    assert_true(lay_journal_seconds(writer) > 0);
    assert_int_equal(lay_journal_close(writer, &unsaved, &err), LAY_OK);
}

/* Every allocation of a read fails once: an error and no leak (the sanitizer build looks). */
static void running_out_of_memory_is_an_error(void **state)
{
    (void)state;
    struct lay_journal journal;
    struct lay_err err = {0};
    write_all_samples();
    enum lay_status status = LAY_ERR_MEMORY;
    long n = 0;
    for (; status != LAY_OK && n < 10000; n++) {
        lay_mem_fail_after(n);
        status = lay_journal_read(dir, &journal, &err);
        lay_mem_fail_after(-1);
    }
    assert_int_equal(status, LAY_OK);
    assert_true(n > 20);
    lay_journal_free(&journal);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_appended_is_read_back),
        cmocka_unit_test(a_crash_at_any_byte_is_survived),
        cmocka_unit_test(a_last_line_of_zeros_is_dropped),
        cmocka_unit_test(several_last_lines_of_zeros_are_dropped),
        cmocka_unit_test(a_changed_byte_in_the_middle_is_refused),
        cmocka_unit_test(a_sample_twice_is_refused),
        cmocka_unit_test(intact_lines_that_are_no_samples_are_refused),
        cmocka_unit_test(large_journals_read_the_same_with_any_number_of_threads),
        cmocka_unit_test(a_missing_journal_is_an_input_error),
        cmocka_unit_test(an_empty_journal_is_bound_to_nothing),
        cmocka_unit_test(a_seal_holds_only_for_the_whole_file),
        cmocka_unit_test(a_failing_write_leaves_whole_lines),
        cmocka_unit_test(a_second_writer_is_noticed),
        cmocka_unit_test(lines_are_saved_without_others_following),
        cmocka_unit_test(running_out_of_memory_is_an_error),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}

/* Whole commands while one allocation after another fails: a clean complaint each time, no crash, and (under
 * the sanitizers) no leak. The first allocations are tried one by one, later ones in growing steps: there are
 * many. */
#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "harness/command.h"
#include "tests/unit/harness/scratch.h"

#include <setjmp.h>
#include <stdbool.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXIT_NO_MEMORY 3

#define PATH_BYTES (SCRATCH_MAX + 16)
#define OUTPUT_MAX (1 << 20)

static char scratch[SCRATCH_MAX];
static char out[PATH_BYTES], others[2][PATH_BYTES], output[PATH_BYTES], csv[PATH_BYTES];
static int saved_stderr, saved_stdout;

static void point_output_elsewhere(void)
{
    fflush(NULL);
    saved_stdout = dup(STDOUT_FILENO);
    saved_stderr = dup(STDERR_FILENO);
    const int file = open(output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    const int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    dup2(file, STDOUT_FILENO);
    dup2(null, STDERR_FILENO);
    close(file);
    close(null);
}

static void restore_output(void)
{
    fflush(NULL);
    dup2(saved_stdout, STDOUT_FILENO);
    dup2(saved_stderr, STDERR_FILENO);
    close(saved_stdout);
    close(saved_stderr);
}

/* What a command left: its standard output, and results.csv where there is one. */
static struct lay_str left_behind(void)
{
    struct lay_str text = {0};
    assert_int_equal(lay_file_read(output, OUTPUT_MAX, &text, NULL), LAY_OK);
    if (lay_path_exists(csv))
        assert_int_equal(lay_file_read(csv, OUTPUT_MAX, &text, NULL), LAY_OK);
    return text;
}

static void clear(void)
{
    assert_int_equal(scratch_remove(out), 0);
}

/* Whether the allocation that was to fail has not been asked for yet; `n` were to go before it. */
static bool still_pending(long n)
{
    for (long i = 0; i <= n; i++) {
        void *memory = lay_alloc(1, 1);
        if (!memory)
            return true;
        lay_free(memory);
    }
    return false;
}

/* The exit code; *failed tells whether an allocation failed. */
static int call(int (*command)(int, char **), char **argv, long fail_after, bool *failed)
{
    int argc = 0;
    while (argv[argc])
        argc++;
    point_output_elsewhere();
    lay_mem_fail_after(fail_after);
    const int code = command(argc, argv);
    *failed = fail_after >= 0 && !still_pending(fail_after);
    lay_mem_fail_after(-1);
    restore_output();
    return code;
}

/* Fails the n-th allocation for n = 0, 1, … `each`, then in steps of a tenth, until so many are not asked
 * for. */
static void try_every_allocation(int (*command)(int, char **), char **argv, long each, void (*before)(void))
{
    bool failed = true;
    long n = 0;
    if (before)
        before();
    assert_int_equal(call(command, argv, -1, &failed), 0);
    struct lay_str whole = left_behind();
    for (failed = true; failed; n += n < each ? 1 : n / 10) {
        if (before)
            before();
        const int code = call(command, argv, n, &failed);
        if (code == EXIT_NO_MEMORY && failed)
            continue;
        struct lay_str left = left_behind();
        if (code != 0 || strcmp(lay_str_text(&left), lay_str_text(&whole)) != 0)
            fail_msg("%s, allocation %ld: exit code %d, output:\n%s", argv[0], n, code, lay_str_text(&left));
        lay_str_free(&left);
    }
    lay_str_free(&whole);
    assert_true(n > 20);
}

static char *run[] = {"run",     "--system",     "data/demo/layalign.json",
                      "--task",  "mgsm,xnli",    "--lang",
                      "en",      "--limit",      "1",
                      "--data",  "data/samples", "--max-new-tokens",
                      "2",       "--threads",    "1",
                      "--quiet", "--out",        out,
                      NULL};
static char *score[] = {"score", out, NULL};
static char *merge[] = {"merge", others[0], others[1], "--out", out, NULL};
static char *compare[] = {"compare", others[0], others[1], NULL};
static char *report[] = {"report", others[0], others[1], NULL};
static char *gate[] = {"gate", others[1], "--against", others[0], "--allow", "missing,errors", "--all", NULL};
static char *gate_file[] = {"gate",    others[1],         "--against",  "data/baselines/layalign_paper.csv",
                            "--pick",  "LayAlign",        "--task",     "mgsm",
                            "--allow", "missing,samples", "--max-drop", "100",
                            NULL};
static char *inspect[] = {"inspect", "data/demo/bridges/layalign/model.safetensors", NULL};
static char *tokenize[] = {"tokenize", "--model", "data/demo/llm", "--text", "Mina has 12 pencils.", NULL};

static void run_survives(void **state)
{
    (void)state;
    try_every_allocation(lay_cmd_run, run, 60, clear);
}

static void score_survives(void **state)
{
    (void)state;
    bool failed;
    clear();
    assert_int_equal(call(lay_cmd_run, run, -1, &failed), 0);
    try_every_allocation(lay_cmd_score, score, 200, NULL);
}

/* `run` with another system or for a shard only, into others[i]. */
static void make_other(int i, char *system, char *shard)
{
    static char flag[] = "--shard";
    char *argv[32];
    size_t n = 0;
    bool failed;
    for (; run[n]; n++)
        argv[n] = run[n] == out ? others[i] : run[n];
    argv[2] = system;
    if (shard) {
        argv[n++] = flag;
        argv[n++] = shard;
    }
    argv[n] = NULL;
    assert_int_equal(call(lay_cmd_run, argv, -1, &failed), 0);
}

static void merge_survives(void **state)
{
    (void)state;
    make_other(0, run[2], (char[]){"1/2"});
    make_other(1, run[2], (char[]){"2/2"});
    try_every_allocation(lay_cmd_merge, merge, 200, clear);
}

static void what_reads_runs_survives(void **state)
{
    (void)state;
    assert_int_equal(scratch_remove(others[0]) + scratch_remove(others[1]), 0);
    make_other(0, run[2], NULL);
    make_other(1, (char[]){"data/demo/plain.json"}, NULL);
    try_every_allocation(lay_cmd_compare, compare, 200, NULL);
    try_every_allocation(lay_cmd_report, report, 200, NULL);
    try_every_allocation(lay_cmd_gate, gate, 200, NULL);
    try_every_allocation(lay_cmd_gate, gate_file, 100, NULL);
}

static void small_commands_survive(void **state)
{
    (void)state;
    try_every_allocation(lay_cmd_inspect, inspect, 100, NULL);
    try_every_allocation(lay_cmd_tokenize, tokenize, 50, NULL);
}

static int make_scratch(void **state)
{
    (void)state;
    if (!scratch_create(scratch))
        return -1;
    for (int i = 0; i < 2; i++)
        snprintf(others[i], sizeof others[i], "%s/%d", scratch, i);
    snprintf(out, sizeof out, "%s/run", scratch);
    snprintf(csv, sizeof csv, "%s/run/results.csv", scratch);
    snprintf(output, sizeof output, "%s/output", scratch);
    return 0;
}

static int remove_scratch(void **state)
{
    (void)state;
    return scratch_remove(scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(run_survives),           cmocka_unit_test(score_survives),
        cmocka_unit_test(merge_survives),         cmocka_unit_test(what_reads_runs_survives),
        cmocka_unit_test(small_commands_survive),
    };
    return cmocka_run_group_tests(tests, make_scratch, remove_scratch);
}

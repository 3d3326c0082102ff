/* Runs a command of the program again and again while one allocation after another fails: a clean complaint
 * each time, no crash, and (under the sanitizers) no leak. The first allocations are tried one by one, later
 * ones in growing steps: there are many. */
#ifndef TESTS_UNIT_HARNESS_FAILING_H
#define TESTS_UNIT_HARNESS_FAILING_H

#include "engine/base/file.h"
#include "engine/base/mem.h"
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

#define PATH_BYTES (SCRATCH_MAX + 32)
#define OUTPUT_MAX (1 << 20)

static char scratch[SCRATCH_MAX];
/* A directory that commands write and a text file in it; files with what they print. */
static char out[PATH_BYTES], csv[PATH_BYTES], output[PATH_BYTES], complaints[PATH_BYTES];
static int saved_stderr, saved_stdout;

static void point_output_elsewhere(void)
{
    fflush(NULL);
    saved_stdout = dup(STDOUT_FILENO);
    saved_stderr = dup(STDERR_FILENO);
    const int file = open(output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    const int errors = open(complaints, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    dup2(file, STDOUT_FILENO);
    dup2(errors, STDERR_FILENO);
    close(file);
    close(errors);
}

static void restore_output(void)
{
    fflush(NULL);
    dup2(saved_stdout, STDOUT_FILENO);
    dup2(saved_stderr, STDERR_FILENO);
    close(saved_stdout);
    close(saved_stderr);
}

/* What a command left: its standard output, and that text file where there is one. */
static struct lay_str left_behind(void)
{
    struct lay_str text = {0};
    assert_int_equal(lay_file_read(output, OUTPUT_MAX, &text, NULL), LAY_OK);
    if (lay_path_exists(csv))
        assert_int_equal(lay_file_read(csv, OUTPUT_MAX, &text, NULL), LAY_OK);
    return text;
}

/* A failing command's name begins one line of what it said. */
static void check_complaint(const char *command, long n)
{
    char start[64];
    int lines = 0;
    struct lay_str text = {0};
    assert_int_equal(lay_file_read(complaints, OUTPUT_MAX, &text, NULL), LAY_OK);
    snprintf(start, sizeof start, "layeval %s: ", command);
    for (const char *at = lay_str_text(&text); (at = strstr(at, start)); at += strlen(start))
        lines += at == text.data || at[-1] == '\n';
    if (lines != 1)
        fail_msg("%s, allocation %ld: %d complaints:\n%s", command, n, lines, lay_str_text(&text));
    lay_str_free(&text);
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

/* Fails the n-th allocation for n = 0, 1, … `each`, then in growing steps, n / `share`, until so many are not
 * asked for. */
static void try_every_allocation(int (*command)(int, char **), char **argv, long each, long share,
                                 void (*before)(void))
{
    bool failed = true;
    long n = 0;
    if (before)
        before();
    assert_int_equal(call(command, argv, -1, &failed), 0);
    struct lay_str whole = left_behind();
    for (failed = true; failed; n += n < each ? 1 : n / share) {
        if (before)
            before();
        const int code = call(command, argv, n, &failed);
        if (code == EXIT_NO_MEMORY && failed) {
            check_complaint(argv[0], n);
            continue;
        }
        struct lay_str left = left_behind();
        if (code != 0 || strcmp(lay_str_text(&left), lay_str_text(&whole)) != 0)
            fail_msg("%s, allocation %ld: exit code %d, output:\n%s", argv[0], n, code, lay_str_text(&left));
        lay_str_free(&left);
    }
    lay_str_free(&whole);
    assert_true(n > 20);
}

static int make_scratch(void **state)
{
    (void)state;
    if (!scratch_create(scratch))
        return -1;
    snprintf(out, sizeof out, "%s/run", scratch);
    snprintf(output, sizeof output, "%s/output", scratch);
    snprintf(complaints, sizeof complaints, "%s/complaints", scratch);
    return 0;
}

static int remove_scratch(void **state)
{
    (void)state;
    return scratch_remove(scratch);
}

#endif

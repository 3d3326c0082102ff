/* One process per run directory; what a killed one left behind is cleared away. */
#include "harness/run/rundir.h"

#include "engine/base/file.h"
#include "tests/unit/harness/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char base[SCRATCH_MAX];

static int make_base(void **state)
{
    (void)state;
    return scratch_create(base) ? 0 : -1;
}

static int remove_base(void **state)
{
    (void)state;
    return scratch_remove(base);
}

static const char *in_base(const char *name)
{
    return scratch_at(base, name);
}

static void touch(const char *path)
{
    struct lay_err err = {0};
    assert_int_equal(lay_file_write(path, "x", 1, &err), LAY_OK);
}

static void the_second_process_is_refused_by_number(void **state)
{
    (void)state;
    struct lay_rundir *dir;
    struct lay_err err = {0};
    const char *path = in_base("deep/er");
    assert_int_equal(lay_rundir_open(path, &dir, &err), LAY_OK);
    const pid_t child = fork();
    if (child == 0) {
        struct lay_rundir *other;
        struct lay_err refusal = {0};
        char number[32];
        snprintf(number, sizeof number, "process %ld", (long)getppid());
        const enum lay_status status = lay_rundir_open(path, &other, &refusal);
        _exit(status == LAY_ERR_INPUT && strstr(refusal.message, number) && strstr(refusal.message, path)
                  ? 0
                  : 1);
    }
    int result = -1;
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_int_equal(result, 0);
    lay_rundir_close(dir);
    assert_int_equal(lay_rundir_open(path, &dir, &err), LAY_OK);
    lay_rundir_close(dir);
    assert_false(lay_path_exists(in_base("deep/er/.lock")));
}

static void the_lock_of_a_killed_process_holds_nobody_up(void **state)
{
    (void)state;
    struct lay_rundir *dir;
    struct lay_err err = {0};
    const char *path = in_base("killed");
    const pid_t child = fork();
    if (child == 0) {
        struct lay_rundir *held;
        _exit(lay_rundir_open(path, &held, NULL) == LAY_OK ? 0 : 1); /* without closing */
    }
    int result = -1;
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_int_equal(result, 0);
    assert_true(lay_path_exists(in_base("killed/.lock")));
    assert_int_equal(lay_rundir_open(path, &dir, &err), LAY_OK);
    lay_rundir_close(dir);
}

static void half_written_files_are_removed_and_nothing_else(void **state)
{
    static const char *const gone[] = {"r/results.json.tmp-123", "r/paper/mgsm/scores.tsv.tmp-9"};
    static const char *const kept[] = {"r/results.json", "r/notes.tmp-x", "r/x.tmp-", "r/other/a.tmp-1",
                                       "r/paper/mgsm/scores.tsv"};
    (void)state;
    struct lay_rundir *dir;
    struct lay_err err = {0};
    assert_int_equal(lay_mkdirs(in_base("r/paper/mgsm"), &err), LAY_OK);
    assert_int_equal(lay_mkdirs(in_base("r/other"), &err), LAY_OK);
    for (size_t i = 0; i < sizeof gone / sizeof *gone; i++)
        touch(in_base(gone[i]));
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        touch(in_base(kept[i]));
    assert_int_equal(lay_rundir_open(in_base("r"), &dir, &err), LAY_OK);
    lay_rundir_close(dir);
    for (size_t i = 0; i < sizeof gone / sizeof *gone; i++)
        assert_false(lay_path_exists(in_base(gone[i])));
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        assert_true(lay_path_exists(in_base(kept[i])));
}

static void a_place_that_cannot_be_written_is_named(void **state)
{
    (void)state;
    struct lay_rundir *dir;
    struct lay_err err = {0};
    touch(in_base("file"));
    assert_int_equal(lay_rundir_open(in_base("file"), &dir, &err), LAY_ERR_IO);
    assert_non_null(strstr(err.message, in_base("file")));
    assert_int_equal(lay_rundir_open(in_base("file/below"), &dir, &err), LAY_ERR_IO);
    assert_int_equal(lay_rundir_open("/proc/layeval", &dir, &err), LAY_ERR_IO);
    assert_non_null(strstr(err.message, "/proc/layeval"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_second_process_is_refused_by_number),
        cmocka_unit_test(the_lock_of_a_killed_process_holds_nobody_up),
        cmocka_unit_test(half_written_files_are_removed_and_nothing_else),
        cmocka_unit_test(a_place_that_cannot_be_written_is_named),
    };
    return cmocka_run_group_tests(tests, make_base, remove_base);
}

/* A program of tests run again with oneDNN capped to smaller instruction sets. */
#ifndef LAY_TESTS_DNN_CAPS_H
#define LAY_TESTS_DNN_CAPS_H

#include <setjmp.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* Runs this program again under a cap. */
static inline void run_capped(const char *cap)
{
    char setting[64], *argv[] = {(char *)"capped", NULL};
    snprintf(setting, sizeof setting, "ONEDNN_MAX_CPU_ISA=%s", cap);
    char *environment[256];
    size_t n = 0;
    for (char **e = environ; *e && n < 254; e++)
        environment[n++] = *e;
    environment[n++] = setting;
    environment[n] = NULL;
    pid_t child;
    int status = -1;
    assert_int_equal(posix_spawn(&child, "/proc/self/exe", NULL, NULL, argv, environment), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static inline void all_holds_under_avx2(void **unused)
{
    (void)unused;
    run_capped("AVX2");
}

static inline void all_holds_under_avx512_without_bf16(void **unused)
{
    (void)unused;
    run_capped("AVX512_CORE");
}

/* What a main returns whose tests failed `failed` times. Under a cap it runs nothing more. */
static inline int failed_with_caps(int failed)
{
    const struct CMUnitTest caps[] = {
        cmocka_unit_test(all_holds_under_avx2),
        cmocka_unit_test(all_holds_under_avx512_without_bf16),
    };
    return getenv("ONEDNN_MAX_CPU_ISA") ? failed : failed + cmocka_run_group_tests(caps, NULL, NULL);
}

#endif

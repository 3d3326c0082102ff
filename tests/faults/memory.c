/* Preloaded into the program under test: makes the n-th allocation fail, whoever asks for it: the program,
 * the C library, cJSON.
 *
 * LAYEVAL_FAULT_MEMORY=N counts allocations from 1, from the start of main to its end: what libraries need to
 * load is not the program's business. Whether the N-th was asked for, and how many were, is said on stderr in
 * one line at the end of main. glibc only. */
#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
void *__libc_realloc(void *old, size_t bytes);
void *__libc_memalign(size_t alignment, size_t bytes);

static long wanted, calls;
static bool running;

/* libgomp ends the program where memory for a team of threads is missing; nobody can do anything about it. */
static bool of_libgomp(const void *caller)
{
    Dl_info info;
    return dladdr(caller, &info) && info.dli_fname && strstr(info.dli_fname, "libgomp");
}

/* Whether this allocation is the one to fail; of libgomp's the next one of somebody else. */
static bool struck(const void *caller)
{
    if (!__atomic_load_n(&running, __ATOMIC_RELAXED) ||
        __atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED) != wanted)
        return false;
    if (of_libgomp(caller)) {
        wanted++;
        return false;
    }
    errno = ENOMEM;
    return true;
}

void *malloc(size_t bytes)
{
    return struck(__builtin_return_address(0)) ? NULL : __libc_malloc(bytes);
}

void *calloc(size_t count, size_t bytes)
{
    return struck(__builtin_return_address(0)) ? NULL : __libc_calloc(count, bytes);
}

void *realloc(void *old, size_t bytes)
{
    return struck(__builtin_return_address(0)) ? NULL : __libc_realloc(old, bytes);
}

void *aligned_alloc(size_t alignment, size_t bytes)
{
    return struck(__builtin_return_address(0)) ? NULL : __libc_memalign(alignment, bytes);
}

int posix_memalign(void **memory, size_t alignment, size_t bytes)
{
    void *got = struck(__builtin_return_address(0)) ? NULL : __libc_memalign(alignment, bytes);
    if (!got)
        return ENOMEM;
    *memory = got;
    return 0;
}

static int (*real_main)(int, char **, char **);

static int main_with_faults(int argc, char **argv, char **environment)
{
    const char *at = getenv("LAYEVAL_FAULT_MEMORY");
    char line[100];
    wanted = at ? strtol(at, NULL, 10) : 0;
    __atomic_store_n(&running, true, __ATOMIC_RELAXED);
    const int result = real_main(argc, argv, environment);
    __atomic_store_n(&running, false, __ATOMIC_RELAXED);
    const int n = snprintf(line, sizeof line, "memory: %ld allocations%s\n", calls,
                           wanted > 0 && calls >= wanted ? ", one failed" : "");
    (void)!write(STDERR_FILENO, line, (size_t)n);
    return result;
}

/* How glibc starts a program. */
int __libc_start_main(int (*program)(int, char **, char **), int argc, char **argv, void (*init)(void),
                      void (*fini)(void), void (*loader_fini)(void), void *stack_end)
{
    int (*real)(int (*)(int, char **, char **), int, char **, void (*)(void), void (*)(void), void (*)(void),
                void *);
    void *found = dlsym(RTLD_NEXT, "__libc_start_main");
    memcpy(&real, &found, sizeof real);
    real_main = program;
    return real(main_with_faults, argc, argv, init, fini, loader_fini, stack_end);
}

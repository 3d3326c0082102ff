/* Preloaded into the program under test: makes the n-th call that puts something on disk fail as a full disk
 * does.
 *
 * LAYEVAL_FAULT=N counts calls of the functions below, from 1, for files other than stdin, stdout and stderr;
 * the N-th returns ENOSPC. With LAYEVAL_FAULT_KILL set the process kills itself there instead. What happened
 * is said on stderr in one line, so that a test knows when N lies beyond the last call. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

/* POSIX lets a data pointer hold a function; ISO C does not say so, hence the copy. */
/* NOLINTBEGIN(bugprone-macro-parentheses): a name, not an expression */
#define REAL(function)                                                                                       \
    static __typeof__(&function) real;                                                                       \
    if (!real) {                                                                                             \
        void *found = dlsym(RTLD_NEXT, #function);                                                           \
        memcpy(&real, &found, sizeof real);                                                                  \
    }
/* NOLINTEND(bugprone-macro-parentheses) */

static void say(const char *what)
{
    char line[100];
    const int n = snprintf(line, sizeof line, "fault: %s\n", what);
    if (n > 0)
        (void)!write(STDERR_FILENO, line, (size_t)n);
}

/* Whether this call is the one to fail. */
static bool struck(const char *function)
{
    static long calls;
    const char *at = getenv("LAYEVAL_FAULT");
    if (!at || __atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED) != strtol(at, NULL, 10))
        return false;
    say(function);
    if (getenv("LAYEVAL_FAULT_KILL"))
        kill(getpid(), SIGKILL);
    errno = ENOSPC;
    return true;
}

static bool ours(FILE *stream)
{
    return stream && fileno(stream) > STDERR_FILENO;
}

size_t fwrite(const void *bytes, size_t size, size_t n, FILE *stream)
{
    REAL(fwrite)
    return ours(stream) && struck("fwrite") ? 0 : real(bytes, size, n, stream);
}

int fflush(FILE *stream)
{
    REAL(fflush)
    return ours(stream) && struck("fflush") ? EOF : real(stream);
}

int fclose(FILE *stream)
{
    REAL(fclose)
    const bool fails = ours(stream) && struck("fclose");
    const int result = real(stream);
    if (fails)
        errno = ENOSPC;
    return fails ? EOF : result;
}

ssize_t write(int fd, const void *bytes, size_t n)
{
    REAL(write)
    return fd > STDERR_FILENO && struck("write") ? -1 : real(fd, bytes, n);
}

ssize_t pwrite(int fd, const void *bytes, size_t n, off_t offset)
{
    REAL(pwrite)
    return struck("pwrite") ? -1 : real(fd, bytes, n, offset);
}

int fsync(int fd)
{
    REAL(fsync)
    return struck("fsync") ? -1 : real(fd);
}

int fdatasync(int fd)
{
    REAL(fdatasync)
    return struck("fdatasync") ? -1 : real(fd);
}

int ftruncate(int fd, off_t length)
{
    REAL(ftruncate)
    return struck("ftruncate") ? -1 : real(fd, length);
}

int rename(const char *from, const char *to)
{
    REAL(rename)
    return struck("rename") ? -1 : real(from, to);
}

int mkdir(const char *path, mode_t mode)
{
    REAL(mkdir)
    return struck("mkdir") ? -1 : real(path, mode);
}

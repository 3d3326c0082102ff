/* Preloaded into the program under test: does something to the n-th call that puts something on disk.
 *
 * LAYEVAL_FAULT=N counts calls of the functions below, from 1, for files other than stdin, stdout and stderr.
 * LAYEVAL_FAULT_MODE says what happens at the N-th:
 *   fail  it returns ENOSPC, those behind it work again (the default)
 *   full  it and all later ones that need room on the disk return ENOSPC
 *   kill  the process kills itself in front of it
 *   torn  only calls that write bytes count; half of the bytes are written, then the process kills itself
 *   stop  the process stops in front of it, until it is sent SIGCONT
 *   log   nothing; every call is named on stderr
 * What happened is said on stderr in one line, so that a test knows when N lies beyond the last call. */
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

enum kind { BYTES, ROOM, OTHER }; /* writes bytes; may need room for them; neither */
enum mode { FAIL, FULL, KILL, TORN, STOP, LOG, MODES };

static enum mode mode_of(void)
{
    static const char *const names[MODES] = {"fail", "full", "kill", "torn", "stop", "log"};
    const char *name = getenv("LAYEVAL_FAULT_MODE");
    for (int mode = 0; name && mode < MODES; mode++)
        if (strcmp(names[mode], name) == 0)
            return (enum mode)mode;
    return FAIL;
}

static void die(void)
{
    kill(getpid(), SIGKILL);
}

/* Whether this call is to fail, or, in the mode `torn`, to be torn. */
static bool struck(const char *function, enum kind kind)
{
    static long calls;
    const char *at = getenv("LAYEVAL_FAULT");
    const enum mode mode = mode_of();
    if (!at || (mode == TORN && kind != BYTES))
        return false;
    const long wanted = strtol(at, NULL, 10), call = __atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED);
    if (mode == LOG || call == wanted)
        say(function);
    if (mode == KILL && call == wanted)
        die();
    if (mode == STOP && call == wanted)
        raise(SIGSTOP);
    if (mode == STOP || mode == LOG)
        return false;
    errno = ENOSPC;
    return mode == FULL ? call >= wanted && kind != OTHER : call == wanted;
}

/* Files that are only read, such as those under /proc, which are looked at by the clock, put nothing on disk.
 */
static bool ours(FILE *stream)
{
    return stream && fileno(stream) > STDERR_FILENO &&
           (fcntl(fileno(stream), F_GETFL) & O_ACCMODE) != O_RDONLY;
}

size_t fwrite(const void *bytes, size_t size, size_t n, FILE *stream)
{
    REAL(fwrite)
    if (!ours(stream) || !struck("fwrite", BYTES))
        return real(bytes, size, n, stream);
    if (mode_of() == TORN) {
        setvbuf(stream, NULL, _IONBF, 0); /* what is buffered goes to the file, and so does what follows */
        real(bytes, 1, size * n / 2, stream);
        die();
    }
    return 0;
}

int fflush(FILE *stream)
{
    REAL(fflush)
    return ours(stream) && struck("fflush", ROOM) ? EOF : real(stream);
}

int fclose(FILE *stream)
{
    REAL(fclose)
    const bool fails = ours(stream) && struck("fclose", ROOM);
    const int result = real(stream);
    if (fails)
        errno = ENOSPC;
    return fails ? EOF : result;
}

ssize_t write(int fd, const void *bytes, size_t n)
{
    REAL(write)
    if (fd <= STDERR_FILENO || !struck("write", BYTES))
        return real(fd, bytes, n);
    if (mode_of() == TORN) {
        (void)!real(fd, bytes, n / 2);
        die();
    }
    return -1;
}

ssize_t pwrite(int fd, const void *bytes, size_t n, off_t offset)
{
    REAL(pwrite)
    if (!struck("pwrite", BYTES))
        return real(fd, bytes, n, offset);
    if (mode_of() == TORN) {
        (void)!real(fd, bytes, n / 2, offset);
        die();
    }
    return -1;
}

int fsync(int fd)
{
    REAL(fsync)
    return struck("fsync", OTHER) ? -1 : real(fd);
}

int fdatasync(int fd)
{
    REAL(fdatasync)
    return struck("fdatasync", OTHER) ? -1 : real(fd);
}

int ftruncate(int fd, off_t length)
{
    REAL(ftruncate)
    return struck("ftruncate", OTHER) ? -1 : real(fd, length);
}

int rename(const char *from, const char *to)
{
    REAL(rename)
    return struck("rename", OTHER) ? -1 : real(from, to);
}

int mkdir(const char *path, mode_t mode)
{
    REAL(mkdir)
    struct stat there; /* then it needs no room and says EEXIST */
    return stat(path, &there) != 0 && struck("mkdir", ROOM) ? -1 : real(path, mode);
}

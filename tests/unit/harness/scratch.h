/* A directory for a test program, in memory where that can be: journals and reports are synced at every
 * write. */
#ifndef LAY_TEST_HARNESS_SCRATCH_H
#define LAY_TEST_HARNESS_SCRATCH_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SCRATCH_MAX 64

/* Creates it; `path` gets its name. */
static inline bool scratch_create(char path[SCRATCH_MAX])
{
    static const char *const places[] = {"/dev/shm", "/tmp"};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        snprintf(path, SCRATCH_MAX, "%s/layeval-test-XXXXXX", places[i]);
        if (access(places[i], W_OK) == 0 && mkdtemp(path))
            return true;
    }
    return false;
}

/* Removes it and what is in it; what a cmocka tear-down returns. */
static inline int scratch_remove(const char *path)
{
    char command[SCRATCH_MAX + 64];
    snprintf(command, sizeof command, "rm -rf %s", path);
    return system(command);
}

/* directory/name; overwritten by the eighth call after. */
static inline const char *scratch_at(const char *directory, const char *name)
{
    static char paths[8][256];
    static int next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", directory, name);
    return path;
}

#endif

#include "tasks/language.h"

#include "engine/base/file.h"
#include "engine/base/mem.h"

#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MARKER_FILE "languages.json"

static char found[PATH_MAX];

static bool holds_data(const char *dir)
{
    char *path = lay_path_join(dir, MARKER_FILE);
    const bool yes = path && lay_path_exists(path);
    lay_free(path);
    return yes;
}

/* PREFIX/bin/layeval → PREFIX/share/layeval, so that an installed tree may be moved. */
static bool beside_the_binary(char *dir, size_t size)
{
    char binary[PATH_MAX];
    const ssize_t length = readlink("/proc/self/exe", binary, sizeof binary - 1);
    if (length <= 0)
        return false;
    binary[length] = 0;
    char *slash = strrchr(binary, '/');
    if (!slash)
        return false;
    *slash = 0;
    const int written = snprintf(dir, size, "%s/../share/layeval", binary);
    return written > 0 && (size_t)written < size && holds_data(dir);
}

static void look(void)
{
    const char *given = getenv("LAYEVAL_DATA");
    if (given && *given) /* said by the user: not checked here, so that the complaint names it */
        snprintf(found, sizeof found, "%s", given);
    else if (!beside_the_binary(found, sizeof found))
        snprintf(found, sizeof found, "%s",
                 holds_data(LAYEVAL_SOURCE_DATA_DIR) ? LAYEVAL_SOURCE_DATA_DIR : LAYEVAL_INSTALL_DATA_DIR);
}

const char *lay_data_dir(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, look);
    return found;
}

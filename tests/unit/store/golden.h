/* Where the golden files are: tests/golden of this repository, else $LAYEVAL_SHARED/golden. */
#ifndef LAY_TESTS_STORE_GOLDEN_H
#define LAY_TESTS_STORE_GOLDEN_H

#include "engine/base/file.h"

#include <stdio.h>
#include <stdlib.h>

/* A path below the golden folder into `path`; false when the file is not there. */
static inline bool golden_path(char *path, size_t size, const char *relative)
{
    const char *shared = getenv("LAYEVAL_SHARED");
    snprintf(path, size, "%s/golden/%s", LAYEVAL_TEST_DIR, relative);
    if (lay_path_exists(path))
        return true;
    snprintf(path, size, "%s/golden/%s", shared && *shared ? shared : LAYEVAL_TEST_DIR "/../../shared",
             relative);
    return lay_path_exists(path);
}

#endif

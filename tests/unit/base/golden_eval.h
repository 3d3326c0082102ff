/* A file of the golden evaluation functions: tests/golden of this repository, else $LAYEVAL_SHARED/golden. */
#ifndef LAY_TESTS_BASE_GOLDEN_EVAL_H
#define LAY_TESTS_BASE_GOLDEN_EVAL_H

#include "engine/base/file.h"

#include <stdio.h>
#include <stdlib.h>

static inline bool golden_eval_path(char *path, size_t size, const char *name)
{
    const char *shared = getenv("LAYEVAL_SHARED");
    snprintf(path, size, "%s/golden/eval_functions/%s", LAYEVAL_TEST_DIR, name);
    if (lay_path_exists(path))
        return true;
    snprintf(path, size, "%s/golden/eval_functions/%s",
             shared && *shared ? shared : LAYEVAL_TEST_DIR "/../../shared", name);
    return lay_path_exists(path);
}

#endif

/* What the tests of the tasks package share. Include last. */
#ifndef TESTS_UNIT_TASKS_SUPPORT_H
#define TESTS_UNIT_TASKS_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/base/mem.h"
#include "tasks/task.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define assert_ok(status, err)                                                                               \
    do {                                                                                                     \
        if ((status) != LAY_OK)                                                                              \
            fail_msg("%s", (err).message);                                                                   \
    } while (0)

static inline cJSON *read_json(const char *relative)
{
    struct lay_err err = {0};
    char path[4096];
    cJSON *root = NULL;
    snprintf(path, sizeof path, "%s/%s", LAYEVAL_TEST_DIR, relative);
    assert_ok(lay_json_read(path, &root, &err), err);
    return root;
}

static inline const char *text_of(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    assert_true(cJSON_IsString(item));
    return item->valuestring;
}

static inline const struct lay_task *task_named(const char *name)
{
    struct lay_err err = {0};
    const struct lay_task *task = NULL;
    assert_ok(lay_task_find(name, &task, &err), err);
    return task;
}

static inline int load_languages(void **state)
{
    struct lay_err err = {0};
    (void)state;
    return lay_languages_load(NULL, &err) == LAY_OK ? 0 : -1;
}

#endif

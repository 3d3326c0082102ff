/* Data files in a temporary folder, read as datasets. Include behind the headers under test. */
#ifndef TESTS_UNIT_TASKS_DATA_FOLDER_H
#define TESTS_UNIT_TASKS_DATA_FOLDER_H

#include "tests/unit/tasks/support.h"

#include "tasks/dataset.h"

#include <ftw.h>

static char folder[64];

static inline int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

static inline int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/layeval-data-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static inline int remove_folder(void **state)
{
    (void)state;
    return nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static inline void put_bytes(const char *name, const char *bytes, size_t length)
{
    struct lay_err err = {0};
    char *path = lay_path_join(folder, name);
    char *dir = lay_path_dirname(path);
    assert_ok(lay_mkdirs(dir, &err), err);
    assert_ok(lay_file_write(path, bytes, length, &err), err);
    lay_free(path);
    lay_free(dir);
}

static inline void put(const char *name, const char *text)
{
    put_bytes(name, text, strlen(text));
}

static inline void take_away(const char *name)
{
    char *path = lay_path_join(folder, name);
    assert_int_equal(unlink(path), 0);
    lay_free(path);
}

static inline enum lay_status load(const char *dir, const char *task, const char *language,
                                   const char *layout, int64_t limit, struct lay_dataset **dataset,
                                   struct lay_err *err)
{
    const struct lay_data_options options = {.dir = dir, .layout = layout, .limit = limit};
    return lay_dataset_load(task_named(task), lay_language_find(language), &options, dataset, err);
}

static inline struct lay_dataset *loaded(const char *task, const char *language)
{
    struct lay_err err = {0};
    struct lay_dataset *dataset = NULL;
    assert_ok(load(folder, task, language, NULL, -1, &dataset, &err), err);
    return dataset;
}

static inline void refused(const char *task, const char *language, enum lay_status status,
                           const char *message)
{
    struct lay_err err = {0};
    struct lay_dataset *dataset;
    const enum lay_status found = load(folder, task, language, NULL, -1, &dataset, &err);
    if (found != status || !strstr(err.message, message))
        fail_msg("status %d, message \"%s\"; expected %d and \"%s\"", (int)found, err.message, (int)status,
                 message);
    assert_null(dataset);
}

/* The folder of the real data sets, NULL (and a message) where there is none. */
static inline const char *real_data(void)
{
    static char path[4096];
    const char *shared = getenv("LAYEVAL_SHARED");
    snprintf(path, sizeof path, "%s/real/datasets", shared ? shared : "../shared");
    if (lay_path_is_dir(path))
        return path;
    print_message("%s is not there: skipped (set LAYEVAL_SHARED)\n", path);
    return NULL;
}

#define in_folder(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

#endif

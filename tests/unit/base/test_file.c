/* Files: written whole or not at all, read with limits, paths taken apart. */
#include "engine/base/file.h"

#include "engine/base/hash.h"
#include "engine/base/mem.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static char dir[64], path[128];
static struct lay_err err;

static int set_up(void **state)
{
    (void)state;
    err = (struct lay_err){0};
    strcpy(dir, "/tmp/layeval-test-XXXXXX");
    if (!mkdtemp(dir))
        return 1;
    snprintf(path, sizeof path, "%s/file", dir);
    return 0;
}

static int tear_down(void **state)
{
    struct lay_dir list;
    (void)state;
    if (lay_dir_list(dir, &list, NULL) == LAY_OK) {
        for (size_t i = 0; i < list.count; i++) {
            char *name = lay_path_join(dir, list.names[i]);
            remove(name);
            lay_free(name);
        }
        lay_dir_free(&list);
    }
    return rmdir(dir);
}

static void assert_content(const char *expected)
{
    struct lay_str content = {0};
    assert_int_equal(lay_file_read(path, 1000, &content, &err), LAY_OK);
    assert_string_equal(lay_str_text(&content), expected);
    lay_str_free(&content);
}

static size_t files(void)
{
    struct lay_dir list;
    assert_int_equal(lay_dir_list(dir, &list, &err), LAY_OK);
    const size_t n = list.count;
    lay_dir_free(&list);
    return n;
}

static void a_file_is_replaced_at_commit_and_not_before(void **state)
{
    (void)state;
    struct lay_file_writer *writer;
    assert_int_equal(lay_file_write(path, "old", 3, &err), LAY_OK);
    assert_int_equal(lay_file_writer_open(path, &writer, &err), LAY_OK);
    assert_int_equal(lay_file_writer_write(writer, "new", 3, &err), LAY_OK);
    assert_content("old");
    assert_int_equal(lay_file_writer_commit(writer, &err), LAY_OK);
    assert_content("new");
    assert_int_equal(lay_file_writer_open(path, &writer, &err), LAY_OK);
    assert_int_equal(lay_file_writer_write(writer, "newer", 5, &err), LAY_OK);
    lay_file_writer_abort(writer);
    lay_file_writer_abort(NULL);
    assert_content("new");
    assert_int_equal(files(), 1);
}

static void a_text_is_written_in_a_directory_unless_part_of_it_is_missing(void **state)
{
    (void)state;
    struct lay_str text = {0};
    lay_str_puts(&text, "whole");
    assert_int_equal(lay_file_write_in(dir, "file", &text, &err), LAY_OK);
    assert_content("whole");
    lay_str_puts(&text, " and more");
    text.failed = true;
    assert_int_equal(lay_file_write_in(dir, "file", &text, &err), LAY_ERR_MEMORY);
    assert_content("whole");
    lay_str_free(&text);
}

/* A limit on file sizes stands in for a full disk. */
static void a_write_that_fails_is_reported_and_leaves_the_old_file(void **state)
{
    (void)state;
    static char block[1 << 16];
    struct lay_file_writer *writer;
    struct rlimit before, small;
    enum lay_status status = LAY_OK;
    assert_int_equal(lay_file_write(path, "old", 3, &err), LAY_OK);
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 100000;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    assert_int_equal(lay_file_writer_open(path, &writer, &err), LAY_OK);
    for (int i = 0; i < 4 && status == LAY_OK; i++)
        status = lay_file_writer_write(writer, block, sizeof block, &err);
    if (status == LAY_OK)
        status = lay_file_writer_commit(writer, &err);
    else
        lay_file_writer_abort(writer);
    const enum lay_status at_once = lay_file_write(path, block, 1, NULL);
    setrlimit(RLIMIT_FSIZE, &before);
    signal(SIGXFSZ, handler);
    assert_int_equal(status, LAY_ERR_IO);
    assert_non_null(strstr(err.message, path));
    assert_int_equal(at_once, LAY_OK);
    assert_int_equal(files(), 1);
}

/* What does not fill the buffer fails at the commit. */
static void a_failure_in_the_last_flush_is_reported(void **state)
{
    (void)state;
    struct lay_file_writer *writer;
    struct rlimit before, small;
    assert_int_equal(lay_file_write(path, "old", 3, &err), LAY_OK);
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 4;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    const enum lay_status opened = lay_file_writer_open(path, &writer, &err);
    const enum lay_status written = lay_file_writer_write(writer, "123456", 6, &err);
    const enum lay_status committed = lay_file_writer_commit(writer, &err);
    setrlimit(RLIMIT_FSIZE, &before);
    signal(SIGXFSZ, handler);
    assert_int_equal(opened, LAY_OK);
    assert_int_equal(written, LAY_OK);
    assert_int_equal(committed, LAY_ERR_IO);
    assert_content("old");
    assert_int_equal(files(), 1);
}

static void reading_is_limited_and_names_the_file(void **state)
{
    (void)state;
    struct lay_str content = {0};
    struct lay_file_map map;
    assert_int_equal(lay_file_write(path, "12345", 5, &err), LAY_OK);
    assert_int_equal(lay_file_read(path, 4, &content, &err), LAY_ERR_INPUT);
    assert_non_null(strstr(err.message, path));
    assert_int_equal(lay_file_read(path, 5, &content, &err), LAY_OK);
    assert_string_equal(content.data, "12345");
    lay_str_free(&content);
    assert_int_equal(lay_file_read(dir, 5, &content, &err), LAY_ERR_INPUT);
    assert_int_equal(lay_file_map("/nonexistent/x", &map, &err), LAY_ERR_INPUT);
    assert_string_equal(err.message, "/nonexistent/x: cannot open: No such file or directory");
    assert_int_equal(lay_file_map(path, &map, &err), LAY_OK);
    assert_int_equal(map.size, 5);
    assert_memory_equal(map.data, "12345", 5);
    lay_file_unmap(&map);
    lay_file_unmap(&map);
    assert_int_equal(lay_file_write(path, "", 0, &err), LAY_OK);
    assert_int_equal(lay_file_map(path, &map, &err), LAY_OK);
    assert_true(map.size == 0 && !map.data);
}

static void writing_where_it_cannot_be_names_the_place(void **state)
{
    (void)state;
    char below[160];
    assert_int_equal(lay_file_write(path, "x", 1, &err), LAY_OK);
    snprintf(below, sizeof below, "%s/below", path);
    assert_int_equal(lay_file_write(below, "x", 1, &err), LAY_ERR_INPUT);
    assert_non_null(strstr(err.message, below));
    assert_int_equal(lay_mkdirs(below, &err), LAY_ERR_IO);
    assert_int_equal(lay_mkdirs(path, &err), LAY_ERR_IO);
    assert_non_null(strstr(err.message, "not a directory"));
}

static void directories_are_made_and_listed_in_order(void **state)
{
    (void)state;
    char deep[160];
    struct lay_dir list;
    static const char *const names[] = {"b", "a", "B", "é", ".hidden"};
    snprintf(deep, sizeof deep, "%s/x//y/", dir);
    assert_int_equal(lay_mkdirs(deep, &err), LAY_OK);
    assert_int_equal(lay_mkdirs(deep, &err), LAY_OK);
    assert_true(lay_path_is_dir(deep));
    for (size_t i = 0; i < 5; i++) {
        char *file = lay_path_join(deep, names[i]);
        assert_int_equal(lay_file_write(file, "", 0, &err), LAY_OK);
        lay_free(file);
    }
    assert_int_equal(lay_dir_list(deep, &list, &err), LAY_OK);
    assert_int_equal(list.count, 4);
    assert_string_equal(list.names[0], "B");
    assert_string_equal(list.names[1], "a");
    assert_string_equal(list.names[2], "b");
    assert_string_equal(list.names[3], "é");
    lay_dir_free(&list);
    for (size_t i = 0; i < 5; i++) {
        char *file = lay_path_join(deep, names[i]);
        unlink(file);
        lay_free(file);
    }
    rmdir(deep);
    assert_int_equal(lay_dir_list(deep, &list, &err), LAY_ERR_INPUT);
}

static void assert_path(char *made, const char *expected)
{
    assert_string_equal(made, expected);
    lay_free(made);
}

static void paths_are_joined_and_split(void **state)
{
    (void)state;
    assert_path(lay_path_join("a", "b"), "a/b");
    assert_path(lay_path_join("a/", "b"), "a/b");
    assert_path(lay_path_join("", "b"), "b");
    assert_path(lay_path_join(NULL, "b"), "b");
    assert_path(lay_path_join("a", "/b"), "/b");
    assert_path(lay_path_dirname("a/b/c"), "a/b");
    assert_path(lay_path_dirname("c"), ".");
    assert_path(lay_path_dirname("/c"), "/");
    assert_string_equal(lay_path_basename("a/b/c"), "c");
    assert_string_equal(lay_path_basename("c"), "c");
    assert_string_equal(lay_path_basename("a/"), "");
}

static void hashes_are_those_of_xxhsum(void **state)
{
    (void)state;
    char hex[LAY_HASH_HEX];
    /* `printf '' | xxhsum -H2` and `printf 'layeval\n' | xxhsum -H2` */
    lay_hash_hex(lay_hash_bytes("", 0), hex);
    assert_string_equal(hex, "99aa06d3014798d86001c324468d497f");
    assert_int_equal(lay_file_write(path, "layeval\n", 8, &err), LAY_OK);
    assert_int_equal(lay_hash_file(path, hex, &err), LAY_OK);
    assert_string_equal(hex, "395abb531fabc39a8b8e124c8349f60a");
}

static void memory_failing_anywhere_is_an_error(void **state)
{
    (void)state;
    enum lay_status status = LAY_ERR_MEMORY;
    for (long n = 0; status == LAY_ERR_MEMORY; n++) {
        lay_mem_fail_after(n);
        status = lay_file_write(path, "new", 3, &err);
        lay_mem_fail_after(-1);
        assert_int_equal(files(), status == LAY_OK);
        assert_true(n < 50);
    }
    assert_int_equal(status, LAY_OK);
    assert_content("new");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_file_is_replaced_at_commit_and_not_before),
        TEST(a_text_is_written_in_a_directory_unless_part_of_it_is_missing),
        TEST(a_write_that_fails_is_reported_and_leaves_the_old_file),
        TEST(a_failure_in_the_last_flush_is_reported),
        TEST(reading_is_limited_and_names_the_file),
        TEST(writing_where_it_cannot_be_names_the_place),
        TEST(directories_are_made_and_listed_in_order),
        TEST(paths_are_joined_and_split),
        TEST(hashes_are_those_of_xxhsum),
        TEST(memory_failing_anywhere_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

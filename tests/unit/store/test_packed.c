/* Packed caches: what was written is found, and no damage is taken for it. */
#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "engine/store/packed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char directory[] = "/tmp/layeval-packed-XXXXXX";
static char path[128];
static const struct lay_hash fingerprint = {0x0123456789abcdefu, 0xfedcba9876543210u};

static void write_one(void)
{
    struct lay_packed_writer *writer;
    struct lay_err err = {0};
    assert_int_equal(lay_packed_create(path, "key", &writer, &err), LAY_OK);
    assert_int_equal(lay_packed_begin(writer, "second", &err), LAY_OK);
    assert_int_equal(lay_packed_write(writer, "ab", 2, &err), LAY_OK);
    assert_int_equal(lay_packed_write(writer, "c", 1, &err), LAY_OK);
    assert_int_equal(lay_packed_begin(writer, "first", &err), LAY_OK);
    assert_int_equal(lay_packed_write(writer, "0123456789", 10, &err), LAY_OK);
    assert_int_equal(lay_packed_commit(writer, fingerprint, &err), LAY_OK);
}

static void blocks_are_found_by_name_and_aligned(void **state)
{
    (void)state;
    struct lay_packed *packed;
    size_t bytes;
    write_one();
    assert_int_equal(lay_packed_open(path, "key", &packed, NULL), LAY_OK);
    const char *block = lay_packed_find(packed, "first", &bytes);
    assert_int_equal(bytes, 10);
    assert_memory_equal(block, "0123456789", 10);
    assert_int_equal((uintptr_t)block % 4096, 0);
    block = lay_packed_find(packed, "second", &bytes);
    assert_int_equal(bytes, 3);
    assert_memory_equal(block, "abc", 3);
    assert_null(lay_packed_find(packed, "third", &bytes));
    const struct lay_hash hash = lay_packed_fingerprint(packed);
    assert_memory_equal(&hash, &fingerprint, sizeof hash);
    lay_packed_close(packed);
}

static void another_key_and_a_missing_file_are_refused(void **state)
{
    (void)state;
    struct lay_packed *packed;
    struct lay_err err = {0};
    write_one();
    assert_int_equal(lay_packed_open(path, "yek", &packed, &err), LAY_ERR_INPUT);
    assert_non_null(strstr(err.message, "other weights"));
    assert_null(packed);
    assert_int_equal(lay_packed_open("/nowhere/x.packed", "key", &packed, NULL), LAY_ERR_INPUT);
}

/* Every length shorter than the file's, and every byte of header, index and trailer changed. */
static void what_is_cut_off_or_changed_is_refused(void **state)
{
    (void)state;
    struct lay_str whole = {0};
    struct lay_packed *packed;
    write_one();
    assert_int_equal(lay_file_read(path, 1 << 20, &whole, NULL), LAY_OK);
    for (size_t length = 0; length < whole.length; length += length < 8000 ? 97 : 1) {
        assert_int_equal(lay_file_write(path, whole.data, length, NULL), LAY_OK);
        assert_int_not_equal(lay_packed_open(path, "key", &packed, NULL), LAY_OK);
    }
    for (size_t at = 0; at < whole.length; at++) {
        if (at >= 64 && at < 8192 + 10)
            continue; /* blocks and the gaps between them carry checksums of their own */
        whole.data[at] ^= 0x20;
        assert_int_equal(lay_file_write(path, whole.data, whole.length, NULL), LAY_OK);
        const enum lay_status status = lay_packed_open(path, "key", &packed, NULL);
        /* the last 24 bytes of the trailer are unused */
        if (status == LAY_OK)
            assert_true(at >= whole.length - 24);
        lay_packed_close(packed);
        whole.data[at] ^= 0x20;
    }
    lay_str_free(&whole);
}

static void a_failed_writer_leaves_nothing(void **state)
{
    (void)state;
    struct lay_packed_writer *writer;
    struct lay_err err = {0};
    unlink(path);
    assert_int_equal(lay_packed_create(path, "key", &writer, NULL), LAY_OK);
    lay_packed_abort(writer);
    assert_false(lay_path_exists(path));
    assert_int_equal(lay_packed_create("/nowhere/x.packed", "key", &writer, &err), LAY_ERR_INPUT);
    struct lay_dir list;
    assert_int_equal(lay_dir_list(directory, &list, NULL), LAY_OK);
    assert_int_equal(list.count, 0);
    lay_dir_free(&list);
}

static void every_failing_allocation_is_reported(void **state)
{
    (void)state;
    struct lay_packed *packed;
    write_one();
    long n = 0;
    for (enum lay_status status = LAY_ERR_MEMORY; status != LAY_OK; n++) {
        lay_mem_fail_after(n);
        status = lay_packed_open(path, "key", &packed, NULL);
        lay_mem_fail_after(-1);
        assert_true(status == LAY_OK || !packed);
        assert_true(n < 200);
    }
    lay_packed_close(packed);
    assert_true(n > 3);
}

static int setup(void **state)
{
    (void)state;
    if (!mkdtemp(directory))
        return 1;
    snprintf(path, sizeof path, "%s/x.packed", directory);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_found_by_name_and_aligned),
        cmocka_unit_test(another_key_and_a_missing_file_are_refused),
        cmocka_unit_test(what_is_cut_off_or_changed_is_refused),
        cmocka_unit_test(a_failed_writer_leaves_nothing),
        cmocka_unit_test(every_failing_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}

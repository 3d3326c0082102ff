/* The writer writes what the reference implementation writes, and leaves nothing behind when it fails. */
#include "tests/unit/store/golden.h"
#include "tests/unit/store/scratch.h"

#include "engine/base/mem.h"
#include "engine/store/checkpoint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct scratch scratch;

static int open_scratch(void **state)
{
    (void)state;
    scratch_open(&scratch);
    return 0;
}

static int close_scratch(void **state)
{
    (void)state;
    scratch_close(&scratch);
    return 0;
}

static struct lay_str read_file(const char *path)
{
    struct lay_str content = {0};
    assert_int_equal(lay_file_read(path, (size_t)1 << 26, &content, NULL), LAY_OK);
    return content;
}

static size_t files_in_scratch(void)
{
    struct lay_dir dir;
    assert_int_equal(lay_dir_list(scratch.dir, &dir, NULL), LAY_OK);
    const size_t n = dir.count;
    lay_dir_free(&dir);
    return n;
}

static void a_small_file_is_this_one(void **state)
{
    (void)state;
    struct lay_err err = {0};
    const float data[] = {1, -2, 0.5f};
    const struct lay_tensor_spec specs[] = {{"a\"b", LAY_F32, 2, {1, 2}}, {"c", LAY_F32, 0, {0}}};
    static const char header[] = "{\"__metadata__\":{\"format\":\"pt\"},"
                                 "\"a\\\"b\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[0,8]},"
                                 "\"c\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[8,12]}}";
    const size_t padded = (sizeof header - 1 + 7) / 8 * 8;
    assert_int_equal(
        scratch_write(scratch_path(&scratch, "m.safetensors"), specs, 2, data, sizeof data, &err), LAY_OK);
    struct lay_str content = read_file(scratch.path);
    assert_int_equal(content.length, 8 + padded + sizeof data);
    assert_int_equal((unsigned char)content.data[0], padded);
    assert_memory_equal(content.data + 1, "\0\0\0\0\0\0\0", 7);
    assert_memory_equal(content.data + 8, header, sizeof header - 1);
    for (size_t i = sizeof header - 1; i < padded; i++)
        assert_int_equal(content.data[8 + i], ' ');
    assert_memory_equal(content.data + 8 + padded, data, sizeof data);
    lay_str_free(&content);
}

static void golden_files_come_out_byte_for_byte(void **state)
{
    (void)state;
    static const char *const files[] = {"layalign_mt5_llama_linear/llm/model.safetensors",
                                        "mindmerger_xlmr_qwen2/encoder/model.safetensors",
                                        "mindmerger_mt5_llama/llm_sharded/model-00001-of-00003.safetensors"};
    char path[4096];
    for (size_t f = 0; f < sizeof files / sizeof *files; f++) {
        struct lay_checkpoint *checkpoint;
        struct lay_safetensors_writer *writer;
        struct lay_tensor_spec specs[128] = {0};
        struct lay_err err = {0};
        if (!golden_path(path, sizeof path, files[f]))
            skip();
        assert_int_equal(lay_checkpoint_open(path, &checkpoint, &err), LAY_OK);
        const size_t n = lay_checkpoint_count(checkpoint);
        assert_true(n <= 128);
        for (size_t i = 0; i < n; i++) {
            const struct lay_tensor *tensor = lay_checkpoint_at(checkpoint, i);
            specs[i] = (struct lay_tensor_spec){tensor->name, tensor->dtype, tensor->rank, {0}};
            memcpy(specs[i].shape, tensor->shape, sizeof specs[i].shape);
        }
        assert_int_equal(lay_safetensors_create(scratch_path(&scratch, "copy"), specs, n, &writer, &err),
                         LAY_OK);
        for (size_t i = 0; i < n; i++) {
            const struct lay_tensor *tensor = lay_checkpoint_at(checkpoint, i);
            assert_int_equal(lay_safetensors_put(writer, tensor->data, tensor->bytes / 2, &err), LAY_OK);
            assert_int_equal(lay_safetensors_put(writer, (const char *)tensor->data + tensor->bytes / 2,
                                                 tensor->bytes - tensor->bytes / 2, &err),
                             LAY_OK);
        }
        assert_int_equal(lay_safetensors_finish(writer, &err), LAY_OK);
        struct lay_str ours = read_file(scratch.path), theirs = read_file(path);
        assert_int_equal(ours.length, theirs.length);
        assert_memory_equal(ours.data, theirs.data, ours.length);
        lay_str_free(&ours);
        lay_str_free(&theirs);
        lay_checkpoint_close(checkpoint);
    }
}

static void wrong_amounts_of_data_leave_no_file(void **state)
{
    (void)state;
    struct lay_err err = {0};
    struct lay_safetensors_writer *writer;
    const struct lay_tensor_spec spec = {"a", LAY_BF16, 1, {3}};
    const char *path = scratch_path(&scratch, "m.safetensors");
    assert_int_equal(lay_safetensors_create(path, &spec, 1, &writer, &err), LAY_OK);
    assert_int_equal(lay_safetensors_put(writer, "12345", 5, &err), LAY_OK);
    assert_int_equal(lay_safetensors_put(writer, "67", 2, &err), LAY_ERR_INTERNAL);
    assert_int_equal(lay_safetensors_finish(writer, &err), LAY_ERR_INTERNAL);
    assert_int_equal(files_in_scratch(), 0);
    const struct lay_tensor_spec huge = {"a", LAY_F32, 2, {INT64_MAX, 8}};
    assert_int_equal(lay_safetensors_create(path, &huge, 1, &writer, &err), LAY_ERR_INPUT);
    assert_null(writer);
    assert_int_equal(files_in_scratch(), 0);
}

static void memory_failing_anywhere_is_an_error(void **state)
{
    (void)state;
    const struct lay_tensor_spec spec = {"a", LAY_F32, 1, {1}};
    const float one = 1;
    enum lay_status status = LAY_ERR_MEMORY;
    for (long n = 0; status == LAY_ERR_MEMORY; n++) {
        struct lay_err err = {0};
        lay_mem_fail_after(n);
        status = scratch_write(scratch_path(&scratch, "m.safetensors"), &spec, 1, &one, sizeof one, &err);
        lay_mem_fail_after(-1);
        assert_int_equal(files_in_scratch(), status == LAY_OK ? 1 : 0);
        assert_true(n < 100);
    }
    assert_int_equal(status, LAY_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_small_file_is_this_one, open_scratch, close_scratch),
        cmocka_unit_test_setup_teardown(golden_files_come_out_byte_for_byte, open_scratch, close_scratch),
        cmocka_unit_test_setup_teardown(wrong_amounts_of_data_leave_no_file, open_scratch, close_scratch),
        cmocka_unit_test_setup_teardown(memory_failing_anywhere_is_an_error, open_scratch, close_scratch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

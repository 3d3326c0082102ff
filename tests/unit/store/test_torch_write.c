/* What lay_torch_write writes, our own reader of torch files reads back; tests/cli/test_train.py reads such a
 * file with Python's zipfile and pickle. */
#include "tests/unit/store/scratch.h"

#include "engine/store/checkpoint.h"
#include "engine/store/torch_write.h"

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

static const float matrix[6] = {1, -2, 0.5f, 4, 0, -0.25f};
static const uint16_t halves[2] = {0x3f80, 0xc000}; /* 1 and −2 in bf16 */
static float large[700];                            /* more elements than one byte counts */

static const struct lay_torch_tensor tensors[] = {
    {{"a.weight", LAY_F32, 2, {2, 3}}, matrix, -1},    {{"gate", LAY_BF16, 1, {2}}, halves, -1},
    {{"alias.weight", LAY_F32, 2, {2, 3}}, matrix, 0}, {{"boundary", LAY_F32, 3, {1, 1, 700}}, large, -1},
    {{"scalar", LAY_F32, 0, {0}}, matrix + 3, -1},
};
enum { N_TENSORS = sizeof tensors / sizeof *tensors };

static void check(const char *path)
{
    struct lay_err err = {0};
    struct lay_checkpoint *checkpoint;
    if (lay_checkpoint_open(path, &checkpoint, &err) != LAY_OK)
        fail_msg("%s", err.message);
    assert_string_equal(lay_checkpoint_format(checkpoint), "torch zip");
    assert_int_equal(lay_checkpoint_count(checkpoint), N_TENSORS);
    for (size_t i = 0; i < N_TENSORS; i++) {
        const struct lay_tensor *tensor = lay_checkpoint_find(checkpoint, tensors[i].spec.name);
        assert_non_null(tensor);
        assert_int_equal(tensor->dtype, tensors[i].spec.dtype);
        assert_int_equal(tensor->rank, tensors[i].spec.rank);
        for (int j = 0; j < tensor->rank; j++)
            assert_int_equal(tensor->shape[j], tensors[i].spec.shape[j]);
        assert_memory_equal(tensor->data, tensors[i].data, tensor->bytes);
    }
    lay_checkpoint_close(checkpoint);
}

static void a_state_dict_reads_back(void **state)
{
    (void)state;
    struct lay_err err = {0};
    for (int i = 0; i < 700; i++)
        large[i] = (float)i / 8;
    if (lay_torch_write(scratch_path(&scratch, "pytorch_model.bin"), NULL, tensors, N_TENSORS, &err) !=
        LAY_OK)
        fail_msg("%s", err.message);
    check(scratch.path);
}

static void a_wrapped_state_dict_reads_back(void **state)
{
    (void)state;
    struct lay_err err = {0};
    if (lay_torch_write(scratch_path(&scratch, "wrapped.bin"), "model_state_dict", tensors, N_TENSORS,
                        &err) != LAY_OK)
        fail_msg("%s", err.message);
    check(scratch.path);
}

static void equal_tensors_make_equal_files(void **state)
{
    (void)state;
    struct lay_str files[2] = {{0}, {0}};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(
            lay_torch_write(scratch_path(&scratch, i ? "b.bin" : "a.bin"), NULL, tensors, N_TENSORS, NULL),
            LAY_OK);
        assert_int_equal(lay_file_read(scratch.path, 1 << 20, &files[i], NULL), LAY_OK);
    }
    assert_int_equal(files[0].length, files[1].length);
    assert_memory_equal(files[0].data, files[1].data, files[0].length);
    lay_str_free(&files[0]);
    lay_str_free(&files[1]);
}

static void a_failed_write_leaves_nothing(void **state)
{
    (void)state;
    struct lay_err err = {0};
    struct lay_dir dir;
    assert_int_equal(lay_dir_list(scratch.dir, &dir, NULL), LAY_OK);
    const size_t before = dir.count;
    lay_dir_free(&dir);
    assert_int_equal(
        lay_torch_write(scratch_path(&scratch, "no/such/folder.bin"), NULL, tensors, N_TENSORS, &err),
        LAY_ERR_IO);
    assert_non_null(strstr(err.message, "folder.bin"));
    for (long n = 0; n < 2; n++) {
        lay_mem_fail_after(n);
        assert_int_equal(
            lay_torch_write(scratch_path(&scratch, "memory.bin"), NULL, tensors, N_TENSORS, &err),
            LAY_ERR_MEMORY);
    }
    lay_mem_fail_after(-1);
    assert_int_equal(lay_dir_list(scratch.dir, &dir, NULL), LAY_OK);
    assert_int_equal(dir.count, before);
    lay_dir_free(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_state_dict_reads_back),
        cmocka_unit_test(a_wrapped_state_dict_reads_back),
        cmocka_unit_test(equal_tensors_make_equal_files),
        cmocka_unit_test(a_failed_write_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, open_scratch, close_scratch);
}

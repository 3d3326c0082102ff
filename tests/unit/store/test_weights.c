/* Looking weights up: order of sources, renaming, shapes, NaN and Inf, the fingerprint. */
#include "tests/unit/store/scratch.h"

#include "engine/base/mem.h"
#include "engine/store/weights.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <xxhash.h>

static struct scratch scratch;
static struct lay_checkpoint *first, *second;
static struct lay_weights *weights;
static struct lay_err err;

static const struct lay_tensor_spec first_specs[] = {
    {"pre.layers.0.attn.model.q", LAY_F32, 2, {2, 3}},
    {"pre.layers.0.attn.gate", LAY_F32, 1, {1}},
    {"nan", LAY_BF16, 1, {4}},
    {"inf", LAY_F16, 1, {3}},
    {"ids", LAY_I64, 1, {1}},
};
static const unsigned char first_data[] = {
    0,    0,    0x80, 0x3f, 0,    0,    0,    0x40, 0, 0, 0x40, 0x40,
    0,    0,    0x80, 0x40, 0,    0,    0xa0, 0x40, 0, 0, 0xc0, 0x40, /* 1 … 6 */
    0,    0,    0,    0x3f,                                           /* 0.5 */
    0x80, 0x3f, 0x80, 0x3f, 0xc0, 0x7f, 0x80, 0x3f,                   /* 1, 1, NaN, 1 */
    0,    0x3c, 0,    0x3c, 0,    0xfc,                               /* 1, 1, -Inf */
    1,    0,    0,    0,    0,    0,    0,    0,
};
static const struct lay_tensor_spec second_specs[] = {
    {"layers.0.attn.q", LAY_F32, 1, {1}},
    {"norm", LAY_BF16, 1, {2}},
};
static const unsigned char second_data[] = {0, 0, 0, 0, 0x80, 0x3f, 0, 0xc0}; /* 0; 1, -2 */

static int set_up(void **state)
{
    (void)state;
    err = (struct lay_err){0};
    scratch_open(&scratch);
    const char *path = scratch_path(&scratch, "first.safetensors");
    if (scratch_write(path, first_specs, 5, first_data, sizeof first_data, &err) != LAY_OK ||
        lay_checkpoint_open(path, &first, &err) != LAY_OK)
        return 1;
    path = scratch_path(&scratch, "second.safetensors");
    if (scratch_write(path, second_specs, 2, second_data, sizeof second_data, &err) != LAY_OK ||
        lay_checkpoint_open(path, &second, &err) != LAY_OK)
        return 1;
    if (lay_weights_create(&weights, &err) != LAY_OK ||
        lay_weights_add(weights, first, "pre.", "attn.", "attn.model.", &err) != LAY_OK ||
        lay_weights_add(weights, first, "", NULL, NULL, &err) != LAY_OK ||
        lay_weights_add(weights, second, "", NULL, NULL, &err) != LAY_OK)
        return 1;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    lay_weights_destroy(weights);
    lay_checkpoint_close(first);
    lay_checkpoint_close(second);
    scratch_close(&scratch);
    return 0;
}

static void the_first_source_wins(void **state)
{
    (void)state;
    const struct lay_tensor *tensor = lay_weights_find(weights, "layers.0.attn.q");
    assert_non_null(tensor);
    assert_string_equal(tensor->name, "pre.layers.0.attn.model.q");
    tensor = lay_weights_find(weights, "norm");
    assert_non_null(tensor);
    assert_string_equal(lay_path_basename(tensor->file), "second.safetensors");
    assert_null(lay_weights_find(weights, "layers.1.attn.q"));
    assert_null(lay_weights_find(weights, "q"));
}

static void shapes_are_checked(void **state)
{
    (void)state;
    const struct lay_tensor *tensor;
    const int64_t right[] = {2, 3}, any[] = {-1, 3}, wrong[] = {3, 2};
    assert_int_equal(lay_weights_get(weights, "layers.0.attn.q", 2, right, &tensor, &err), LAY_OK);
    assert_int_equal(lay_weights_get(weights, "layers.0.attn.q", 2, any, &tensor, &err), LAY_OK);
    assert_int_equal(lay_weights_get(weights, "layers.0.attn.q", 2, wrong, &tensor, &err), LAY_ERR_INPUT);
    assert_null(tensor);
    assert_non_null(strstr(err.message, "first.safetensors"));
    assert_non_null(strstr(err.message, "pre.layers.0.attn.model.q"));
    assert_non_null(strstr(err.message, "[2, 3]"));
    assert_non_null(strstr(err.message, "[3, 2]"));
    assert_int_equal(lay_weights_get(weights, "layers.0.attn.q", 1, right, &tensor, &err), LAY_ERR_INPUT);
}

static void missing_and_unusable_tensors_are_named(void **state)
{
    (void)state;
    const struct lay_tensor *tensor;
    const int64_t one[] = {1}, three[] = {3}, four[] = {4};
    assert_int_equal(lay_weights_get(weights, "attn.none", 1, one, &tensor, &err), LAY_ERR_INPUT);
    assert_non_null(strstr(err.message, "\"attn.none\" is missing"));
    assert_non_null(strstr(err.message, "\"pre.attn.model.none\""));
    assert_non_null(strstr(err.message, "second.safetensors"));
    assert_int_equal(lay_weights_get(weights, "nan", 1, four, &tensor, &err), LAY_ERR_INPUT);
    assert_non_null(strstr(err.message, "\"nan\" holds NaN at element 2"));
    assert_int_equal(lay_weights_get(weights, "inf", 1, three, &tensor, &err), LAY_ERR_INPUT);
    assert_non_null(strstr(err.message, "\"inf\" holds Inf at element 2"));
    assert_int_equal(lay_weights_get(weights, "ids", 1, one, &tensor, &err), LAY_ERR_INPUT);
    assert_non_null(strstr(err.message, "i64"));
}

static void vectors_are_widened(void **state)
{
    (void)state;
    float *vector;
    assert_int_equal(lay_weights_vector(weights, "norm", 2, &vector, &err), LAY_OK);
    assert_true(vector[0] == 1.0f && vector[1] == -2.0f);
    lay_free(vector);
    assert_int_equal(lay_weights_vector(weights, "norm", 3, &vector, &err), LAY_ERR_INPUT);
    assert_null(vector);
}

static void put_u64(struct lay_str *out, uint64_t number)
{
    for (int i = 0; i < 8; i++)
        lay_str_putc(out, (char)(number >> 8 * i));
}

/* The documented definition, put together by hand and hashed at once. */
static void the_fingerprint_is_what_its_definition_says(void **state)
{
    (void)state;
    const struct lay_tensor *tensor;
    const int64_t q[] = {2, 3}, norm[] = {2};
    struct lay_str text = {0};
    assert_int_equal(lay_weights_get(weights, "norm", 1, norm, &tensor, &err), LAY_OK);
    assert_int_equal(lay_weights_get(weights, "layers.0.attn.q", 2, q, &tensor, &err), LAY_OK);
    assert_int_equal(lay_weights_get(weights, "norm", 1, norm, &tensor, &err), LAY_OK);
    const XXH128_hash_t hq = XXH3_128bits(first_data, 24), hn = XXH3_128bits(second_data + 4, 4);
    lay_str_append(&text, "layers.0.attn.q\0f32", 20);
    put_u64(&text, 2);
    put_u64(&text, 2);
    put_u64(&text, 3);
    put_u64(&text, hq.high64);
    put_u64(&text, hq.low64);
    lay_str_append(&text, "norm\0bf16", 10);
    put_u64(&text, 1);
    put_u64(&text, 2);
    put_u64(&text, hn.high64);
    put_u64(&text, hn.low64);
    const XXH128_hash_t expected = XXH3_128bits(text.data, text.length);
    for (int i = 0; i < 2; i++) { /* asking twice changes nothing */
        const struct lay_hash hash = lay_weights_fingerprint(weights);
        assert_true(hash.low == expected.low64 && hash.high == expected.high64);
    }
    lay_str_free(&text);
}

/* A tensor of several blocks, with one NaN anywhere in it, in each type. */
static void nan_is_found_wherever_it_is(void **state)
{
    (void)state;
    static const struct {
        enum lay_dtype dtype;
        unsigned char bytes[8];
    } specials[] = {{LAY_F32, {0, 0, 0xc0, 0x7f}}, {LAY_F32, {0, 0, 0x80, 0xff}},
                    {LAY_F16, {1, 0x7c}},          {LAY_BF16, {0x81, 0xff}},
                    {LAY_BF16, {0x80, 0xff}},      {LAY_F64, {0, 0, 0, 0, 0, 0, 0xf0, 0x7f}}};
    const size_t n = 200001;
    const size_t places[] = {0, 1, 32767, 32768, 65536, 131071, n - 1};
    for (size_t s = 0; s < sizeof specials / sizeof *specials; s++) {
        const size_t size = lay_dtype_size(specials[s].dtype);
        unsigned char *data = lay_alloc(n, size);
        assert_non_null(data);
        for (size_t p = 0; p < sizeof places / sizeof *places; p++) {
            char wanted[64];
            struct lay_checkpoint *checkpoint;
            struct lay_weights *own;
            const struct lay_tensor *tensor;
            const int64_t shape[] = {(int64_t)n};
            const struct lay_tensor_spec spec = {"w", specials[s].dtype, 1, {(int64_t)n}};
            memset(data, 0, n * size);
            memcpy(data + places[p] * size, specials[s].bytes, size);
            const char *path = scratch_path(&scratch, "special.safetensors");
            assert_int_equal(scratch_write(path, &spec, 1, data, n * size, &err), LAY_OK);
            assert_int_equal(lay_checkpoint_open(path, &checkpoint, &err), LAY_OK);
            assert_int_equal(lay_weights_create(&own, &err), LAY_OK);
            assert_int_equal(lay_weights_add(own, checkpoint, "", NULL, NULL, &err), LAY_OK);
            assert_int_equal(lay_weights_get(own, "w", 1, shape, &tensor, &err), LAY_ERR_INPUT);
            snprintf(wanted, sizeof wanted, "at element %zu;", places[p]);
            if (!strstr(err.message, wanted))
                fail_msg("no \"%s\" in: %s", wanted, err.message);
            lay_weights_destroy(own);
            lay_checkpoint_close(checkpoint);
        }
        lay_free(data);
    }
}

static void dropped_pages_can_be_read_again(void **state)
{
    (void)state;
    const size_t n = 1 << 20;
    const struct lay_tensor_spec spec = {"w", LAY_U8, 1, {1 << 20}};
    unsigned char *data = lay_alloc(n, 1);
    struct lay_checkpoint *checkpoint;
    assert_non_null(data);
    for (size_t i = 0; i < n; i++)
        data[i] = (unsigned char)(i * 7 + i / 251);
    const char *path = scratch_path(&scratch, "pages.safetensors");
    assert_int_equal(scratch_write(path, &spec, 1, data, n, &err), LAY_OK);
    assert_int_equal(lay_checkpoint_open(path, &checkpoint, &err), LAY_OK);
    const struct lay_tensor *tensor = lay_checkpoint_at(checkpoint, 0);
    assert_memory_equal(tensor->data, data, n);
    lay_tensor_drop_pages(tensor);
    assert_memory_equal(tensor->data, data, n);
    lay_checkpoint_close(checkpoint);
    lay_free(data);
}

static void memory_failing_anywhere_is_an_error(void **state)
{
    (void)state;
    const int64_t q[] = {2, 3};
    enum lay_status status = LAY_ERR_MEMORY;
    for (long n = 0; status == LAY_ERR_MEMORY; n++) {
        struct lay_checkpoint *checkpoint = NULL;
        struct lay_weights *own = NULL;
        const struct lay_tensor *tensor;
        lay_mem_fail_after(n);
        status = lay_checkpoint_open(scratch_path(&scratch, "first.safetensors"), &checkpoint, &err);
        if (status == LAY_OK)
            status = lay_weights_create(&own, &err);
        if (status == LAY_OK)
            status = lay_weights_add(own, checkpoint, "pre.", "attn.", "attn.model.", &err);
        if (status == LAY_OK)
            status = lay_weights_get(own, "layers.0.attn.q", 2, q, &tensor, &err);
        lay_mem_fail_after(-1);
        lay_weights_destroy(own);
        lay_checkpoint_close(checkpoint);
        assert_true(n < 1000);
    }
    assert_int_equal(status, LAY_OK);
}

static void count_elements(void *context, size_t elements)
{
    *(size_t *)context += elements;
}

static void says_once_how_much_it_has_read(void **state)
{
    (void)state;
    const struct lay_tensor *tensor;
    size_t read = 0;
    lay_weights_listen(weights, count_elements, &read);
    assert_int_equal(lay_weights_get(weights, "norm", 1, (int64_t[]){2}, &tensor, &err), LAY_OK);
    assert_int_equal(read, 2);
    assert_int_equal(lay_weights_get(weights, "layers.0.attn.q", 2, (int64_t[]){2, 3}, &tensor, &err),
                     LAY_OK);
    assert_int_equal(read, 2 + 6);
    assert_int_equal(lay_weights_get(weights, "norm", 1, (int64_t[]){2}, &tensor, &err), LAY_OK); /* again */
    assert_int_equal(read, 2 + 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(says_once_how_much_it_has_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_first_source_wins, set_up, tear_down),
        cmocka_unit_test_setup_teardown(shapes_are_checked, set_up, tear_down),
        cmocka_unit_test_setup_teardown(missing_and_unusable_tensors_are_named, set_up, tear_down),
        cmocka_unit_test_setup_teardown(vectors_are_widened, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_fingerprint_is_what_its_definition_says, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nan_is_found_wherever_it_is, set_up, tear_down),
        cmocka_unit_test_setup_teardown(dropped_pages_can_be_read_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(memory_failing_anywhere_is_an_error, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

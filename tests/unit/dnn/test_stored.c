/* Layers that were stored and restored multiply as they did, and no other bytes are taken for them. */
#include "engine/base/mem.h"
#include "engine/base/str.h"
#include "engine/dnn/stored.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const enum lay_dtype dtypes[] = {LAY_F32, LAY_BF16, LAY_I8};

struct image {
    char *bytes; /* aligned */
    size_t length;
};

static enum lay_status append(void *context, const void *bytes, size_t length, struct lay_err *err)
{
    (void)err;
    lay_str_append(context, bytes, length);
    return LAY_OK;
}

static struct image store(const struct lay_linear *linear)
{
    struct lay_str text = {0};
    assert_int_equal(lay_linear_store(linear, append, &text, NULL), LAY_OK);
    assert_int_equal(text.length, lay_linear_stored_bytes(linear));
    struct image image = {lay_alloc_aligned(text.length, 1), text.length};
    memcpy(image.bytes, text.data, text.length);
    lay_str_free(&text);
    return image;
}

static float value(int64_t i)
{
    return (float)(i * 7919 % 2003 - 1001) / 1001.0f;
}

static struct lay_linear *make(struct lay_dnn *dnn, enum lay_dtype dtype, int64_t out, int64_t in, bool bias)
{
    float *w = calloc((size_t)(out * in), sizeof *w), *b = calloc((size_t)out, sizeof *b);
    struct lay_linear *linear = NULL;
    for (int64_t i = 0; i < out * in; i++)
        w[i] = value(i);
    for (int64_t i = 0; i < out; i++)
        b[i] = value(3 * i);
    const struct lay_matrix part = {w, LAY_F32, out, in, false};
    assert_int_equal(lay_linear_create(dnn, dtype, &part, 1, bias ? b : NULL, &linear, NULL), LAY_OK);
    free(w);
    free(b);
    return linear;
}

static void a_restored_layer_gives_the_same_bits(void **state)
{
    (void)state;
    enum { ROWS = 3 };
    static const struct {
        int64_t out, in;
        bool bias;
    } shapes[] = {{96, 64, true}, {1, 1, false}, {333, 77, true}, {700, 1500, false}};
    struct lay_dnn *dnn = NULL;
    assert_int_equal(lay_dnn_create(&dnn, NULL), LAY_OK);
    for (size_t d = 0; d < 3; d++)
        for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
            const int64_t out = shapes[s].out, in = shapes[s].in;
            float x[ROWS * 1500], y[2][ROWS * 700];
            struct lay_linear *packed = make(dnn, dtypes[d], out, in, shapes[s].bias), *restored = NULL;
            struct image image = store(packed);
            struct lay_err err = {0};
            if (lay_linear_restore(dnn, dtypes[d], out, in, shapes[s].bias, image.bytes, image.length,
                                   &restored, &err) != LAY_OK)
                fail_msg("%s", err.message);
            for (int64_t i = 0; i < ROWS * in; i++)
                x[i] = value(i + 5);
            assert_int_equal(lay_linear_forward(packed, x, y[0], ROWS, false, NULL), LAY_OK);
            lay_linear_destroy(packed);
            assert_int_equal(lay_linear_forward(restored, x, y[1], ROWS, false, NULL), LAY_OK);
            assert_memory_equal(y[0], y[1], (size_t)(ROWS * out) * sizeof(float));
            lay_linear_destroy(restored);
            lay_free(image.bytes);
        }
    lay_dnn_destroy(dnn);
}

static void other_bytes_are_refused(void **state)
{
    (void)state;
    enum { OUT = 48, IN = 24 }; /* so that sections end where the next begins */
    struct lay_dnn *dnn = NULL;
    assert_int_equal(lay_dnn_create(&dnn, NULL), LAY_OK);
    struct lay_linear *linear = make(dnn, LAY_BF16, OUT, IN, true), *none;
    struct image image = store(linear);
    const struct {
        enum lay_dtype dtype;
        int64_t out, in;
        bool bias;
    } others[] = {{LAY_F32, OUT, IN, true},      {LAY_I8, OUT, IN, true},   {LAY_BF16, OUT + 1, IN, true},
                  {LAY_BF16, OUT, IN + 8, true}, {LAY_BF16, IN, OUT, true}, {LAY_BF16, OUT, IN, false}};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_int_equal(lay_linear_restore(dnn, others[i].dtype, others[i].out, others[i].in, others[i].bias,
                                            image.bytes, image.length, &none, NULL),
                         LAY_ERR_INPUT);
    for (size_t length = 0; length < image.length; length += 61)
        assert_int_equal(lay_linear_restore(dnn, LAY_BF16, OUT, IN, true, image.bytes, length, &none, NULL),
                         LAY_ERR_INPUT);
    for (size_t at = 0; at < image.length; at++) {
        image.bytes[at] ^= 4;
        if (lay_linear_restore(dnn, LAY_BF16, OUT, IN, true, image.bytes, image.length, &none, NULL) ==
            LAY_OK) {
            assert_in_range(at, 72, 127); /* the unused end of the header */
            lay_linear_destroy(none);
        }
        image.bytes[at] ^= 4;
    }
    lay_free(image.bytes);
    lay_linear_destroy(linear);
    lay_dnn_destroy(dnn);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_restored_layer_gives_the_same_bits),
        cmocka_unit_test(other_bytes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Conversions of half-precision numbers, over all of them. */
#include "engine/base/dtype.h"

#include <math.h>
#include <string.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

/* What the bits mean, by IEEE 754's definition. */
static double half_value(unsigned h)
{
    const int exponent = (int)(h >> 10 & 0x1f), mantissa = (int)(h & 0x3ff);
    const double magnitude = exponent ? ldexp(1024 + mantissa, exponent - 25) : ldexp((double)mantissa, -24);
    return h & 0x8000 ? -magnitude : magnitude;
}

static void every_f16_has_the_value_of_its_bits(void **state)
{
    (void)state;
    for (unsigned h = 0; h < 0x10000; h++) {
        const float f = lay_f16_to_f32((uint16_t)h);
        if ((h & 0x7c00) == 0x7c00) {
            assert_true((h & 0x3ff) ? isnan(f) : isinf(f) && !signbit(f) == !(h & 0x8000));
            continue;
        }
        assert_true((double)f == half_value(h) && !signbit(f) == !(h & 0x8000));
    }
}

static uint16_t narrow(enum lay_dtype dtype, float f)
{
    uint16_t h;
    lay_from_f32(dtype, &f, &h, 1);
    return h;
}

static float widen(enum lay_dtype dtype, unsigned h)
{
    const uint16_t half = (uint16_t)h;
    float f;
    lay_to_f32(dtype, &half, &f, 1);
    return f;
}

/* Between two neighbours: everything below the middle goes down, above it up, the middle to the even one. */
static void assert_rounding(enum lay_dtype dtype, unsigned low, unsigned sign)
{
    const float a = widen(dtype, low), b = widen(dtype, low + 1);
    const float middle = (float)(((double)a + (double)b) / 2), s = sign ? -1.0f : 1.0f;
    assert_int_equal(narrow(dtype, s * a), low | sign);
    assert_int_equal(narrow(dtype, s * nextafterf(middle, 0)), low | sign);
    assert_int_equal(narrow(dtype, s * middle), (low + (low & 1)) | sign);
    assert_int_equal(narrow(dtype, s * nextafterf(middle, INFINITY)), (low + 1) | sign);
}

static void f32_rounds_to_the_nearest_half_everywhere(void **state)
{
    (void)state;
    for (unsigned h = 0; h < 0x7bff; h++) {
        assert_rounding(LAY_F16, h, 0);
        assert_rounding(LAY_F16, h, 0x8000);
    }
    for (unsigned h = 0; h < 0x7f7f; h++) {
        assert_rounding(LAY_BF16, h, 0);
        assert_rounding(LAY_BF16, h, 0x8000);
    }
}

static void large_numbers_become_infinite_and_nan_stays(void **state)
{
    (void)state;
    assert_int_equal(narrow(LAY_F16, 65504.0f), 0x7bff);
    assert_int_equal(narrow(LAY_F16, nextafterf(65520.0f, 0)), 0x7bff); /* 65520 is half way to 65536 */
    assert_int_equal(narrow(LAY_F16, 65520.0f), 0x7c00);
    assert_int_equal(narrow(LAY_F16, -1e30f), 0xfc00);
    assert_int_equal(narrow(LAY_F16, INFINITY), 0x7c00);
    assert_int_equal(narrow(LAY_BF16, 3.4028235e38f), 0x7f80);
    assert_int_equal(narrow(LAY_BF16, -INFINITY), 0xff80);
    assert_true(isnan(widen(LAY_F16, narrow(LAY_F16, NAN))));
    assert_true(isnan(widen(LAY_BF16, narrow(LAY_BF16, NAN))));
    /* A NaN whose payload is in the low bits alone must not become infinite. */
    const uint32_t bits = 0x7f800001u;
    float quiet;
    memcpy(&quiet, &bits, sizeof quiet);
    assert_true(isnan(widen(LAY_F16, lay_f32_to_f16(quiet))));
    assert_true(isnan(widen(LAY_BF16, lay_f32_to_bf16(quiet))));
}

static void bf16_is_the_upper_half_of_f32(void **state)
{
    (void)state;
    for (unsigned h = 0; h < 0x10000; h++) {
        const float f = widen(LAY_BF16, h);
        uint32_t bits;
        memcpy(&bits, &f, sizeof bits);
        assert_int_equal(bits, h << 16);
    }
}

static void sources_may_be_unaligned(void **state)
{
    (void)state;
    static const double values[] = {1.5, -2.25, 1e300};
    unsigned char bytes[1 + sizeof values];
    float out[3];
    memcpy(bytes + 1, values, sizeof values);
    lay_to_f32(LAY_F64, bytes + 1, out, 3);
    assert_true(out[0] == 1.5f && out[1] == -2.25f && isinf(out[2]));
}

static void names_and_sizes(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum lay_dtype dtype;
        size_t size;
        bool floating;
    } rows[] = {{"F32", LAY_F32, 4, true},   {"F16", LAY_F16, 2, true},  {"BF16", LAY_BF16, 2, true},
                {"F64", LAY_F64, 8, true},   {"I8", LAY_I8, 1, false},   {"U8", LAY_U8, 1, false},
                {"I16", LAY_I16, 2, false},  {"I32", LAY_I32, 4, false}, {"I64", LAY_I64, 8, false},
                {"BOOL", LAY_BOOL, 1, false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(lay_dtype_by_name(rows[i].name), rows[i].dtype);
        assert_int_equal(lay_dtype_by_name(lay_dtype_name(rows[i].dtype)), rows[i].dtype);
        assert_int_equal(lay_dtype_size(rows[i].dtype), rows[i].size);
        assert_int_equal(lay_dtype_is_floating(rows[i].dtype), rows[i].floating);
    }
    assert_int_equal(lay_dtype_by_name("F8_E4M3"), LAY_DTYPE_COUNT);
    assert_int_equal(lay_dtype_by_name(""), LAY_DTYPE_COUNT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_f16_has_the_value_of_its_bits),
        cmocka_unit_test(f32_rounds_to_the_nearest_half_everywhere),
        cmocka_unit_test(large_numbers_become_infinite_and_nan_stays),
        cmocka_unit_test(bf16_is_the_upper_half_of_f32),
        cmocka_unit_test(sources_may_be_unaligned),
        cmocka_unit_test(names_and_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

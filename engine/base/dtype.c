#include "engine/base/dtype.h"

#include <assert.h>
#include <strings.h>

static const struct {
    const char *name;
    size_t size;
} types[LAY_DTYPE_COUNT] = {
    [LAY_F32] = {"f32", 4}, [LAY_F16] = {"f16", 2},   [LAY_BF16] = {"bf16", 2}, [LAY_F64] = {"f64", 8},
    [LAY_I8] = {"i8", 1},   [LAY_U8] = {"u8", 1},     [LAY_I16] = {"i16", 2},   [LAY_I32] = {"i32", 4},
    [LAY_I64] = {"i64", 8}, [LAY_BOOL] = {"bool", 1},
};

size_t lay_dtype_size(enum lay_dtype dtype)
{
    return types[dtype].size;
}

bool lay_dtype_is_floating(enum lay_dtype dtype)
{
    return dtype == LAY_F32 || dtype == LAY_F16 || dtype == LAY_BF16 || dtype == LAY_F64;
}

const char *lay_dtype_name(enum lay_dtype dtype)
{
    return types[dtype].name;
}

enum lay_dtype lay_dtype_by_name(const char *name)
{
    int i = 0;
    while (i < LAY_DTYPE_COUNT && strcasecmp(types[i].name, name) != 0)
        i++;
    return (enum lay_dtype)i;
}

float lay_f16_to_f32(uint16_t h)
{
    const uint32_t sign = (uint32_t)(h & 0x8000u) << 16;
    uint32_t exponent = (h >> 10) & 0x1fu;
    uint32_t mantissa = h & 0x3ffu;
    uint32_t bits;
    if (exponent == 0x1f) {
        bits = sign | 0x7f800000u | mantissa << 13;
    } else if (exponent) {
        bits = sign | (exponent + 112) << 23 | mantissa << 13;
    } else if (!mantissa) {
        bits = sign;
    } else {
        exponent = 113;
        while (!(mantissa & 0x400u)) {
            mantissa <<= 1;
            exponent--;
        }
        bits = sign | exponent << 23 | (mantissa & 0x3ffu) << 13;
    }
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

uint16_t lay_f32_to_f16(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    const uint16_t sign = (uint16_t)(bits >> 16 & 0x8000u);
    const uint32_t magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u)
        return (uint16_t)(sign | 0x7e00u);
    if (magnitude >= 0x477ff000u) /* rounds to 65536 or more */
        return (uint16_t)(sign | 0x7c00u);
    if (magnitude < 0x33000001u) /* at most half of the smallest subnormal */
        return sign;
    uint32_t mantissa = (magnitude & 0x7fffffu) | 0x800000u;
    const uint32_t exponent = magnitude >> 23;
    const uint32_t shift = exponent < 113 ? 126 - exponent : 13;
    const uint32_t half = 1u << (shift - 1);
    const uint32_t rest = mantissa & ((1u << shift) - 1);
    mantissa >>= shift;
    mantissa += rest > half || (rest == half && (mantissa & 1u));
    const uint32_t base = exponent < 113 ? 0 : (exponent - 113) << 10;
    return (uint16_t)(sign | (base + mantissa));
}

#define CONVERT(type, expression)                                                                            \
    for (size_t i = 0; i < n; i++) {                                                                         \
        type v;                                                                                              \
        memcpy(&v, (const char *)src + i * sizeof v, sizeof v);                                              \
        dst[i] = (expression);                                                                               \
    }

void lay_to_f32(enum lay_dtype from, const void *src, float *dst, size_t n)
{
    switch (from) {
    case LAY_F32:
        memcpy(dst, src, n * sizeof *dst);
        break;
    case LAY_F16:
        CONVERT(uint16_t, lay_f16_to_f32(v))
        break;
    case LAY_BF16:
        CONVERT(uint16_t, lay_bf16_to_f32(v))
        break;
    case LAY_F64:
        CONVERT(double, (float)v)
        break;
    default:
        assert(!"not a floating type");
    }
}

void lay_from_f32(enum lay_dtype to, const float *src, void *dst, size_t n)
{
    uint16_t *half = dst;
    switch (to) {
    case LAY_F32:
        memcpy(dst, src, n * sizeof *src);
        break;
    case LAY_F16:
        for (size_t i = 0; i < n; i++)
            half[i] = lay_f32_to_f16(src[i]);
        break;
    case LAY_BF16:
        for (size_t i = 0; i < n; i++)
            half[i] = lay_f32_to_bf16(src[i]);
        break;
    default:
        assert(!"not a type we compute in");
    }
}

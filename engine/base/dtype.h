/* Element types of stored tensors and their conversion to what we compute in. */
#ifndef LAY_BASE_DTYPE_H
#define LAY_BASE_DTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum lay_dtype {
    LAY_F32,
    LAY_F16,
    LAY_BF16,
    LAY_F64,
    LAY_I8,
    LAY_U8,
    LAY_I16,
    LAY_I32,
    LAY_I64,
    LAY_BOOL,
    LAY_DTYPE_COUNT
};

size_t lay_dtype_size(enum lay_dtype dtype); /* bytes of one element */
bool lay_dtype_is_floating(enum lay_dtype dtype);
const char *lay_dtype_name(enum lay_dtype dtype); /* "f32", "bf16", … */
/* By our name or safetensors' ("F32", "BF16"), case-insensitively; LAY_DTYPE_COUNT when unknown. */
enum lay_dtype lay_dtype_by_name(const char *name);

static inline float lay_bf16_to_f32(uint16_t h)
{
    const uint32_t bits = (uint32_t)h << 16;
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

/* Round to nearest even; NaN stays a quiet NaN. */
static inline uint16_t lay_f32_to_bf16(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    if ((bits & 0x7fffffffu) > 0x7f800000u)
        return (uint16_t)((bits >> 16) | 0x40u);
    return (uint16_t)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

float lay_f16_to_f32(uint16_t h);
uint16_t lay_f32_to_f16(float f);

/* n elements of a floating type to f32, and back (f32, f16, bf16 only). Source need not be aligned. */
void lay_to_f32(enum lay_dtype from, const void *src, float *dst, size_t n);
void lay_from_f32(enum lay_dtype to, const float *src, void *dst, size_t n);

#endif

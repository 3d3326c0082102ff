#include "engine/store/scan.h"

#include "engine/base/mem.h"

#include <math.h>
#include <string.h>
#include <xxhash.h>

/* A block stays in the cache between hashing and checking, so that memory is read once. */
#define BLOCK_BYTES ((size_t)1 << 17)

/* Whether an exponent of all ones occurs: NaN or Inf. The data may be unaligned, hence memcpy. */
#define ANY_WITH_BITS(type)                                                                                  \
    static bool any_special_##type(const char *bytes, size_t n, type wanted)                                 \
    {                                                                                                        \
        type any = 0;                                                                                        \
        for (size_t i = 0; i < n; i++) {                                                                     \
            type v;                                                                                          \
            memcpy(&v, bytes + i * sizeof v, sizeof v);                                                      \
            any |= (type)((v & wanted) == wanted);                                                           \
        }                                                                                                    \
        return any != 0;                                                                                     \
    }
ANY_WITH_BITS(uint16_t)
ANY_WITH_BITS(uint32_t)
ANY_WITH_BITS(uint64_t)

static bool any_special(enum lay_dtype dtype, const char *bytes, size_t n)
{
    switch (dtype) {
    case LAY_F32:
        return any_special_uint32_t(bytes, n, 0x7f800000u);
    case LAY_F16:
        return any_special_uint16_t(bytes, n, 0x7c00u);
    case LAY_BF16:
        return any_special_uint16_t(bytes, n, 0x7f80u);
    case LAY_F64:
        return any_special_uint64_t(bytes, n, (uint64_t)0x7ff << 52);
    default:
        return false;
    }
}

/* Names the first special number among n elements of which the first has the index `base`. */
static enum lay_status refuse_special(const struct lay_tensor *tensor, const char *bytes, size_t base,
                                      size_t n, struct lay_err *err)
{
    const size_t size = lay_dtype_size(tensor->dtype);
    size_t i = 0;
    while (i + 1 < n && !any_special(tensor->dtype, bytes + i * size, 1))
        i++;
    float value = 0;
    lay_to_f32(tensor->dtype, bytes + i * size, &value, 1);
    return lay_fail(err, LAY_ERR_INPUT,
                    "%s: tensor \"%s\" holds %s at element %zu; the checkpoint is damaged or its training "
                    "diverged, download it again or use an earlier one",
                    tensor->file, tensor->name, isnan(value) ? "NaN" : "Inf", base + i);
}

static enum lay_status scan_blocks(const struct lay_tensor *tensor, bool finite, XXH3_state_t *state,
                                   struct lay_err *err)
{
    const size_t size = lay_dtype_size(tensor->dtype), step = BLOCK_BYTES / size;
    for (size_t at = 0; at < tensor->count; at += step) {
        const size_t n = tensor->count - at < step ? tensor->count - at : step;
        const char *bytes = (const char *)tensor->data + at * size;
        if (XXH3_128bits_update(state, bytes, n * size) == XXH_ERROR)
            return lay_fail(err, LAY_ERR_INTERNAL, "xxHash failed");
        if (finite && any_special(tensor->dtype, bytes, n))
            return refuse_special(tensor, bytes, at, n, err);
    }
    return LAY_OK;
}

enum lay_status lay_tensor_scan(const struct lay_tensor *tensor, bool finite, struct lay_hash *hash,
                                struct lay_err *err)
{
    XXH3_state_t *state = XXH3_createState();
    if (!state)
        return lay_no_memory(err, "a hash");
    XXH3_128bits_reset(state);
    const enum lay_status status = scan_blocks(tensor, finite, state, err);
    const XXH128_hash_t digest = XXH3_128bits_digest(state);
    XXH3_freeState(state);
    *hash = (struct lay_hash){.low = digest.low64, .high = digest.high64};
    return status;
}

struct lay_tensor_digest {
    XXH3_state_t *state;
};

enum lay_status lay_tensor_digest_create(struct lay_tensor_digest **digest, struct lay_err *err)
{
    *digest = lay_alloc(1, sizeof **digest);
    if (*digest)
        (*digest)->state = XXH3_createState();
    if (!*digest || !(*digest)->state) {
        lay_tensor_digest_destroy(*digest);
        *digest = NULL;
        return lay_no_memory(err, "a hash");
    }
    XXH3_128bits_reset((*digest)->state);
    return LAY_OK;
}

void lay_tensor_digest_destroy(struct lay_tensor_digest *digest)
{
    if (digest)
        XXH3_freeState(digest->state);
    lay_free(digest);
}

static void add_number(struct lay_tensor_digest *digest, uint64_t number)
{
    unsigned char bytes[8];
    for (int i = 0; i < 8; i++)
        bytes[i] = (unsigned char)(number >> 8 * i);
    XXH3_128bits_update(digest->state, bytes, sizeof bytes);
}

void lay_tensor_digest_add(struct lay_tensor_digest *digest, const char *name,
                           const struct lay_tensor *tensor, struct lay_hash hash)
{
    const char *dtype = lay_dtype_name(tensor->dtype);
    XXH3_128bits_update(digest->state, name, strlen(name) + 1);
    XXH3_128bits_update(digest->state, dtype, strlen(dtype) + 1);
    add_number(digest, (uint64_t)tensor->rank);
    for (int i = 0; i < tensor->rank; i++)
        add_number(digest, (uint64_t)tensor->shape[i]);
    add_number(digest, hash.high);
    add_number(digest, hash.low);
}

struct lay_hash lay_tensor_digest_finish(struct lay_tensor_digest *digest)
{
    const XXH128_hash_t hash = XXH3_128bits_digest(digest->state);
    XXH3_128bits_reset(digest->state);
    return (struct lay_hash){.low = hash.low64, .high = hash.high64};
}

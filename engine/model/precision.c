#include "engine/model/precision.h"

#include <string.h>

/* The gate and the up projection are one product, and a tied head is packed like a head of its own. */
static const struct {
    const char *name;
    uint32_t bit;
} modules[] = {
    {"q_proj", 1 << 0},    {"k_proj", 1 << 1},  {"v_proj", 1 << 2},    {"o_proj", 1 << 3},
    {"gate_proj", 1 << 4}, {"up_proj", 1 << 4}, {"down_proj", 1 << 5}, {"lm_head", 1 << 6},
    {"encoder", 1 << 7},   {"bridge", 1 << 8},
};
#define N_MODULES (sizeof modules / sizeof *modules)

static const struct {
    const char *name;
    enum lay_dtype dtype;
} dtypes[] = {
    {"f32", LAY_F32}, {"bf16", LAY_BF16}, {"int8", LAY_I8}, {"float32", LAY_F32}, {"bfloat16", LAY_BF16},
};
#define N_DTYPES (sizeof dtypes / sizeof *dtypes)

enum lay_dtype lay_precision_dtype(const char *name)
{
    for (size_t i = 0; i < N_DTYPES; i++)
        if (strcmp(dtypes[i].name, name) == 0)
            return dtypes[i].dtype;
    return LAY_DTYPE_COUNT;
}

const char *lay_precision_name(enum lay_dtype dtype)
{
    for (size_t i = 0; i < N_DTYPES; i++)
        if (dtypes[i].dtype == dtype)
            return dtypes[i].name;
    return "unknown";
}

static uint32_t bit_of(const char *name, size_t length)
{
    for (size_t i = 0; i < N_MODULES; i++)
        if (strlen(modules[i].name) == length && strncmp(modules[i].name, name, length) == 0)
            return modules[i].bit;
    return 0;
}

enum lay_status lay_precision_parse_keep(const char *list, uint32_t *keep, struct lay_err *err)
{
    *keep = 0;
    bool more = list && *list;
    for (const char *at = list; more;) {
        const size_t length = strcspn(at, ",");
        const uint32_t bit = bit_of(at, length);
        if (!bit)
            return lay_fail(
                err, LAY_ERR_USAGE,
                "\"%.*s\" is no module that can be kept in bf16; these are: q_proj, k_proj, v_proj, "
                "o_proj, gate_proj, up_proj, down_proj, lm_head, encoder, bridge",
                (int)length, at);
        *keep |= bit;
        more = at[length] == ',';
        at += length + 1;
    }
    return LAY_OK;
}

void lay_precision_put_keep(struct lay_str *out, uint32_t keep)
{
    bool first = true;
    for (size_t i = 0; i < N_MODULES; i++) {
        if (!(keep & modules[i].bit))
            continue;
        lay_str_puts(out, first ? "" : ",");
        lay_str_puts(out, modules[i].name);
        first = false;
    }
}

enum lay_dtype lay_precision_for(struct lay_precision precision, const char *name)
{
    const bool kept = precision.dtype == LAY_I8 && (precision.keep & bit_of(name, strlen(name)));
    return kept ? LAY_BF16 : precision.dtype;
}

struct lay_precision lay_precision_within(struct lay_precision precision, const char *name)
{
    return lay_precision_of(lay_precision_for(precision, name));
}

enum lay_dtype lay_precision_rows(struct lay_precision precision)
{
    return precision.dtype == LAY_F32 ? LAY_F32 : LAY_BF16;
}

/* What a model's matrix products are computed in: one dtype, and in int8 the modules that stay in bf16.
 * Norms, softmax, rotary embeddings, the residual stream and the aligner's fusion are f32 in every precision;
 * keys and values are stored in f32 with f32, else in bf16. */
#ifndef LAY_MODEL_PRECISION_H
#define LAY_MODEL_PRECISION_H

#include "engine/base/dtype.h"
#include "engine/base/err.h"
#include "engine/base/str.h"

struct lay_precision {
    enum lay_dtype dtype; /* LAY_F32, LAY_BF16, LAY_I8 */
    uint32_t keep;        /* int8: a bit per module that stays in bf16 */
};

static inline struct lay_precision lay_precision_of(enum lay_dtype dtype)
{
    return (struct lay_precision){dtype, 0};
}

/* "f32", "bf16", "int8"; LAY_DTYPE_COUNT for any other name ("float32" and "bfloat16" are taken, too). */
enum lay_dtype lay_precision_dtype(const char *name);
const char *lay_precision_name(enum lay_dtype dtype);

/* A list of modules "down_proj,lm_head" to bits: the LLM's matrices by the last part of their names, and
 * "encoder" and "bridge" whole. LAY_ERR_USAGE with the list of names when one is unknown. `list` NULL: none.
 */
enum lay_status lay_precision_parse_keep(const char *list, uint32_t *keep, struct lay_err *err);
/* The list of the bits, separated by commas. */
void lay_precision_put_keep(struct lay_str *out, uint32_t keep);

/* What the matrix `name` ("q_proj", "lm_head", "encoder", …) is multiplied in; names without a bit follow the
 * dtype. */
enum lay_dtype lay_precision_for(struct lay_precision precision, const char *name);
/* The same precision with all modules in the dtype of `name`: for an encoder or a bridge as a whole. */
struct lay_precision lay_precision_within(struct lay_precision precision, const char *name);
/* What rows between the products are rounded to where the official code holds them in its dtype: f32 or bf16.
 */
enum lay_dtype lay_precision_rows(struct lay_precision precision);

#endif

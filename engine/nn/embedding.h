/* An embedding table that stays mapped from its file; rows are converted as they are looked up. */
#ifndef LAY_NN_EMBEDDING_H
#define LAY_NN_EMBEDDING_H

#include "engine/base/dtype.h"
#include "engine/base/err.h"

#include <stdint.h>

struct lay_embedding {
    const void *data; /* [rows, cols] of dtype; borrowed from the checkpoint */
    enum lay_dtype dtype;
    int64_t rows, cols;
    enum lay_dtype compute; /* LAY_BF16 rounds looked-up rows to bf16, as a bf16 model holds them */
};

/* out [n, cols] f32 = scale · table[ids]. An id outside the table is LAY_ERR_INPUT. */
enum lay_status lay_embedding_lookup(const struct lay_embedding *table, const int32_t *ids, int64_t n,
                                     float scale, float *out, struct lay_err *err);

#endif

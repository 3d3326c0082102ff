#include "engine/nn/embedding.h"

enum lay_status lay_embedding_lookup(const struct lay_embedding *table, const int32_t *ids, int64_t n,
                                     float scale, float *out, struct lay_err *err)
{
    const int64_t cols = table->cols;
    const size_t row_bytes = (size_t)cols * lay_dtype_size(table->dtype);
    for (int64_t i = 0; i < n; i++)
        if (ids[i] < 0 || ids[i] >= table->rows)
            return lay_fail(err, LAY_ERR_INPUT,
                            "token id %d at position %lld is outside the embedding table of %lld rows: the "
                            "tokenizer does not belong to this model",
                            (int)ids[i], (long long)i, (long long)table->rows);
    for (int64_t i = 0; i < n; i++) {
        float *restrict row = out + i * cols;
        lay_to_f32(table->dtype, (const char *)table->data + (size_t)ids[i] * row_bytes, row, (size_t)cols);
        if (table->compute == LAY_BF16)
            for (int64_t c = 0; c < cols; c++)
                row[c] = lay_bf16_to_f32(lay_f32_to_bf16(row[c]));
        if (scale != 1.0f)
            for (int64_t c = 0; c < cols; c++)
                row[c] *= scale;
    }
    return LAY_OK;
}

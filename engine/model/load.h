/* From named tensors to packed layers, and work memory: what encoders, LLMs and bridges share. */
#ifndef LAY_MODEL_LOAD_H
#define LAY_MODEL_LOAD_H

#include "engine/dnn/linear.h"
#include "engine/model/precision.h"
#include "engine/nn/embedding.h"
#include "engine/store/weights.h"

/* Borrows all three for the time of loading. */
struct lay_loader {
    struct lay_dnn *dnn;
    struct lay_weights *weights;
    struct lay_precision precision;
};

/* Packs the matrices prefix + part + ".weight" [out, in] of the NULL-terminated `parts`, one below the other,
 * with their biases prefix + part + ".bias" when `bias`. The stored pages are dropped afterwards.
 * With a packed copy of the weights (lay_weights_use) the layer is taken from there, or added to the one that
 * is being written; a copy without it, or with another, is LAY_ERR_INPUT. */
enum lay_status lay_load_linear(const struct lay_loader *loader, const char *prefix, const char *const *parts,
                                int64_t out, int64_t in, bool bias, struct lay_linear **linear,
                                struct lay_err *err);

/* prefix + name as f32 [length]. Returns; free with lay_free. */
enum lay_status lay_load_vector(const struct lay_loader *loader, const char *prefix, const char *name,
                                int64_t length, float **vector, struct lay_err *err);

/* A table that stays mapped from its checkpoint. */
enum lay_status lay_load_embedding(const struct lay_loader *loader, const char *name, int64_t rows,
                                   int64_t cols, struct lay_embedding *table, struct lay_err *err);

/* Work memory that only grows; contents are lost when it does. Free with lay_work_free. */
struct lay_work {
    float *data;
    size_t capacity; /* floats */
};
enum lay_status lay_work_reserve(struct lay_work *work, int64_t rows, int64_t cols, struct lay_err *err);
void lay_work_free(struct lay_work *work);

#endif

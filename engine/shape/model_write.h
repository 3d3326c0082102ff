/* Writing the random tensors of a shape as a Hugging Face directory's weight files. */
#ifndef LAY_SHAPE_MODEL_WRITE_H
#define LAY_SHAPE_MODEL_WRITE_H

#include "engine/shape/shapes.h"

struct lay_model_write {
    const char *dir; /* exists */
    enum lay_dtype dtype;
    uint64_t seed;
    size_t shard_bytes; /* a shard's data stay below this, unless one tensor is larger; 0: one file */
    /* Hears how many bytes are written; non-zero stops with LAY_ERR_INTERRUPTED. May be NULL. */
    int (*progress)(void *context, size_t done, size_t total);
    void *context;
};

/* model.safetensors, or model-00001-of-0000N.safetensors … with model.safetensors.index.json. Memory needed
 * is a block of a megabyte, whatever the model. */
enum lay_status lay_model_write_weights(const struct lay_model_write *job,
                                        const struct lay_shape_tensors *tensors, struct lay_err *err);

#endif

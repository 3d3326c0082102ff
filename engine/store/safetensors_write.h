/* Writing a safetensors file, tensor by tensor, atomically. */
#ifndef LAY_STORE_SAFETENSORS_WRITE_H
#define LAY_STORE_SAFETENSORS_WRITE_H

#include "engine/base/dtype.h"
#include "engine/base/err.h"

#include <stdint.h>

/* What a file will hold; data are handed over later in this order. */
struct lay_tensor_spec {
    const char *name;
    enum lay_dtype dtype;
    int rank;
    int64_t shape[8];
};

struct lay_safetensors_writer;
enum lay_status lay_safetensors_create(const char *path, const struct lay_tensor_spec *specs, size_t count,
                                       struct lay_safetensors_writer **writer, struct lay_err *err);
/* The next piece of the data section; the bytes of all tensors one after the other, split anywhere. */
enum lay_status lay_safetensors_put(struct lay_safetensors_writer *writer, const void *bytes, size_t length,
                                    struct lay_err *err);
/* Refuses when bytes are missing. Frees the writer in any case. */
enum lay_status lay_safetensors_finish(struct lay_safetensors_writer *writer, struct lay_err *err);
void lay_safetensors_abort(struct lay_safetensors_writer *writer);

#endif

/* Writing what torch.save writes: a zip of a pickled state dict and one stored entry per storage, atomically.
 * Equal tensors make equal files: entries carry no time. */
#ifndef LAY_STORE_TORCH_WRITE_H
#define LAY_STORE_TORCH_WRITE_H

#include "engine/store/safetensors_write.h"

#include <stddef.h>

/* One tensor of the state dict; all borrowed. */
struct lay_torch_tensor {
    struct lay_tensor_spec spec; /* floating dtypes */
    const void *data;            /* row-major, little-endian */
    int64_t same_as; /* index of an earlier tensor whose storage it shares (an alias); −1: its own */
};

/* Writes PATH as {name: tensor, …} or, with `wrapper`, as {wrapper: {name: tensor, …}}. torch.load reads it
 * with weights_only, too: it names nothing but torch._utils._rebuild_tensor_v2, storages and OrderedDict. */
enum lay_status lay_torch_write(const char *path, const char *wrapper, const struct lay_torch_tensor *tensors,
                                size_t count, struct lay_err *err);

#endif

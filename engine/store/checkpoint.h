/* Checkpoints: named tensors in the files that people publish.
 *
 * Reads a single .safetensors or torch .bin file (zip or legacy pickle), or a Hugging Face directory holding
 * model.safetensors, pytorch_model.bin or either one sharded with its index. Files are hostile until checked:
 * every offset, size, stride and overlap is validated in open, pickles run in a machine that can call
 * nothing. Tensor data stay mapped from the file; nothing is copied before it is asked for. */
#ifndef LAY_STORE_CHECKPOINT_H
#define LAY_STORE_CHECKPOINT_H

#include "engine/base/dtype.h"
#include "engine/base/err.h"
#include "engine/base/hash.h"
#include "engine/base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LAY_TENSOR_MAX_RANK 8

/* Makes the data of tensors that no file holds (random weights, engine/shape/random_checkpoint.h). */
struct lay_tensor;
struct lay_tensor_maker {
    /* Fills tensor->data, which are zeros; called when the tensor is first read. */
    void (*make)(void *context, const struct lay_tensor *tensor);
    /* False: the data are given back once they are packed, and are zeros from then on. */
    bool (*keeps)(void *context, const struct lay_tensor *tensor);
    void (*destroy)(void *context); /* with the checkpoint */
    void *context;
};

/* One stored tensor. Lives as long as its checkpoint. Data are C-contiguous, little-endian, possibly
 * unaligned; a torch tensor with other strides is refused unless it is a transposed matrix view, for which
 * `transposed` is set: data then hold [shape[1], shape[0]]. */
struct lay_tensor {
    const char *name;
    const char *file; /* path of the file it stands in, for messages */
    enum lay_dtype dtype;
    int rank;
    int64_t shape[LAY_TENSOR_MAX_RANK];
    size_t count; /* elements */
    size_t bytes;
    const void *data;
    bool transposed;
    const struct lay_tensor_maker *maker; /* NULL: the data are there */
};

struct lay_checkpoint;

/* `path` is a file or a directory. Returns; free with lay_checkpoint_close. */
enum lay_status lay_checkpoint_open(const char *path, struct lay_checkpoint **checkpoint,
                                    struct lay_err *err);
/* A checkpoint of tensors that are made: `tensors` say name, dtype, rank and shape. Memory is taken tensor by
 * tensor as they are read. `name` stands for the file in messages. Takes the maker's context, also on
 * failure. */
enum lay_status lay_checkpoint_make(const char *name, const struct lay_tensor *tensors, size_t count,
                                    const struct lay_tensor_maker *maker, struct lay_checkpoint **checkpoint,
                                    struct lay_err *err);
void lay_checkpoint_close(struct lay_checkpoint *checkpoint); /* accepts NULL */

const char *lay_checkpoint_path(const struct lay_checkpoint *checkpoint);
const char *
lay_checkpoint_format(const struct lay_checkpoint
                          *checkpoint); /* "safetensors", "torch zip", "torch legacy", with ", N shards" */
size_t lay_checkpoint_count(const struct lay_checkpoint *checkpoint);
/* In order of name. */
const struct lay_tensor *lay_checkpoint_at(const struct lay_checkpoint *checkpoint, size_t index);
/* NULL when there is none of that name. */
const struct lay_tensor *lay_checkpoint_find(const struct lay_checkpoint *checkpoint, const char *name);

/* What tells its files from others without reading them: device, inode, size, times of the last change to
 * content and to the inode, and a hash over 64 pages of each; one line a file is appended. A file that was
 * written to, replaced, copied or restored gives another text. LAY_ERR_INPUT for a checkpoint that is made.
 */
enum lay_status lay_checkpoint_identity(const struct lay_checkpoint *checkpoint, struct lay_str *text,
                                        struct lay_err *err);

/* Copies all elements to f32 (row-major in `shape` order, whatever `transposed` says).
 * LAY_ERR_INPUT for a non-floating dtype. */
enum lay_status lay_tensor_to_f32(const struct lay_tensor *tensor, float *dst, struct lay_err *err);

/* "[2048, 512]" into text; returns text. */
const char *lay_tensor_shape_text(const struct lay_tensor *tensor, char *text, size_t size);

/* Tells the kernel that the pages of this tensor's data are no longer needed. Those of a file stay readable,
 * those of a maker only if it keeps them. */
void lay_tensor_drop_pages(const struct lay_tensor *tensor);

#endif

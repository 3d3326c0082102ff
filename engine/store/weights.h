/* Weights of one module (an encoder, an LLM, a bridge), looked up by the name that the module's own code
 * uses, wherever the checkpoints hold them.
 *
 * A weights object is an ordered list of (checkpoint, prefix) sources: the first source that has prefix +
 * name wins. A LayAlign bridge file, for one, holds copies of the encoder and the LLM that take precedence
 * over the Hugging Face directories. It also keeps the fingerprint of all that was read through it. */
#ifndef LAY_STORE_WEIGHTS_H
#define LAY_STORE_WEIGHTS_H

#include "engine/store/checkpoint.h"
#include "engine/store/packed.h"

#define LAY_WEIGHTS_MAX_SOURCES 16

struct lay_weights; /* borrows the checkpoints */

enum lay_status lay_weights_create(struct lay_weights **weights, struct lay_err *err);
void lay_weights_destroy(struct lay_weights *weights); /* accepts NULL */

/* Adds a source behind those already there. With `from` and `to` (both or neither), the first occurrence of
 * `from` in a looked-up name is replaced by `to` before the prefix is put in front
 * ("self_attn." → "self_attn.model." for adapted LayAlign layers). The strings are copied. */
enum lay_status lay_weights_add(struct lay_weights *weights, const struct lay_checkpoint *checkpoint,
                                const char *prefix, const char *from, const char *to, struct lay_err *err);

/* NULL when no source has it. */
const struct lay_tensor *lay_weights_find(const struct lay_weights *weights, const char *name);

/* The tensor `name` (printf-formatted by the caller) with the given shape; -1 accepts any size. A missing
 * tensor, another shape or a non-floating dtype is LAY_ERR_INPUT naming the tensor, the file, and both
 * shapes. Also checks for NaN and Inf and adds the tensor to the fingerprint (each tensor once): its data are
 * read here, once. */
enum lay_status lay_weights_get(struct lay_weights *weights, const char *name, int rank, const int64_t *shape,
                                const struct lay_tensor **tensor, struct lay_err *err);

/* lay_weights_get for a vector, copied to f32. Returns; free with lay_free. */
enum lay_status lay_weights_vector(struct lay_weights *weights, const char *name, int64_t length,
                                   float **vector, struct lay_err *err);

/* Calls `heard` with the elements of every tensor as it is read for the first time: how far loading has come.
 */
void lay_weights_listen(struct lay_weights *weights, void (*heard)(void *context, size_t elements),
                        void *context);

/* Everything its sources are told by (lay_checkpoint_identity), with their prefixes. */
enum lay_status lay_weights_identity(const struct lay_weights *weights, struct lay_str *text,
                                     struct lay_err *err);

/* Packed copies of what is got from here: one to read layers from, or one to be written while they are
 * packed; borrowed, NULL for none. While there is one to read, tensors are taken as already checked when it
 * was written: lay_weights_get reads no data, and the fingerprint is the stored one. */
void lay_weights_use(struct lay_weights *weights, const struct lay_packed *packed,
                     struct lay_packed_writer *writer);
const struct lay_packed *lay_weights_packed(const struct lay_weights *weights);
struct lay_packed_writer *lay_weights_writer(const struct lay_weights *weights);
/* For a layer that was taken from the packed copy: tells the listener. */
void lay_weights_heard(struct lay_weights *weights, size_t elements);

/* XXH3-128 over (name as looked up, dtype, shape, XXH3-128 of the data) of every tensor got so far, in order
 * of name. */
struct lay_hash lay_weights_fingerprint(const struct lay_weights *weights);

#endif

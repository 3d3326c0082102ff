/* A packed layer as bytes, to be kept in a file and used from there without a copy.
 *
 * The bytes are good only where the layer would be packed in the same way: same oneDNN, instruction set and
 * version of our packing. They carry a digest of their layout and a checksum, and both are checked, so
 * whatever was stored elsewhere, cut off or damaged is refused. */
#ifndef LAY_DNN_STORED_H
#define LAY_DNN_STORED_H

#include "engine/dnn/linear.h"

/* Grows when packed bytes come to mean something else. */
#define LAY_PACKING_VERSION 2

size_t lay_linear_stored_bytes(const struct lay_linear *linear);

/* Gives the bytes to `write` piece by piece. Returns what write returns when that is not LAY_OK. */
enum lay_status lay_linear_store(const struct lay_linear *linear,
                                 enum lay_status (*write)(void *context, const void *bytes, size_t length,
                                                          struct lay_err *err),
                                 void *context, struct lay_err *err);

/* The layer [out, in] that `image` holds. `image` is aligned to LAY_ALIGNMENT and borrowed for the life of
 * the layer. LAY_ERR_INPUT when the bytes are not what lay_linear_store gives here for such a layer, with a
 * bias or without; all of them are read, on all threads. */
enum lay_status lay_linear_restore(struct lay_dnn *dnn, enum lay_dtype compute, int64_t out, int64_t in,
                                   bool bias, const void *image, size_t length, struct lay_linear **linear,
                                   struct lay_err *err);

#endif

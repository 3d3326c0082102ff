/* Reading a tensor once: its hash, and whether every number in it is finite. */
#ifndef LAY_STORE_SCAN_H
#define LAY_STORE_SCAN_H

#include "engine/store/checkpoint.h"

/* XXH3-128 of the data as stored. With `finite`, also LAY_ERR_INPUT with the place of the first NaN or Inf of
 * a floating tensor. */
enum lay_status lay_tensor_scan(const struct lay_tensor *tensor, bool finite, struct lay_hash *hash,
                                struct lay_err *err);

/* One XXH3-128 over many tensors: for each its name, dtype, shape and the hash of its data. Reusable: finish
 * begins anew. */
struct lay_tensor_digest;
enum lay_status lay_tensor_digest_create(struct lay_tensor_digest **digest, struct lay_err *err);
void lay_tensor_digest_destroy(struct lay_tensor_digest *digest); /* accepts NULL */
void lay_tensor_digest_add(struct lay_tensor_digest *digest, const char *name,
                           const struct lay_tensor *tensor, struct lay_hash hash);
struct lay_hash lay_tensor_digest_finish(struct lay_tensor_digest *digest);

#endif

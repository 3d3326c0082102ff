/* A file of named blocks of bytes, written once and mapped from then on: packed weights (README, Packed
 * cache).
 *
 *   "LAYCACHE" and a version, 64 bytes
 *   blocks, each at a multiple of 4096
 *   index: JSON {"key", "fingerprint", "blocks": [{"name", "offset", "bytes"}, …]}
 *   trailer, 64 bytes: "LAYINDEX", offset, length and XXH3-128 of the index
 *
 * The trailer comes last, so a file that was cut off has none. Offsets and lengths are checked when it is
 * opened; the blocks themselves carry their own checksums (engine/dnn/stored.h). */
#ifndef LAY_STORE_PACKED_H
#define LAY_STORE_PACKED_H

#include "engine/base/err.h"
#include "engine/base/hash.h"

#include <stddef.h>

struct lay_packed;

/* LAY_ERR_INPUT when the file is none of these, is damaged or has another key; LAY_ERR_IO when it is not
 * there. Returns; close with lay_packed_close after everything that uses its blocks. */
enum lay_status lay_packed_open(const char *path, const char *key, struct lay_packed **packed,
                                struct lay_err *err);
void lay_packed_close(struct lay_packed *packed); /* accepts NULL */

/* Aligned to 4096; NULL when there is none of that name. */
const void *lay_packed_find(const struct lay_packed *packed, const char *name, size_t *bytes);
/* Of all weights that the blocks were made from. */
struct lay_hash lay_packed_fingerprint(const struct lay_packed *packed);

/* Writing: create → (begin, write…)… → commit, which puts the file in its place, or abort, which leaves
 * nothing. After a failure nothing more is written and everything up to commit fails in the same way, so that
 * who writes may go on and look at commit alone. */
struct lay_packed_writer;
enum lay_status lay_packed_create(const char *path, const char *key, struct lay_packed_writer **writer,
                                  struct lay_err *err);
enum lay_status lay_packed_begin(struct lay_packed_writer *writer, const char *name, struct lay_err *err);
enum lay_status lay_packed_write(struct lay_packed_writer *writer, const void *bytes, size_t length,
                                 struct lay_err *err);
enum lay_status lay_packed_commit(struct lay_packed_writer *writer, struct lay_hash fingerprint,
                                  struct lay_err *err);  /* frees the writer, also on failure */
void lay_packed_abort(struct lay_packed_writer *writer); /* accepts NULL */

#endif

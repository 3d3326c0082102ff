/* XXH3-128 fingerprints, as 32 hex digits (big-endian canonical form, what `xxhsum -H2` prints). */
#ifndef LAY_BASE_HASH_H
#define LAY_BASE_HASH_H

#include "engine/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LAY_HASH_HEX 33 /* characters with the NUL */

struct lay_hash {
    uint64_t low, high;
};

struct lay_hash lay_hash_bytes(const void *bytes, size_t length);
void lay_hash_hex(struct lay_hash hash, char hex[LAY_HASH_HEX]);
/* The reverse; false when `hex` is not such a text. */
bool lay_hash_parse(const char *hex, struct lay_hash *hash);

/* Hash of a file's content. */
enum lay_status lay_hash_file(const char *path, char hex[LAY_HASH_HEX], struct lay_err *err);

#endif

/* What tells a file from others, and from itself as it was before, without reading it whole. */
#ifndef LAY_STORE_IDENTITY_H
#define LAY_STORE_IDENTITY_H

#include "engine/base/file.h"
#include "engine/base/hash.h"

/* Appends one line: device, inode, size, times of the last change to content and to the inode, and a hash
 * over 64 pages. `map` is the file at `path`, mapped; LAY_ERR_INPUT when it no longer has that size. */
enum lay_status lay_file_identity(const char *path, const struct lay_file_map *map, struct lay_str *text,
                                  struct lay_err *err);

#endif

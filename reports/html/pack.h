/* Bytes for a script of the page: deflated (zlib format, which has a checksum; the browser's
 * DecompressionStream reads it) and written in base64. */
#ifndef LAY_REPORTS_HTML_PACK_H
#define LAY_REPORTS_HTML_PACK_H

#include "engine/base/err.h"
#include "engine/base/str.h"

/* The compressor's memory, reused from one piece to the next. Free with lay_packer_close, which accepts NULL.
 */
struct lay_packer;
enum lay_status lay_packer_open(struct lay_packer **packer, struct lay_err *err);
void lay_packer_close(struct lay_packer *packer);

/* Appends the packed form of `bytes`; nothing but letters, digits, + / and = is appended. */
enum lay_status lay_packer_put(struct lay_packer *packer, struct lay_str *out, const void *bytes,
                               size_t length, struct lay_err *err);

void lay_base64_put(struct lay_str *out, const void *bytes, size_t length);

#endif

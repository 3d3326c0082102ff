/* Walking through the members of one JSON object without building a tree: for objects too large, or too many,
 * to be parsed for the few members that are wanted.
 *
 * Values are found by their brackets and quotes alone and handed out as slices of the text; what is in them
 * is checked when they are decoded. */
#ifndef LAY_BASE_JSON_SCAN_H
#define LAY_BASE_JSON_SCAN_H

#include "engine/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A piece of the text; a value as it stands there. */
struct lay_json_slice {
    const char *text;
    size_t length;
};

struct lay_json_scan {
    const char *at, *end;
};

/* At the first member of the object that `text` is; false if it is no object. */
bool lay_json_scan_open(struct lay_json_scan *scan, const char *text, size_t length);
/* The next member: its key without the quotes, as written, and its value. False behind the last member and
 * at what is no member; lay_json_scan_ended tells them apart. */
bool lay_json_scan_member(struct lay_json_scan *scan, struct lay_json_slice *key,
                          struct lay_json_slice *value);
/* Whether the object's closing bracket is all that is left. */
bool lay_json_scan_ended(const struct lay_json_scan *scan);

bool lay_json_slice_is(struct lay_json_slice slice, const char *text);
/* A string's text. Returns in *text; free with lay_free. LAY_ERR_INPUT naming `where` and `key` if the value
 * is no JSON string. */
enum lay_status lay_json_slice_string(struct lay_json_slice value, const char *where, const char *key,
                                      char **text, struct lay_err *err);
/* A whole number of at most 15 digits, written without point and exponent. */
enum lay_status lay_json_slice_int(struct lay_json_slice value, const char *where, const char *key,
                                   int64_t *number, struct lay_err *err);

#endif

/* JSON through cJSON: reading files with a place in every complaint, typed getters, deterministic writing.
 *
 * Duplicate keys and trailing garbage are refused. `where` in messages is the file name given at parse time
 * plus the key. Trees are cJSON's: free with cJSON_Delete. */
#ifndef LAY_BASE_JSON_H
#define LAY_BASE_JSON_H

#include "engine/base/err.h"
#include "engine/base/str.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LAY_JSON_FILE_MAX ((size_t)64 << 20) /* bytes of a configuration-like JSON file */

enum lay_status lay_json_read(const char *path, cJSON **root, struct lay_err *err);
/* `name` stands for the text in messages. LAY_ERR_MEMORY when memory runs out, LAY_ERR_INPUT for what is no
 * JSON. */
enum lay_status lay_json_parse(const char *name, const char *text, size_t length, cJSON **root,
                               struct lay_err *err);

/* Getters. A missing key or null leaves *value as the caller set it (its default) and is LAY_OK;
 * another type is LAY_ERR_INPUT with "<where>: "key" must be …". Borrowed pointers live as long as the tree.
 */
enum lay_status lay_json_get_int(const cJSON *object, const char *where, const char *key, int64_t *value,
                                 struct lay_err *err);
enum lay_status lay_json_get_double(const cJSON *object, const char *where, const char *key, double *value,
                                    struct lay_err *err);
enum lay_status lay_json_get_bool(const cJSON *object, const char *where, const char *key, bool *value,
                                  struct lay_err *err);
enum lay_status lay_json_get_string(const cJSON *object, const char *where, const char *key,
                                    const char **value, struct lay_err *err);

/* Refuses the first key of `object` that is not in the NULL-terminated list. */
enum lay_status lay_json_only_keys(const cJSON *object, const char *where, const char *const *allowed,
                                   struct lay_err *err);

/* Complains that `key` is required. */
enum lay_status lay_json_missing(const char *where, const char *key, struct lay_err *err);

/* Takes item, which may be NULL, as the member `key` of an object or, without a key, as the next element of
 * an array. False, and item is deleted, where memory ran out: cJSON's own functions leave it to nobody. */
bool lay_json_add(cJSON *parent, const char *key, cJSON *item);

/* A JSON string with quotes, escaped as Python's json.dumps(ensure_ascii=False) does. */
void lay_json_put_string(struct lay_str *out, const char *text, size_t length);
/* The shortest decimal that reads back as the same double, written as Python's repr (18.0, 0.1, 1e+16, inf).
 */
void lay_json_put_double(struct lay_str *out, double value);
/* A whole tree as Python's json.dumps(tree, ensure_ascii=False, indent=indent): keys in insertion order;
 * indent < 0 is one line with ", " and ": ". Whole numbers print without a point. NULL is a tree that there
 * was no memory for: out has failed. */
void lay_json_put(struct lay_str *out, const cJSON *tree, int indent);

#endif

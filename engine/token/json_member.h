/* One member of a very large JSON object, without building a tree of the rest: tokenizer.json carries a
 * vocabulary of 250 000 entries that we have from elsewhere. */
#ifndef LAY_TOKEN_JSON_MEMBER_H
#define LAY_TOKEN_JSON_MEMBER_H

#include "engine/base/err.h"
#include "engine/base/json.h"

#include <stddef.h>

/* Parses the value of `key` in the outermost object of `text`. *value is NULL when the key is missing; free
 * with cJSON_Delete. LAY_ERR_INPUT when the text up to there, or the value, is not JSON. */
enum lay_status lay_json_member(const char *name, const char *text, size_t length, const char *key,
                                cJSON **value, struct lay_err *err);

#endif

/* Writes JSON piece by piece into a string, laid out as Python's json.dumps(…, ensure_ascii=False,
 * indent=indent).
 *
 * `key` is the member's name inside an object and NULL inside an array. Running out of memory shows in the
 * string (lay_str_check). A NaN is written as null: it stands for a figure that does not exist. */
#ifndef LAY_REPORTS_EMIT_H
#define LAY_REPORTS_EMIT_H

#include "engine/base/json.h"

struct lay_emit {
    struct lay_str *out;
    int indent; /* blanks a level; -1: one line */
    int depth;
    bool filled; /* the innermost open object or array has a member already */
};

void lay_emit_open(struct lay_emit *emit, const char *key, char bracket);       /* '{' or '[' */
void lay_emit_close(struct lay_emit *emit, char bracket);                       /* '}' or ']' */
void lay_emit_string(struct lay_emit *emit, const char *key, const char *text); /* NULL: null */
void lay_emit_int(struct lay_emit *emit, const char *key, int64_t value);
void lay_emit_double(struct lay_emit *emit, const char *key, double value); /* 1.0 keeps its point */
void lay_emit_bool(struct lay_emit *emit, const char *key, bool value);
void lay_emit_tree(struct lay_emit *emit, const char *key, const cJSON *tree); /* NULL: null */
void lay_emit_json(struct lay_emit *emit, const char *key, const char *json);  /* as it stands; NULL: null */

#endif

/* Prompt templates: text with {names} in braces. "{{" and "}}" stand for single braces.
 *
 * What is filled in is copied as it is: braces in the data are never looked at again. */
#ifndef LAY_TASKS_TEMPLATE_H
#define LAY_TASKS_TEMPLATE_H

#include "engine/base/err.h"
#include "engine/base/str.h"

#include <stdbool.h>
#include <stddef.h>

struct lay_template_value {
    const char *name; /* "question", "source language" */
    const char *text; /* NULL: the name is known, but has no text here */
};

/* Refuses unknown names and unpaired braces; `names` is NULL-terminated. LAY_ERR_INPUT with `where`. */
enum lay_status lay_template_check(const char *template, const char *const *names, const char *where,
                                   struct lay_err *err);
bool lay_template_uses(const char *template, const char *name);
/* Appends the filled-in text. A name without a text is LAY_ERR_INPUT; the template must have been checked. */
enum lay_status lay_template_render(const char *template, const struct lay_template_value *values,
                                    size_t count, const char *where, struct lay_str *out,
                                    struct lay_err *err);

#endif

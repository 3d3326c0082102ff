/* A growing byte string, always NUL-terminated once something was appended.
 *
 * Appends never fail loudly: when memory runs out `failed` is set, later appends do nothing, and the owner
 * checks once at the end with lay_str_check(). Initialise with {0}; free with lay_str_free(). */
#ifndef LAY_BASE_STR_H
#define LAY_BASE_STR_H

#include "engine/base/err.h"

#include <stdbool.h>
#include <stddef.h>

struct lay_str {
    char *data; /* NULL while empty */
    size_t length;
    size_t capacity;
    bool failed;
};

void lay_str_append(struct lay_str *str, const char *bytes, size_t length);
void lay_str_puts(struct lay_str *str, const char *text);
void lay_str_putc(struct lay_str *str, char c);
void lay_str_printf(struct lay_str *str, const char *format, ...) __attribute__((format(printf, 2, 3)));
void lay_str_clear(struct lay_str *str); /* keeps the memory */
void lay_str_free(struct lay_str *str);

/* The text, "" while empty; owned by str. */
const char *lay_str_text(const struct lay_str *str);

/* LAY_ERR_MEMORY if an append failed. */
enum lay_status lay_str_check(const struct lay_str *str, struct lay_err *err);

/* Hands the text over (free with lay_free) and empties str; NULL if an append failed. */
char *lay_str_take(struct lay_str *str);

#endif

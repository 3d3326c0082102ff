/* UTF-8 and the few Unicode facts that the official Python code relies on. */
#ifndef LAY_BASE_UTF8_H
#define LAY_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether the bytes are well-formed UTF-8 (no overlong forms, no surrogates); if not, *bad_at is the offset.
 */
bool lay_utf8_valid(const char *text, size_t length, size_t *bad_at);

/* Decodes the code point at text[*at] of valid UTF-8 and moves *at behind it. Malformed bytes decode as
 * U+FFFD and advance by one. */
int32_t lay_utf8_next(const char *text, size_t length, size_t *at);

/* Python's str.isspace for one code point: what str.strip() removes. */
bool lay_unicode_is_space(int32_t code_point);

/* The value 0–9 of a decimal digit (category Nd), -1 for anything else: what Python's \d and float() accept.
 */
int lay_unicode_digit(int32_t code_point);

/* Python's str.strip(): narrows [*text, *length) in place. */
void lay_utf8_strip(const char **text, size_t *length);

#endif

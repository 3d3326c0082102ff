/* Texts from files as a terminal or a Markdown page shows them: they must neither move the cursor nor turn
 * into markup. */
#ifndef LAY_REPORTS_TEXT_H
#define LAY_REPORTS_TEXT_H

#include "engine/base/str.h"

/* Terminal columns a text takes: wide scripts count 2, combining marks 0, control characters 1
 * (they are shown as a question mark). */
size_t lay_text_width(const char *text);

/* Appends the text, and blanks up to `width` columns. */
void lay_text_put(struct lay_str *out, const char *text, size_t width);

/* Several lines, each behind `indent`; ends with a newline. Line breaks of all kinds count. */
void lay_text_put_lines(struct lay_str *out, const char *text, const char *indent);

/* The text inside a line of GitHub-flavoured Markdown: what would be markup is escaped, controls are shown as
 * a question mark. */
void lay_text_put_markdown(struct lay_str *out, const char *text);

#endif

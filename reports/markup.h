/* Text in HTML and SVG. What comes from outside is hostile: every text of a page goes through here. */
#ifndef LAY_REPORTS_MARKUP_H
#define LAY_REPORTS_MARKUP_H

#include "engine/base/str.h"

#include <stdint.h>

/* What may stand in a page instead of a code point: itself; for control characters other than tab and newline
 * their pictures (U+2400 …), which neither HTML nor XML forbids and a reader can see; U+FFFD for code points
 * that are no characters. */
int32_t lay_markup_visible(int32_t code_point);

/* Appends `text` as character data or as an attribute's value between double quotes: & < > " ' are escaped,
 * the rest is made visible as above, malformed UTF-8 becomes U+FFFD. NULL appends nothing. */
void lay_markup_text(struct lay_str *out, const char *text);

/* The same for text that stands between separators of its own or is compressed: nothing is escaped. */
void lay_markup_plain(struct lay_str *out, const char *text);

/* Appends JSON text so that it may stand in a <script>: < is written \u003c, and no string of it can end the
 * script or begin a comment. */
void lay_markup_json(struct lay_str *out, const char *json);

/* Appends a number with at most `decimals` digits behind the point and no trailing zeros: what coordinates
 * are written as. */
void lay_markup_number(struct lay_str *out, double value, int decimals);

#endif

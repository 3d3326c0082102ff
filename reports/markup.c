#include "reports/markup.h"

#include "engine/base/utf8.h"

#include <stdio.h>
#include <string.h>

int32_t lay_markup_visible(int32_t code_point)
{
    if (code_point >= 0x20 && code_point < 0x7f)
        return code_point;
    if (code_point == '\t' || code_point == '\n')
        return code_point;
    if (code_point < 0x20)
        return 0x2400 + code_point;
    if (code_point == 0x7f)
        return 0x2421;
    const bool is_c1 = code_point < 0xa0;
    const bool is_noncharacter =
        (code_point & 0xfffe) == 0xfffe || (code_point >= 0xfdd0 && code_point <= 0xfdef);
    return is_c1 || is_noncharacter ? 0xfffd : code_point;
}

static void put_code_point(struct lay_str *out, int32_t c)
{
    const uint32_t u = (uint32_t)c;
    char bytes[4];
    size_t length = 0;
    if (u < 0x80) {
        bytes[length++] = (char)u;
    } else if (u < 0x800) {
        bytes[length++] = (char)(0xc0 | u >> 6);
        bytes[length++] = (char)(0x80 | (u & 0x3f));
    } else if (u < 0x10000) {
        bytes[length++] = (char)(0xe0 | u >> 12);
        bytes[length++] = (char)(0x80 | (u >> 6 & 0x3f));
        bytes[length++] = (char)(0x80 | (u & 0x3f));
    } else {
        bytes[length++] = (char)(0xf0 | u >> 18);
        bytes[length++] = (char)(0x80 | (u >> 12 & 0x3f));
        bytes[length++] = (char)(0x80 | (u >> 6 & 0x3f));
        bytes[length++] = (char)(0x80 | (u & 0x3f));
    }
    lay_str_append(out, bytes, length);
}

static const char *entity(char c)
{
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default:
        return NULL;
    }
}

/* Runs of printable ASCII are copied whole: most of a report is that. */
static size_t plain_run(const char *text, size_t length, bool escape)
{
    size_t i = 0;
    while (i < length && text[i] >= 0x20 && text[i] < 0x7f && !(escape && entity(text[i])))
        i++;
    return i;
}

static void put(struct lay_str *out, const char *text, bool escape)
{
    const size_t length = text ? strlen(text) : 0;
    for (size_t at = 0; at < length;) {
        const size_t run = plain_run(text + at, length - at, escape);
        lay_str_append(out, text + at, run);
        at += run;
        if (at >= length)
            break;
        const char *escaped = escape ? entity(text[at]) : NULL;
        if (escaped) {
            lay_str_puts(out, escaped);
            at++;
        } else {
            put_code_point(out, lay_markup_visible(lay_utf8_next(text, length, &at)));
        }
    }
}

void lay_markup_text(struct lay_str *out, const char *text)
{
    put(out, text, true);
}

void lay_markup_plain(struct lay_str *out, const char *text)
{
    put(out, text, false);
}

void lay_markup_json(struct lay_str *out, const char *json)
{
    while (*json) {
        const size_t run = strcspn(json, "<");
        lay_str_append(out, json, run);
        json += run;
        if (*json == '<') {
            lay_str_puts(out, "\\u003c");
            json++;
        }
    }
}

void lay_markup_number(struct lay_str *out, double value, int decimals)
{
    char text[400]; /* DBL_MAX has 309 digits before the point */
    snprintf(text, sizeof text, "%.*f", decimals, value);
    if (decimals > 0) {
        size_t end = strlen(text);
        while (text[end - 1] == '0')
            end--;
        if (text[end - 1] == '.')
            end--;
        text[end] = '\0';
    }
    lay_str_puts(out, strcmp(text, "-0") == 0 ? "0" : text);
}

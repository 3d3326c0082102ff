#include "engine/base/utf8.h"

#include <string.h>
#include <utf8proc.h>

/* Bytes below 0x80 at the start, eight at a time: most of a text is. */
static size_t ascii_length(const char *text, size_t length)
{
    size_t at = 0;
    for (uint64_t word; at + sizeof word <= length; at += sizeof word) {
        memcpy(&word, text + at, sizeof word);
        if (word & 0x8080808080808080u)
            break;
    }
    while (at < length && (unsigned char)text[at] < 0x80)
        at++;
    return at;
}

bool lay_utf8_valid(const char *text, size_t length, size_t *bad_at)
{
    size_t at = 0;
    while (at < length) {
        at += ascii_length(text + at, length - at);
        if (at == length)
            break;
        utf8proc_int32_t code_point;
        const utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)text + at,
                                                    (utf8proc_ssize_t)(length - at), &code_point);
        if (n <= 0) {
            if (bad_at)
                *bad_at = at;
            return false;
        }
        at += (size_t)n;
    }
    return true;
}

int32_t lay_utf8_next(const char *text, size_t length, size_t *at)
{
    utf8proc_int32_t code_point;
    if ((unsigned char)text[*at] < 0x80)
        return text[(*at)++];
    const utf8proc_ssize_t n =
        utf8proc_iterate((const utf8proc_uint8_t *)text + *at, (utf8proc_ssize_t)(length - *at), &code_point);
    if (n <= 0) {
        *at += 1;
        return 0xFFFD;
    }
    *at += (size_t)n;
    return code_point;
}

/* Python: bidirectional type WS, B or S, or category Zs. */
bool lay_unicode_is_space(int32_t c)
{
    return (c >= 0x09 && c <= 0x0d) || (c >= 0x1c && c <= 0x20) || c == 0x85 || c == 0xa0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f ||
           c == 0x3000;
}

/* Blocks of ten decimal digits start at the digit zero and, but for the mathematical digits, at a code point
 * whose neighbour below is no digit: counting back to the start of the run of Nd gives the value. */
int lay_unicode_digit(int32_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c < 0x80 || utf8proc_category(c) != UTF8PROC_CATEGORY_ND)
        return -1;
    if (c >= 0x1D7CE && c <= 0x1D7FF) /* five adjacent blocks */
        return (c - 0x1D7CE) % 10;
    int32_t first = c;
    while (c - first < 20 && utf8proc_category(first - 1) == UTF8PROC_CATEGORY_ND)
        first--;
    return (c - first) % 10;
}

void lay_utf8_strip(const char **text, size_t *length)
{
    size_t begin = 0;
    while (begin < *length) {
        size_t next = begin;
        if (!lay_unicode_is_space(lay_utf8_next(*text, *length, &next)))
            break;
        begin = next;
    }
    size_t end = *length;
    while (end > begin) {
        size_t start = end - 1;
        while (start > begin && ((unsigned char)(*text)[start] & 0xC0) == 0x80)
            start--;
        size_t at = start;
        if (!lay_unicode_is_space(lay_utf8_next(*text, end, &at)) || at != end)
            break;
        end = start;
    }
    *text += begin;
    *length = end - begin;
}

#include "reports/text.h"

#include "engine/base/utf8.h"

#include <string.h>
#include <utf8proc.h>

static bool is_control(int32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0);
}

size_t lay_text_width(const char *text)
{
    size_t width = 0;
    for (size_t at = 0, length = strlen(text); at < length;) {
        const int32_t c = lay_utf8_next(text, length, &at);
        width += is_control(c) ? 1 : (size_t)utf8proc_charwidth(c);
    }
    return width;
}

static void put_visible(struct lay_str *out, const char *text, size_t length)
{
    for (size_t at = 0; at < length;) {
        const size_t begin = at;
        if (is_control(lay_utf8_next(text, length, &at)))
            lay_str_putc(out, '?');
        else
            lay_str_append(out, text + begin, at - begin);
    }
}

void lay_text_put(struct lay_str *out, const char *text, size_t width)
{
    put_visible(out, text, strlen(text));
    for (size_t i = lay_text_width(text); i < width; i++)
        lay_str_putc(out, ' ');
}

void lay_text_put_lines(struct lay_str *out, const char *text, const char *indent)
{
    do {
        const size_t length = strcspn(text, "\r\n");
        lay_str_puts(out, indent);
        put_visible(out, text, length);
        lay_str_putc(out, '\n');
        text += length;
        text += strncmp(text, "\r\n", 2) == 0 ? 2 : *text != 0;
    } while (*text);
}

void lay_text_put_markdown(struct lay_str *out, const char *text)
{
    for (size_t at = 0, length = strlen(text); at < length;) {
        const size_t begin = at;
        const int32_t c = lay_utf8_next(text, length, &at);
        if (c < 0x80 && strchr("\\`*_{}[]<>#|~!", c))
            lay_str_putc(out, '\\');
        if (c == '&')
            lay_str_puts(out, "&amp;");
        else if (is_control(c))
            lay_str_putc(out, '?');
        else
            lay_str_append(out, text + begin, at - begin);
    }
}

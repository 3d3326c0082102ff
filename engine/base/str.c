#include "engine/base/str.h"

#include "engine/base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static bool reserve(struct lay_str *str, size_t extra)
{
    size_t needed;
    if (str->failed)
        return false;
    if (!lay_add_size(str->length, extra, &needed) || !lay_add_size(needed, 1, &needed) ||
        !lay_grow((void **)&str->data, &str->capacity, needed, 1)) {
        str->failed = true;
        return false;
    }
    return true;
}

void lay_str_append(struct lay_str *str, const char *bytes, size_t length)
{
    if (!reserve(str, length))
        return;
    if (length)
        memcpy(str->data + str->length, bytes, length);
    str->length += length;
    str->data[str->length] = 0;
}

void lay_str_puts(struct lay_str *str, const char *text)
{
    lay_str_append(str, text, strlen(text));
}

void lay_str_putc(struct lay_str *str, char c)
{
    lay_str_append(str, &c, 1);
}

void lay_str_printf(struct lay_str *str, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n < 0 || !reserve(str, (size_t)n)) {
        str->failed = true;
        return;
    }
    va_start(args, format);
    vsnprintf(str->data + str->length, (size_t)n + 1, format, args);
    va_end(args);
    str->length += (size_t)n;
}

void lay_str_clear(struct lay_str *str)
{
    str->length = 0;
    str->failed = false;
    if (str->data)
        str->data[0] = 0;
}

void lay_str_free(struct lay_str *str)
{
    lay_free(str->data);
    *str = (struct lay_str){0};
}

const char *lay_str_text(const struct lay_str *str)
{
    return str->data ? str->data : "";
}

enum lay_status lay_str_check(const struct lay_str *str, struct lay_err *err)
{
    return str->failed ? lay_no_memory(err, "text") : LAY_OK;
}

char *lay_str_take(struct lay_str *str)
{
    char *text = NULL;
    if (!str->failed)
        text = str->data ? str->data : lay_strdup("");
    else
        lay_free(str->data);
    *str = (struct lay_str){0};
    return text;
}

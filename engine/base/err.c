#include "engine/base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A message is one line whatever the file it quotes holds. */
static void flatten(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            *text = ' ';
}

enum lay_status(lay_fail)(struct lay_err *err, enum lay_status status, const char *format, ...)
{
    if (!err)
        return status;
    va_list args;
    va_start(args, format);
    vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    flatten(err->message);
    err->status = status;
    return status;
}

enum lay_status(lay_err_context)(struct lay_err *err, enum lay_status status, const char *format, ...)
{
    if (!err)
        return status;
    char old[LAY_ERR_MESSAGE_MAX];
    memcpy(old, err->message, sizeof old);
    va_list args;
    va_start(args, format);
    int n = vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    size_t used = n < 0 ? 0 : (size_t)n;
    if (used < sizeof err->message)
        snprintf(err->message + used, sizeof err->message - used, ": %s", old);
    flatten(err->message);
    err->status = status;
    return status;
}

int lay_exit_code(enum lay_status status)
{
    switch (status) {
    case LAY_OK:
        return 0;
    case LAY_ERR_USAGE:
        return 2;
    case LAY_ERR_INPUT:
    case LAY_ERR_IO:
    case LAY_ERR_MEMORY:
        return 3;
    case LAY_ERR_INTERRUPTED:
        return 130;
    case LAY_ERR_INTERNAL:
        break;
    }
    return 4;
}

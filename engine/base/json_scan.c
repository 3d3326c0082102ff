#include "engine/base/json_scan.h"

#include "engine/base/json.h"
#include "engine/base/mem.h"

#include <string.h>

static void skip_blanks(struct lay_json_scan *scan)
{
    while (scan->at < scan->end && memchr(" \t\r\n", *scan->at, 4))
        scan->at++;
}

/* Behind the closing quote; false when there is none. Looks at every byte once for quotes and once for
 * backslashes. */
static bool skip_string(struct lay_json_scan *scan)
{
    const char *at = scan->at + 1, *quote = scan->at;
    scan->at = scan->end;
    while (at < scan->end) {
        if (quote < at)
            quote = memchr(at, '"', (size_t)(scan->end - at));
        if (!quote)
            return false;
        const char *escape = memchr(at, '\\', (size_t)(quote - at));
        if (!escape) {
            scan->at = quote + 1;
            return true;
        }
        at = escape + 2;
    }
    return false;
}

/* Behind a value: at the comma or bracket that follows on the same level. */
static bool skip_value(struct lay_json_scan *scan)
{
    size_t depth = 0;
    while (scan->at < scan->end) {
        const char c = *scan->at;
        if (c == '"') {
            if (!skip_string(scan))
                return false;
            continue;
        }
        if (depth == 0 && (c == ',' || c == '}' || c == ']'))
            return true;
        depth += c == '{' || c == '[';
        depth -= c == '}' || c == ']';
        scan->at++;
    }
    return false;
}

bool lay_json_scan_open(struct lay_json_scan *scan, const char *text, size_t length)
{
    *scan = (struct lay_json_scan){text, text ? text + length : NULL};
    skip_blanks(scan);
    return scan->at < scan->end && *scan->at++ == '{';
}

/* Nothing more can be made of the text: no member follows, and it has not ended either. */
static bool give_up(struct lay_json_scan *scan)
{
    scan->at = scan->end;
    return false;
}

bool lay_json_scan_member(struct lay_json_scan *scan, struct lay_json_slice *key,
                          struct lay_json_slice *value)
{
    skip_blanks(scan);
    const bool comma = scan->at < scan->end && *scan->at == ',';
    scan->at += comma;
    skip_blanks(scan);
    if (!comma && scan->at < scan->end && *scan->at == '}')
        return false;
    const char *start = scan->at;
    if (start >= scan->end || *start != '"' || !skip_string(scan))
        return give_up(scan);
    *key = (struct lay_json_slice){start + 1, (size_t)(scan->at - start) - 2};
    skip_blanks(scan);
    if (scan->at >= scan->end || *scan->at++ != ':')
        return give_up(scan);
    skip_blanks(scan);
    start = scan->at;
    if (!skip_value(scan))
        return give_up(scan);
    const char *end = scan->at;
    while (end > start && memchr(" \t\r\n", end[-1], 4))
        end--;
    *value = (struct lay_json_slice){start, (size_t)(end - start)};
    return end > start || give_up(scan);
}

bool lay_json_scan_ended(const struct lay_json_scan *scan)
{
    struct lay_json_scan rest = *scan;
    skip_blanks(&rest);
    if (rest.at >= rest.end || *rest.at++ != '}')
        return false;
    skip_blanks(&rest);
    return rest.at == rest.end;
}

bool lay_json_slice_is(struct lay_json_slice slice, const char *text)
{
    return strlen(text) == slice.length && memcmp(slice.text, text, slice.length) == 0;
}

enum lay_status lay_json_slice_string(struct lay_json_slice value, const char *where, const char *key,
                                      char **text, struct lay_err *err)
{
    cJSON *string;
    *text = NULL;
    if (value.length < 2 || value.text[0] != '"')
        return lay_fail(err, LAY_ERR_INPUT, "%s: \"%s\" must be a string", where, key);
    if (!memchr(value.text, '\\', value.length)) {
        *text = lay_strndup(value.text + 1, value.length - 2);
        return *text ? LAY_OK : lay_no_memory(err, "a JSON string");
    }
    LAY_TRY(lay_json_parse(where, value.text, value.length, &string, err));
    *text = lay_strdup(string->valuestring);
    cJSON_Delete(string);
    return *text ? LAY_OK : lay_no_memory(err, "a JSON string");
}

enum lay_status lay_json_slice_int(struct lay_json_slice value, const char *where, const char *key,
                                   int64_t *number, struct lay_err *err)
{
    const bool negative = value.length > 0 && value.text[0] == '-';
    const size_t digits = value.length - negative;
    int64_t sum = 0;
    size_t at = negative;
    for (; at < value.length && value.text[at] >= '0' && value.text[at] <= '9' && digits <= 15; at++)
        sum = sum * 10 + (value.text[at] - '0');
    if (digits == 0 || at < value.length)
        return lay_fail(err, LAY_ERR_INPUT, "%s: \"%s\" must be a whole number", where, key);
    *number = negative ? -sum : sum;
    return LAY_OK;
}

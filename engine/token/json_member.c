#include "engine/token/json_member.h"

#include <stdbool.h>
#include <string.h>

struct scanner {
    const char *at, *end;
};

static void skip_blanks(struct scanner *scanner)
{
    while (scanner->at < scanner->end && memchr(" \t\r\n", *scanner->at, 4))
        scanner->at++;
}

/* Behind the closing quote; false when there is none. */
static bool skip_string(struct scanner *scanner)
{
    for (scanner->at++; scanner->at < scanner->end; scanner->at++) {
        if (*scanner->at == '\\')
            scanner->at++;
        else if (*scanner->at == '"') {
            scanner->at++;
            return true;
        }
    }
    return false;
}

/* Behind a value: at the comma or bracket that follows on the same level. */
static bool skip_value(struct scanner *scanner)
{
    size_t depth = 0;
    while (scanner->at < scanner->end) {
        const char c = *scanner->at;
        if (c == '"') {
            if (!skip_string(scanner))
                return false;
            continue;
        }
        if (depth == 0 && (c == ',' || c == '}' || c == ']'))
            return true;
        depth += c == '{' || c == '[';
        depth -= c == '}' || c == ']';
        scanner->at++;
    }
    return false;
}

/* At the next member: its key with quotes, its value. False at the end or at something that is no member. */
static bool next_member(struct scanner *scanner, struct scanner *key, struct scanner *value)
{
    skip_blanks(scanner);
    if (scanner->at < scanner->end && *scanner->at == ',')
        scanner->at++;
    skip_blanks(scanner);
    key->at = scanner->at;
    if (scanner->at >= scanner->end || *scanner->at != '"' || !skip_string(scanner))
        return false;
    key->end = scanner->at;
    skip_blanks(scanner);
    if (scanner->at >= scanner->end || *scanner->at++ != ':')
        return false;
    skip_blanks(scanner);
    value->at = scanner->at;
    if (!skip_value(scanner))
        return false;
    value->end = scanner->at;
    return true;
}

enum lay_status lay_json_member(const char *name, const char *text, size_t length, const char *key,
                                cJSON **value, struct lay_err *err)
{
    struct scanner scanner = {text, text ? text + length : NULL}, found, member;
    const size_t n = strlen(key);
    *value = NULL;
    skip_blanks(&scanner);
    if (scanner.at >= scanner.end || *scanner.at++ != '{')
        return lay_fail(err, LAY_ERR_INPUT, "%s: must hold a JSON object", name);
    while (next_member(&scanner, &found, &member))
        if ((size_t)(found.end - found.at) == n + 2 && memcmp(found.at + 1, key, n) == 0)
            return lay_json_parse(name, member.at, (size_t)(member.end - member.at), value, err);
    skip_blanks(&scanner);
    if (scanner.at >= scanner.end || *scanner.at != '}')
        return lay_fail(err, LAY_ERR_INPUT, "%s: not valid JSON; download or copy it again", name);
    return LAY_OK;
}

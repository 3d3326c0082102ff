#include "engine/token/added.h"

#include "engine/base/mem.h"
#include "engine/base/utf8.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

enum lay_status lay_added_put(struct lay_added *added, const char *content, const char *pattern, int32_t id,
                              struct lay_added_flags flags, struct lay_err *err)
{
    if (!lay_grow((void **)&added->tokens, &added->capacity, added->count + 1, sizeof *added->tokens))
        return lay_no_memory(err, "the added tokens");
    struct lay_added_token token = {.content = lay_strdup(content),
                                    .pattern = lay_strdup(pattern ? pattern : content),
                                    .id = id,
                                    .flags = flags};
    if (!token.content || !token.pattern) {
        lay_free(token.content);
        lay_free(token.pattern);
        return lay_no_memory(err, "the added tokens");
    }
    token.length = strlen(token.pattern);
    added->tokens[added->count++] = token;
    return LAY_OK;
}

/* By first byte, then the longest first, then by text. */
static int compare(const void *a, const void *b)
{
    const struct lay_added_token *x = a, *y = b;
    const int byte = (unsigned char)x->pattern[0] - (unsigned char)y->pattern[0];
    if (byte != 0)
        return byte;
    if (x->length != y->length)
        return x->length > y->length ? -1 : 1;
    return strcmp(x->pattern, y->pattern);
}

void lay_added_sort(struct lay_added *added)
{
    if (added->count)
        qsort(added->tokens, added->count, sizeof *added->tokens, compare);
    size_t at = 0;
    for (int byte = 0; byte <= 256; byte++) {
        while (at < added->count && (unsigned char)added->tokens[at].pattern[0] < byte)
            at++;
        added->first[byte] = at;
    }
}

/* Unicode White_Space, which is what \s means to Hugging Face; Python adds the separators 1c–1f. */
static bool is_white(int32_t c)
{
    return lay_unicode_is_space(c) && !(c >= 0x1c && c <= 0x1f);
}

/* \w: letters, marks, decimal digits, connectors. */
static bool is_word(int32_t c)
{
    switch (utf8proc_category(c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC:
        return true;
    default:
        return false;
    }
}

/* The code point that ends at `end` (> 0) and where it starts. */
static int32_t code_point_before(const char *text, size_t end, size_t *start)
{
    size_t at = end - 1;
    while (at > 0 && ((unsigned char)text[at] & 0xC0) == 0x80)
        at--;
    *start = at;
    return lay_utf8_next(text, end, &at);
}

static bool stands_alone(const char *text, size_t length, size_t begin, size_t end)
{
    size_t at;
    if (begin > 0 && is_word(code_point_before(text, begin, &at)))
        return false;
    at = end;
    return end >= length || !is_word(lay_utf8_next(text, length, &at));
}

static const struct lay_added_token *match_at(const struct lay_added *added, bool normalized,
                                              const char *text, size_t length, size_t at)
{
    const unsigned char byte = (unsigned char)text[at];
    for (size_t i = added->first[byte]; i < added->first[byte + 1]; i++) {
        const struct lay_added_token *token = &added->tokens[i];
        if (token->flags.normalized == normalized && token->length > 0 && token->length <= length - at &&
            memcmp(text + at, token->pattern, token->length) == 0)
            return token;
    }
    return NULL;
}

const struct lay_added_token *lay_added_next(const struct lay_added *added, bool normalized, const char *text,
                                             size_t length, size_t from, size_t *begin, size_t *end)
{
    for (size_t at = from; at < length; at++) {
        const struct lay_added_token *token = match_at(added, normalized, text, length, at);
        if (!token)
            continue;
        *begin = at;
        *end = at + token->length;
        if (token->flags.single_word && !stands_alone(text, length, *begin, *end)) {
            at = *end - 1; /* the match is given up as a whole */
            continue;
        }
        size_t next;
        while (token->flags.left_strip && *begin > from && is_white(code_point_before(text, *begin, &next)))
            *begin = next;
        for (next = *end; token->flags.right_strip && next < length; *end = next)
            if (!is_white(lay_utf8_next(text, length, &next)))
                break;
        return token;
    }
    return NULL;
}

void lay_added_free(struct lay_added *added)
{
    for (size_t i = 0; i < added->count; i++) {
        lay_free(added->tokens[i].content);
        lay_free(added->tokens[i].pattern);
    }
    lay_free(added->tokens);
    *added = (struct lay_added){0};
}

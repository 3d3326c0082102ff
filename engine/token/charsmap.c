#include "engine/token/charsmap.h"

#include "engine/base/utf8.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <utf8proc.h>

/* A grapheme of at least this many bytes is never replaced as a whole. */
enum { WHOLE_GRAPHEME_BYTES = 6 };

static uint32_t read_u32(const unsigned char *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

enum lay_status lay_charsmap_open(const char *name, const unsigned char *bytes, size_t size,
                                  struct lay_charsmap *map, struct lay_err *err)
{
    *map = (struct lay_charsmap){0};
    if (!bytes || size == 0)
        return LAY_OK;
    const size_t trie = size >= 4 ? read_u32(bytes) : SIZE_MAX;
    if (size < 4 || trie > size - 4 || trie % 4 != 0 || trie == 0)
        return lay_fail(err, LAY_ERR_INPUT, "%s: the normaliser's map of characters is damaged", name);
    map->units = bytes + 4;
    map->n_units = trie / 4;
    map->strings = (const char *)bytes + 4 + trie;
    map->n_strings = size - 4 - trie;
    if (map->n_strings == 0 || map->strings[map->n_strings - 1] != 0 ||
        !lay_utf8_valid(map->strings, map->n_strings, NULL))
        return lay_fail(err, LAY_ERR_INPUT, "%s: the normaliser's replacements are damaged", name);
    return LAY_OK;
}

/* Layout of a unit: label in bits 0–7 and 31, leaf flag in bit 8, offset in bits 10–30, shifted by 8 more if
 * bit 9 is set; a leaf's value is bits 0–30. */
static size_t unit_offset(uint32_t unit)
{
    return (size_t)(unit >> 10) << ((unit & (1u << 9)) >> 6);
}

/* The replacement of the shortest prefix of `key` that has one; NULL if none has. */
static const char *find(const struct lay_charsmap *map, const char *key, size_t length)
{
    if (map->n_units == 0)
        return NULL;
    size_t at = unit_offset(read_u32(map->units));
    for (size_t i = 0; i < length && key[i]; i++) {
        const unsigned char label = (unsigned char)key[i];
        at ^= label;
        if (at >= map->n_units)
            return NULL;
        const uint32_t unit = read_u32(map->units + 4 * at);
        if ((unit & (1u << 31 | 0xffu)) != label)
            return NULL;
        at ^= unit_offset(unit);
        if (!(unit >> 8 & 1))
            continue;
        if (at >= map->n_units)
            return NULL;
        const size_t value = read_u32(map->units + 4 * at) & 0x7fffffffu;
        if (value >= map->n_strings || ((unsigned char)map->strings[value] & 0xC0) == 0x80)
            return NULL;
        return map->strings + value;
    }
    return NULL;
}

static void apply_grapheme(const struct lay_charsmap *map, const char *text, size_t length,
                           struct lay_str *out)
{
    const char *whole = length < WHOLE_GRAPHEME_BYTES ? find(map, text, length) : NULL;
    if (whole) {
        lay_str_puts(out, whole);
        return;
    }
    for (size_t at = 0; at < length;) {
        const size_t start = at;
        lay_utf8_next(text, length, &at);
        const char *replacement = find(map, text + start, at - start);
        if (replacement)
            lay_str_puts(out, replacement);
        else
            lay_str_append(out, text + start, at - start);
    }
}

void lay_charsmap_apply(const struct lay_charsmap *map, const char *text, size_t length, struct lay_str *out)
{
    utf8proc_int32_t state = 0;
    size_t start = 0, at = 0;
    int32_t last = 0;
    while (at < length) {
        const size_t here = at;
        const int32_t code_point = lay_utf8_next(text, length, &at);
        if (here > start && utf8proc_grapheme_break_stateful(last, code_point, &state)) {
            apply_grapheme(map, text + start, here - start, out);
            start = here;
        }
        last = code_point;
    }
    if (start < length)
        apply_grapheme(map, text + start, length - start, out);
}

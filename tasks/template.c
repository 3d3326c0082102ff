#include "tasks/template.h"

#include <string.h>

/* A piece of a template: text, or a name in braces. */
struct piece {
    const char *text;
    size_t length;
    bool is_name;
};

/* Takes the piece at *at. False at the end; *broken when a brace stands alone. */
static bool next_piece(const char **at, struct piece *piece, bool *broken)
{
    const char *begin = *at;
    *broken = false;
    if (!*begin)
        return false;
    if ((begin[0] == '{' && begin[1] == '{') || (begin[0] == '}' && begin[1] == '}')) {
        *piece = (struct piece){begin, 1, false};
        *at = begin + 2;
        return true;
    }
    if (*begin == '{') {
        const size_t length = strcspn(begin + 1, "{}");
        *broken = begin[1 + length] != '}';
        *piece = (struct piece){begin + 1, length, true};
        *at = begin + 2 + length;
        return !*broken;
    }
    const size_t length = strcspn(begin, "{}");
    *broken = length == 0;
    *piece = (struct piece){begin, length, false};
    *at = begin + length;
    return !*broken;
}

static bool is_named(const struct piece *piece, const char *name)
{
    return piece->is_name && strlen(name) == piece->length && memcmp(name, piece->text, piece->length) == 0;
}

enum lay_status lay_template_check(const char *template, const char *const *names, const char *where,
                                   struct lay_err *err)
{
    const char *at = template;
    struct piece piece;
    bool broken;
    while (next_piece(&at, &piece, &broken)) {
        const char *const *name = names;
        while (piece.is_name && *name && !is_named(&piece, *name))
            name++;
        if (piece.is_name && !*name)
            return lay_fail(err, LAY_ERR_INPUT, "%s: {%.*s} cannot be used here; the README lists what can",
                            where, piece.length < 40 ? (int)piece.length : 40, piece.text);
    }
    if (broken)
        return lay_fail(err, LAY_ERR_INPUT, "%s: a single brace; write {{ or }} for one in the text", where);
    return LAY_OK;
}

bool lay_template_uses(const char *template, const char *name)
{
    struct piece piece;
    bool broken;
    while (next_piece(&template, &piece, &broken))
        if (is_named(&piece, name))
            return true;
    return false;
}

enum lay_status lay_template_render(const char *template, const struct lay_template_value *values,
                                    size_t count, const char *where, struct lay_str *out, struct lay_err *err)
{
    struct piece piece;
    bool broken;
    while (next_piece(&template, &piece, &broken)) {
        size_t i = 0;
        if (!piece.is_name) {
            lay_str_append(out, piece.text, piece.length);
            continue;
        }
        while (i < count && !is_named(&piece, values[i].name))
            i++;
        if (i == count || !values[i].text)
            return lay_fail(err, LAY_ERR_INPUT, "%s: there is no text for {%.*s}", where, (int)piece.length,
                            piece.text);
        lay_str_puts(out, values[i].text);
    }
    return lay_str_check(out, err);
}

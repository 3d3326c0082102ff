#include "reports/emit.h"

#include <math.h>
#include <string.h>

static void line_break(struct lay_emit *emit)
{
    if (emit->indent >= 0)
        lay_str_printf(emit->out, "\n%*s", emit->indent * emit->depth, "");
}

/* Everything that stands before a value. */
static void member(struct lay_emit *emit, const char *key)
{
    if (emit->filled)
        lay_str_puts(emit->out, emit->indent < 0 ? ", " : ",");
    if (emit->depth > 0)
        line_break(emit);
    if (key) {
        lay_json_put_string(emit->out, key, strlen(key));
        lay_str_puts(emit->out, ": ");
    }
    emit->filled = true;
}

void lay_emit_open(struct lay_emit *emit, const char *key, char bracket)
{
    member(emit, key);
    lay_str_putc(emit->out, bracket);
    emit->depth++;
    emit->filled = false;
}

void lay_emit_close(struct lay_emit *emit, char bracket)
{
    emit->depth--;
    if (emit->filled)
        line_break(emit);
    lay_str_putc(emit->out, bracket);
    emit->filled = true;
}

void lay_emit_string(struct lay_emit *emit, const char *key, const char *text)
{
    member(emit, key);
    if (text)
        lay_json_put_string(emit->out, text, strlen(text));
    else
        lay_str_puts(emit->out, "null");
}

void lay_emit_int(struct lay_emit *emit, const char *key, int64_t value)
{
    member(emit, key);
    lay_str_printf(emit->out, "%lld", (long long)value);
}

void lay_emit_double(struct lay_emit *emit, const char *key, double value)
{
    member(emit, key);
    if (isnan(value))
        lay_str_puts(emit->out, "null");
    else
        lay_json_put_double(emit->out, value);
}

void lay_emit_bool(struct lay_emit *emit, const char *key, bool value)
{
    member(emit, key);
    lay_str_puts(emit->out, value ? "true" : "false");
}

/* A tree is laid out for depth 0; its lines move right to where it stands. Strings hold no raw newline. */
void lay_emit_tree(struct lay_emit *emit, const char *key, const cJSON *tree)
{
    struct lay_str text = {0};
    member(emit, key);
    if (!tree) {
        lay_str_puts(emit->out, "null");
        return;
    }
    lay_json_put(&text, tree, emit->indent);
    emit->out->failed |= text.failed;
    for (const char *at = lay_str_text(&text); *at;) {
        const size_t length = strcspn(at, "\n");
        lay_str_append(emit->out, at, length);
        at += length;
        if (*at == '\n') {
            line_break(emit);
            at++;
        }
    }
    lay_str_free(&text);
}

void lay_emit_json(struct lay_emit *emit, const char *key, const char *json)
{
    member(emit, key);
    lay_str_puts(emit->out, json ? json : "null");
}

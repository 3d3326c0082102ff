#include "engine/base/json.h"

#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "engine/base/utf8.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int by_key(const void *a, const void *b)
{
    return strcmp((*(const cJSON *const *)a)->string, (*(const cJSON *const *)b)->string);
}

/* Sorted, because vocabularies and tensor headers have objects of many thousand keys. */
static enum lay_status refuse_duplicate_keys(const cJSON *object, const char *name, struct lay_err *err)
{
    size_t n = 0;
    for (const cJSON *item = object->child; item; item = item->next)
        n++;
    if (n < 2)
        return LAY_OK;
    const cJSON **items = lay_alloc(n, sizeof *items);
    if (!items)
        return lay_no_memory(err, name);
    n = 0;
    for (const cJSON *item = object->child; item; item = item->next)
        items[n++] = item;
    qsort(items, n, sizeof *items, by_key);
    enum lay_status status = LAY_OK;
    for (size_t i = 1; i < n && status == LAY_OK; i++)
        if (strcmp(items[i - 1]->string, items[i]->string) == 0)
            status = lay_fail(err, LAY_ERR_INPUT, "%s: key \"%s\" stands twice in one object", name,
                              items[i]->string);
    lay_free(items);
    return status;
}

static enum lay_status refuse_duplicates(const cJSON *node, const char *name, struct lay_err *err)
{
    if (cJSON_IsObject(node))
        LAY_TRY(refuse_duplicate_keys(node, name, err));
    for (const cJSON *item = node->child; item; item = item->next)
        LAY_TRY(refuse_duplicates(item, name, err));
    return LAY_OK;
}

enum lay_status lay_json_parse(const char *name, const char *text, size_t length, cJSON **root,
                               struct lay_err *err)
{
    const char *end = NULL;
    size_t bad_at;
    *root = NULL;
    if (!lay_utf8_valid(text, length, &bad_at))
        return lay_fail(err, LAY_ERR_INPUT, "%s: invalid UTF-8 at byte %zu", name, bad_at);
    if (length >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) {
        text += 3;
        length -= 3;
    }
    lay_mem_watch_cjson();
    cJSON *tree = cJSON_ParseWithLengthOpts(text, length, &end, false);
    if (!tree && lay_mem_cjson_failed())
        return lay_no_memory(err, name);
    if (!tree) {
        size_t line = 1;
        for (const char *at = text; end && at < end && at < text + length; at++)
            line += *at == '\n';
        return lay_fail(err, LAY_ERR_INPUT, "%s:%zu: not valid JSON", name, line);
    }
    while (end < text + length && (*end == ' ' || *end == '\n' || *end == '\r' || *end == '\t'))
        end++;
    if (end < text + length && *end) {
        cJSON_Delete(tree);
        return lay_fail(err, LAY_ERR_INPUT, "%s: something stands behind the end of the JSON value", name);
    }
    const enum lay_status status = refuse_duplicates(tree, name, err);
    if (status != LAY_OK) {
        cJSON_Delete(tree);
        return status;
    }
    *root = tree;
    return LAY_OK;
}

enum lay_status lay_json_read(const char *path, cJSON **root, struct lay_err *err)
{
    struct lay_str content = {0};
    *root = NULL;
    enum lay_status status = lay_file_read(path, LAY_JSON_FILE_MAX, &content, err);
    if (status == LAY_OK)
        status = lay_json_parse(path, lay_str_text(&content), content.length, root, err);
    lay_str_free(&content);
    return status;
}

static const cJSON *get(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    return item && !cJSON_IsNull(item) ? item : NULL;
}

static enum lay_status wrong_type(const char *where, const char *key, const char *wanted, struct lay_err *err)
{
    return lay_fail(err, LAY_ERR_INPUT, "%s: \"%s\" must be %s", where, key, wanted);
}

enum lay_status lay_json_get_int(const cJSON *object, const char *where, const char *key, int64_t *value,
                                 struct lay_err *err)
{
    const cJSON *item = get(object, key);
    if (!item)
        return LAY_OK;
    const double number = item->valuedouble;
    if (!cJSON_IsNumber(item) || number != floor(number) || fabs(number) > 9007199254740992.0)
        return wrong_type(where, key, "a whole number", err);
    *value = (int64_t)number;
    return LAY_OK;
}

enum lay_status lay_json_get_double(const cJSON *object, const char *where, const char *key, double *value,
                                    struct lay_err *err)
{
    const cJSON *item = get(object, key);
    if (!item)
        return LAY_OK;
    if (!cJSON_IsNumber(item))
        return wrong_type(where, key, "a number", err);
    *value = item->valuedouble;
    return LAY_OK;
}

enum lay_status lay_json_get_bool(const cJSON *object, const char *where, const char *key, bool *value,
                                  struct lay_err *err)
{
    const cJSON *item = get(object, key);
    if (!item)
        return LAY_OK;
    if (!cJSON_IsBool(item))
        return wrong_type(where, key, "true or false", err);
    *value = cJSON_IsTrue(item);
    return LAY_OK;
}

enum lay_status lay_json_get_string(const cJSON *object, const char *where, const char *key,
                                    const char **value, struct lay_err *err)
{
    const cJSON *item = get(object, key);
    if (!item)
        return LAY_OK;
    if (!cJSON_IsString(item))
        return wrong_type(where, key, "a string", err);
    *value = item->valuestring;
    return LAY_OK;
}

enum lay_status lay_json_only_keys(const cJSON *object, const char *where, const char *const *allowed,
                                   struct lay_err *err)
{
    for (const cJSON *item = object->child; item; item = item->next) {
        const char *const *name = allowed;
        while (*name && strcmp(*name, item->string) != 0)
            name++;
        if (!*name)
            return lay_fail(err, LAY_ERR_INPUT, "%s: unknown key \"%s\"; correct its spelling or remove it",
                            where, item->string);
    }
    return LAY_OK;
}

enum lay_status lay_json_missing(const char *where, const char *key, struct lay_err *err)
{
    return lay_fail(err, LAY_ERR_INPUT, "%s: \"%s\" is missing", where, key);
}

bool lay_json_add(cJSON *parent, const char *key, cJSON *item)
{
    if (item && (key ? cJSON_AddItemToObject(parent, key, item) : cJSON_AddItemToArray(parent, item)))
        return true;
    cJSON_Delete(item);
    return false;
}

void lay_json_put_string(struct lay_str *out, const char *text, size_t length)
{
    static const char *const short_escape[128] = {
        ['"'] = "\\\"", ['\\'] = "\\\\", ['\n'] = "\\n", ['\r'] = "\\r",
        ['\t'] = "\\t", ['\b'] = "\\b",  ['\f'] = "\\f",
    };
    lay_str_putc(out, '"');
    size_t plain = 0;
    for (size_t i = 0; i < length; i++) {
        const unsigned char c = (unsigned char)text[i];
        const char *escape = c < 128 ? short_escape[c] : NULL;
        if (!escape && c >= 0x20)
            continue;
        lay_str_append(out, text + plain, i - plain);
        if (escape)
            lay_str_puts(out, escape);
        else
            lay_str_printf(out, "\\u%04x", c);
        plain = i + 1;
    }
    lay_str_append(out, text + plain, length - plain);
    lay_str_putc(out, '"');
}

/* Python's repr(float): shortest digits; exponent form below 1e-4 and from 1e16 on. */
void lay_json_put_double(struct lay_str *out, double value)
{
    char digits[64];
    int precision = 1;
    if (isnan(value)) {
        lay_str_puts(out, "NaN");
        return;
    }
    if (isinf(value)) {
        lay_str_puts(out, value < 0 ? "-Infinity" : "Infinity");
        return;
    }
    do
        snprintf(digits, sizeof digits, "%.*e", precision - 1, value);
    while (strtod(digits, NULL) != value && precision++ < 17);
    const int exponent = (int)strtol(strchr(digits, 'e') + 1, NULL, 10);
    if (exponent < -4 || exponent >= 16) {
        char *e = strchr(digits, 'e');
        lay_str_append(out, digits, (size_t)(e - digits));
        lay_str_printf(out, "e%c%02d", exponent < 0 ? '-' : '+', abs(exponent));
        return;
    }
    const int decimals = precision - 1 - exponent;
    lay_str_printf(out, "%.*f", decimals > 0 ? decimals : 1, value);
}

static void newline(struct lay_str *out, int indent, int depth)
{
    if (indent < 0)
        return;
    lay_str_printf(out, "\n%*s", indent * depth, "");
}

static void put(struct lay_str *out, const cJSON *node, int indent, int depth)
{
    if (cJSON_IsString(node)) {
        lay_json_put_string(out, node->valuestring, strlen(node->valuestring));
    } else if (cJSON_IsNumber(node)) {
        if (node->valuedouble == floor(node->valuedouble) && fabs(node->valuedouble) < 9007199254740992.0)
            lay_str_printf(out, "%lld", (long long)node->valuedouble);
        else
            lay_json_put_double(out, node->valuedouble);
    } else if (cJSON_IsRaw(node)) {
        lay_str_puts(out, node->valuestring);
    } else if (cJSON_IsBool(node)) {
        lay_str_puts(out, cJSON_IsTrue(node) ? "true" : "false");
    } else if (cJSON_IsNull(node)) {
        lay_str_puts(out, "null");
    } else {
        const bool object = cJSON_IsObject(node);
        lay_str_putc(out, object ? '{' : '[');
        for (const cJSON *item = node->child; item; item = item->next) {
            newline(out, indent, depth + 1);
            if (object) {
                lay_json_put_string(out, item->string, strlen(item->string));
                lay_str_puts(out, ": ");
            }
            put(out, item, indent, depth + 1);
            if (item->next)
                lay_str_puts(out, indent < 0 ? ", " : ",");
        }
        if (node->child)
            newline(out, indent, depth);
        lay_str_putc(out, object ? '}' : ']');
    }
}

void lay_json_put(struct lay_str *out, const cJSON *tree, int indent)
{
    if (tree)
        put(out, tree, indent, 0);
    else
        out->failed = true;
}

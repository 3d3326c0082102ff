/* What determined the results: the manifests' single values side by side, and each manifest as it stands. */
#include "reports/html/part.h"

#include "engine/base/mem.h"

#include <string.h>

enum { MAX_KEYS = 256, MAX_DEPTH = 6 };

/* Dotted paths ("system.llm.model_type") in order of first appearance over all systems. */
struct keys {
    char *paths[MAX_KEYS];
    size_t count;
};

static enum lay_status add_key(struct keys *keys, const char *path, struct lay_err *err)
{
    for (size_t i = 0; i < keys->count; i++)
        if (strcmp(keys->paths[i], path) == 0)
            return LAY_OK;
    if (keys->count == MAX_KEYS)
        return LAY_OK;
    keys->paths[keys->count] = lay_strdup(path);
    return keys->paths[keys->count++] ? LAY_OK : lay_no_memory(err, "the manifests");
}

/* Arrays of objects (the tasks and their data files) are left to the whole manifest below. */
static bool is_single(const cJSON *value)
{
    return !cJSON_IsObject(value) && !(cJSON_IsArray(value) && cJSON_IsObject(value->child));
}

static enum lay_status add_keys(struct keys *keys, const cJSON *object, const char *prefix, int depth,
                                struct lay_err *err)
{
    enum lay_status status = LAY_OK;
    const cJSON *member;
    cJSON_ArrayForEach(member, object)
    {
        struct lay_str path = {0};
        lay_str_printf(&path, "%s%s%s", prefix, *prefix ? "." : "", member->string);
        status = lay_str_check(&path, err);
        if (status == LAY_OK && is_single(member))
            status = add_key(keys, lay_str_text(&path), err);
        else if (status == LAY_OK && cJSON_IsObject(member) && depth < MAX_DEPTH)
            status = add_keys(keys, member, lay_str_text(&path), depth + 1, err);
        lay_str_free(&path);
        if (status != LAY_OK)
            return status;
    }
    return status;
}

static const cJSON *member_at(const cJSON *object, const char *path)
{
    const cJSON *member;
    cJSON_ArrayForEach(member, object)
    {
        const size_t length = strlen(member->string);
        if (strncmp(path, member->string, length) != 0)
            continue;
        if (!path[length] && is_single(member))
            return member;
        const cJSON *below = path[length] == '.' ? member_at(member, path + length + 1) : NULL;
        if (below)
            return below;
    }
    return NULL;
}

static void put_value(struct lay_str *out, const cJSON *value)
{
    struct lay_str text = {0};
    if (cJSON_IsString(value))
        lay_str_puts(&text, value->valuestring);
    else if (value)
        lay_json_put(&text, value, -1);
    lay_markup_text(out, lay_str_text(&text));
    out->failed |= text.failed;
    lay_str_free(&text);
}

static void put_key(struct lay_str *out, const struct lay_report *report, const char *path)
{
    bool differs = false;
    const cJSON *first = member_at(report->systems[0].manifest, path);
    for (size_t s = 1; s < report->count; s++) {
        const cJSON *value = member_at(report->systems[s].manifest, path);
        differs |= (first || value) && !cJSON_Compare(first, value, true);
    }
    lay_str_puts(out, "<tr>");
    lay_html_row_put(out, path);
    for (size_t s = 0; s < report->count; s++) {
        lay_str_puts(out, differs ? "<td class=\"wrap differs\">" : "<td class=\"wrap\">");
        put_value(out, member_at(report->systems[s].manifest, path));
        lay_str_puts(out, "</td>");
    }
    lay_str_puts(out, "</tr>\n");
}

static void put_comparison(struct lay_str *out, const struct lay_report *report, const struct keys *keys)
{
    lay_html_scroll_open(out, "What determined the results");
    lay_str_puts(out, "<table class=\"values\"><thead><tr>");
    lay_html_column_put(out, "Key");
    for (size_t s = 0; s < report->count; s++)
        lay_html_column_put(out, report->systems[s].name);
    lay_str_puts(out, "</tr></thead><tbody>\n");
    for (size_t i = 0; i < keys->count; i++)
        put_key(out, report, keys->paths[i]);
    lay_str_puts(out, "</tbody></table>\n");
    lay_html_scroll_close(out);
    if (report->count > 1)
        lay_str_puts(out,
                     "<p class=\"note\">Values that differ between the systems have a grey ground.</p>\n");
}

static void put_whole(struct lay_str *out, const struct lay_system_result *system)
{
    struct lay_str text = {0};
    if (!system->manifest)
        return;
    lay_json_put(&text, system->manifest, 2);
    lay_str_puts(out, "<details><summary>Whole manifest of ");
    lay_markup_text(out, system->name);
    lay_str_puts(out, "</summary><pre tabindex=\"0\">");
    lay_markup_text(out, lay_str_text(&text));
    lay_str_puts(out, "</pre></details>\n");
    out->failed |= text.failed;
    lay_str_free(&text);
}

enum lay_status lay_html_manifest_put(struct lay_str *out, const struct lay_report *report,
                                      struct lay_err *err)
{
    struct keys keys = {.count = 0};
    enum lay_status status = LAY_OK;
    for (size_t s = 0; s < report->count && status == LAY_OK; s++)
        status = add_keys(&keys, report->systems[s].manifest, "", 0, err);
    lay_html_section_open(out, "manifest", "Manifest");
    if (status == LAY_OK && keys.count)
        put_comparison(out, report, &keys);
    for (size_t s = 0; s < report->count; s++)
        put_whole(out, &report->systems[s]);
    lay_html_section_close(out);
    for (size_t i = 0; i < keys.count; i++)
        lay_free(keys.paths[i]);
    return status;
}

/* Pictures from files. An SVG that is an image can run and load nothing, whatever stands in it. */
#include "reports/html/pack.h"
#include "reports/html/part.h"

#include "engine/base/file.h"
#include "engine/base/mem.h"

#include <string.h>

enum { MAX_SVG_BYTES = 16 << 20 };

static const struct {
    const char *entity;
    char character;
} entities[] = {{"&amp;", '&'},  {"&lt;", '<'},   {"&gt;", '>'},
                {"&quot;", '"'}, {"&#39;", '\''}, {"&apos;", '\''}};

/* The text of the first element of that name, entities replaced; NULL without memory, "" without element. */
static char *element_text(const char *svg, const char *open, const char *close)
{
    struct lay_str text = {0};
    const char *at = strstr(svg, open);
    at = at ? strchr(at, '>') : NULL;
    const char *end = at ? strstr(at, close) : NULL;
    while (end && ++at < end) {
        char c = *at;
        for (size_t i = 0; i < sizeof entities / sizeof *entities && *at == '&'; i++)
            if (strncmp(at, entities[i].entity, strlen(entities[i].entity)) == 0) {
                c = entities[i].character;
                at += strlen(entities[i].entity) - 1;
            }
        lay_str_putc(&text, c);
    }
    char *taken = text.length ? lay_str_take(&text) : lay_strdup("");
    lay_str_free(&text);
    return taken;
}

static bool is_svg_name(const char *name)
{
    const size_t length = strlen(name);
    return length > 4 && strcmp(name + length - 4, ".svg") == 0;
}

static enum lay_status read_figure(const char *path, struct lay_html_figure *figure, struct lay_err *err)
{
    struct lay_str content = {0};
    enum lay_status status = lay_file_read(path, MAX_SVG_BYTES, &content, err);
    const char *svg = lay_str_text(&content);
    if (status == LAY_OK && (strlen(svg) != content.length || !strstr(svg, "<svg")))
        status = lay_fail(err, LAY_ERR_INPUT, "%s: this is no SVG picture", path);
    if (status != LAY_OK) {
        lay_str_free(&content);
        return status;
    }
    figure->title = element_text(svg, "<title", "</title>");
    figure->about = element_text(svg, "<desc", "</desc>");
    if (figure->title && !*figure->title) {
        lay_free(figure->title);
        figure->title = lay_strdup(lay_path_basename(path));
    }
    figure->svg = lay_str_take(&content);
    lay_str_free(&content);
    return figure->title && figure->about && figure->svg ? LAY_OK : lay_no_memory(err, "a picture");
}

static enum lay_status add_figure(const char *dir, const char *name, struct lay_html_figures *figures,
                                  struct lay_err *err)
{
    struct lay_html_figure *items = lay_realloc(figures->items, figures->count + 1, sizeof *items);
    char *path = items ? lay_path_join(dir, name) : NULL;
    figures->items = items ? items : figures->items;
    if (!path)
        return lay_no_memory(err, "a picture");
    items[figures->count++] = (struct lay_html_figure){0};
    const enum lay_status status = read_figure(path, &items[figures->count - 1], err);
    lay_free(path);
    return status;
}

enum lay_status lay_html_figures_read(const char *dir, struct lay_html_figures *figures, struct lay_err *err)
{
    struct lay_dir files;
    const size_t before = figures->count;
    LAY_TRY(lay_dir_list(dir, &files, err));
    enum lay_status status = LAY_OK;
    for (size_t i = 0; i < files.count && status == LAY_OK; i++)
        if (is_svg_name(files.names[i]))
            status = add_figure(dir, files.names[i], figures, err);
    lay_dir_free(&files);
    if (status == LAY_OK && figures->count == before)
        return lay_fail(err, LAY_ERR_INPUT, "%s: no *.svg files here; layeval analyze writes some", dir);
    return status;
}

void lay_html_figures_free(struct lay_html_figures *figures)
{
    for (size_t i = 0; i < figures->count; i++) {
        lay_free(figures->items[i].title);
        lay_free(figures->items[i].about);
        lay_free(figures->items[i].svg);
    }
    lay_free(figures->items);
    *figures = (struct lay_html_figures){0};
}

void lay_html_figures_put(struct lay_str *out, const struct lay_html_figures *figures)
{
    lay_html_section_open(out, "figures", "Pictures");
    for (size_t i = 0; i < figures->count; i++) {
        const struct lay_html_figure *figure = &figures->items[i];
        lay_str_puts(out, "<figure>\n");
        lay_html_scroll_open(out, figure->title);
        lay_str_puts(out, "<img alt=\"");
        lay_markup_text(out, *figure->about ? figure->about : figure->title);
        lay_str_puts(out, "\" src=\"data:image/svg+xml;base64,");
        lay_base64_put(out, figure->svg, strlen(figure->svg));
        lay_str_puts(out, "\">\n");
        lay_html_scroll_close(out);
        lay_str_puts(out, "<figcaption>");
        lay_markup_text(out, *figure->about ? figure->about : figure->title);
        lay_str_puts(out, "</figcaption>\n</figure>\n");
    }
    lay_html_section_close(out);
}

#include "reports/svg/frame.h"

#include "reports/html/assets.h"
#include "reports/text.h"

#include <math.h>
#include <string.h>

enum { LEGEND_LINE = 20, SWATCH = 24, ENTRY_GAP = 18 };

double lay_svg_at(const struct lay_svg_scale *scale, double value)
{
    const double span = scale->log ? log(scale->high) - log(scale->low) : scale->high - scale->low;
    const double part = scale->log ? log(value) - log(scale->low) : value - scale->low;
    return span > 0 ? scale->from + (scale->to - scale->from) * (part / span) : (scale->from + scale->to) / 2;
}

double lay_svg_nice(double *low, double *high, int ticks)
{
    if (!(*high > *low)) {
        const double room = fabs(*low) > 0 ? fabs(*low) / 2 : 1;
        *low -= room;
        *high += room;
    }
    const double rough = (*high - *low) / ticks, power = pow(10, floor(log10(rough)));
    const double steps[] = {1, 2, 5, 10};
    double step = power;
    for (size_t i = 0; i < sizeof steps / sizeof *steps && step < rough * (1 - 1e-9); i++)
        step = steps[i] * power;
    *low = floor(*low / step + 1e-9) * step;
    *high = ceil(*high / step - 1e-9) * step;
    return step;
}

static void put_colors(struct lay_str *out)
{
    lay_str_puts(out, "<style>");
    lay_str_append(out, (const char *)lay_asset_chart_css, lay_asset_chart_css_size);
    lay_str_puts(out, "</style><rect class=\"paper\" width=\"100%\" height=\"100%\"/>");
}

void lay_svg_open(struct lay_str *out, const struct lay_svg_frame *frame, const struct lay_svg_box *box)
{
    if (frame->alone)
        lay_str_puts(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    lay_str_printf(out,
                   "<svg class=\"chart\" xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" "
                   "viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-labelledby=\"%s-title %s-about\">"
                   "<title id=\"%s-title\">",
                   box->width, box->height, box->width, box->height, frame->id, frame->id, frame->id);
    lay_markup_text(out, frame->title);
    lay_str_printf(out, "</title><desc id=\"%s-about\">", frame->id);
    lay_markup_text(out, frame->about);
    lay_str_puts(out, "</desc>");
    if (!frame->alone)
        return;
    put_colors(out);
    lay_svg_text(out, 12, 20, "start", "heading", frame->title);
}

void lay_svg_close(struct lay_str *out)
{
    lay_str_puts(out, "</svg>\n");
}

static void put_attribute(struct lay_str *out, const char *name, double value)
{
    lay_str_printf(out, " %s=\"", name);
    lay_markup_number(out, value, 2);
    lay_str_putc(out, '"');
}

void lay_svg_text(struct lay_str *out, double x, double y, const char *anchor, const char *class,
                  const char *text)
{
    lay_str_puts(out, "<text");
    put_attribute(out, "x", x);
    put_attribute(out, "y", y);
    if (strcmp(anchor, "start") != 0)
        lay_str_printf(out, " text-anchor=\"%s\"", anchor);
    if (class)
        lay_str_printf(out, " class=\"%s\"", class);
    lay_str_putc(out, '>');
    lay_markup_text(out, text);
    lay_str_puts(out, "</text>");
}

void lay_svg_line(struct lay_str *out, const char *class, double x1, double y1, double x2, double y2)
{
    lay_str_printf(out, "<line class=\"%s\"", class);
    put_attribute(out, "x1", x1);
    put_attribute(out, "y1", y1);
    put_attribute(out, "x2", x2);
    put_attribute(out, "y2", y2);
    lay_str_puts(out, "/>");
}

static int decimals_for(double step)
{
    const int decimals = (int)ceil(-log10(step) - 1e-9);
    return decimals < 0 ? 0 : decimals > 9 ? 9 : decimals;
}

/* Fills in the ticks; logarithmic scales have them at 1, 2 and 5 times powers of ten. */
static size_t find_ticks(const struct lay_svg_scale *scale, double step, double *ticks, size_t room)
{
    static const double in_decade[] = {1, 2, 5};
    size_t n = 0;
    if (!scale->log) {
        for (int i = 0; n < room && scale->low + i * step <= scale->high + step / 2; i++)
            ticks[n++] = scale->low + i * step;
        return n;
    }
    const int first = (int)floor(log10(scale->low)), last = (int)floor(log10(scale->high) + 1e-9);
    for (int decade = first; decade <= last; decade++)
        for (size_t i = 0; i < sizeof in_decade / sizeof *in_decade && n < room; i++) {
            const double tick = pow(10, decade) * in_decade[i];
            if (tick >= scale->low * (1 - 1e-9) && tick <= scale->high * (1 + 1e-9))
                ticks[n++] = tick;
        }
    return n;
}

enum { MAX_TICKS = 40 };

static void put_tick_text(struct lay_str *out, double x, double y, const char *anchor, double value,
                          const struct lay_svg_scale *scale, double step)
{
    struct lay_str text = {0};
    if (fabs(value) >= 1e6)
        lay_str_printf(&text, "%g", value);
    else
        lay_markup_number(&text, value, decimals_for(scale->log ? value : step));
    lay_svg_text(out, x, y, anchor, "tick", lay_str_text(&text));
    out->failed |= text.failed;
    lay_str_free(&text);
}

void lay_svg_y_axis(struct lay_str *out, const struct lay_svg_box *box, const struct lay_svg_scale *scale,
                    double step, const char *label)
{
    double ticks[MAX_TICKS];
    const size_t n = find_ticks(scale, step, ticks, MAX_TICKS);
    for (size_t i = 0; i < n; i++) {
        const double y = lay_svg_at(scale, ticks[i]);
        lay_svg_line(out, "grid", box->left, y, box->right, y);
        put_tick_text(out, box->left - 6, y + 4, "end", ticks[i], scale, step);
    }
    lay_svg_y_label(out, box, label);
}

void lay_svg_x_axis(struct lay_str *out, const struct lay_svg_box *box, const struct lay_svg_scale *scale,
                    double step, const char *label)
{
    double ticks[MAX_TICKS];
    const size_t n = find_ticks(scale, step, ticks, MAX_TICKS);
    for (size_t i = 0; i < n; i++) {
        const double x = lay_svg_at(scale, ticks[i]);
        lay_svg_line(out, "grid", x, box->top, x, box->bottom);
        put_tick_text(out, x, box->bottom + 16, "middle", ticks[i], scale, step);
    }
    lay_svg_x_label(out, box, label);
}

void lay_svg_x_label(struct lay_str *out, const struct lay_svg_box *box, const char *label)
{
    if (label)
        lay_svg_text(out, (box->left + box->right) / 2, box->height - 6, "middle", "label", label);
}

void lay_svg_y_label(struct lay_str *out, const struct lay_svg_box *box, const char *label)
{
    if (!label)
        return;
    lay_str_puts(out, "<text class=\"label\" text-anchor=\"middle\" transform=\"translate(14 ");
    lay_markup_number(out, (box->top + box->bottom) / 2, 2);
    lay_str_puts(out, ") rotate(-90)\">");
    lay_markup_text(out, label);
    lay_str_puts(out, "</text>");
}

double lay_svg_text_width(const char *text)
{
    return 7.0 * (double)lay_text_width(text);
}

/* Moves (*x, *line) to where entry i goes. */
static void place_entry(const struct lay_svg_legend *legend, size_t i, double width, double *x, double *line)
{
    const double needed = SWATCH + lay_svg_text_width(legend->name(legend->of, i));
    if (*x > 0 && *x + needed > width) {
        *x = 0;
        *line += 1;
    }
}

double lay_svg_legend_height(const struct lay_svg_legend *legend, double width)
{
    double x = 0, line = 0;
    for (size_t i = 0; i < legend->count; i++) {
        place_entry(legend, i, width, &x, &line);
        x += SWATCH + lay_svg_text_width(legend->name(legend->of, i)) + ENTRY_GAP;
    }
    return legend->count ? (line + 1) * LEGEND_LINE : 0;
}

void lay_svg_legend_put(struct lay_str *out, const struct lay_svg_legend *legend, double x, double y,
                        double width)
{
    double at = 0, line = 0;
    for (size_t i = 0; i < legend->count; i++) {
        const char *name = legend->name(legend->of, i);
        place_entry(legend, i, width, &at, &line);
        legend->swatch(out, legend->of, i, x + at, y + line * LEGEND_LINE);
        lay_svg_text(out, x + at + SWATCH, y + line * LEGEND_LINE + 10, "start", NULL, name);
        at += SWATCH + lay_svg_text_width(name) + ENTRY_GAP;
    }
}

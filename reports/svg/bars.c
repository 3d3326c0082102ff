/* Bars side by side in groups, with whiskers; figures of others are hatched. */
#include "reports/svg/frame.h"

#include <math.h>
#include <stdio.h>

enum { HEIGHT = 300, LEFT = 56, RIGHT = 16, BOTTOM = 44, TOP = 12, ALONE_TOP = 34 };
enum {
    MIN_WIDTH = 640,
    WIDE = 900,
    MIN_BAR = 7,
    MAX_BAR = 34,
    GROUP_GAP = 14,
    MIN_WHISKER_CAP = 2,
    HATCH_STEP = 5
};

static const char *series_name(const void *of, size_t i)
{
    const struct lay_svg_bars *bars = of;
    return bars->series[i].name;
}

/* Diagonal lines inside a rectangle, as a path: an SVG pattern would become a large bitmap on paper. */
static void put_hatch(struct lay_str *out, size_t series, double x, double y, double width, double height)
{
    lay_str_printf(out, "<path class=\"l%zu hatch\" d=\"", series % LAY_SVG_COLORS);
    for (int i = 1; i * HATCH_STEP < width + height; i++) {
        const double c = i * HATCH_STEP, left = fmax(0, c - height), right = fmin(c, width);
        lay_str_putc(out, 'M');
        lay_markup_number(out, x + left, 1);
        lay_str_putc(out, ' ');
        lay_markup_number(out, y + c - left, 1);
        lay_str_putc(out, 'l');
        lay_markup_number(out, right - left, 1);
        lay_str_putc(out, ' ');
        lay_markup_number(out, left - right, 1);
    }
    lay_str_puts(out, "\"/>");
}

static void put_bar(struct lay_str *out, const struct lay_svg_bars *bars, size_t series, double x, double y,
                    double width, double height)
{
    const double at[] = {x, y, width, height};
    static const char *const names[] = {"x", "y", "width", "height"};
    const bool hatched = bars->series[series].hatched;
    lay_str_printf(out, "<rect class=\"%c%zu\"", hatched ? 'h' : 'f', series % LAY_SVG_COLORS);
    for (size_t i = 0; i < 4; i++) {
        lay_str_printf(out, " %s=\"", names[i]);
        lay_markup_number(out, at[i], 2);
        lay_str_putc(out, '"');
    }
    lay_str_puts(out, "/>");
    if (hatched)
        put_hatch(out, series, x, y, width, height);
}

static void swatch(struct lay_str *out, const void *of, size_t i, double x, double y)
{
    put_bar(out, of, i, x, y, 18, 12);
}

static void put_tooltip(struct lay_str *out, const struct lay_svg_bars *bars, size_t s, size_t group)
{
    const struct lay_svg_bar_series *series = &bars->series[s];
    const char *unit = bars->unit ? bars->unit : "";
    lay_str_puts(out, "<title>");
    lay_markup_text(out, series->name);
    lay_str_puts(out, ", ");
    lay_markup_text(out, bars->groups[group]);
    lay_str_puts(out, ": ");
    lay_markup_number(out, series->values[group], 2);
    lay_markup_text(out, unit);
    if (series->low && isfinite(series->low[group])) {
        lay_str_puts(out, " (");
        lay_markup_number(out, series->low[group], 1);
        lay_str_puts(out, "–");
        lay_markup_number(out, series->high[group], 1);
        lay_str_putc(out, ')');
    }
    lay_str_puts(out, "</title>");
}

static void put_whisker(struct lay_str *out, const struct lay_svg_bar_series *series, size_t group,
                        const struct lay_svg_scale *y, double middle, double width)
{
    if (!series->low || !series->high || !isfinite(series->low[group]) || !isfinite(series->high[group]))
        return;
    const double low = lay_svg_at(y, series->low[group]), high = lay_svg_at(y, series->high[group]);
    const double cap = fmax(MIN_WHISKER_CAP, fmin(width / 4, 5));
    lay_str_puts(out, "<path class=\"whisker\" d=\"");
    const double ends[] = {high, low};
    for (size_t i = 0; i < 2; i++) {
        lay_str_putc(out, 'M');
        lay_markup_number(out, middle - cap, 2);
        lay_str_putc(out, ' ');
        lay_markup_number(out, ends[i], 2);
        lay_str_putc(out, 'H');
        lay_markup_number(out, middle + cap, 2);
    }
    lay_str_putc(out, 'M');
    lay_markup_number(out, middle, 2);
    lay_str_putc(out, ' ');
    lay_markup_number(out, high, 2);
    lay_str_putc(out, 'V');
    lay_markup_number(out, low, 2);
    lay_str_puts(out, "\"/>");
}

static double highest(const struct lay_svg_bars *bars)
{
    double high = 0;
    for (size_t s = 0; s < bars->count; s++)
        for (size_t g = 0; g < bars->n_groups; g++) {
            const struct lay_svg_bar_series *series = &bars->series[s];
            high = fmax(high, isfinite(series->values[g]) ? series->values[g] : 0);
            if (series->high && isfinite(series->high[g]))
                high = fmax(high, series->high[g]);
        }
    return high;
}

/* One group: bars from the left, then its name. */
static void put_group(struct lay_str *out, const struct lay_svg_bars *bars, const struct lay_svg_box *box,
                      const struct lay_svg_scale *y, size_t group, double bar)
{
    const double group_width = bar * (double)bars->count + GROUP_GAP;
    const double left = box->left + group_width * (double)group + GROUP_GAP / 2.0;
    for (size_t s = 0; s < bars->count; s++) {
        const double value = bars->series[s].values[group], x = left + bar * (double)s;
        if (!isfinite(value))
            continue;
        const double top = lay_svg_at(y, value);
        lay_str_puts(out, "<g>");
        put_tooltip(out, bars, s, group);
        put_bar(out, bars, s, x, top, bar - 1, box->bottom - top);
        put_whisker(out, &bars->series[s], group, y, x + (bar - 1) / 2, bar);
        lay_str_puts(out, "</g>");
    }
    lay_svg_text(out, left + bar * (double)bars->count / 2, box->bottom + 16, "middle", "tick",
                 bars->groups[group]);
}

enum lay_status lay_svg_bars(struct lay_str *out, const struct lay_svg_bars *bars, struct lay_err *err)
{
    const double groups = bars->n_groups ? (double)bars->n_groups : 1,
                 count = bars->count ? (double)bars->count : 1;
    const double bar =
        fmax(MIN_BAR, fmin(MAX_BAR, floor(((WIDE - LEFT - RIGHT) / groups - GROUP_GAP) / count)));
    const double inner = groups * (bar * count + GROUP_GAP), width = fmax(MIN_WIDTH, inner + LEFT + RIGHT);
    const struct lay_svg_legend legend = {
        .count = bars->count, .name = series_name, .swatch = swatch, .of = bars};
    const double top = bars->frame.alone ? ALONE_TOP : TOP;
    const double legend_height = lay_svg_legend_height(&legend, width - LEFT - RIGHT);
    const struct lay_svg_box box = {.width = width,
                                    .height = HEIGHT + legend_height + top,
                                    .left = LEFT,
                                    .top = top + legend_height + 6,
                                    .right = LEFT + inner,
                                    .bottom = HEIGHT + legend_height + top - BOTTOM};
    struct lay_svg_scale y = {.from = box.bottom, .to = box.top, .high = bars->high};
    if (!(y.high > 0))
        y.high = highest(bars);
    const double step = lay_svg_nice(&y.low, &y.high, 5);
    lay_svg_open(out, &bars->frame, &box);
    lay_svg_legend_put(out, &legend, LEFT, top, width - LEFT - RIGHT);
    lay_svg_y_axis(out, &box, &y, step, bars->frame.y_label);
    for (size_t group = 0; group < bars->n_groups; group++)
        put_group(out, bars, &box, &y, group, bar);
    lay_svg_line(out, "axis", box.left, box.bottom, box.right, box.bottom);
    lay_svg_x_label(out, &box, bars->frame.x_label);
    lay_svg_close(out);
    return lay_str_check(out, err);
}

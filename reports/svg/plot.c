/* Lines and points over two axes with numbers. */
#include "reports/svg/frame.h"

#include <math.h>
#include <stdio.h>

enum { WIDTH = 720, HEIGHT = 360, LEFT = 64, RIGHT = 20, BOTTOM = 48, TOP = 14, ALONE_TOP = 34 };

/* Shapes around (0, 0), by colour: told apart without it. */
static const char *const markers[LAY_SVG_COLORS] = {
    "M-4-4H4V4H-4Z",     "M0-5L5 4H-5Z",
    "M0-6L6 0 0 6-6 0Z", "M-5-1.5H-1.5V-5H1.5V-1.5H5V1.5H1.5V5H-1.5V1.5H-5Z",
    "M0 5L-5-4H5Z",      "M-5-3L-3-5 0-2 3-5 5-3 2 0 5 3 3 5 0 2-3 5-5 3-2 0Z",
    "M-6-2H6V2H-6Z",     "M-2-6H2V6H-2Z",
};

static bool drawn(const struct lay_svg_plot *plot, double x, double y)
{
    return isfinite(x) && isfinite(y) && (!plot->log_y || y > 0);
}

/* The range of x and y over what is drawn; 0 … 1 if that is nothing. */
static void find_range(const struct lay_svg_plot *plot, struct lay_svg_scale *x, struct lay_svg_scale *y)
{
    x->low = y->low = INFINITY;
    x->high = y->high = -INFINITY;
    for (size_t s = 0; s < plot->count; s++)
        for (size_t i = 0; i < plot->series[s].count; i++) {
            const double px = plot->series[s].x[i], py = plot->series[s].y[i];
            if (!drawn(plot, px, py))
                continue;
            x->low = fmin(x->low, px);
            x->high = fmax(x->high, px);
            y->low = fmin(y->low, py);
            y->high = fmax(y->high, py);
        }
    if (!(x->low <= x->high)) {
        x->low = y->low = plot->log_y ? 1 : 0;
        x->high = y->high = plot->log_y ? 10 : 1;
    }
    if (plot->from_zero && !plot->log_y) {
        y->low = fmin(y->low, 0);
        y->high = fmax(y->high, 0);
    }
}

static const char *series_name(const void *of, size_t i)
{
    const struct lay_svg_plot *plot = of;
    return plot->series[i].name ? plot->series[i].name : "";
}

static void put_marker(struct lay_str *out, size_t series, double x, double y)
{
    lay_str_printf(out, "<path class=\"f%zu\" d=\"%s\" transform=\"translate(", series % LAY_SVG_COLORS,
                   markers[series % LAY_SVG_COLORS]);
    lay_markup_number(out, x, 2);
    lay_str_putc(out, ' ');
    lay_markup_number(out, y, 2);
    lay_str_puts(out, ")\"/>");
}

static void line_swatch(struct lay_str *out, const void *of, size_t i, double x, double y)
{
    char class[16];
    (void)of;
    snprintf(class, sizeof class, "l%zu", i % LAY_SVG_COLORS);
    lay_svg_line(out, class, x, y + 6, x + 18, y + 6);
}

static void point_swatch(struct lay_str *out, const void *of, size_t i, double x, double y)
{
    (void)of;
    put_marker(out, i, x + 9, y + 6);
}

static void put_path(struct lay_str *out, const struct lay_svg_plot *plot, size_t s,
                     const struct lay_svg_scale *x, const struct lay_svg_scale *y)
{
    const struct lay_svg_series *series = &plot->series[s];
    bool pen_down = false;
    lay_str_printf(out, "<path class=\"l%zu\" d=\"", s % LAY_SVG_COLORS);
    for (size_t i = 0; i < series->count; i++) {
        const bool draw = drawn(plot, series->x[i], series->y[i]);
        if (draw) {
            lay_str_putc(out, pen_down ? 'L' : 'M');
            lay_markup_number(out, lay_svg_at(x, series->x[i]), 2);
            lay_str_putc(out, ' ');
            lay_markup_number(out, lay_svg_at(y, series->y[i]), 2);
        }
        pen_down = draw;
    }
    lay_str_puts(out, "\"/>");
}

static void put_points(struct lay_str *out, const struct lay_svg_plot *plot, size_t s,
                       const struct lay_svg_scale *x, const struct lay_svg_scale *y)
{
    const struct lay_svg_series *series = &plot->series[s];
    for (size_t i = 0; i < series->count; i++) {
        if (!drawn(plot, series->x[i], series->y[i]))
            continue;
        const double px = lay_svg_at(x, series->x[i]), py = lay_svg_at(y, series->y[i]);
        put_marker(out, s, px, py);
        if (series->labels)
            lay_svg_text(out, px + 8, py + 4, "start", "mark", series->labels[i]);
    }
}

static void put_named_ticks(struct lay_str *out, const struct lay_svg_plot *plot,
                            const struct lay_svg_box *box, const struct lay_svg_scale *x)
{
    for (size_t i = 0; i < plot->n_x_names; i++) {
        const double at = lay_svg_at(x, (double)i);
        lay_svg_line(out, "grid", at, box->top, at, box->bottom);
        lay_svg_text(out, at, box->bottom + 16, "middle", "tick", plot->x_names[i]);
    }
    lay_svg_x_label(out, box, plot->frame.x_label);
}

/* So that no marker stands on an axis. */
static void add_margin(struct lay_svg_scale *scale)
{
    const double margin = scale->log ? 0 : (scale->high - scale->low) * 0.04;
    scale->low -= margin;
    scale->high += margin;
}

static void put_axes(struct lay_str *out, const struct lay_svg_plot *plot, const struct lay_svg_box *box,
                     struct lay_svg_scale *x, struct lay_svg_scale *y, bool lines)
{
    find_range(plot, x, y);
    if (!lines) {
        add_margin(x);
        add_margin(y);
    }
    if (plot->log_y && !(y->high > y->low)) {
        y->low /= 2;
        y->high *= 2;
    }
    const double y_step = plot->log_y ? 0 : lay_svg_nice(&y->low, &y->high, 6);
    lay_svg_y_axis(out, box, y, y_step, plot->frame.y_label);
    if (plot->x_names) {
        x->low = -0.5;
        x->high = (double)plot->n_x_names - 0.5;
        put_named_ticks(out, plot, box, x);
    } else {
        const double x_step = lay_svg_nice(&x->low, &x->high, 8);
        lay_svg_x_axis(out, box, x, x_step, plot->frame.x_label);
    }
    lay_svg_line(out, "axis", box->left, box->bottom, box->right, box->bottom);
    lay_svg_line(out, "axis", box->left, box->top, box->left, box->bottom);
}

static enum lay_status put_plot(struct lay_str *out, const struct lay_svg_plot *plot, bool lines,
                                struct lay_err *err)
{
    const struct lay_svg_legend legend = {.count = plot->count > 1 ? plot->count : 0,
                                          .name = series_name,
                                          .swatch = lines ? line_swatch : point_swatch,
                                          .of = plot};
    const double top = plot->frame.alone ? ALONE_TOP : TOP;
    const double legend_height = lay_svg_legend_height(&legend, WIDTH - LEFT - RIGHT);
    const struct lay_svg_box box = {.width = WIDTH,
                                    .height = HEIGHT + legend_height + top,
                                    .left = LEFT,
                                    .top = top + legend_height,
                                    .right = WIDTH - RIGHT,
                                    .bottom = HEIGHT + legend_height + top - BOTTOM};
    struct lay_svg_scale x = {.from = box.left, .to = box.right},
                         y = {.from = box.bottom, .to = box.top, .log = plot->log_y};
    lay_svg_open(out, &plot->frame, &box);
    lay_svg_legend_put(out, &legend, LEFT, top, WIDTH - LEFT - RIGHT);
    put_axes(out, plot, &box, &x, &y, lines);
    for (size_t s = 0; s < plot->count; s++)
        (lines ? put_path : put_points)(out, plot, s, &x, &y);
    lay_svg_close(out);
    return lay_str_check(out, err);
}

enum lay_status lay_svg_lines(struct lay_str *out, const struct lay_svg_plot *plot, struct lay_err *err)
{
    return put_plot(out, plot, true, err);
}

enum lay_status lay_svg_points(struct lay_str *out, const struct lay_svg_plot *plot, struct lay_err *err)
{
    return put_plot(out, plot, false, err);
}

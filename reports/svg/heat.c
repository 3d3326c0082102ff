/* Heat maps: one hue laid on more or less opaque, so that it reads on light and on dark paper. */
#include "reports/svg/frame.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
    MIN_CELL = 16,
    NUMBER_CELL = 44,
    MAX_WIDTH = 960,
    CELL_HEIGHT = 24,
    BOTTOM = 76,
    TOP = 12,
    ALONE_TOP = 34
};
enum { SCALE_WIDTH = 160, SCALE_STEPS = 8 };
static const double under_numbers =
    0.5; /* strongest opacity on which ink has 4.5:1, on light and dark paper */

struct layout {
    double low, high, cell, left;
    double strongest; /* opacity */
};

static void find_scale(const struct lay_svg_heat *heat, struct layout *layout)
{
    layout->low = heat->low;
    layout->high = heat->high;
    if (heat->low < heat->high)
        return;
    layout->low = INFINITY;
    layout->high = -INFINITY;
    for (size_t i = 0; i < heat->rows * heat->columns; i++) {
        if (!isfinite(heat->values[i]))
            continue;
        layout->low = fmin(layout->low, heat->values[i]);
        layout->high = fmax(layout->high, heat->values[i]);
    }
    if (!(layout->low < layout->high)) {
        const double only = layout->low <= layout->high ? layout->low : 0;
        layout->low = fmin(only, 0);
        layout->high = only > layout->low ? only : layout->low + 1;
    }
}

static double opacity(const struct layout *layout, double value)
{
    const bool two_sided = layout->low < 0 && layout->high > 0;
    const double part = two_sided ? fabs(value) / fmax(-layout->low, layout->high)
                                  : (value - layout->low) / (layout->high - layout->low);
    return layout->strongest * fmin(fmax(part, 0), 1);
}

static void put_rect(struct lay_str *out, const struct layout *layout, double value, double x, double y,
                     double width)
{
    const bool negative = layout->low < 0 && layout->high > 0 && value < 0;
    lay_str_printf(out, "<rect class=\"%s\" x=\"", negative ? "f1" : "f0");
    lay_markup_number(out, x, 2);
    lay_str_puts(out, "\" y=\"");
    lay_markup_number(out, y, 2);
    lay_str_puts(out, "\" width=\"");
    lay_markup_number(out, width, 2);
    lay_str_printf(out, "\" height=\"%d\" fill-opacity=\"", CELL_HEIGHT - 1);
    lay_markup_number(out, opacity(layout, value), 3);
    lay_str_puts(out, "\">");
}

static void put_cell(struct lay_str *out, const struct lay_svg_heat *heat, const struct layout *layout,
                     size_t row, size_t column, double top)
{
    const double value = heat->values[row * heat->columns + column];
    const double x = layout->left + layout->cell * (double)column, y = top + CELL_HEIGHT * (double)row;
    if (!isfinite(value))
        return;
    put_rect(out, layout, value, x, y, layout->cell - 1);
    lay_str_puts(out, "<title>");
    lay_markup_text(out, heat->row_names[row]);
    lay_str_puts(out, ", ");
    lay_markup_text(out, heat->column_names[column]);
    lay_str_printf(out, ": %.4g</title></rect>", value);
    if (heat->decimals < 0)
        return;
    char number[400];
    snprintf(number, sizeof number, "%.*f", heat->decimals, value);
    const bool is_zero = !strpbrk(number, "123456789");
    lay_svg_text(out, x + layout->cell / 2, y + CELL_HEIGHT / 2.0 + 4, "middle", "mark",
                 is_zero && number[0] == '-' ? number + 1 : number);
}

/* Names that do not fit side by side are turned. */
static void put_column_names(struct lay_str *out, const struct lay_svg_heat *heat,
                             const struct layout *layout, double y, bool turned)
{
    for (size_t i = 0; i < heat->columns; i++) {
        const double x = layout->left + layout->cell * ((double)i + 0.5);
        if (!turned) {
            lay_svg_text(out, x, y + 16, "middle", "tick", heat->column_names[i]);
            continue;
        }
        lay_str_puts(out, "<text class=\"tick\" text-anchor=\"end\" transform=\"translate(");
        lay_markup_number(out, x + 4, 2);
        lay_str_putc(out, ' ');
        lay_markup_number(out, y + 8, 2);
        lay_str_puts(out, ") rotate(-60)\">");
        lay_markup_text(out, heat->column_names[i]);
        lay_str_puts(out, "</text>");
    }
}

static void put_scale(struct lay_str *out, const struct layout *layout, double x, double y)
{
    const double width = (double)SCALE_WIDTH / SCALE_STEPS;
    char end[32];
    for (int i = 0; i < SCALE_STEPS; i++) {
        const double part = (double)i / (SCALE_STEPS - 1);
        put_rect(out, layout, layout->low + part * (layout->high - layout->low), x + 44 + width * i,
                 y - CELL_HEIGHT / 2.0 - 4, width);
        lay_str_puts(out, "</rect>");
    }
    snprintf(end, sizeof end, "%.3g", layout->low);
    lay_svg_text(out, x + 38, y, "end", "tick", end);
    snprintf(end, sizeof end, "%.3g", layout->high);
    lay_svg_text(out, x + 50 + SCALE_WIDTH, y, "start", "tick", end);
}

static double widest(const char *const *names, size_t count)
{
    double width = 0;
    for (size_t i = 0; i < count; i++)
        width = fmax(width, lay_svg_text_width(names[i]));
    return width;
}

enum lay_status lay_svg_heat(struct lay_str *out, const struct lay_svg_heat *heat, struct lay_err *err)
{
    struct layout layout;
    find_scale(heat, &layout);
    layout.strongest = heat->decimals < 0 ? 1 : under_numbers;
    layout.left = widest(heat->row_names, heat->rows) + (heat->frame.y_label ? 40 : 18);
    const double columns = heat->columns ? (double)heat->columns : 1;
    layout.cell = fmax(heat->decimals < 0 ? MIN_CELL : NUMBER_CELL,
                       fmin(56, floor((MAX_WIDTH - layout.left) / columns)));
    const double names = widest(heat->column_names, heat->columns), top = heat->frame.alone ? ALONE_TOP : TOP;
    const bool turned = names > layout.cell;
    const double turned_height = turned ? names * 0.87 : 0;
    const double bottom = top + CELL_HEIGHT * (double)heat->rows;
    const struct lay_svg_box box = {.width =
                                        fmax(layout.left + layout.cell * columns + 40, SCALE_WIDTH + 140),
                                    .height = bottom + turned_height + BOTTOM,
                                    .left = layout.left,
                                    .top = top,
                                    .right = layout.left + layout.cell * columns,
                                    .bottom = bottom};
    lay_svg_open(out, &heat->frame, &box);
    for (size_t row = 0; row < heat->rows; row++) {
        lay_svg_text(out, layout.left - 6, top + CELL_HEIGHT * ((double)row + 0.5) + 4, "end", "tick",
                     heat->row_names[row]);
        for (size_t column = 0; column < heat->columns; column++)
            put_cell(out, heat, &layout, row, column, top);
    }
    put_column_names(out, heat, &layout, bottom, turned);
    put_scale(out, &layout, 8, bottom + turned_height + 44);
    lay_svg_x_label(out, &box, heat->frame.x_label);
    lay_svg_y_label(out, &box, heat->frame.y_label);
    lay_svg_close(out);
    return lay_str_check(out, err);
}

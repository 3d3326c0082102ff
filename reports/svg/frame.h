/* What the kinds of pictures share: frame, scales, axes, legend. Private to reports/svg. Coordinates are
 * pixels of the picture at its natural size. */
#ifndef LAY_REPORTS_SVG_FRAME_H
#define LAY_REPORTS_SVG_FRAME_H

#include "reports/markup.h"
#include "reports/svg.h"

#include <stdint.h>

/* The rectangle between the axes, in a picture of width × height. */
struct lay_svg_box {
    double width, height;
    double left, top, right, bottom;
};

/* Values to coordinates, linear (or in the logarithm) from `low` at `from` to `high` at `to`. */
struct lay_svg_scale {
    double low, high, from, to;
    bool log;
};

double lay_svg_at(const struct lay_svg_scale *scale, double value);

/* Widens [low, high] to whole steps of 1, 2 or 5 · 10ⁿ and returns the step: about `ticks` of them. */
double lay_svg_nice(double *low, double *high, int ticks);

/* Opens the picture with title, description and, alone, a style sheet and a background; closes it. */
void lay_svg_open(struct lay_str *out, const struct lay_svg_frame *frame, const struct lay_svg_box *box);
void lay_svg_close(struct lay_str *out);

/* A text at (x, y); anchor is "start", "middle" or "end"; class may be NULL. */
void lay_svg_text(struct lay_str *out, double x, double y, const char *anchor, const char *class,
                  const char *text);
void lay_svg_line(struct lay_str *out, const char *class, double x1, double y1, double x2, double y2);

/* Ticks, grid lines and label of an axis with numbers. `scale` is already widened by lay_svg_nice. */
void lay_svg_y_axis(struct lay_str *out, const struct lay_svg_box *box, const struct lay_svg_scale *scale,
                    double step, const char *label);
void lay_svg_x_axis(struct lay_str *out, const struct lay_svg_box *box, const struct lay_svg_scale *scale,
                    double step, const char *label);

/* A label below the x axis, a rotated one beside the y axis; NULL draws nothing. */
void lay_svg_x_label(struct lay_str *out, const struct lay_svg_box *box, const char *label);
void lay_svg_y_label(struct lay_str *out, const struct lay_svg_box *box, const char *label);

/* Pixels a text of the pictures' font size takes, about. */
double lay_svg_text_width(const char *text);

/* Entries side by side above the box, in as many lines as they need. `swatch` draws the sign of entry i in
 * the 18 × 12 pixels whose top left corner it is given. */
struct lay_svg_legend {
    size_t count;
    const char *(*name)(const void *of, size_t i);
    void (*swatch)(struct lay_str *out, const void *of, size_t i, double x, double y);
    const void *of;
};
double lay_svg_legend_height(const struct lay_svg_legend *legend, double width);
void lay_svg_legend_put(struct lay_str *out, const struct lay_svg_legend *legend, double x, double y,
                        double width);

#endif

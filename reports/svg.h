/* Pictures for reports: lines, points, heat maps and bars as SVG.
 *
 * The same picture stands inside the HTML report or in a file of its own. Its colours are the variables --s0
 * …
 * --s7 and --ink of reports/html/chart.css, which follow the reader's light or dark scheme; series differ by
 * shape, dash or hatching too, so that no colour has to be told apart. Every picture has a title and a text
 * alternative. All texts are data and are escaped here. Numbers that are NaN are left out. The bytes depend
 * on the arguments alone.
 *
 * Functions append to `out`, borrow everything, and fail with LAY_ERR_MEMORY only. */
#ifndef LAY_REPORTS_SVG_H
#define LAY_REPORTS_SVG_H

#include "engine/base/err.h"
#include "engine/base/str.h"

#include <stdbool.h>
#include <stddef.h>

enum { LAY_SVG_COLORS = 8 }; /* a further series gets the first colour again */

/* What every picture has. */
struct lay_svg_frame {
    const char *id;      /* unique in the page; letters, digits and hyphens */
    const char *title;   /* one line, shown above the picture */
    const char *about;   /* what there is to see, in a sentence: read out instead of the picture */
    const char *x_label; /* may be NULL */
    const char *y_label; /* may be NULL */
    bool alone;          /* a whole SVG file, with the colours inside */
};

struct lay_svg_series {
    const char *name;          /* for the legend, which is left out for a single series; may be NULL */
    const double *x, *y;       /* [count] */
    const char *const *labels; /* [count] text beside each point; NULL: none (points only) */
    size_t count;
};

struct lay_svg_plot {
    struct lay_svg_frame frame;
    const struct lay_svg_series *series;
    size_t count;
    bool from_zero;             /* the y axis starts at 0 */
    bool log_y;                 /* y is drawn by its logarithm; values that are not positive are left out */
    const char *const *x_names; /* [n_x_names] what stands under x = 0, 1, …; NULL: numbers */
    size_t n_x_names;
};

/* One line per series; a NaN interrupts it. At most a few thousand points each: thin out before. */
enum lay_status lay_svg_lines(struct lay_str *out, const struct lay_svg_plot *plot, struct lay_err *err);
/* One marker per point. */
enum lay_status lay_svg_points(struct lay_str *out, const struct lay_svg_plot *plot, struct lay_err *err);

struct lay_svg_heat {
    struct lay_svg_frame frame;
    const char *const *row_names;    /* [rows], top down */
    const char *const *column_names; /* [columns] */
    const double *values;            /* [rows, columns] row-major */
    size_t rows, columns;
    double low, high; /* the scale; low < 0 < high: two colours that meet at 0. Equal: from the values */
    int decimals;     /* of the number in each cell; < 0: no numbers */
};

enum lay_status lay_svg_heat(struct lay_str *out, const struct lay_svg_heat *heat, struct lay_err *err);

struct lay_svg_bar_series {
    const char *name;
    const double *values;     /* [groups]; NaN: no bar */
    const double *low, *high; /* [groups] ends of the whisker; NULL or NaN: none */
    bool hatched;             /* a figure that is not ours */
};

struct lay_svg_bars {
    struct lay_svg_frame frame;
    const char *const *groups; /* [n_groups], from the left; the series stand side by side in each */
    size_t n_groups;
    const struct lay_svg_bar_series *series;
    size_t count;
    double high;      /* upper end of the y axis, which starts at 0; 0: from the values */
    const char *unit; /* behind values in tooltips: " %"; may be NULL */
};

enum lay_status lay_svg_bars(struct lay_str *out, const struct lay_svg_bars *bars, struct lay_err *err);

#endif

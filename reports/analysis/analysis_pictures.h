/* Analyses as pictures: SVG, by themselves or inside a page. */
#ifndef LAY_REPORTS_ANALYSIS_PICTURES_H
#define LAY_REPORTS_ANALYSIS_PICTURES_H

#include "reports/analysis/analysis.h"

/* An analysis and the system it is of; both borrowed. */
struct lay_analysed {
    const char *system;
    const struct lay_analysis *analysis;
};

/* One picture; borrowed during the call. */
struct lay_picture {
    const char *name;  /* unique among those of one figure and one set of systems: "tokens_03" */
    const char *title; /* one line */
    const char *svg;   /* length bytes */
    size_t length;
    bool detail; /* one of many, which a page may fold up */
};

/* Draws a figure of all systems that have it: one picture of all where that reads well (similarity,
 * attention), else one or several per system. `alone`: whole SVG files, with the colours inside. `drawn` is
 * called per picture; its failure ends the drawing. */
enum lay_status lay_analysis_draw(const struct lay_analysed *systems, size_t count, enum lay_figure figure,
                                  bool alone,
                                  enum lay_status (*drawn)(void *context, const struct lay_picture *picture,
                                                           struct lay_err *err),
                                  void *context, struct lay_err *err);

/* Appends a self-contained HTML page with all pictures; of several systems without the many of the tokens. */
enum lay_status lay_analysis_page(const struct lay_analysed *systems, size_t count, struct lay_str *out,
                                  struct lay_err *err);

#endif

/* report.html: one file with everything in it, for a person to look at. It loads nothing, and its content
 * security policy forbids it to.
 *
 * Sections: the papers' table and a bar chart per task, low- against high-resource languages, agreement of
 * the two scores, what went wrong, how the bridges were trained, pictures of an analysis, a browser of the
 * samples, the manifests. Without JavaScript all but the browser is there. Texts of samples are hostile data:
 * they reach the page escaped, or packed (html/samples.h) and from there as text nodes. The bytes depend on
 * the arguments alone. */
#ifndef LAY_REPORTS_HTML_H
#define LAY_REPORTS_HTML_H

#include "reports/report.h"

/* A picture from elsewhere: a whole SVG file, shown as an image, so that nothing in it can act. */
struct lay_html_figure {
    char *title; /* the file's <title>, else the file's name */
    char *about; /* its <desc>: the text alternative; may be "" */
    char *svg;
};

struct lay_html_figures {
    struct lay_html_figure *items;
    size_t count;
};

/* Reads every *.svg of the folder, by name; they are appended to `figures`, which starts as {0} and is freed
 * with lay_html_figures_free, also after a failure. What reports/svg.h writes with `alone` is such a file.
 * LAY_ERR_INPUT if there is none or one is no SVG. */
enum lay_status lay_html_figures_read(const char *dir, struct lay_html_figures *figures, struct lay_err *err);
void lay_html_figures_free(struct lay_html_figures *figures);

/* Appends the page; `report->figures` are shown after the scores. */
enum lay_status lay_html_put(struct lay_str *out, const struct lay_report *report, struct lay_err *err);

#endif

/* Reports of one or several runs and published rows: the papers' tables in the forms people paste.
 *
 * A format is one file and one row in the table of report/formats.c. Texts of names and sources are hostile
 * until escaped for the format. The bytes depend on the arguments alone. */
#ifndef LAY_REPORTS_REPORT_H
#define LAY_REPORTS_REPORT_H

#include "engine/base/str.h"
#include "reports/baseline.h"
#include "reports/record.h"
#include "reports/table.h"

struct lay_html_figures;

struct lay_report {
    const struct lay_system_result *systems;
    size_t count;
    const struct lay_baseline_list *baselines; /* published rows; may be NULL */
    const struct lay_html_figures *figures;    /* pictures for the format html (html.h); may be NULL */
    const char *heading;                       /* of the whole; NULL: none */
    bool differences;                  /* also our figures minus those of published rows of the same method */
    struct lay_table_options terminal; /* colour and width of the format terminal */
};

struct lay_report_format {
    const char *name;  /* "md" */
    const char *alias; /* "markdown"; NULL: none */
    const char *file;  /* what it is called in a run directory; NULL: not written there */
    /* Appends the report. */
    enum lay_status (*put)(struct lay_str *out, const struct lay_report *report, struct lay_err *err);
};

extern const struct lay_report_format lay_report_formats[];
extern const size_t lay_report_format_count;

/* By name or alias; LAY_ERR_USAGE naming `option` and the formats there are. `in_directory`: only those that
 * are written into run directories. */
enum lay_status lay_report_format_find(const char *name, const char *option, bool in_directory,
                                       const struct lay_report_format **format, struct lay_err *err);

#endif

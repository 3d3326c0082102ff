/* Published figures: baselines CSV files (formats.md), columns
 * system,method,llm,encoder,task,language,accuracy,source.
 *
 * One published row is what one source prints for one system on one task; the figures of a row stand on
 * several lines of the file, one a language. `language` is an ISO code or lrl, hrl, avg for the averages as
 * printed. Accuracies are percentages, and how many decimals were printed is kept. */
#ifndef LAY_REPORTS_BASELINE_H
#define LAY_REPORTS_BASELINE_H

#include "engine/base/err.h"

#include <stddef.h>

struct lay_figure {
    char language[8];
    double accuracy; /* percent */
    int decimals;    /* printed behind the point */
};

struct lay_baseline {
    char *system, *method, *llm, *encoder, *task, *source; /* llm, encoder may be "" */
    struct lay_figure *figures;                            /* in the file's order */
    size_t count;
};

/* In the order of the files and of their lines. */
struct lay_baseline_list {
    struct lay_baseline *rows;
    size_t count;
};

/* Appends the rows of a file to `list`, which starts as {0} and is freed with lay_baseline_list_free, also
 * after a failure. LAY_ERR_INPUT with file and line: other columns, a figure without a source, an accuracy
 * outside 0 … 100, a figure that stands twice in the list. */
enum lay_status lay_baseline_read(const char *path, struct lay_baseline_list *list, struct lay_err *err);
void lay_baseline_list_free(struct lay_baseline_list *list);
/* Frees what a row owns, not the row, and leaves it {0}. */
void lay_baseline_clear(struct lay_baseline *row);

/* The figure of a language or average ("bn", "avg"); NULL if the source does not print it. */
const struct lay_figure *lay_baseline_figure(const struct lay_baseline *row, const char *language);

#endif

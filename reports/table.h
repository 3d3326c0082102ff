/* The table a person sees in the terminal: languages in the papers' order, then Lrl., Hrl., Avg., paper score
 * with the strict one below it; then published rows; after it only what deserves attention. */
#ifndef LAY_REPORTS_TABLE_H
#define LAY_REPORTS_TABLE_H

#include "engine/base/str.h"
#include "reports/baseline.h"
#include "reports/record.h"

struct lay_table_options {
    bool color;     /* ANSI attributes: the best figure of a column bold, the second best underlined */
    size_t width;   /* columns of the terminal; languages wrap into blocks. 0: never wrap */
    bool intervals; /* a line with the 95 % intervals below the scores */
    const struct lay_baseline_list *baselines; /* published rows; NULL: none */
};

/* Colour only on a terminal, and not when NO_COLOR is set and not empty; width from the terminal. */
struct lay_table_options lay_table_options_for(int fd);

/* All systems that have a task stand in one table. */
enum lay_status lay_table_put(struct lay_str *out, const struct lay_system_result *systems, size_t count,
                              const struct lay_table_options *options, struct lay_err *err);

#endif

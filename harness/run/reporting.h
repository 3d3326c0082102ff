/* Reports of runs: the tables of the LayAlign paper as published rows, and report files in run directories.
 */
#ifndef LAY_HARNESS_REPORTING_H
#define LAY_HARNESS_REPORTING_H

#include "harness/options.h"
#include "reports/report.h"

/* Fills `list`, which is {0} before, with the rows of one table of the LayAlign paper, from
 * data/baselines/layalign_paper.csv. LAY_ERR_USAGE naming the tables there are if it has none of this number.
 */
enum lay_status lay_reporting_paper(int64_t table, struct lay_baseline_list *list, struct lay_err *err);
/* LAY_ERR_INPUT if no system has a task of these published rows. */
enum lay_status lay_reporting_check(const struct lay_system_result *systems, size_t count,
                                    const struct lay_baseline_list *published, int64_t table,
                                    struct lay_err *err);

/* Writes the report of every format named in `formats` ("md", "tex" …) into `dir`, under the name the format
 * has there, each atomically. lay_reporting_names checks the names beforehand: LAY_ERR_USAGE. */
enum lay_status lay_reporting_names(const struct lay_option_list *formats, struct lay_err *err);
enum lay_status lay_reporting_write(const struct lay_system_result *systems, size_t count,
                                    const struct lay_option_list *formats, const char *dir,
                                    struct lay_err *err);

#endif

/* results.csv: one row per system, task and language, then rows lrl, hrl, avg for the averages the task has.
 *
 * Accuracies and intervals are percentages. acc_* of a language is the official round(100·hits/n, 2), of an
 * average the official one with one decimal. ci_low, ci_high belong to acc_paper: Wilson per language,
 * stratified normal on averages. In average rows `group` lists the languages averaged over ("bn+th+sw"), so
 * that averages over different sets cannot be taken for each other. A figure that does not exist is empty. */
#ifndef LAY_REPORTS_RESULTS_CSV_H
#define LAY_REPORTS_RESULTS_CSV_H

#include "engine/base/str.h"
#include "reports/csv_file.h"
#include "reports/record.h"

enum lay_results_column {
    LAY_COLUMN_SYSTEM,
    LAY_COLUMN_TASK,
    LAY_COLUMN_LANGUAGE,
    LAY_COLUMN_GROUP,
    LAY_COLUMN_N,
    LAY_COLUMN_ERROR,
    LAY_COLUMN_CORRECT_PAPER,
    LAY_COLUMN_WRONG_PAPER,
    LAY_COLUMN_CORRECT_STRICT,
    LAY_COLUMN_WRONG_STRICT,
    LAY_COLUMN_UNPARSED,
    LAY_COLUMN_ACC_PAPER,
    LAY_COLUMN_ACC_STRICT,
    LAY_COLUMN_CI_LOW,
    LAY_COLUMN_CI_HIGH,
    LAY_COLUMN_ENDED_LENGTH,
    LAY_COLUMN_TRUNCATED,
    LAY_COLUMN_COUNT
};
extern const struct lay_csv_columns lay_results_columns;

/* Appends the whole file to `out`. */
enum lay_status lay_results_csv_put(struct lay_str *out, const struct lay_system_result *systems,
                                    size_t count, struct lay_err *err);

/* Appends one field, quoted (by libcsv) only where it must be. */
enum lay_status lay_csv_field(struct lay_str *out, const char *text, struct lay_err *err);

#endif

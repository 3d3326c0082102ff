/* CSV files as a reference: results.csv, and published baselines. */
#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "harness/gate/reference.h"
#include "reports/accuracy.h"
#include "reports/baseline.h"
#include "reports/csv_file.h"
#include "reports/results_csv.h"
#include "tasks/language.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_MAX_BYTES = 16 << 20, HEAD_BYTES = 64 };

struct reading {
    const struct lay_reference_options *options;
    struct lay_reference *reference;
};

/* --- results.csv --- */

static enum lay_status read_number(const struct lay_csv_row *row, enum lay_results_column column,
                                   double *number, struct lay_err *err)
{
    char *end;
    errno = 0;
    *number = strtod(row->fields[column], &end);
    if (end == row->fields[column] || *end || errno || !isfinite(*number))
        return LAY_CSV_REFUSE(row, err, "the column %s must be a number, not \"%s\"",
                              lay_results_columns.titles[column], row->fields[column]);
    return LAY_OK;
}

static enum lay_status take_result(void *context, const struct lay_csv_row *row, struct lay_err *err)
{
    const struct reading *reading = context;
    const enum lay_results_column accuracy =
        reading->options->scorer == LAY_SCORER_PAPER ? LAY_COLUMN_ACC_PAPER : LAY_COLUMN_ACC_STRICT;
    double n;
    enum lay_set set;
    const bool average = lay_set_find(row->fields[LAY_COLUMN_LANGUAGE], &set);
    struct lay_reference_entry entry = {.system = row->fields[LAY_COLUMN_SYSTEM],
                                        .label = row->fields[LAY_COLUMN_SYSTEM],
                                        .task = row->fields[LAY_COLUMN_TASK],
                                        .language = row->fields[LAY_COLUMN_LANGUAGE],
                                        .over = average ? row->fields[LAY_COLUMN_GROUP] : NULL,
                                        .accuracy = NAN};
    if (!*row->fields[accuracy]) /* a language without samples */
        return LAY_OK;
    LAY_TRY(read_number(row, accuracy, &entry.accuracy, err));
    LAY_TRY(read_number(row, LAY_COLUMN_N, &n, err));
    entry.n = n > 0 && n < 1e15 ? (int64_t)n : 0;
    return lay_reference_add(reading->reference, reading->options, &entry, err);
}

/* --- baselines --- */

static bool in_set(enum lay_set set, const struct lay_language_task *place)
{
    return set == LAY_SET_AVG ||
           place->resource == (set == LAY_SET_LRL ? LAY_RESOURCE_LOW : LAY_RESOURCE_HIGH);
}

/* The languages a printed average is over: those the row prints, in our order. A row that leaves out one of
 * the papers' languages prints a selection: nothing is put. */
static void put_over(struct lay_str *over, const struct lay_baseline *row, enum lay_set set)
{
    const struct lay_language *list[LAY_OPTION_LIST_MAX];
    const size_t count = lay_languages_of(row->task, true, list, LAY_OPTION_LIST_MAX);
    for (size_t i = 0; i < count && i < LAY_OPTION_LIST_MAX; i++) {
        const struct lay_language_task *place = lay_language_in(list[i], row->task);
        const bool printed = lay_baseline_figure(row, list[i]->iso) != NULL;
        if (in_set(set, place) && printed)
            lay_str_printf(over, "%s%s", over->length ? "+" : "", list[i]->iso);
        else if (in_set(set, place) && place->printed >= 0) {
            lay_str_clear(over);
            return;
        }
    }
}

static enum lay_status take_baseline(const struct reading *reading, const struct lay_baseline *row,
                                     struct lay_err *err)
{
    struct lay_str label = {0}, over = {0};
    enum lay_status status = LAY_OK;
    lay_str_printf(&label, "%s, %s, %s, %s, %s", row->system, row->method, row->llm, row->encoder,
                   row->source);
    for (size_t i = 0; i < row->count && status == LAY_OK; i++) {
        enum lay_set set;
        lay_str_clear(&over);
        if (lay_set_find(row->figures[i].language, &set))
            put_over(&over, row, set);
        const struct lay_reference_entry entry = {.system = row->system,
                                                  .label = lay_str_text(&label),
                                                  .task = row->task,
                                                  .language = row->figures[i].language,
                                                  .over = over.length ? lay_str_text(&over) : NULL,
                                                  .accuracy = row->figures[i].accuracy};
        status = over.failed || label.failed
                     ? lay_no_memory(err, "the reference")
                     : lay_reference_add(reading->reference, reading->options, &entry, err);
    }
    lay_str_free(&label);
    lay_str_free(&over);
    return status;
}

static enum lay_status read_baselines(struct reading *reading, struct lay_err *err)
{
    struct lay_baseline_list list = {0};
    enum lay_status status = lay_baseline_read(reading->options->path, &list, err);
    for (size_t i = 0; i < list.count && status == LAY_OK; i++)
        status = take_baseline(reading, &list.rows[i], err);
    lay_baseline_list_free(&list);
    return status;
}

static enum lay_status read_results(struct reading *reading, struct lay_err *err)
{
    return lay_csv_read(reading->options->path, FILE_MAX_BYTES, &lay_results_columns, take_result, reading,
                        err);
}

/* Told apart by what their first line begins with. */
static const struct {
    const char *begins;
    enum lay_status (*read)(struct reading *reading, struct lay_err *err);
} kinds[] = {{"system,task,", read_results}, {"system,method,", read_baselines}};

enum lay_status lay_reference_read_csv(const struct lay_reference_options *options,
                                       struct lay_reference *reference, struct lay_err *err)
{
    struct reading reading = {options, reference};
    char head[HEAD_BYTES] = "";
    FILE *file = fopen(options->path, "re");
    if (file && !fgets(head, sizeof head, file))
        *head = 0;
    if (file)
        fclose(file);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strncmp(head, kinds[i].begins, strlen(kinds[i].begins)) == 0)
            return kinds[i].read(&reading, err);
    return lay_fail(
        err, LAY_ERR_INPUT,
        "%s: no results.json, and neither a results.csv nor a baselines CSV: it begins with none of "
        "their headings",
        options->path);
}

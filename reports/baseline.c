#include "reports/baseline.h"

#include "engine/base/mem.h"
#include "reports/csv_file.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum column { SYSTEM, METHOD, LLM, ENCODER, TASK, LANGUAGE, ACCURACY, SOURCE, COLUMNS };
static const char *const titles[COLUMNS] = {"system", "method",   "llm",      "encoder",
                                            "task",   "language", "accuracy", "source"};

enum { FILE_MAX = 4 << 20 };

/* Digits with at most one point between them. */
static enum lay_status read_accuracy(const struct lay_csv_row *row, struct lay_figure *figure,
                                     struct lay_err *err)
{
    const char *text = row->fields[ACCURACY];
    const size_t whole = strspn(text, "0123456789");
    const size_t decimals = text[whole] == '.' ? strspn(text + whole + 1, "0123456789") : 0;
    const size_t length = whole + (decimals ? decimals + 1 : 0);
    figure->accuracy = strtod(text, NULL);
    figure->decimals = (int)decimals;
    if (whole == 0 || whole > 3 || decimals > 12 || text[length] || figure->accuracy > 100)
        return LAY_CSV_REFUSE(row, err, "the accuracy \"%s\" is not a percentage from 0 to 100", text);
    return LAY_OK;
}

static enum lay_status check_fields(const struct lay_csv_row *row, struct lay_err *err)
{
    static const enum column required[] = {SYSTEM, TASK, LANGUAGE, ACCURACY};
    for (size_t i = 0; i < sizeof required / sizeof *required; i++)
        if (!*row->fields[required[i]])
            return LAY_CSV_REFUSE(row, err, "the column %s is empty", titles[required[i]]);
    if (!row->fields[SOURCE][strspn(row->fields[SOURCE], " \t")])
        return LAY_CSV_REFUSE(row, err, "a figure without a source; name where it is published");
    if (strlen(row->fields[LANGUAGE]) >= sizeof((struct lay_figure *)NULL)->language)
        return LAY_CSV_REFUSE(row, err, "\"%s\" is neither a language code nor lrl, hrl or avg",
                              row->fields[LANGUAGE]);
    return LAY_OK;
}

/* --- rows --- */

static bool is_row(const struct lay_baseline *row, char *const fields[COLUMNS])
{
    const struct {
        const char *text;
        enum column column;
    } key[] = {{row->system, SYSTEM},   {row->method, METHOD}, {row->llm, LLM},
               {row->encoder, ENCODER}, {row->task, TASK},     {row->source, SOURCE}};
    for (size_t i = 0; i < sizeof key / sizeof *key; i++)
        if (strcmp(key[i].text, fields[key[i].column]) != 0)
            return false;
    return true;
}

/* Takes the fields of the key over. */
static enum lay_status add_row(struct lay_baseline_list *list, char **fields, struct lay_baseline **row,
                               struct lay_err *err)
{
    static const enum column taken[] = {SYSTEM, METHOD, LLM, ENCODER, TASK, SOURCE};
    struct lay_baseline *rows = lay_realloc(list->rows, list->count + 1, sizeof *rows);
    if (!rows)
        return lay_no_memory(err, "a baseline");
    list->rows = rows;
    *row = &rows[list->count++];
    **row = (struct lay_baseline){.system = fields[SYSTEM],
                                  .method = fields[METHOD],
                                  .llm = fields[LLM],
                                  .encoder = fields[ENCODER],
                                  .task = fields[TASK],
                                  .source = fields[SOURCE]};
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
        fields[taken[i]] = NULL;
    return LAY_OK;
}

static enum lay_status find_row(struct lay_baseline_list *list, char **fields, struct lay_baseline **row,
                                struct lay_err *err)
{
    for (size_t i = list->count; i-- > 0;)
        if (is_row(&list->rows[i], fields)) {
            *row = &list->rows[i];
            return LAY_OK;
        }
    return add_row(list, fields, row, err);
}

static enum lay_status take_figure(void *context, const struct lay_csv_row *csv, struct lay_err *err)
{
    struct lay_figure figure = {0};
    struct lay_baseline *row;
    LAY_TRY(check_fields(csv, err));
    LAY_TRY(read_accuracy(csv, &figure, err));
    snprintf(figure.language, sizeof figure.language, "%s", csv->fields[LANGUAGE]);
    LAY_TRY(find_row(context, csv->fields, &row, err));
    if (lay_baseline_figure(row, figure.language))
        return LAY_CSV_REFUSE(csv, err, "%s has a figure for %s %s from this source already", row->system,
                              row->task, figure.language);
    struct lay_figure *figures = lay_realloc(row->figures, row->count + 1, sizeof *figures);
    if (!figures)
        return lay_no_memory(err, "a baseline");
    row->figures = figures;
    figures[row->count++] = figure;
    return LAY_OK;
}

enum lay_status lay_baseline_read(const char *path, struct lay_baseline_list *list, struct lay_err *err)
{
    static const struct lay_csv_columns columns = {titles, COLUMNS};
    return lay_csv_read(path, FILE_MAX, &columns, take_figure, list, err);
}

void lay_baseline_clear(struct lay_baseline *row)
{
    char *const texts[] = {row->system, row->method, row->llm, row->encoder, row->task, row->source};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        lay_free(texts[i]);
    lay_free(row->figures);
    *row = (struct lay_baseline){0};
}

void lay_baseline_list_free(struct lay_baseline_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        lay_baseline_clear(&list->rows[i]);
    lay_free(list->rows);
    *list = (struct lay_baseline_list){0};
}

const struct lay_figure *lay_baseline_figure(const struct lay_baseline *row, const char *language)
{
    for (size_t i = 0; i < row->count; i++)
        if (strcmp(row->figures[i].language, language) == 0)
            return &row->figures[i];
    return NULL;
}

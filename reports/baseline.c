#include "reports/baseline.h"

#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "engine/base/utf8.h"

#include <csv.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum column { SYSTEM, METHOD, LLM, ENCODER, TASK, LANGUAGE, ACCURACY, SOURCE, COLUMNS };
static const char *const titles[COLUMNS] = {"system", "method",   "llm",      "encoder",
                                            "task",   "language", "accuracy", "source"};

enum { FILE_MAX = 4 << 20 };

/* While a file is read: the fields of the row under way, and the first fault. libcsv cannot be stopped from a
 * callback, so whatever follows a fault is passed over. */
struct reader {
    const char *path;
    size_t line; /* of the file, the one being parsed */
    bool header_seen;
    char *fields[COLUMNS];
    size_t n_fields; /* may exceed COLUMNS */
    struct lay_baseline_list *list;
    enum lay_status status;
    struct lay_err *err;
};

#define REFUSE(reader, format, ...)                                                                          \
    lay_fail((reader)->err, LAY_ERR_INPUT, "%s:%zu: " format, (reader)->path, (reader)->line, ##__VA_ARGS__)

static void on_field(void *bytes, size_t length, void *context)
{
    struct reader *r = context;
    const size_t at = r->n_fields++;
    if (r->status != LAY_OK || at >= COLUMNS)
        return;
    size_t bad_at;
    if (memchr(bytes, 0, length) || !lay_utf8_valid(bytes, length, &bad_at))
        r->status = REFUSE(r, "the column %s is not UTF-8 text", titles[at]);
    else if (!(r->fields[at] = lay_strndup(bytes, length)))
        r->status = lay_no_memory(r->err, "a baseline");
}

static enum lay_status check_header(const struct reader *r)
{
    for (size_t i = 0; i < COLUMNS; i++)
        if (r->n_fields != COLUMNS || strcmp(r->fields[i], titles[i]) != 0)
            return REFUSE(r,
                          "the first line must be system,method,llm,encoder,task,language,accuracy,source");
    return LAY_OK;
}

/* Digits with at most one point between them. */
static enum lay_status read_accuracy(const struct reader *r, struct lay_figure *figure)
{
    const char *text = r->fields[ACCURACY];
    const size_t whole = strspn(text, "0123456789");
    const size_t decimals = text[whole] == '.' ? strspn(text + whole + 1, "0123456789") : 0;
    const size_t length = whole + (decimals ? decimals + 1 : 0);
    figure->accuracy = strtod(text, NULL);
    figure->decimals = (int)decimals;
    if (whole == 0 || whole > 3 || decimals > 12 || text[length] || figure->accuracy > 100)
        return REFUSE(r, "the accuracy \"%s\" is not a percentage from 0 to 100", text);
    return LAY_OK;
}

static enum lay_status check_fields(const struct reader *r)
{
    static const enum column required[] = {SYSTEM, TASK, LANGUAGE, ACCURACY};
    if (r->n_fields != COLUMNS)
        return REFUSE(r, "expected %d columns, found %zu", COLUMNS, r->n_fields);
    for (size_t i = 0; i < sizeof required / sizeof *required; i++)
        if (!*r->fields[required[i]])
            return REFUSE(r, "the column %s is empty", titles[required[i]]);
    if (!r->fields[SOURCE][strspn(r->fields[SOURCE], " \t")])
        return REFUSE(r, "a figure without a source; name where it is published");
    if (strlen(r->fields[LANGUAGE]) >= sizeof((struct lay_figure *)NULL)->language)
        return REFUSE(r, "\"%s\" is neither a language code nor lrl, hrl or avg", r->fields[LANGUAGE]);
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
static enum lay_status add_row(struct reader *r, struct lay_baseline **row)
{
    struct lay_baseline *rows = lay_realloc(r->list->rows, r->list->count + 1, sizeof *rows);
    if (!rows)
        return lay_no_memory(r->err, "a baseline");
    r->list->rows = rows;
    *row = &rows[r->list->count++];
    **row = (struct lay_baseline){.system = r->fields[SYSTEM],
                                  .method = r->fields[METHOD],
                                  .llm = r->fields[LLM],
                                  .encoder = r->fields[ENCODER],
                                  .task = r->fields[TASK],
                                  .source = r->fields[SOURCE]};
    static const enum column taken[] = {SYSTEM, METHOD, LLM, ENCODER, TASK, SOURCE};
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
        r->fields[taken[i]] = NULL;
    return LAY_OK;
}

static enum lay_status find_row(struct reader *r, struct lay_baseline **row)
{
    for (size_t i = r->list->count; i-- > 0;)
        if (is_row(&r->list->rows[i], r->fields)) {
            *row = &r->list->rows[i];
            return LAY_OK;
        }
    return add_row(r, row);
}

static enum lay_status take_figure(struct reader *r)
{
    struct lay_figure figure = {0};
    struct lay_baseline *row;
    LAY_TRY(check_fields(r));
    LAY_TRY(read_accuracy(r, &figure));
    snprintf(figure.language, sizeof figure.language, "%s", r->fields[LANGUAGE]);
    LAY_TRY(find_row(r, &row));
    if (lay_baseline_figure(row, figure.language))
        return REFUSE(r, "%s has a figure for %s %s from this source already", row->system, row->task,
                      figure.language);
    struct lay_figure *figures = lay_realloc(row->figures, row->count + 1, sizeof *figures);
    if (!figures)
        return lay_no_memory(r->err, "a baseline");
    row->figures = figures;
    figures[row->count++] = figure;
    return LAY_OK;
}

/* --- the file --- */

static void free_fields(struct reader *r)
{
    for (size_t i = 0; i < COLUMNS; i++) {
        lay_free(r->fields[i]);
        r->fields[i] = NULL;
    }
    r->n_fields = 0;
}

static void on_row(int end, void *context)
{
    struct reader *r = context;
    (void)end;
    if (r->status == LAY_OK)
        r->status = r->header_seen ? take_figure(r) : check_header(r);
    r->header_seen = true;
    free_fields(r);
}

/* Line by line, so that every complaint can name one. */
static enum lay_status parse(struct reader *r, const struct lay_str *text)
{
    struct csv_parser parser;
    if (csv_init(&parser, CSV_STRICT | CSV_STRICT_FINI) != 0)
        return lay_no_memory(r->err, "a CSV reader");
    for (size_t at = 0; at < text->length && r->status == LAY_OK;) {
        const char *line = text->data + at, *end = memchr(line, '\n', text->length - at);
        const size_t length = end ? (size_t)(end - line) + 1 : text->length - at;
        r->line++;
        if (csv_parse(&parser, line, length, on_field, on_row, r) != length && r->status == LAY_OK)
            r->status = REFUSE(r, "%s", csv_strerror(csv_error(&parser)));
        at += length;
    }
    if (csv_fini(&parser, on_field, on_row, r) != 0 && r->status == LAY_OK)
        r->status = REFUSE(r, "a quoted field does not end");
    csv_free(&parser);
    free_fields(r);
    if (r->status == LAY_OK && !r->header_seen)
        r->status = check_header(r);
    return r->status;
}

enum lay_status lay_baseline_read(const char *path, struct lay_baseline_list *list, struct lay_err *err)
{
    struct lay_str text = {0};
    struct reader reader = {.path = path, .list = list, .err = err};
    enum lay_status status = lay_file_read(path, FILE_MAX, &text, err);
    if (status == LAY_OK)
        status = parse(&reader, &text);
    lay_str_free(&text);
    return status;
}

void lay_baseline_list_free(struct lay_baseline_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        struct lay_baseline *row = &list->rows[i];
        char *const texts[] = {row->system, row->method, row->llm, row->encoder, row->task, row->source};
        for (size_t j = 0; j < sizeof texts / sizeof *texts; j++)
            lay_free(texts[j]);
        lay_free(row->figures);
    }
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

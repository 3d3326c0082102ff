#include "reports/csv_file.h"

#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "engine/base/utf8.h"

#include <csv.h>
#include <stdbool.h>
#include <string.h>

/* While a file is read: the fields of the row under way, and the first fault. libcsv cannot be stopped from a
 * callback, so whatever follows a fault is passed over. */
struct reader {
    const struct lay_csv_columns *columns;
    struct lay_csv_row row;
    size_t n_fields; /* may exceed the number of columns */
    bool header_seen;
    lay_csv_receive *receive;
    void *context;
    enum lay_status status;
    struct lay_err *err;
};

static void on_field(void *bytes, size_t length, void *context)
{
    struct reader *r = context;
    const size_t at = r->n_fields++;
    size_t bad_at;
    if (r->status != LAY_OK || at >= r->columns->count)
        return;
    if (memchr(bytes, 0, length) || !lay_utf8_valid(bytes, length, &bad_at))
        r->status =
            LAY_CSV_REFUSE(&r->row, r->err, "the column %s is not UTF-8 text", r->columns->titles[at]);
    else if (!(r->row.fields[at] = lay_strndup(bytes, length)))
        r->status = lay_no_memory(r->err, "a CSV row");
}

static enum lay_status refuse_header(const struct reader *r)
{
    struct lay_str titles = {0};
    for (size_t i = 0; i < r->columns->count; i++)
        lay_str_printf(&titles, "%s%s", i ? "," : "", r->columns->titles[i]);
    enum lay_status status = lay_str_check(&titles, r->err);
    if (status == LAY_OK)
        status = LAY_CSV_REFUSE(&r->row, r->err, "the first line must be %s", lay_str_text(&titles));
    lay_str_free(&titles);
    return status;
}

static enum lay_status check_header(const struct reader *r)
{
    bool same = r->n_fields == r->columns->count;
    for (size_t i = 0; i < r->columns->count && same; i++)
        same = strcmp(r->row.fields[i], r->columns->titles[i]) == 0;
    return same ? LAY_OK : refuse_header(r);
}

static enum lay_status pass_on(const struct reader *r)
{
    if (r->n_fields != r->columns->count)
        return LAY_CSV_REFUSE(&r->row, r->err, "expected %zu columns, found %zu", r->columns->count,
                              r->n_fields);
    return r->receive(r->context, &r->row, r->err);
}

static void free_fields(struct reader *r)
{
    for (size_t i = 0; i < r->columns->count; i++) {
        lay_free(r->row.fields[i]);
        r->row.fields[i] = NULL;
    }
    r->n_fields = 0;
}

static void on_row(int end, void *context)
{
    struct reader *r = context;
    (void)end;
    if (r->status == LAY_OK)
        r->status = r->header_seen ? pass_on(r) : check_header(r);
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
        r->row.line++;
        if (csv_parse(&parser, line, length, on_field, on_row, r) != length && r->status == LAY_OK)
            r->status = LAY_CSV_REFUSE(&r->row, r->err, "%s", csv_strerror(csv_error(&parser)));
        at += length;
    }
    if (csv_fini(&parser, on_field, on_row, r) != 0 && r->status == LAY_OK)
        r->status = LAY_CSV_REFUSE(&r->row, r->err, "a quoted field does not end");
    csv_free(&parser);
    free_fields(r);
    if (r->status == LAY_OK && !r->header_seen)
        r->status = refuse_header(r);
    return r->status;
}

enum lay_status lay_csv_read(const char *path, size_t max_bytes, const struct lay_csv_columns *columns,
                             lay_csv_receive *receive, void *context, struct lay_err *err)
{
    struct lay_str text = {0};
    struct reader reader = {
        .columns = columns, .row.path = path, .receive = receive, .context = context, .err = err};
    enum lay_status status = lay_file_read(path, max_bytes, &text, err);
    reader.row.fields = lay_alloc(columns->count + 1, sizeof *reader.row.fields);
    if (status == LAY_OK)
        status = reader.row.fields ? parse(&reader, &text) : lay_no_memory(err, "a CSV row");
    lay_free(reader.row.fields);
    lay_str_free(&text);
    return status;
}

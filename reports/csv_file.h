/* Reading a CSV file whose heading is known: row by row, hostile until checked. */
#ifndef LAY_REPORTS_CSV_FILE_H
#define LAY_REPORTS_CSV_FILE_H

#include "engine/base/err.h"

#include <stddef.h>

struct lay_csv_row {
    const char *path;
    size_t line;   /* of the file; where the row ends */
    char **fields; /* one a column, UTF-8 without NUL; one that is set to NULL is the receiver's to free */
};

/* Receives a row; a failure ends the reading and is returned by it. */
typedef enum lay_status lay_csv_receive(void *context, const struct lay_csv_row *row, struct lay_err *err);

/* Reads `path`, at most max_bytes. LAY_ERR_INPUT with file and line for another heading, another number of
 * columns, broken quoting, text that is not UTF-8. */
struct lay_csv_columns {
    const char *const *titles;
    size_t count;
};
enum lay_status lay_csv_read(const char *path, size_t max_bytes, const struct lay_csv_columns *columns,
                             lay_csv_receive *receive, void *context, struct lay_err *err);

/* LAY_ERR_INPUT "path:line: …". */
#define LAY_CSV_REFUSE(row, err, format, ...)                                                                \
    lay_fail((err), LAY_ERR_INPUT, "%s:%zu: " format, (row)->path, (row)->line, ##__VA_ARGS__)

#endif

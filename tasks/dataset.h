/* What the readers of data files share: layouts, lines, JSON items, the growing list of samples.
 *
 * A layout is a file name pattern and a function. The pattern is how the layout is detected and how its file
 * is found: {iso} is the language's code (or its alias), {Name} its English name. A reader takes the file's
 * lines one by one, checks them and adds a sample per item; it refuses what it does not understand with
 * lay_source_fail(). */
#ifndef LAY_TASKS_DATASET_H
#define LAY_TASKS_DATASET_H

#include "tasks/task.h"

#define LAY_DATA_FILE_MAX ((size_t)1 << 30) /* bytes of one data file */
#define LAY_DATA_TEXT_MAX ((size_t)1 << 20) /* bytes of one line or text */

struct lay_source;

struct lay_layout {
    const char *name;    /* "tsv": what --layout takes */
    const char *pattern; /* "mgsm_{iso}.tsv" */
    const char *about;   /* one line for `layeval tasks` */
    enum lay_status (*read)(struct lay_source *source, struct lay_err *err);
};

/* A file being read for one language. Owns its content. */
struct lay_source {
    struct lay_dataset *dataset; /* task, language; samples are added to it */
    char *path;
    struct lay_str content;
    size_t at;             /* the next line starts here */
    int64_t line;          /* number of the line last taken, from 1 */
    size_t capacity;       /* of dataset->samples */
    struct lay_str hashes; /* of the files read so far, hex */
};

/* One line without its end; valid while the source lives. */
struct lay_line {
    const char *text;
    size_t length;
};

#define LAY_COLUMNS_MAX 32

/* dir/pattern with {iso} and {Name} filled in; dir NULL: the pattern alone. Returns; free with lay_free. */
char *lay_pattern_expand(const char *dir, const char *pattern, const char *iso, const char *name);

/* "FILE:LINE: reason", LAY_ERR_INPUT. */
enum lay_status lay_source_fail(const struct lay_source *source, struct lay_err *err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The next line without LF or CRLF; *more false at the end (a last line without LF counts, an empty one does
 * not). A BOM at the start of the file is skipped. Refuses NUL bytes, invalid UTF-8, blank and overlong
 * lines. */
enum lay_status lay_source_line(struct lay_source *source, struct lay_line *line, bool *more,
                                struct lay_err *err);

/* Splits at TABs. Refuses a line with another number of columns than `wanted`. */
enum lay_status lay_source_columns(const struct lay_source *source, struct lay_line line, size_t wanted,
                                   struct lay_line columns[], struct lay_err *err);
/* Splits at TABs into at most `max` columns; returns how many there are, also when that is more. */
size_t lay_line_split(struct lay_line line, struct lay_line columns[], size_t max);

/* The next line (as lay_source_line) as one JSON object; NULL at the end. Free with cJSON_Delete. */
enum lay_status lay_source_next_object(struct lay_source *source, cJSON **object, struct lay_err *err);
/* Parses the whole file as one JSON value. Free with cJSON_Delete. */
enum lay_status lay_source_whole(struct lay_source *source, cJSON **root, struct lay_err *err);
/* A string member that must be there and must not be blank. Borrowed from the object. */
enum lay_status lay_source_string(const struct lay_source *source, const cJSON *object, const char *key,
                                  const char **text, struct lay_err *err);

/* Opens a second file beside the first one (labels that are joined): its own `path`, `line`. The dataset's
 * hash then covers both. Close with lay_source_close. */
enum lay_status lay_source_open_beside(struct lay_source *source, const char *name, struct lay_source *other,
                                       struct lay_err *err);
void lay_source_close(struct lay_source *source);

/* Adds a copy of the texts; takes `doc`, also on failure. `second` may be NULL. `id` and capacity are seen
 * to. */
enum lay_status lay_source_add(struct lay_source *source, struct lay_line question, const char *second,
                               struct lay_line target, cJSON *doc, struct lay_err *err);
/* Checks the gold answer of a math item: it must hold a digit. */
enum lay_status lay_source_check_number(const struct lay_source *source, struct lay_line answer,
                                        struct lay_err *err);

/* Frees what the samples own, not the array. */
void lay_samples_free(struct lay_sample *samples, size_t count);

/* Reads JSON lines with a question and a number under these keys; the rest of an item is kept in its doc. */
struct lay_math_keys {
    const char *question, *answer;
};
enum lay_status lay_source_read_math(struct lay_source *source, const struct lay_math_keys *keys,
                                     struct lay_err *err);

struct lay_line lay_line_of(const char *text);
/* Adds the text to a doc object; false when memory is exhausted. */
bool lay_doc_put(cJSON *doc, const char *key, struct lay_line text);

/* The official read_mgsm on one line: Python's strip of the line, split at TABs, the first two columns, the
 * answer stripped and without commas. Returns the number of columns (the answer is meaningless below two);
 * `answer` is appended to. */
size_t lay_mgsm_row(struct lay_line line, struct lay_line *question, struct lay_str *answer);

#endif

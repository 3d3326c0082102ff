/* A table of short texts, filled cell by cell and printed for a terminal or as Markdown. The first row is the
 * heading; the first column stands on the left, all others on the right. */
#ifndef LAY_REPORTS_GRID_H
#define LAY_REPORTS_GRID_H

#include "engine/base/str.h"

#include <stddef.h>

/* Initialise with columns only: {.columns = 3}. Memory that runs out shows when the grid is put. */
struct lay_grid {
    size_t columns;
    struct lay_str text; /* the cells, each with its NUL */
    size_t cells;
};

/* The next cell, row by row: a figure of at most LAY_GRID_CELL_MAX - 1 bytes, or a text of any length. */
#define LAY_GRID_CELL_MAX 128
void lay_grid_add(struct lay_grid *grid, const char *format, ...) __attribute__((format(printf, 2, 3)));
void lay_grid_add_text(struct lay_grid *grid, const char *text);
void lay_grid_free(struct lay_grid *grid);

/* Columns aligned, two blanks apart; wide scripts count as wide. LAY_ERR_MEMORY only, as below. */
enum lay_status lay_grid_put(struct lay_str *out, const struct lay_grid *grid, struct lay_err *err);

/* A table of GitHub-flavoured Markdown. */
enum lay_status lay_grid_put_markdown(struct lay_str *out, const struct lay_grid *grid, struct lay_err *err);

#endif

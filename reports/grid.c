#include "reports/grid.h"

#include "engine/base/mem.h"
#include "reports/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { GAP = 2 }; /* blanks between columns */

void lay_grid_add(struct lay_grid *grid, const char *format, ...)
{
    char cell[LAY_GRID_CELL_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(cell, sizeof cell, format, arguments);
    va_end(arguments);
    lay_grid_add_text(grid, cell);
}

void lay_grid_add_text(struct lay_grid *grid, const char *text)
{
    lay_str_append(&grid->text, text, strlen(text) + 1);
    grid->cells++;
}

void lay_grid_free(struct lay_grid *grid)
{
    lay_str_free(&grid->text);
    grid->cells = 0;
}

static size_t *widths_of(const struct lay_grid *grid)
{
    size_t *widths = lay_alloc(grid->columns + 1, sizeof *widths);
    const char *cell = lay_str_text(&grid->text);
    for (size_t i = 0; widths && i < grid->cells; i++, cell += strlen(cell) + 1) {
        const size_t width = lay_text_width(cell);
        if (width > widths[i % grid->columns])
            widths[i % grid->columns] = width;
    }
    return widths;
}

enum lay_status lay_grid_put(struct lay_str *out, const struct lay_grid *grid, struct lay_err *err)
{
    LAY_TRY(lay_str_check(&grid->text, err));
    size_t *widths = widths_of(grid);
    if (!widths)
        return lay_no_memory(err, "a table");
    const char *cell = lay_str_text(&grid->text);
    for (size_t i = 0; i < grid->cells; i++, cell += strlen(cell) + 1) {
        const size_t column = i % grid->columns;
        if (column > 0)
            lay_str_printf(out, "%*s", (int)(widths[column] + GAP - lay_text_width(cell)), "");
        lay_text_put(out, cell, column > 0 ? 0 : widths[0]);
        if (column + 1 == grid->columns)
            lay_str_putc(out, '\n');
    }
    lay_free(widths);
    return lay_str_check(out, err);
}

enum lay_status lay_grid_put_markdown(struct lay_str *out, const struct lay_grid *grid, struct lay_err *err)
{
    LAY_TRY(lay_str_check(&grid->text, err));
    const char *cell = lay_str_text(&grid->text);
    for (size_t i = 0; i < grid->cells; i++, cell += strlen(cell) + 1) {
        lay_str_puts(out, i % grid->columns ? " " : "| ");
        lay_text_put_markdown(out, cell);
        lay_str_puts(out, " |");
        if ((i + 1) % grid->columns)
            continue;
        lay_str_putc(out, '\n');
        if (i + 1 == grid->columns) /* behind the heading */
            for (size_t column = 0; column < grid->columns; column++)
                lay_str_puts(out, column == 0 ? "|---|" : column + 1 < grid->columns ? "---:|" : "---:|\n");
    }
    return lay_str_check(out, err);
}

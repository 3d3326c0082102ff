#include "reports/row_label.h"

#include <string.h>

static bool shares_its_name(const struct lay_score_table *table, size_t row)
{
    const struct lay_baseline *own = table->rows[row].published;
    for (size_t r = 0; r < table->n_rows; r++) {
        const struct lay_baseline *other = table->rows[r].published;
        if (other && other != own && strcmp(other->system, own->system) == 0 &&
            (strcmp(other->llm, own->llm) != 0 || strcmp(other->encoder, own->encoder) != 0))
            return true;
    }
    return false;
}

void lay_row_label_put(struct lay_str *out, const struct lay_score_table *table, size_t row)
{
    const struct lay_baseline *published = table->rows[row].published;
    lay_str_puts(out, table->rows[row].name);
    if (!published || !shares_its_name(table, row))
        return;
    lay_str_printf(out, " (%s%s%s)", published->llm, *published->llm && *published->encoder ? " + " : "",
                   published->encoder);
}

/* Whether no earlier row has the source of this one. */
static bool names_its_source_first(const struct lay_score_table *table, size_t row)
{
    for (size_t r = 0; r < row; r++)
        if (table->rows[r].published &&
            strcmp(table->rows[r].published->source, table->rows[row].published->source) == 0)
            return false;
    return true;
}

size_t lay_row_source(const struct lay_score_table *table, size_t row)
{
    size_t number = 0;
    if (!table->rows[row].published)
        return 0;
    for (size_t r = 0; r < table->n_rows; r++) {
        if (!table->rows[r].published || !names_its_source_first(table, r))
            continue;
        number++;
        if (strcmp(table->rows[r].published->source, table->rows[row].published->source) == 0)
            break;
    }
    return number;
}

const char *lay_row_source_text(const struct lay_score_table *table, size_t number)
{
    for (size_t r = 0; r < table->n_rows; r++)
        if (table->rows[r].published && names_its_source_first(table, r) && --number == 0)
            return table->rows[r].published->source;
    return NULL;
}

bool lay_row_partial(const struct lay_score_table *table, size_t row)
{
    for (size_t c = 0; c < table->n_columns; c++)
        if (lay_score_at(table, row, c)->partial)
            return true;
    return false;
}

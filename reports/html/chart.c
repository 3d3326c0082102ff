/* Bars of some columns of a table: systems side by side, published rows hatched. */
#include "reports/html/part.h"

#include "engine/base/mem.h"
#include "reports/svg.h"

#include <math.h>

enum { MAX_PUBLISHED = 6 }; /* more bars would be too thin to read; the table has them all */

struct chart {
    const struct lay_score_table *table;
    size_t first, count;               /* columns */
    const char **names;                /* [count] */
    struct lay_svg_bar_series *series; /* [n_rows] */
    size_t *rows;                      /* [n_rows] of each series */
    size_t n_series, left_out;
    double *values; /* [n_series, 3, count]: figure, low, high */
};

static double row_average(const struct lay_score_table *table, size_t row)
{
    double sum = 0;
    size_t figures = 0;
    for (size_t c = 0; c < table->n_columns; c++) {
        const struct lay_score *score = lay_score_at(table, row, c);
        if (table->columns[c].average && table->columns[c].set == LAY_SET_AVG && !isnan(score->paper))
            return score->paper;
        sum += isnan(score->paper) ? 0 : score->paper;
        figures += isnan(score->paper) ? 0 : 1;
    }
    return figures ? sum / (double)figures : -1;
}

static bool has_bars(const struct chart *chart, size_t row)
{
    for (size_t c = 0; c < chart->count; c++)
        if (!isnan(lay_score_at(chart->table, row, chart->first + c)->paper))
            return true;
    return false;
}

/* Whether fewer than MAX_PUBLISHED published rows with bars stand above this one. */
static bool among_the_best(const struct chart *chart, size_t row)
{
    const double own = row_average(chart->table, row);
    size_t better = 0;
    for (size_t r = 0; r < chart->table->n_rows; r++) {
        const double theirs = row_average(chart->table, r);
        if (chart->table->rows[r].published && has_bars(chart, r))
            better += theirs > own || (theirs == own && r < row);
    }
    return better < MAX_PUBLISHED;
}

static void choose_rows(struct chart *chart)
{
    for (size_t r = 0; r < chart->table->n_rows; r++) {
        if (!has_bars(chart, r))
            continue;
        if (chart->table->rows[r].published && !among_the_best(chart, r))
            chart->left_out++;
        else
            chart->rows[chart->n_series++] = r;
    }
}

static void fill_series(struct chart *chart)
{
    for (size_t s = 0; s < chart->n_series; s++) {
        const size_t row = chart->rows[s];
        double *values = chart->values + 3 * s * chart->count;
        for (size_t c = 0; c < chart->count; c++) {
            const struct lay_score *score = lay_score_at(chart->table, row, chart->first + c);
            values[c] = score->paper;
            values[chart->count + c] = score->interval.low;
            values[2 * chart->count + c] = score->interval.high;
        }
        chart->series[s] = (struct lay_svg_bar_series){.name = chart->table->rows[row].name,
                                                       .values = values,
                                                       .low = values + chart->count,
                                                       .high = values + 2 * chart->count,
                                                       .hatched = chart->table->rows[row].published != NULL};
    }
    for (size_t c = 0; c < chart->count; c++)
        chart->names[c] = chart->table->columns[chart->first + c].title;
}

/* "layalign from 12.0 % (bn) to 64.0 % (en); …" */
static void describe(struct lay_str *out, const struct chart *chart)
{
    lay_str_puts(out, "Bars of accuracy in percent. ");
    for (size_t s = 0; s < chart->n_series; s++) {
        const double *values = chart->series[s].values;
        size_t low = 0, high = 0;
        for (size_t c = 1; c < chart->count; c++) {
            low = !(values[c] >= values[low]) && !isnan(values[c]) ? c : low;
            high = !(values[c] <= values[high]) && !isnan(values[c]) ? c : high;
        }
        lay_str_printf(out, "%s%s%s from %.1f (%s) to %.1f (%s)", s ? "; " : "", chart->series[s].name,
                       chart->series[s].hatched ? ", published," : "", values[low], chart->names[low],
                       values[high], chart->names[high]);
    }
    lay_str_puts(out, ". The table has every figure.");
}

static void put_caption(struct lay_str *out, const struct chart *chart)
{
    bool hatched = false;
    for (size_t s = 0; s < chart->n_series; s++)
        hatched |= chart->series[s].hatched;
    lay_str_puts(out, "<figcaption>Whiskers are 95 % intervals.");
    if (hatched)
        lay_str_puts(out, " Hatched bars are published figures.");
    if (chart->left_out)
        lay_str_printf(
            out, " Of the published rows the %d with the highest averages are drawn; the table has %zu more.",
            MAX_PUBLISHED, chart->left_out);
    lay_str_puts(out, "</figcaption>\n");
}

static enum lay_status put_chart(struct lay_str *out, const struct chart *chart, const char *id,
                                 const char *title, struct lay_err *err)
{
    struct lay_str about = {0};
    describe(&about, chart);
    const struct lay_svg_bars bars = {
        .frame = {.id = id, .title = title, .about = lay_str_text(&about), .y_label = "accuracy in %"},
        .groups = chart->names,
        .n_groups = chart->count,
        .series = chart->series,
        .count = chart->n_series,
        .high = 100,
        .unit = " %"};
    enum lay_status status = lay_str_check(&about, err);
    lay_str_puts(out, "<figure>\n");
    lay_html_scroll_open(out, title);
    if (status == LAY_OK)
        status = lay_svg_bars(out, &bars, err);
    lay_html_scroll_close(out);
    put_caption(out, chart);
    lay_str_puts(out, "</figure>\n");
    lay_str_free(&about);
    return status;
}

enum lay_status lay_html_chart_put(struct lay_str *out, const struct lay_score_table *table, const char *id,
                                   const char *title, size_t first, size_t count, struct lay_err *err)
{
    struct chart chart = {.table = table, .first = first, .count = count};
    enum lay_status status = LAY_OK;
    chart.names = lay_alloc(count + 1, sizeof *chart.names);
    chart.series = lay_alloc(table->n_rows + 1, sizeof *chart.series);
    chart.rows = lay_alloc(table->n_rows + 1, sizeof *chart.rows);
    chart.values = lay_alloc(3 * (table->n_rows + 1) * (count + 1), sizeof *chart.values);
    if (!chart.names || !chart.series || !chart.rows || !chart.values) {
        status = lay_no_memory(err, "a chart");
    } else {
        choose_rows(&chart);
        fill_series(&chart);
        if (chart.n_series)
            status = put_chart(out, &chart, id, title, err);
    }
    lay_free(chart.names);
    lay_free(chart.series);
    lay_free(chart.rows);
    lay_free(chart.values);
    return status;
}

#include "reports/analysis/analysis_pictures.h"

#include "engine/base/mem.h"
#include "reports/svg.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define NUMBERED_COLUMNS 12 /* heat maps up to this wide have numbers in their cells */

/* A figure on its way to the page. */
struct drawing {
    const struct lay_analysed *systems; /* those that have the figure */
    size_t count;
    enum lay_figure figure;
    bool alone;
    enum lay_status (*drawn)(void *context, const struct lay_picture *picture, struct lay_err *err);
    void *context;
    struct lay_str svg;
    char id[32], title[240];
};

/* --- what all pictures need --- */

/* Frame of the next picture; `part` tells several of one system apart. */
static struct lay_svg_frame frame(struct drawing *d, size_t system, int64_t part, const char *title,
                                  const char *about)
{
    snprintf(d->id, sizeof d->id, "f%d-%zu-%lld", (int)d->figure, system, (long long)part);
    if (d->count > 1)
        snprintf(d->title, sizeof d->title, "%s: %s", d->systems[system].system, title);
    else
        snprintf(d->title, sizeof d->title, "%s", title);
    return (struct lay_svg_frame){.id = d->id, .title = d->title, .about = about, .alone = d->alone};
}

static enum lay_status hand_over(struct drawing *d, const char *name, const char *title, bool detail,
                                 enum lay_status drawing_status, struct lay_err *err)
{
    const struct lay_picture picture = {.name = name,
                                        .title = title,
                                        .svg = lay_str_text(&d->svg),
                                        .length = d->svg.length,
                                        .detail = detail};
    enum lay_status status = drawing_status;
    if (status == LAY_OK)
        status = d->drawn(d->context, &picture, err);
    lay_str_clear(&d->svg);
    return status;
}

/* Names of rows and columns. */
struct names {
    char (*text)[64];
    const char **list; /* [count], pointing into text */
    size_t count;
};

static enum lay_status names_create(struct names *names, size_t count, struct lay_err *err)
{
    names->count = count;
    names->text = lay_alloc(count, sizeof *names->text);
    names->list = lay_alloc(count, sizeof *names->list);
    if (!names->text || !names->list) {
        lay_free(names->text);
        lay_free((void *)names->list);
        *names = (struct names){0};
        return lay_no_memory(err, "a picture");
    }
    for (size_t i = 0; i < count; i++)
        names->list[i] = names->text[i];
    return LAY_OK;
}

static void names_free(struct names *names)
{
    lay_free(names->text);
    lay_free((void *)names->list);
}

static enum lay_status numbered(struct names *names, size_t count, struct lay_err *err)
{
    LAY_TRY(names_create(names, count, err));
    for (size_t i = 0; i < count; i++)
        snprintf(names->text[i], sizeof *names->text, "%zu", i);
    return LAY_OK;
}

static int decimals(size_t columns)
{
    return columns <= NUMBERED_COLUMNS ? 2 : -1;
}

/* --- similarity: all systems, languages side by side --- */

struct similarities {
    double *mean, *low, *high; /* [systems, languages − 1] */
    struct lay_svg_bar_series *series;
    const char **groups; /* [languages − 1] */
};

static void fill_similarities(const struct drawing *d, struct similarities *s, size_t groups, bool *negative)
{
    for (size_t i = 0; i < d->count; i++) {
        double *mean = s->mean + i * groups, *low = s->low + i * groups, *high = s->high + i * groups;
        for (size_t g = 0; g < groups; g++) {
            const struct lay_similarity *similarity = &d->systems[i].analysis->similarity[g + 1];
            const double deviation = lay_similarity_deviation(similarity);
            mean[g] = lay_similarity_mean(similarity);
            low[g] = fmax(mean[g] - deviation, 0);
            high[g] = fmin(mean[g] + deviation, 1);
            *negative |= mean[g] < 0;
        }
        s->series[i] = (struct lay_svg_bar_series){
            .name = d->systems[i].system, .values = mean, .low = low, .high = high};
    }
}

/* Bars start at 0; where a mean is negative there are points instead. */
static enum lay_status similarity_points(struct drawing *d, const struct similarities *s, size_t groups,
                                         struct lay_svg_frame with, struct lay_err *err)
{
    double *x = lay_alloc(groups, sizeof *x);
    struct lay_svg_series *series = lay_alloc(d->count, sizeof *series);
    enum lay_status status = x && series ? LAY_OK : lay_no_memory(err, "a picture");
    for (size_t g = 0; g < groups && status == LAY_OK; g++)
        x[g] = (double)g;
    for (size_t i = 0; i < d->count && status == LAY_OK; i++)
        series[i] = (struct lay_svg_series){
            .name = d->systems[i].system, .x = x, .y = s->mean + i * groups, .count = groups};
    const struct lay_svg_plot plot = {
        .frame = with, .series = series, .count = d->count, .x_names = s->groups, .n_x_names = groups};
    if (status == LAY_OK)
        status = lay_svg_points(&d->svg, &plot, err);
    lay_free(x);
    lay_free(series);
    return status;
}

static enum lay_status draw_similarity(struct drawing *d, struct lay_err *err)
{
    const struct lay_analysis_options *o = &d->systems[0].analysis->options;
    const size_t groups = o->n_languages - 1;
    bool negative = false;
    struct lay_svg_frame with = frame(
        d, 0, 0, "Cosine similarity with English",
        "Per language the mean over sentences of the cosine between the mean-pooled final LLM states of "
        "a sentence and of its English original; whiskers: one standard deviation");
    with.title = "Cosine similarity with English";
    with.y_label = "cosine";
    struct similarities s = {lay_alloc(d->count * groups, sizeof *s.mean),
                             lay_alloc(d->count * groups, sizeof *s.low),
                             lay_alloc(d->count * groups, sizeof *s.high),
                             lay_alloc(d->count, sizeof *s.series), lay_alloc(groups, sizeof *s.groups)};
    enum lay_status status =
        s.mean && s.low && s.high && s.series && s.groups ? LAY_OK : lay_no_memory(err, "a picture");
    if (status == LAY_OK) {
        for (size_t g = 0; g < groups; g++)
            s.groups[g] = o->languages[g + 1].name;
        fill_similarities(d, &s, groups, &negative);
        const struct lay_svg_bars bars = {.frame = with,
                                          .groups = s.groups,
                                          .n_groups = groups,
                                          .series = s.series,
                                          .count = d->count,
                                          .high = 1};
        status = negative ? similarity_points(d, &s, groups, with, err) : lay_svg_bars(&d->svg, &bars, err);
    }
    lay_free(s.mean);
    lay_free(s.low);
    lay_free(s.high);
    lay_free(s.series);
    lay_free((void *)s.groups);
    return hand_over(d, "similarity", with.title, false, status, err);
}

/* --- components: points per system --- */

static enum lay_status draw_cloud(struct drawing *d, size_t system, struct lay_err *err)
{
    const struct lay_analysis *a = d->systems[system].analysis;
    const size_t languages = a->options.n_languages, points = a->options.n_points;
    char x_label[64], y_label[64];
    snprintf(x_label, sizeof x_label, "first component (%.1f %% of the variance)",
             100 * a->components.share[0]);
    snprintf(y_label, sizeof y_label, "second component (%.1f %%)", 100 * a->components.share[1]);
    struct lay_svg_frame with =
        frame(d, system, 0, "Principal components",
              "Every sentence as a point: the first two principal components of the mean-pooled final LLM "
              "states, by language");
    with.x_label = x_label;
    with.y_label = y_label;
    double *x = lay_alloc(languages * points, sizeof *x), *y = lay_alloc(languages * points, sizeof *y);
    struct lay_svg_series *series = lay_alloc(languages, sizeof *series);
    enum lay_status status = x && y && series ? LAY_OK : lay_no_memory(err, "a picture");
    for (size_t i = 0; i < languages && status == LAY_OK; i++) {
        for (size_t s = 0; s < points; s++) {
            x[i * points + s] = a->coordinates[(s * languages + i) * LAY_COMPONENTS];
            y[i * points + s] = a->coordinates[(s * languages + i) * LAY_COMPONENTS + 1];
        }
        series[i] = (struct lay_svg_series){
            .name = a->options.languages[i].name, .x = x + i * points, .y = y + i * points, .count = points};
    }
    const struct lay_svg_plot plot = {.frame = with, .series = series, .count = languages};
    if (status == LAY_OK)
        status = lay_svg_points(&d->svg, &plot, err);
    lay_free(x);
    lay_free(y);
    lay_free(series);
    return hand_over(d, "components", with.title, false, status, err);
}

/* --- encoder layers, tokens: heat maps --- */

static enum lay_status draw_encoder_layers(struct drawing *d, size_t system, struct lay_err *err)
{
    const struct lay_analysis *a = d->systems[system].analysis;
    struct names names;
    struct lay_svg_heat heat = {
        .frame = frame(d, system, 0, "Similarity between encoder layers",
                       "Mean cosine between a token's hidden states in two layers of the encoder"),
        .values = a->layers,
        .rows = (size_t)a->n_hidden,
        .columns = (size_t)a->n_hidden,
        .decimals = decimals((size_t)a->n_hidden)};
    heat.frame.x_label = "encoder layer (0: embeddings)";
    heat.frame.y_label = "layer";
    LAY_TRY(numbered(&names, heat.rows, err));
    heat.row_names = heat.column_names = names.list;
    const enum lay_status status = lay_svg_heat(&d->svg, &heat, err);
    names_free(&names);
    return hand_over(d, "encoder_layers", heat.frame.title, false, status, err);
}

/* Positions where the tokens have no names. */
static enum lay_status token_names(const struct lay_analysis *a, int side, struct names *names,
                                   struct lay_err *err)
{
    LAY_TRY(numbered(names, (size_t)a->n_pair[side], err));
    for (size_t i = 0; a->pieces[side] && i < names->count; i++)
        names->list[i] = a->pieces[side][i];
    return LAY_OK;
}

static enum lay_status draw_token_layer(struct drawing *d, size_t system, int64_t layer,
                                        const struct names names[2], struct lay_err *err)
{
    const struct lay_analysis *a = d->systems[system].analysis;
    char title[64], name[32];
    snprintf(title, sizeof title, "Tokens in encoder layer %lld%s", (long long)layer,
             layer == 0 ? " (embeddings)" : "");
    snprintf(name, sizeof name, "tokens_%02lld", (long long)layer);
    struct lay_svg_heat heat = {
        .frame = frame(d, system, layer, title,
                       "Cosine between the hidden states of every token of the English sentence and every "
                       "token of its translation"),
        .row_names = names[0].list,
        .column_names = names[1].list,
        .values = a->tokens + layer * a->n_pair[0] * a->n_pair[1],
        .rows = names[0].count,
        .columns = names[1].count,
        .decimals = -1};
    heat.frame.y_label = "English";
    heat.frame.x_label = a->options.languages[a->options.pair_language].name;
    return hand_over(d, name, heat.frame.title, true, lay_svg_heat(&d->svg, &heat, err), err);
}

static enum lay_status draw_tokens(struct drawing *d, size_t system, struct lay_err *err)
{
    const struct lay_analysis *a = d->systems[system].analysis;
    struct names names[2] = {{0}, {0}};
    enum lay_status status = token_names(a, 0, &names[0], err);
    if (status == LAY_OK)
        status = token_names(a, 1, &names[1], err);
    for (int64_t layer = 0; layer < a->n_hidden && status == LAY_OK; layer++)
        status = draw_token_layer(d, system, layer, names, err);
    names_free(&names[0]);
    names_free(&names[1]);
    return status;
}

/* --- attention: lines over the LLM's layers --- */

/* x is the number of a layer, 0 … layers − 1. */
static enum lay_status draw_lines(struct drawing *d, const struct lay_svg_frame *with,
                                  const struct lay_svg_series *series, size_t count, size_t layers,
                                  const char *name, struct lay_err *err)
{
    struct names names;
    LAY_TRY(numbered(&names, layers, err));
    const struct lay_svg_plot plot = {.frame = *with,
                                      .series = series,
                                      .count = count,
                                      .from_zero = true,
                                      .x_names = names.list,
                                      .n_x_names = layers};
    const enum lay_status status = lay_svg_lines(&d->svg, &plot, err);
    names_free(&names);
    return hand_over(d, name, with->title, false, status, err);
}

static struct lay_svg_frame attention_frame(struct drawing *d, size_t system, int64_t part, const char *title)
{
    struct lay_svg_frame with =
        frame(d, system, part, title,
              "Per LLM layer the norm of the gated adapter attention over the norm of self-attention");
    with.x_label = "LLM layer";
    with.y_label = "ratio of norms";
    return with;
}

/* x = 0, 1, … of the layers and room for `count` lines. */
struct lines {
    double *x, *y; /* [layers], [count, layers] */
    struct lay_svg_series *series;
};

static enum lay_status lines_create(struct lines *lines, size_t count, size_t layers, struct lay_err *err)
{
    lines->x = lay_alloc(layers, sizeof *lines->x);
    lines->y = lay_alloc(count * layers, sizeof *lines->y);
    lines->series = lay_alloc(count, sizeof *lines->series);
    if (!lines->x || !lines->y || !lines->series)
        return lay_no_memory(err, "a picture");
    for (size_t i = 0; i < layers; i++)
        lines->x[i] = (double)i;
    return LAY_OK;
}

static void lines_free(struct lines *lines)
{
    lay_free(lines->x);
    lay_free(lines->y);
    lay_free(lines->series);
}

static double *add_line(struct lines *lines, size_t i, const char *name, size_t layers, size_t count)
{
    double *y = lines->y + i * layers;
    lines->series[i] = (struct lay_svg_series){.name = name, .x = lines->x, .y = y, .count = count};
    return y;
}

/* The means over languages, all systems in one picture. */
static enum lay_status draw_attention_means(struct drawing *d, struct lay_err *err)
{
    struct lines lines = {0};
    size_t layers = 0;
    for (size_t i = 0; i < d->count; i++)
        layers = (size_t)fmax((double)layers, (double)d->systems[i].analysis->llm_layers);
    struct lay_svg_frame with = attention_frame(d, 0, 0, "");
    with.title = "Adapter attention over self-attention, mean over languages";
    enum lay_status status = lines_create(&lines, d->count, layers, err);
    for (size_t i = 0; i < d->count && status == LAY_OK; i++) {
        const struct lay_analysis *a = d->systems[i].analysis;
        double *y = add_line(&lines, i, d->systems[i].system, layers, (size_t)a->llm_layers);
        for (int64_t l = 0; l < a->llm_layers; l++)
            y[l] = lay_analysis_mean_ratio(a, l);
    }
    if (status == LAY_OK)
        status = draw_lines(d, &with, lines.series, d->count, layers, "attention", err);
    lines_free(&lines);
    return status;
}

static enum lay_status draw_attention_languages(struct drawing *d, size_t system, struct lay_err *err)
{
    const struct lay_analysis *a = d->systems[system].analysis;
    const size_t languages = a->options.n_languages, layers = (size_t)a->llm_layers;
    struct lines lines = {0};
    const struct lay_svg_frame with =
        attention_frame(d, system, 1, "Adapter attention over self-attention by language");
    enum lay_status status = lines_create(&lines, languages, layers, err);
    for (size_t i = 0; i < languages && status == LAY_OK; i++)
        memcpy(add_line(&lines, i, a->options.languages[i].name, layers, layers), a->ratio + i * layers,
               layers * sizeof *lines.y);
    if (status == LAY_OK)
        status = draw_lines(d, &with, lines.series, languages, layers, "attention_languages", err);
    lines_free(&lines);
    return status;
}

/* --- fusion: weights of the aligner and gates --- */

static enum lay_status draw_gates(struct drawing *d, size_t system, struct lay_err *err)
{
    const struct lay_analysis *a = d->systems[system].analysis;
    const size_t n = (size_t)a->n_language_layers;
    int64_t layers = 0;
    struct lines lines = {0};
    struct lay_svg_frame with =
        frame(d, system, 2, "Gates", "The gate of the adapter attention per LLM layer");
    with.x_label = "LLM layer";
    with.y_label = "gate";
    enum lay_status status = lines_create(&lines, 1, n, err);
    if (status == LAY_OK) {
        memcpy(add_line(&lines, 0, NULL, n, n), a->gates, n * sizeof *lines.y);
        for (size_t i = 0; i < n; i++) {
            lines.x[i] = (double)a->language_layers[i];
            layers = a->language_layers[i] >= layers ? a->language_layers[i] + 1 : layers;
        }
        status = draw_lines(d, &with, lines.series, 1, (size_t)layers, "gates", err);
    }
    lines_free(&lines);
    return status;
}

/* Rows 2i + value of the weights; the gates stand in the names of the rows. */
static enum lay_status draw_weights(struct drawing *d, size_t system, int value, struct lay_err *err)
{
    static const char *const titles[] = {"Fusion weights of the keys", "Fusion weights of the values"};
    const struct lay_analysis *a = d->systems[system].analysis;
    const size_t m = (size_t)a->n_encoder_layers, K = (size_t)a->n_language_layers;
    struct names rows = {0}, columns = {0};
    double *weights = lay_alloc(K * m, sizeof *weights), largest = 0;
    enum lay_status status = weights ? names_create(&rows, K, err) : lay_no_memory(err, "a picture");
    if (status == LAY_OK)
        status = names_create(&columns, m, err);
    for (size_t i = 0; i < K && status == LAY_OK; i++) {
        if (isnan(a->gates[i]))
            snprintf(rows.text[i], sizeof *rows.text, "%lld", (long long)a->language_layers[i]);
        else
            snprintf(rows.text[i], sizeof *rows.text, "%lld (gate %.3g)", (long long)a->language_layers[i],
                     a->gates[i]);
        for (size_t j = 0; j < m; j++) {
            weights[i * m + j] = a->weights[(2 * i + (size_t)value) * m + j];
            largest = fmax(largest, fabs(weights[i * m + j]));
        }
    }
    for (size_t j = 0; j < m && status == LAY_OK; j++)
        snprintf(columns.text[j], sizeof *columns.text, "%lld", (long long)a->encoder_layers[j]);
    struct lay_svg_heat heat = {
        .frame = frame(d, system, value, titles[value],
                       "The aligner's weight of every encoder layer for every LLM layer; the gate of the LLM "
                       "layer stands beside it"),
        .row_names = rows.list,
        .column_names = columns.list,
        .values = weights,
        .rows = K,
        .columns = m,
        .low = -largest,
        .high = largest,
        .decimals = decimals(m)};
    heat.frame.y_label = "LLM layer";
    heat.frame.x_label = "encoder layer (0: embeddings)";
    if (status == LAY_OK)
        status = lay_svg_heat(&d->svg, &heat, err);
    names_free(&rows);
    names_free(&columns);
    lay_free(weights);
    return hand_over(d, value ? "fusion_values" : "fusion_keys", heat.frame.title, false, status, err);
}

static enum lay_status draw_fusion(struct drawing *d, size_t system, struct lay_err *err)
{
    LAY_TRY(draw_weights(d, system, 0, err));
    LAY_TRY(draw_weights(d, system, 1, err));
    return isnan(d->systems[system].analysis->gates[0]) ? LAY_OK : draw_gates(d, system, err);
}

/* --- the figures --- */

static const struct {
    enum lay_status (*together)(struct drawing *d, struct lay_err *err); /* NULL: only one by one */
    enum lay_status (*each)(struct drawing *d, size_t system, struct lay_err *err);
} painters[LAY_FIGURE_COUNT] = {
    [LAY_FIGURE_SIMILARITY] = {draw_similarity, NULL},
    [LAY_FIGURE_COMPONENTS] = {NULL, draw_cloud},
    [LAY_FIGURE_ENCODER_LAYERS] = {NULL, draw_encoder_layers},
    [LAY_FIGURE_TOKENS] = {NULL, draw_tokens},
    [LAY_FIGURE_ATTENTION] = {draw_attention_means, draw_attention_languages},
    [LAY_FIGURE_FUSION] = {NULL, draw_fusion},
};

enum lay_status lay_analysis_draw(const struct lay_analysed *systems, size_t count, enum lay_figure figure,
                                  bool alone,
                                  enum lay_status (*drawn)(void *context, const struct lay_picture *picture,
                                                           struct lay_err *err),
                                  void *context, struct lay_err *err)
{
    struct lay_analysed *those = lay_alloc(count, sizeof *those);
    struct drawing d = {
        .systems = those, .figure = figure, .alone = alone, .drawn = drawn, .context = context};
    enum lay_status status = LAY_OK;
    if (!those)
        return lay_no_memory(err, "pictures");
    for (size_t i = 0; i < count; i++)
        if (lay_analysis_has(systems[i].analysis, figure))
            those[d.count++] = systems[i];
    if (d.count > 0 && painters[figure].together)
        status = painters[figure].together(&d, err);
    for (size_t i = 0; i < d.count && painters[figure].each && status == LAY_OK; i++)
        status = painters[figure].each(&d, i, err);
    lay_str_free(&d.svg);
    lay_free(those);
    return status;
}

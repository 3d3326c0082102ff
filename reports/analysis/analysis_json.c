#include "reports/analysis/analysis_write.h"

#include "reports/emit.h"

#include <math.h>

static void numbers(struct lay_emit *emit, const char *key, const double *values, int64_t n)
{
    lay_emit_open(emit, key, '[');
    const int indent = emit->indent;
    emit->indent = -1; /* a row of numbers on one line */
    for (int64_t i = 0; i < n; i++)
        lay_emit_double(emit, NULL, values[i]);
    lay_emit_close(emit, ']');
    emit->indent = indent;
}

static void matrix(struct lay_emit *emit, const char *key, const double *values, int64_t rows, int64_t cols)
{
    lay_emit_open(emit, key, '[');
    for (int64_t r = 0; r < rows; r++)
        numbers(emit, NULL, values + r * cols, cols);
    lay_emit_close(emit, ']');
}

static void integers(struct lay_emit *emit, const char *key, const int64_t *values, int64_t n)
{
    lay_emit_open(emit, key, '[');
    const int indent = emit->indent;
    emit->indent = -1;
    for (int64_t i = 0; i < n; i++)
        lay_emit_int(emit, NULL, values[i]);
    lay_emit_close(emit, ']');
    emit->indent = indent;
}

static void similarity(const struct lay_analysis *a, struct lay_emit *emit)
{
    lay_emit_open(emit, "languages", '{');
    for (size_t i = 0; i < a->options.n_languages; i++) {
        lay_emit_open(emit, a->options.languages[i].code, '{');
        lay_emit_int(emit, "sentences", a->similarity[i].n);
        lay_emit_double(emit, "cosine", lay_similarity_mean(&a->similarity[i]));
        lay_emit_double(emit, "deviation", lay_similarity_deviation(&a->similarity[i]));
        lay_emit_close(emit, '}');
    }
    lay_emit_close(emit, '}');
}

static void components(const struct lay_analysis *a, struct lay_emit *emit)
{
    const size_t languages = a->options.n_languages;
    numbers(emit, "variance", a->components.variance, LAY_COMPONENTS);
    numbers(emit, "share_of_variance", a->components.share, LAY_COMPONENTS);
    lay_emit_open(emit, "points", '{');
    for (size_t i = 0; i < languages; i++) {
        lay_emit_open(emit, a->options.languages[i].code, '[');
        for (size_t s = 0; s < a->options.n_points; s++)
            numbers(emit, NULL, a->coordinates + (s * languages + i) * LAY_COMPONENTS, LAY_COMPONENTS);
        lay_emit_close(emit, ']');
    }
    lay_emit_close(emit, '}');
}

static void encoder_layers(const struct lay_analysis *a, struct lay_emit *emit)
{
    matrix(emit, "cosine", a->layers, a->n_hidden, a->n_hidden);
}

static void tokens(const struct lay_analysis *a, struct lay_emit *emit)
{
    static const char *const keys[] = {"english_tokens", "tokens"};
    lay_emit_string(emit, "language", a->options.languages[a->options.pair_language].code);
    lay_emit_int(emit, "sentence", (int64_t)a->options.pair_sentence);
    for (int side = 0; side < 2; side++) {
        lay_emit_open(emit, keys[side], '[');
        for (int64_t i = 0; i < a->n_pair[side]; i++)
            lay_emit_string(emit, NULL, a->pieces[side] ? a->pieces[side][i] : NULL);
        lay_emit_close(emit, ']');
    }
    lay_emit_open(emit, "cosine", '[');
    for (int64_t i = 0; i < a->n_hidden; i++)
        matrix(emit, NULL, a->tokens + i * a->n_pair[0] * a->n_pair[1], a->n_pair[0], a->n_pair[1]);
    lay_emit_close(emit, ']');
}

static void attention(const struct lay_analysis *a, struct lay_emit *emit)
{
    lay_emit_open(emit, "gates", '[');
    for (int64_t l = 0; l < a->llm_layers; l++)
        lay_emit_double(emit, NULL, lay_analysis_gate(a, l));
    lay_emit_close(emit, ']');
    lay_emit_open(emit, "all", '[');
    for (int64_t l = 0; l < a->llm_layers; l++)
        lay_emit_double(emit, NULL, lay_analysis_mean_ratio(a, l));
    lay_emit_close(emit, ']');
    lay_emit_open(emit, "languages", '{');
    for (size_t i = 0; i < a->options.n_languages; i++)
        numbers(emit, a->options.languages[i].code, a->ratio + (int64_t)i * a->llm_layers, a->llm_layers);
    lay_emit_close(emit, '}');
}

static void fusion(const struct lay_analysis *a, struct lay_emit *emit)
{
    const int64_t m = a->n_encoder_layers;
    integers(emit, "encoder_layers", a->encoder_layers, m);
    integers(emit, "language_layers", a->language_layers, a->n_language_layers);
    numbers(emit, "gates", a->gates, a->n_language_layers);
    for (int value = 0; value < 2; value++) {
        lay_emit_open(emit, value ? "values" : "keys", '[');
        for (int64_t i = 0; i < a->n_language_layers; i++) {
            lay_emit_open(emit, NULL, '{');
            numbers(emit, "weights", a->weights + (2 * i + value) * m, m);
            lay_emit_double(emit, "bias", a->bias[2 * i + value]);
            lay_emit_close(emit, '}');
        }
        lay_emit_close(emit, ']');
    }
}

enum lay_status lay_analysis_json(const struct lay_analysis *a, const cJSON *about, struct lay_str *out,
                                  struct lay_err *err)
{
    static void (*const members[LAY_FIGURE_COUNT])(const struct lay_analysis *, struct lay_emit *) = {
        [LAY_FIGURE_SIMILARITY] = similarity,         [LAY_FIGURE_COMPONENTS] = components,
        [LAY_FIGURE_ENCODER_LAYERS] = encoder_layers, [LAY_FIGURE_TOKENS] = tokens,
        [LAY_FIGURE_ATTENTION] = attention,           [LAY_FIGURE_FUSION] = fusion,
    };
    struct lay_emit emit = {.out = out, .indent = 1};
    lay_emit_open(&emit, NULL, '{');
    for (const cJSON *item = about ? about->child : NULL; item; item = item->next)
        lay_emit_tree(&emit, item->string, item);
    lay_emit_open(&emit, "languages", '[');
    for (size_t i = 0; i < a->options.n_languages; i++) {
        lay_emit_open(&emit, NULL, '{');
        lay_emit_string(&emit, "code", a->options.languages[i].code);
        lay_emit_string(&emit, "name", a->options.languages[i].name);
        lay_emit_close(&emit, '}');
    }
    lay_emit_close(&emit, ']');
    lay_emit_open(&emit, "figures", '{');
    for (int f = 0; f < LAY_FIGURE_COUNT; f++) {
        if (!lay_analysis_has(a, (enum lay_figure)f))
            continue;
        lay_emit_open(&emit, lay_figure_info((enum lay_figure)f)->name, '{');
        members[f](a, &emit);
        lay_emit_close(&emit, '}');
    }
    lay_emit_close(&emit, '}');
    lay_emit_open(&emit, "missing", '{');
    for (int f = 0; f < LAY_FIGURE_COUNT; f++)
        if (a->options.wanted[f] && a->missing[f])
            lay_emit_string(&emit, lay_figure_info((enum lay_figure)f)->name, a->missing[f]);
    lay_emit_close(&emit, '}');
    lay_emit_close(&emit, '}');
    lay_str_putc(out, '\n');
    return lay_str_check(out, err);
}

#include "reports/analysis/analysis.h"

#include "engine/base/mem.h"

#include <assert.h>
#include <math.h>
#include <string.h>

static const struct lay_figure_info figures[LAY_FIGURE_COUNT] = {
    [LAY_FIGURE_SIMILARITY] = {"similarity", "Cosine similarity with English, mean-pooled final LLM states",
                               "similarity.csv"},
    [LAY_FIGURE_COMPONENTS] = {"components", "Principal components of the mean-pooled final LLM states",
                               "components.csv"},
    [LAY_FIGURE_ENCODER_LAYERS] = {"encoder-layers", "Cosine similarity between encoder layers",
                                   "encoder_layers.csv"},
    [LAY_FIGURE_TOKENS] = {"tokens", "Token-to-token cosine similarity per encoder layer", "tokens.csv"},
    [LAY_FIGURE_ATTENTION] = {"attention", "Norm of the gated adapter attention over that of self-attention",
                              "attention.csv"},
    [LAY_FIGURE_FUSION] = {"fusion", "Fusion weights of the aligner, with the gates", "fusion.csv"},
};

const struct lay_figure_info *lay_figure_info(enum lay_figure figure)
{
    return &figures[figure];
}

enum lay_status lay_figure_find(const char *name, enum lay_figure *figure, struct lay_err *err)
{
    struct lay_str names = {0};
    for (int i = 0; i < LAY_FIGURE_COUNT; i++) {
        *figure = (enum lay_figure)i;
        if (strcmp(figures[i].name, name) == 0)
            break;
        lay_str_printf(&names, "%s%s", i ? ", " : "", figures[i].name);
    }
    const enum lay_status status =
        strcmp(figures[*figure].name, name) == 0
            ? LAY_OK
            : lay_fail(err, LAY_ERR_USAGE, "no figure is called \"%s\"; there are %s", name,
                       lay_str_text(&names));
    lay_str_free(&names);
    return status;
}

double lay_similarity_mean(const struct lay_similarity *s)
{
    return s->n > 0 ? s->sum / (double)s->n : NAN;
}

double lay_similarity_deviation(const struct lay_similarity *s)
{
    if (s->n < 2)
        return NAN;
    const double n = (double)s->n, mean = s->sum / n;
    const double variance = (s->sum_of_squares - n * mean * mean) / (n - 1);
    return variance > 0 ? sqrt(variance) : 0;
}

/* --- life --- */

static bool wants_pooled(const struct lay_analysis *a)
{
    return a->options.wanted[LAY_FIGURE_SIMILARITY] || a->options.wanted[LAY_FIGURE_COMPONENTS];
}

enum lay_status lay_analysis_create(const struct lay_analysis_options *options, struct lay_analysis **out,
                                    struct lay_err *err)
{
    struct lay_analysis *a = lay_alloc(1, sizeof *a);
    *out = a;
    if (!a)
        return lay_no_memory(err, "an analysis");
    a->options = *options;
    if (a->options.n_points > a->options.n_sentences)
        a->options.n_points = a->options.n_sentences;
    a->similarity = lay_alloc(options->n_languages, sizeof *a->similarity);
    a->n_ratio = lay_alloc(options->n_languages, sizeof *a->n_ratio);
    if (a->similarity && a->n_ratio)
        return LAY_OK;
    lay_analysis_destroy(a);
    *out = NULL;
    return lay_no_memory(err, "an analysis");
}

static void free_pieces(struct lay_analysis *a, int side)
{
    for (int64_t i = 0; a->pieces[side] && i < a->n_pair[side]; i++)
        lay_free(a->pieces[side][i]);
    lay_free(a->pieces[side]);
    a->pieces[side] = NULL;
}

void lay_analysis_destroy(struct lay_analysis *a)
{
    if (!a)
        return;
    for (int side = 0; side < 2; side++) {
        free_pieces(a, side);
        lay_free(a->pair_states[side]);
    }
    void *const arrays[] = {a->similarity,      a->pooled,  a->english, a->points,  a->layers,
                            a->coordinates,     a->tokens,  a->ratio,   a->n_ratio, a->encoder_layers,
                            a->language_layers, a->weights, a->bias,    a->gates,   a};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        lay_free(arrays[i]);
}

/* Room for what the first sentence shows the sizes of. */
static enum lay_status allocate(struct lay_analysis *a, const struct lay_states *s, struct lay_err *err)
{
    const struct lay_analysis_options *o = &a->options;
    const size_t width = (size_t)s->llm_width, n_hidden = (size_t)s->n_hidden;
    a->n_hidden = s->n_hidden;
    a->encoder_width = s->encoder_width;
    a->llm_width = s->llm_width;
    a->llm_layers = s->llm_layers;
    a->pooled = lay_alloc(width, sizeof *a->pooled);
    a->english = lay_alloc(width, sizeof *a->english);
    a->layers = lay_alloc(n_hidden * n_hidden, sizeof *a->layers);
    a->ratio = lay_alloc(o->n_languages * (size_t)s->llm_layers, sizeof *a->ratio);
    bool complete = a->pooled && a->english && a->layers && a->ratio;
    if (o->wanted[LAY_FIGURE_COMPONENTS]) {
        a->points = lay_alloc(o->n_points * o->n_languages, width * sizeof *a->points);
        a->coordinates = lay_alloc(o->n_points * o->n_languages, LAY_COMPONENTS * sizeof *a->coordinates);
        complete = complete && a->points && a->coordinates;
    }
    return complete ? LAY_OK : lay_no_memory(err, "the figures");
}

/* --- one sentence --- */

static double cosine(const float *a, const float *b, int64_t n)
{
    double ab = 0, aa = 0, bb = 0;
    for (int64_t i = 0; i < n; i++) {
        ab += (double)a[i] * (double)b[i];
        aa += (double)a[i] * (double)a[i];
        bb += (double)b[i] * (double)b[i];
    }
    return aa == 0 || bb == 0 ? 0 : ab / (sqrt(aa) * sqrt(bb));
}

/* Sums are in double: a column at a time. */
static void pool(const struct lay_states *s, float *pooled)
{
    for (int64_t j = 0; j < s->llm_width; j++) {
        double sum = 0;
        for (int64_t r = 0; r < s->n_rows; r++)
            sum += (double)s->states[r * s->llm_width + j];
        pooled[j] = (float)(sum / (double)s->n_rows);
    }
}

static void add_pooled(struct lay_analysis *a, size_t language, size_t sentence, const struct lay_states *s)
{
    struct lay_similarity *similarity = &a->similarity[language];
    pool(s, a->pooled);
    if (language == 0)
        memcpy(a->english, a->pooled, (size_t)a->llm_width * sizeof *a->english);
    const double value = cosine(a->pooled, a->english, a->llm_width);
    similarity->sum += value;
    similarity->sum_of_squares += value * value;
    similarity->n++;
    if (!a->points || sentence >= a->options.n_points)
        return;
    memcpy(a->points + (int64_t)(sentence * a->options.n_languages + language) * a->llm_width, a->pooled,
           (size_t)a->llm_width * sizeof *a->points);
}

/* The matrix is symmetric; every pair is computed once. */
static void add_layers(struct lay_analysis *a, const struct lay_states *s)
{
    const int64_t n = s->n_hidden, d = s->encoder_width;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = i; j < n; j++) {
            double sum = 0;
            for (int64_t t = 0; t < s->n_source; t++)
                sum += cosine(s->hidden[i] + t * d, s->hidden[j] + t * d, d);
            const double mean = sum / (double)s->n_source;
            a->layers[i * n + j] += mean;
            if (i != j)
                a->layers[j * n + i] += mean;
        }
    a->n_layer_sentences++;
}

static enum lay_status keep_pair(struct lay_analysis *a, int side, const struct lay_states *s,
                                 struct lay_err *err)
{
    const size_t size = (size_t)(s->n_source * s->encoder_width);
    a->pair_states[side] = lay_alloc((size_t)s->n_hidden * size, sizeof(float));
    if (!a->pair_states[side])
        return lay_no_memory(err, "the token figure");
    if (a->pieces[side] && a->n_pair[side] != s->n_source)
        return lay_fail(err, LAY_ERR_INTERNAL, "%lld tokens have %lld names", (long long)s->n_source,
                        (long long)a->n_pair[side]);
    a->n_pair[side] = s->n_source;
    for (int64_t i = 0; i < s->n_hidden; i++)
        memcpy(a->pair_states[side] + (size_t)i * size, s->hidden[i], size * sizeof(float));
    return LAY_OK;
}

static void add_ratios(struct lay_analysis *a, size_t language, const struct lay_states *s)
{
    double *ratio = a->ratio + (int64_t)language * a->llm_layers;
    for (int64_t l = 0; l < a->llm_layers; l++)
        ratio[l] += s->adapter_ratio[l];
    a->n_ratio[language]++;
}

enum lay_status lay_analysis_add(struct lay_analysis *a, size_t language, size_t sentence,
                                 const struct lay_states *s, struct lay_err *err)
{
    const bool *wanted = a->options.wanted;
    assert(language < a->options.n_languages && sentence < a->options.n_sentences);
    if (!a->pooled)
        LAY_TRY(allocate(a, s, err));
    assert(s->n_hidden == a->n_hidden && s->llm_width == a->llm_width && s->llm_layers == a->llm_layers);
    if (wants_pooled(a))
        add_pooled(a, language, sentence, s);
    if (wanted[LAY_FIGURE_ENCODER_LAYERS] && s->n_source > 0)
        add_layers(a, s);
    if (wanted[LAY_FIGURE_ATTENTION])
        add_ratios(a, language, s);
    if (!wanted[LAY_FIGURE_TOKENS] || s->n_hidden == 0 || sentence != a->options.pair_sentence)
        return LAY_OK;
    if (language == 0)
        LAY_TRY(keep_pair(a, 0, s, err));
    return language == a->options.pair_language ? keep_pair(a, 1, s, err) : LAY_OK;
}

enum lay_status lay_analysis_pieces(struct lay_analysis *a, int side, const char *const *pieces, size_t count,
                                    struct lay_err *err)
{
    free_pieces(a, side);
    a->n_pair[side] = (int64_t)count;
    a->pieces[side] = lay_alloc(count, sizeof *a->pieces[side]);
    bool complete = a->pieces[side] != NULL;
    for (size_t i = 0; complete && i < count; i++) {
        a->pieces[side][i] = lay_strdup(pieces[i]);
        complete = a->pieces[side][i] != NULL;
    }
    return complete ? LAY_OK : lay_no_memory(err, "token names");
}

static double *widened(const float *values, int64_t n)
{
    double *copy = lay_alloc((size_t)n, sizeof *copy);
    for (int64_t i = 0; copy && i < n; i++)
        copy[i] = (double)values[i];
    return copy;
}

static int64_t *copied(const int64_t *values, int64_t n)
{
    int64_t *copy = lay_alloc((size_t)n, sizeof *copy);
    if (copy)
        memcpy(copy, values, (size_t)n * sizeof *copy);
    return copy;
}

enum lay_status lay_analysis_fusion(struct lay_analysis *a, const int64_t *encoder_layers, int64_t m,
                                    const int64_t *language_layers, int64_t K, const float *weights,
                                    const float *bias, const float *gates, struct lay_err *err)
{
    assert(!a->gates && m > 0 && K > 0);
    a->n_encoder_layers = m;
    a->n_language_layers = K;
    a->encoder_layers = copied(encoder_layers, m);
    a->language_layers = copied(language_layers, K);
    a->gates = widened(gates, K);
    bool complete = a->encoder_layers && a->language_layers && a->gates;
    if (weights) {
        a->weights = widened(weights, 2 * K * m);
        a->bias = widened(bias, 2 * K);
        complete = complete && a->weights && a->bias;
    }
    return complete ? LAY_OK : lay_no_memory(err, "the fusion weights");
}

/* --- all sentences --- */

static bool any_adapter(const struct lay_analysis *a)
{
    for (int64_t l = 0; a->ratio && l < a->llm_layers; l++)
        if (!isnan(a->ratio[l]))
            return true;
    return false;
}

static void find_missing(struct lay_analysis *a)
{
    static const char no_encoder[] = "the system has no encoder";
    static const char no_adapter[] = "the system has no adapter attention";
    static const char no_fusion[] = "the system's aligner averages the encoder layers";
    const struct {
        enum lay_figure figure;
        bool exists;
        const char *reason;
    } conditions[] = {
        {LAY_FIGURE_SIMILARITY, a->options.n_languages > 1, "there is no language beside English"},
        {LAY_FIGURE_COMPONENTS, a->options.n_points * a->options.n_languages > 1,
         "there is only one sentence"},
        {LAY_FIGURE_ENCODER_LAYERS, a->n_layer_sentences > 0, no_encoder},
        {LAY_FIGURE_TOKENS, a->pair_states[0] && a->pair_states[1], no_encoder},
        {LAY_FIGURE_ATTENTION, any_adapter(a), no_adapter},
        {LAY_FIGURE_FUSION, a->weights != NULL, a->gates ? no_fusion : no_adapter},
    };
    for (size_t i = 0; i < sizeof conditions / sizeof *conditions; i++)
        if (a->options.wanted[conditions[i].figure] && !conditions[i].exists)
            a->missing[conditions[i].figure] = conditions[i].reason;
}

static void take_means(struct lay_analysis *a)
{
    for (int64_t i = 0; i < a->n_hidden * a->n_hidden && a->n_layer_sentences; i++)
        a->layers[i] /= (double)a->n_layer_sentences;
    for (size_t language = 0; language < a->options.n_languages; language++)
        for (int64_t l = 0; l < a->llm_layers && a->n_ratio[language]; l++)
            a->ratio[(int64_t)language * a->llm_layers + l] /= (double)a->n_ratio[language];
}

static enum lay_status compare_tokens(struct lay_analysis *a, struct lay_err *err)
{
    const int64_t n = a->n_pair[0], m = a->n_pair[1], d = a->encoder_width;
    a->tokens = lay_alloc((size_t)(a->n_hidden * n * m), sizeof *a->tokens);
    if (!a->tokens)
        return lay_no_memory(err, "the token figure");
    for (int64_t i = 0; i < a->n_hidden; i++)
        for (int64_t s = 0; s < n; s++)
            for (int64_t t = 0; t < m; t++)
                a->tokens[(i * n + s) * m + t] =
                    cosine(a->pair_states[0] + (i * n + s) * d, a->pair_states[1] + (i * m + t) * d, d);
    return LAY_OK;
}

enum lay_status lay_analysis_finish(struct lay_analysis *a, struct lay_err *err)
{
    find_missing(a);
    take_means(a);
    if (lay_analysis_has(a, LAY_FIGURE_COMPONENTS))
        LAY_TRY(lay_principal_components(a->points, (int64_t)(a->options.n_points * a->options.n_languages),
                                         a->llm_width, a->coordinates, &a->components, err));
    return lay_analysis_has(a, LAY_FIGURE_TOKENS) ? compare_tokens(a, err) : LAY_OK;
}

bool lay_analysis_has(const struct lay_analysis *a, enum lay_figure figure)
{
    return a->options.wanted[figure] && !a->missing[figure];
}

double lay_analysis_gate(const struct lay_analysis *a, int64_t llm_layer)
{
    for (int64_t i = 0; i < a->n_language_layers; i++)
        if (a->language_layers[i] == llm_layer)
            return a->gates[i];
    return NAN;
}

double lay_analysis_mean_ratio(const struct lay_analysis *a, int64_t llm_layer)
{
    double sum = 0;
    for (size_t i = 0; i < a->options.n_languages; i++)
        sum += a->ratio[(int64_t)i * a->llm_layers + llm_layer];
    return sum / (double)a->options.n_languages;
}

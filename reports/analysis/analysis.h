/* Figures 4–9 of the LayAlign paper, for any system: what they are and how their numbers are gathered.
 *
 * Sentences stream through: of each, figures keep sums, of the first `points` also the pooled states.
 * Arithmetic is in double, in the order of the sentences; pooled states are rounded to f32.
 *
 *   similarity      mean over sentences of cos(p(language), p(English)), p being the mean over rows of the
 *                   LLM's states after its final norm
 *   components      first two principal components of all p of the first `points` sentences
 *   encoder-layers  for hidden states a, b of the encoder: mean over sentences and languages of the mean over
 *                   tokens t of cos(h_a[t], h_b[t])
 *   tokens          of one sentence in two languages, per hidden state of the encoder: cos(h[s], g[t]) of all
 *                   pairs of tokens
 *   attention       per LLM layer and language: mean over sentences of the adapter's share: mean over rows of
 *                   |gated adapter attention| / |self-attention|, both after o_proj
 *   fusion          the aligner's weights over encoder layers per LLM layer, with its gate
 *
 * A cosine with a zero vector is 0. */
#ifndef LAY_REPORTS_ANALYSIS_H
#define LAY_REPORTS_ANALYSIS_H

#include "engine/base/json.h"
#include "reports/analysis/components.h"

#include <stdbool.h>
#include <stddef.h>

enum lay_figure {
    LAY_FIGURE_SIMILARITY,
    LAY_FIGURE_COMPONENTS,
    LAY_FIGURE_ENCODER_LAYERS,
    LAY_FIGURE_TOKENS,
    LAY_FIGURE_ATTENTION,
    LAY_FIGURE_FUSION,
    LAY_FIGURE_COUNT
};

struct lay_figure_info {
    const char *name;  /* "encoder-layers": what --figures takes */
    const char *title; /* one line */
    const char *file;  /* "encoder_layers.csv" */
};
const struct lay_figure_info *lay_figure_info(enum lay_figure figure);
/* LAY_ERR_USAGE with the list of names when unknown. */
enum lay_status lay_figure_find(const char *name, enum lay_figure *figure, struct lay_err *err);

/* All borrowed. */
struct lay_analysis_language {
    const char *code; /* "bn" */
    const char *name; /* "Bengali" */
    bool right_to_left;
};

struct lay_analysis_options {
    const struct lay_analysis_language *languages; /* English first */
    size_t n_languages;
    size_t n_sentences;
    size_t n_points;                     /* sentences of the components figure */
    size_t pair_language, pair_sentence; /* of the tokens figure */
    bool wanted[LAY_FIGURE_COUNT];
};

/* One sentence in one language as the models saw it; borrowed during the call. */
struct lay_states {
    int64_t n_source, n_hidden, encoder_width; /* n_hidden 0: no encoder */
    const float *const *hidden;                /* [n_hidden] of [n_source, encoder_width] */
    int64_t n_rows, llm_width;
    const float *states; /* [n_rows, llm_width] */
    int64_t llm_layers;
    const double *adapter_ratio; /* [llm_layers], NaN: no adapter attention there */
};

/* A language's cosines with English. */
struct lay_similarity {
    double sum, sum_of_squares;
    int64_t n;
};
double lay_similarity_mean(const struct lay_similarity *similarity);      /* NaN without sentences */
double lay_similarity_deviation(const struct lay_similarity *similarity); /* of the sample; NaN below two */

struct lay_analysis {
    struct lay_analysis_options options;
    int64_t n_hidden, llm_width, llm_layers; /* of the first sentence; then they must not change */
    const char *missing[LAY_FIGURE_COUNT];   /* why a wanted figure does not exist; NULL: it does */
    /* similarity, components */
    struct lay_similarity *similarity; /* [languages] */
    float *pooled, *english;           /* [llm_width] of the sentence at hand, of its English */
    float *points;                     /* [n_points, languages, llm_width] */
    double *coordinates;               /* [n_points, languages, LAY_COMPONENTS] */
    struct lay_components components;
    /* encoder-layers */
    double *layers; /* [n_hidden, n_hidden] sums, after lay_analysis_finish means */
    int64_t n_layer_sentences;
    /* tokens */
    float *pair_states[2]; /* [n_hidden, n_pair, width]: English, the other */
    int64_t n_pair[2];
    char **pieces[2]; /* [n_pair] */
    double *tokens;   /* [n_hidden, n_pair[0], n_pair[1]] */
    int64_t encoder_width;
    /* attention */
    double *ratio;    /* [languages, llm_layers] sums, after lay_analysis_finish means; NaN: no adapter */
    int64_t *n_ratio; /* [languages] */
    /* fusion */
    int64_t n_encoder_layers, n_language_layers;
    int64_t *encoder_layers, *language_layers; /* [m], [K] */
    double *weights, *bias, *gates;            /* [2K, m], [2K], [K]; NULL, NULL: the layers are averaged */
};

/* Borrows the languages. Free with lay_analysis_destroy. */
enum lay_status lay_analysis_create(const struct lay_analysis_options *options,
                                    struct lay_analysis **analysis, struct lay_err *err);
void lay_analysis_destroy(struct lay_analysis *analysis); /* accepts NULL */

/* Sentences in order, of each first English (language 0), then the others in any order. */
enum lay_status lay_analysis_add(struct lay_analysis *analysis, size_t language, size_t sentence,
                                 const struct lay_states *states, struct lay_err *err);

/* Names of the tokens of the pair: side 0 English, 1 the other language. Copied. */
enum lay_status lay_analysis_pieces(struct lay_analysis *analysis, int side, const char *const *pieces,
                                    size_t count, struct lay_err *err);

/* The aligner: weights [2K, m], rows 2i and 2i + 1 for the keys and values of language_layers[i]; bias [2K];
 * both NULL when the aligner averages. gates [K]; NaN where it depends on the token. Copied. */
enum lay_status lay_analysis_fusion(struct lay_analysis *analysis, const int64_t *encoder_layers, int64_t m,
                                    const int64_t *language_layers, int64_t K, const float *weights,
                                    const float *bias, const float *gates, struct lay_err *err);

/* Says of every wanted figure whether it exists and computes what needs all sentences. */
enum lay_status lay_analysis_finish(struct lay_analysis *analysis, struct lay_err *err);

/* Whether the figure is wanted and exists (after finish). */
bool lay_analysis_has(const struct lay_analysis *analysis, enum lay_figure figure);
/* The gate of an LLM layer; NaN without one, with one that depends on the token (or before
 * lay_analysis_fusion). */
double lay_analysis_gate(const struct lay_analysis *analysis, int64_t llm_layer);
/* The mean of a layer's ratios over the languages. */
double lay_analysis_mean_ratio(const struct lay_analysis *analysis, int64_t llm_layer);

#endif

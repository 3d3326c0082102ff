#include "reports/analysis/analysis_write.h"

#include "reports/results_csv.h"

#include <math.h>

/* The table being written; every row starts with the system. */
struct csv {
    const struct lay_analysis *a;
    const char *system;
    struct lay_str *out;
    struct lay_err *err;
};

static void put_number(struct csv *csv, double value)
{
    lay_str_putc(csv->out, ',');
    if (!isnan(value))
        lay_json_put_double(csv->out, value);
}

static void put_int(struct csv *csv, int64_t value)
{
    lay_str_printf(csv->out, ",%lld", (long long)value);
}

static enum lay_status put_text(struct csv *csv, const char *text)
{
    lay_str_putc(csv->out, ',');
    return lay_csv_field(csv->out, text, csv->err);
}

static void end_row(struct csv *csv)
{
    lay_str_putc(csv->out, '\n');
}

static enum lay_status start_row(struct csv *csv)
{
    return lay_csv_field(csv->out, csv->system, csv->err);
}

static enum lay_status similarity(struct csv *csv)
{
    const struct lay_analysis *a = csv->a;
    for (size_t i = 0; i < a->options.n_languages; i++) {
        LAY_TRY(start_row(csv));
        LAY_TRY(put_text(csv, a->options.languages[i].code));
        put_int(csv, a->similarity[i].n);
        put_number(csv, lay_similarity_mean(&a->similarity[i]));
        put_number(csv, lay_similarity_deviation(&a->similarity[i]));
        end_row(csv);
    }
    return LAY_OK;
}

static enum lay_status components(struct csv *csv)
{
    const struct lay_analysis *a = csv->a;
    const size_t languages = a->options.n_languages;
    for (size_t i = 0; i < languages * a->options.n_points; i++) {
        const size_t language = i / a->options.n_points, sentence = i % a->options.n_points;
        const double *coordinates = a->coordinates + (sentence * languages + language) * LAY_COMPONENTS;
        LAY_TRY(start_row(csv));
        LAY_TRY(put_text(csv, a->options.languages[language].code));
        put_int(csv, (int64_t)sentence);
        put_number(csv, coordinates[0]);
        put_number(csv, coordinates[1]);
        end_row(csv);
    }
    return LAY_OK;
}

static enum lay_status encoder_layers(struct csv *csv)
{
    const struct lay_analysis *a = csv->a;
    for (int64_t i = 0; i < a->n_hidden * a->n_hidden; i++) {
        LAY_TRY(start_row(csv));
        put_int(csv, i / a->n_hidden);
        put_int(csv, i % a->n_hidden);
        put_number(csv, a->layers[i]);
        end_row(csv);
    }
    return LAY_OK;
}

static enum lay_status tokens(struct csv *csv)
{
    const struct lay_analysis *a = csv->a;
    const int64_t n = a->n_pair[0], m = a->n_pair[1];
    for (int64_t i = 0; i < a->n_hidden * n * m; i++) {
        const int64_t position[] = {i / m % n, i % m};
        LAY_TRY(start_row(csv));
        put_int(csv, i / m / n);
        for (int side = 0; side < 2; side++) {
            put_int(csv, position[side]);
            LAY_TRY(put_text(csv, a->pieces[side] ? a->pieces[side][position[side]] : ""));
        }
        put_number(csv, a->tokens[i]);
        end_row(csv);
    }
    return LAY_OK;
}

static enum lay_status attention(struct csv *csv)
{
    const struct lay_analysis *a = csv->a;
    for (int64_t l = 0; l < a->llm_layers; l++)
        for (size_t i = 0; i <= a->options.n_languages; i++) {
            const bool all = i == a->options.n_languages;
            LAY_TRY(start_row(csv));
            put_int(csv, l);
            put_number(csv, lay_analysis_gate(a, l));
            LAY_TRY(put_text(csv, all ? "all" : a->options.languages[i].code));
            put_number(csv, all ? lay_analysis_mean_ratio(a, l) : a->ratio[(int64_t)i * a->llm_layers + l]);
            end_row(csv);
        }
    return LAY_OK;
}

static enum lay_status fusion(struct csv *csv)
{
    static const char *const states[] = {"key", "value"};
    const struct lay_analysis *a = csv->a;
    const int64_t m = a->n_encoder_layers;
    for (int64_t row = 0; row < 2 * a->n_language_layers; row++)
        for (int64_t j = 0; j <= m; j++) {
            LAY_TRY(start_row(csv));
            put_int(csv, a->language_layers[row / 2]);
            put_number(csv, a->gates[row / 2]);
            LAY_TRY(put_text(csv, states[row % 2]));
            if (j < m)
                put_int(csv, a->encoder_layers[j]);
            else
                LAY_TRY(put_text(csv, "bias"));
            put_number(csv, j < m ? a->weights[row * m + j] : a->bias[row]);
            end_row(csv);
        }
    return LAY_OK;
}

enum lay_status lay_analysis_csv(const struct lay_analysis *analysis, const char *system,
                                 enum lay_figure figure, struct lay_str *out, struct lay_err *err)
{
    static const struct {
        const char *header;
        enum lay_status (*rows)(struct csv *csv);
    } tables[LAY_FIGURE_COUNT] = {
        [LAY_FIGURE_SIMILARITY] = {"system,language,sentences,cosine,deviation\n", similarity},
        [LAY_FIGURE_COMPONENTS] = {"system,language,sentence,pc1,pc2\n", components},
        [LAY_FIGURE_ENCODER_LAYERS] = {"system,layer_a,layer_b,cosine\n", encoder_layers},
        [LAY_FIGURE_TOKENS] = {"system,layer,english_position,english_token,position,token,cosine\n", tokens},
        [LAY_FIGURE_ATTENTION] = {"system,llm_layer,gate,language,ratio\n", attention},
        [LAY_FIGURE_FUSION] = {"system,llm_layer,gate,state,encoder_layer,weight\n", fusion},
    };
    struct csv csv = {analysis, system, out, err};
    lay_str_puts(out, tables[figure].header);
    LAY_TRY(tables[figure].rows(&csv));
    return lay_str_check(out, err);
}

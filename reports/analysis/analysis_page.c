#include "reports/analysis/analysis_pictures.h"

#include "reports/html/assets.h"
#include "reports/markup.h"

static const char *const explanations[LAY_FIGURE_COUNT] = {
    [LAY_FIGURE_SIMILARITY] = "How near a sentence and its English original come in the LLM: the cosine "
                              "between the means, over all "
                              "rows of the LLM's input, of its states after the final norm. 1 is the same "
                              "direction. Bars are means "
                              "over the sentences, whiskers one standard deviation.",
    [LAY_FIGURE_COMPONENTS] =
        "The same mean-pooled states, projected on the two directions in which they vary most. Languages "
        "that "
        "lie apart are told apart by the LLM; where they mix, the sentence counts and not its language.",
    [LAY_FIGURE_ENCODER_LAYERS] = "How alike the hidden states of one token are in two layers of the "
                                  "encoder: the cosine, averaged over "
                                  "tokens, sentences and languages. Layer 0 is the embedding output.",
    [LAY_FIGURE_TOKENS] =
        "One sentence and its translation, token by token, in every layer of the encoder. A strong blue "
        "cell: the two tokens point the same way in that layer.",
    [LAY_FIGURE_ATTENTION] =
        "What the adapter adds to the LLM's attention: the norm of the gated attention to the encoder over "
        "the "
        "norm of self-attention, both after the output projection; the mean over rows and sentences.",
    [LAY_FIGURE_FUSION] = "How the aligner weighs the encoder's layers for the keys and the values of each "
                          "LLM layer (before the "
                          "ReLU, without the bias), and the gates through which the result reaches the LLM.",
};

static void put_head(struct lay_str *out, const struct lay_analysed *systems, size_t count)
{
    lay_str_puts(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>");
    for (size_t i = 0; i < count; i++) {
        lay_str_puts(out, i ? ", " : "Analysis of ");
        lay_markup_text(out, systems[i].system);
    }
    lay_str_puts(out, "</title>\n<style>\n");
    lay_str_append(out, (const char *)lay_asset_chart_css, lay_asset_chart_css_size);
    lay_str_append(out, (const char *)lay_asset_analysis_css, lay_asset_analysis_css_size);
    lay_str_puts(out, "</style>\n</head>\n<body>\n<main>\n<h1>");
    for (size_t i = 0; i < count; i++) {
        lay_str_puts(out, i ? ", " : "Analysis of ");
        lay_markup_text(out, systems[i].system);
    }
    const struct lay_analysis_options *o = &systems[0].analysis->options;
    lay_str_printf(out, "</h1>\n<p class=\"faint\">%zu sentences in %zu languages:", o->n_sentences,
                   o->n_languages);
    for (size_t i = 0; i < o->n_languages; i++) {
        lay_str_puts(out, i ? ", " : " ");
        lay_markup_text(out, o->languages[i].name);
    }
    lay_str_puts(out, ".</p>\n");
}

/* Of pictures that are details of one figure the first is unfolded. */
struct page {
    struct lay_str *out;
    bool detail_seen;
};

static enum lay_status put_picture(void *context, const struct lay_picture *picture, struct lay_err *err)
{
    struct page *page = context;
    struct lay_str *out = page->out;
    lay_str_puts(out, !picture->detail    ? "<h3>"
                      : page->detail_seen ? "<details><summary>"
                                          : "<details open><summary>");
    page->detail_seen |= picture->detail;
    lay_markup_text(out, picture->title);
    lay_str_puts(out, picture->detail ? "</summary>\n" : "</h3>\n");
    lay_str_puts(out, "<figure tabindex=\"0\" aria-label=\""); /* wide ones scroll: also by keyboard */
    lay_markup_text(out, picture->title);
    lay_str_puts(out, "\">");
    lay_str_append(out, picture->svg, picture->length);
    lay_str_puts(out, picture->detail ? "</figure></details>\n" : "</figure>\n");
    return lay_str_check(out, err);
}

/* Systems that were asked for the figure and do not have it. */
static void put_missing(struct lay_str *out, const struct lay_analysed *systems, size_t count,
                        enum lay_figure figure)
{
    for (size_t i = 0; i < count; i++) {
        if (!systems[i].analysis->missing[figure])
            continue;
        lay_str_puts(out, "<p class=\"faint\">Not for ");
        lay_markup_text(out, systems[i].system);
        lay_str_puts(out, ": ");
        lay_markup_text(out, systems[i].analysis->missing[figure]);
        lay_str_puts(out, ".</p>\n");
    }
}

static enum lay_status put_figure(struct lay_str *out, const struct lay_analysed *systems, size_t count,
                                  enum lay_figure figure, struct lay_err *err)
{
    struct page page = {.out = out};
    if (!systems[0].analysis->options.wanted[figure])
        return LAY_OK;
    lay_str_printf(out, "<section>\n<h2>%s</h2>\n<p>%s</p>\n", lay_figure_info(figure)->title,
                   explanations[figure]);
    if (figure == LAY_FIGURE_TOKENS && count > 1)
        lay_str_puts(out, "<p class=\"faint\">They are on the page of each system.</p>\n");
    else
        LAY_TRY(lay_analysis_draw(systems, count, figure, false, put_picture, &page, err));
    put_missing(out, systems, count, figure);
    lay_str_puts(out, "</section>\n");
    return LAY_OK;
}

enum lay_status lay_analysis_page(const struct lay_analysed *systems, size_t count, struct lay_str *out,
                                  struct lay_err *err)
{
    put_head(out, systems, count);
    for (int f = 0; f < LAY_FIGURE_COUNT; f++)
        LAY_TRY(put_figure(out, systems, count, (enum lay_figure)f, err));
    lay_str_puts(out, "</main>\n</body>\n</html>\n");
    return lay_str_check(out, err);
}

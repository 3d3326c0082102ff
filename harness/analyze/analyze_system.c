/* Sentences through a system. */
#include "engine/base/mem.h"
#include "harness/analyze/analyze.h"
#include "harness/run/progress.h"
#include "harness/run/signals.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define CHUNK 16 /* sentences tokenized at once */

/* Request r of a chunk is sentence first + r / languages in language r % languages: English first. */
struct analysing {
    const struct lay_parallel *parallel;
    struct lay_system *system;
    struct lay_analysis *analysis;
    struct lay_progress progress;
    size_t first;
    enum lay_status status; /* of the statistics, which `heard` cannot return */
    struct lay_err err;
};

static void show_progress(struct analysing *a, size_t done, bool last)
{
    char text[160];
    snprintf(text, sizeof text, "%.40s  %zu/%zu sentences", a->progress.label, done,
             a->parallel->count * a->parallel->n_languages);
    lay_progress_say(&a->progress, text, last);
}

static void heard(void *context, const struct lay_observation *o)
{
    struct analysing *a = context;
    const size_t languages = a->parallel->n_languages;
    const struct lay_states states = {.n_source = o->n_source,
                                      .n_hidden = o->n_hidden,
                                      .encoder_width = o->encoder_width,
                                      .hidden = o->hidden,
                                      .n_rows = o->n_rows,
                                      .llm_width = o->llm_width,
                                      .states = o->states,
                                      .llm_layers = o->llm_layers,
                                      .adapter_ratio = o->adapter_ratio};
    if (a->status == LAY_OK)
        a->status = lay_analysis_add(a->analysis, o->request % languages, a->first + o->request / languages,
                                     &states, &a->err);
    show_progress(a, a->first * languages + o->request + 1, false);
}

static struct lay_request request_for(const struct lay_analyze_options *options,
                                      const struct lay_parallel *parallel, const struct lay_system *system,
                                      size_t language, size_t sentence)
{
    const char *text = parallel->languages[language].texts[sentence];
    const char *nllb = parallel->languages[language].nllb;
    const bool reads_text = options->with_text || !lay_system_has_soft_prompt(system);
    return (struct lay_request){.source = lay_system_reads_source(system) ? text : NULL,
                                .prompt = reads_text ? text : NULL,
                                .language = nllb[0] ? nllb : NULL};
}

static enum lay_status observe(const struct lay_analyze_options *options, struct analysing *a,
                               struct lay_err *err)
{
    const size_t languages = a->parallel->n_languages;
    struct lay_request *requests = lay_alloc(CHUNK * languages, sizeof *requests);
    enum lay_status status = requests ? LAY_OK : lay_no_memory(err, "sentences");
    for (; a->first < a->parallel->count && status == LAY_OK; a->first += CHUNK) {
        const size_t left = a->parallel->count - a->first;
        const size_t count = (left < CHUNK ? left : CHUNK) * languages;
        for (size_t r = 0; r < count; r++)
            requests[r] =
                request_for(options, a->parallel, a->system, r % languages, a->first + r / languages);
        status = lay_system_observe(a->system, requests, count, &lay_signals_stop, heard, a, err);
        if (status == LAY_OK && a->status != LAY_OK)
            status = lay_fail(err, a->status, "%s", a->err.message);
    }
    lay_free(requests);
    return status;
}

/* Names of the tokens of one side of the pair. */
static enum lay_status name_tokens(const struct lay_analyze_options *options, struct analysing *a, int side,
                                   size_t language, struct lay_err *err)
{
    const struct lay_tokenizer *tokenizer = lay_system_source_tokenizer(a->system);
    const struct lay_request request =
        request_for(options, a->parallel, a->system, language, a->analysis->options.pair_sentence);
    struct lay_ids source = {0}, prompt = {0};
    bool truncated;
    enum lay_status status = lay_system_tokenize(a->system, &request, &source, &prompt, &truncated, err);
    const char **pieces = lay_alloc(source.count, sizeof *pieces);
    if (status == LAY_OK && !pieces)
        status = lay_no_memory(err, "token names");
    for (size_t i = 0; i < source.count && status == LAY_OK; i++)
        pieces[i] = lay_tokenizer_piece(tokenizer, source.data[i]);
    if (status == LAY_OK)
        status = lay_analysis_pieces(a->analysis, side, pieces, source.count, err);
    lay_free((void *)pieces);
    lay_ids_free(&source);
    lay_ids_free(&prompt);
    return status;
}

static enum lay_status add_fusion(const struct analysing *a, struct lay_err *err)
{
    struct lay_fusion fusion;
    if (!lay_system_fusion(a->system, &fusion))
        return LAY_OK;
    const int64_t K = fusion.n_language_layers;
    float *gates = lay_alloc((size_t)K, sizeof *gates);
    if (!gates)
        return lay_no_memory(err, "gates");
    for (int64_t i = 0; i < K; i++)
        gates[i] = fusion.gates ? fusion.gates[fusion.language_layers[i]] : NAN;
    const enum lay_status status =
        lay_analysis_fusion(a->analysis, fusion.encoder_layers, fusion.n_encoder_layers,
                            fusion.language_layers, K, fusion.weights, fusion.bias, gates, err);
    lay_free(gates);
    return status;
}

/* All but the fusion weights come out of forward passes. */
static bool needs_sentences(const struct lay_analyze_options *options)
{
    for (int f = 0; f < LAY_FIGURE_COUNT; f++)
        if (options->wanted[f] && f != LAY_FIGURE_FUSION)
            return true;
    return false;
}

static enum lay_status gather(const struct lay_analyze_options *options, struct analysing *a,
                              struct lay_err *err)
{
    LAY_TRY(lay_system_load(a->system, lay_progress_load, &a->progress, err));
    if (!options->quiet)
        fputs(lay_system_notes(a->system), stderr);
    LAY_TRY(add_fusion(a, err));
    if (options->wanted[LAY_FIGURE_TOKENS] && lay_system_reads_source(a->system)) {
        LAY_TRY(name_tokens(options, a, 0, 0, err));
        LAY_TRY(name_tokens(options, a, 1, a->analysis->options.pair_language, err));
    }
    if (needs_sentences(options)) {
        lay_signals_defer(true);
        const enum lay_status status = observe(options, a, err);
        lay_signals_defer(false);
        if (status == LAY_ERR_INTERRUPTED)
            return lay_fail(err, status, "interrupted; nothing was written of %s", a->progress.label);
        LAY_TRY(status);
        show_progress(a, a->parallel->count * a->parallel->n_languages, true);
    }
    return lay_analysis_finish(a->analysis, err);
}

/* NLLB puts the language in front of a text. */
static enum lay_status check_languages(const struct lay_parallel *parallel, const struct lay_system *system,
                                       struct lay_err *err)
{
    const struct lay_tokenizer *tokenizer = lay_system_source_tokenizer(system);
    for (size_t i = 0; i < parallel->n_languages; i++)
        if (tokenizer && strcmp(lay_tokenizer_convention(tokenizer), "nllb") == 0 &&
            !parallel->languages[i].nllb[0])
            return lay_fail(err, LAY_ERR_INPUT,
                            "%s: \"%s\" is none of the known languages, and the encoder of %s needs its NLLB "
                            "code; call it as NLLB does, such as yor_Latn",
                            lay_str_text(&parallel->about), parallel->languages[i].code,
                            lay_system_name(system));
    return LAY_OK;
}

enum lay_status lay_analyze_system(const struct lay_analyze_options *options,
                                   const struct lay_parallel *parallel,
                                   const struct lay_analysis_language *languages, struct lay_system *system,
                                   struct lay_analysis **analysis, struct lay_err *err)
{
    struct analysing analysing = {.parallel = parallel, .system = system};
    struct lay_analysis_options figures = {.languages = languages,
                                           .n_languages = parallel->n_languages,
                                           .n_sentences = parallel->count,
                                           .n_points = (size_t)options->points,
                                           .pair_language = 1,
                                           .pair_sentence = (size_t)options->sentence};
    memcpy(figures.wanted, options->wanted, sizeof figures.wanted);
    if (options->pair)
        figures.pair_language = lay_parallel_find(parallel, options->pair);
    LAY_TRY(check_languages(parallel, system, err));
    LAY_TRY(lay_analysis_create(&figures, analysis, err));
    analysing.analysis = *analysis;
    lay_progress_init(&analysing.progress, lay_system_name(system), options->quiet);
    const enum lay_status status = gather(options, &analysing, err);
    if (status != LAY_OK) {
        lay_analysis_destroy(*analysis);
        *analysis = NULL;
    }
    return status;
}

/* Answering requests: texts, and distributions of the next token. */
#include "engine/generate/generate.h"
#include "engine/system_state.h"
#include "engine/system_tokens.h"

#include <string.h>

static enum lay_status memory_plan(const struct lay_system *s, struct lay_memory_plan *plan,
                                   struct lay_err *err)
{
    const struct lay_memory_needs needs = lay_system_memory_needs(s);
    return lay_memory_plan_make(&needs, plan, err);
}

/* One call. */
struct answering {
    struct lay_system *system;
    const struct lay_generate_params *params;
    int (*reply)(void *context, const struct lay_reply *reply);
    void *context;
    struct lay_request_tokens tokens;
    size_t longest_stop; /* bytes */
    struct lay_str text; /* scratch for decoding */
};

static size_t longest_stop(const struct lay_generate_params *params)
{
    size_t longest = 0;
    for (int64_t i = 0; i < params->n_stops; i++) {
        const size_t length = strlen(params->stops[i]);
        longest = length > longest ? length : longest;
    }
    return longest;
}

/* The official code pads the sources of N consecutive requests to the longest of them, and LayAlign's adapter
 * attention reads the pads (models.md, Padding). */
static void pad_official_groups(struct lay_request_tokens *t, size_t group)
{
    for (size_t first = 0; first < t->count; first += group) {
        const size_t end = first + group < t->count ? first + group : t->count;
        int64_t longest = 0;
        for (size_t i = first; i < end; i++)
            longest = t->ids[i].n_source > longest ? t->ids[i].n_source : longest;
        for (size_t i = first; i < end; i++)
            t->ids[i].padded_source = longest;
    }
}

/* First occurrence of any stop text; the length of the text if there is none. */
static size_t find_stop(const struct answering *a, const char *text, size_t length)
{
    size_t first = length;
    for (int64_t i = 0; i < a->params->n_stops; i++) {
        const char *found = *a->params->stops[i] ? strstr(text, a->params->stops[i]) : NULL;
        if (found && (size_t)(found - text) < first)
            first = (size_t)(found - text);
    }
    return first;
}

/* A stop text that the newest token completes lies within the last tokens: each holds a byte or more. */
static bool stopped(void *context, const int32_t *ids, size_t n)
{
    struct answering *a = context;
    const size_t window = a->longest_stop + 8;
    const size_t skip = n > window ? n - window : 0;
    lay_str_clear(&a->text);
    if (lay_tokenizer_decode(a->system->llm_tokenizer, ids + skip, n - skip, &a->text, NULL) != LAY_OK)
        return false;
    return find_stop(a, lay_str_text(&a->text), a->text.length) < a->text.length;
}

static int deliver(void *context, const struct lay_generation *generation)
{
    struct answering *a = context;
    const struct lay_request_tokens *tokens = &a->tokens;
    struct lay_err err = {0};
    struct lay_reply reply = {
        .request = generation->request,
        .ids = generation->ids,
        .n_ids = generation->n_ids,
        .ended = generation->ended,
        .error = generation->error,
        .truncated = tokens->truncated[generation->request],
        .source_tokens = tokens->ids[generation->request].n_source,
        .prompt_tokens = tokens->ids[generation->request].n_prompt,
    };
    lay_str_clear(&a->text);
    if (reply.ended != LAY_ENDED_ERROR &&
        lay_tokenizer_decode(a->system->llm_tokenizer, reply.ids, reply.n_ids, &a->text, &err) != LAY_OK) {
        reply.ended = LAY_ENDED_ERROR;
        reply.error = err.message;
        lay_str_clear(&a->text);
    }
    reply.text = lay_str_text(&a->text);
    reply.length = a->text.length;
    if (a->params->n_stops > 0) {
        reply.length = find_stop(a, reply.text, a->text.length);
        if (a->text.data)
            a->text.data[reply.length] = 0;
    }
    return a->reply(a->context, &reply);
}

enum lay_status lay_system_generate(struct lay_system *s, const struct lay_request *requests, size_t count,
                                    const struct lay_generate_params *params,
                                    int (*reply)(void *context, const struct lay_reply *reply), void *context,
                                    struct lay_err *err)
{
    struct answering a = {.system = s,
                          .params = params,
                          .reply = reply,
                          .context = context,
                          .longest_stop = longest_stop(params)};
    struct lay_generate_options options = {
        .batch_size = lay_system_batch_size(s),
        .max_new_tokens = params->max_new_tokens,
        .ignore_eos = params->ignore_eos,
        .stop = params->stop,
        .stopped = params->n_stops > 0 ? stopped : NULL,
        .done = deliver,
        .context = &a,
        .stats = &s->stats,
    };
    struct lay_memory_plan plan;
    LAY_TRY(memory_plan(s, &plan, err));
    options.kv_bytes = plan.kv;
    enum lay_status status = lay_request_tokens_make(s, requests, count, &a.tokens, err);
    if (s->options.official_batch > 0 && status == LAY_OK)
        pad_official_groups(&a.tokens, (size_t)s->options.official_batch);
    if (status == LAY_OK)
        status = lay_generate(&s->models, a.tokens.ids, count, &options, err);
    lay_request_tokens_free(&a.tokens);
    lay_str_free(&a.text);
    return status;
}

static enum lay_status check_tokens(const struct lay_system *s, int64_t source, int64_t prompt,
                                    int64_t max_new_tokens, struct lay_err *err)
{
    const struct lay_llm_config *c = &s->llm_config;
    const struct lay_kv_shape page = {c->num_hidden_layers, c->num_key_value_heads, c->head_dim,
                                      lay_precision_rows(s->precision)};
    const bool adapter = s->file.bridge.method == LAY_LAYALIGN && !s->file.bridge.no_adapter;
    const int64_t rows = 1 + (!lay_system_is_plain(s) && s->file.soft_prompt ? source + 1 : 0) + prompt;
    const int64_t pages = lay_kv_pages_for(rows + max_new_tokens) + (adapter ? lay_kv_pages_for(source) : 0);
    const double needed = (double)pages * (double)lay_kv_page_bytes(&page);
    struct lay_memory_plan plan;
    LAY_TRY(memory_plan(s, &plan, err));
    if (needed <= (double)plan.kv)
        return LAY_OK;
    return lay_fail(
        err, LAY_ERR_INPUT,
        "needs %.2f GB of keys and values (%lld prompt rows, %lld new tokens), %.2f GB are left; give more "
        "--memory or lower --max-new-tokens",
        1e-9 * needed, (long long)rows, (long long)max_new_tokens, 1e-9 * (double)plan.kv);
}

enum lay_status lay_system_check_fit(struct lay_system *s, const struct lay_request *request,
                                     int64_t max_new_tokens, struct lay_err *err)
{
    struct lay_ids source = {0}, prompt = {0};
    bool truncated;
    if (!request)
        return check_tokens(s, LAY_SOURCE_TOKENS_MAX, LAY_PROMPT_TOKENS_MAX, max_new_tokens, err);
    enum lay_status status = lay_system_tokenize(s, request, &source, &prompt, &truncated, err);
    if (status == LAY_OK)
        status = check_tokens(s, (int64_t)source.count, (int64_t)prompt.count, max_new_tokens, err);
    lay_ids_free(&source);
    lay_ids_free(&prompt);
    return status;
}

/* --- distributions --- */

struct hearing {
    void (*hear)(void *context, size_t request, const float *logits, int64_t vocab_size);
    void *context;
    int64_t vocab_size;
};

static void hear_logits(void *context, size_t request, size_t index, const float *logits)
{
    const struct hearing *hearing = context;
    (void)index; /* there is one new token */
    hearing->hear(hearing->context, request, logits, hearing->vocab_size);
}

static int ignore(void *context, const struct lay_generation *generation)
{
    (void)context, (void)generation;
    return 0;
}

enum lay_status lay_system_next_logits(struct lay_system *s, const struct lay_request *requests, size_t count,
                                       void (*hear)(void *context, size_t request, const float *logits,
                                                    int64_t vocab_size),
                                       void *context, struct lay_err *err)
{
    struct lay_request_tokens tokens;
    struct hearing hearing = {hear, context, s->llm_config.vocab_size};
    struct lay_generate_options options = {.batch_size = lay_system_batch_size(s),
                                           .max_new_tokens = 1,
                                           .ignore_eos = true,
                                           .done = ignore,
                                           .logits = hear_logits,
                                           .context = &hearing};
    struct lay_memory_plan plan;
    LAY_TRY(memory_plan(s, &plan, err));
    options.kv_bytes = plan.kv;
    enum lay_status status = lay_request_tokens_make(s, requests, count, &tokens, err);
    if (status == LAY_OK)
        status = lay_generate(&s->models, tokens.ids, count, &options, err);
    lay_request_tokens_free(&tokens);
    return status;
}

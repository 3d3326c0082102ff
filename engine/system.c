#include "engine/system_state.h"

#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "engine/base/memory_info.h"
#include "engine/generate/generate.h"

#include <stdio.h>
#include <string.h>

#define MAX_SOURCE_TOKENS 512 /* the official code's limits for what the encoder and … */
#define MAX_PROMPT_TOKENS 512 /* … the text prompt of the LLM may hold */
#define DEFAULT_BATCH_SIZE 64 /* beyond this the products run no faster */

static int64_t batch_size(const struct lay_system *s)
{
    return s->options.batch_size > 0 ? s->options.batch_size : DEFAULT_BATCH_SIZE;
}

struct lay_memory_needs lay_system_memory_needs(const struct lay_system *s)
{
    return (struct lay_memory_needs){s->file.name,   s->file.bridge.method,
                                     &s->llm_config, lay_system_is_plain(s) ? NULL : &s->encoder_config,
                                     s->precision,   s->memory,
                                     batch_size(s)};
}

/* --- opening: everything but the weights --- */

static enum lay_status open_llm(struct lay_system *s, struct lay_err *err)
{
    LAY_TRY(lay_llm_config_read(s->file.llm_path, &s->llm_config, err));
    LAY_TRY(lay_tokenizer_open(s->file.llm_tokenizer, &s->llm_tokenizer, err));
    if (s->llm_config.bos_id < 0)
        s->llm_config.bos_id = lay_tokenizer_bos(s->llm_tokenizer);
    if (s->llm_config.bos_id < 0)
        return lay_fail(err, LAY_ERR_INPUT,
                        "%s: no bos token in config.json or tokenizer; the prompt cannot start",
                        s->file.llm_path);
    const enum lay_status status = lay_checkpoint_open(s->file.llm_path, &s->llm_checkpoint, err);
    /* a LangBridge checkpoint carries the LLM, so its own directory may hold configuration only */
    return status == LAY_OK || s->file.bridge.method != LAY_LANGBRIDGE ? status : LAY_OK;
}

static enum lay_status open_encoder(struct lay_system *s, struct lay_err *err)
{
    LAY_TRY(lay_encoder_config_read(s->file.encoder_path, &s->encoder_config, err));
    LAY_TRY(lay_tokenizer_open(s->file.encoder_tokenizer, &s->encoder_tokenizer, err));
    LAY_TRY(lay_checkpoint_open(s->file.bridge_path, &s->bridge_checkpoint, err));
    const enum lay_status status = lay_checkpoint_open(s->file.encoder_path, &s->encoder_checkpoint, err);
    return status == LAY_OK || s->file.bridge.method != LAY_LANGBRIDGE ? status : LAY_OK;
}

static enum lay_status choose_precision(struct lay_system *s, struct lay_err *err)
{
    const enum lay_dtype wanted = s->options.dtype;
    s->precision.dtype = wanted != LAY_DTYPE_COUNT          ? wanted
                         : s->file.dtype != LAY_DTYPE_COUNT ? s->file.dtype
                                                            : LAY_BF16;
    if (s->options.keep_bf16)
        LAY_TRY(lay_precision_parse_keep(s->options.keep_bf16, &s->precision.keep, err));
    else
        s->precision.keep = s->file.keep_bf16;
    if (s->precision.dtype == LAY_I8)
        return LAY_OK;
    s->precision.keep = 0; /* the system file's holds for int8 only */
    return s->options.keep_bf16 ? lay_fail(err, LAY_ERR_USAGE, "--keep-bf16 goes with --dtype int8") : LAY_OK;
}

enum lay_status lay_system_open(const char *path, const struct lay_system_options *options,
                                struct lay_system **out, struct lay_err *err)
{
    enum lay_status status;
    *out = NULL;
    struct lay_system *s = lay_alloc(1, sizeof *s);
    if (!s)
        return lay_no_memory(err, "a system");
    s->options = *options;
    LAY_TRY_GOTO(status, lay_system_file_read(path, &s->file, err), fail);
    LAY_TRY_GOTO(status, choose_precision(s, err), fail);
    s->memory = options->memory ? options->memory : lay_memory_available() / 10 * 9;
    LAY_TRY_GOTO(status, open_llm(s, err), fail);
    if (!lay_system_is_plain(s))
        LAY_TRY_GOTO(status, open_encoder(s, err), fail);
    *out = s;
    return LAY_OK;
fail:
    lay_system_close(s);
    return status;
}

void lay_system_close(struct lay_system *s)
{
    if (!s)
        return;
    lay_bridge_destroy(s->models.bridge);
    lay_encoder_destroy(s->models.encoder);
    lay_llm_destroy(s->models.llm);
    lay_dnn_destroy(s->dnn);
    for (int i = 0; i < LAY_PART_KINDS; i++) {
        lay_packed_close(s->packed[i]);
        lay_weights_destroy(s->weights[i]);
    }
    lay_str_free(&s->notes);
    lay_checkpoint_close(s->llm_checkpoint);
    lay_checkpoint_close(s->encoder_checkpoint);
    lay_checkpoint_close(s->bridge_checkpoint);
    lay_tokenizer_close(s->llm_tokenizer);
    lay_tokenizer_close(s->encoder_tokenizer);
    lay_system_file_free(&s->file);
    lay_free(s);
}

/* --- what it is --- */

const char *lay_system_name(const struct lay_system *s)
{
    return s->file.name;
}

const char *lay_system_method(const struct lay_system *s)
{
    return lay_method_name(s->file.bridge.method);
}

const char *lay_system_prompt_set(const struct lay_system *s)
{
    return s->file.prompt_set;
}

enum lay_dtype lay_system_dtype(const struct lay_system *s)
{
    return s->precision.dtype;
}

int64_t lay_system_max_new_tokens(const struct lay_system *s)
{
    return s->options.max_new_tokens ? s->options.max_new_tokens : s->file.max_new_tokens;
}

bool lay_system_reads_source(const struct lay_system *s)
{
    return !lay_system_is_plain(s);
}

bool lay_system_reads_prompt(const struct lay_system *s)
{
    return s->file.text_prompt;
}

const struct lay_generate_stats *lay_system_stats(const struct lay_system *s)
{
    return &s->stats;
}

static cJSON *describe_llm(const struct lay_system *s)
{
    const struct lay_llm_config *c = &s->llm_config;
    cJSON *llm = cJSON_CreateObject();
    cJSON_AddStringToObject(llm, "model_type", c->model_type);
    cJSON_AddNumberToObject(llm, "vocab_size", (double)c->vocab_size);
    cJSON_AddNumberToObject(llm, "hidden_size", (double)c->hidden_size);
    cJSON_AddNumberToObject(llm, "num_hidden_layers", (double)c->num_hidden_layers);
    cJSON_AddNumberToObject(llm, "rope_theta", c->rope_theta);
    cJSON_AddStringToObject(llm, "rope_scaling", c->rope_scaling);
    cJSON_AddNumberToObject(llm, "bos_id", c->bos_id);
    cJSON_AddItemToObject(llm, "eos_ids", cJSON_CreateIntArray(c->eos_ids, c->n_eos));
    cJSON_AddStringToObject(llm, "tokenizer_hash", lay_tokenizer_hash(s->llm_tokenizer));
    return llm;
}

static cJSON *describe_encoder(const struct lay_system *s)
{
    const struct lay_encoder_config *c = &s->encoder_config;
    cJSON *encoder = cJSON_CreateObject();
    cJSON_AddStringToObject(encoder, "model_type", c->model_type);
    cJSON_AddNumberToObject(encoder, "vocab_size", (double)c->vocab_size);
    cJSON_AddNumberToObject(encoder, "hidden_size", (double)c->hidden_size);
    cJSON_AddNumberToObject(encoder, "num_hidden_layers", (double)c->num_hidden_layers);
    cJSON_AddStringToObject(encoder, "tokenizer_hash", lay_tokenizer_hash(s->encoder_tokenizer));
    return encoder;
}

static cJSON *layer_list(const int64_t *layers, int64_t count)
{
    if (count < 0)
        return cJSON_CreateString("all in the checkpoint");
    cJSON *list = cJSON_CreateArray();
    for (int64_t i = 0; i < count; i++)
        cJSON_AddItemToArray(list, cJSON_CreateNumber((double)layers[i]));
    return list;
}

static cJSON *describe_bridge(const struct lay_system *s)
{
    const struct lay_bridge_options *b = &s->file.bridge;
    cJSON *bridge = cJSON_CreateObject();
    if (b->method == LAY_LAYALIGN) {
        cJSON_AddItemToObject(bridge, "encoder_layers", layer_list(b->encoder_layers, b->n_encoder_layers));
        cJSON_AddItemToObject(bridge, "language_layers",
                              layer_list(b->language_layers, b->n_language_layers));
        cJSON_AddBoolToObject(bridge, "adapter_attention", !b->no_adapter);
    }
    cJSON_AddBoolToObject(bridge, "soft_prompt", s->file.soft_prompt);
    cJSON_AddBoolToObject(bridge, "text_prompt", s->file.text_prompt);
    return bridge;
}

static cJSON *describe_quantised(const struct lay_system *s)
{
    struct lay_str kept = {0};
    cJSON *quantised = cJSON_CreateObject();
    lay_precision_put_keep(&kept, s->precision.keep);
    cJSON_AddStringToObject(quantised, "weights", "int8 per output channel, symmetric");
    cJSON_AddStringToObject(quantised, "activations", "int8 per row, symmetric, as they come");
    cJSON_AddStringToObject(quantised, "kept_in_bf16", lay_str_text(&kept));
    cJSON_AddStringToObject(quantised, "products", lay_dnn_int8_support());
    lay_str_free(&kept);
    return quantised;
}

/* One fingerprint over those of encoder, bridge and LLM, in this order. */
static void fingerprint(const struct lay_system *s, char hex[LAY_HASH_HEX])
{
    struct lay_hash hashes[LAY_PART_KINDS] = {{0, 0}};
    for (int i = 0; i < LAY_PART_KINDS; i++)
        if (s->weights[i])
            hashes[i] = lay_weights_fingerprint(s->weights[i]);
    lay_hash_hex(lay_hash_bytes(hashes, sizeof hashes), hex);
}

/* cJSON drops what it cannot allocate, so a description is complete only if all its members are there. */
static bool has_members(const cJSON *object, int count)
{
    return object && cJSON_GetArraySize(object) == count;
}

cJSON *lay_system_describe(const struct lay_system *s)
{
    cJSON *description = cJSON_CreateObject();
    cJSON_AddStringToObject(description, "name", s->file.name);
    cJSON_AddStringToObject(description, "method", lay_system_method(s));
    cJSON_AddItemToObject(description, "llm", describe_llm(s));
    if (!lay_system_is_plain(s)) {
        cJSON_AddItemToObject(description, "encoder", describe_encoder(s));
        cJSON_AddItemToObject(description, "bridge", describe_bridge(s));
    }
    const bool int8 = s->precision.dtype == LAY_I8;
    if (int8)
        cJSON_AddItemToObject(description, "quantised", describe_quantised(s));
    if (s->models.llm) {
        char hex[LAY_HASH_HEX];
        fingerprint(s, hex);
        cJSON_AddStringToObject(description, "weights_fingerprint", hex);
    }
    const bool layalign = s->file.bridge.method == LAY_LAYALIGN;
    const bool complete =
        has_members(description, (lay_system_is_plain(s) ? 3 : 5) + int8 + (s->models.llm != NULL)) &&
        (!int8 || has_members(cJSON_GetObjectItemCaseSensitive(description, "quantised"), 4)) &&
        has_members(cJSON_GetObjectItemCaseSensitive(description, "llm"), 9) &&
        (lay_system_is_plain(s) ||
         (has_members(cJSON_GetObjectItemCaseSensitive(description, "encoder"), 5) &&
          has_members(cJSON_GetObjectItemCaseSensitive(description, "bridge"), layalign ? 5 : 2)));
    if (!complete) {
        cJSON_Delete(description);
        return NULL;
    }
    return description;
}

bool lay_system_is_invariant(const struct lay_system *s, struct lay_str *reason)
{
    lay_invariance_print(&s->invariance, reason);
    return s->invariance.holds;
}

const char *lay_system_notes(const struct lay_system *s)
{
    return lay_str_text(&s->notes);
}

const struct lay_models *lay_system_models(const struct lay_system *s)
{
    return &s->models;
}

const struct lay_tokenizer *lay_system_source_tokenizer(const struct lay_system *s)
{
    return s->encoder_tokenizer;
}

/* --- memory --- */

static enum lay_status memory_plan(const struct lay_system *s, struct lay_memory_plan *plan,
                                   struct lay_err *err)
{
    const struct lay_memory_needs needs = lay_system_memory_needs(s);
    return lay_memory_plan_make(&needs, plan, err);
}

enum lay_status lay_system_plan(const struct lay_system *s, struct lay_str *text, struct lay_err *err)
{
    const struct lay_memory_needs needs = lay_system_memory_needs(s);
    struct lay_memory_plan plan;
    LAY_TRY(lay_memory_plan_make(&needs, &plan, err));
    return lay_memory_plan_print(&needs, &plan, text, err);
}

/* --- answering --- */

/* Cuts content to the limit and keeps the final special token (models.md, Positions). */
static bool truncate_source(struct lay_ids *ids)
{
    if (ids->count <= MAX_SOURCE_TOKENS)
        return false;
    ids->data[MAX_SOURCE_TOKENS - 1] = ids->data[ids->count - 1];
    ids->count = MAX_SOURCE_TOKENS;
    return true;
}

static enum lay_status check_vocabulary(const struct lay_ids *ids, int64_t vocab_size, const char *tokenizer,
                                        struct lay_err *err)
{
    for (size_t i = 0; i < ids->count; i++)
        if (ids->data[i] < 0 || ids->data[i] >= vocab_size)
            return lay_fail(
                err, LAY_ERR_INPUT,
                "%s: gives token id %d, but the model has %lld; the tokenizer belongs to another model",
                tokenizer, ids->data[i], (long long)vocab_size);
    return LAY_OK;
}

enum lay_status lay_system_tokenize(struct lay_system *s, const struct lay_request *request,
                                    struct lay_ids *source, struct lay_ids *prompt, bool *truncated,
                                    struct lay_err *err)
{
    *truncated = false;
    source->count = prompt->count = 0;
    if (!lay_system_is_plain(s)) {
        if (!request->source)
            return lay_fail(err, LAY_ERR_INTERNAL, "a request to %s without a source text", s->file.name);
        if (request->language)
            LAY_TRY(lay_tokenizer_set_language(s->encoder_tokenizer, request->language, err));
        LAY_TRY(lay_tokenizer_encode(s->encoder_tokenizer, request->source, strlen(request->source), true,
                                     source, err));
        *truncated = truncate_source(source);
        LAY_TRY(check_vocabulary(source, s->encoder_config.vocab_size, s->file.encoder_tokenizer, err));
    }
    if (request->prompt && s->file.text_prompt) {
        LAY_TRY(lay_tokenizer_encode(s->llm_tokenizer, request->prompt, strlen(request->prompt), false,
                                     prompt, err));
        if (prompt->count > MAX_PROMPT_TOKENS) {
            prompt->count = MAX_PROMPT_TOKENS;
            *truncated = true;
        }
        LAY_TRY(check_vocabulary(prompt, s->llm_config.vocab_size, s->file.llm_tokenizer, err));
    }
    return LAY_OK;
}

/* All requests of one call, tokenized. */
struct answering {
    struct lay_system *system;
    const struct lay_generate_params *params;
    int (*reply)(void *context, const struct lay_reply *reply);
    void *context;
    struct lay_ids *sources, *prompts; /* [count] */
    bool *truncated;
    struct lay_prompt_ids *ids;
    size_t count;
    size_t longest_stop; /* bytes */
    struct lay_str text; /* scratch for decoding */
};

static enum lay_status answering_create(struct answering *a, const struct lay_request *requests, size_t count,
                                        struct lay_err *err)
{
    a->count = count;
    a->sources = lay_alloc(count, sizeof *a->sources);
    a->prompts = lay_alloc(count, sizeof *a->prompts);
    a->truncated = lay_alloc(count, sizeof *a->truncated);
    a->ids = lay_alloc(count, sizeof *a->ids);
    if (!a->sources || !a->prompts || !a->truncated || !a->ids)
        return lay_no_memory(err, "token ids");
    for (size_t i = 0; i < count; i++) {
        LAY_TRY(lay_system_tokenize(a->system, &requests[i], &a->sources[i], &a->prompts[i], &a->truncated[i],
                                    err));
        a->ids[i] = (struct lay_prompt_ids){.source = a->sources[i].data,
                                            .n_source = (int64_t)a->sources[i].count,
                                            .padded_source = (int64_t)a->sources[i].count,
                                            .prompt = a->prompts[i].data,
                                            .n_prompt = (int64_t)a->prompts[i].count};
    }
    for (int64_t i = 0; i < a->params->n_stops; i++) {
        const size_t length = strlen(a->params->stops[i]);
        a->longest_stop = length > a->longest_stop ? length : a->longest_stop;
    }
    return LAY_OK;
}

static void answering_destroy(struct answering *a)
{
    for (size_t i = 0; i < a->count && a->sources && a->prompts; i++) {
        lay_ids_free(&a->sources[i]);
        lay_ids_free(&a->prompts[i]);
    }
    lay_free(a->sources);
    lay_free(a->prompts);
    lay_free(a->truncated);
    lay_free(a->ids);
    lay_str_free(&a->text);
}

/* The official code pads the sources of N consecutive requests to the longest of them, and LayAlign's adapter
 * attention reads the pads (models.md, Padding). */
static void pad_official_groups(struct answering *a, size_t group)
{
    for (size_t first = 0; first < a->count; first += group) {
        const size_t end = first + group < a->count ? first + group : a->count;
        int64_t longest = 0;
        for (size_t i = first; i < end; i++)
            longest = a->ids[i].n_source > longest ? a->ids[i].n_source : longest;
        for (size_t i = first; i < end; i++)
            a->ids[i].padded_source = longest;
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
    struct lay_err err = {0};
    struct lay_reply reply = {
        .request = generation->request,
        .ids = generation->ids,
        .n_ids = generation->n_ids,
        .ended = generation->ended,
        .error = generation->error,
        .truncated = a->truncated[generation->request],
        .source_tokens = a->ids[generation->request].n_source,
        .prompt_tokens = a->ids[generation->request].n_prompt,
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
    struct answering a = {.system = s, .params = params, .reply = reply, .context = context};
    struct lay_generate_options options = {
        .batch_size = batch_size(s),
        .max_new_tokens = params->max_new_tokens,
        .ignore_eos = params->ignore_eos,
        .stop = params->stop,
        .stopped = params->n_stops > 0 ? stopped : NULL,
        .done = deliver,
        .context = &a,
        .stats = &s->stats,
    };
    enum lay_status status;
    struct lay_memory_plan plan;
    LAY_TRY_GOTO(status, memory_plan(s, &plan, err), done);
    options.kv_bytes = plan.kv;
    LAY_TRY_GOTO(status, answering_create(&a, requests, count, err), done);
    if (s->options.official_batch > 0)
        pad_official_groups(&a, (size_t)s->options.official_batch);
    status = lay_generate(&s->models, a.ids, count, &options, err);
done:
    answering_destroy(&a);
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
        return check_tokens(s, MAX_SOURCE_TOKENS, MAX_PROMPT_TOKENS, max_new_tokens, err);
    enum lay_status status = lay_system_tokenize(s, request, &source, &prompt, &truncated, err);
    if (status == LAY_OK)
        status = check_tokens(s, (int64_t)source.count, (int64_t)prompt.count, max_new_tokens, err);
    lay_ids_free(&source);
    lay_ids_free(&prompt);
    return status;
}

/* --- distributions --- */

bool lay_system_is_loaded(const struct lay_system *s)
{
    return s->models.llm != NULL;
}

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
    static const struct lay_generate_params no_stops = {0};
    struct answering a = {.system = s, .params = &no_stops};
    struct hearing hearing = {hear, context, s->llm_config.vocab_size};
    struct lay_generate_options options = {.batch_size = batch_size(s),
                                           .max_new_tokens = 1,
                                           .ignore_eos = true,
                                           .done = ignore,
                                           .logits = hear_logits,
                                           .context = &hearing};
    struct lay_memory_plan plan;
    enum lay_status status;
    LAY_TRY_GOTO(status, memory_plan(s, &plan, err), done);
    options.kv_bytes = plan.kv;
    LAY_TRY_GOTO(status, answering_create(&a, requests, count, err), done);
    status = lay_generate(&s->models, a.ids, count, &options, err);
done:
    answering_destroy(&a);
    return status;
}

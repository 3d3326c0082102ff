#include "harness/verify/verify.h"

#include "engine/base/mem.h"
#include "engine/nn/kernels.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* One example or batch on its way from ids to logits. "Own" indices count a row's tokens without pads: that
 * is how we compute; the expected tensors have padded columns. */
struct work {
    const struct lay_verify_case *c;
    const struct lay_verify_models *m;
    const struct lay_verify_inputs *in;
    const char *keys;
    struct lay_verify_result *results;

    int64_t H, V;
    int64_t rows, S;         /* Σ length, padded length */
    int64_t *length, *first; /* [B] own tokens; first own row */
    bool *gap;               /* [B] LangBridge row with masked pads in its middle, which shift positions */
    bool any_gap;
    float **hidden; /* [encoder layers + 1], owned by results */
    float *soft;    /* [B · n + 1, H], the last row is the boundary; owned by results */
    float *x;       /* [rows, H] */
    float *logits;  /* [rows, V] of the prefill */
    int64_t steps;  /* tokens to generate */
    float *taps;    /* [LLM layers, 3, rows, H]; NULL when nobody asks */
    struct lay_kv_pool *pool;
    struct lay_kv_seq *kv, *adapter; /* [B] */
    struct lay_llm_span *spans;      /* [B] */
};

static const struct lay_tensor *expected(const struct work *w, const char *name)
{
    char full[3 * LAY_VERIFY_NAME];
    snprintf(full, sizeof full, "%s%s%s", w->keys, w->in->prefix, name);
    return lay_checkpoint_find(w->c->expected, full);
}

/* A result with room for `data_rows` rows; every place starts as "nothing comparable". */
static enum lay_status add_result(struct work *w, const char *name, int64_t T, int64_t width,
                                  int64_t data_rows, struct lay_verify_result **result, struct lay_err *err)
{
    struct lay_verify_result *r = lay_alloc(1, sizeof *r);
    if (!r)
        return lay_no_memory(err, "a result");
    snprintf(r->name, sizeof r->name, "%s", name);
    r->B = w->in->B;
    r->T = T;
    r->width = width;
    r->next = w->results;
    w->results = r;
    size_t count;
    if (!lay_mul_size((size_t)data_rows, (size_t)width, &count))
        return lay_no_memory(err, "a result");
    r->data = lay_alloc(count + 1, sizeof *r->data);
    r->rows = lay_alloc((size_t)(r->B * T) + 1, sizeof *r->rows);
    if (!r->data || !r->rows)
        return lay_no_memory(err, "a result");
    for (int64_t i = 0; i < r->B * T; i++)
        r->rows[i] = -1;
    *result = r;
    return LAY_OK;
}

void lay_verify_results_free(struct lay_verify_result *results)
{
    while (results) {
        struct lay_verify_result *next = results->next;
        lay_free(results->data);
        lay_free(results->rows);
        lay_free(results);
        results = next;
    }
}

/* --- encoder and bridge --- */

/* LayAlign reads the encoder at pads too; elsewhere nothing defined stands there. */
static void map_source_rows(const struct work *w, struct lay_verify_result *r)
{
    const bool all = w->c->bridge.method == LAY_LAYALIGN;
    for (int64_t b = 0; b < w->in->B; b++)
        for (int64_t t = 0; t < w->in->n; t++)
            r->rows[b * r->T + t] = all || t < w->in->valid[b] ? b * w->in->n + t : -1;
}

static enum lay_status encode(struct work *w, struct lay_err *err)
{
    const struct lay_verify_inputs *in = w->in;
    const struct lay_encoder_config *config = lay_encoder_config(w->m->encoder);
    const int64_t states = config->num_hidden_layers + 1;
    w->hidden = lay_alloc((size_t)states, sizeof *w->hidden);
    int64_t *lengths = lay_alloc((size_t)in->B, sizeof *lengths);
    enum lay_status status = w->hidden && lengths ? LAY_OK : lay_no_memory(err, "encoder states");
    for (int64_t i = 0; i < states && status == LAY_OK; i++) {
        char name[64];
        struct lay_verify_result *r;
        snprintf(name, sizeof name, "encoder.hidden.%lld", (long long)i);
        status = add_result(w, name, in->n, config->hidden_size, in->B * in->n, &r, err);
        if (status == LAY_OK) {
            map_source_rows(w, r);
            w->hidden[i] = r->data;
        }
    }
    for (int64_t b = 0; lengths && b < in->B; b++)
        lengths[b] = in->n;
    const struct lay_encoder_batch batch = {in->source, lengths, in->valid, in->B};
    if (status == LAY_OK)
        status = lay_encoder_forward(w->m->encoder, &batch, w->hidden, err);
    lay_free(lengths);
    return status;
}

static enum lay_status soft_prompt(struct work *w, struct lay_err *err)
{
    const struct lay_verify_inputs *in = w->in;
    const int64_t n = in->n, end = w->c->bridge.method == LAY_LANGBRIDGE ? 1 : 0;
    struct lay_verify_result *r;
    LAY_TRY(add_result(w, "soft_prompt", n + end, w->H, in->B * n + 1, &r, err));
    map_source_rows(w, r);
    for (int64_t b = 0; end && b < in->B; b++)
        r->rows[b * r->T + n] = in->B * n;
    w->soft = r->data;
    memcpy(w->soft + in->B * n * w->H, lay_bridge_boundary(w->m->bridge), (size_t)w->H * sizeof *w->soft);
    return lay_bridge_soft_prompt(w->m->bridge, w->hidden, in->B * n, w->soft, err);
}

static enum lay_status adapters(struct work *w, struct lay_err *err)
{
    const struct lay_verify_inputs *in = w->in;
    const int64_t n = in->n;
    for (int64_t i = 0; i < lay_bridge_adapter_count(w->m->bridge); i++) {
        const int64_t layer = lay_bridge_adapter_layer(w->m->bridge, i);
        struct lay_verify_result *k, *v;
        char name[64];
        snprintf(name, sizeof name, "adapter.layer%lld.k", (long long)layer);
        LAY_TRY(add_result(w, name, n, w->H, in->B * n, &k, err));
        snprintf(name, sizeof name, "adapter.layer%lld.v", (long long)layer);
        LAY_TRY(add_result(w, name, n, w->H, in->B * n, &v, err));
        map_source_rows(w, k);
        map_source_rows(w, v);
        LAY_TRY(lay_bridge_adapter_fuse(w->m->bridge, w->hidden, in->B * n, i, 1, err));
        LAY_TRY(lay_bridge_adapter_states(w->m->bridge, in->B * n, i, k->data, v->data, err));
        for (int64_t b = 0; b < in->B; b++) {
            const struct lay_llm_adapter_rows one = {&w->adapter[b], n};
            LAY_TRY(lay_llm_write_adapters(w->m->llm, w->pool, layer, k->data + b * n * w->H,
                                           v->data + b * n * w->H, &one, 1, err));
        }
    }
    for (int64_t b = 0; b < in->B; b++)
        w->adapter[b].n_tokens = n;
    return LAY_OK;
}

/* --- the LLM's input --- */

/* Lengths, and the padded length: left-padded, but LangBridge pads the source where it stands and the text on
 * the right. */
static enum lay_status measure(struct work *w, struct lay_err *err)
{
    const struct lay_verify_inputs *in = w->in;
    const bool langbridge = w->c->bridge.method == LAY_LANGBRIDGE;
    int64_t longest = 0, longest_text = 0;
    w->length = lay_alloc((size_t)in->B, sizeof *w->length);
    w->first = lay_alloc((size_t)in->B, sizeof *w->first);
    w->gap = lay_alloc((size_t)in->B, sizeof *w->gap);
    w->kv = lay_alloc((size_t)in->B, sizeof *w->kv);
    w->adapter = lay_alloc((size_t)in->B, sizeof *w->adapter);
    w->spans = lay_alloc((size_t)in->B, sizeof *w->spans);
    if (!w->length || !w->first || !w->gap || !w->kv || !w->adapter || !w->spans)
        return lay_no_memory(err, "the rows of a batch");
    for (int64_t b = 0; b < in->B; b++) {
        w->length[b] = 1 + (w->m->bridge ? in->valid[b] + 1 : 0) + in->n_text[b];
        w->first[b] = w->rows;
        w->rows += w->length[b];
        w->gap[b] = langbridge && in->valid[b] < in->n;
        w->any_gap |= w->gap[b];
        longest = w->length[b] > longest ? w->length[b] : longest;
        longest_text = in->n_text[b] > longest_text ? in->n_text[b] : longest_text;
    }
    w->S = langbridge ? 1 + in->n + 1 + longest_text : longest;
    return LAY_OK;
}

/* Padded column of own token t of row b. */
static int64_t column(const struct work *w, int64_t b, int64_t t)
{
    if (w->c->bridge.method != LAY_LANGBRIDGE)
        return w->S - w->length[b] + t;
    return t <= w->in->valid[b] ? t : t + w->in->n - w->in->valid[b];
}

/* In the official loss path positions run over the padded row. */
static int64_t position_offset(const struct work *w, int64_t b)
{
    return w->in->training && w->c->bridge.method != LAY_LANGBRIDGE ? w->S - w->length[b] : 0;
}

/* Results [B, S, width] with one row of data per own token; rows with a gap only where `gaps`. */
static enum lay_status add_text_result(struct work *w, const char *name, int64_t width, bool gaps,
                                       struct lay_verify_result **result, struct lay_err *err)
{
    LAY_TRY(add_result(w, name, w->S, width, w->rows, result, err));
    for (int64_t b = 0; b < w->in->B; b++)
        for (int64_t t = 0; t < w->length[b]; t++)
            if (gaps || !w->gap[b])
                (*result)->rows[b * w->S + column(w, b, t)] = w->first[b] + t;
    return LAY_OK;
}

/* x = [bos] soft prompt, boundary, text; per row, without pads. */
static enum lay_status embed(struct work *w, struct lay_err *err)
{
    const struct lay_verify_inputs *in = w->in;
    const size_t row_bytes = (size_t)w->H * sizeof(float);
    const int64_t bos = w->c->bos >= 0 ? w->c->bos : w->m->llm_config.bos_id;
    if (bos < 0)
        return lay_fail(err, LAY_ERR_INPUT,
                        "%s: case.json must name llm_bos_id, the LLM's configuration has none", w->c->dir);
    const int32_t bos_id = (int32_t)bos;
    w->x = lay_alloc_aligned((size_t)(w->rows * w->H), sizeof *w->x);
    if (!w->x)
        return lay_no_memory(err, "the LLM's input");
    for (int64_t b = 0; b < in->B; b++) {
        float *x = w->x + w->first[b] * w->H;
        LAY_TRY(lay_llm_embed(w->m->llm, &bos_id, 1, x, err));
        x += w->H;
        if (w->m->bridge) {
            memcpy(x, w->soft + b * in->n * w->H, (size_t)in->valid[b] * row_bytes);
            x += in->valid[b] * w->H;
            memcpy(x, w->soft + in->B * in->n * w->H, row_bytes);
            x += w->H;
        }
        LAY_TRY(lay_llm_embed(w->m->llm, in->text + b * in->max_text, in->n_text[b], x, err));
    }
    struct lay_verify_result *r;
    LAY_TRY(add_text_result(w, "llm.inputs_embeds", w->H, true, &r, err));
    memcpy(r->data, w->x, (size_t)w->rows * row_bytes);
    return LAY_OK;
}

/* Masks and positions of the prefill and of the first decode step. */
static enum lay_status masks(struct work *w, struct lay_err *err)
{
    struct lay_verify_result *mask, *positions, *next_mask, *next_position;
    const int64_t B = w->in->B, S = w->S;
    LAY_TRY(add_result(w, "llm.attention_mask", S, 1, B * S, &mask, err));
    LAY_TRY(add_text_result(w, "llm.position_ids", 1, false, &positions, err));
    LAY_TRY(add_result(w, "decode1.attention_mask", S + 1, 1, B * (S + 1), &next_mask, err));
    LAY_TRY(add_result(w, "decode1.position_ids", 1, 1, B, &next_position, err));
    for (int64_t b = 0; b < B; b++) {
        for (int64_t t = 0; t < S; t++)
            mask->rows[b * S + t] = b * S + t;
        for (int64_t t = 0; t <= S && !w->gap[b]; t++)
            next_mask->rows[b * (S + 1) + t] = b * (S + 1) + t;
        next_mask->data[b * (S + 1) + S] = 1;
        next_position->rows[b] = w->gap[b] ? -1 : b;
        next_position->data[b] = (float)w->length[b];
        for (int64_t t = 0; t < w->length[b]; t++) {
            mask->data[b * S + column(w, b, t)] = 1;
            next_mask->data[b * (S + 1) + column(w, b, t)] = 1;
            positions->data[w->first[b] + t] = (float)(t + position_offset(w, b));
        }
    }
    return LAY_OK;
}

/* --- prefill --- */

static const char *const tap_names[] = {"attn_base_out", "attn_out", "out"};
enum { N_TAPS = sizeof tap_names / sizeof *tap_names };

static void keep_tap(void *context, const char *name, int64_t layer, const float *data, int64_t rows,
                     int64_t cols)
{
    const struct work *w = context;
    for (int i = 0; i < N_TAPS; i++)
        if (strcmp(tap_names[i], name) == 0)
            memcpy(w->taps + (layer * N_TAPS + i) * rows * cols, data, (size_t)(rows * cols) * sizeof *data);
}

static bool wants_taps(const struct work *w)
{
    char name[64];
    for (int64_t layer = 0; layer < w->m->llm_config.num_hidden_layers; layer++)
        for (int i = 0; i < N_TAPS; i++) {
            snprintf(name, sizeof name, "llm.layer%lld.%s", (long long)layer, tap_names[i]);
            if (expected(w, name))
                return true;
        }
    return false;
}

static enum lay_status add_taps(struct work *w, struct lay_err *err)
{
    const struct lay_llm_adapter *adapter = w->m->bridge ? lay_bridge_adapter(w->m->bridge) : NULL;
    for (int64_t layer = 0; layer < w->m->llm_config.num_hidden_layers; layer++)
        for (int i = 0; i < N_TAPS; i++) {
            char name[64];
            struct lay_verify_result *r;
            if (i == 0 && !(adapter && adapter->has_gate[layer]))
                continue;
            snprintf(name, sizeof name, "llm.layer%lld.%s", (long long)layer, tap_names[i]);
            LAY_TRY(add_text_result(w, name, w->H, false, &r, err));
            memcpy(r->data, w->taps + (layer * N_TAPS + i) * w->rows * w->H,
                   (size_t)(w->rows * w->H) * sizeof *r->data);
        }
    return LAY_OK;
}

static enum lay_status forward(struct work *w, float *x, const struct lay_llm_taps *taps, struct lay_err *err)
{
    const struct lay_llm_adapter *adapter = w->m->bridge ? lay_bridge_adapter(w->m->bridge) : NULL;
    return lay_llm_forward(w->m->llm, w->pool, w->spans, w->in->B, adapter, x, taps, err);
}

static enum lay_status prefill(struct work *w, struct lay_err *err)
{
    const struct lay_llm_taps taps = {keep_tap, w};
    struct lay_verify_result *r;
    const bool tapped = wants_taps(w);
    if (tapped) {
        const int64_t layers = w->m->llm_config.num_hidden_layers;
        w->taps = lay_alloc((size_t)(layers * N_TAPS * w->rows * w->H), sizeof *w->taps);
        if (!w->taps)
            return lay_no_memory(err, "intermediate results");
    }
    for (int64_t b = 0; b < w->in->B; b++)
        w->spans[b] = (struct lay_llm_span){&w->kv[b], w->adapter[b].n_tokens ? &w->adapter[b] : NULL,
                                            w->length[b], position_offset(w, b)};
    LAY_TRY(forward(w, w->x, tapped ? &taps : NULL, err));
    if (tapped)
        LAY_TRY(add_taps(w, err));
    LAY_TRY(add_text_result(w, w->in->training ? "logits" : "prefill_logits", w->V, false, &r, err));
    w->logits = r->data;
    return lay_llm_logits(w->m->llm, w->x, w->rows, w->logits, err);
}

/* The largest element stands outside of the sum: it contributes e^0. */
static double log_sum_exp(const float *x, int64_t n)
{
    const int32_t top = lay_argmax(x, n);
    double rest = 0;
    for (int64_t i = 0; i < n; i++)
        if (i != top)
            rest += exp((double)x[i] - (double)x[top]);
    return (double)x[top] + log1p(rest);
}

/* Mean over all target tokens of −log softmax(logits of the token before)[target]. */
static enum lay_status loss(struct work *w, struct lay_err *err)
{
    const struct lay_verify_inputs *in = w->in;
    struct lay_verify_result *r;
    double sum = 0;
    int64_t n = 0;
    LAY_TRY(add_result(w, "loss", 1, 1, 1, &r, err));
    r->B = 1;
    for (int64_t b = 0; b < in->B; b++)
        for (int64_t t = 0; t < in->n_text[b]; t++) {
            if (!in->is_target[b * in->max_text + t])
                continue;
            const int64_t row = w->first[b] + w->length[b] - in->n_text[b] + t - 1;
            const float *logits = w->logits + row * w->V;
            sum += log_sum_exp(logits, w->V) - (double)logits[in->text[b * in->max_text + t]];
            n++;
        }
    r->data[0] = (float)(sum / (double)n);
    r->rows[0] = n > 0 && !w->any_gap ? 0 : -1;
    return LAY_OK;
}

/* --- greedy decoding --- */

static int64_t steps_wanted(const struct work *w)
{
    static const char *const names[] = {"generated_ids", "generated_ids_eos", "step_logits"};
    int64_t steps = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const struct lay_tensor *t = expected(w, names[i]);
        if (t && t->rank >= 2 && t->shape[1] > steps && t->shape[1] <= 4096)
            steps = t->shape[1];
    }
    return steps;
}

/* generate() with eos = pad: a finished row is filled up until all rows are finished. */
static enum lay_status add_ids_until_eos(struct work *w, const float *ids, struct lay_err *err)
{
    const int64_t B = w->in->B, steps = w->steps;
    int64_t T = 0;
    for (int64_t b = 0; b < B; b++) {
        int64_t n = 0;
        while (n < steps && ids[b * steps + n++] != (float)w->c->eos)
            ;
        T = n > T ? n : T;
    }
    struct lay_verify_result *r;
    LAY_TRY(add_result(w, "generated_ids_eos", T, 1, B * T, &r, err));
    for (int64_t b = 0; b < B; b++) {
        bool ended = false;
        for (int64_t t = 0; t < T; t++) {
            r->data[b * T + t] = ended ? (float)w->c->eos : ids[b * steps + t];
            r->rows[b * T + t] = w->gap[b] ? -1 : b * T + t;
            ended |= r->data[b * T + t] == (float)w->c->eos;
        }
    }
    return LAY_OK;
}

static enum lay_status decode(struct work *w, struct lay_err *err)
{
    const int64_t B = w->in->B, steps = w->steps;
    struct lay_verify_result *ids, *logits;
    LAY_TRY(add_result(w, "generated_ids", steps, 1, B * steps, &ids, err));
    LAY_TRY(add_result(w, "step_logits", steps, w->V, B * steps, &logits, err));
    for (int64_t b = 0; b < B; b++) {
        const int64_t last = w->first[b] + w->length[b] - 1;
        memcpy(logits->data + b * steps * w->V, w->logits + last * w->V, (size_t)w->V * sizeof(float));
        for (int64_t t = 0; t < steps && !w->gap[b]; t++)
            ids->rows[b * steps + t] = logits->rows[b * steps + t] = b * steps + t;
        w->spans[b].n_rows = 1;
    }
    for (int64_t t = 0; t < steps; t++) {
        for (int64_t b = 0; b < B; b++) {
            const int32_t id = lay_argmax(logits->data + (b * steps + t) * w->V, w->V);
            ids->data[b * steps + t] = (float)id;
            LAY_TRY(lay_llm_embed(w->m->llm, &id, 1, w->x + b * w->H, err));
        }
        if (t + 1 == steps)
            break;
        LAY_TRY(forward(w, w->x, NULL, err));
        for (int64_t b = 0; b < B; b++)
            LAY_TRY(lay_llm_logits(w->m->llm, w->x + b * w->H, 1, logits->data + (b * steps + t + 1) * w->V,
                                   err));
    }
    return w->c->eos >= 0 ? add_ids_until_eos(w, ids->data, err) : LAY_OK;
}

/* --- all of it --- */

static enum lay_status reserve_pages(struct work *w, struct lay_err *err)
{
    const struct lay_kv_shape shape = lay_llm_kv_shape(w->m->llm);
    const bool adapted = w->m->bridge && lay_bridge_adapter_count(w->m->bridge) > 0;
    int64_t pages = 0;
    for (int64_t b = 0; b < w->in->B; b++)
        pages += lay_kv_pages_for(w->length[b] + w->steps) + lay_kv_pages_for(adapted ? w->in->n : 0);
    LAY_TRY(lay_kv_pool_create(&shape, (size_t)pages * lay_kv_page_bytes(&shape), &w->pool, err));
    for (int64_t b = 0; b < w->in->B; b++) {
        LAY_TRY(lay_kv_reserve(w->pool, &w->kv[b], w->length[b] + w->steps, err));
        if (adapted)
            LAY_TRY(lay_kv_reserve(w->pool, &w->adapter[b], w->in->n, err));
    }
    return LAY_OK;
}

static enum lay_status compute(struct work *w, struct lay_err *err)
{
    w->H = w->m->llm_config.hidden_size;
    w->V = w->m->llm_config.vocab_size;
    w->steps = w->in->training ? 0 : steps_wanted(w);
    LAY_TRY(measure(w, err));
    LAY_TRY(reserve_pages(w, err));
    if (w->m->bridge) {
        LAY_TRY(encode(w, err));
        LAY_TRY(soft_prompt(w, err));
        LAY_TRY(adapters(w, err));
    }
    LAY_TRY(embed(w, err));
    LAY_TRY(masks(w, err));
    LAY_TRY(prefill(w, err));
    if (w->in->training)
        return loss(w, err);
    return w->steps > 0 ? decode(w, err) : LAY_OK;
}

enum lay_status lay_verify_compute(const struct lay_verify_case *c, const struct lay_verify_models *models,
                                   const struct lay_verify_inputs *inputs, const char *keys,
                                   struct lay_verify_result **results, struct lay_err *err)
{
    struct work w = {.c = c, .m = models, .in = inputs, .keys = keys};
    const enum lay_status status = compute(&w, err);
    for (int64_t b = 0; w.pool && b < inputs->B; b++) {
        lay_kv_release(w.pool, &w.kv[b]);
        lay_kv_release(w.pool, &w.adapter[b]);
    }
    lay_kv_pool_destroy(w.pool);
    lay_free(w.length);
    lay_free(w.first);
    lay_free(w.gap);
    lay_free(w.hidden);
    lay_free(w.x);
    lay_free(w.taps);
    lay_free(w.kv);
    lay_free(w.adapter);
    lay_free(w.spans);
    if (status != LAY_OK) {
        lay_verify_results_free(w.results);
        w.results = NULL;
    }
    *results = w.results;
    return status;
}

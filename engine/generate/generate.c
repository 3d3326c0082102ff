#include "engine/generate/generate.h"

#include "engine/base/mem.h"
#include "engine/base/profile.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LOGIT_ROWS 64

const char *lay_ended_name(enum lay_ended ended)
{
    static const char *const names[] = {"eos", "length", "stop", "error"};
    return names[ended];
}

/* A request in flight. */
struct live {
    size_t request;
    struct lay_prepared prepared;
    struct lay_kv_seq kv;
    int64_t fed;  /* rows of prepared.inputs the LLM has read */
    int32_t *ids; /* [max_new_tokens] */
    size_t n_ids;
    int64_t step_rows; /* rows in the current step; their last one is … */
    int64_t last_row;  /* … this row of x */
};

struct scheduler {
    const struct lay_models *models;
    const struct lay_prompt_ids *ids;
    const struct lay_generate_options *options;
    struct lay_kv_pool *pool;
    size_t *order; /* requests, longest first */
    size_t next, count;
    struct live *live; /* [batch_size] */
    int64_t n_live;
    int64_t max_rows;
    float *x;      /* [max_rows, H] */
    float *last;   /* [LOGIT_ROWS, H] states whose logits are wanted */
    float *logits; /* [LOGIT_ROWS, vocab_size] */
    struct lay_llm_span *spans;
    struct lay_generate_stats stats;
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int64_t pages_of(const struct lay_models *models, const struct lay_prompt_ids *ids,
                        int64_t max_new_tokens)
{
    return lay_kv_pages_for(lay_prepared_rows(models, ids) + max_new_tokens) +
           lay_kv_pages_for(lay_prepared_adapter_tokens(models, ids));
}

size_t lay_generate_kv_bytes(const struct lay_models *models, const struct lay_prompt_ids *ids,
                             int64_t max_new_tokens)
{
    const struct lay_kv_shape shape = lay_llm_kv_shape(models->llm);
    return (size_t)pages_of(models, ids, max_new_tokens) * lay_kv_page_bytes(&shape);
}

/* Longest first, so that the tail of the run is short; ties in order of request. */
static int by_length(const void *a, const void *b, void *context)
{
    const struct scheduler *s = context;
    const size_t i = *(const size_t *)a, j = *(const size_t *)b;
    const int64_t x = lay_prepared_rows(s->models, &s->ids[i]);
    const int64_t y = lay_prepared_rows(s->models, &s->ids[j]);
    if (x != y)
        return x > y ? -1 : 1;
    return i < j ? -1 : i > j;
}

static enum lay_status check_fit(struct scheduler *s, struct lay_err *err)
{
    for (size_t i = 0; i < s->count; i++) {
        const int64_t pages = pages_of(s->models, &s->ids[i], s->options->max_new_tokens);
        if (pages > s->pool->n_pages)
            return lay_fail(err, LAY_ERR_INPUT,
                            "request %zu needs %.2f GB of keys and values (%lld prompt rows and %lld new "
                            "tokens), %.2f GB are there; "
                            "give more --memory or lower --max-new-tokens",
                            i, 1e-9 * (double)pages * (double)s->pool->page_bytes,
                            (long long)lay_prepared_rows(s->models, &s->ids[i]),
                            (long long)s->options->max_new_tokens,
                            1e-9 * (double)s->pool->n_pages * (double)s->pool->page_bytes);
    }
    return LAY_OK;
}

/* No more pages than the largest sequences can fill together, so that a small run does not reserve a large
 * pool. */
static size_t pool_bytes(const struct scheduler *s)
{
    size_t wanted = 0;
    const size_t flying =
        s->count < (size_t)s->options->batch_size ? s->count : (size_t)s->options->batch_size;
    size_t most = 0;
    for (size_t i = 0; i < s->count; i++) {
        const size_t bytes = lay_generate_kv_bytes(s->models, &s->ids[i], s->options->max_new_tokens);
        most = bytes > most ? bytes : most;
    }
    if (!lay_mul_size(most, flying, &wanted) || wanted > s->options->kv_bytes)
        wanted = s->options->kv_bytes;
    return wanted;
}

static enum lay_status scheduler_create(struct scheduler *s, struct lay_err *err)
{
    const struct lay_llm_config *config = lay_llm_config(s->models->llm);
    const struct lay_kv_shape shape = lay_llm_kv_shape(s->models->llm);
    const size_t batch = (size_t)s->options->batch_size;
    s->max_rows = LAY_STEP_PREFILL_ROWS + s->options->batch_size;
    s->order = lay_alloc(s->count, sizeof *s->order);
    s->live = lay_alloc(batch, sizeof *s->live);
    s->spans = lay_alloc(batch, sizeof *s->spans);
    s->x = lay_alloc_aligned((size_t)s->max_rows * (size_t)config->hidden_size, sizeof *s->x);
    s->last = lay_alloc_aligned(LOGIT_ROWS * (size_t)config->hidden_size, sizeof *s->last);
    s->logits = lay_alloc_aligned(LOGIT_ROWS * (size_t)config->vocab_size, sizeof *s->logits);
    if (!s->order || !s->live || !s->spans || !s->x || !s->last || !s->logits)
        return lay_no_memory(err, "generation buffers");
    for (size_t i = 0; i < s->count; i++)
        s->order[i] = i;
    qsort_r(s->order, s->count, sizeof *s->order, by_length, s);
    LAY_TRY(lay_kv_pool_create(&shape, pool_bytes(s), &s->pool, err));
    return check_fit(s, err);
}

static void live_release(struct scheduler *s, struct live *live)
{
    lay_prepared_release(&live->prepared, s->pool);
    lay_kv_release(s->pool, &live->kv);
    lay_free(live->ids);
    *live = (struct live){0};
}

static void scheduler_destroy(struct scheduler *s)
{
    for (int64_t i = 0; i < s->n_live; i++)
        live_release(s, &s->live[i]);
    lay_kv_pool_destroy(s->pool);
    lay_free(s->order);
    lay_free(s->live);
    lay_free(s->spans);
    lay_free(s->x);
    lay_free(s->last);
    lay_free(s->logits);
}

/* Takes the next requests that fit, as many as one pass of the encoder should read. */
static enum lay_status admit(struct scheduler *s, struct lay_err *err)
{
    enum { MOST = 64 };
    const struct lay_prompt_ids *chosen[MOST];
    struct lay_prepared prepared[MOST];
    int64_t n = 0, rows = 0, pages = 0;
    while (s->next < s->count && s->n_live + n < s->options->batch_size && n < MOST) {
        const struct lay_prompt_ids *ids = &s->ids[s->order[s->next]];
        const int64_t needed = pages_of(s->models, ids, s->options->max_new_tokens);
        if (pages + needed > s->pool->n_free || (n > 0 && rows + ids->padded_source > LAY_STEP_ENCODER_ROWS))
            break;
        struct live *live = &s->live[s->n_live + n];
        *live = (struct live){.request = s->order[s->next]};
        chosen[n++] = ids;
        rows += ids->padded_source;
        pages += needed;
        s->next++;
    }
    if (n == 0)
        return LAY_OK;
    const double start = now();
    LAY_TRY(lay_prepare(s->models, s->pool, chosen, n, prepared, err));
    s->stats.encoder_seconds += now() - start;
    s->stats.encoder_tokens += rows;
    enum lay_status status = LAY_OK;
    for (int64_t i = 0; i < n; i++) {
        struct live *live = &s->live[s->n_live++];
        live->prepared = prepared[i];
        live->ids = lay_alloc((size_t)s->options->max_new_tokens, sizeof *live->ids);
        if (!live->ids)
            status = lay_no_memory(err, "new tokens");
        /* the whole length at once: a live sequence can then never run out of pages */
        if (status == LAY_OK)
            status =
                lay_kv_reserve(s->pool, &live->kv, prepared[i].n_inputs + s->options->max_new_tokens, err);
    }
    return status;
}

/* Lays the rows of the step out in x: one for each decoding sequence, chunks of inputs for those in prefill.
 */
static enum lay_status fill_step(struct scheduler *s, int64_t *n_spans, int64_t *n_rows, struct lay_err *err)
{
    const int64_t hidden_size = lay_llm_config(s->models->llm)->hidden_size;
    int64_t rows = 0, prefill = LAY_STEP_PREFILL_ROWS;
    *n_spans = 0;
    for (int64_t i = 0; i < s->n_live; i++) {
        struct live *live = &s->live[i];
        float *row = s->x + rows * hidden_size;
        const int64_t waiting = live->prepared.n_inputs - live->fed;
        live->step_rows = waiting > 0 ? (waiting < prefill ? waiting : prefill) : 1;
        if (waiting > 0) {
            memcpy(row, live->prepared.inputs + live->fed * hidden_size,
                   (size_t)(live->step_rows * hidden_size) * sizeof *row);
            live->fed += live->step_rows;
            prefill -= live->step_rows;
            s->stats.prefill_tokens += live->step_rows;
        } else {
            LAY_TRY(lay_llm_embed(s->models->llm, &live->ids[live->n_ids - 1], 1, row, err));
            s->stats.decode_tokens++;
        }
        if (live->step_rows == 0)
            continue;
        rows += live->step_rows;
        live->last_row = rows - 1;
        s->spans[(*n_spans)++] = (struct lay_llm_span){
            .kv = &live->kv,
            .adapter = live->prepared.adapter.n_tokens > 0 ? &live->prepared.adapter : NULL,
            .n_rows = live->step_rows,
        };
    }
    *n_rows = rows;
    return LAY_OK;
}

static bool is_eos(const struct lay_llm_config *config, int32_t id)
{
    for (int i = 0; i < config->n_eos; i++)
        if (config->eos_ids[i] == id)
            return true;
    return false;
}

/* Takes the next token of a sequence; true when that ends it. */
static bool accept(const struct scheduler *s, struct live *live, const float *logits,
                   struct lay_generation *generation)
{
    const struct lay_llm_config *config = lay_llm_config(s->models->llm);
    const int32_t id = lay_argmax(logits, config->vocab_size);
    if (s->options->logits)
        s->options->logits(s->options->context, live->request, live->n_ids, logits);
    *generation = (struct lay_generation){
        .request = live->request, .ids = live->ids, .n_ids = live->n_ids, .ended = LAY_ENDED_EOS};
    if (isnan(logits[id])) {
        generation->ended = LAY_ENDED_ERROR;
        generation->error = "the model's logits are not numbers (NaN); its weights or its dtype overflow";
        return true;
    }
    if (!s->options->ignore_eos && is_eos(config, id))
        return true;
    live->ids[live->n_ids++] = id;
    generation->n_ids = live->n_ids;
    generation->ended = LAY_ENDED_STOP;
    if (s->options->stopped && s->options->stopped(s->options->context, live->ids, live->n_ids))
        return true;
    generation->ended = LAY_ENDED_LENGTH;
    if (s->options->ends && live->n_ids >= (size_t)s->options->ends[live->request])
        return true;
    return live->n_ids == (size_t)s->options->max_new_tokens;
}

/* The head runs over the last row of each sequence whose inputs are all read. Ended sequences are marked by
 * releasing them: ids becomes NULL. */
static enum lay_status finish_step(struct scheduler *s, struct lay_err *err)
{
    const struct lay_llm_config *config = lay_llm_config(s->models->llm);
    struct live *waiting[LOGIT_ROWS];
    int64_t n = 0;
    for (int64_t i = 0; i < s->n_live; i++) {
        struct live *live = &s->live[i];
        if (live->step_rows > 0 && live->fed == live->prepared.n_inputs) {
            memcpy(s->last + n * config->hidden_size, s->x + live->last_row * config->hidden_size,
                   (size_t)config->hidden_size * sizeof *s->last);
            waiting[n++] = live;
        }
        if (n == 0 || (n < LOGIT_ROWS && i + 1 < s->n_live))
            continue;
        LAY_TRY(lay_llm_logits(s->models->llm, s->last, n, s->logits, err));
        for (int64_t j = 0; j < n; j++) {
            struct lay_generation generation;
            if (!accept(s, waiting[j], s->logits + j * config->vocab_size, &generation))
                continue;
            if (s->options->done(s->options->context, &generation) != 0)
                return lay_fail(err, LAY_ERR_INTERRUPTED, "stopped");
            live_release(s, waiting[j]);
        }
        n = 0;
    }
    return LAY_OK;
}

static void drop_ended(struct scheduler *s)
{
    int64_t kept = 0;
    for (int64_t i = 0; i < s->n_live; i++)
        if (s->live[i].ids)
            s->live[kept++] = s->live[i];
    s->n_live = kept;
}

static void publish(struct scheduler *s)
{
    struct lay_generate_stats *total = s->options->stats;
    if (total) {
        total->encoder_tokens += s->stats.encoder_tokens;
        total->prefill_tokens += s->stats.prefill_tokens;
        total->decode_tokens += s->stats.decode_tokens;
        total->steps += s->stats.steps;
        total->encoder_seconds += s->stats.encoder_seconds;
        total->llm_seconds += s->stats.llm_seconds;
        total->pure_decode_tokens += s->stats.pure_decode_tokens;
        total->pure_decode_steps += s->stats.pure_decode_steps;
        total->pure_decode_seconds += s->stats.pure_decode_seconds;
    }
    s->stats = (struct lay_generate_stats){0};
}

static void count_step(struct scheduler *s, double seconds)
{
    s->stats.steps++;
    s->stats.llm_seconds += seconds;
    lay_profile_lap(LAY_OP_SCHEDULE);
    if (s->stats.prefill_tokens > 0)
        return;
    s->stats.pure_decode_steps++;
    s->stats.pure_decode_tokens += s->stats.decode_tokens;
    s->stats.pure_decode_seconds += seconds;
}

static enum lay_status step(struct scheduler *s, struct lay_err *err)
{
    int64_t n_spans, n_rows;
    LAY_TRY(admit(s, err));
    const double start = now();
    LAY_TRY(fill_step(s, &n_spans, &n_rows, err));
    lay_profile_phase(s->stats.prefill_tokens > 0 ? LAY_PHASE_PREFILL : LAY_PHASE_DECODE);
    const struct lay_llm_adapter *adapter = s->models->bridge ? lay_bridge_adapter(s->models->bridge) : NULL;
    LAY_TRY(lay_llm_forward(s->models->llm, s->pool, s->spans, n_spans, adapter, s->x, NULL, err));
    const enum lay_status status = finish_step(s, err);
    count_step(s, now() - start);
    publish(s);
    drop_ended(s);
    return status;
}

enum lay_status lay_generate(const struct lay_models *models, const struct lay_prompt_ids *ids, size_t count,
                             const struct lay_generate_options *options, struct lay_err *err)
{
    struct scheduler s = {.models = models, .ids = ids, .options = options, .count = count};
    assert(options->batch_size > 0 && options->max_new_tokens > 0);
    if (count == 0)
        return LAY_OK;
    enum lay_status status = scheduler_create(&s, err);
    while (status == LAY_OK && (s.next < s.count || s.n_live > 0)) {
        if (options->stop && *options->stop)
            status = lay_fail(err, LAY_ERR_INTERRUPTED, "interrupted");
        else
            status = step(&s, err);
    }
    scheduler_destroy(&s);
    return status;
}

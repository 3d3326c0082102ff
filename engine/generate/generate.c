#include "engine/generate/scheduler.h"

#include "engine/base/clock.h"
#include "engine/base/mem.h"
#include "engine/base/profile.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LOGIT_ROWS 64

const char *lay_ended_name(enum lay_ended ended)
{
    static const char *const names[] = {"eos", "length", "stop", "error"};
    return names[ended];
}

struct generation {
    struct lay_scheduler scheduler;
    const struct lay_generate_options *options;
    const struct lay_models *models;
    float *x;      /* [LAY_STEP_PREFILL_ROWS + batch_size, H] */
    float *last;   /* [LOGIT_ROWS, H] states whose logits are wanted */
    float *logits; /* [LOGIT_ROWS, vocab_size] */
    struct lay_llm_span *spans;
    int64_t n_spans, n_rows; /* of the step */
};

static enum lay_status create_buffers(struct generation *g, struct lay_err *err)
{
    const struct lay_llm_config *config = lay_llm_config(g->models->llm);
    const size_t batch = (size_t)g->options->batch_size, H = (size_t)config->hidden_size;
    g->spans = lay_alloc(batch, sizeof *g->spans);
    g->x = lay_alloc_aligned((LAY_STEP_PREFILL_ROWS + batch) * H, sizeof *g->x);
    g->last = lay_alloc_aligned(LOGIT_ROWS * H, sizeof *g->last);
    g->logits = lay_alloc_aligned(LOGIT_ROWS * (size_t)config->vocab_size, sizeof *g->logits);
    return g->spans && g->x && g->last && g->logits ? LAY_OK : lay_no_memory(err, "generation buffers");
}

static void destroy_buffers(struct generation *g)
{
    lay_free(g->spans);
    lay_free(g->x);
    lay_free(g->last);
    lay_free(g->logits);
}

/* Rows first … first + n − 1 of a sequence: what is left of its prompt, then its new tokens. */
static enum lay_status copy_rows(const struct generation *g, const struct lay_live *live, int64_t first,
                                 int64_t n, float *x, struct lay_err *err)
{
    const int64_t H = lay_llm_config(g->models->llm)->hidden_size;
    const int64_t left = live->prepared.n_inputs - first, inputs = left < 0 ? 0 : left < n ? left : n;
    if (inputs > 0)
        memcpy(x, live->prepared.inputs + first * H, (size_t)(inputs * H) * sizeof *x);
    return lay_llm_embed(g->models->llm, live->ids + first + inputs - live->prepared.n_inputs, n - inputs,
                         x + inputs * H, err);
}

/* The rows of one sequence, of which prefill may take `budget`. None while another one computes their
 * beginning. *dropped: there were no pages, and it was set back. */
static enum lay_status fill_sequence(struct generation *g, int64_t i, int64_t *budget, bool *dropped,
                                     struct lay_err *err)
{
    struct lay_scheduler *s = &g->scheduler;
    struct lay_live *live = &s->live[i];
    bool await, granted;
    *dropped = false;
    live->step_rows = 0;
    LAY_TRY(lay_scheduler_share(s, live, &await, err));
    const int64_t left = lay_live_rows(live);
    const bool decodes = left == 1 && live->n_ids > 0;
    const int64_t rows = decodes ? 1 : left < *budget ? left : *budget;
    if (await || rows == 0)
        return LAY_OK;
    LAY_TRY(lay_scheduler_grow(s, i, rows, &granted, err));
    *dropped = !granted;
    if (!granted)
        return LAY_OK;
    const int64_t H = lay_llm_config(g->models->llm)->hidden_size;
    LAY_TRY(copy_rows(g, live, live->kv.n_tokens, rows, g->x + g->n_rows * H, err));
    *budget -= decodes ? 0 : rows;
    *(decodes ? &s->stats.decode_tokens : &s->stats.prefill_tokens) += rows;
    live->step_rows = rows;
    live->last_row = g->n_rows + rows - 1;
    g->n_rows += rows;
    g->spans[g->n_spans++] = (struct lay_llm_span){
        .kv = &live->kv,
        .adapter = live->prepared.adapter.n_tokens > 0 ? &live->prepared.adapter : NULL,
        .n_rows = rows,
    };
    return LAY_OK;
}

/* Lays the rows of the step out in x: one for each decoding sequence, chunks of prompts for those in prefill.
 */
static enum lay_status fill_step(struct generation *g, struct lay_err *err)
{
    int64_t budget = LAY_STEP_PREFILL_ROWS;
    bool dropped = false;
    g->n_spans = g->n_rows = 0;
    for (int64_t i = 0; i < g->scheduler.n_live && !dropped; i++)
        LAY_TRY(fill_sequence(g, i, &budget, &dropped, err));
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
static bool accept(const struct generation *g, struct lay_live *live, const float *logits,
                   struct lay_generation *generation)
{
    const struct lay_llm_config *config = lay_llm_config(g->models->llm);
    const struct lay_generate_options *options = g->options;
    const int32_t id = lay_argmax(logits, config->vocab_size);
    if (options->logits)
        options->logits(options->context, live->request, live->n_ids, logits);
    *generation = (struct lay_generation){
        .request = live->request, .ids = live->ids, .n_ids = live->n_ids, .ended = LAY_ENDED_EOS};
    if (isnan(logits[id])) {
        generation->ended = LAY_ENDED_ERROR;
        generation->error = "the model's logits are not numbers (NaN); its weights or its dtype overflow";
        return true;
    }
    if (!options->ignore_eos && is_eos(config, id))
        return true;
    live->ids[live->n_ids++] = id;
    generation->n_ids = live->n_ids;
    generation->ended = LAY_ENDED_STOP;
    if (options->stopped && options->stopped(options->context, live->ids, live->n_ids))
        return true;
    generation->ended = LAY_ENDED_LENGTH;
    if (options->ends && live->n_ids >= (size_t)options->ends[live->request])
        return true;
    return live->n_ids == (size_t)options->max_new_tokens;
}

/* The head over n rows of `last` and what becomes of them. */
static enum lay_status take_tokens(struct generation *g, struct lay_live *const *lives, int64_t n,
                                   struct lay_err *err)
{
    const int64_t vocab_size = lay_llm_config(g->models->llm)->vocab_size;
    LAY_TRY(lay_llm_logits(g->models->llm, g->last, n, g->logits, err));
    for (int64_t j = 0; j < n; j++) {
        struct lay_generation generation;
        if (!accept(g, lives[j], g->logits + j * vocab_size, &generation))
            continue;
        if (g->options->done(g->options->context, &generation) != 0)
            return lay_fail(err, LAY_ERR_INTERRUPTED, "stopped");
        lay_scheduler_finish(&g->scheduler, lives[j]);
    }
    return LAY_OK;
}

/* The head runs over the last row of each sequence that has read all its rows. */
static enum lay_status finish_step(struct generation *g, struct lay_err *err)
{
    const int64_t H = lay_llm_config(g->models->llm)->hidden_size;
    struct lay_scheduler *s = &g->scheduler;
    struct lay_live *lives[LOGIT_ROWS];
    int64_t n = 0;
    for (int64_t i = 0; i < s->n_live; i++) {
        struct lay_live *live = &s->live[i];
        if (live->step_rows > 0)
            lay_scheduler_advance(s, live);
        if (live->step_rows > 0 && lay_live_rows(live) == 0) {
            memcpy(g->last + n * H, g->x + live->last_row * H, (size_t)H * sizeof *g->last);
            lives[n++] = live;
        }
        if (n == LOGIT_ROWS || (n > 0 && i + 1 == s->n_live)) {
            LAY_TRY(take_tokens(g, lives, n, err));
            n = 0;
        }
    }
    return LAY_OK;
}

static void publish(const struct generation *g, struct lay_generate_stats *s)
{
    struct lay_generate_stats *total = g->options->stats;
    if (total) {
        total->encoder_tokens += s->encoder_tokens;
        total->prefill_tokens += s->prefill_tokens;
        total->decode_tokens += s->decode_tokens;
        total->shared_tokens += s->shared_tokens;
        total->set_back += s->set_back;
        total->steps += s->steps;
        total->encoder_seconds += s->encoder_seconds;
        total->llm_seconds += s->llm_seconds;
        total->pure_decode_tokens += s->pure_decode_tokens;
        total->pure_decode_steps += s->pure_decode_steps;
        total->pure_decode_seconds += s->pure_decode_seconds;
    }
    *s = (struct lay_generate_stats){0};
}

static void count_step(struct lay_generate_stats *stats, double seconds)
{
    stats->steps++;
    stats->llm_seconds += seconds;
    lay_profile_lap(LAY_OP_SCHEDULE);
    if (stats->prefill_tokens > 0)
        return;
    stats->pure_decode_steps++;
    stats->pure_decode_tokens += stats->decode_tokens;
    stats->pure_decode_seconds += seconds;
}

static enum lay_status step(struct generation *g, struct lay_err *err)
{
    const struct lay_models *models = g->models;
    struct lay_scheduler *s = &g->scheduler;
    LAY_TRY(lay_scheduler_admit(s, err));
    const double start = lay_clock_now();
    LAY_TRY(fill_step(g, err));
    lay_profile_phase(s->stats.prefill_tokens > 0 ? LAY_PHASE_PREFILL : LAY_PHASE_DECODE);
    const struct lay_llm_adapter *adapter = models->bridge ? lay_bridge_adapter(models->bridge) : NULL;
    LAY_TRY(lay_llm_forward(models->llm, s->pool, g->spans, g->n_spans, adapter, g->x, NULL, err));
    const enum lay_status status = finish_step(g, err);
    count_step(&s->stats, lay_clock_now() - start);
    publish(g, &s->stats);
    lay_scheduler_compact(s);
    return status;
}

enum lay_status lay_generate(const struct lay_models *models, const struct lay_prompt_ids *ids, size_t count,
                             const struct lay_generate_options *options, struct lay_err *err)
{
    struct generation g = {.options = options, .models = models};
    assert(options->batch_size > 0 && options->max_new_tokens > 0);
    if (count == 0)
        return LAY_OK;
    enum lay_status status = lay_scheduler_create(&g.scheduler, models, ids, count, options, err);
    if (status == LAY_OK)
        status = create_buffers(&g, err);
    while (status == LAY_OK && !lay_scheduler_idle(&g.scheduler)) {
        if (options->stop && *options->stop)
            status = lay_fail(err, LAY_ERR_INTERRUPTED, "interrupted");
        else
            status = step(&g, err);
    }
    destroy_buffers(&g);
    lay_scheduler_destroy(&g.scheduler);
    return status;
}

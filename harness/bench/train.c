#include "harness/bench/train.h"

#include "engine/base/clock.h"
#include "engine/base/mem.h"
#include "engine/train/trainable.h"
#include "harness/bench/bound.h"
#include "harness/bench/sampler.h"

#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LLM, ENCODER, BRIDGE };

/* What is measured. */
struct training {
    const struct lay_train_cell *cell;
    struct lay_subject subject;
    struct lay_subject_configs configs;
    struct lay_trainable_parts parts;
    struct lay_trainable_options options;
    struct lay_trainable *trainable;
    int32_t *ids;
    struct lay_train_sample *samples;
};

static enum lay_status prepare(struct training *t, const struct lay_subject_source *source,
                               enum lay_dtype dtype, struct lay_err *err)
{
    if (!source->llm)
        return lay_fail(err, LAY_ERR_USAGE,
                        "--train needs --shape of an LLM, or --encoder-shape, --llm-shape "
                        "and --bridge");
    const bool bridged = source->encoder != NULL;
    LAY_TRY(lay_subject_open_shapes(source, dtype, &t->subject, &t->configs, err));
    t->parts = (struct lay_trainable_parts){
        .llm_config = &t->configs.llm,
        .encoder_config = bridged ? &t->configs.encoder : NULL,
        .llm = t->subject.checkpoints[LLM],
        .encoder = t->subject.checkpoints[ENCODER],
        .bridge = t->subject.checkpoints[BRIDGE],
        .bridge_options = {.method = bridged ? source->method : LAY_PLAIN,
                           .n_encoder_layers = -1,
                           .n_language_layers = -1},
    };
    t->options =
        (struct lay_trainable_options){.compute = dtype,
                                       .train_bridge = bridged,
                                       .train_llm = !bridged,
                                       .memory = t->cell->memory,
                                       .rows = t->cell->batch * (t->cell->prompt + t->cell->target - 1),
                                       .source_rows = t->cell->batch * t->cell->source};
    return LAY_OK;
}

static enum lay_status check_sizes(const struct training *t, struct lay_err *err)
{
    const struct lay_train_cell *c = t->cell;
    const int64_t head = c->source > 0 ? c->source + 2 : 1;
    if (c->prompt >= head)
        return LAY_OK;
    return lay_fail(
        err, LAY_ERR_USAGE,
        "--prompt %lld is less than bos, %lld source tokens and the boundary: give at least %lld, "
        "or less --source",
        (long long)c->prompt, (long long)c->source, (long long)head);
}

static int32_t draw(uint64_t *state, int64_t vocab_size)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (int32_t)((int64_t)(*state >> 33) % vocab_size);
}

/* Random ids of the right numbers. */
static enum lay_status make_samples(struct training *t, struct lay_err *err)
{
    const struct lay_train_cell *c = t->cell;
    const int64_t prompt = c->prompt - (c->source > 0 ? c->source + 2 : 1);
    const int64_t each = c->source + prompt + c->target;
    uint64_t state = c->seed + 1;
    t->ids = lay_alloc((size_t)(c->batch * each), sizeof *t->ids);
    t->samples = lay_alloc((size_t)c->batch, sizeof *t->samples);
    if (!t->ids || !t->samples)
        return lay_no_memory(err, "samples");
    for (int64_t s = 0; s < c->batch; s++) {
        int32_t *ids = t->ids + s * each;
        for (int64_t i = 0; i < each; i++)
            ids[i] = draw(&state, i < c->source ? t->configs.encoder.vocab_size : t->configs.llm.vocab_size);
        t->samples[s] = (struct lay_train_sample){.source = ids,
                                                  .prompt = ids + c->source,
                                                  .target = ids + c->source + prompt,
                                                  .n_source = c->source,
                                                  .n_prompt = prompt,
                                                  .n_target = c->target};
    }
    return LAY_OK;
}

/* One step as a trainer makes it, but for the optimiser's own arithmetic. */
static enum lay_status step(struct training *t, int64_t *rows, double *seconds, struct lay_err *err)
{
    const struct lay_accumulate_options options = {.weight = 1.0};
    struct lay_train_loss loss = {0};
    const double start = lay_clock_now();
    LAY_TRY(lay_trainable_accumulate(t->trainable, t->samples, (size_t)t->cell->batch, &options, &loss, err));
    lay_trainable_collect(t->trainable, 1.0 / (double)loss.tokens);
    LAY_TRY(lay_trainable_refresh(t->trainable, err));
    *seconds = lay_clock_now() - start;
    *rows = loss.rows;
    if (t->cell->stop && *t->cell->stop)
        return lay_fail(err, LAY_ERR_INTERRUPTED, "interrupted");
    return LAY_OK;
}

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static enum lay_status repeat(struct training *t, struct lay_train_row *row, struct lay_err *err)
{
    const int64_t n = t->cell->repetitions;
    double *seconds = lay_alloc((size_t)n, sizeof *seconds);
    if (!seconds)
        return lay_no_memory(err, "the results");
    enum lay_status status = LAY_OK;
    for (int64_t i = -t->cell->warm_up; i < n && status == LAY_OK; i++)
        status = step(t, &row->rows, &seconds[i < 0 ? 0 : i], err);
    qsort(seconds, (size_t)n, sizeof *seconds, by_size);
    row->seconds = n % 2 ? seconds[n / 2] : 0.5 * (seconds[n / 2 - 1] + seconds[n / 2]);
    lay_free(seconds);
    return status;
}

/* --- the bound --- */

/* Forward, dx = dy W and dW = dyᵀ x: which of them a list's products cannot do without. */
enum { FORWARD = 1, INPUTS = 2, WEIGHTS = 4 };

static enum lay_status add_products(struct lay_bounds *bounds, const struct lay_product_list *list,
                                    int64_t rows, int passes, double *seconds, struct lay_err *err)
{
    struct lay_product_list turned = *list;
    double forward = 0, inputs = 0;
    for (int i = 0; i < turned.count; i++) {
        turned.items[i].in = list->items[i].out;
        turned.items[i].out = list->items[i].in;
    }
    LAY_TRY(lay_bound_seconds(bounds, list, (double)rows, rows, &forward, err));
    if (passes & INPUTS)
        LAY_TRY(lay_bound_seconds(bounds, &turned, (double)rows, rows, &inputs, err));
    *seconds += forward + inputs + (passes & WEIGHTS ? forward : 0); /* as many operations */
    return LAY_OK;
}

/* The encoder is frozen: nobody asks for the gradient of what goes into the mapping. The adapter's keys and
 * values come from the LLM's frozen projections. */
static enum lay_status add_bridge(struct training *t, struct lay_bounds *bounds, int64_t rows,
                                  double *seconds, struct lay_err *err)
{
    const struct lay_llm_config *llm = &t->configs.llm;
    const bool layalign = t->parts.bridge_options.method == LAY_LAYALIGN;
    const struct lay_product_list all =
        lay_products_aligner(&t->configs.encoder, llm, layalign ? llm->num_hidden_layers : 0, true);
    for (int i = 0; i < all.count; i++) {
        const struct lay_product_list one = {{all.items[i]}, 1};
        const bool first = strcmp(all.items[i].name, "mapping_in") == 0,
                   frozen = strcmp(all.items[i].name, "adapter_kv") == 0;
        const int passes = FORWARD | (first ? 0 : INPUTS) | (frozen ? 0 : WEIGHTS);
        LAY_TRY(add_products(bounds, &one, rows, passes, seconds, err));
    }
    return LAY_OK;
}

static enum lay_status measure_bound(struct training *t, struct lay_bounds *bounds, struct lay_train_row *row,
                                     struct lay_err *err)
{
    const struct lay_train_cell *c = t->cell;
    const int passes = FORWARD | INPUTS | (t->options.train_llm ? WEIGHTS : 0);
    const struct lay_product_list body = lay_products_llm(&t->configs.llm),
                                  head = lay_products_head(&t->configs.llm);
    LAY_TRY(add_products(bounds, &body, row->rows, passes, &row->bound, err));
    LAY_TRY(add_products(bounds, &head, c->batch * c->target, passes, &row->bound, err));
    if (!t->options.train_bridge)
        return LAY_OK;
    const struct lay_product_list encoder = lay_products_encoder(&t->configs.encoder);
    LAY_TRY(add_products(bounds, &encoder, c->batch * c->source, FORWARD, &row->bound, err));
    return add_bridge(t, bounds, c->batch * c->source, &row->bound, err);
}

static enum lay_status bound_of(struct training *t, struct lay_train_row *row, struct lay_err *err)
{
    struct lay_bounds *bounds = NULL;
    row->bound = 0;
    if (t->cell->bound_seconds <= 0)
        return LAY_OK;
    LAY_TRY(lay_bounds_create(row->dtype, t->cell->bound_seconds, t->cell->bound_pool, &bounds, err));
    const enum lay_status status = measure_bound(t, bounds, row, err);
    row->steadiness = lay_bounds_steadiness(bounds);
    lay_bounds_destroy(bounds);
    return status;
}

static enum lay_status plan(struct training *t, void (*say)(const char *plan), struct lay_train_row *row,
                            struct lay_err *err)
{
    struct lay_train_plan plan;
    struct lay_str text = {0};
    const enum lay_status status = lay_trainable_plan(&t->parts, &t->options, &plan, &text, err);
    if (status == LAY_OK && say)
        say(lay_str_text(&text));
    lay_str_free(&text);
    row->planned = plan.total;
    row->kept_layers = plan.kept_layers;
    row->layers = t->configs.llm.num_hidden_layers;
    return status;
}

static enum lay_status measure(struct training *t, const struct lay_subject_source *source,
                               void (*say)(const char *plan), struct lay_train_row *row, struct lay_err *err)
{
    struct lay_sampler *sampler;
    LAY_TRY(prepare(t, source, row->dtype, err));
    LAY_TRY(check_sizes(t, err));
    snprintf(row->name, sizeof row->name, "%s", t->subject.name);
    LAY_TRY(plan(t, say, row, err));
    LAY_TRY(make_samples(t, err));
    LAY_TRY(lay_sampler_start(&sampler, err));
    enum lay_status status = lay_trainable_create(&t->parts, &t->options, &t->trainable, err);
    if (status == LAY_OK)
        status = repeat(t, row, err);
    const size_t peak = lay_sampler_stop(sampler);
    row->peak = peak > t->subject.table_bytes ? peak - t->subject.table_bytes : 0;
    lay_trainable_destroy(t->trainable);
    t->trainable = NULL;
    return status == LAY_OK ? bound_of(t, row, err) : status;
}

enum lay_status lay_measure_training(const struct lay_subject_source *source, enum lay_dtype dtype,
                                     const struct lay_train_cell *cell, void (*say)(const char *plan),
                                     struct lay_train_row *row, struct lay_err *err)
{
    struct training t = {.cell = cell};
    *row = (struct lay_train_row){.dtype = dtype, .cell = *cell};
    omp_set_num_threads(cell->threads);
    const enum lay_status status = measure(&t, source, say, row, err);
    lay_subject_close(&t.subject);
    lay_free(t.ids);
    lay_free(t.samples);
    return status;
}

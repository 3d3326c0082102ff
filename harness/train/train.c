#include "harness/train/train.h"

#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "engine/base/random.h"
#include "engine/dnn/linear.h"
#include "engine/train/order.h"
#include "harness/run/manifest.h"
#include "harness/run/rundir.h"
#include "harness/run/signals.h"
#include "harness/run/timing.h"
#include "harness/train/describe.h"
#include "harness/train/display.h"
#include "harness/train/history.h"
#include "harness/train/parts.h"
#include "harness/train/samples.h"
#include "harness/train/state.h"

#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <string.h>

#define CALL_ROWS 8192 /* tokens of one call of the engine at least: a stop is heard between calls */
#define LAST "last"    /* checkpoints in --out */
#define BEST "best"
#define NAMES_SHOWN 3 /* samples that a message names */

struct trainer {
    const struct lay_train_options *options;
    struct lay_train_parts parts;
    struct lay_prompt_set *prompts;
    struct lay_train_samples samples;
    struct lay_schedule schedule;
    struct lay_rundir *dir;
    struct lay_training *history;
    struct lay_trainable *trainable;
    struct lay_train_state state;
    struct lay_train_display display;
    struct lay_timing timing;
    int64_t epoch_steps;            /* optimiser steps of an epoch; the last batch may be smaller */
    int64_t order_epoch;            /* what `order` belongs to; −1: nothing yet */
    uint32_t *order;                /* [n_train] */
    bool unsaved;                   /* the state on the disk is older than this one */
    struct lay_train_sample *batch; /* [options->batch] or dev samples of a call */
    double *losses;                 /* [options->batch] of each sample */
};

/* --- one step --- */

static int64_t tokens_of(const struct lay_train_sample *sample)
{
    return sample->n_source + sample->n_prompt + sample->n_target;
}

/* The samples of step `step` (from 0); returns how many. */
static enum lay_status take_batch(struct trainer *t, int64_t step, size_t *count, struct lay_err *err)
{
    const int64_t epoch = step / t->epoch_steps;
    const size_t first = (size_t)(step % t->epoch_steps) * (size_t)t->options->batch;
    if (!t->order && !(t->order = lay_alloc(t->samples.n_train, sizeof *t->order)))
        return lay_no_memory(err, "the order of samples");
    if (t->order_epoch != epoch)
        lay_train_samples_order(&t->samples, (uint64_t)t->options->seed, epoch, t->order);
    t->order_epoch = epoch;
    const size_t left = t->samples.n_train - first;
    *count = left < (size_t)t->options->batch ? left : (size_t)t->options->batch;
    const uint64_t noise = ~lay_random_state((uint64_t)t->options->seed, (uint64_t)step);
    for (size_t i = 0; i < *count; i++) {
        t->batch[i] = t->samples.items[t->order[first + i]];
        t->batch[i].noise = lay_random_mix(noise + (t->order[first + i] + 1) * LAY_RANDOM_STEP);
    }
    return LAY_OK;
}

static bool stopped(struct lay_err *err)
{
    if (!lay_signals_stop)
        return false;
    (void)lay_fail(err, LAY_ERR_INTERRUPTED, "stopped");
    return true;
}

/* The token mean over the batch: calls of at least CALL_ROWS tokens, whose split changes nothing. */
static enum lay_status accumulate_mean(struct trainer *t, size_t count, struct lay_train_loss *loss,
                                       struct lay_err *err)
{
    for (size_t first = 0; first < count;) {
        size_t n = 0;
        int64_t rows = 0;
        for (; first + n < count && rows < CALL_ROWS; n++)
            rows += tokens_of(&t->batch[first + n]);
        const struct lay_accumulate_options options = {.weight = 1, .sample_loss = t->losses + first};
        LAY_TRY(lay_trainable_accumulate(t->trainable, t->batch + first, n, &options, loss, err));
        if (stopped(err))
            return LAY_ERR_INTERRUPTED;
        first += n;
    }
    lay_trainable_collect(t->trainable, 1.0 / (double)loss->tokens);
    return LAY_OK;
}

/* The official mean of micro-batch means; *mean gets it, `loss` the sums. */
static enum lay_status accumulate_official(struct trainer *t, size_t count, struct lay_train_loss *loss,
                                           double *mean, struct lay_err *err)
{
    const size_t size = (size_t)t->options->official_micro_batch, groups = (count + size - 1) / size;
    *mean = 0;
    for (size_t first = 0; first < count; first += size) {
        const size_t n = count - first < size ? count - first : size;
        struct lay_train_loss group = {0};
        int64_t tokens = 0;
        for (size_t i = 0; i < n; i++)
            tokens += t->batch[first + i].n_target;
        const struct lay_accumulate_options options = {
            .weight = 1.0 / (double)tokens, .official_padding = true, .sample_loss = t->losses + first};
        LAY_TRY(lay_trainable_accumulate(t->trainable, t->batch + first, n, &options, &group, err));
        if (stopped(err))
            return LAY_ERR_INTERRUPTED;
        *mean += group.sum / (double)tokens / (double)groups;
        loss->sum += group.sum;
        loss->tokens += group.tokens;
        loss->rows += group.rows;
    }
    lay_trainable_collect(t->trainable, 1.0 / (double)groups);
    return LAY_OK;
}

/* Names the samples whose own loss is no number; with none, a gradient is. */
static enum lay_status broken(struct trainer *t, int64_t step, size_t count, struct lay_err *err)
{
    struct lay_str names = {0};
    size_t bad = 0;
    const size_t first = (size_t)(step % t->epoch_steps) * (size_t)t->options->batch;
    for (size_t i = 0; i < count; i++)
        bad += isfinite(t->losses[i]) ? 0 : 1;
    for (size_t i = 0, shown = 0; i < count && shown < NAMES_SHOWN; i++) {
        char name[200];
        if (bad && isfinite(t->losses[i]))
            continue;
        const struct lay_train_item *item = &t->samples.set.items[t->order[first + i]];
        lay_str_printf(&names, "%s%s", shown++ ? ", " : "",
                       lay_train_item_name(&t->samples.set, item, name, sizeof name));
    }
    char kept[120] = "no checkpoint had been saved";
    if (t->state.saved >= 0)
        snprintf(kept, sizeof kept, "the last good checkpoint is that of step %lld",
                 (long long)t->state.saved);
    const enum lay_status status =
        lay_fail(err, LAY_ERR_INPUT,
                 "step %lld: the %s is not finite (samples %s%s); %s; try a lower --lr or a --clip",
                 (long long)step + 1, bad ? "loss" : "gradient", lay_str_text(&names),
                 (bad ? bad : count) > NAMES_SHOWN ? ", …" : "", kept);
    lay_str_free(&names);
    return status;
}

static double gradient_norm(const struct trainer *t)
{
    double sum = 0;
    for (size_t i = 0; i < lay_trainable_count(t->trainable); i++) {
        const struct lay_parameter *p = lay_trainable_parameter(t->trainable, i);
        sum += lay_sum_of_squares(p->gradient, p->count);
    }
    return sqrt(sum);
}

static void update(struct trainer *t, int64_t step, double rate, double norm)
{
    const double factor = lay_clip_factor(norm, t->options->clip);
    for (size_t i = 0; i < lay_trainable_count(t->trainable); i++) {
        const struct lay_parameter *p = lay_trainable_parameter(t->trainable, i);
        for (size_t j = 0; factor < 1 && j < p->count; j++)
            p->gradient[j] *= (float)factor;
        lay_adamw_step(&t->options->adamw, rate, step + 1, p->count, p->gradient, p->value, t->state.first[i],
                       t->state.second[i]);
    }
}

static enum lay_status take_step(struct trainer *t, int64_t step, struct lay_err *err)
{
    size_t count;
    struct lay_train_loss loss = {0};
    struct lay_train_row row = {.step = (double)step + 1, .dev_loss = NAN};
    LAY_TRY(take_batch(t, step, &count, err));
    if (t->options->official_micro_batch)
        LAY_TRY(accumulate_official(t, count, &loss, &row.loss, err));
    else
        LAY_TRY(accumulate_mean(t, count, &loss, err));
    if (!t->options->official_micro_batch)
        row.loss = loss.sum / (double)loss.tokens;
    row.gradient_norm = gradient_norm(t);
    if (!isfinite(row.loss) || !isfinite(row.gradient_norm))
        return broken(t, step, count, err);
    row.learning_rate = lay_schedule_rate(&t->schedule, step);
    update(t, step, row.learning_rate, row.gradient_norm);
    LAY_TRY(lay_trainable_refresh(t->trainable, err));
    const size_t before = (size_t)(step / t->epoch_steps) * t->samples.n_train;
    row.samples = (double)(before + (size_t)(step % t->epoch_steps) * (size_t)t->options->batch + count);
    row.epoch = row.samples / (double)t->samples.n_train;
    row.tokens = (double)loss.tokens;
    t->timing.samples += count;
    t->timing.output_tokens += loss.tokens;
    lay_timing_sample(&t->timing);
    LAY_TRY(lay_train_log_add(&t->state.log, &row, err));
    t->unsaved = true;
    lay_train_display_step(&t->display, &row, loss.rows + loss.source_tokens);
    return LAY_OK;
}

/* --- what happens between steps --- */

static enum lay_status dev_loss(struct trainer *t, double *mean, struct lay_err *err)
{
    struct lay_train_loss loss = {0};
    const size_t size = (size_t)t->options->batch;
    for (size_t first = 0; first < t->samples.n_dev; first += size) {
        const size_t n = t->samples.n_dev - first < size ? t->samples.n_dev - first : size;
        for (size_t i = 0; i < n; i++)
            t->batch[i] = t->samples.items[t->samples.order[first + i]];
        const struct lay_accumulate_options options = {.weight = 1};
        LAY_TRY(lay_trainable_loss(t->trainable, t->batch, n, &options, &loss, err));
        if (stopped(err))
            return LAY_ERR_INTERRUPTED;
    }
    *mean = loss.sum / (double)loss.tokens;
    return LAY_OK;
}

static enum lay_status save_models(struct trainer *t, const char *name, struct lay_err *err)
{
    const struct lay_train_save save = lay_train_parts_save(&t->parts, t->options, t->trainable);
    char *dir = lay_path_join(t->options->out, name);
    enum lay_status status = dir ? lay_train_save(&save, dir, err) : lay_no_memory(err, "a path");
    if (status == LAY_OK && t->parts.train_bridge)
        status = lay_train_history_save(t->history, &t->state.log, dir, err);
    lay_free(dir);
    return status;
}

/* Checkpoint first, state last: a run killed in between goes on from the older state and writes the same
 * checkpoint again. */
static enum lay_status save_all(struct trainer *t, struct lay_err *err)
{
    if (!t->unsaved)
        return LAY_OK;
    LAY_TRY(save_models(t, LAST, err));
    LAY_TRY(lay_train_log_write(&t->state.log, t->options->out, t->parts.file.name, err));
    LAY_TRY(lay_train_state_save(&t->state, t->options->out, err));
    t->unsaved = false;
    return LAY_OK;
}

/* Dev loss and checkpoints that are due after the last step taken, unless they are there already. */
static enum lay_status after_step(struct trainer *t, struct lay_err *err)
{
    const int64_t dev_every = t->options->dev_every ? t->options->dev_every : t->epoch_steps;
    const int64_t save_every = t->options->save_every ? t->options->save_every : t->epoch_steps;
    const int64_t done = (int64_t)t->state.log.count;
    const bool last = done == t->schedule.steps;
    struct lay_train_row *row = &t->state.log.rows[done - 1];
    if (t->samples.n_dev && isnan(row->dev_loss) && (last || done % dev_every == 0)) {
        LAY_TRY(dev_loss(t, &row->dev_loss, err));
        t->unsaved = true;
        lay_train_display_dev(&t->display, row);
        if (row->dev_loss < t->state.best) {
            t->state.best = row->dev_loss;
            LAY_TRY(save_models(t, BEST, err));
        }
    }
    return last || done % save_every == 0 ? save_all(t, err) : LAY_OK;
}

static enum lay_status loop(struct trainer *t, struct lay_err *err)
{
    enum lay_status status = LAY_OK;
    lay_train_display_start(&t->display, &t->schedule, (int64_t)t->state.log.count, t->options->quiet);
    if (t->state.log.count) /* stopped while measuring the dev loss */
        status = after_step(t, err);
    for (int64_t step = (int64_t)t->state.log.count; step < t->schedule.steps && status == LAY_OK; step++) {
        status = take_step(t, step, err);
        if (status == LAY_OK)
            status = after_step(t, err);
    }
    lay_train_display_end(&t->display);
    return status;
}

/* An interrupted step leaves values as they were, so the state is that of the last complete step. */
static enum lay_status interrupted(struct trainer *t, struct lay_err *err)
{
    struct lay_err inner = {0};
    const enum lay_status status = save_all(t, &inner);
    if (status != LAY_OK)
        return lay_fail(err, status, "%s", inner.message);
    return lay_fail(err, LAY_ERR_INTERRUPTED,
                    "stopped after step %zu of %lld, which is saved in %s; the same command goes on",
                    t->state.log.count, (long long)t->schedule.steps, t->options->out);
}

/* --- before the first step --- */

static enum lay_status plan_steps(struct trainer *t, struct lay_err *err)
{
    const struct lay_train_options *o = t->options;
    const uint64_t batch = (uint64_t)o->batch;
    t->epoch_steps = (int64_t)((t->samples.n_train + batch - 1) / batch);
    t->schedule = o->schedule;
    t->schedule.steps = o->steps ? o->steps : o->epochs * t->epoch_steps;
    t->schedule.warm_up = (int64_t)((double)t->schedule.steps * o->warm_up);
    t->order_epoch = -1;
    t->batch = lay_alloc((size_t)o->batch, sizeof *t->batch);
    t->losses = lay_alloc((size_t)o->batch, sizeof *t->losses);
    return t->batch && t->losses ? LAY_OK : lay_no_memory(err, "a batch");
}

static enum lay_status print_plan(struct trainer *t, struct lay_err *err)
{
    const struct lay_trainable_parts parts = lay_train_parts_of(&t->parts);
    const struct lay_trainable_options options = lay_train_parts_options(&t->parts, t->options);
    FILE *stream = t->options->dry_run ? stdout : stderr;
    struct lay_train_plan plan;
    struct lay_str text = {0};
    const enum lay_status status = lay_trainable_plan(&parts, &options, &plan, &text, err);
    if (status == LAY_OK && (t->options->dry_run || !t->options->quiet)) {
        fprintf(stream, "%s: %zu samples", t->parts.file.name, t->samples.n_train);
        if (t->samples.n_dev)
            fprintf(stream, ", %zu more for the dev loss", t->samples.n_dev);
        if (t->samples.cut)
            fprintf(stream, ", %lld sources and prompts cut to their limits", (long long)t->samples.cut);
        fprintf(stream, "; %lld steps of %lld samples\n%s\n", (long long)t->schedule.steps,
                (long long)t->options->batch, lay_str_text(&text));
    }
    lay_str_free(&text);
    return status;
}

/* Gives `stored` the name that the system has now; nothing depends on it. */
static enum lay_status rename_system(cJSON *stored, const cJSON *wanted, bool *renamed, struct lay_err *err)
{
    cJSON *name =
        cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(stored, "system"), "name");
    const char *now = cJSON_GetStringValue(
        cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(wanted, "system"), "name"));
    *renamed = now && cJSON_IsString(name) && strcmp(name->valuestring, now) != 0;
    return !*renamed || cJSON_SetValuestring(name, now) ? LAY_OK : lay_no_memory(err, "a manifest");
}

static enum lay_status compare_manifests(const char *dir, const cJSON *wanted, struct lay_err *err)
{
    char hash[LAY_HASH_HEX];
    cJSON *stored;
    bool renamed;
    LAY_TRY(lay_manifest_read(dir, &stored, hash, err));
    enum lay_status status = rename_system(stored, wanted, &renamed, err);
    if (status == LAY_OK)
        status = lay_manifest_compare(dir, stored, wanted, false, err);
    if (status == LAY_OK && renamed)
        status = lay_manifest_write(dir, wanted, hash, err);
    cJSON_Delete(stored);
    return status;
}

/* Refuses another training's directory; a new manifest is written once the models are loaded, so that a
 * refusal by those leaves none that the corrected command would not fit. */
static enum lay_status check_manifest(struct trainer *t, bool loaded, struct lay_err *err)
{
    char hash[LAY_HASH_HEX];
    cJSON *wanted = NULL;
    const char *dir = t->options->out;
    char *path = lay_path_join(dir, LAY_MANIFEST_FILE);
    enum lay_status status =
        path ? lay_train_describe(t->options, &t->parts, t->prompts, &t->samples, &t->schedule, &wanted, err)
             : lay_no_memory(err, "a path");
    if (status == LAY_OK && lay_path_exists(path))
        status = compare_manifests(dir, wanted, err);
    else if (status == LAY_OK && lay_train_state_exists(dir))
        status =
            lay_fail(err, LAY_ERR_INPUT,
                     "%s: holds the state of a training without its %s, so nothing says which; name another "
                     "--out or remove that directory",
                     dir, LAY_MANIFEST_FILE);
    else if (status == LAY_OK && loaded)
        status = lay_manifest_write(dir, wanted, hash, err);
    cJSON_Delete(wanted);
    lay_free(path);
    return status;
}

static enum lay_status open_all(struct trainer *t, struct lay_err *err)
{
    LAY_TRY(lay_languages_load(NULL, err));
    LAY_TRY(lay_train_parts_open(t->options, &t->parts, err));
    const char *named = t->parts.file.prompt_set[0] ? t->parts.file.prompt_set : "mindmerger";
    LAY_TRY(lay_prompt_set_open(NULL, t->options->prompts ? t->options->prompts : named, &t->prompts, err));
    LAY_TRY(lay_train_samples_read(t->options, &t->parts, t->prompts, &t->samples, err));
    LAY_TRY(plan_steps(t, err));
    LAY_TRY(lay_train_history_open(t->options, &t->schedule, &t->history, err));
    return print_plan(t, err);
}

static enum lay_status train(struct trainer *t, struct lay_err *err)
{
    const struct lay_trainable_parts parts = lay_train_parts_of(&t->parts);
    const struct lay_trainable_options options = lay_train_parts_options(&t->parts, t->options);
    LAY_TRY(lay_rundir_open(t->options->out, &t->dir, err));
    LAY_TRY(lay_rundir_clear(t->options->out, LAST, err));
    LAY_TRY(lay_rundir_clear(t->options->out, BEST, err));
    LAY_TRY(check_manifest(t, false, err));
    LAY_TRY(lay_trainable_create(&parts, &options, &t->trainable, err));
    LAY_TRY(check_manifest(t, true, err));
    LAY_TRY(lay_train_state_begin(t->trainable, &t->state, err));
    LAY_TRY(lay_train_state_load(&t->state, t->options->out, err));
    LAY_TRY(lay_trainable_refresh(t->trainable, err));
    if ((int64_t)t->state.log.count >= t->schedule.steps && !t->options->quiet)
        fprintf(stderr, "%s: complete, %zu steps\n", t->options->out, t->state.log.count);
    lay_timing_start(&t->timing);
    lay_signals_defer(true);
    enum lay_status status = loop(t, err);
    if (status == LAY_ERR_INTERRUPTED)
        status = interrupted(t, err);
    lay_signals_defer(false);
    const struct lay_timing_context context = {.batch_size = t->options->batch,
                                               .threads = omp_get_max_threads(),
                                               .complete = (int64_t)t->state.log.count >= t->schedule.steps};
    if (t->timing.samples && (status == LAY_OK || status == LAY_ERR_INTERRUPTED)) {
        const enum lay_status written = lay_timing_write(&t->timing, &context, t->options->out, err);
        status = written == LAY_OK ? status : written;
    }
    return status;
}

enum lay_status lay_train(const struct lay_train_options *options, struct lay_err *err)
{
    struct trainer t = {.options = options};
    lay_signals_install();
    enum lay_status status = open_all(&t, err);
    if (status == LAY_OK && !options->dry_run)
        status = train(&t, err);
    lay_train_state_free(&t.state);
    lay_trainable_destroy(t.trainable);
    lay_rundir_close(t.dir);
    lay_train_samples_free(&t.samples);
    lay_prompt_set_close(t.prompts);
    lay_train_parts_close(&t.parts);
    lay_free(t.history);
    lay_free(t.order);
    lay_free(t.batch);
    lay_free(t.losses);
    return status;
}

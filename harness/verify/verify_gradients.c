#include "harness/verify/verify.h"

#include "engine/base/mem.h"
#include "engine/train/trainable.h"

#include <stdio.h>
#include <string.h>

enum { ENCODER, LLM, BRIDGE };

static bool expects(const struct lay_verify_case *c, const char *start, const char *end)
{
    const size_t length = strlen(start), tail = strlen(end);
    for (size_t i = 0; i < lay_checkpoint_count(c->expected); i++) {
        const char *name = lay_checkpoint_at(c->expected, i)->name;
        const size_t n = strlen(name);
        if (strncmp(name, start, length) == 0 && n >= length + tail && strcmp(name + n - tail, end) == 0)
            return true;
    }
    return false;
}

/* The same models, built to learn. LangBridge's official configuration trains the head, too. */
static enum lay_status build(const struct lay_verify_case *c, const struct lay_verify_form *form,
                             const struct lay_verify_models *m, bool head, struct lay_trainable **trainable,
                             struct lay_err *err)
{
    struct lay_llm_config llm = m->llm_config;
    if (c->bos >= 0)
        llm.bos_id = (int32_t)c->bos;
    const bool plain = c->bridge.method == LAY_PLAIN;
    const struct lay_trainable_parts parts = {.llm_config = &llm,
                                              .encoder_config = plain ? NULL : &m->encoder_config,
                                              .llm = m->checkpoints[LLM],
                                              .encoder = m->checkpoints[ENCODER],
                                              .bridge = m->checkpoints[BRIDGE],
                                              .bridge_options = c->bridge,
                                              .no_copies = !form->own_copies};
    const struct lay_trainable_options options = {
        .compute = m->dtype, .train_bridge = !plain, .train_llm = plain, .train_head = head};
    return lay_trainable_create(&parts, &options, trainable, err);
}

/* Prompt, then target; what follows the last target has no part in the loss (LangBridge leaves the eos out).
 * False when other tokens stand between targets. */
static bool sample_of(const struct lay_verify_inputs *in, int64_t b, struct lay_train_sample *sample)
{
    const bool *is_target = in->is_target + b * in->max_text;
    int64_t prompt = 0, end = 0, targets = 0;
    for (int64_t t = 0; t < in->n_text[b]; t++) {
        if (!is_target[t])
            continue;
        prompt = targets++ == 0 ? t : prompt;
        end = t + 1;
    }
    const int32_t *text = in->text + b * in->max_text;
    *sample = (struct lay_train_sample){.source = in->source + b * in->n,
                                        .prompt = text,
                                        .target = text + prompt,
                                        .n_source = in->n > 0 ? in->valid[b] : 0,
                                        .n_prompt = prompt,
                                        .n_target = targets};
    return targets > 0 && end - prompt == targets;
}

/* [n] as T = n; [a, b] as B = a, T = b; [a, b, c] with width c. */
static enum lay_status add_gradient(const struct lay_verify_case *c, const struct lay_parameter *p,
                                    bool comparable, struct lay_verify_result **results, struct lay_err *err)
{
    struct lay_verify_result *r = lay_alloc(1, sizeof *r);
    if (!r)
        return lay_no_memory(err, "a result");
    const char *official = p->module != LAY_MODULE_LLM          ? ""
                           : c->bridge.method == LAY_LANGBRIDGE ? "lb."
                           : c->bridge.method == LAY_LAYALIGN   ? "model_llm.model."
                                                                : "";
    snprintf(r->name, sizeof r->name, "grad.%s%s", official, p->name);
    r->B = p->rank > 1 ? p->shape[0] : 1;
    r->T = p->rank > 1 ? p->shape[1] : p->shape[0];
    r->width = p->rank > 2 ? p->shape[2] : 1;
    r->next = *results;
    *results = r;
    r->data = lay_alloc(p->count, sizeof *r->data);
    r->rows = lay_alloc((size_t)(r->B * r->T), sizeof *r->rows);
    if (!r->data || !r->rows)
        return lay_no_memory(err, "a result");
    memcpy(r->data, p->gradient, p->count * sizeof *r->data);
    for (int64_t i = 0; i < r->B * r->T; i++)
        r->rows[i] = comparable ? i : -1;
    return LAY_OK;
}

/* The official loss: the mean over the tokens of one padded batch. */
static enum lay_status differentiate(struct lay_trainable *t, const struct lay_train_sample *samples,
                                     size_t n, struct lay_err *err)
{
    struct lay_train_loss loss = {0};
    int64_t tokens = 0;
    for (size_t i = 0; i < n; i++)
        tokens += samples[i].n_target;
    const struct lay_accumulate_options options = {.weight = 1.0 / (double)tokens, .official_padding = true};
    LAY_TRY(lay_trainable_refresh(t, err));
    LAY_TRY(lay_trainable_accumulate(t, samples, n, &options, &loss, err));
    lay_trainable_collect(t, 1.0);
    return LAY_OK;
}

/* LangBridge's positions count masked pads, so a padded batch has other gradients there. */
static bool has_gaps(const struct lay_verify_case *c, const struct lay_verify_inputs *in)
{
    for (int64_t b = 0; c->bridge.method == LAY_LANGBRIDGE && b < in->B; b++)
        if (in->valid[b] < in->n)
            return true;
    return false;
}

static enum lay_status run(const struct lay_verify_case *c, struct lay_trainable *t,
                           const struct lay_verify_inputs *in, struct lay_train_sample *samples,
                           struct lay_verify_result **results, struct lay_err *err)
{
    for (int64_t b = 0; b < in->B; b++)
        if (!sample_of(in, b, &samples[b]))
            return LAY_OK;
    LAY_TRY(differentiate(t, samples, (size_t)in->B, err));
    for (size_t i = 0; i < lay_trainable_count(t); i++)
        LAY_TRY(add_gradient(c, lay_trainable_parameter(t, i), !has_gaps(c, in), results, err));
    return LAY_OK;
}

enum lay_status lay_verify_gradients(const struct lay_verify_case *c, const struct lay_verify_form *form,
                                     struct lay_verify_models *models, const struct lay_verify_inputs *inputs,
                                     struct lay_verify_result **results, struct lay_err *err)
{
    char start[3 * LAY_VERIFY_NAME];
    snprintf(start, sizeof start, "%s%sgrad.", form->keys, inputs->prefix);
    if (!inputs->training || models->dtype == LAY_I8 || !expects(c, start, ""))
        return LAY_OK;
    if (!models->trainable)
        LAY_TRY(build(c, form, models, expects(c, start, "lm_head.weight"), &models->trainable, err));
    struct lay_train_sample *samples = lay_alloc((size_t)inputs->B, sizeof *samples);
    if (!samples)
        return lay_no_memory(err, "training samples");
    const enum lay_status status = run(c, models->trainable, inputs, samples, results, err);
    lay_free(samples);
    return status;
}

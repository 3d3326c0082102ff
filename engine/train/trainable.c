#include "engine/train/state.h"

#include "engine/base/mem.h"
#include "engine/base/memory_info.h"

#include <string.h>

enum { ENCODER, LLM, BRIDGE };

/* --- creation --- */

static enum lay_status check_options(const struct lay_trainable_parts *parts,
                                     const struct lay_trainable_options *o, struct lay_err *err)
{
    const bool plain = parts->bridge_options.method == LAY_PLAIN;
    if (plain && (o->train_bridge || o->train_encoder))
        return lay_fail(err, LAY_ERR_INPUT, "an LLM alone has neither bridge nor encoder to train");
    if (!o->train_bridge && !o->train_llm && !o->train_encoder && !o->train_head)
        return lay_fail(err, LAY_ERR_INPUT, "nothing is to be trained: all parts are frozen");
    if (parts->llm_config->bos_id < 0)
        return lay_fail(err, LAY_ERR_INPUT,
                        "the LLM's configuration names no bos_token_id, with which every "
                        "row starts");
    if (o->train_encoder)
        return lay_encoder_check_trainable(parts->encoder_config, err);
    return LAY_OK;
}

static enum lay_status open_weights(struct lay_trainable *t, const struct lay_trainable_parts *parts,
                                    struct lay_err *err)
{
    for (int i = 0; i < 3; i++)
        LAY_TRY(lay_weights_create(&t->weights[i], err));
    const struct lay_checkpoint *copies = parts->no_copies ? NULL : parts->bridge;
    LAY_TRY(lay_llm_sources(t->weights[LLM], t->method, parts->llm, copies, err));
    if (t->method == LAY_PLAIN)
        return LAY_OK;
    LAY_TRY(lay_encoder_sources(t->weights[ENCODER], t->method, parts->encoder, copies, err));
    return lay_bridge_sources(t->weights[BRIDGE], t->method, parts->bridge, err);
}

static enum lay_status load_bridge(struct lay_trainable *t, const struct lay_trainable_parts *parts,
                                   struct lay_err *err)
{
    const struct lay_bridge_learner_options options = {.bridge = &parts->bridge_options,
                                                       .train = t->options.train_bridge,
                                                       .no_soft_prompt = t->options.no_soft_prompt,
                                                       .dropout = t->options.dropout};
    LAY_TRY(lay_bridge_learner_create(&t->learning, &options, t->weights[BRIDGE], &t->encoder_config,
                                      &t->llm_config, &t->bridge, err));
    t->n_hidden = t->encoder_config.num_hidden_layers + 1;
    const size_t n = (size_t)t->n_hidden;
    t->states = lay_alloc(n, sizeof *t->states);
    t->dstates = lay_alloc(n, sizeof *t->dstates);
    t->hidden = lay_alloc(n, sizeof *t->hidden);
    t->dhidden = lay_alloc(n, sizeof *t->dhidden);
    return t->states && t->dstates && t->hidden && t->dhidden ? LAY_OK : lay_no_memory(err, "encoder states");
}

static enum lay_status build(struct lay_trainable *t, const struct lay_trainable_parts *parts,
                             struct lay_err *err)
{
    struct lay_train_plan plan;
    LAY_TRY(lay_trainable_plan(parts, &t->options, &plan, NULL, err));
    LAY_TRY(lay_dnn_create(&t->dnn, err));
    t->learning = (struct lay_learning){
        .dnn = t->dnn, .compute = t->options.compute, .keep_transposed = plan.keep_transposed};
    LAY_TRY(open_weights(t, parts, err));
    if (t->method != LAY_PLAIN)
        LAY_TRY(load_bridge(t, parts, err));
    const struct lay_llm_learner_options llm = {t->options.train_llm, t->options.train_head,
                                                plan.kept_layers};
    LAY_TRY(lay_llm_learner_create(&t->learning, &t->llm_config, t->weights[LLM], &llm, &t->llm, err));
    if (t->method == LAY_PLAIN)
        return LAY_OK;
    return lay_encoder_learner_create(&t->learning, &t->encoder_config, t->weights[ENCODER],
                                      t->options.train_encoder, &t->encoder, err);
}

/* Options and configurations; nothing is loaded. */
static enum lay_status begin(const struct lay_trainable_parts *parts,
                             const struct lay_trainable_options *options, struct lay_trainable **trainable,
                             struct lay_err *err)
{
    LAY_TRY(check_options(parts, options, err));
    struct lay_trainable *t = lay_alloc(1, sizeof *t);
    if (!t)
        return lay_no_memory(err, "a trainable model");
    *trainable = t;
    t->options = *options;
    t->options.rows = options->rows > 0 ? options->rows : LAY_TRAIN_ROWS;
    t->options.source_rows = options->source_rows > 0 ? options->source_rows : t->options.rows;
    t->method = parts->bridge_options.method;
    t->llm_config = *parts->llm_config;
    if (t->method != LAY_PLAIN)
        t->encoder_config = *parts->encoder_config;
    return LAY_OK;
}

enum lay_status lay_trainable_create(const struct lay_trainable_parts *parts,
                                     const struct lay_trainable_options *options,
                                     struct lay_trainable **trainable, struct lay_err *err)
{
    *trainable = NULL;
    LAY_TRY(begin(parts, options, trainable, err));
    const enum lay_status status = build(*trainable, parts, err);
    if (status != LAY_OK) {
        lay_trainable_destroy(*trainable);
        *trainable = NULL;
    }
    return status;
}

enum lay_status lay_trainable_try_bridge(const struct lay_trainable_parts *parts,
                                         const struct lay_trainable_options *options, struct lay_err *err)
{
    struct lay_trainable *t;
    LAY_TRY(begin(parts, options, &t, err));
    enum lay_status status = lay_dnn_create(&t->dnn, err);
    t->learning = (struct lay_learning){.dnn = t->dnn, .compute = options->compute};
    if (status == LAY_OK)
        status = open_weights(t, parts, err);
    if (status == LAY_OK)
        status = load_bridge(t, parts, err);
    lay_trainable_destroy(t);
    return status;
}

void lay_trainable_destroy(struct lay_trainable *t)
{
    if (!t)
        return;
    lay_bridge_learner_destroy(t->bridge);
    lay_encoder_learner_destroy(t->encoder);
    lay_llm_learner_destroy(t->llm);
    lay_learning_free(&t->learning);
    for (int i = 0; i < 3; i++)
        lay_weights_destroy(t->weights[i]);
    lay_dnn_destroy(t->dnn);
    for (int64_t i = 0; i < t->n_hidden && t->states && t->dstates; i++) {
        lay_work_free(&t->states[i]);
        lay_work_free(&t->dstates[i]);
    }
    void *const memory[] = {t->source_ids, t->ids,     t->targets, t->source_lengths, t->valid,
                            t->lengths,    t->offsets, t->noise,   t->loss,           t->states,
                            t->dstates,    t->hidden,  t->dhidden};
    for (size_t i = 0; i < sizeof memory / sizeof *memory; i++)
        lay_free(memory[i]);
    lay_work_free(&t->x);
    lay_work_free(&t->soft);
    lay_work_free(&t->boundary);
    lay_free(t);
}

size_t lay_trainable_count(const struct lay_trainable *t)
{
    return t->learning.parameters.count;
}

const struct lay_parameter *lay_trainable_parameter(const struct lay_trainable *t, size_t i)
{
    return &t->learning.parameters.items[i];
}

/* --- loss and gradients --- */

static enum lay_status check_ids(const int32_t *ids, int64_t n, int64_t vocab_size, const char *what,
                                 size_t sample, struct lay_err *err)
{
    for (int64_t i = 0; i < n; i++)
        if (ids[i] < 0 || ids[i] >= vocab_size)
            return lay_fail(err, LAY_ERR_INPUT,
                            "sample %zu: token id %d of its %s is outside the vocabulary of %lld", sample,
                            (int)ids[i], what, (long long)vocab_size);
    return LAY_OK;
}

static enum lay_status check_samples(const struct lay_trainable *t, const struct lay_train_sample *samples,
                                     size_t n, struct lay_err *err)
{
    const int64_t V = t->llm_config.vocab_size;
    for (size_t s = 0; s < n; s++) {
        if (samples[s].n_target < 1)
            return lay_fail(err, LAY_ERR_INPUT, "sample %zu has no target", s);
        if (t->encoder && samples[s].n_source < 1)
            return lay_fail(err, LAY_ERR_INPUT, "sample %zu has no source", s);
        LAY_TRY(check_ids(samples[s].prompt, samples[s].n_prompt, V, "prompt", s, err));
        LAY_TRY(check_ids(samples[s].target, samples[s].n_target, V, "target", s, err));
        if (t->encoder)
            LAY_TRY(check_ids(samples[s].source, samples[s].n_source, t->encoder_config.vocab_size, "source",
                              s, err));
    }
    return LAY_OK;
}

/* Samples from `first` on that fit into one pass: LLM rows, and source rows. At least one; all of them where
 * their pads depend on each other. */
static size_t fitting(const struct lay_trainable *t, const struct lay_train_sample *samples, size_t n,
                      size_t first, bool together)
{
    int64_t rows = 0, source = 0;
    size_t end = first;
    for (; end < n; end++) {
        rows += lay_train_rows(t, &samples[end]);
        source += t->encoder ? samples[end].n_source : 0;
        if (!together && end > first && (rows > t->options.rows || source > t->options.source_rows))
            break;
    }
    return end - first;
}

static enum lay_status run(struct lay_trainable *t, const struct lay_train_sample *samples, size_t n,
                           bool backward, const struct lay_accumulate_options *o, struct lay_train_loss *loss,
                           struct lay_err *err)
{
    LAY_TRY(check_samples(t, samples, n, err));
    if (!lay_grow((void **)&t->loss, &t->loss_capacity, n, sizeof *t->loss))
        return lay_no_memory(err, "losses");
    for (size_t first = 0; first < n;) {
        const size_t count = fitting(t, samples, n, first, o->official_padding);
        double *losses = o->sample_loss ? o->sample_loss + first : t->loss;
        LAY_TRY(lay_train_pass(t, samples + first, count, backward, o->weight, o->official_padding, losses,
                               loss, err));
        first += count;
    }
    return LAY_OK;
}

enum lay_status lay_trainable_accumulate(struct lay_trainable *t, const struct lay_train_sample *samples,
                                         size_t n, const struct lay_accumulate_options *options,
                                         struct lay_train_loss *loss, struct lay_err *err)
{
    return run(t, samples, n, true, options, loss, err);
}

enum lay_status lay_trainable_loss(struct lay_trainable *t, const struct lay_train_sample *samples, size_t n,
                                   const struct lay_accumulate_options *options, struct lay_train_loss *loss,
                                   struct lay_err *err)
{
    return run(t, samples, n, false, options, loss, err);
}

void lay_trainable_collect(struct lay_trainable *t, double factor)
{
    lay_llm_learner_collect(t->llm);
    for (size_t i = 0; i < t->learning.parameters.count; i++) {
        const struct lay_parameter *p = &t->learning.parameters.items[i];
        for (size_t j = 0; j < p->count; j++)
            p->gradient[j] = (float)((double)p->gradient[j] * factor);
    }
}

enum lay_status lay_trainable_refresh(struct lay_trainable *t, struct lay_err *err)
{
    if (t->bridge)
        LAY_TRY(lay_bridge_learner_refresh(t->bridge, err));
    if (t->encoder)
        LAY_TRY(lay_encoder_learner_refresh(t->encoder, err));
    LAY_TRY(lay_llm_learner_refresh(t->llm, err));
    for (size_t i = 0; i < t->learning.parameters.count; i++) {
        const struct lay_parameter *p = &t->learning.parameters.items[i];
        memset(p->gradient, 0, p->count * sizeof *p->gradient);
    }
    return LAY_OK;
}

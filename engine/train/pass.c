/* One pass: encoder, bridge and LLM forward, the loss, and back through all that leads to a parameter. */
#include "engine/train/state.h"

#include "engine/base/mem.h"

#include <string.h>

struct pass {
    struct lay_trainable *t;
    const struct lay_train_sample *samples;
    int64_t n, rows, source_rows;
    bool backward;
    double weight;
    struct lay_bridge_rows bridge_rows;
};

static bool reads_soft_prompt(const struct lay_trainable *t)
{
    return t->bridge && !t->options.no_soft_prompt;
}

/* Rows in front of the text prompt: bos, soft prompt and boundary. */
static int64_t head_rows(const struct lay_trainable *t, const struct lay_train_sample *sample)
{
    return 1 + (reads_soft_prompt(t) ? sample->n_source + 1 : 0);
}

int64_t lay_train_rows(const struct lay_trainable *t, const struct lay_train_sample *sample)
{
    return head_rows(t, sample) + sample->n_prompt + sample->n_target - 1;
}

/* --- planning --- */

static enum lay_status grow_lists(struct pass *p, struct lay_err *err)
{
    struct lay_trainable *t = p->t;
    const size_t rows = (size_t)p->rows, source = (size_t)p->source_rows;
    if (!lay_grow((void **)&t->source_ids, &t->source_ids_capacity, source, sizeof *t->source_ids) ||
        !lay_grow((void **)&t->ids, &t->ids_capacity, rows, sizeof *t->ids) ||
        !lay_grow((void **)&t->targets, &t->targets_capacity, rows, sizeof *t->targets))
        return lay_no_memory(err, "the rows of a pass");
    return LAY_OK;
}

static enum lay_status grow_lengths(struct pass *p, struct lay_err *err)
{
    struct lay_trainable *t = p->t;
    const size_t n = (size_t)p->n;
    if (!lay_grow((void **)&t->source_lengths, &t->source_lengths_capacity, n, sizeof *t->source_lengths) ||
        !lay_grow((void **)&t->valid, &t->valid_capacity, n, sizeof *t->valid) ||
        !lay_grow((void **)&t->lengths, &t->lengths_capacity, n, sizeof *t->lengths) ||
        !lay_grow((void **)&t->offsets, &t->offsets_capacity, n, sizeof *t->offsets) ||
        !lay_grow((void **)&t->noise, &t->noise_capacity, n, sizeof *t->noise))
        return lay_no_memory(err, "the samples of a pass");
    return LAY_OK;
}

/* Lengths, and with official padding what a padded batch does to LayAlign: sources as long as the longest,
 * and positions that start behind the left pads. */
static enum lay_status measure(struct pass *p, bool official_padding, struct lay_err *err)
{
    struct lay_trainable *t = p->t;
    int64_t longest = 0, longest_source = 0;
    LAY_TRY(grow_lengths(p, err));
    for (int64_t s = 0; s < p->n; s++) {
        const struct lay_train_sample *sample = &p->samples[s];
        t->lengths[s] = lay_train_rows(t, sample);
        t->noise[s] = sample->noise;
        t->source_lengths[s] = t->valid[s] = t->encoder ? sample->n_source : 0;
        longest = t->lengths[s] > longest ? t->lengths[s] : longest;
        longest_source = t->valid[s] > longest_source ? t->valid[s] : longest_source;
    }
    const bool pads = official_padding && t->method == LAY_LAYALIGN;
    for (int64_t s = 0; s < p->n; s++) {
        t->offsets[s] = pads ? longest - t->lengths[s] : 0;
        if (pads)
            t->source_lengths[s] = longest_source;
        p->rows += t->lengths[s];
        p->source_rows += t->source_lengths[s];
    }
    return grow_lists(p, err);
}

/* Ids of the embedding table (−1: from the bridge) and what is to be predicted. */
static void lay_out(const struct pass *p)
{
    struct lay_trainable *t = p->t;
    int32_t *ids = t->ids, *targets = t->targets, *source = t->source_ids;
    for (int64_t s = 0; s < p->n; s++) {
        const struct lay_train_sample *sample = &p->samples[s];
        const int64_t head = head_rows(t, sample), before = head + sample->n_prompt;
        for (int64_t i = 0; i < t->lengths[s]; i++) {
            *ids++ = i == 0       ? t->llm_config.bos_id
                     : i < head   ? -1
                     : i < before ? sample->prompt[i - head]
                                  : sample->target[i - before];
            *targets++ = i < before - 1 ? -1 : sample->target[i - before + 1];
        }
        for (int64_t i = 0; i < t->source_lengths[s]; i++)
            *source++ = i < sample->n_source ? sample->source[i] : t->encoder_config.pad_id;
    }
}

/* --- forward --- */

static enum lay_status reserve_states(struct pass *p, bool dstates, struct lay_err *err)
{
    struct lay_trainable *t = p->t;
    const int64_t d = t->encoder_config.hidden_size;
    for (int64_t i = 0; i < t->n_hidden; i++) {
        if (!lay_bridge_wants_hidden(lay_bridge_learner_model(t->bridge), i))
            continue;
        LAY_TRY(lay_work_reserve(&t->states[i], p->source_rows, d, err));
        t->hidden[i] = t->states[i].data;
        if (!dstates)
            continue;
        LAY_TRY(lay_work_reserve(&t->dstates[i], p->source_rows, d, err));
        t->dhidden[i] = t->dstates[i].data;
        memset(t->dhidden[i], 0, (size_t)(p->source_rows * d) * sizeof(float));
    }
    return LAY_OK;
}

static struct lay_encoder_batch encoder_batch(const struct pass *p)
{
    const struct lay_trainable *t = p->t;
    return (struct lay_encoder_batch){t->source_ids, t->source_lengths, t->valid, p->n};
}

static enum lay_status encode(struct pass *p, struct lay_err *err)
{
    struct lay_trainable *t = p->t;
    const bool learns = p->backward && t->options.train_encoder;
    const struct lay_encoder_batch batch = encoder_batch(p);
    if (!t->encoder)
        return LAY_OK;
    LAY_TRY(reserve_states(p, learns, err));
    LAY_TRY(lay_encoder_learn(t->encoder, &batch, t->hidden, err));
    p->bridge_rows = (struct lay_bridge_rows){.n_seqs = p->n,
                                              .rows = p->source_rows,
                                              .lengths = t->source_lengths,
                                              .hidden = t->hidden,
                                              .dhidden = learns ? t->dhidden : NULL,
                                              .noise = p->backward ? t->noise : NULL};
    if (!reads_soft_prompt(t))
        return LAY_OK;
    LAY_TRY(lay_work_reserve(&t->soft, p->source_rows, t->llm_config.hidden_size, err));
    return lay_bridge_learn_soft(t->bridge, &p->bridge_rows, t->soft.data, err);
}

/* Embeddings where a row has an id, else the soft prompt and the boundary. */
static enum lay_status assemble(const struct pass *p, struct lay_err *err)
{
    struct lay_trainable *t = p->t;
    const struct lay_llm *llm = lay_llm_learner_model(t->llm);
    const int64_t H = t->llm_config.hidden_size;
    float *row = t->x.data;
    const float *soft = t->soft.data;
    for (int64_t s = 0, first = 0; s < p->n; s++) {
        const int64_t head = head_rows(t, &p->samples[s]), n = t->lengths[s];
        LAY_TRY(lay_llm_embed(llm, t->ids + first, 1, row, err));
        if (reads_soft_prompt(t)) {
            memcpy(row + H, soft, (size_t)((head - 2) * H) * sizeof *row);
            memcpy(row + (head - 1) * H, lay_bridge_boundary(lay_bridge_learner_model(t->bridge)),
                   (size_t)H * sizeof *row);
            soft += t->source_lengths[s] * H;
        }
        LAY_TRY(lay_llm_embed(llm, t->ids + first + head, n - head, row + head * H, err));
        row += n * H;
        first += n;
    }
    return LAY_OK;
}

/* --- backward --- */

/* The gradients of the soft prompts' rows, zeros at pads, and of the boundaries. */
static enum lay_status split_inputs(const struct pass *p, struct lay_err *err)
{
    struct lay_trainable *t = p->t;
    const int64_t H = t->llm_config.hidden_size;
    LAY_TRY(lay_work_reserve(&t->boundary, p->n, H, err));
    const float *row = t->x.data;
    float *soft = t->soft.data;
    memset(soft, 0, (size_t)(p->source_rows * H) * sizeof *soft);
    for (int64_t s = 0; s < p->n; s++) {
        const int64_t n = t->valid[s];
        memcpy(soft, row + H, (size_t)(n * H) * sizeof *soft);
        memcpy(t->boundary.data + s * H, row + (n + 1) * H, (size_t)H * sizeof *soft);
        soft += t->source_lengths[s] * H;
        row += t->lengths[s] * H;
    }
    return LAY_OK;
}

static enum lay_status bridge_backward(const struct pass *p, bool adapter, struct lay_err *err)
{
    struct lay_trainable *t = p->t;
    if (!t->options.train_bridge && !t->options.train_encoder)
        return LAY_OK;
    if (reads_soft_prompt(t)) {
        LAY_TRY(split_inputs(p, err));
        LAY_TRY(lay_bridge_soft_backward(t->bridge, &p->bridge_rows, t->soft.data, t->boundary.data, err));
    }
    if (adapter)
        LAY_TRY(lay_bridge_adapter_backward(t->bridge, err));
    if (!t->options.train_encoder)
        return LAY_OK;
    const struct lay_encoder_batch batch = encoder_batch(p);
    return lay_encoder_backward(t->encoder, &batch, t->dhidden, err);
}

static enum lay_status run(struct pass *p, double *sample_loss, struct lay_err *err)
{
    struct lay_trainable *t = p->t;
    struct lay_adapter_source source;
    bool adapter = false;
    lay_out(p);
    LAY_TRY(encode(p, err));
    LAY_TRY(lay_work_reserve(&t->x, p->rows, t->llm_config.hidden_size, err));
    LAY_TRY(assemble(p, err));
    if (t->bridge)
        LAY_TRY(lay_bridge_learn_adapter(t->bridge, &p->bridge_rows, p->backward, &source, &adapter, err));
    const struct lay_llm_batch batch = {.n_seqs = p->n,
                                        .rows = p->rows,
                                        .lengths = t->lengths,
                                        .offsets = t->offsets,
                                        .ids = t->ids,
                                        .targets = t->targets,
                                        .adapter = adapter ? &source : NULL};
    LAY_TRY(lay_llm_learn(t->llm, &batch, t->x.data, sample_loss, p->backward, (float)p->weight, err));
    return p->backward && t->bridge ? bridge_backward(p, adapter, err) : LAY_OK;
}

enum lay_status lay_train_pass(struct lay_trainable *t, const struct lay_train_sample *samples, size_t n,
                               bool backward, double weight, bool official_padding, double *sample_loss,
                               struct lay_train_loss *loss, struct lay_err *err)
{
    struct pass p = {.t = t, .samples = samples, .n = (int64_t)n, .backward = backward, .weight = weight};
    LAY_TRY(measure(&p, official_padding, err));
    LAY_TRY(run(&p, sample_loss, err));
    for (int64_t s = 0; s < p.n; s++) {
        loss->sum += sample_loss[s];
        loss->tokens += samples[s].n_target;
    }
    loss->rows += p.rows;
    loss->source_tokens += p.source_rows;
    return LAY_OK;
}

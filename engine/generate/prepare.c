#include "engine/generate/prepare.h"

#include "engine/base/mem.h"
#include "engine/base/profile.h"
#include "engine/model/load.h"

#include <assert.h>
#include <string.h>

static bool reads_soft_prompt(const struct lay_models *models)
{
    return models->bridge && !models->no_soft_prompt;
}

int64_t lay_prepared_rows(const struct lay_models *models, const struct lay_prompt_ids *ids)
{
    return 1 + (reads_soft_prompt(models) ? ids->n_source + 1 : 0) + ids->n_prompt;
}

int64_t lay_prepared_adapter_tokens(const struct lay_models *models, const struct lay_prompt_ids *ids)
{
    return models->bridge && lay_bridge_adapter(models->bridge) ? ids->padded_source : 0;
}

/* Hidden states are read together, element by element. Huge pages begin at like addresses, so they would all
 * fall into the same sets of a cache: each begins this many floats further on. */
#define SKEW (1024 + LAY_ALIGNMENT / (int64_t)sizeof(float))

/* Everything one pass of encoder and bridge leaves behind, for all rows of the batch. */
struct lay_encoded {
    int64_t rows;
    int32_t *ids;                          /* [rows], padded */
    int64_t *lengths, *valid;              /* [n] */
    struct lay_llm_adapter_rows *adapters; /* [n] */
    size_t ids_room, lengths_room, valid_room, adapters_room;
    struct lay_work *states;      /* [layers + 1], [rows, d] where wanted */
    float **hidden;               /* [layers + 1] views of them, NULL where not wanted */
    int64_t n_hidden;             /* layers + 1; 0 for plain */
    struct lay_work soft_prompt;  /* [rows, H] */
    struct lay_work keys, values; /* [rows, H], one adapter layer at a time */
};

enum lay_status lay_encoded_create(const struct lay_models *models, struct lay_encoded **encoded,
                                   struct lay_err *err)
{
    struct lay_encoded *e = *encoded = lay_alloc(1, sizeof *e);
    if (!e)
        return lay_no_memory(err, "the encoder's states");
    if (!models->encoder)
        return LAY_OK;
    e->n_hidden = lay_encoder_config(models->encoder)->num_hidden_layers + 1;
    e->states = lay_alloc((size_t)e->n_hidden, sizeof *e->states);
    e->hidden = lay_alloc((size_t)e->n_hidden, sizeof *e->hidden);
    return e->states && e->hidden ? LAY_OK : lay_no_memory(err, "the encoder's states");
}

void lay_encoded_destroy(struct lay_encoded *e)
{
    if (!e)
        return;
    for (int64_t i = 0; e->states && i < e->n_hidden; i++)
        lay_work_free(&e->states[i]);
    lay_work_free(&e->soft_prompt);
    lay_work_free(&e->keys);
    lay_work_free(&e->values);
    lay_free(e->states);
    lay_free(e->hidden);
    lay_free(e->ids);
    lay_free(e->lengths);
    lay_free(e->valid);
    lay_free(e->adapters);
    lay_free(e);
}

static enum lay_status encoded_reserve(struct lay_encoded *e, const struct lay_models *models,
                                       const struct lay_prompt_ids *const *ids, int64_t n, bool all_hidden,
                                       struct lay_err *err)
{
    const int64_t d = lay_encoder_config(models->encoder)->hidden_size,
                  H = lay_llm_config(models->llm)->hidden_size;
    e->rows = 0;
    for (int64_t s = 0; s < n; s++)
        e->rows += ids[s]->padded_source;
    if (!lay_grow((void **)&e->ids, &e->ids_room, (size_t)e->rows, sizeof *e->ids) ||
        !lay_grow((void **)&e->lengths, &e->lengths_room, (size_t)n, sizeof *e->lengths) ||
        !lay_grow((void **)&e->valid, &e->valid_room, (size_t)n, sizeof *e->valid) ||
        !lay_grow((void **)&e->adapters, &e->adapters_room, (size_t)n, sizeof *e->adapters))
        return lay_no_memory(err, "the encoder's ids");
    LAY_TRY(lay_work_reserve(&e->soft_prompt, e->rows, H, err));
    if (lay_bridge_adapter(models->bridge)) {
        LAY_TRY(lay_work_reserve(&e->keys, e->rows, H, err));
        LAY_TRY(lay_work_reserve(&e->values, e->rows, H, err));
    }
    for (int64_t i = 0; i < e->n_hidden; i++) {
        e->hidden[i] = NULL;
        if (!all_hidden && !lay_bridge_wants_hidden(models->bridge, i))
            continue;
        LAY_TRY(lay_work_reserve(&e->states[i], 1, e->rows * d + i * SKEW, err));
        e->hidden[i] = e->states[i].data + i * SKEW;
    }
    return LAY_OK;
}

static enum lay_status encode(struct lay_encoded *e, const struct lay_models *models,
                              const struct lay_prompt_ids *const *ids, int64_t n, struct lay_err *err)
{
    const int32_t pad = lay_encoder_config(models->encoder)->pad_id;
    int32_t *at = e->ids;
    for (int64_t s = 0; s < n; s++) {
        e->lengths[s] = ids[s]->padded_source;
        e->valid[s] = ids[s]->n_source;
        for (int64_t i = 0; i < ids[s]->padded_source; i++)
            *at++ = i < ids[s]->n_source ? ids[s]->source[i] : pad;
    }
    const struct lay_encoder_batch batch = {
        .ids = e->ids, .lengths = e->lengths, .valid = e->valid, .n_seqs = n};
    lay_profile_phase(LAY_PHASE_ENCODER);
    LAY_TRY(lay_encoder_forward(models->encoder, &batch, e->hidden, err));
    lay_profile_phase(LAY_PHASE_ALIGNER);
    if (reads_soft_prompt(models))
        LAY_TRY(lay_bridge_soft_prompt(models->bridge, e->hidden, e->rows, e->soft_prompt.data, err));
    return LAY_OK;
}

/* [bos] (soft prompt, boundary) prompt; soft is the first row of this request's soft prompt, pads behind it.
 */
static enum lay_status assemble(const struct lay_models *models, const struct lay_prompt_ids *ids,
                                const float *soft, struct lay_prepared *prepared, struct lay_err *err)
{
    const struct lay_llm_config *config = lay_llm_config(models->llm);
    const size_t hidden_size = (size_t)config->hidden_size;
    prepared->n_inputs = lay_prepared_rows(models, ids);
    prepared->inputs = lay_alloc_aligned((size_t)prepared->n_inputs * hidden_size, sizeof(float));
    if (!prepared->inputs)
        return lay_no_memory(err, "the LLM's inputs");
    float *row = prepared->inputs;
    LAY_TRY(lay_llm_embed(models->llm, &config->bos_id, 1, row, err));
    row += hidden_size;
    if (reads_soft_prompt(models)) {
        assert(soft);
        memcpy(row, soft, (size_t)ids->n_source * hidden_size * sizeof *row);
        row += (size_t)ids->n_source * hidden_size;
        memcpy(row, lay_bridge_boundary(models->bridge), hidden_size * sizeof *row);
        row += hidden_size;
    }
    return lay_llm_embed(models->llm, ids->prompt, ids->n_prompt, row, err);
}

/* Keys and values of every adapter layer into each request's pages. */
static enum lay_status write_adapters(struct lay_encoded *e, const struct lay_models *models,
                                      struct lay_kv_pool *pool, int64_t n, struct lay_prepared *prepared,
                                      struct lay_err *err)
{
    const int64_t count = lay_bridge_adapter_count(models->bridge);
    for (int64_t s = 0; s < n; s++) {
        LAY_TRY(lay_kv_reserve(pool, &prepared[s].adapter, e->lengths[s], err));
        e->adapters[s] = (struct lay_llm_adapter_rows){&prepared[s].adapter, e->lengths[s]};
    }
    for (int64_t i = 0; i < count; i++) {
        const int64_t fused = count - i < LAY_FUSED_LAYERS ? count - i : LAY_FUSED_LAYERS;
        if (i % LAY_FUSED_LAYERS == 0)
            LAY_TRY(lay_bridge_adapter_fuse(models->bridge, e->hidden, e->rows, i, fused, err));
        LAY_TRY(lay_bridge_adapter_states(models->bridge, e->rows, i, e->keys.data, e->values.data, err));
        LAY_TRY(lay_llm_write_adapters(models->llm, pool, lay_bridge_adapter_layer(models->bridge, i),
                                       e->keys.data, e->values.data, e->adapters, n, err));
    }
    for (int64_t s = 0; s < n; s++)
        prepared[s].adapter.n_tokens = e->lengths[s];
    return LAY_OK;
}

enum lay_status lay_prepare_heard(const struct lay_models *models, struct lay_kv_pool *pool,
                                  const struct lay_prompt_ids *const *ids, int64_t n,
                                  struct lay_encoded *encoded, const struct lay_prepare_listener *listener,
                                  struct lay_prepared *prepared, struct lay_err *err)
{
    enum lay_status status = LAY_OK;
    for (int64_t s = 0; s < n; s++)
        prepared[s] = (struct lay_prepared){0};
    if (models->bridge) {
        LAY_TRY(encoded_reserve(encoded, models, ids, n, listener != NULL, err));
        LAY_TRY(encode(encoded, models, ids, n, err));
        if (listener)
            listener->hidden(listener->context, encoded->hidden);
    }
    const float *soft = models->bridge ? encoded->soft_prompt.data : NULL;
    for (int64_t s = 0; s < n; s++) {
        LAY_TRY_GOTO(status, assemble(models, ids[s], soft, &prepared[s], err), done);
        if (soft)
            soft += ids[s]->padded_source * lay_llm_config(models->llm)->hidden_size;
    }
    if (models->bridge && lay_bridge_adapter(models->bridge))
        status = write_adapters(encoded, models, pool, n, prepared, err);
done:
    for (int64_t s = 0; status != LAY_OK && s < n; s++)
        lay_prepared_release(&prepared[s], pool);
    return status;
}

enum lay_status lay_prepare(const struct lay_models *models, struct lay_kv_pool *pool,
                            const struct lay_prompt_ids *const *ids, int64_t n, struct lay_encoded *encoded,
                            struct lay_prepared *prepared, struct lay_err *err)
{
    return lay_prepare_heard(models, pool, ids, n, encoded, NULL, prepared, err);
}

void lay_prepared_release(struct lay_prepared *prepared, struct lay_kv_pool *pool)
{
    lay_free(prepared->inputs);
    lay_kv_release(pool, &prepared->adapter);
    *prepared = (struct lay_prepared){0};
}

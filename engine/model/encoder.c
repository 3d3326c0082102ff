#include "engine/model/encoder_family.h"

#include "engine/base/mem.h"
#include "engine/base/profile.h"

#include <string.h>

static const struct lay_encoder_family *const families[] = {
    &lay_encoder_t5,
    &lay_encoder_m2m100,
    &lay_encoder_xlmr,
};

const struct lay_encoder_family *lay_encoder_family_of(const char *model_type)
{
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        for (const char *const *type = families[i]->model_types; *type; type++)
            if (strcmp(*type, model_type) == 0)
                return families[i];
    return NULL;
}

enum lay_status lay_encoder_load(struct lay_dnn *dnn, const struct lay_encoder_config *config,
                                 struct lay_weights *weights, struct lay_precision precision,
                                 struct lay_encoder **encoder, struct lay_err *err)
{
    const struct lay_loader loader = {dnn, weights, lay_precision_within(precision, "encoder")};
    struct lay_encoder *e = lay_alloc(1, sizeof *e);
    *encoder = NULL;
    if (!e)
        return lay_no_memory(err, "an encoder");
    e->config = *config;
    e->family = lay_encoder_family_of(config->model_type);
    e->blocks = lay_alloc((size_t)config->num_hidden_layers, sizeof *e->blocks);
    enum lay_status status;
    if (!e->blocks)
        status = lay_no_memory(err, "an encoder");
    else if (!e->family)
        status = lay_fail(err, LAY_ERR_INPUT, "model_type \"%s\" is not an encoder that is implemented",
                          config->model_type);
    else
        status = e->family->load(e, &loader, err);
    if (status != LAY_OK) {
        lay_encoder_destroy(e);
        return status;
    }
    for (int64_t i = 0; i < config->num_hidden_layers; i++) {
        const struct lay_encoder_block *b = &e->blocks[i];
        e->bytes += lay_linear_bytes(b->qkv) + lay_linear_bytes(b->attn_out) + lay_linear_bytes(b->ffn_in) +
                    lay_linear_bytes(b->ffn_out);
    }
    *encoder = e;
    return LAY_OK;
}

static void destroy_block(struct lay_encoder_block *b)
{
    struct lay_linear *const linears[] = {b->qkv, b->attn_out, b->ffn_in, b->ffn_out};
    float *const vectors[] = {b->attn_norm,     b->attn_norm_bias, b->ffn_norm,
                              b->ffn_norm_bias, b->relative_bias,  b->bias_table};
    for (size_t i = 0; i < sizeof linears / sizeof *linears; i++)
        lay_linear_destroy(linears[i]);
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++)
        lay_free(vectors[i]);
}

void lay_encoder_destroy(struct lay_encoder *e)
{
    if (!e)
        return;
    for (int64_t i = 0; e->blocks && i < e->config.num_hidden_layers; i++)
        destroy_block(&e->blocks[i]);
    lay_free(e->blocks);
    float *const vectors[] = {e->embed_norm, e->embed_norm_bias, e->final_norm, e->final_norm_bias};
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++)
        lay_free(vectors[i]);
    struct lay_work *const work[] = {&e->x, &e->h, &e->qkv, &e->attn};
    for (size_t i = 0; i < sizeof work / sizeof *work; i++)
        lay_work_free(work[i]);
    lay_free(e->positions);
    lay_free(e);
}

const struct lay_encoder_config *lay_encoder_config(const struct lay_encoder *encoder)
{
    return &encoder->config;
}

size_t lay_encoder_bytes(const struct lay_encoder *encoder)
{
    return encoder->bytes;
}

static enum lay_status check_batch(const struct lay_encoder_batch *batch, int64_t *rows, struct lay_err *err)
{
    *rows = 0;
    for (int64_t s = 0; s < batch->n_seqs; s++) {
        const int64_t valid = batch->valid ? batch->valid[s] : batch->lengths[s];
        if (batch->lengths[s] < 1 || valid < 1 || valid > batch->lengths[s])
            return lay_fail(err, LAY_ERR_INPUT, "encoder: sequence %lld is empty", (long long)s);
        *rows += batch->lengths[s];
    }
    return LAY_OK;
}

int64_t lay_encoder_longest(const struct lay_encoder_batch *batch)
{
    int64_t length = 1;
    for (int64_t s = 0; s < batch->n_seqs; s++)
        length = batch->lengths[s] > length ? batch->lengths[s] : length;
    return length;
}

static enum lay_status reserve(struct lay_encoder *e, int64_t rows, struct lay_err *err)
{
    const struct lay_encoder_config *c = &e->config;
    const int64_t inner = c->num_attention_heads * c->head_dim;
    LAY_TRY(lay_work_reserve(&e->x, rows, c->hidden_size, err));
    LAY_TRY(lay_work_reserve(&e->h, rows, c->hidden_size, err));
    LAY_TRY(lay_work_reserve(&e->qkv, rows, 3 * inner, err));
    return lay_work_reserve(&e->attn, rows, inner, err);
}

/* act(x), or act(gate) · up, of one row. */
static void activate(const void *config, const float *x, float *y)
{
    const struct lay_encoder_config *c = config;
    (c->gated ? lay_activate_gated_row : lay_activate_row)(c->activation, x, y, c->intermediate_size);
}

enum lay_status lay_encoder_feed_forward(const struct lay_encoder *e, const struct lay_encoder_block *b,
                                         const float *h, float *x, int64_t rows, struct lay_err *err)
{
    const struct lay_feed_forward ffn = {b->ffn_in, b->ffn_out, activate, &e->config};
    return lay_feed_forward_run(&ffn, h, x, rows, err);
}

enum lay_status lay_encoder_forward(struct lay_encoder *e, const struct lay_encoder_batch *batch,
                                    float *const *hidden, struct lay_err *err)
{
    const int64_t layers = e->config.num_hidden_layers;
    int64_t rows;
    LAY_TRY(check_batch(batch, &rows, err));
    if (rows == 0)
        return LAY_OK;
    LAY_TRY(reserve(e, rows, err));
    const size_t bytes = (size_t)(rows * e->config.hidden_size) * sizeof(float);
    float *x = e->x.data;

    LAY_TRY(e->family->embed(e, batch, rows, x, err));
    lay_profile_lap(LAY_OP_EMBEDDING);
    for (int64_t i = 0; i < layers; i++) {
        if (hidden[i])
            memcpy(hidden[i], x, bytes);
        LAY_TRY(e->family->block(e, i, batch, rows, x, err));
    }
    if (!hidden[layers])
        return LAY_OK;
    if (e->family->finish)
        e->family->finish(e, rows, x);
    lay_profile_lap(LAY_OP_NORM);
    memcpy(hidden[layers], x, bytes);
    return LAY_OK;
}

int32_t lay_position_ids(const int32_t *ids, int64_t n, int32_t pad, int32_t *positions)
{
    int32_t count = 0;
    for (int64_t i = 0; i < n; i++)
        positions[i] = ids[i] == pad ? pad : pad + ++count;
    return pad + count;
}

enum lay_status lay_encoder_positions(struct lay_encoder *e, const struct lay_encoder_batch *batch,
                                      int64_t rows, int32_t *largest, struct lay_err *err)
{
    if (!lay_grow((void **)&e->positions, &e->positions_capacity, (size_t)rows, sizeof *e->positions))
        return lay_no_memory(err, "positions");
    int64_t first = 0;
    *largest = 0;
    for (int64_t s = 0; s < batch->n_seqs; s++) {
        const int32_t last =
            lay_position_ids(batch->ids + first, batch->lengths[s], e->config.pad_id, e->positions + first);
        if (last > *largest)
            *largest = last;
        first += batch->lengths[s];
    }
    return LAY_OK;
}

double lay_encoder_elements(const struct lay_encoder_config *c)
{
    const double d = (double)c->hidden_size, inner = (double)(c->num_attention_heads * c->head_dim);
    return (double)c->num_hidden_layers *
           (4 * d * inner + (c->gated ? 3 : 2) * d * (double)c->intermediate_size);
}

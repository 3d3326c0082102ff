/* An encoder under training: its parts in memory. The passes are in encoder_pass.c. */
#include "engine/model/encoder_pass.h"

#include "engine/base/mem.h"

#include <stdio.h>

enum { NAME_MAX_BYTES = 128, QKV = 0, ATTN_OUT, FFN_IN, FFN_OUT };

static struct lay_learned *learned_at(struct lay_learned_block *block, int i)
{
    struct lay_learned *const all[LAY_ENCODER_LINEARS] = {&block->qkv, &block->attn_out, &block->ffn_in,
                                                          &block->ffn_out};
    return all[i];
}

static const struct lay_encoder_names *names_of(const struct lay_encoder_config *config)
{
    return &lay_encoder_family_of(config->model_type)->training->names;
}

static const struct lay_encoder_linear_names *linear_names(const struct lay_encoder_config *config, int i)
{
    const struct lay_encoder_names *names = names_of(config);
    return config->gated && i == FFN_IN ? &names->gated_in : &names->linears[i];
}

enum lay_status lay_encoder_check_trainable(const struct lay_encoder_config *config, struct lay_err *err)
{
    const struct lay_encoder_family *family = lay_encoder_family_of(config->model_type);
    if (family && family->training)
        return LAY_OK;
    return lay_fail(err, LAY_ERR_INPUT, "an encoder of model_type \"%s\" cannot be trained; leave it frozen",
                    config->model_type);
}

/* --- masters, before the model is loaded --- */

static void put_block(const struct lay_encoder_names *names, int64_t i, const char *rest,
                      char text[NAME_MAX_BYTES])
{
    const size_t n = (size_t)snprintf(text, NAME_MAX_BYTES, names->block, (long long)i);
    snprintf(text + n, NAME_MAX_BYTES - n, "%s", rest);
}

/* rows −1: as many as there are. */
static enum lay_status read_table(const struct lay_loader *loader, const char *name, int64_t rows, int64_t d,
                                  struct lay_learned_table *table, struct lay_err *err)
{
    const int64_t shape[] = {rows, d};
    const struct lay_tensor *tensor;
    LAY_TRY(lay_weights_get(loader->weights, name, 2, shape, &tensor, err));
    table->rows = tensor->shape[0];
    table->value = lay_alloc_aligned(tensor->count, sizeof *table->value);
    table->gradient = lay_alloc_aligned(tensor->count, sizeof *table->gradient);
    if (!table->value || !table->gradient)
        return lay_no_memory(err, "trainable weights");
    return lay_tensor_to_f32(tensor, table->value, err);
}

static enum lay_status read_masters(struct lay_encoder_learner *l, const struct lay_encoder_config *c,
                                    const struct lay_loader *loader, struct lay_err *err)
{
    const struct lay_encoder_names *names = names_of(c);
    const int64_t d = c->hidden_size, ff = c->intermediate_size, inner = c->num_attention_heads * c->head_dim;
    const int64_t sizes[LAY_ENCODER_LINEARS][2] = {
        [QKV] = {inner, d}, [ATTN_OUT] = {d, inner}, [FFN_IN] = {ff, d}, [FFN_OUT] = {d, ff}};
    for (int64_t b = 0; b < l->n_blocks; b++)
        for (int i = 0; i < LAY_ENCODER_LINEARS; i++) {
            const struct lay_encoder_linear_names *linear = linear_names(c, i);
            char prefix[NAME_MAX_BYTES];
            put_block(names, b, linear->module, prefix);
            LAY_TRY(lay_learned_read(learned_at(&l->blocks[b], i), loader, prefix, linear->names, sizes[i][0],
                                     sizes[i][1], names->biases, err));
        }
    if (names->positions)
        LAY_TRY(read_table(loader, names->positions, c->max_positions, d, &l->positions, err));
    if (names->types)
        LAY_TRY(read_table(loader, names->types, -1, d, &l->types, err));
    return read_table(loader, names->words, c->vocab_size, d, &l->words, err);
}

/* --- the loaded model --- */

static enum lay_status list(struct lay_encoder_learner *l, const char *name, int rank, const int64_t *shape,
                            float *value, float **gradient, struct lay_err *err)
{
    const int64_t count = shape[0] * (rank == 2 ? shape[1] : 1);
    *gradient = lay_alloc_aligned((size_t)count, sizeof **gradient);
    if (!*gradient)
        return lay_no_memory(err, "gradients");
    return lay_parameter_add(&l->learning->parameters, LAY_MODULE_ENCODER,
                             names_of(&l->encoder->config)->official, name, rank, shape, value, *gradient,
                             err);
}

static enum lay_status list_norm(struct lay_encoder_learner *l, const char *norm, float *weight, float *bias,
                                 struct lay_norm_gradient *gradient, struct lay_err *err)
{
    const int64_t *d = &l->encoder->config.hidden_size;
    char name[NAME_MAX_BYTES];
    snprintf(name, sizeof name, "%s.weight", norm);
    LAY_TRY(list(l, name, 1, d, weight, &gradient->weight, err));
    snprintf(name, sizeof name, "%s.bias", norm);
    return bias ? list(l, name, 1, d, bias, &gradient->bias, err) : LAY_OK;
}

/* The model looks up in the master from now on. */
static enum lay_status attach_table(struct lay_encoder_learner *l, struct lay_embedding *embedding,
                                    const char *prefix, const char *name,
                                    const struct lay_learned_table *table, struct lay_err *err)
{
    const int64_t shape[] = {table->rows, l->encoder->config.hidden_size};
    embedding->data = table->value;
    embedding->dtype = LAY_F32;
    return lay_parameter_add(&l->learning->parameters, LAY_MODULE_ENCODER, prefix, name, 2, shape,
                             table->value, table->gradient, err);
}

static enum lay_status attach_linears(struct lay_encoder_learner *l, int64_t i, struct lay_err *err)
{
    const struct lay_encoder_config *c = &l->encoder->config;
    const struct lay_encoder_names *names = names_of(c);
    const struct lay_encoder_block *m = &l->encoder->blocks[i];
    struct lay_linear *const linears[LAY_ENCODER_LINEARS] = {m->qkv, m->attn_out, m->ffn_in, m->ffn_out};
    for (int p = 0; p < LAY_ENCODER_LINEARS; p++) {
        struct lay_learned *learned = learned_at(&l->blocks[i], p);
        const struct lay_encoder_linear_names *linear = linear_names(c, p);
        char prefix[NAME_MAX_BYTES];
        put_block(names, i, linear->module, prefix);
        LAY_TRY(lay_learned_attach(learned, l->learning, linears[p], err));
        LAY_TRY(lay_learned_list(learned, l->learning, LAY_MODULE_ENCODER, names->official, prefix,
                                 linear->names, err));
    }
    return LAY_OK;
}

static enum lay_status attach_block(struct lay_encoder_learner *l, int64_t i, struct lay_err *err)
{
    const struct lay_encoder_config *c = &l->encoder->config;
    const struct lay_encoder_names *names = names_of(c);
    struct lay_encoder_block *m = &l->encoder->blocks[i];
    struct lay_learned_block *b = &l->blocks[i];
    const int64_t bias[] = {c->relative_buckets, c->num_attention_heads};
    char name[NAME_MAX_BYTES];
    put_block(names, i, names->attn_norm, name);
    LAY_TRY(list_norm(l, name, m->attn_norm, m->attn_norm_bias, &b->attn_norm, err));
    LAY_TRY(attach_linears(l, i, err));
    if (m->relative_bias) {
        put_block(names, i, names->relative_bias, name);
        LAY_TRY(list(l, name, 2, bias, m->relative_bias, &b->relative_bias_gradient, err));
    }
    put_block(names, i, names->ffn_norm, name);
    return list_norm(l, name, m->ffn_norm, m->ffn_norm_bias, &b->ffn_norm, err);
}

static enum lay_status attach(struct lay_encoder_learner *l, struct lay_err *err)
{
    struct lay_encoder *m = l->encoder;
    const struct lay_encoder_names *names = names_of(&m->config);
    LAY_TRY(attach_table(l, &m->embed_tokens, "", names->official_words, &l->words, err));
    if (names->positions)
        LAY_TRY(attach_table(l, &m->embed_positions, names->official, names->positions, &l->positions, err));
    if (names->types)
        LAY_TRY(attach_table(l, &m->embed_types, names->official, names->types, &l->types, err));
    if (names->embed_norm)
        LAY_TRY(list_norm(l, names->embed_norm, m->embed_norm, m->embed_norm_bias, &l->embed_norm, err));
    for (int64_t i = 0; i < l->n_blocks; i++)
        LAY_TRY(attach_block(l, i, err));
    if (!names->final_norm)
        return LAY_OK;
    return list_norm(l, names->final_norm, m->final_norm, m->final_norm_bias, &l->final_norm, err);
}

static enum lay_status build(struct lay_encoder_learner *l, const struct lay_encoder_config *config,
                             struct lay_weights *weights, struct lay_err *err)
{
    const struct lay_loader loader = {l->learning->dnn, weights, lay_precision_of(l->learning->compute)};
    if (l->train) {
        LAY_TRY(lay_encoder_check_trainable(config, err));
        l->blocks = lay_alloc((size_t)config->num_hidden_layers, sizeof *l->blocks);
        if (!l->blocks)
            return lay_no_memory(err, "an encoder");
        l->n_blocks = config->num_hidden_layers;
        LAY_TRY(read_masters(l, config, &loader, err));
    }
    LAY_TRY(lay_encoder_load(l->learning->dnn, config, weights, loader.precision, &l->encoder, err));
    return l->train ? attach(l, err) : LAY_OK;
}

enum lay_status lay_encoder_learner_create(struct lay_learning *learning,
                                           const struct lay_encoder_config *config,
                                           struct lay_weights *weights, bool train,
                                           struct lay_encoder_learner **learner, struct lay_err *err)
{
    struct lay_encoder_learner *l = lay_alloc(1, sizeof *l);
    *learner = NULL;
    if (!l)
        return lay_no_memory(err, "an encoder");
    l->learning = learning;
    l->train = train;
    const enum lay_status status = build(l, config, weights, err);
    if (status != LAY_OK) {
        lay_encoder_learner_destroy(l);
        return status;
    }
    *learner = l;
    return LAY_OK;
}

static void free_norm(struct lay_norm_gradient *gradient)
{
    lay_free(gradient->weight);
    lay_free(gradient->bias);
}

static void free_table(struct lay_learned_table *table)
{
    lay_free(table->value);
    lay_free(table->gradient);
}

static void free_block(struct lay_learned_block *b)
{
    struct lay_work *const work[] = {&b->x, &b->qkv_rows, &b->attn, &b->lse, &b->mid, &b->ffn, &b->end};
    for (int i = 0; i < LAY_ENCODER_LINEARS; i++)
        lay_learned_free(learned_at(b, i));
    for (size_t i = 0; i < sizeof work / sizeof *work; i++)
        lay_work_free(work[i]);
    free_norm(&b->attn_norm);
    free_norm(&b->ffn_norm);
    lay_free(b->relative_bias_gradient);
}

void lay_encoder_learner_destroy(struct lay_encoder_learner *l)
{
    if (!l)
        return;
    for (int64_t i = 0; i < l->n_blocks; i++)
        free_block(&l->blocks[i]);
    struct lay_work *const work[] = {&l->embedded, &l->last, &l->dx,    &l->dh,     &l->act,
                                     &l->dattn,    &l->dqkv, &l->dbias, &l->scratch};
    for (size_t i = 0; i < sizeof work / sizeof *work; i++)
        lay_work_free(work[i]);
    void *const memory[] = {l->blocks, l->dbias_of, l->pairs, l->rows_of};
    for (size_t i = 0; i < sizeof memory / sizeof *memory; i++)
        lay_free(memory[i]);
    free_table(&l->words);
    free_table(&l->positions);
    free_table(&l->types);
    free_norm(&l->embed_norm);
    free_norm(&l->final_norm);
    lay_pieces_free(&l->pieces);
    lay_encoder_destroy(l->encoder);
    lay_free(l);
}

enum lay_status lay_encoder_learn(struct lay_encoder_learner *l, const struct lay_encoder_batch *batch,
                                  float *const *hidden, struct lay_err *err)
{
    return l->train ? lay_encoder_pass_forward(l, batch, hidden, err)
                    : lay_encoder_forward(l->encoder, batch, hidden, err);
}

enum lay_status lay_encoder_backward(struct lay_encoder_learner *l, const struct lay_encoder_batch *batch,
                                     float *const *dhidden, struct lay_err *err)
{
    return l->train ? lay_encoder_pass_backward(l, batch, dhidden, err) : LAY_OK;
}

enum lay_status lay_encoder_learner_refresh(struct lay_encoder_learner *l, struct lay_err *err)
{
    for (int64_t i = 0; i < l->n_blocks; i++) {
        l->encoder->blocks[i].bias_span = 0; /* the table by distance is out of date */
        for (int p = 0; p < LAY_ENCODER_LINEARS; p++)
            LAY_TRY(lay_learned_refresh(learned_at(&l->blocks[i], p), err));
    }
    return LAY_OK;
}

int64_t lay_encoder_kept_floats(const struct lay_encoder_config *c)
{
    const struct lay_encoder_family *family = lay_encoder_family_of(c->model_type);
    const bool norm_behind = family && family->training && family->training->norm_behind;
    const int64_t inner = c->num_attention_heads * c->head_dim, d = c->hidden_size;
    const int64_t block = 2 * d + 4 * inner + c->num_attention_heads +
                          (c->gated ? 2 : 1) * c->intermediate_size + (norm_behind ? d : 0);
    return c->num_hidden_layers * block + (norm_behind ? d : 0);
}

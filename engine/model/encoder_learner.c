/* An encoder under training: its parts in memory. The passes are in t5_backward.c. */
#include "engine/model/encoder_learner_state.h"

#include "engine/base/mem.h"

#include <stdio.h>
#include <string.h>

#define OFFICIAL "encoder." /* in a Hugging Face directory */

enum { PARTS = 4 };
static const struct {
    const char *module;
    const char *names[4];
} parts[2][PARTS] = {
    {{"layer.0.SelfAttention.", {"q", "k", "v"}},
     {"layer.0.SelfAttention.", {"o"}},
     {"layer.1.DenseReluDense.", {"wi"}},
     {"layer.1.DenseReluDense.", {"wo"}}},
    {{"layer.0.SelfAttention.", {"q", "k", "v"}},
     {"layer.0.SelfAttention.", {"o"}},
     {"layer.1.DenseReluDense.", {"wi_0", "wi_1"}}, /* gated */
     {"layer.1.DenseReluDense.", {"wo"}}},
};

static struct lay_learned *learned_at(struct lay_learned_block *block, int i)
{
    struct lay_learned *const all[] = {&block->qkv, &block->attn_out, &block->ffn_in, &block->ffn_out};
    return all[i];
}

enum lay_status lay_encoder_check_trainable(const struct lay_encoder_config *config, struct lay_err *err)
{
    for (const char *const *type = lay_encoder_t5.model_types; *type; type++)
        if (strcmp(*type, config->model_type) == 0)
            return LAY_OK;
    return lay_fail(
        err, LAY_ERR_INPUT,
        "an encoder of model_type \"%s\" cannot be trained (mt5, t5 and umt5 can); leave it frozen",
        config->model_type);
}

/* --- masters, before the model is loaded --- */

static enum lay_status read_masters(struct lay_encoder_learner *l, const struct lay_encoder_config *c,
                                    const struct lay_loader *loader, struct lay_err *err)
{
    const int64_t d = c->hidden_size, ff = c->intermediate_size, inner = c->num_attention_heads * c->head_dim;
    const int64_t sizes[PARTS][2] = {{inner, d}, {d, inner}, {ff, d}, {d, ff}}, table[] = {c->vocab_size, d};
    const struct lay_tensor *tensor;
    for (int64_t b = 0; b < l->n_blocks; b++)
        for (int i = 0; i < PARTS; i++) {
            char prefix[64];
            snprintf(prefix, sizeof prefix, "block.%lld.%s", (long long)b, parts[c->gated][i].module);
            LAY_TRY(lay_learned_read(learned_at(&l->blocks[b], i), loader, prefix, parts[c->gated][i].names,
                                     sizes[i][0], sizes[i][1], false, err));
        }
    l->embed = lay_alloc_aligned((size_t)(c->vocab_size * d), sizeof *l->embed);
    l->embed_gradient = lay_alloc_aligned((size_t)(c->vocab_size * d), sizeof *l->embed_gradient);
    if (!l->embed || !l->embed_gradient)
        return lay_no_memory(err, "trainable weights");
    LAY_TRY(lay_weights_get(loader->weights, "embed_tokens.weight", 2, table, &tensor, err));
    return lay_tensor_to_f32(tensor, l->embed, err);
}

/* --- the loaded model --- */

static enum lay_status list(struct lay_encoder_learner *l, const char *prefix, const char *name, int rank,
                            const int64_t *shape, float *value, float **gradient, struct lay_err *err)
{
    const int64_t count = shape[0] * (rank == 2 ? shape[1] : 1);
    *gradient = lay_alloc_aligned((size_t)count, sizeof **gradient);
    if (!*gradient)
        return lay_no_memory(err, "gradients");
    return lay_parameter_add(&l->learning->parameters, LAY_MODULE_ENCODER, prefix, name, rank, shape, value,
                             *gradient, err);
}

static enum lay_status attach_block(struct lay_encoder_learner *l, int64_t i, struct lay_err *err)
{
    const struct lay_encoder_config *c = &l->encoder->config;
    struct lay_encoder_block *m = &l->encoder->blocks[i];
    struct lay_learned_block *b = &l->blocks[i];
    struct lay_linear *const linears[PARTS] = {m->qkv, m->attn_out, m->ffn_in, m->ffn_out};
    const int64_t bias[] = {c->relative_buckets, c->num_attention_heads};
    char block[64], prefix[96];
    snprintf(block, sizeof block, OFFICIAL "block.%lld.", (long long)i);
    LAY_TRY(list(l, block, "layer.0.layer_norm.weight", 1, &c->hidden_size, m->attn_norm,
                 &b->attn_norm_gradient, err));
    for (int p = 0; p < PARTS; p++) {
        snprintf(prefix, sizeof prefix, "block.%lld.%s", (long long)i, parts[c->gated][p].module);
        LAY_TRY(lay_learned_attach(learned_at(b, p), l->learning, linears[p], err));
        LAY_TRY(lay_learned_list(learned_at(b, p), l->learning, LAY_MODULE_ENCODER, OFFICIAL, prefix,
                                 parts[c->gated][p].names, err));
    }
    if (m->relative_bias)
        LAY_TRY(list(l, block, "layer.0.SelfAttention.relative_attention_bias.weight", 2, bias,
                     m->relative_bias, &b->relative_bias_gradient, err));
    return list(l, block, "layer.1.layer_norm.weight", 1, &c->hidden_size, m->ffn_norm, &b->ffn_norm_gradient,
                err);
}

static enum lay_status attach(struct lay_encoder_learner *l, struct lay_err *err)
{
    struct lay_encoder *m = l->encoder;
    const struct lay_encoder_config *c = &m->config;
    const int64_t table[] = {c->vocab_size, c->hidden_size};
    m->embed_tokens.data = l->embed;
    m->embed_tokens.dtype = LAY_F32;
    LAY_TRY(lay_parameter_add(&l->learning->parameters, LAY_MODULE_ENCODER, "", "shared.weight", 2, table,
                              l->embed, l->embed_gradient, err));
    for (int64_t i = 0; i < l->n_blocks; i++)
        LAY_TRY(attach_block(l, i, err));
    return list(l, OFFICIAL, "final_layer_norm.weight", 1, &c->hidden_size, m->final_norm,
                &l->final_norm_gradient, err);
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

static void free_block(struct lay_learned_block *b)
{
    struct lay_work *const work[] = {&b->x, &b->qkv_rows, &b->attn, &b->lse, &b->mid, &b->ffn};
    for (int i = 0; i < PARTS; i++)
        lay_learned_free(learned_at(b, i));
    for (size_t i = 0; i < sizeof work / sizeof *work; i++)
        lay_work_free(work[i]);
    lay_free(b->attn_norm_gradient);
    lay_free(b->ffn_norm_gradient);
    lay_free(b->relative_bias_gradient);
}

void lay_encoder_learner_destroy(struct lay_encoder_learner *l)
{
    if (!l)
        return;
    for (int64_t i = 0; i < l->n_blocks; i++)
        free_block(&l->blocks[i]);
    struct lay_work *const work[] = {&l->last,  &l->h,    &l->dx,    &l->dh,     &l->act,
                                     &l->dattn, &l->dqkv, &l->dbias, &l->scratch};
    for (size_t i = 0; i < sizeof work / sizeof *work; i++)
        lay_work_free(work[i]);
    void *const memory[] = {l->blocks,   l->embed, l->embed_gradient, l->final_norm_gradient,
                            l->dbias_of, l->pairs};
    for (size_t i = 0; i < sizeof memory / sizeof *memory; i++)
        lay_free(memory[i]);
    lay_pieces_free(&l->pieces);
    lay_encoder_destroy(l->encoder);
    lay_free(l);
}

static int64_t count_rows(const struct lay_encoder_batch *batch)
{
    int64_t rows = 0;
    for (int64_t s = 0; s < batch->n_seqs; s++)
        rows += batch->lengths[s];
    return rows;
}

enum lay_status lay_encoder_learn(struct lay_encoder_learner *l, const struct lay_encoder_batch *batch,
                                  float *const *hidden, struct lay_err *err)
{
    return l->train ? lay_t5_learn(l, batch, count_rows(batch), hidden, err)
                    : lay_encoder_forward(l->encoder, batch, hidden, err);
}

enum lay_status lay_encoder_backward(struct lay_encoder_learner *l, const struct lay_encoder_batch *batch,
                                     float *const *dhidden, struct lay_err *err)
{
    return l->train ? lay_t5_backward(l, batch, count_rows(batch), dhidden, err) : LAY_OK;
}

enum lay_status lay_encoder_learner_refresh(struct lay_encoder_learner *l, struct lay_err *err)
{
    for (int64_t i = 0; i < l->n_blocks; i++) {
        l->encoder->blocks[i].bias_span = 0; /* the table by distance is out of date */
        for (int p = 0; p < PARTS; p++)
            LAY_TRY(lay_learned_refresh(learned_at(&l->blocks[i], p), err));
    }
    return LAY_OK;
}

int64_t lay_encoder_kept_floats(const struct lay_encoder_config *c)
{
    const int64_t inner = c->num_attention_heads * c->head_dim;
    return c->num_hidden_layers * (2 * c->hidden_size + 4 * inner + c->num_attention_heads +
                                   (c->gated ? 2 : 1) * c->intermediate_size);
}

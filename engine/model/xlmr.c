/* XLM-R: learned positions, LayerNorm after each half block.
 *
 *   x = norm(word + type 0 + position)
 *   x = norm(x + W_o softmax(q kᵀ / √d_h) v + b)      q, k, v = W_qkv x + b
 *   x = norm(x + W_2 gelu(W_1 x + b_1) + b_2) */
#include "engine/model/encoder_pass.h"

#include "engine/base/profile.h"
#include "engine/nn/kernels.h"

#include <math.h>
#include <stdio.h>

static enum lay_status load_block(struct lay_encoder *e, int64_t i, const struct lay_loader *loader,
                                  struct lay_err *err)
{
    static const char *const qkv[] = {"query", "key", "value", NULL}, *const dense[] = {"dense", NULL};
    const int64_t d = e->config.hidden_size, ff = e->config.intermediate_size;
    struct lay_encoder_block *b = &e->blocks[i];
    char self[96], attention[96], intermediate[96], output[96];
    snprintf(self, sizeof self, "encoder.layer.%lld.attention.self.", (long long)i);
    snprintf(attention, sizeof attention, "encoder.layer.%lld.attention.output.", (long long)i);
    snprintf(intermediate, sizeof intermediate, "encoder.layer.%lld.intermediate.", (long long)i);
    snprintf(output, sizeof output, "encoder.layer.%lld.output.", (long long)i);

    LAY_TRY(lay_load_linear(loader, self, qkv, d, d, true, &b->qkv, err));
    LAY_TRY(lay_load_linear(loader, attention, dense, d, d, true, &b->attn_out, err));
    LAY_TRY(lay_load_linear(loader, intermediate, dense, ff, d, true, &b->ffn_in, err));
    LAY_TRY(lay_load_linear(loader, output, dense, d, ff, true, &b->ffn_out, err));
    LAY_TRY(lay_load_vector(loader, attention, "LayerNorm.weight", d, &b->attn_norm, err));
    LAY_TRY(lay_load_vector(loader, attention, "LayerNorm.bias", d, &b->attn_norm_bias, err));
    LAY_TRY(lay_load_vector(loader, output, "LayerNorm.weight", d, &b->ffn_norm, err));
    return lay_load_vector(loader, output, "LayerNorm.bias", d, &b->ffn_norm_bias, err);
}

/* Whatever the number of its rows. */
static enum lay_status load_types(struct lay_encoder *e, const struct lay_loader *loader, struct lay_err *err)
{
    static const char name[] = "embeddings.token_type_embeddings.weight";
    const struct lay_tensor *tensor = lay_weights_find(loader->weights, name);
    const int64_t rows = tensor && tensor->rank == 2 ? tensor->shape[0] : 1;
    return lay_load_embedding(loader, name, rows, e->config.hidden_size, &e->embed_types, err);
}

static enum lay_status load(struct lay_encoder *e, const struct lay_loader *loader, struct lay_err *err)
{
    const struct lay_encoder_config *c = &e->config;
    const int64_t d = c->hidden_size;
    LAY_TRY(lay_load_embedding(loader, "embeddings.word_embeddings.weight", c->vocab_size, d,
                               &e->embed_tokens, err));
    LAY_TRY(lay_load_embedding(loader, "embeddings.position_embeddings.weight", c->max_positions, d,
                               &e->embed_positions, err));
    LAY_TRY(load_types(e, loader, err));
    LAY_TRY(lay_load_vector(loader, "embeddings.", "LayerNorm.weight", d, &e->embed_norm, err));
    LAY_TRY(lay_load_vector(loader, "embeddings.", "LayerNorm.bias", d, &e->embed_norm_bias, err));
    for (int64_t i = 0; i < c->num_hidden_layers; i++)
        LAY_TRY(load_block(e, i, loader, err));
    return LAY_OK;
}

enum lay_status lay_xlmr_sum_embeddings(struct lay_encoder *e, const struct lay_encoder_batch *batch,
                                        int64_t rows, float *x, struct lay_err *err)
{
    const struct lay_encoder_config *c = &e->config;
    const int64_t d = c->hidden_size;
    const int32_t type = 0;
    int32_t largest;
    LAY_TRY(lay_encoder_positions(e, batch, rows, &largest, err));
    if (largest >= c->max_positions)
        return lay_fail(
            err, LAY_ERR_INPUT,
            "xlm-roberta: a sequence of %d tokens exceeds the %lld that the position table of this "
            "checkpoint has; shorten the text or lower the truncation length",
            largest - c->pad_id, (long long)(c->max_positions - c->pad_id - 1));
    LAY_TRY(lay_embedding_lookup(&e->embed_tokens, batch->ids, rows, 1.0f, x, err));
    LAY_TRY(lay_embedding_lookup(&e->embed_types, &type, 1, 1.0f, e->h.data, err));
    for (int64_t r = 0; r < rows; r++)
        lay_add(x + r * d, e->h.data, d);
    LAY_TRY(lay_embedding_lookup(&e->embed_positions, e->positions, rows, 1.0f, e->h.data, err));
    lay_add(x, e->h.data, rows * d);
    return LAY_OK;
}

static enum lay_status embed(struct lay_encoder *e, const struct lay_encoder_batch *batch, int64_t rows,
                             float *x, struct lay_err *err)
{
    const struct lay_encoder_config *c = &e->config;
    LAY_TRY(lay_xlmr_sum_embeddings(e, batch, rows, x, err));
    lay_layer_norm(x, e->embed_norm, e->embed_norm_bias, x, rows, c->hidden_size, c->norm_eps);
    return LAY_OK;
}

static enum lay_status block(struct lay_encoder *e, int64_t i, const struct lay_encoder_batch *batch,
                             int64_t rows, float *x, struct lay_err *err)
{
    const struct lay_encoder_config *c = &e->config;
    const struct lay_encoder_block *b = &e->blocks[i];
    const float scale = 1.0f / sqrtf((float)c->head_dim);

    LAY_TRY(lay_linear_forward(b->qkv, x, e->qkv.data, rows, false, err));
    lay_profile_lap(LAY_OP_QKV);
    lay_attention_encoder(e->qkv.data, batch->lengths, batch->valid, batch->n_seqs, c->num_attention_heads,
                          c->head_dim, scale, NULL, 0, e->attn.data);
    lay_profile_lap(LAY_OP_ATTENTION);
    LAY_TRY(lay_linear_forward(b->attn_out, e->attn.data, x, rows, true, err));
    lay_profile_lap(LAY_OP_ATTN_OUT);
    lay_layer_norm(x, b->attn_norm, b->attn_norm_bias, x, rows, c->hidden_size, c->norm_eps);
    lay_profile_lap(LAY_OP_NORM);

    LAY_TRY(lay_encoder_feed_forward(e, b, x, x, rows, err));
    lay_layer_norm(x, b->ffn_norm, b->ffn_norm_bias, x, rows, c->hidden_size, c->norm_eps);
    lay_profile_lap(LAY_OP_NORM);
    return LAY_OK;
}

static const char *const model_types[] = {"xlm-roberta", NULL};
const struct lay_encoder_family lay_encoder_xlmr = {model_types, load, embed,
                                                    block,       NULL, &lay_xlmr_training};

/* M2M100 and NLLB: LayerNorm before each half block, biases, embeddings times √d plus sinusoidal positions.
 *
 *   x += W_o softmax(q kᵀ / √d_h) v + b      q, k, v = W_qkv norm(x) + b
 *   x += fc2(act(fc1(norm(x)))) */
#include "engine/model/encoder_pass.h"

#include "engine/base/mem.h"
#include "engine/base/profile.h"
#include "engine/nn/kernels.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* get_embedding: sines in the first half, cosines in the second; f32 products as in the official code. */
void lay_m2m100_position(int64_t position, int32_t pad, int64_t hidden_size, float *row)
{
    const int64_t half = hidden_size / 2;
    const float step = (float)(log(10000.0) / (double)(half - 1));
    memset(row, 0, (size_t)hidden_size * sizeof *row);
    if (position == pad)
        return;
    for (int64_t i = 0; i < half; i++) {
        const float angle = (float)position * expf((float)i * -step);
        row[i] = sinf(angle);
        row[half + i] = cosf(angle);
    }
}

static enum lay_status load_block(struct lay_encoder *e, int64_t i, const struct lay_loader *loader,
                                  struct lay_err *err)
{
    static const char *const qkv[] = {"q_proj", "k_proj", "v_proj", NULL}, *const out[] = {"out_proj", NULL},
                             *const fc1[] = {"fc1", NULL}, *const fc2[] = {"fc2", NULL};
    const int64_t d = e->config.hidden_size, ff = e->config.intermediate_size;
    struct lay_encoder_block *b = &e->blocks[i];
    char layer[64], attention[96];
    snprintf(layer, sizeof layer, "layers.%lld.", (long long)i);
    snprintf(attention, sizeof attention, "%sself_attn.", layer);

    LAY_TRY(lay_load_linear(loader, attention, qkv, d, d, true, &b->qkv, err));
    LAY_TRY(lay_load_linear(loader, attention, out, d, d, true, &b->attn_out, err));
    LAY_TRY(lay_load_linear(loader, layer, fc1, ff, d, true, &b->ffn_in, err));
    LAY_TRY(lay_load_linear(loader, layer, fc2, d, ff, true, &b->ffn_out, err));
    LAY_TRY(lay_load_vector(loader, layer, "self_attn_layer_norm.weight", d, &b->attn_norm, err));
    LAY_TRY(lay_load_vector(loader, layer, "self_attn_layer_norm.bias", d, &b->attn_norm_bias, err));
    LAY_TRY(lay_load_vector(loader, layer, "final_layer_norm.weight", d, &b->ffn_norm, err));
    return lay_load_vector(loader, layer, "final_layer_norm.bias", d, &b->ffn_norm_bias, err);
}

static enum lay_status load(struct lay_encoder *e, const struct lay_loader *loader, struct lay_err *err)
{
    const struct lay_encoder_config *c = &e->config;
    LAY_TRY(lay_load_embedding(loader, "embed_tokens.weight", c->vocab_size, c->hidden_size, &e->embed_tokens,
                               err));
    for (int64_t i = 0; i < c->num_hidden_layers; i++)
        LAY_TRY(load_block(e, i, loader, err));
    LAY_TRY(lay_load_vector(loader, "", "layer_norm.weight", c->hidden_size, &e->final_norm, err));
    return lay_load_vector(loader, "", "layer_norm.bias", c->hidden_size, &e->final_norm_bias, err);
}

float lay_m2m100_scale(const struct lay_encoder_config *config)
{
    return config->scale_embedding ? sqrtf((float)config->hidden_size) : 1.0f;
}

static enum lay_status embed(struct lay_encoder *e, const struct lay_encoder_batch *batch, int64_t rows,
                             float *x, struct lay_err *err)
{
    const struct lay_encoder_config *c = &e->config;
    int32_t largest;
    LAY_TRY(lay_embedding_lookup(&e->embed_tokens, batch->ids, rows, lay_m2m100_scale(c), x, err));
    LAY_TRY(lay_encoder_positions(e, batch, rows, &largest, err));
    for (int64_t r = 0; r < rows; r++) {
        float *position = e->h.data;
        lay_m2m100_position(e->positions[r], c->pad_id, c->hidden_size, position);
        lay_add(x + r * c->hidden_size, position, c->hidden_size);
    }
    return LAY_OK;
}

static enum lay_status block(struct lay_encoder *e, int64_t i, const struct lay_encoder_batch *batch,
                             int64_t rows, float *x, struct lay_err *err)
{
    const struct lay_encoder_config *c = &e->config;
    const struct lay_encoder_block *b = &e->blocks[i];
    const float scale = 1.0f / sqrtf((float)c->head_dim);
    float *h = e->h.data;

    lay_layer_norm(x, b->attn_norm, b->attn_norm_bias, h, rows, c->hidden_size, c->norm_eps);
    lay_profile_lap(LAY_OP_NORM);
    LAY_TRY(lay_linear_forward(b->qkv, h, e->qkv.data, rows, false, err));
    lay_profile_lap(LAY_OP_QKV);
    lay_attention_encoder(e->qkv.data, batch->lengths, batch->valid, batch->n_seqs, c->num_attention_heads,
                          c->head_dim, scale, NULL, 0, e->attn.data);
    lay_profile_lap(LAY_OP_ATTENTION);
    LAY_TRY(lay_linear_forward(b->attn_out, e->attn.data, x, rows, true, err));
    lay_profile_lap(LAY_OP_ATTN_OUT);

    lay_layer_norm(x, b->ffn_norm, b->ffn_norm_bias, h, rows, c->hidden_size, c->norm_eps);
    lay_profile_lap(LAY_OP_NORM);
    return lay_encoder_feed_forward(e, b, h, x, rows, err);
}

static void finish(struct lay_encoder *e, int64_t rows, float *x)
{
    lay_layer_norm(x, e->final_norm, e->final_norm_bias, x, rows, e->config.hidden_size, e->config.norm_eps);
}

static const char *const model_types[] = {"m2m_100", NULL};
const struct lay_encoder_family lay_encoder_m2m100 = {model_types, load,   embed,
                                                      block,       finish, &lay_m2m100_training};

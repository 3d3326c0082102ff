/* T5 family (T5 v1.0 and v1.1, mT5, umT5): RMSNorm before each half block, no attention scale, relative
 * position bias, no biases anywhere.
 *
 *   x += W_o softmax(q kᵀ + b(j − i)) v      q, k, v = W_qkv norm(x)
 *   x += W_o' (act(W_0 h) · W_1 h)           h = norm(x);  ungated: W_o' act(W h) */
#include "engine/model/encoder_pass.h"

#include "engine/base/mem.h"
#include "engine/base/profile.h"
#include "engine/nn/kernels.h"

#include <math.h>
#include <stdio.h>

int64_t lay_t5_bucket(int64_t distance, int64_t buckets, int64_t max_distance)
{
    const int64_t half = buckets / 2, exact = half / 2; /* one half for keys before, one for keys behind */
    const int64_t offset = distance > 0 ? half : 0;
    const int64_t n = distance < 0 ? -distance : distance;
    if (n < exact)
        return offset + n;
    /* f32 like the official code: at the borders between buckets the rounding decides. */
    const float position = logf((float)n / (float)exact) / (float)log((double)max_distance / (double)exact) *
                           (float)(half - exact);
    const int64_t bucket = exact + (int64_t)position;
    return offset + (bucket < half ? bucket : half - 1);
}

/* --- loading --- */

static enum lay_status load_relative_bias(struct lay_encoder *e, int64_t i, const char *prefix,
                                          const struct lay_loader *loader, struct lay_err *err)
{
    const struct lay_encoder_config *c = &e->config;
    const int64_t shape[] = {c->relative_buckets, c->num_attention_heads};
    const struct lay_tensor *tensor;
    char name[128];
    snprintf(name, sizeof name, "%slayer.0.SelfAttention.relative_attention_bias.weight", prefix);
    LAY_TRY(lay_weights_get(loader->weights, name, 2, shape, &tensor, err));
    e->blocks[i].relative_bias = lay_alloc(tensor->count, sizeof(float));
    if (!e->blocks[i].relative_bias)
        return lay_no_memory(err, "the relative position bias");
    return lay_tensor_to_f32(tensor, e->blocks[i].relative_bias, err);
}

static enum lay_status load_block(struct lay_encoder *e, int64_t i, const struct lay_loader *loader,
                                  struct lay_err *err)
{
    static const char *const qkv[] = {"q", "k", "v", NULL}, *const o[] = {"o", NULL},
                             *const wi[] = {"wi", NULL}, *const gated[] = {"wi_0", "wi_1", NULL},
                             *const wo[] = {"wo", NULL};
    const struct lay_encoder_config *c = &e->config;
    const int64_t d = c->hidden_size, ff = c->intermediate_size;
    const int64_t inner = c->num_attention_heads * c->head_dim;
    struct lay_encoder_block *b = &e->blocks[i];
    char block[64], attention[96], dense[96];
    snprintf(block, sizeof block, "block.%lld.", (long long)i);
    snprintf(attention, sizeof attention, "%slayer.0.SelfAttention.", block);
    snprintf(dense, sizeof dense, "%slayer.1.DenseReluDense.", block);

    LAY_TRY(lay_load_linear(loader, attention, qkv, inner, d, false, &b->qkv, err));
    LAY_TRY(lay_load_linear(loader, attention, o, d, inner, false, &b->attn_out, err));
    LAY_TRY(lay_load_linear(loader, dense, c->gated ? gated : wi, ff, d, false, &b->ffn_in, err));
    LAY_TRY(lay_load_linear(loader, dense, wo, d, ff, false, &b->ffn_out, err));
    LAY_TRY(lay_load_vector(loader, block, "layer.0.layer_norm.weight", d, &b->attn_norm, err));
    LAY_TRY(lay_load_vector(loader, block, "layer.1.layer_norm.weight", d, &b->ffn_norm, err));
    if (i == 0 || c->relative_bias_per_layer)
        LAY_TRY(load_relative_bias(e, i, block, loader, err));
    return LAY_OK;
}

static enum lay_status load(struct lay_encoder *e, const struct lay_loader *loader, struct lay_err *err)
{
    const struct lay_encoder_config *c = &e->config;
    LAY_TRY(lay_load_embedding(loader, "embed_tokens.weight", c->vocab_size, c->hidden_size, &e->embed_tokens,
                               err));
    for (int64_t i = 0; i < c->num_hidden_layers; i++)
        LAY_TRY(load_block(e, i, loader, err));
    return lay_load_vector(loader, "", "final_layer_norm.weight", c->hidden_size, &e->final_norm, err);
}

/* --- forward --- */

static enum lay_status embed(struct lay_encoder *e, const struct lay_encoder_batch *batch, int64_t rows,
                             float *x, struct lay_err *err)
{
    return lay_embedding_lookup(&e->embed_tokens, batch->ids, rows, 1.0f, x, err);
}

enum lay_status lay_t5_bias_by_distance(const struct lay_encoder *e, struct lay_encoder_block *b,
                                        int64_t span, struct lay_err *err)
{
    const int64_t heads = e->config.num_attention_heads;
    if (span <= b->bias_span)
        return LAY_OK;
    const int64_t width = 2 * span - 1;
    float *table = lay_alloc((size_t)(heads * width), sizeof *table);
    if (!table)
        return lay_no_memory(err, "the relative position bias");
    for (int64_t j = 0; j < width; j++) {
        const int64_t bucket =
            lay_t5_bucket(j - (span - 1), e->config.relative_buckets, e->config.relative_max_distance);
        for (int64_t h = 0; h < heads; h++)
            table[h * width + j] = b->relative_bias[bucket * heads + h];
    }
    lay_free(b->bias_table);
    b->bias_table = table;
    b->bias_span = span;
    return LAY_OK;
}

static enum lay_status block(struct lay_encoder *e, int64_t i, const struct lay_encoder_batch *batch,
                             int64_t rows, float *x, struct lay_err *err)
{
    const struct lay_encoder_config *c = &e->config;
    struct lay_encoder_block *b = &e->blocks[i];
    struct lay_encoder_block *biased = c->relative_bias_per_layer ? b : &e->blocks[0];
    float *h = e->h.data;

    LAY_TRY(lay_t5_bias_by_distance(e, biased, lay_encoder_longest(batch), err));
    lay_rms_norm(x, b->attn_norm, h, rows, c->hidden_size, c->norm_eps);
    lay_profile_lap(LAY_OP_NORM);
    LAY_TRY(lay_linear_forward(b->qkv, h, e->qkv.data, rows, false, err));
    lay_profile_lap(LAY_OP_QKV);
    lay_attention_encoder(e->qkv.data, batch->lengths, batch->valid, batch->n_seqs, c->num_attention_heads,
                          c->head_dim, 1.0f, biased->bias_table, biased->bias_span, e->attn.data);
    lay_profile_lap(LAY_OP_ATTENTION);
    LAY_TRY(lay_linear_forward(b->attn_out, e->attn.data, x, rows, true, err));
    lay_profile_lap(LAY_OP_ATTN_OUT);

    lay_rms_norm(x, b->ffn_norm, h, rows, c->hidden_size, c->norm_eps);
    lay_profile_lap(LAY_OP_NORM);
    return lay_encoder_feed_forward(e, b, h, x, rows, err);
}

static void finish(struct lay_encoder *e, int64_t rows, float *x)
{
    lay_rms_norm(x, e->final_norm, x, rows, e->config.hidden_size, e->config.norm_eps);
}

static const char *const model_types[] = {"t5", "mt5", "umt5", NULL};
const struct lay_encoder_family lay_encoder_t5 = {model_types, load, embed, block, finish, &lay_t5_training};

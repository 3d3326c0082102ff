/* What M2M100 adds to the passes of encoder_pass.c: word embeddings times √d; the sinusoidal positions learn
 * nothing. */
#include "engine/model/encoder_pass.h"

static enum lay_status embed_backward(const struct lay_encoder_pass *p, struct lay_err *err)
{
    const float scale = lay_m2m100_scale(p->config);
    float *dx = p->l->dx.data;
    for (int64_t i = 0; i < p->rows * p->config->hidden_size; i++)
        dx[i] *= scale;
    return lay_encoder_scatter(p, p->batch->ids, p->config->pad_id, dx, &p->l->words, err);
}

const struct lay_encoder_training lay_m2m100_training = {
    .names = {.official = "model.encoder.",
              .official_words = "model.shared.weight",
              .words = "embed_tokens.weight",
              .final_norm = "layer_norm",
              .block = "layers.%lld.",
              .attn_norm = "self_attn_layer_norm",
              .ffn_norm = "final_layer_norm",
              .linears = {{"self_attn.", {"q_proj", "k_proj", "v_proj"}},
                          {"self_attn.", {"out_proj"}},
                          {"", {"fc1"}},
                          {"", {"fc2"}}},
              .biases = true},
    .scaled = true,
    .embed = lay_encoder_embed,
    .block = lay_encoder_normed_block,
    .block_backward = lay_encoder_normed_block_backward,
    .embed_backward = embed_backward,
};

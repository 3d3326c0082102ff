/* What T5 adds to the passes of encoder_pass.c: blocks share the relative bias of block 0 (umT5: each has its
 * own). Its gradient is summed over the blocks for each sequence by itself, then over the sequences in order,
 * so that it does not matter which sequences share a pass. */
#include "engine/model/encoder_pass.h"

#include "engine/base/mem.h"

#include <string.h>

static enum lay_status block(const struct lay_encoder_pass *p, int64_t i, float *x, struct lay_err *err)
{
    LAY_TRY(lay_t5_bias_by_distance(p->l->encoder, lay_encoder_biased_block(p, i),
                                    lay_encoder_longest(p->batch), err));
    return lay_encoder_normed_block(p, i, x, err);
}

static enum lay_status start_bias(const struct lay_encoder_pass *p, int64_t span, struct lay_err *err)
{
    struct lay_encoder_learner *l = p->l;
    const int64_t n = p->batch->n_seqs, size = p->config->num_attention_heads * (2 * span - 1);
    if (!lay_grow((void **)&l->dbias_of, &l->dbias_of_capacity, (size_t)n, sizeof *l->dbias_of))
        return lay_no_memory(err, "the sequences of a pass");
    LAY_TRY(lay_work_reserve(&l->dbias, n, size, err));
    memset(l->dbias.data, 0, (size_t)(n * size) * sizeof(float));
    for (int64_t s = 0; s < n; s++)
        l->dbias_of[s] = l->dbias.data + s * size;
    return LAY_OK;
}

/* Distances of a sequence into buckets, sequence by sequence. */
static void fold_bias(const struct lay_encoder_pass *p, int64_t span, float *gradient)
{
    const struct lay_encoder_config *c = p->config;
    const int64_t heads = c->num_attention_heads, width = 2 * span - 1;
    for (int64_t s = 0; s < p->batch->n_seqs; s++)
        for (int64_t j = 0; j < width; j++) {
            const int64_t bucket =
                lay_t5_bucket(j - (span - 1), c->relative_buckets, c->relative_max_distance);
            for (int64_t h = 0; h < heads; h++)
                gradient[bucket * heads + h] += p->l->dbias_of[s][h * width + j];
        }
}

static enum lay_status block_backward(const struct lay_encoder_pass *p, int64_t i, struct lay_err *err)
{
    const int64_t span = lay_encoder_biased_block(p, i)->bias_span;
    if (i == p->l->n_blocks - 1 || p->config->relative_bias_per_layer)
        LAY_TRY(start_bias(p, span, err));
    LAY_TRY(lay_encoder_normed_block_backward(p, i, err));
    if (p->l->blocks[i].relative_bias_gradient)
        fold_bias(p, span, p->l->blocks[i].relative_bias_gradient);
    return LAY_OK;
}

static enum lay_status embed_backward(const struct lay_encoder_pass *p, struct lay_err *err)
{
    return lay_encoder_scatter(p, p->batch->ids, -1, p->l->dx.data, &p->l->words, err);
}

const struct lay_encoder_training lay_t5_training = {
    .names = {.official = "encoder.",
              .official_words = "shared.weight",
              .words = "embed_tokens.weight",
              .final_norm = "final_layer_norm",
              .block = "block.%lld.",
              .attn_norm = "layer.0.layer_norm",
              .ffn_norm = "layer.1.layer_norm",
              .linears = {{"layer.0.SelfAttention.", {"q", "k", "v"}},
                          {"layer.0.SelfAttention.", {"o"}},
                          {"layer.1.DenseReluDense.", {"wi"}},
                          {"layer.1.DenseReluDense.", {"wo"}}},
              .gated_in = {"layer.1.DenseReluDense.", {"wi_0", "wi_1"}},
              .relative_bias = "layer.0.SelfAttention.relative_attention_bias.weight"},
    .embed = lay_encoder_embed,
    .block = block,
    .block_backward = block_backward,
    .embed_backward = embed_backward,
};

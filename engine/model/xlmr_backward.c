/* What XLM-R adds to the passes of encoder_pass.c: norms behind the half blocks, learned positions, a token
 * type, and a norm over the sum of the embeddings. */
#include "engine/model/encoder_pass.h"

#include <string.h>

static enum lay_status embed(const struct lay_encoder_pass *p, float *x, struct lay_err *err)
{
    struct lay_encoder *e = p->l->encoder;
    LAY_TRY(lay_work_reserve(&p->l->embedded, p->rows, p->config->hidden_size, err));
    LAY_TRY(lay_xlmr_sum_embeddings(e, p->batch, p->rows, p->l->embedded.data, err));
    lay_encoder_norm(p, p->l->embedded.data, e->embed_norm, e->embed_norm_bias, x);
    return LAY_OK;
}

static enum lay_status block(const struct lay_encoder_pass *p, int64_t i, float *x, struct lay_err *err)
{
    const struct lay_encoder_block *w = &p->l->encoder->blocks[i];
    const struct lay_learned_block *b = &p->l->blocks[i];
    memcpy(b->x.data, x, lay_encoder_row_bytes(p));
    LAY_TRY(lay_encoder_attend(p, i, x, x, err));
    memcpy(b->mid.data, x, lay_encoder_row_bytes(p));
    lay_encoder_norm(p, x, w->attn_norm, w->attn_norm_bias, x);
    LAY_TRY(lay_encoder_feed(p, i, x, x, err));
    memcpy(b->end.data, x, lay_encoder_row_bytes(p));
    lay_encoder_norm(p, x, w->ffn_norm, w->ffn_norm_bias, x);
    return LAY_OK;
}

/* `to` = norm'(x) `from`. */
static void through_norm(const struct lay_encoder_pass *p, const float *x, const float *weight,
                         const struct lay_norm_gradient *gradient, const float *from, float *to)
{
    memset(to, 0, lay_encoder_row_bytes(p));
    lay_encoder_norm_backward(p, x, weight, gradient, from, to);
}

static enum lay_status block_backward(const struct lay_encoder_pass *p, int64_t i, struct lay_err *err)
{
    const struct lay_encoder_block *w = &p->l->encoder->blocks[i];
    const struct lay_learned_block *b = &p->l->blocks[i];
    float *h = p->l->encoder->h.data, *dx = p->l->dx.data, *ds = p->l->dh.data;
    through_norm(p, b->end.data, w->ffn_norm, &b->ffn_norm, dx, ds);
    lay_encoder_norm(p, b->mid.data, w->attn_norm, w->attn_norm_bias, h);
    LAY_TRY(lay_encoder_feed_backward(p, i, h, ds, ds, err));
    through_norm(p, b->mid.data, w->attn_norm, &b->attn_norm, ds, dx);
    return lay_encoder_attend_backward(p, i, b->x.data, dx, dx, err);
}

static enum lay_status embed_backward(const struct lay_encoder_pass *p, struct lay_err *err)
{
    struct lay_encoder_learner *l = p->l;
    const int32_t pad = p->config->pad_id;
    float *sum = l->dh.data;
    through_norm(p, l->embedded.data, l->encoder->embed_norm, &l->embed_norm, l->dx.data, sum);
    lay_add_rows(sum, l->types.gradient, p->rows, p->config->hidden_size);
    LAY_TRY(lay_encoder_scatter(p, l->encoder->positions, pad, sum, &l->positions, err));
    return lay_encoder_scatter(p, p->batch->ids, pad, sum, &l->words, err);
}

const struct lay_encoder_training lay_xlmr_training = {
    .names = {.official = "roberta.",
              .official_words = "roberta.embeddings.word_embeddings.weight",
              .words = "embeddings.word_embeddings.weight",
              .positions = "embeddings.position_embeddings.weight",
              .types = "embeddings.token_type_embeddings.weight",
              .embed_norm = "embeddings.LayerNorm",
              .block = "encoder.layer.%lld.",
              .attn_norm = "attention.output.LayerNorm",
              .ffn_norm = "output.LayerNorm",
              .linears = {{"attention.self.", {"query", "key", "value"}},
                          {"attention.output.", {"dense"}},
                          {"intermediate.", {"dense"}},
                          {"output.", {"dense"}}},
              .biases = true},
    .norm_behind = true,
    .scaled = true,
    .embed = embed,
    .block = block,
    .block_backward = block_backward,
    .embed_backward = embed_backward,
};

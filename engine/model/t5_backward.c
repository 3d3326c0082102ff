/* The passes of a T5 encoder under training (forward as in t5.c). Backward of a block, with dx the gradient
 * of its output, then of its input:
 *
 *   d act  = W_o'ᵀ dx      d ffn = act'(ffn) d act      dx += norm'(mid)(W_iᵀ d ffn)
 *   d attn = W_oᵀ dx       dq, dk, dv, db of the attention      dx += norm'(x)(W_qkvᵀ (dq, dk, dv))
 *
 * Blocks share the relative bias of block 0: its gradient is summed over the blocks for each sequence by
 * itself, then over the sequences in order, so that it does not matter which sequences share a pass. */
#include "engine/model/encoder_learner_state.h"

#include "engine/base/mem.h"

#include <string.h>

struct pass {
    struct lay_encoder_learner *l;
    const struct lay_encoder_batch *batch;
    const struct lay_encoder_config *config;
    int64_t rows, span; /* span: tokens of the longest sequence */
};

static int64_t inner_width(const struct lay_encoder_config *c)
{
    return c->num_attention_heads * c->head_dim;
}

static int64_t ffn_width(const struct lay_encoder_config *c)
{
    return (c->gated ? 2 : 1) * c->intermediate_size;
}

static struct lay_encoder_block *biased_block(const struct pass *p, int64_t i)
{
    return &p->l->encoder->blocks[p->config->relative_bias_per_layer ? i : 0];
}

static struct lay_attention attention_of(const struct pass *p, int64_t i)
{
    const struct lay_encoder_config *c = p->config;
    const struct lay_encoder_block *biased = biased_block(p, i);
    const float *qkv = p->l->blocks[i].qkv_rows.data;
    const int64_t inner = inner_width(c);
    return (struct lay_attention){.q = qkv,
                                  .k = qkv + inner,
                                  .v = qkv + 2 * inner,
                                  .q_stride = 3 * inner,
                                  .k_stride = 3 * inner,
                                  .v_stride = 3 * inner,
                                  .heads = c->num_attention_heads,
                                  .kv_heads = c->num_attention_heads,
                                  .head_dim = c->head_dim,
                                  .scale = 1.0f,
                                  .bias_table = biased->bias_table,
                                  .bias_span = biased->bias_span,
                                  .pairs = p->l->pairs,
                                  .n_pairs = p->batch->n_seqs};
}

/* --- forward --- */

static enum lay_status reserve_block(const struct pass *p, struct lay_learned_block *b, struct lay_err *err)
{
    const struct lay_encoder_config *c = p->config;
    LAY_TRY(lay_work_reserve(&b->x, p->rows, c->hidden_size, err));
    LAY_TRY(lay_work_reserve(&b->qkv_rows, p->rows, 3 * inner_width(c), err));
    LAY_TRY(lay_work_reserve(&b->attn, p->rows, inner_width(c), err));
    LAY_TRY(lay_work_reserve(&b->lse, p->rows, c->num_attention_heads, err));
    LAY_TRY(lay_work_reserve(&b->mid, p->rows, c->hidden_size, err));
    return lay_work_reserve(&b->ffn, p->rows, ffn_width(c), err);
}

static void activate(const struct pass *p, const struct lay_learned_block *b)
{
    const struct lay_encoder_config *c = p->config;
    if (c->gated) {
        lay_activate_gated(c->activation, b->ffn.data, p->l->act.data, p->rows, c->intermediate_size);
        return;
    }
    memcpy(p->l->act.data, b->ffn.data, (size_t)(p->rows * c->intermediate_size) * sizeof(float));
    lay_activate(c->activation, p->l->act.data, p->rows, c->intermediate_size);
}

static enum lay_status block_forward(const struct pass *p, int64_t i, float *x, struct lay_err *err)
{
    struct lay_encoder_learner *l = p->l;
    const struct lay_encoder_config *c = p->config;
    const struct lay_encoder_block *w = &l->encoder->blocks[i];
    struct lay_learned_block *b = &l->blocks[i];
    const size_t bytes = (size_t)(p->rows * c->hidden_size) * sizeof *x;
    LAY_TRY(reserve_block(p, b, err));
    memcpy(b->x.data, x, bytes);
    lay_rms_norm(x, w->attn_norm, l->h.data, p->rows, c->hidden_size, c->norm_eps);
    LAY_TRY(lay_linear_forward(w->qkv, l->h.data, b->qkv_rows.data, p->rows, false, err));
    LAY_TRY(lay_t5_bias_by_distance(l->encoder, biased_block(p, i), p->span, err));
    const struct lay_attention a = attention_of(p, i);
    LAY_TRY(lay_work_reserve(&l->scratch, 1, (int64_t)lay_attention_scratch(&a), err));
    lay_attention_forward(&a, b->attn.data, b->lse.data, l->scratch.data);
    LAY_TRY(lay_linear_forward(w->attn_out, b->attn.data, x, p->rows, true, err));
    memcpy(b->mid.data, x, bytes);
    lay_rms_norm(x, w->ffn_norm, l->h.data, p->rows, c->hidden_size, c->norm_eps);
    LAY_TRY(lay_linear_forward(w->ffn_in, l->h.data, b->ffn.data, p->rows, false, err));
    activate(p, b);
    return lay_linear_forward(w->ffn_out, l->act.data, x, p->rows, true, err);
}

static enum lay_status reserve(const struct pass *p, struct lay_err *err)
{
    struct lay_encoder_learner *l = p->l;
    const struct lay_encoder_config *c = p->config;
    const size_t n = (size_t)p->batch->n_seqs;
    struct lay_work *const wide[] = {&l->last, &l->h, &l->dx, &l->dh};
    for (size_t i = 0; i < sizeof wide / sizeof *wide; i++)
        LAY_TRY(lay_work_reserve(wide[i], p->rows, c->hidden_size, err));
    LAY_TRY(lay_work_reserve(&l->act, p->rows, c->intermediate_size, err));
    LAY_TRY(lay_work_reserve(&l->dattn, p->rows, inner_width(c), err));
    LAY_TRY(lay_work_reserve(&l->dqkv, p->rows, 3 * inner_width(c), err));
    if (!lay_grow((void **)&l->pairs, &l->pairs_capacity, n, sizeof *l->pairs) ||
        !lay_grow((void **)&l->dbias_of, &l->dbias_of_capacity, n, sizeof *l->dbias_of))
        return lay_no_memory(err, "the sequences of a pass");
    for (int64_t s = 0, row = 0; s < p->batch->n_seqs; s++) {
        const int64_t length = p->batch->lengths[s], valid = p->batch->valid ? p->batch->valid[s] : length;
        l->pairs[s] = (struct lay_attention_pair){row, length, row, valid};
        row += length;
    }
    return lay_pieces_cut(&l->pieces, p->batch->lengths, p->batch->n_seqs, LAY_PIECE_ROWS, err);
}

static struct pass begin(struct lay_encoder_learner *l, const struct lay_encoder_batch *batch, int64_t rows)
{
    return (struct pass){l, batch, &l->encoder->config, rows, lay_encoder_longest(batch)};
}

enum lay_status lay_t5_learn(struct lay_encoder_learner *l, const struct lay_encoder_batch *batch,
                             int64_t rows, float *const *hidden, struct lay_err *err)
{
    const struct pass p = begin(l, batch, rows);
    const int64_t d = p.config->hidden_size;
    LAY_TRY(reserve(&p, err));
    float *x = l->last.data;
    LAY_TRY(lay_embedding_lookup(&l->encoder->embed_tokens, batch->ids, rows, 1.0f, x, err));
    for (int64_t i = 0; i < l->n_blocks; i++) {
        if (hidden[i])
            memcpy(hidden[i], x, (size_t)(rows * d) * sizeof *x);
        LAY_TRY(block_forward(&p, i, x, err));
    }
    if (hidden[l->n_blocks])
        lay_rms_norm(x, l->encoder->final_norm, hidden[l->n_blocks], rows, d, p.config->norm_eps);
    return LAY_OK;
}

/* --- backward --- */

static enum lay_status ffn_backward(const struct pass *p, int64_t i, struct lay_err *err)
{
    struct lay_encoder_learner *l = p->l;
    const struct lay_encoder_config *c = p->config;
    const struct lay_encoder_block *w = &l->encoder->blocks[i];
    struct lay_learned_block *b = &l->blocks[i];
    float *dx = l->dx.data;
    activate(p, b);
    LAY_TRY(lay_learned_weights(&b->ffn_out, l->learning, l->act.data, dx, l->pieces.items, l->pieces.count,
                                err));
    LAY_TRY(lay_learned_inputs(&b->ffn_out, l->learning, dx, l->act.data, p->rows, false, err));
    if (c->gated)
        lay_activate_gated_backward(c->activation, b->ffn.data, l->act.data, b->ffn.data, p->rows,
                                    c->intermediate_size);
    else
        lay_activate_backward(c->activation, b->ffn.data, l->act.data, b->ffn.data,
                              p->rows * c->intermediate_size);
    lay_rms_norm(b->mid.data, w->ffn_norm, l->h.data, p->rows, c->hidden_size, c->norm_eps);
    LAY_TRY(lay_learned_weights(&b->ffn_in, l->learning, l->h.data, b->ffn.data, l->pieces.items,
                                l->pieces.count, err));
    LAY_TRY(lay_learned_inputs(&b->ffn_in, l->learning, b->ffn.data, l->dh.data, p->rows, false, err));
    lay_rms_norm_weight(b->mid.data, l->dh.data, b->ffn_norm_gradient, p->rows, c->hidden_size, c->norm_eps);
    lay_rms_norm_backward(b->mid.data, w->ffn_norm, l->dh.data, dx, p->rows, c->hidden_size, c->norm_eps);
    return LAY_OK;
}

static enum lay_status attention_backward(const struct pass *p, int64_t i, struct lay_err *err)
{
    struct lay_encoder_learner *l = p->l;
    struct lay_learned_block *b = &l->blocks[i];
    const int64_t inner = inner_width(p->config);
    const struct lay_attention a = attention_of(p, i);
    LAY_TRY(lay_learned_weights(&b->attn_out, l->learning, b->attn.data, l->dx.data, l->pieces.items,
                                l->pieces.count, err));
    LAY_TRY(lay_learned_inputs(&b->attn_out, l->learning, l->dx.data, l->dattn.data, p->rows, false, err));
    memset(l->dqkv.data, 0, (size_t)(p->rows * 3 * inner) * sizeof(float)); /* pads are no keys */
    const struct lay_attention_gradient gradient = {.out = b->attn.data,
                                                    .lse = b->lse.data,
                                                    .dout = l->dattn.data,
                                                    .factor = 1.0f,
                                                    .dq = l->dqkv.data,
                                                    .dk = l->dqkv.data + inner,
                                                    .dv = l->dqkv.data + 2 * inner,
                                                    .dbias = l->dbias_of};
    LAY_TRY(lay_work_reserve(&l->scratch, 1, (int64_t)lay_attention_scratch(&a), err));
    lay_attention_backward(&a, &gradient, l->scratch.data);
    return LAY_OK;
}

static enum lay_status qkv_backward(const struct pass *p, int64_t i, struct lay_err *err)
{
    struct lay_encoder_learner *l = p->l;
    const struct lay_encoder_config *c = p->config;
    const struct lay_encoder_block *w = &l->encoder->blocks[i];
    struct lay_learned_block *b = &l->blocks[i];
    lay_rms_norm(b->x.data, w->attn_norm, l->h.data, p->rows, c->hidden_size, c->norm_eps);
    LAY_TRY(lay_learned_weights(&b->qkv, l->learning, l->h.data, l->dqkv.data, l->pieces.items,
                                l->pieces.count, err));
    LAY_TRY(lay_learned_inputs(&b->qkv, l->learning, l->dqkv.data, l->dh.data, p->rows, false, err));
    lay_rms_norm_weight(b->x.data, l->dh.data, b->attn_norm_gradient, p->rows, c->hidden_size, c->norm_eps);
    lay_rms_norm_backward(b->x.data, w->attn_norm, l->dh.data, l->dx.data, p->rows, c->hidden_size,
                          c->norm_eps);
    return LAY_OK;
}

/* --- the relative bias: distances of a sequence into buckets, sequence by sequence --- */

static enum lay_status start_bias(const struct pass *p, int64_t span, struct lay_err *err)
{
    struct lay_encoder_learner *l = p->l;
    const int64_t size = p->config->num_attention_heads * (2 * span - 1);
    LAY_TRY(lay_work_reserve(&l->dbias, p->batch->n_seqs, size, err));
    memset(l->dbias.data, 0, (size_t)(p->batch->n_seqs * size) * sizeof(float));
    for (int64_t s = 0; s < p->batch->n_seqs; s++)
        l->dbias_of[s] = l->dbias.data + s * size;
    return LAY_OK;
}

static void fold_bias(const struct pass *p, int64_t span, float *gradient)
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

static enum lay_status block_backward(const struct pass *p, int64_t i, struct lay_err *err)
{
    const int64_t span = biased_block(p, i)->bias_span;
    if (i == p->l->n_blocks - 1 || p->config->relative_bias_per_layer)
        LAY_TRY(start_bias(p, span, err));
    LAY_TRY(ffn_backward(p, i, err));
    LAY_TRY(attention_backward(p, i, err));
    LAY_TRY(qkv_backward(p, i, err));
    if (p->l->blocks[i].relative_bias_gradient)
        fold_bias(p, span, p->l->blocks[i].relative_bias_gradient);
    return LAY_OK;
}

/* --- the pass --- */

enum lay_status lay_t5_backward(struct lay_encoder_learner *l, const struct lay_encoder_batch *batch,
                                int64_t rows, float *const *dhidden, struct lay_err *err)
{
    const struct pass p = begin(l, batch, rows);
    const int64_t d = p.config->hidden_size;
    float *dx = l->dx.data;
    memset(dx, 0, (size_t)(rows * d) * sizeof *dx);
    if (dhidden[l->n_blocks]) {
        lay_rms_norm_weight(l->last.data, dhidden[l->n_blocks], l->final_norm_gradient, rows, d,
                            p.config->norm_eps);
        lay_rms_norm_backward(l->last.data, l->encoder->final_norm, dhidden[l->n_blocks], dx, rows, d,
                              p.config->norm_eps);
    }
    for (int64_t i = l->n_blocks - 1; i >= 0; i--) {
        LAY_TRY(block_backward(&p, i, err));
        if (dhidden[i])
            lay_add(dx, dhidden[i], rows * d);
    }
    lay_scatter_rows(dx, batch->ids, l->embed_gradient, rows, d);
    return LAY_OK;
}

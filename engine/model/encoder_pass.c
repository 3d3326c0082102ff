#include "engine/model/encoder_pass.h"

#include "engine/base/mem.h"

#include <math.h>
#include <string.h>

static int64_t inner_width(const struct lay_encoder_config *c)
{
    return c->num_attention_heads * c->head_dim;
}

size_t lay_encoder_row_bytes(const struct lay_encoder_pass *p)
{
    return (size_t)(p->rows * p->config->hidden_size) * sizeof(float);
}

static const struct lay_encoder_training *training_of(const struct lay_encoder_learner *l)
{
    return l->encoder->family->training;
}

struct lay_encoder_block *lay_encoder_biased_block(const struct lay_encoder_pass *p, int64_t i)
{
    return &p->l->encoder->blocks[p->config->relative_bias_per_layer ? i : 0];
}

/* --- norms --- */

void lay_encoder_norm(const struct lay_encoder_pass *p, const float *x, const float *weight,
                      const float *bias, float *y)
{
    const struct lay_encoder_config *c = p->config;
    if (bias)
        lay_layer_norm(x, weight, bias, y, p->rows, c->hidden_size, c->norm_eps);
    else
        lay_rms_norm(x, weight, y, p->rows, c->hidden_size, c->norm_eps);
}

void lay_encoder_norm_backward(const struct lay_encoder_pass *p, const float *x, const float *weight,
                               const struct lay_norm_gradient *gradient, const float *dy, float *dx)
{
    const int64_t d = p->config->hidden_size;
    const float eps = p->config->norm_eps;
    if (!gradient->bias) {
        lay_rms_norm_weight(x, dy, gradient->weight, p->rows, d, eps);
        lay_rms_norm_backward(x, weight, dy, dx, p->rows, d, eps);
        return;
    }
    lay_add_rows(dy, gradient->bias, p->rows, d);
    lay_layer_norm_weight(x, dy, gradient->weight, p->rows, d, eps);
    lay_layer_norm_backward(x, weight, dy, dx, p->rows, d, eps);
}

/* --- attention --- */

static struct lay_attention attention_of(const struct lay_encoder_pass *p, int64_t i)
{
    const struct lay_encoder_config *c = p->config;
    const struct lay_encoder_block *biased = lay_encoder_biased_block(p, i);
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
                                  .scale =
                                      training_of(p->l)->scaled ? 1.0f / sqrtf((float)c->head_dim) : 1.0f,
                                  .bias_table = biased->bias_table,
                                  .bias_span = biased->bias_span,
                                  .pairs = p->l->pairs,
                                  .n_pairs = p->batch->n_seqs};
}

enum lay_status lay_encoder_attend(const struct lay_encoder_pass *p, int64_t i, const float *h, float *x,
                                   struct lay_err *err)
{
    struct lay_encoder_learner *l = p->l;
    const struct lay_encoder_block *w = &l->encoder->blocks[i];
    struct lay_learned_block *b = &l->blocks[i];
    LAY_TRY(lay_linear_forward(w->qkv, h, b->qkv_rows.data, p->rows, false, err));
    const struct lay_attention a = attention_of(p, i);
    LAY_TRY(lay_work_reserve(&l->scratch, 1, (int64_t)lay_attention_scratch(&a), err));
    lay_attention_forward(&a, b->attn.data, b->lse.data, l->scratch.data);
    return lay_linear_forward(w->attn_out, b->attn.data, x, p->rows, true, err);
}

static enum lay_status attention_backward(const struct lay_encoder_pass *p, int64_t i, struct lay_err *err)
{
    struct lay_encoder_learner *l = p->l;
    const struct lay_learned_block *b = &l->blocks[i];
    const int64_t inner = inner_width(p->config);
    const struct lay_attention a = attention_of(p, i);
    memset(l->dqkv.data, 0, (size_t)(p->rows * 3 * inner) * sizeof(float)); /* pads are no keys */
    const struct lay_attention_gradient gradient = {.out = b->attn.data,
                                                    .lse = b->lse.data,
                                                    .dout = l->dattn.data,
                                                    .factor = 1.0f,
                                                    .dq = l->dqkv.data,
                                                    .dk = l->dqkv.data + inner,
                                                    .dv = l->dqkv.data + 2 * inner,
                                                    .dbias = a.bias_table ? l->dbias_of : NULL};
    LAY_TRY(lay_work_reserve(&l->scratch, 1, (int64_t)lay_attention_scratch(&a), err));
    lay_attention_backward(&a, &gradient, l->scratch.data);
    return LAY_OK;
}

/* dW += dyᵀ x of a linear layer. */
static enum lay_status grow(const struct lay_encoder_pass *p, const struct lay_learned *linear,
                            const float *x, const float *dy, struct lay_err *err)
{
    const struct lay_pieces *pieces = &p->l->pieces;
    return lay_learned_weights(linear, p->l->learning, x, dy, pieces->items, pieces->count, err);
}

enum lay_status lay_encoder_attend_backward(const struct lay_encoder_pass *p, int64_t i, const float *h,
                                            float *dy, float *dh, struct lay_err *err)
{
    struct lay_encoder_learner *l = p->l;
    const struct lay_learned_block *b = &l->blocks[i];
    LAY_TRY(grow(p, &b->attn_out, b->attn.data, dy, err));
    LAY_TRY(lay_learned_inputs(&b->attn_out, l->learning, dy, l->dattn.data, p->rows, false, err));
    LAY_TRY(attention_backward(p, i, err));
    LAY_TRY(grow(p, &b->qkv, h, l->dqkv.data, err));
    return lay_learned_inputs(&b->qkv, l->learning, l->dqkv.data, dh, p->rows, dh == dy, err);
}

/* --- feed-forward --- */

/* l->act = act(ffn) */
static void activate(const struct lay_encoder_pass *p, const struct lay_learned_block *b)
{
    const struct lay_encoder_config *c = p->config;
    if (c->gated) {
        lay_activate_gated(c->activation, b->ffn.data, p->l->act.data, p->rows, c->intermediate_size);
        return;
    }
    memcpy(p->l->act.data, b->ffn.data, (size_t)(p->rows * c->intermediate_size) * sizeof(float));
    lay_activate(c->activation, p->l->act.data, p->rows, c->intermediate_size);
}

/* From l->act to b->ffn, in place. */
static void activate_backward(const struct lay_encoder_pass *p, const struct lay_learned_block *b)
{
    const struct lay_encoder_config *c = p->config;
    const int64_t n = c->intermediate_size;
    float *ffn = b->ffn.data;
    if (c->gated)
        lay_activate_gated_backward(c->activation, ffn, p->l->act.data, ffn, p->rows, n);
    else
        lay_activate_backward(c->activation, ffn, p->l->act.data, ffn, p->rows * n);
}

enum lay_status lay_encoder_feed(const struct lay_encoder_pass *p, int64_t i, const float *h, float *x,
                                 struct lay_err *err)
{
    const struct lay_encoder_block *w = &p->l->encoder->blocks[i];
    const struct lay_learned_block *b = &p->l->blocks[i];
    LAY_TRY(lay_linear_forward(w->ffn_in, h, b->ffn.data, p->rows, false, err));
    activate(p, b);
    return lay_linear_forward(w->ffn_out, p->l->act.data, x, p->rows, true, err);
}

enum lay_status lay_encoder_feed_backward(const struct lay_encoder_pass *p, int64_t i, const float *h,
                                          float *dy, float *dh, struct lay_err *err)
{
    struct lay_encoder_learner *l = p->l;
    const struct lay_learned_block *b = &l->blocks[i];
    activate(p, b);
    LAY_TRY(grow(p, &b->ffn_out, l->act.data, dy, err));
    LAY_TRY(lay_learned_inputs(&b->ffn_out, l->learning, dy, l->act.data, p->rows, false, err));
    activate_backward(p, b);
    LAY_TRY(grow(p, &b->ffn_in, h, b->ffn.data, err));
    return lay_learned_inputs(&b->ffn_in, l->learning, b->ffn.data, dh, p->rows, dh == dy, err);
}

/* --- blocks whose norms stand in front --- */

enum lay_status lay_encoder_normed_block(const struct lay_encoder_pass *p, int64_t i, float *x,
                                         struct lay_err *err)
{
    const struct lay_encoder_block *w = &p->l->encoder->blocks[i];
    struct lay_learned_block *b = &p->l->blocks[i];
    float *h = p->l->encoder->h.data;
    memcpy(b->x.data, x, lay_encoder_row_bytes(p));
    lay_encoder_norm(p, x, w->attn_norm, w->attn_norm_bias, h);
    LAY_TRY(lay_encoder_attend(p, i, h, x, err));
    memcpy(b->mid.data, x, lay_encoder_row_bytes(p));
    lay_encoder_norm(p, x, w->ffn_norm, w->ffn_norm_bias, h);
    return lay_encoder_feed(p, i, h, x, err);
}

enum lay_status lay_encoder_normed_block_backward(const struct lay_encoder_pass *p, int64_t i,
                                                  struct lay_err *err)
{
    const struct lay_encoder_block *w = &p->l->encoder->blocks[i];
    const struct lay_learned_block *b = &p->l->blocks[i];
    float *h = p->l->encoder->h.data, *dx = p->l->dx.data, *dh = p->l->dh.data;
    lay_encoder_norm(p, b->mid.data, w->ffn_norm, w->ffn_norm_bias, h);
    LAY_TRY(lay_encoder_feed_backward(p, i, h, dx, dh, err));
    lay_encoder_norm_backward(p, b->mid.data, w->ffn_norm, &b->ffn_norm, dh, dx);
    lay_encoder_norm(p, b->x.data, w->attn_norm, w->attn_norm_bias, h);
    LAY_TRY(lay_encoder_attend_backward(p, i, h, dx, dh, err));
    lay_encoder_norm_backward(p, b->x.data, w->attn_norm, &b->attn_norm, dh, dx);
    return LAY_OK;
}

/* --- embeddings --- */

enum lay_status lay_encoder_embed(const struct lay_encoder_pass *p, float *x, struct lay_err *err)
{
    struct lay_encoder *e = p->l->encoder;
    return e->family->embed(e, p->batch, p->rows, x, err);
}

enum lay_status lay_encoder_scatter(const struct lay_encoder_pass *p, const int32_t *ids, int32_t frozen,
                                    const float *dx, struct lay_learned_table *table, struct lay_err *err)
{
    struct lay_encoder_learner *l = p->l;
    if (!lay_grow((void **)&l->rows_of, &l->rows_of_capacity, (size_t)p->rows, sizeof *l->rows_of))
        return lay_no_memory(err, "the rows of a pass");
    for (int64_t r = 0; r < p->rows; r++)
        l->rows_of[r] = ids[r] == frozen ? -1 : ids[r];
    lay_scatter_rows(dx, l->rows_of, table->gradient, p->rows, p->config->hidden_size);
    return LAY_OK;
}

/* --- the pass --- */

static enum lay_status reserve_block(const struct lay_encoder_pass *p, struct lay_learned_block *b,
                                     struct lay_err *err)
{
    const struct lay_encoder_config *c = p->config;
    LAY_TRY(lay_work_reserve(&b->x, p->rows, c->hidden_size, err));
    LAY_TRY(lay_work_reserve(&b->qkv_rows, p->rows, 3 * inner_width(c), err));
    LAY_TRY(lay_work_reserve(&b->attn, p->rows, inner_width(c), err));
    LAY_TRY(lay_work_reserve(&b->lse, p->rows, c->num_attention_heads, err));
    LAY_TRY(lay_work_reserve(&b->mid, p->rows, c->hidden_size, err));
    if (training_of(p->l)->norm_behind)
        LAY_TRY(lay_work_reserve(&b->end, p->rows, c->hidden_size, err));
    return lay_work_reserve(&b->ffn, p->rows, (c->gated ? 2 : 1) * c->intermediate_size, err);
}

static enum lay_status reserve(const struct lay_encoder_pass *p, struct lay_err *err)
{
    struct lay_encoder_learner *l = p->l;
    const struct lay_encoder_config *c = p->config;
    const size_t n = (size_t)p->batch->n_seqs;
    struct lay_work *const wide[] = {&l->last, &l->encoder->h, &l->dx, &l->dh};
    for (size_t i = 0; i < sizeof wide / sizeof *wide; i++)
        LAY_TRY(lay_work_reserve(wide[i], p->rows, c->hidden_size, err));
    LAY_TRY(lay_work_reserve(&l->act, p->rows, c->intermediate_size, err));
    LAY_TRY(lay_work_reserve(&l->dattn, p->rows, inner_width(c), err));
    LAY_TRY(lay_work_reserve(&l->dqkv, p->rows, 3 * inner_width(c), err));
    for (int64_t i = 0; i < l->n_blocks; i++)
        LAY_TRY(reserve_block(p, &l->blocks[i], err));
    if (!lay_grow((void **)&l->pairs, &l->pairs_capacity, n, sizeof *l->pairs))
        return lay_no_memory(err, "the sequences of a pass");
    for (int64_t s = 0, row = 0; s < p->batch->n_seqs; s++) {
        const int64_t length = p->batch->lengths[s], valid = p->batch->valid ? p->batch->valid[s] : length;
        l->pairs[s] = (struct lay_attention_pair){row, length, row, valid};
        row += length;
    }
    return lay_pieces_cut(&l->pieces, p->batch->lengths, p->batch->n_seqs, LAY_PIECE_ROWS, err);
}

static struct lay_encoder_pass begin(struct lay_encoder_learner *l, const struct lay_encoder_batch *batch)
{
    int64_t rows = 0;
    for (int64_t s = 0; s < batch->n_seqs; s++)
        rows += batch->lengths[s];
    return (struct lay_encoder_pass){l, batch, &l->encoder->config, rows};
}

enum lay_status lay_encoder_pass_forward(struct lay_encoder_learner *l, const struct lay_encoder_batch *batch,
                                         float *const *hidden, struct lay_err *err)
{
    const struct lay_encoder_pass p = begin(l, batch);
    const struct lay_encoder *e = l->encoder;
    LAY_TRY(reserve(&p, err));
    float *x = l->last.data;
    LAY_TRY(training_of(l)->embed(&p, x, err));
    for (int64_t i = 0; i < l->n_blocks; i++) {
        if (hidden[i])
            memcpy(hidden[i], x, lay_encoder_row_bytes(&p));
        LAY_TRY(training_of(l)->block(&p, i, x, err));
    }
    if (!hidden[l->n_blocks])
        return LAY_OK;
    if (e->final_norm)
        lay_encoder_norm(&p, x, e->final_norm, e->final_norm_bias, hidden[l->n_blocks]);
    else
        memcpy(hidden[l->n_blocks], x, lay_encoder_row_bytes(&p));
    return LAY_OK;
}

enum lay_status lay_encoder_pass_backward(struct lay_encoder_learner *l,
                                          const struct lay_encoder_batch *batch, float *const *dhidden,
                                          struct lay_err *err)
{
    const struct lay_encoder_pass p = begin(l, batch);
    const float *dlast = dhidden[l->n_blocks];
    float *dx = l->dx.data;
    memset(dx, 0, lay_encoder_row_bytes(&p));
    if (dlast && l->encoder->final_norm)
        lay_encoder_norm_backward(&p, l->last.data, l->encoder->final_norm, &l->final_norm, dlast, dx);
    else if (dlast)
        memcpy(dx, dlast, lay_encoder_row_bytes(&p));
    for (int64_t i = l->n_blocks - 1; i >= 0; i--) {
        LAY_TRY(training_of(l)->block_backward(&p, i, err));
        if (dhidden[i])
            lay_add(dx, dhidden[i], p.rows * p.config->hidden_size);
    }
    return training_of(l)->embed_backward(&p, err);
}

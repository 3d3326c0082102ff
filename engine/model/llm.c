/* The forward pass of LLaMA, Mistral and Qwen2, with LayAlign's adapter attention (models.md, LayAlign). */
#include "engine/model/llm_state.h"

#include "engine/base/mem.h"
#include "engine/base/profile.h"
#include "engine/nn/gate.h"

#include <math.h>
#include <string.h>

/* One call of lay_llm_forward. */
struct step {
    struct lay_llm *llm;
    struct lay_kv_pool *pool;
    const struct lay_llm_span *spans;
    int64_t n_spans, rows;
    const struct lay_llm_adapter *adapter; /* NULL: none */
    const struct lay_llm_taps *taps;       /* NULL: none */
};

static void tap(const struct step *s, const char *name, int64_t layer, const float *data)
{
    s->taps->tap(s->taps->context, name, layer, data, s->rows, s->llm->config.hidden_size);
}

static bool has_gate(const struct step *s, int64_t layer)
{
    return s->adapter && s->adapter->has_gate[layer];
}

/* out += gate · softmax(q k_aᵀ / √d_h) v_a: no mask, no positions on the keys. */
static void attend_adapter(const struct step *s, int64_t layer, float scale, float gate, float *out)
{
    struct lay_llm *m = s->llm;
    const struct lay_llm_config *c = &m->config;
    for (int64_t i = 0; i < m->n_cross; i++)
        m->cross[i].gate = gate;
    lay_attention_paged(s->pool, layer, m->cross, m->n_cross, m->q.data, c->num_attention_heads * c->head_dim,
                        c->num_attention_heads, scale, false, 0, out);
}

/* The same with gate = tanh(w · h + b), which differs from row to row. */
static enum lay_status attend_hidden_gates(const struct step *s, int64_t layer, float scale, float *out,
                                           struct lay_err *err)
{
    struct lay_llm *m = s->llm;
    const int64_t H = m->config.hidden_size, width = m->config.num_attention_heads * m->config.head_dim;
    LAY_TRY(lay_work_reserve(&m->gates, s->rows, 1, err));
    LAY_TRY(lay_work_reserve(&m->ungated, s->rows, width, err));
    memset(m->ungated.data, 0, (size_t)(s->rows * width) * sizeof(float));
    attend_adapter(s, layer, scale, 1.0f, m->ungated.data);
    lay_gate_rows(m->h.data, s->adapter->weight + layer * H, s->adapter->gate[layer], m->gates.data, s->rows,
                  H);
    lay_add_gated(m->ungated.data, m->gates.data, out, s->rows, width);
    return LAY_OK;
}

/* m->h: the normed input, m->q: its rotated queries. */
static enum lay_status adapter_attention(const struct step *s, int64_t layer, float scale, float *out,
                                         struct lay_err *err)
{
    if (s->adapter->weight)
        return attend_hidden_gates(s, layer, scale, out, err);
    attend_adapter(s, layer, scale, s->adapter->gate[layer], out);
    return LAY_OK;
}

/* W_o attn, for a tap. */
static enum lay_status tap_projected(const struct step *s, const char *name, int64_t layer, const float *attn,
                                     struct lay_err *err)
{
    struct lay_llm *m = s->llm;
    if (!s->taps)
        return LAY_OK;
    LAY_TRY(lay_work_reserve(&m->tapped, s->rows, m->config.hidden_size, err));
    LAY_TRY(lay_linear_forward(m->layers[layer].o, attn, m->tapped.data, s->rows, false, err));
    tap(s, name, layer, m->tapped.data);
    return LAY_OK;
}

/* The adapter attention by itself: beside a large self-attention the difference of the two sums would be
 * rounding. */
static enum lay_status tap_adapter(const struct step *s, int64_t layer, float scale, struct lay_err *err)
{
    struct lay_llm *m = s->llm;
    const int64_t width = m->config.num_attention_heads * m->config.head_dim;
    if (!s->taps)
        return LAY_OK;
    LAY_TRY(lay_work_reserve(&m->tapped_attn, s->rows, width, err));
    memset(m->tapped_attn.data, 0, (size_t)(s->rows * width) * sizeof(float));
    LAY_TRY(adapter_attention(s, layer, scale, m->tapped_attn.data, err));
    return tap_projected(s, "attn_adapter_out", layer, m->tapped_attn.data, err);
}

/* silu(gate) · up of one row. */
static void silu_gated(const void *config, const float *gate_up, float *act)
{
    lay_activate_gated_row(LAY_SILU, gate_up, act,
                           ((const struct lay_llm_config *)config)->intermediate_size);
}

/*   h = norm(x)      q = rope(W_q h)     k = rope(W_k h)     v = W_v h
 *   x += W_o (softmax_causal(q kᵀ / √d_h) v  +  gate · softmax(q k_aᵀ / √d_h) v_a)
 *   h = norm(x)
 *   x += W_down (silu(W_gate h) · W_up h)                                                              */
static enum lay_status decoder_layer(const struct step *s, int64_t layer, float *x, struct lay_err *err)
{
    struct lay_llm *m = s->llm;
    const struct lay_llm_config *c = &m->config;
    const struct lay_llm_layer *w = &m->layers[layer];
    const int64_t rows = s->rows, heads = c->num_attention_heads, kv_heads = c->num_key_value_heads;
    const int64_t q_width = heads * c->head_dim, kv_width = kv_heads * c->head_dim;
    const float scale = 1.0f / sqrtf((float)c->head_dim);
    float *h = m->h.data, *q = m->q.data, *k = m->k.data, *attn = m->attn.data;

    lay_rms_norm(x, w->attn_norm, h, rows, c->hidden_size, c->rms_norm_eps);
    lay_profile_lap(LAY_OP_NORM);
    LAY_TRY(lay_linear_forward_each((const struct lay_linear *[]){w->q, w->k, w->v}, 3, h,
                                    (float *[]){q, k, m->v.data}, rows, err));
    lay_profile_lap(LAY_OP_QKV);
    lay_rope(q, rows, q_width, heads, c->head_dim, m->positions, m->inv_freq);
    lay_rope(k, rows, kv_width, kv_heads, c->head_dim, m->positions, m->inv_freq);
    lay_profile_lap(LAY_OP_ROPE);
    lay_kv_write_spans(s->pool, layer, m->causal, s->n_spans, k, kv_width, m->v.data, kv_width);
    lay_profile_lap(LAY_OP_KV_WRITE);
    lay_attention_paged(s->pool, layer, m->causal, s->n_spans, q, q_width, heads, scale, true,
                        c->sliding_window, attn);
    lay_profile_lap(LAY_OP_ATTENTION);
    if (has_gate(s, layer)) {
        LAY_TRY(tap_projected(s, "attn_base_out", layer, attn, err));
        LAY_TRY(tap_adapter(s, layer, scale, err));
        LAY_TRY(adapter_attention(s, layer, scale, attn, err));
        lay_profile_lap(LAY_OP_ADAPTER_ATTENTION);
    }
    LAY_TRY(tap_projected(s, "attn_out", layer, attn, err));
    LAY_TRY(lay_linear_forward(w->o, attn, x, rows, true, err));
    lay_profile_lap(LAY_OP_ATTN_OUT);

    lay_rms_norm(x, w->mlp_norm, h, rows, c->hidden_size, c->rms_norm_eps);
    lay_profile_lap(LAY_OP_NORM);
    const struct lay_feed_forward mlp = {w->gate_up, w->down, silu_gated, c};
    LAY_TRY(lay_feed_forward_run(&mlp, h, x, rows, err));
    if (s->taps)
        tap(s, "out", layer, x);
    return LAY_OK;
}

/* --- a step around the layers --- */

static enum lay_status reserve(struct lay_llm *m, int64_t rows, int64_t n_spans, struct lay_err *err)
{
    const struct lay_llm_config *c = &m->config;
    const int64_t q_width = c->num_attention_heads * c->head_dim;
    const int64_t kv_width = c->num_key_value_heads * c->head_dim;
    LAY_TRY(lay_work_reserve(&m->h, rows, c->hidden_size, err));
    LAY_TRY(lay_work_reserve(&m->q, rows, q_width, err));
    LAY_TRY(lay_work_reserve(&m->k, rows, kv_width, err));
    LAY_TRY(lay_work_reserve(&m->v, rows, kv_width, err));
    LAY_TRY(lay_work_reserve(&m->attn, rows, q_width, err));
    if (!lay_grow((void **)&m->positions, &m->positions_capacity, (size_t)rows, sizeof *m->positions) ||
        !lay_grow((void **)&m->causal, &m->causal_capacity, (size_t)n_spans, sizeof *m->causal) ||
        !lay_grow((void **)&m->cross, &m->cross_capacity, (size_t)n_spans, sizeof *m->cross))
        return lay_no_memory(err, "the spans of a step");
    return LAY_OK;
}

/* RoPE positions of the rows and the attention spans; the same for every layer. */
static enum lay_status plan(const struct step *s, struct lay_err *err)
{
    struct lay_llm *m = s->llm;
    int64_t row = 0;
    m->n_cross = 0;
    for (int64_t i = 0; i < s->n_spans; i++) {
        const struct lay_llm_span *span = &s->spans[i];
        const int64_t first = span->kv->n_tokens;
        if (lay_kv_pages_for(first + span->n_rows) > span->kv->n_pages)
            return lay_fail(err, LAY_ERR_INTERNAL, "sequence %lld has no pages for %lld tokens", (long long)i,
                            (long long)(first + span->n_rows));
        m->causal[i] = (struct lay_attention_span){span->kv, row, span->n_rows, first, 1.0f};
        if (span->adapter && span->adapter->n_tokens > 0)
            m->cross[m->n_cross++] =
                (struct lay_attention_span){span->adapter, row, span->n_rows, first, 0.0f};
        for (int64_t r = 0; r < span->n_rows; r++)
            m->positions[row + r] = first + r + span->position_offset;
        row += span->n_rows;
    }
    return LAY_OK;
}

enum lay_status lay_llm_forward(struct lay_llm *llm, struct lay_kv_pool *pool,
                                const struct lay_llm_span *spans, int64_t n_spans,
                                const struct lay_llm_adapter *adapter, float *x,
                                const struct lay_llm_taps *taps, struct lay_err *err)
{
    const struct lay_llm_config *c = &llm->config;
    struct step step = {llm, pool, spans, n_spans, 0, adapter, taps};
    for (int64_t i = 0; i < n_spans; i++)
        step.rows += spans[i].n_rows;
    if (step.rows == 0)
        return LAY_OK;
    LAY_TRY(reserve(llm, step.rows, n_spans, err));
    LAY_TRY(plan(&step, err));
    for (int64_t layer = 0; layer < c->num_hidden_layers; layer++)
        LAY_TRY(decoder_layer(&step, layer, x, err));
    lay_rms_norm(x, llm->norm, x, step.rows, c->hidden_size, c->rms_norm_eps);
    lay_profile_lap(LAY_OP_NORM);
    for (int64_t i = 0; i < n_spans; i++)
        spans[i].kv->n_tokens += spans[i].n_rows;
    return LAY_OK;
}

enum lay_status lay_llm_logits(struct lay_llm *llm, const float *x, int64_t rows, float *logits,
                               struct lay_err *err)
{
    LAY_TRY(lay_linear_forward(llm->head, x, logits, rows, false, err));
    lay_profile_lap(LAY_OP_HEAD);
    return LAY_OK;
}

enum lay_status lay_llm_embed(const struct lay_llm *llm, const int32_t *ids, int64_t n, float *out,
                              struct lay_err *err)
{
    LAY_TRY(lay_embedding_lookup(&llm->embed_tokens, ids, n, 1.0f, out, err));
    lay_profile_lap(LAY_OP_EMBEDDING);
    return LAY_OK;
}

enum lay_status lay_llm_write_adapters(struct lay_llm *llm, struct lay_kv_pool *pool, int64_t layer,
                                       const float *keys, const float *values,
                                       const struct lay_llm_adapter_rows *seqs, int64_t n,
                                       struct lay_err *err)
{
    const int64_t width = llm->config.num_key_value_heads * llm->config.head_dim;
    const struct lay_llm_layer *w = &llm->layers[layer];
    int64_t rows = 0;
    for (int64_t s = 0; s < n; s++)
        rows += seqs[s].rows;
    LAY_TRY(lay_work_reserve(&llm->k, rows, width, err));
    LAY_TRY(lay_work_reserve(&llm->v, rows, width, err));
    LAY_TRY(lay_linear_forward(w->k, keys, llm->k.data, rows, false, err));
    LAY_TRY(lay_linear_forward(w->v, values, llm->v.data, rows, false, err));
    lay_profile_lap(LAY_OP_QKV);
    const float *k = llm->k.data, *v = llm->v.data;
    for (int64_t s = 0; s < n; s++) {
        lay_kv_write(pool, seqs[s].adapter, layer, 0, seqs[s].rows, k, width, v, width);
        k += seqs[s].rows * width;
        v += seqs[s].rows * width;
    }
    lay_profile_lap(LAY_OP_KV_WRITE);
    return LAY_OK;
}

/* The passes of an LLM under training. Backward of a decoder layer (forward as in llm.c), with dx the
 * gradient of its output, then of its input:
 *
 *   d act = W_downᵀ dx              d gate_up = swiglu'(gate_up) d act
 *   dx += norm'(mid)(W_gate_upᵀ d gate_up)
 *   d attn = W_oᵀ dx                dq, dk, dv of the own attention
 *   with the gate g: dq, dk_a, dv_a of the adapter's attention for g d attn, dg = Σ d attn · cross
 *   dq, dk = rope⁻¹(dq, dk)         dx += norm'(x)(W_qᵀ dq + W_kᵀ dk + W_vᵀ dv)
 *   d keys = W_kᵀ dk_a              d values = W_vᵀ dv_a
 *
 * Every step works on the rows of all sequences at once, each row (or sequence) by itself. */
#include "engine/model/llm_learner_state.h"

#include "engine/base/mem.h"
#include "engine/base/profile.h"
#include "engine/nn/gate.h"

#include <math.h>
#include <string.h>

static bool has_gate(const struct lay_llm_pass *p, int64_t layer)
{
    return p->source_rows > 0 && p->batch->adapter->adapter->has_gate[layer];
}

/* Whether the gates depend on the row. */
static bool hidden_gates(const struct lay_llm_pass *p)
{
    return p->batch->adapter->adapter->weight != NULL;
}

static int64_t q_width(const struct lay_llm_config *c)
{
    return c->num_attention_heads * c->head_dim;
}

static int64_t kv_width(const struct lay_llm_config *c)
{
    return c->num_key_value_heads * c->head_dim;
}

/* --- attention --- */

static struct lay_attention own_attention(const struct lay_llm_pass *p, const struct lay_llm_kept *k)
{
    const struct lay_llm_config *c = p->config;
    return (struct lay_attention){.q = k->q.data,
                                  .k = k->k.data,
                                  .v = k->v.data,
                                  .q_stride = q_width(c),
                                  .k_stride = kv_width(c),
                                  .v_stride = kv_width(c),
                                  .heads = c->num_attention_heads,
                                  .kv_heads = c->num_key_value_heads,
                                  .head_dim = c->head_dim,
                                  .scale = 1.0f / sqrtf((float)c->head_dim),
                                  .causal = true,
                                  .window = c->sliding_window,
                                  .pairs = p->l->own,
                                  .n_pairs = p->batch->n_seqs};
}

static struct lay_attention cross_attention(const struct lay_llm_pass *p, const struct lay_llm_kept *k)
{
    struct lay_attention a = own_attention(p, k);
    a.k = k->ka.data;
    a.v = k->va.data;
    a.causal = false;
    a.window = 0;
    a.pairs = p->l->cross;
    return a;
}

static enum lay_status reserve_scratch(const struct lay_llm_pass *p, const struct lay_attention *a,
                                       struct lay_err *err)
{
    return lay_work_reserve(&p->l->scratch, 1, (int64_t)lay_attention_scratch(a), err);
}

/* --- forward --- */

static enum lay_status reserve_kept(const struct lay_llm_pass *p, struct lay_llm_kept *k, int64_t layer,
                                    struct lay_err *err)
{
    const struct lay_llm_config *c = p->config;
    LAY_TRY(lay_work_reserve(&k->q, p->rows, q_width(c), err));
    LAY_TRY(lay_work_reserve(&k->k, p->rows, kv_width(c), err));
    LAY_TRY(lay_work_reserve(&k->v, p->rows, kv_width(c), err));
    LAY_TRY(lay_work_reserve(&k->attn, p->rows, q_width(c), err));
    LAY_TRY(lay_work_reserve(&k->lse, p->rows, c->num_attention_heads, err));
    LAY_TRY(lay_work_reserve(&k->mid, p->rows, c->hidden_size, err));
    LAY_TRY(lay_work_reserve(&k->gate_up, p->rows, 2 * c->intermediate_size, err));
    if (!has_gate(p, layer))
        return LAY_OK;
    LAY_TRY(lay_work_reserve(&k->cross, p->rows, q_width(c), err));
    LAY_TRY(lay_work_reserve(&k->cross_lse, p->rows, c->num_attention_heads, err));
    LAY_TRY(lay_work_reserve(&k->gates, p->rows, 1, err));
    LAY_TRY(lay_work_reserve(&k->ka, p->source_rows, kv_width(c), err));
    return lay_work_reserve(&k->va, p->source_rows, kv_width(c), err);
}

/* h = W_o's input: own + gate · cross. */
static const float *attention_sum(const struct lay_llm_pass *p, const struct lay_llm_kept *k, int64_t layer)
{
    const int64_t n = p->rows * q_width(p->config);
    float *sum = p->l->dattn.data;
    if (!has_gate(p, layer))
        return k->attn.data;
    const float *own = k->attn.data, *cross = k->cross.data;
    if (hidden_gates(p)) {
        memcpy(sum, own, (size_t)n * sizeof *sum);
        lay_add_gated(cross, k->gates.data, sum, p->rows, q_width(p->config));
        return sum;
    }
    const float gate = p->batch->adapter->adapter->gate[layer];
#pragma omp parallel for simd schedule(static)
    for (int64_t i = 0; i < n; i++)
        sum[i] = own[i] + gate * cross[i];
    return sum;
}

/* gate = tanh(w · h + b) */
static void gates_forward(const struct lay_llm_pass *p, struct lay_llm_kept *k, int64_t layer)
{
    const struct lay_llm_adapter *adapter = p->batch->adapter->adapter;
    const int64_t H = p->config->hidden_size;
    if (adapter->weight)
        lay_gate_rows(p->l->h.data, adapter->weight + layer * H, adapter->gate[layer], k->gates.data, p->rows,
                      H);
}

/* l->h: the normed input. */
static enum lay_status adapter_forward(const struct lay_llm_pass *p, struct lay_llm_kept *k, int64_t layer,
                                       struct lay_err *err)
{
    struct lay_llm_learner *l = p->l;
    const struct lay_adapter_source *source = p->batch->adapter;
    const struct lay_llm_layer *w = &l->llm->layers[layer];
    LAY_TRY(source->states(source->context, layer, l->keys.data, l->values.data, err));
    LAY_TRY(lay_linear_forward(w->k, l->keys.data, k->ka.data, p->source_rows, false, err));
    LAY_TRY(lay_linear_forward(w->v, l->values.data, k->va.data, p->source_rows, false, err));
    const struct lay_attention a = cross_attention(p, k);
    LAY_TRY(reserve_scratch(p, &a, err));
    lay_attention_forward(&a, k->cross.data, k->cross_lse.data, l->scratch.data);
    gates_forward(p, k, layer);
    return LAY_OK;
}

/* Fills k, and with `out` (may be NULL) gives the output. */
static enum lay_status layer_forward(const struct lay_llm_pass *p, int64_t layer, struct lay_llm_kept *k,
                                     float *out, struct lay_err *err)
{
    struct lay_llm_learner *l = p->l;
    const struct lay_llm_config *c = p->config;
    const struct lay_llm_layer *w = &l->llm->layers[layer];
    const int64_t rows = p->rows;
    const float *x = l->layers[layer].x.data;
    float *h = l->h.data;
    LAY_TRY(reserve_kept(p, k, layer, err));
    lay_rms_norm(x, w->attn_norm, h, rows, c->hidden_size, c->rms_norm_eps);
    LAY_TRY(lay_linear_forward(w->q, h, k->q.data, rows, false, err));
    LAY_TRY(lay_linear_forward(w->k, h, k->k.data, rows, false, err));
    LAY_TRY(lay_linear_forward(w->v, h, k->v.data, rows, false, err));
    lay_rope(k->q.data, rows, q_width(c), c->num_attention_heads, c->head_dim, l->positions,
             l->llm->inv_freq);
    lay_rope(k->k.data, rows, kv_width(c), c->num_key_value_heads, c->head_dim, l->positions,
             l->llm->inv_freq);
    const struct lay_attention a = own_attention(p, k);
    LAY_TRY(reserve_scratch(p, &a, err));
    lay_attention_forward(&a, k->attn.data, k->lse.data, l->scratch.data);
    if (has_gate(p, layer))
        LAY_TRY(adapter_forward(p, k, layer, err));
    memcpy(k->mid.data, x, (size_t)(rows * c->hidden_size) * sizeof(float));
    LAY_TRY(lay_linear_forward(w->o, attention_sum(p, k, layer), k->mid.data, rows, true, err));

    lay_rms_norm(k->mid.data, w->mlp_norm, h, rows, c->hidden_size, c->rms_norm_eps);
    LAY_TRY(lay_linear_forward(w->gate_up, h, k->gate_up.data, rows, false, err));
    if (!out)
        return LAY_OK;
    lay_activate_gated(LAY_SILU, k->gate_up.data, l->act.data, rows, c->intermediate_size);
    memcpy(out, k->mid.data, (size_t)(rows * c->hidden_size) * sizeof(float));
    return lay_linear_forward(w->down, l->act.data, out, rows, true, err);
}

static struct lay_llm_kept *kept_of(struct lay_llm_learner *l, int64_t layer)
{
    return layer >= l->first_kept ? &l->layers[layer].kept : &l->again;
}

/* --- backward --- */

static enum lay_status mlp_backward(const struct lay_llm_pass *p, int64_t layer, struct lay_llm_kept *k,
                                    float *dx, struct lay_err *err)
{
    struct lay_llm_learner *l = p->l;
    const struct lay_llm_config *c = p->config;
    const struct lay_llm_layer *w = &l->llm->layers[layer];
    struct lay_learned_layer *g = &l->layers[layer];
    const int64_t rows = p->rows;
    const struct lay_segment *pieces = l->pieces.items;
    if (l->train) {
        lay_activate_gated(LAY_SILU, k->gate_up.data, l->act.data, rows, c->intermediate_size);
        LAY_TRY(lay_learned_weights(&g->down, l->learning, l->act.data, dx, pieces, l->pieces.count, err));
    }
    LAY_TRY(lay_learned_inputs(&g->down, l->learning, dx, l->act.data, rows, false, err));
    lay_activate_gated_backward(LAY_SILU, k->gate_up.data, l->act.data, k->gate_up.data, rows,
                                c->intermediate_size);
    LAY_TRY(lay_learned_inputs(&g->gate_up, l->learning, k->gate_up.data, l->dh.data, rows, false, err));
    if (l->train) {
        lay_rms_norm(k->mid.data, w->mlp_norm, l->h.data, rows, c->hidden_size, c->rms_norm_eps);
        LAY_TRY(lay_learned_weights(&g->gate_up, l->learning, l->h.data, k->gate_up.data, pieces,
                                    l->pieces.count, err));
        lay_rms_norm_weight(k->mid.data, l->dh.data, g->mlp_norm_gradient, rows, c->hidden_size,
                            c->rms_norm_eps);
    }
    lay_rms_norm_backward(k->mid.data, w->mlp_norm, l->dh.data, dx, rows, c->hidden_size, c->rms_norm_eps);
    return LAY_OK;
}

/* Gates: one number per sequence, added in the order of the sequences. */
static void add_gate(const struct lay_llm_pass *p, int64_t layer)
{
    const int64_t heads = p->config->num_attention_heads;
    const float *dots = p->l->dots.data;
    for (int64_t s = 0; s < p->batch->n_seqs; s++) {
        double sum = 0;
        for (int64_t h = 0; h < heads; h++)
            sum += (double)dots[s * heads + h];
        p->batch->adapter->gate_gradient[layer] += (float)sum;
    }
}

/* With u = w · h + b:  du = (1 − gate²) d attn · cross,  dw = Σ du h,  db = Σ du; d attn becomes d cross. */
static void gates_backward(const struct lay_llm_pass *p, int64_t layer, const struct lay_llm_kept *k)
{
    struct lay_llm_learner *l = p->l;
    const struct lay_adapter_source *source = p->batch->adapter;
    const int64_t H = p->config->hidden_size;
    lay_gated_backward(k->cross.data, k->gates.data, l->dattn.data, l->dgates.data, p->rows,
                       q_width(p->config));
    if (!source->gate_weight_gradient)
        return;
    lay_rms_norm(l->layers[layer].x.data, l->llm->layers[layer].attn_norm, l->h.data, p->rows, H,
                 p->config->rms_norm_eps);
    lay_gate_weight(l->dgates.data, l->h.data, source->gate_weight_gradient + layer * H,
                    &source->gate_gradient[layer], p->rows, H);
}

/* l->dq grows, l->dka, l->dva and l->dgates are left behind, l->dattn is used up. */
static enum lay_status cross_backward(const struct lay_llm_pass *p, int64_t layer,
                                      const struct lay_llm_kept *k, struct lay_err *err)
{
    struct lay_llm_learner *l = p->l;
    const struct lay_attention a = cross_attention(p, k);
    const bool hidden = hidden_gates(p);
    const struct lay_attention_gradient gradient = {
        .out = k->cross.data,
        .lse = k->cross_lse.data,
        .dout = l->dattn.data,
        .factor = hidden ? 1.0f : p->batch->adapter->adapter->gate[layer],
        .dq = l->dq.data,
        .dk = l->dka.data,
        .dv = l->dva.data,
        .dots = l->dots.data};
    LAY_TRY(reserve_scratch(p, &a, err));
    if (hidden)
        gates_backward(p, layer, k);
    lay_attention_backward(&a, &gradient, l->scratch.data);
    if (p->batch->adapter->gate_gradient && !hidden)
        add_gate(p, layer);
    return LAY_OK;
}

static enum lay_status attention_backward(const struct lay_llm_pass *p, int64_t layer, struct lay_llm_kept *k,
                                          const float *dx, struct lay_err *err)
{
    struct lay_llm_learner *l = p->l;
    const struct lay_llm_config *c = p->config;
    struct lay_learned_layer *g = &l->layers[layer];
    const struct lay_attention a = own_attention(p, k);
    if (l->train)
        LAY_TRY(lay_learned_weights(&g->o, l->learning, attention_sum(p, k, layer), dx, l->pieces.items,
                                    l->pieces.count, err));
    LAY_TRY(lay_learned_inputs(&g->o, l->learning, dx, l->dattn.data, p->rows, false, err));
    memset(l->dq.data, 0, (size_t)(p->rows * q_width(c)) * sizeof(float));
    const struct lay_attention_gradient gradient = {.out = k->attn.data,
                                                    .lse = k->lse.data,
                                                    .dout = l->dattn.data,
                                                    .factor = 1.0f,
                                                    .dq = l->dq.data,
                                                    .dk = l->dk.data,
                                                    .dv = l->dv.data};
    LAY_TRY(reserve_scratch(p, &a, err));
    lay_attention_backward(&a, &gradient, l->scratch.data);
    if (has_gate(p, layer))
        LAY_TRY(cross_backward(p, layer, k, err));
    lay_rope_backward(l->dq.data, p->rows, q_width(c), c->num_attention_heads, c->head_dim, l->positions,
                      l->llm->inv_freq);
    lay_rope_backward(l->dk.data, p->rows, kv_width(c), c->num_key_value_heads, c->head_dim, l->positions,
                      l->llm->inv_freq);
    return LAY_OK;
}

/* Pieces of `pieces` that lie in the rows first … first + rows − 1, which begin and end with pieces. */
static size_t pieces_of(const struct lay_pieces *pieces, size_t *at, int64_t rows)
{
    const size_t start = *at;
    while (rows > 0)
        rows -= pieces->items[(*at)++].rows;
    return start;
}

/* k_proj and v_proj serve the own rows and the adapter's: sequence by sequence, its own rows first. */
static enum lay_status shared_weights(const struct lay_llm_pass *p, const struct lay_learned *w,
                                      const float *dy, const float *adapter_x, const float *adapter_dy,
                                      struct lay_err *err)
{
    struct lay_llm_learner *l = p->l;
    size_t own = 0, cross = 0;
    for (int64_t s = 0; s < p->batch->n_seqs; s++) {
        size_t start = pieces_of(&l->pieces, &own, p->batch->lengths[s]);
        LAY_TRY(
            lay_learned_weights(w, l->learning, l->h.data, dy, l->pieces.items + start, own - start, err));
        start = pieces_of(&l->adapter_pieces, &cross, p->batch->adapter->lengths[s]);
        LAY_TRY(lay_learned_weights(w, l->learning, adapter_x, adapter_dy, l->adapter_pieces.items + start,
                                    cross - start, err));
    }
    return LAY_OK;
}

static enum lay_status qkv_weights(const struct lay_llm_pass *p, int64_t layer, struct lay_err *err)
{
    struct lay_llm_learner *l = p->l;
    const struct lay_llm_config *c = p->config;
    struct lay_learned_layer *g = &l->layers[layer];
    const struct lay_segment *pieces = l->pieces.items;
    const size_t n = l->pieces.count;
    const float *h = l->h.data;
    lay_rms_norm(l->layers[layer].x.data, l->llm->layers[layer].attn_norm, l->h.data, p->rows, c->hidden_size,
                 c->rms_norm_eps);
    LAY_TRY(lay_learned_weights(&g->q, l->learning, h, l->dq.data, pieces, n, err));
    if (!has_gate(p, layer)) {
        LAY_TRY(lay_learned_weights(&g->k, l->learning, h, l->dk.data, pieces, n, err));
        return lay_learned_weights(&g->v, l->learning, h, l->dv.data, pieces, n, err);
    }
    const struct lay_adapter_source *source = p->batch->adapter;
    LAY_TRY(source->states(source->context, layer, l->keys.data, l->values.data, err));
    LAY_TRY(shared_weights(p, &g->k, l->dk.data, l->keys.data, l->dka.data, err));
    return shared_weights(p, &g->v, l->dv.data, l->values.data, l->dva.data, err);
}

static enum lay_status qkv_backward(const struct lay_llm_pass *p, int64_t layer, float *dx,
                                    struct lay_err *err)
{
    struct lay_llm_learner *l = p->l;
    const struct lay_llm_config *c = p->config;
    struct lay_learned_layer *g = &l->layers[layer];
    const int64_t rows = p->rows;
    LAY_TRY(lay_learned_inputs(&g->q, l->learning, l->dq.data, l->dh.data, rows, false, err));
    LAY_TRY(lay_learned_inputs(&g->k, l->learning, l->dk.data, l->dh.data, rows, true, err));
    LAY_TRY(lay_learned_inputs(&g->v, l->learning, l->dv.data, l->dh.data, rows, true, err));
    if (has_gate(p, layer) && hidden_gates(p))
        lay_gate_inputs(l->dgates.data, p->batch->adapter->adapter->weight + layer * c->hidden_size,
                        l->dh.data, rows, c->hidden_size);
    if (l->train) {
        LAY_TRY(qkv_weights(p, layer, err));
        lay_rms_norm_weight(g->x.data, l->dh.data, g->attn_norm_gradient, rows, c->hidden_size,
                            c->rms_norm_eps);
    }
    lay_rms_norm_backward(g->x.data, l->llm->layers[layer].attn_norm, l->dh.data, dx, rows, c->hidden_size,
                          c->rms_norm_eps);
    const struct lay_adapter_source *source = p->batch->adapter;
    if (!has_gate(p, layer) || !source->gradients)
        return LAY_OK;
    LAY_TRY(lay_learned_inputs(&g->k, l->learning, l->dka.data, l->dkeys.data, p->source_rows, false, err));
    LAY_TRY(lay_learned_inputs(&g->v, l->learning, l->dva.data, l->dvalues.data, p->source_rows, false, err));
    return source->gradients(source->context, layer, l->dkeys.data, l->dvalues.data, err);
}

static enum lay_status layer_backward(const struct lay_llm_pass *p, int64_t layer, float *dx,
                                      struct lay_err *err)
{
    struct lay_llm_kept *k = kept_of(p->l, layer);
    if (k == &p->l->again)
        LAY_TRY(layer_forward(p, layer, k, NULL, err));
    LAY_TRY(mlp_backward(p, layer, k, dx, err));
    LAY_TRY(attention_backward(p, layer, k, dx, err));
    return qkv_backward(p, layer, dx, err);
}

/* --- a pass around the layers --- */

static enum lay_status reserve(const struct lay_llm_pass *p, struct lay_err *err)
{
    struct lay_llm_learner *l = p->l;
    const struct lay_llm_config *c = p->config;
    const int64_t rows = p->rows, source = p->source_rows, H = c->hidden_size;
    const struct {
        struct lay_work *work;
        int64_t rows, cols;
    } wanted[] = {
        {&l->h, rows, H},
        {&l->act, rows, c->intermediate_size},
        {&l->dh, rows, H},
        {&l->dattn, rows, q_width(c)},
        {&l->dq, rows, q_width(c)},
        {&l->dk, rows, kv_width(c)},
        {&l->dv, rows, kv_width(c)},
        {&l->keys, source, H},
        {&l->values, source, H},
        {&l->dkeys, source, H},
        {&l->dvalues, source, H},
        {&l->dka, source, kv_width(c)},
        {&l->dva, source, kv_width(c)},
        {&l->dots, p->batch->n_seqs, c->num_attention_heads},
        {&l->dgates, rows, 1},
        {&l->top, p->n_targets, H},
        {&l->dtop, p->n_targets, H},
        {&l->logits, p->n_targets < lay_llm_head_rows(c) ? p->n_targets : lay_llm_head_rows(c),
         c->vocab_size},
    };
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        LAY_TRY(lay_work_reserve(wanted[i].work, wanted[i].rows, wanted[i].cols, err));
    return LAY_OK;
}

static enum lay_status reserve_lists(const struct lay_llm_pass *p, struct lay_err *err)
{
    struct lay_llm_learner *l = p->l;
    const size_t rows = (size_t)p->rows, n = (size_t)p->batch->n_seqs;
    if (!lay_grow((void **)&l->positions, &l->positions_capacity, rows, sizeof *l->positions) ||
        !lay_grow((void **)&l->target_rows, &l->target_rows_capacity, rows, sizeof *l->target_rows) ||
        !lay_grow((void **)&l->targets, &l->targets_capacity, rows, sizeof *l->targets) ||
        !lay_grow((void **)&l->row_loss, &l->row_loss_capacity, rows, sizeof *l->row_loss) ||
        !lay_grow((void **)&l->target_counts, &l->target_counts_capacity, n, sizeof *l->target_counts) ||
        !lay_grow((void **)&l->own, &l->own_capacity, n, sizeof *l->own) ||
        !lay_grow((void **)&l->cross, &l->cross_capacity, n, sizeof *l->cross))
        return lay_no_memory(err, "the rows of a pass");
    return LAY_OK;
}

/* Positions, attention pairs, targets and pieces. */
static enum lay_status plan(struct lay_llm_pass *p, struct lay_err *err)
{
    struct lay_llm_learner *l = p->l;
    const struct lay_llm_batch *b = p->batch;
    int64_t row = 0, source = 0;
    LAY_TRY(reserve_lists(p, err));
    for (int64_t s = 0; s < b->n_seqs; s++) {
        const int64_t n = b->lengths[s], n_source = p->source_rows > 0 ? b->adapter->lengths[s] : 0;
        const int64_t before = p->n_targets;
        l->own[s] = (struct lay_attention_pair){row, n, row, n};
        l->cross[s] = (struct lay_attention_pair){row, n, source, n_source};
        for (int64_t i = 0; i < n; i++) {
            l->positions[row + i] = i + (b->offsets ? b->offsets[s] : 0);
            if (b->targets[row + i] < 0)
                continue;
            l->target_rows[p->n_targets] = row + i;
            l->targets[p->n_targets++] = b->targets[row + i];
        }
        l->target_counts[s] = p->n_targets - before;
        row += n;
        source += n_source;
    }
    LAY_TRY(lay_pieces_cut(&l->pieces, b->lengths, b->n_seqs, LAY_PIECE_ROWS, err));
    if (p->source_rows > 0)
        LAY_TRY(lay_pieces_cut(&l->adapter_pieces, b->adapter->lengths, b->n_seqs, LAY_PIECE_ROWS, err));
    return lay_pieces_cut(&l->head_pieces, l->target_counts, b->n_seqs, lay_llm_head_rows(p->config), err);
}

enum lay_status lay_llm_learn(struct lay_llm_learner *l, const struct lay_llm_batch *batch, float *x,
                              double *loss, bool backward, float weight, struct lay_err *err)
{
    struct lay_llm_pass p = {.l = l,
                             .batch = batch,
                             .config = &l->llm->config,
                             .rows = batch->rows,
                             .source_rows = batch->adapter ? batch->adapter->rows : 0,
                             .weight = weight};
    const int64_t layers = p.config->num_hidden_layers, H = p.config->hidden_size;
    LAY_TRY(plan(&p, err));
    LAY_TRY(reserve(&p, err));
    for (int64_t layer = 0; layer < layers; layer++) {
        LAY_TRY(lay_work_reserve(&l->layers[layer].x, p.rows, H, err));
        memcpy(l->layers[layer].x.data, x, (size_t)(p.rows * H) * sizeof *x);
        LAY_TRY(layer_forward(&p, layer, kept_of(l, layer), x, err));
    }
    LAY_TRY(lay_llm_head_learn(&p, x, loss, backward, err));
    for (int64_t layer = layers - 1; backward && layer >= 0; layer--)
        LAY_TRY(layer_backward(&p, layer, x, err));
    if (backward && l->train)
        lay_scatter_rows(x, batch->ids, l->embed_gradient, p.rows, H);
    return LAY_OK;
}

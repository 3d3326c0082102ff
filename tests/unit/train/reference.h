/* The models of engine/train written down once more, in double and without any trick: the loss of samples as
 * a function of the parameters, for finite differences. Every parameter must be trainable, so that it can be
 * looked up by name. */
#ifndef LAY_TESTS_TRAIN_REFERENCE_H
#define LAY_TESTS_TRAIN_REFERENCE_H

#include "reference_encoder.h"
#include "reference_layers.h"

/* --- bridge --- */

static uint64_t noise; /* of the sample in hand */

/* SplitMix64's n-th number, from 0, of the stream that starts at x. */
static uint64_t drawn(uint64_t x, int64_t n)
{
    x += 0x9e3779b97f4a7c15u * (uint64_t)(n + 1);
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static double *drop(const struct reference *r, double *x, int64_t rows, int64_t width, int64_t stream)
{
    for (int64_t t = 0; t < rows; t++)
        for (int64_t i = 0; i < width; i++) {
            const double u = ldexp((double)drawn(drawn(drawn(noise, stream), t), i), -64);
            x[t * width + i] *= u < r->dropout ? 0 : 1 / (1 - r->dropout);
        }
    return x;
}

static double *soft_prompt(const struct reference *r, double **hidden, int64_t n)
{
    const int64_t d = r->encoder->hidden_size, H = r->llm->hidden_size;
    const double *e = hidden[r->encoder->num_hidden_layers];
    if (r->method == LAY_LANGBRIDGE && !r->mlp)
        return linear(r, e, n, d, find(r, "lb.alignment.linear.weight"), find(r, "lb.alignment.linear.bias"),
                      H);
    if (r->method == LAY_LANGBRIDGE) {
        double *u =
            linear(r, e, n, d, find(r, "lb.alignment.ffn.0.weight"), find(r, "lb.alignment.ffn.0.bias"), d);
        activate(LAY_GELU_ERF, u, n * d);
        return linear(r, u, n, d, find(r, "lb.alignment.ffn.2.weight"), find(r, "lb.alignment.ffn.2.bias"),
                      H);
    }
    double *u =
        linear(r, e, n, d, find(r, "mapping.mlp.linear1.weight"), find(r, "mapping.mlp.linear1.bias"), 2 * d);
    activate(LAY_RELU, u, n * 2 * d);
    return linear(r, u, n, 2 * d, find(r, "mapping.mlp.linear2.weight"), find(r, "mapping.mlp.linear2.bias"),
                  H);
}

/* Row k of fc1's outputs, or the mean of the layers; through the projector: [n, H]. */
static double *adapter_state(const struct reference *r, double **hidden, int64_t n, int64_t k)
{
    const int64_t d = r->encoder->hidden_size, H = r->llm->hidden_size, m = r->encoder->num_hidden_layers;
    const char *const p = "encoder_aligner.projector.";
    double *u = zeros(n * d);
    for (int64_t j = 0; r->average && j < m; j++)
        add(u, hidden[j], n * d, 1 / (double)m);
    for (int64_t i = 0; !r->average && i < n * d; i++) {
        u[i] = at(r, find(r, "%sfc1.bias", p), k);
        for (int64_t j = 0; j < m; j++)
            u[i] += at(r, find(r, "%sfc1.weight", p), k * m + j) * hidden[j][i];
    }
    if (!r->average)
        activate(LAY_RELU, u, n * d);
    if (r->wide) {
        u = linear(r, u, n, d, find(r, "%sfc0.weight", p), find(r, "%sfc0.bias", p), d);
        activate(LAY_SILU, u, n * d);
    }
    double *a = linear(r, u, n, d, find(r, "%sfc2.weight", p), find(r, "%sfc2.bias", p), H);
    if (!r->mlp)
        return a;
    activate(LAY_RELU, a, n * H);
    return linear(r, a, n, H, find(r, "%sfc3.weight", p), find(r, "%sfc3.bias", p), H);
}

/* --- LLM --- */

static void rotate(const struct reference *r, double *x, int64_t rows, int64_t heads)
{
    const int64_t d = r->llm->head_dim;
    for (int64_t t = 0; t < rows; t++)
        for (int64_t h = 0; h < heads; h++)
            for (int64_t i = 0; i < d / 2; i++) {
                const double angle =
                    (double)(r->position + t) * pow(r->llm->rope_theta, -2.0 * (double)i / (double)d);
                double *low = &x[(t * heads + h) * d + i], *high = low + d / 2;
                const double a = *low, b = *high;
                *low = a * cos(angle) - b * sin(angle);
                *high = b * cos(angle) + a * sin(angle);
            }
}

static double *project(const struct reference *r, const double *x, int64_t rows, int64_t layer, char which)
{
    const struct lay_llm_config *c = r->llm;
    const int64_t out = (which == 'q' ? c->num_attention_heads : c->num_key_value_heads) * c->head_dim;
    const float *bias =
        c->qkv_bias ? find(r, "model.layers.%d.self_attn.%c_proj.bias", (int)layer, which) : NULL;
    return linear(r, x, rows, c->hidden_size,
                  find(r, "model.layers.%d.self_attn.%c_proj.weight", (int)layer, which), bias, out);
}

#define GATE "model_llm.model.model.layers.%d.self_attn.adaption_gate"

/* Of a row whose normed input is h. */
static double gate_of(const struct reference *r, const double *h, int64_t layer)
{
    if (!r->hidden_gates)
        return at(r, find(r, GATE, (int)layer), 0);
    const float *w = find(r, GATE ".weight", (int)layer);
    double u = at(r, find(r, GATE ".bias", (int)layer), 0);
    for (int64_t i = 0; i < r->llm->hidden_size; i++)
        u += at(r, w, i) * h[i];
    return tanh(u);
}

/* hidden, n_source: for the adapter. */
static double *attend(const struct reference *r, const double *h, int64_t rows, int64_t layer,
                      double **hidden, int64_t n_source)
{
    const struct lay_llm_config *c = r->llm;
    struct attention_of a = {.heads = c->num_attention_heads,
                             .kv_heads = c->num_key_value_heads,
                             .head_dim = c->head_dim,
                             .rows = rows,
                             .keys = rows,
                             .scale = 1 / sqrt((double)c->head_dim),
                             .causal = true,
                             .window = c->sliding_window};
    double *q = project(r, h, rows, layer, 'q'), *k = project(r, h, rows, layer, 'k');
    rotate(r, q, rows, a.heads);
    rotate(r, k, rows, a.kv_heads);
    double *out = attention(r, &a, q, k, project(r, h, rows, layer, 'v'));
    a.causal = false;
    a.keys = n_source;
    for (int64_t i = 0; i < r->n_language_layers; i++) {
        if (r->language_layers[i] != layer)
            continue;
        const int64_t H = c->hidden_size, stream = 1 + 2 * layer, width = a.heads * a.head_dim;
        double *keys = drop(r, adapter_state(r, hidden, n_source, 2 * i), n_source, H, stream);
        double *values = drop(r, adapter_state(r, hidden, n_source, 2 * i + 1), n_source, H, stream + 1);
        const double *ka = project(r, keys, n_source, layer, 'k');
        const double *va = project(r, values, n_source, layer, 'v');
        const double *cross = attention(r, &a, q, ka, va);
        for (int64_t t = 0; t < rows; t++)
            add(out + t * width, cross + t * width, width, gate_of(r, h + t * H, layer));
    }
    return out;
}

/* x: the residual stream, in place. */
static void decode(const struct reference *r, double *x, int64_t rows, int64_t layer, double **hidden,
                   int64_t n_source)
{
    const struct lay_llm_config *c = r->llm;
    const int64_t H = c->hidden_size, F = c->intermediate_size, inner = c->num_attention_heads * c->head_dim;
    char l[64];
    snprintf(l, sizeof l, "model.layers.%lld", (long long)layer);
    const double *h =
        rms_norm(r, x, rows, H, find(r, "%s.input_layernorm.weight", l), (double)c->rms_norm_eps);
    add(x,
        linear(r, attend(r, h, rows, layer, hidden, n_source), rows, inner,
               find(r, "%s.self_attn.o_proj.weight", l), NULL, H),
        rows * H, 1);
    h = rms_norm(r, x, rows, H, find(r, "%s.post_attention_layernorm.weight", l), (double)c->rms_norm_eps);
    double *gate = linear(r, h, rows, H, find(r, "%s.mlp.gate_proj.weight", l), NULL, F);
    const double *up = linear(r, h, rows, H, find(r, "%s.mlp.up_proj.weight", l), NULL, F);
    activate(LAY_SILU, gate, rows * F);
    for (int64_t i = 0; i < rows * F; i++)
        gate[i] *= up[i];
    add(x, linear(r, gate, rows, F, find(r, "%s.mlp.down_proj.weight", l), NULL, H), rows * H, 1);
}

/* --- the loss --- */

static double *inputs(const struct reference *r, const struct lay_train_sample *s, double **hidden,
                      int64_t *rows)
{
    const int64_t H = r->llm->hidden_size, n_text = s->n_prompt + s->n_target;
    const bool soft = r->encoder && !r->no_soft_prompt;
    const int64_t head = 1 + (soft ? s->n_source + 1 : 0);
    const float *table = find(r, "model.embed_tokens.weight");
    *rows = head + n_text;
    double *x = zeros(*rows * H);
    add(x, lookup(r, table, &r->llm->bos_id, 1, H), H, 1);
    if (soft) {
        const float *boundary =
            r->method == LAY_LANGBRIDGE ? find(r, "lb.alignment.enc_eos") : find(r, "mapping.end_boundary");
        add(x + H, drop(r, soft_prompt(r, hidden, s->n_source), s->n_source, H, 0), s->n_source * H, 1);
        for (int64_t i = 0; i < H; i++)
            x[(head - 1) * H + i] = at(r, boundary, i);
    }
    add(x + head * H, lookup(r, table, s->prompt, s->n_prompt, H), s->n_prompt * H, 1);
    add(x + (head + s->n_prompt) * H, lookup(r, table, s->target, s->n_target, H), s->n_target * H, 1);
    return x;
}

static double sample_loss(const struct reference *r, const struct lay_train_sample *s)
{
    const struct lay_llm_config *c = r->llm;
    const int64_t H = c->hidden_size, V = c->vocab_size;
    double *hidden[8] = {0}, sum = 0;
    int64_t rows;
    noise = s->noise;
    if (r->encoder)
        encode(r, s, hidden);
    double *x = inputs(r, s, hidden, &rows);
    for (int64_t i = 0; i < c->num_hidden_layers; i++)
        decode(r, x, rows, i, hidden, r->padded > 0 ? r->padded : s->n_source);
    const float *head =
        c->tie_word_embeddings ? find(r, "model.embed_tokens.weight") : find(r, "lm_head.weight");
    const double *h = rms_norm(r, x, rows, H, find(r, "model.norm.weight"), (double)c->rms_norm_eps);
    const double *logits = linear(r, h, rows, H, head, NULL, V);
    for (int64_t t = 0; t < s->n_target; t++) {
        const double *row = logits + (rows - s->n_target + t - 1) * V;
        double total = exp(row[0]);
        for (int64_t i = 1; i < V; i++)
            total += exp(row[i]);
        sum += log(total) - row[s->target[t]];
    }
    free_arena();
    return sum;
}

static int64_t count_rows(const struct reference *r, const struct lay_train_sample *s)
{
    return (r->encoder && !r->no_soft_prompt ? s->n_source : 0) + s->n_prompt + s->n_target;
}

static double reference_loss(const struct reference *r, const struct lay_train_sample *samples, size_t n)
{
    double sum = 0;
    int64_t longest = 0;
    for (size_t i = 0; i < n; i++)
        longest = count_rows(r, &samples[i]) > longest ? count_rows(r, &samples[i]) : longest;
    for (size_t i = 0; i < n; i++) {
        struct reference one = *r;
        one.position = r->padded > 0 ? longest - count_rows(r, &samples[i]) : 0;
        sum += sample_loss(&one, &samples[i]);
    }
    return sum;
}

#endif

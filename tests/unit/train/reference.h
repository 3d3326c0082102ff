/* The models of engine/train written down once more, in double and without any trick: the loss of samples as
 * a function of the parameters, for finite differences. Every parameter must be trainable, so that it can be
 * looked up by name. */
#ifndef LAY_TESTS_TRAIN_REFERENCE_H
#define LAY_TESTS_TRAIN_REFERENCE_H

#include "engine/train/trainable.h"
#include "tests/unit/activation.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct reference {
    const struct lay_trainable *trainable;
    const struct lay_llm_config *llm;
    const struct lay_encoder_config *encoder; /* NULL: plain */
    enum lay_method method;
    bool mlp, no_soft_prompt;
    bool wide, average, hidden_gates;
    double dropout;
    int64_t padded;                                /* official padding: rows of every source; 0: no pads */
    int64_t position;                              /* of a sample's first row, behind its pads on the left */
    int64_t language_layers[4], n_language_layers; /* LayAlign */
    const float *changed;                          /* this element counts as its value + delta */
    double delta;
};

/* What is allocated during one loss, freed at its end. */
static double *arena[4096];
static size_t n_arena;

static double *zeros(int64_t n)
{
    assert_true(n_arena < sizeof arena / sizeof *arena);
    double *x = calloc((size_t)n + 1, sizeof *x);
    assert_non_null(x);
    return arena[n_arena++] = x;
}

static void free_arena(void)
{
    while (n_arena > 0)
        free(arena[--n_arena]);
}

static const float *find(const struct reference *r, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static const float *find(const struct reference *r, const char *format, ...)
{
    char name[160];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(name, sizeof name, format, arguments);
    va_end(arguments);
    for (size_t i = 0; i < lay_trainable_count(r->trainable); i++)
        if (strcmp(lay_trainable_parameter(r->trainable, i)->name, name) == 0)
            return lay_trainable_parameter(r->trainable, i)->value;
    fail_msg("no parameter %s", name);
    return NULL;
}

static double at(const struct reference *r, const float *p, int64_t i)
{
    return (double)p[i] + (p + i == r->changed ? r->delta : 0);
}

/* y [rows, out] = x Wᵀ + b */
static double *linear(const struct reference *r, const double *x, int64_t rows, int64_t in, const float *w,
                      const float *b, int64_t out)
{
    double *y = zeros(rows * out);
    for (int64_t t = 0; t < rows; t++)
        for (int64_t o = 0; o < out; o++) {
            y[t * out + o] = b ? at(r, b, o) : 0;
            for (int64_t i = 0; i < in; i++)
                y[t * out + o] += x[t * in + i] * at(r, w, o * in + i);
        }
    return y;
}

static double *rms_norm(const struct reference *r, const double *x, int64_t rows, int64_t n, const float *w,
                        double eps)
{
    double *y = zeros(rows * n);
    for (int64_t t = 0; t < rows; t++) {
        double sum = 0;
        for (int64_t i = 0; i < n; i++)
            sum += x[t * n + i] * x[t * n + i];
        for (int64_t i = 0; i < n; i++)
            y[t * n + i] = x[t * n + i] / sqrt(sum / (double)n + eps) * at(r, w, i);
    }
    return y;
}

/* The norm `name`, with its bias. */
static double *layer_norm(const struct reference *r, const double *x, int64_t rows, int64_t n, double eps,
                          const char *name)
{
    const float *weight = find(r, "%s.weight", name), *bias = find(r, "%s.bias", name);
    double *y = zeros(rows * n);
    for (int64_t t = 0; t < rows; t++) {
        double mean = 0, variance = 0;
        for (int64_t i = 0; i < n; i++)
            mean += x[t * n + i] / (double)n;
        for (int64_t i = 0; i < n; i++)
            variance += (x[t * n + i] - mean) * (x[t * n + i] - mean) / (double)n;
        for (int64_t i = 0; i < n; i++)
            y[t * n + i] = (x[t * n + i] - mean) / sqrt(variance + eps) * at(r, weight, i) + at(r, bias, i);
    }
    return y;
}

static void activate(enum lay_activation act, double *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = reference_activation(act, x[i]);
}

static void add(double *y, const double *x, int64_t n, double factor)
{
    for (int64_t i = 0; i < n; i++)
        y[i] += factor * x[i];
}

static double *lookup(const struct reference *r, const float *table, const int32_t *ids, int64_t n,
                      int64_t width)
{
    double *x = zeros(n * width);
    for (int64_t t = 0; t < n; t++)
        for (int64_t i = 0; i < width; i++)
            x[t * width + i] = at(r, table, ids[t] * width + i);
    return x;
}

/* --- attention --- */

struct attention_of {
    int64_t heads, kv_heads, head_dim, rows, keys;
    double scale;
    bool causal;
    int64_t window;
    const float *bias; /* T5: [buckets, heads] */
};

/* T5's buckets for distances below 8, where they are exact. */
static int64_t bucket(int64_t distance)
{
    assert_true(distance > -8 && distance < 8);
    return distance > 0 ? 16 + distance : -distance;
}

static double *attention(const struct reference *r, const struct attention_of *a, const double *q,
                         const double *k, const double *v)
{
    const int64_t d = a->head_dim, width = a->heads * d, kv_width = a->kv_heads * d;
    double *out = zeros(a->rows * width);
    for (int64_t h = 0; h < a->heads; h++)
        for (int64_t i = 0; i < a->rows; i++) {
            const int64_t kv = h / (a->heads / a->kv_heads);
            double denominator = 0;
            for (int64_t j = 0; j < a->keys; j++) {
                if (a->causal && (j > i || (a->window > 0 && j <= i - a->window)))
                    continue;
                double score = 0;
                for (int64_t e = 0; e < d; e++)
                    score += q[i * width + h * d + e] * k[j * kv_width + kv * d + e];
                score *= a->scale;
                if (a->bias)
                    score += at(r, a->bias, bucket(j - i) * a->heads + h);
                const double p = exp(score);
                denominator += p;
                for (int64_t e = 0; e < d; e++)
                    out[i * width + h * d + e] += p * v[j * kv_width + kv * d + e];
            }
            for (int64_t e = 0; e < d; e++)
                out[i * width + h * d + e] /= denominator;
        }
    return out;
}

/* --- encoders: ids [n], of which the first `valid` are no pads --- */

static void encode_t5(const struct reference *r, const int32_t *ids, int64_t n, int64_t valid,
                      double **hidden)
{
    const struct lay_encoder_config *c = r->encoder;
    const int64_t d = c->hidden_size, inner = c->num_attention_heads * c->head_dim, ff = c->intermediate_size;
    double *x = lookup(r, find(r, "shared.weight"), ids, n, d);
    for (int64_t i = 0; i < c->num_hidden_layers; i++) {
        char block[64];
        snprintf(block, sizeof block, "encoder.block.%lld.layer", (long long)i);
        hidden[i] = zeros(n * d);
        add(hidden[i], x, n * d, 1);
        const double *h = rms_norm(r, x, n, d, find(r, "%s.0.layer_norm.weight", block), (double)c->norm_eps);
        const struct attention_of a = {
            .heads = c->num_attention_heads,
            .kv_heads = c->num_attention_heads,
            .head_dim = c->head_dim,
            .rows = n,
            .keys = valid,
            .scale = 1,
            .bias = find(r, "encoder.block.%d.layer.0.SelfAttention.relative_attention_bias.weight",
                         c->relative_bias_per_layer ? (int)i : 0)};
        double *qkv[3];
        for (int p = 0; p < 3; p++)
            qkv[p] =
                linear(r, h, n, d, find(r, "%s.0.SelfAttention.%c.weight", block, "qkv"[p]), NULL, inner);
        add(x,
            linear(r, attention(r, &a, qkv[0], qkv[1], qkv[2]), n, inner,
                   find(r, "%s.0.SelfAttention.o.weight", block), NULL, d),
            n * d, 1);
        h = rms_norm(r, x, n, d, find(r, "%s.1.layer_norm.weight", block), (double)c->norm_eps);
        double *ffn = linear(r, h, n, d,
                             c->gated ? find(r, "%s.1.DenseReluDense.wi_0.weight", block)
                                      : find(r, "%s.1.DenseReluDense.wi.weight", block),
                             NULL, ff);
        activate(c->activation, ffn, n * ff);
        if (c->gated) {
            const double *up =
                linear(r, h, n, d, find(r, "%s.1.DenseReluDense.wi_1.weight", block), NULL, ff);
            for (int64_t e = 0; e < n * ff; e++)
                ffn[e] *= up[e];
        }
        add(x, linear(r, ffn, n, ff, find(r, "%s.1.DenseReluDense.wo.weight", block), NULL, d), n * d, 1);
    }
    hidden[c->num_hidden_layers] =
        rms_norm(r, x, n, d, find(r, "encoder.final_layer_norm.weight"), (double)c->norm_eps);
}

/* y = x Wᵀ + b of the linear layer `name`. */
static double *named_linear(const struct reference *r, const double *x, int64_t rows, int64_t in,
                            const char *name, int64_t out)
{
    return linear(r, x, rows, in, find(r, "%s.weight", name), find(r, "%s.bias", name), out);
}

/* What stands behind the name of a block. */
struct block_names {
    const char *q, *k, *v, *o, *in, *out;
};

static const char *join(char name[128], const char *block, const char *part)
{
    snprintf(name, 128, "%s%s", block, part);
    return name;
}

static double *biased_attention(const struct reference *r, const char *block, const struct block_names *b,
                                const double *h, int64_t n, int64_t valid)
{
    const struct lay_encoder_config *c = r->encoder;
    const int64_t d = c->hidden_size, heads = c->num_attention_heads, head_dim = d / heads;
    const struct attention_of a = {.heads = heads,
                                   .kv_heads = heads,
                                   .head_dim = head_dim,
                                   .rows = n,
                                   .keys = valid,
                                   .scale = 1 / sqrt((double)head_dim)};
    char name[128];
    const double *q = named_linear(r, h, n, d, join(name, block, b->q), d);
    const double *k = named_linear(r, h, n, d, join(name, block, b->k), d);
    const double *v = named_linear(r, h, n, d, join(name, block, b->v), d);
    return named_linear(r, attention(r, &a, q, k, v), n, d, join(name, block, b->o), d);
}

static double *biased_feed(const struct reference *r, const char *block, const struct block_names *b,
                           const double *h, int64_t n)
{
    const int64_t d = r->encoder->hidden_size, ff = r->encoder->intermediate_size;
    char name[128];
    double *u = named_linear(r, h, n, d, join(name, block, b->in), ff);
    activate(r->encoder->activation, u, n * ff);
    return named_linear(r, u, n, ff, join(name, block, b->out), d);
}

/* An nn.Embedding with padding_idx: the row of the pad is a constant. */
static double *padded_lookup(const struct reference *r, const char *table, const int32_t *ids, int64_t n,
                             double scale)
{
    const int64_t d = r->encoder->hidden_size;
    const float *values = find(r, "%s", table);
    double *x = zeros(n * d);
    for (int64_t t = 0; t < n; t++)
        for (int64_t i = 0; i < d; i++) {
            const int64_t e = ids[t] * d + i;
            x[t * d + i] = scale * (ids[t] == r->encoder->pad_id ? (double)values[e] : at(r, values, e));
        }
    return x;
}

/* Tokens count up from pad + 1, pads stay at pad. */
static void count_positions(const struct reference *r, const int32_t *ids, int64_t n, int32_t *positions)
{
    int32_t count = r->encoder->pad_id;
    for (int64_t t = 0; t < n; t++)
        positions[t] = ids[t] == r->encoder->pad_id ? ids[t] : ++count;
}

static void encode_m2m100(const struct reference *r, const int32_t *ids, int64_t n, int64_t valid,
                          double **hidden)
{
    static const struct block_names names = {
        "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.out_proj", "fc1", "fc2"};
    const struct lay_encoder_config *c = r->encoder;
    const int64_t d = c->hidden_size, half = d / 2;
    const double eps = (double)c->norm_eps;
    int32_t positions[16];
    count_positions(r, ids, n, positions);
    double *x = padded_lookup(r, "model.shared.weight", ids, n, c->scale_embedding ? sqrt((double)d) : 1);
    for (int64_t t = 0; t < n; t++)
        for (int64_t i = 0; i < half && positions[t] != c->pad_id; i++) {
            const double angle = (double)positions[t] * exp(-(double)i * log(10000.0) / (double)(half - 1));
            x[t * d + i] += sin(angle);
            x[t * d + half + i] += cos(angle);
        }
    for (int64_t i = 0; i < c->num_hidden_layers; i++) {
        char block[64], name[128];
        snprintf(block, sizeof block, "model.encoder.layers.%lld.", (long long)i);
        hidden[i] = zeros(n * d);
        add(hidden[i], x, n * d, 1);
        const double *h = layer_norm(r, x, n, d, eps, join(name, block, "self_attn_layer_norm"));
        add(x, biased_attention(r, block, &names, h, n, valid), n * d, 1);
        h = layer_norm(r, x, n, d, eps, join(name, block, "final_layer_norm"));
        add(x, biased_feed(r, block, &names, h, n), n * d, 1);
    }
    hidden[c->num_hidden_layers] = layer_norm(r, x, n, d, eps, "model.encoder.layer_norm");
}

static void encode_xlmr(const struct reference *r, const int32_t *ids, int64_t n, int64_t valid,
                        double **hidden)
{
    static const struct block_names names = {"attention.self.query", "attention.self.key",
                                             "attention.self.value", "attention.output.dense",
                                             "intermediate.dense",   "output.dense"};
    const struct lay_encoder_config *c = r->encoder;
    const int64_t d = c->hidden_size;
    const double eps = (double)c->norm_eps;
    int32_t positions[16];
    count_positions(r, ids, n, positions);
    double *x = padded_lookup(r, "roberta.embeddings.word_embeddings.weight", ids, n, 1);
    add(x, padded_lookup(r, "roberta.embeddings.position_embeddings.weight", positions, n, 1), n * d, 1);
    const float *type = find(r, "roberta.embeddings.token_type_embeddings.weight");
    for (int64_t i = 0; i < n * d; i++)
        x[i] += at(r, type, i % d);
    x = layer_norm(r, x, n, d, eps, "roberta.embeddings.LayerNorm");
    for (int64_t i = 0; i < c->num_hidden_layers; i++) {
        char block[64], name[128];
        snprintf(block, sizeof block, "roberta.encoder.layer.%lld.", (long long)i);
        hidden[i] = x;
        double *sum = biased_attention(r, block, &names, x, n, valid);
        add(sum, x, n * d, 1);
        x = layer_norm(r, sum, n, d, eps, join(name, block, "attention.output.LayerNorm"));
        sum = biased_feed(r, block, &names, x, n);
        add(sum, x, n * d, 1);
        x = layer_norm(r, sum, n, d, eps, join(name, block, "output.LayerNorm"));
    }
    hidden[c->num_hidden_layers] = x;
}

/* LayAlign with official padding: a source has `padded` rows, of which the adapter reads all. */
static void encode(const struct reference *r, const struct lay_train_sample *s, double **hidden)
{
    int32_t ids[16] = {0};
    const int64_t n = r->padded > s->n_source ? r->padded : s->n_source;
    assert_true(n <= 16);
    for (int64_t i = 0; i < n; i++)
        ids[i] = i < s->n_source ? s->source[i] : r->encoder->pad_id;
    if (strcmp(r->encoder->model_type, "m2m_100") == 0)
        encode_m2m100(r, ids, n, s->n_source, hidden);
    else if (strcmp(r->encoder->model_type, "xlm-roberta") == 0)
        encode_xlmr(r, ids, n, s->n_source, hidden);
    else
        encode_t5(r, ids, n, s->n_source, hidden);
}

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

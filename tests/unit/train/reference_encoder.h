/* The encoders of the reference in reference.h: ids [n], of which the first `valid` are no pads. */
#ifndef LAY_TESTS_TRAIN_REFERENCE_ENCODER_H
#define LAY_TESTS_TRAIN_REFERENCE_ENCODER_H

#include "reference_layers.h"

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

#endif

#include "engine/model/llm_state.h"

#include "engine/base/mem.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* transformers' modeling_rope_utils: linear divides every frequency; llama3 leaves short wavelengths alone,
 * divides long ones and interpolates between. */
static double scaled_frequency(const struct lay_llm_config *c, double frequency)
{
    if (strcmp(c->rope_scaling, "linear") == 0)
        return frequency / c->rope_factor;
    if (strcmp(c->rope_scaling, "llama3") != 0)
        return frequency;
    const double context = (double)c->rope_original_max_position;
    const double wavelength = 2.0 * M_PI / frequency;
    if (wavelength < context / c->rope_high_freq_factor)
        return frequency;
    if (wavelength > context / c->rope_low_freq_factor)
        return frequency / c->rope_factor;
    const double smooth = (context / wavelength - c->rope_low_freq_factor) /
                          (c->rope_high_freq_factor - c->rope_low_freq_factor);
    return (1.0 - smooth) * frequency / c->rope_factor + smooth * frequency;
}

void lay_llm_inv_freq(const struct lay_llm_config *config, float *inv_freq)
{
    for (int64_t i = 0; i < config->head_dim / 2; i++) {
        const double exponent = 2.0 * (double)i / (double)config->head_dim;
        inv_freq[i] = (float)scaled_frequency(config, 1.0 / pow(config->rope_theta, exponent));
    }
}

static enum lay_status load_layer(struct lay_llm *m, int64_t i, const struct lay_loader *loader,
                                  struct lay_err *err)
{
    static const char *const q[] = {"q_proj", NULL}, *const k[] = {"k_proj", NULL},
                             *const v[] = {"v_proj", NULL}, *const o[] = {"o_proj", NULL},
                             *const gate_up[] = {"gate_proj", "up_proj", NULL},
                             *const down[] = {"down_proj", NULL};
    const struct lay_llm_config *c = &m->config;
    const int64_t d = c->hidden_size, ff = c->intermediate_size;
    const int64_t inner = c->num_attention_heads * c->head_dim, kv = c->num_key_value_heads * c->head_dim;
    struct lay_llm_layer *l = &m->layers[i];
    char layer[64], attention[96], mlp[96];
    snprintf(layer, sizeof layer, "layers.%lld.", (long long)i);
    snprintf(attention, sizeof attention, "%sself_attn.", layer);
    snprintf(mlp, sizeof mlp, "%smlp.", layer);

    LAY_TRY(lay_load_vector(loader, layer, "input_layernorm.weight", d, &l->attn_norm, err));
    LAY_TRY(lay_load_linear(loader, attention, q, inner, d, c->qkv_bias, &l->q, err));
    LAY_TRY(lay_load_linear(loader, attention, k, kv, d, c->qkv_bias, &l->k, err));
    LAY_TRY(lay_load_linear(loader, attention, v, kv, d, c->qkv_bias, &l->v, err));
    LAY_TRY(lay_load_linear(loader, attention, o, d, inner, c->o_bias, &l->o, err));
    LAY_TRY(lay_load_vector(loader, layer, "post_attention_layernorm.weight", d, &l->mlp_norm, err));
    LAY_TRY(lay_load_linear(loader, mlp, gate_up, ff, d, c->mlp_bias, &l->gate_up, err));
    LAY_TRY(lay_load_linear(loader, mlp, down, d, ff, c->mlp_bias, &l->down, err));
    m->bytes += lay_linear_bytes(l->q) + lay_linear_bytes(l->k) + lay_linear_bytes(l->v) +
                lay_linear_bytes(l->o) + lay_linear_bytes(l->gate_up) + lay_linear_bytes(l->down);
    return LAY_OK;
}

static enum lay_status load(struct lay_llm *m, const struct lay_loader *loader, struct lay_err *err)
{
    const struct lay_llm_config *c = &m->config;
    const char *const head[] = {c->tie_word_embeddings ? "embed_tokens" : "lm_head", NULL};
    struct lay_loader head_loader = *loader;
    head_loader.precision = lay_precision_within(loader->precision, "lm_head"); /* tied or not */
    m->layers = lay_alloc((size_t)c->num_hidden_layers, sizeof *m->layers);
    m->inv_freq = lay_alloc((size_t)c->head_dim / 2, sizeof *m->inv_freq);
    if (!m->layers || !m->inv_freq)
        return lay_no_memory(err, "an LLM");
    lay_llm_inv_freq(c, m->inv_freq);
    LAY_TRY(lay_load_embedding(loader, "embed_tokens.weight", c->vocab_size, c->hidden_size, &m->embed_tokens,
                               err));
    for (int64_t i = 0; i < c->num_hidden_layers; i++)
        LAY_TRY(load_layer(m, i, loader, err));
    LAY_TRY(lay_load_vector(loader, "", "norm.weight", c->hidden_size, &m->norm, err));
    LAY_TRY(lay_load_linear(&head_loader, "", head, c->vocab_size, c->hidden_size, false, &m->head, err));
    m->bytes += lay_linear_bytes(m->head);
    return LAY_OK;
}

enum lay_status lay_llm_load(struct lay_dnn *dnn, const struct lay_llm_config *config,
                             struct lay_weights *weights, struct lay_precision precision,
                             struct lay_llm **llm, struct lay_err *err)
{
    const struct lay_loader loader = {dnn, weights, precision};
    struct lay_llm *m = lay_alloc(1, sizeof *m);
    *llm = NULL;
    if (!m)
        return lay_no_memory(err, "an LLM");
    m->config = *config;
    m->stored = lay_precision_rows(precision);
    const enum lay_status status = load(m, &loader, err);
    if (status != LAY_OK) {
        lay_llm_destroy(m);
        return status;
    }
    *llm = m;
    return LAY_OK;
}

static void destroy_layer(struct lay_llm_layer *l)
{
    struct lay_linear *const linears[] = {l->q, l->k, l->v, l->o, l->gate_up, l->down};
    for (size_t i = 0; i < sizeof linears / sizeof *linears; i++)
        lay_linear_destroy(linears[i]);
    lay_free(l->attn_norm);
    lay_free(l->mlp_norm);
}

void lay_llm_destroy(struct lay_llm *m)
{
    if (!m)
        return;
    for (int64_t i = 0; m->layers && i < m->config.num_hidden_layers; i++)
        destroy_layer(&m->layers[i]);
    lay_free(m->layers);
    lay_free(m->norm);
    lay_linear_destroy(m->head);
    lay_free(m->inv_freq);
    struct lay_work *const work[] = {&m->h,      &m->q,           &m->k,     &m->v,      &m->attn,
                                     &m->tapped, &m->tapped_attn, &m->gates, &m->ungated};
    for (size_t i = 0; i < sizeof work / sizeof *work; i++)
        lay_work_free(work[i]);
    lay_free(m->positions);
    lay_free(m->causal);
    lay_free(m->cross);
    lay_free(m);
}

const struct lay_llm_config *lay_llm_config(const struct lay_llm *llm)
{
    return &llm->config;
}

size_t lay_llm_bytes(const struct lay_llm *llm)
{
    return llm->bytes;
}

struct lay_kv_shape lay_llm_kv_shape(const struct lay_llm *llm)
{
    const struct lay_llm_config *c = &llm->config;
    return (struct lay_kv_shape){c->num_hidden_layers, c->num_key_value_heads, c->head_dim, llm->stored};
}

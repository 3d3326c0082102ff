#include "engine/model/config_read.h"

#include <string.h>

/* T5's "feed_forward_proj": relu, gelu, gated-gelu (which means gelu_new), gated-silu. The derived keys
 * is_gated_act and dense_act_fn, when present, override it in transformers: they must agree. */
static enum lay_status read_t5_feed_forward(const struct lay_config_source *s, struct lay_encoder_config *c,
                                            struct lay_err *err)
{
    const char *projection = strcmp(c->model_type, "t5") == 0 ? "relu" : "gated-gelu";
    LAY_TRY(lay_json_get_string(s->root, s->where, "feed_forward_proj", &projection, err));
    c->gated = strncmp(projection, "gated-", 6) == 0;
    const char *name = c->gated ? projection + 6 : projection;
    if (strcmp(projection, "gated-gelu") == 0)
        name = "gelu_new";
    LAY_TRY(lay_config_activation_by_name(s, "feed_forward_proj", name, &c->activation, err));

    enum lay_activation stated = c->activation;
    bool gated = c->gated;
    LAY_TRY(lay_config_activation(s, "dense_act_fn", name, &stated, err));
    LAY_TRY(lay_json_get_bool(s->root, s->where, "is_gated_act", &gated, err));
    if (stated != c->activation || gated != c->gated)
        return lay_fail(err, LAY_ERR_INPUT,
                        "%s: \"dense_act_fn\" and \"is_gated_act\" contradict \"feed_forward_proj\" \"%s\"",
                        s->where, projection);
    return LAY_OK;
}

static enum lay_status read_t5(const struct lay_config_source *s, struct lay_encoder_config *c,
                               struct lay_err *err)
{
    LAY_TRY(lay_config_dim(s, "d_model", &c->hidden_size, err));
    LAY_TRY(lay_config_dim(s, "d_ff", &c->intermediate_size, err));
    LAY_TRY(lay_config_int(s, "num_layers", 1, LAY_CONFIG_LAYERS_MAX, &c->num_hidden_layers, err));
    LAY_TRY(lay_config_dim(s, "num_heads", &c->num_attention_heads, err));
    LAY_TRY(lay_config_int(s, "d_kv", 1, 65536, &c->head_dim, err));
    LAY_TRY(lay_config_int(s, "relative_attention_num_buckets", 4, 65536, &c->relative_buckets, err));
    LAY_TRY(lay_config_dim(s, "relative_attention_max_distance", &c->relative_max_distance, err));
    if (c->relative_buckets % 4 || c->relative_max_distance <= c->relative_buckets / 4)
        return lay_fail(err, LAY_ERR_INPUT,
                        "%s: relative_attention_num_buckets %lld and max_distance %lld do not fit together",
                        s->where, (long long)c->relative_buckets, (long long)c->relative_max_distance);
    LAY_TRY(lay_config_epsilon(s, "layer_norm_epsilon", &c->norm_eps, err));
    return read_t5_feed_forward(s, c, err);
}

static enum lay_status divide_heads(const struct lay_config_source *s, struct lay_encoder_config *c,
                                    struct lay_err *err)
{
    if (c->hidden_size % c->num_attention_heads)
        return lay_fail(err, LAY_ERR_INPUT,
                        "%s: the hidden size %lld is not a multiple of the %lld attention heads", s->where,
                        (long long)c->hidden_size, (long long)c->num_attention_heads);
    c->head_dim = c->hidden_size / c->num_attention_heads;
    return LAY_OK;
}

static enum lay_status read_m2m100(const struct lay_config_source *s, struct lay_encoder_config *c,
                                   struct lay_err *err)
{
    LAY_TRY(lay_config_dim(s, "d_model", &c->hidden_size, err));
    LAY_TRY(lay_config_dim(s, "encoder_ffn_dim", &c->intermediate_size, err));
    LAY_TRY(lay_config_int(s, "encoder_layers", 1, LAY_CONFIG_LAYERS_MAX, &c->num_hidden_layers, err));
    LAY_TRY(lay_config_dim(s, "encoder_attention_heads", &c->num_attention_heads, err));
    LAY_TRY(lay_config_activation(s, "activation_function", "relu", &c->activation, err));
    LAY_TRY(lay_json_get_bool(s->root, s->where, "scale_embedding", &c->scale_embedding, err));
    if (c->hidden_size < 4)
        return lay_fail(err, LAY_ERR_INPUT, "%s: d_model %lld is too small for sinusoidal positions",
                        s->where, (long long)c->hidden_size);
    return divide_heads(s, c, err);
}

static enum lay_status read_xlmr(const struct lay_config_source *s, struct lay_encoder_config *c,
                                 struct lay_err *err)
{
    const char *positions = "absolute";
    LAY_TRY(lay_config_dim(s, "hidden_size", &c->hidden_size, err));
    LAY_TRY(lay_config_dim(s, "intermediate_size", &c->intermediate_size, err));
    LAY_TRY(lay_config_int(s, "num_hidden_layers", 1, LAY_CONFIG_LAYERS_MAX, &c->num_hidden_layers, err));
    LAY_TRY(lay_config_dim(s, "num_attention_heads", &c->num_attention_heads, err));
    LAY_TRY(lay_config_activation(s, "hidden_act", "gelu", &c->activation, err));
    LAY_TRY(lay_config_epsilon(s, "layer_norm_eps", &c->norm_eps, err));
    LAY_TRY(lay_config_dim(s, "max_position_embeddings", &c->max_positions, err));
    LAY_TRY(lay_json_get_string(s->root, s->where, "position_embedding_type", &positions, err));
    if (strcmp(positions, "absolute") != 0)
        return lay_fail(err, LAY_ERR_INPUT,
                        "%s: position_embedding_type \"%s\" is not implemented, only \"absolute\"", s->where,
                        positions);
    return divide_heads(s, c, err);
}

/* One row per model_type: transformers' defaults and the function that reads the family's own keys. */
static const struct {
    enum lay_status (*read)(const struct lay_config_source *s, struct lay_encoder_config *c,
                            struct lay_err *err);
    struct lay_encoder_config defaults;
} encoder_families[] = {
    {read_t5,
     {.model_type = "t5",
      .vocab_size = 32128,
      .hidden_size = 512,
      .intermediate_size = 2048,
      .num_hidden_layers = 6,
      .num_attention_heads = 8,
      .head_dim = 64,
      .relative_buckets = 32,
      .relative_max_distance = 128,
      .norm_eps = 1e-6f,
      .pad_id = 0,
      .eos_id = 1}},
    {read_t5,
     {.model_type = "mt5",
      .vocab_size = 250112,
      .hidden_size = 512,
      .intermediate_size = 1024,
      .num_hidden_layers = 8,
      .num_attention_heads = 6,
      .head_dim = 64,
      .relative_buckets = 32,
      .relative_max_distance = 128,
      .norm_eps = 1e-6f,
      .pad_id = 0,
      .eos_id = 1}},
    {read_t5,
     {.model_type = "umt5",
      .vocab_size = 250112,
      .hidden_size = 512,
      .intermediate_size = 1024,
      .num_hidden_layers = 8,
      .num_attention_heads = 6,
      .head_dim = 64,
      .relative_buckets = 32,
      .relative_max_distance = 128,
      .relative_bias_per_layer = true,
      .norm_eps = 1e-6f,
      .pad_id = 0,
      .eos_id = 1}},
    {read_m2m100,
     {.model_type = "m2m_100",
      .vocab_size = 128112,
      .hidden_size = 1024,
      .intermediate_size = 4096,
      .num_hidden_layers = 12,
      .num_attention_heads = 16,
      .norm_eps = 1e-5f,
      .scale_embedding = true,
      .pad_id = 1,
      .eos_id = 2}},
    {read_xlmr,
     {.model_type = "xlm-roberta",
      .vocab_size = 30522,
      .hidden_size = 768,
      .intermediate_size = 3072,
      .num_hidden_layers = 12,
      .num_attention_heads = 12,
      .norm_eps = 1e-12f,
      .max_positions = 512,
      .pad_id = 1,
      .eos_id = 2}},
};

static enum lay_status read_encoder(const struct lay_config_source *s, struct lay_encoder_config *c,
                                    struct lay_err *err)
{
    enum { N = sizeof encoder_families / sizeof *encoder_families };
    const char *type;
    size_t family = 0;
    LAY_TRY(lay_config_model_type(s, &type, err));
    while (family < N && strcmp(encoder_families[family].defaults.model_type, type) != 0)
        family++;
    if (family == N)
        return lay_config_unknown_type(s, type, "an encoder", "mt5, t5, umt5, m2m_100, xlm-roberta", err);
    *c = encoder_families[family].defaults;
    LAY_TRY(lay_config_refuse_unimplemented(s, err));
    LAY_TRY(lay_config_dim(s, "vocab_size", &c->vocab_size, err));
    LAY_TRY(encoder_families[family].read(s, c, err));
    if (c->head_dim > LAY_MAX_HEAD_DIM)
        return lay_fail(err, LAY_ERR_INPUT, "%s: heads of %lld are not supported, at most %d", s->where,
                        (long long)c->head_dim, LAY_MAX_HEAD_DIM);
    if (c->num_attention_heads > LAY_CONFIG_DIM_MAX / c->head_dim)
        return lay_fail(err, LAY_ERR_INPUT, "%s: attention heads × head size is absurdly large", s->where);
    LAY_TRY(lay_config_id(s, "pad_token_id", &c->pad_id, err));
    LAY_TRY(lay_config_id(s, "eos_token_id", &c->eos_id, err));
    if (c->pad_id < 0 || c->pad_id >= c->vocab_size)
        return lay_fail(err, LAY_ERR_INPUT, "%s: pad_token_id %d is outside the vocabulary", s->where,
                        c->pad_id);
    return LAY_OK;
}

enum lay_status lay_encoder_config_read(const char *dir, struct lay_encoder_config *config,
                                        struct lay_err *err)
{
    struct lay_config_source s;
    LAY_TRY(lay_config_open(dir, "config.json", &s, err));
    const enum lay_status status = read_encoder(&s, config, err);
    lay_config_close(&s);
    return status;
}

enum lay_status lay_encoder_config_parse(const char *where, const char *text, size_t length,
                                         struct lay_encoder_config *config, struct lay_err *err)
{
    struct lay_config_source s = {.where = (char *)(uintptr_t)where};
    enum lay_status status = lay_json_parse(where, text, length, &s.root, err);
    if (status == LAY_OK)
        status = read_encoder(&s, config, err);
    cJSON_Delete(s.root);
    return status;
}

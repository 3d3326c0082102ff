#include "engine/model/config.h"

#include "engine/base/file.h"
#include "engine/base/mem.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { DIM_MAX = INT32_MAX, LAYERS_MAX = 1024 };

/* A config.json being read. */
struct source {
    cJSON *root;
    char *where; /* path, for messages */
};

static void source_close(struct source *source)
{
    cJSON_Delete(source->root);
    lay_free(source->where);
}

static enum lay_status source_open(const char *dir, const char *name, struct source *source,
                                   struct lay_err *err)
{
    *source = (struct source){.where = lay_path_join(dir, name)};
    if (!source->where)
        return lay_no_memory(err, "a path");
    enum lay_status status = lay_json_read(source->where, &source->root, err);
    if (status == LAY_OK && !cJSON_IsObject(source->root))
        status = lay_fail(err, LAY_ERR_INPUT, "%s: must be a JSON object", source->where);
    if (status != LAY_OK)
        source_close(source);
    return status;
}

/* --- typed keys --- */

static enum lay_status read_int(const struct source *s, const char *key, int64_t min, int64_t max,
                                int64_t *value, struct lay_err *err)
{
    LAY_TRY(lay_json_get_int(s->root, s->where, key, value, err));
    if (*value < min || *value > max)
        return lay_fail(err, LAY_ERR_INPUT, "%s: \"%s\" is %lld, outside %lld to %lld", s->where, key,
                        (long long)*value, (long long)min, (long long)max);
    return LAY_OK;
}

static enum lay_status read_dim(const struct source *s, const char *key, int64_t *value, struct lay_err *err)
{
    return read_int(s, key, 1, DIM_MAX, value, err);
}

static enum lay_status read_id(const struct source *s, const char *key, int32_t *id, struct lay_err *err)
{
    int64_t value = *id;
    LAY_TRY(read_int(s, key, -1, DIM_MAX, &value, err));
    *id = (int32_t)value;
    return LAY_OK;
}

static enum lay_status positive(const char *where, const char *key, double value, struct lay_err *err)
{
    if (!(value > 0) || !isfinite(value))
        return lay_fail(err, LAY_ERR_INPUT, "%s: \"%s\" must be a positive number", where, key);
    return LAY_OK;
}

static enum lay_status read_epsilon(const struct source *s, const char *key, float *eps, struct lay_err *err)
{
    double value = *eps;
    LAY_TRY(lay_json_get_double(s->root, s->where, key, &value, err));
    LAY_TRY(positive(s->where, key, value, err));
    *eps = (float)value;
    return LAY_OK;
}

/* Names of transformers' ACT2FN. */
static const struct {
    const char *name;
    enum lay_activation activation;
} activations[] = {
    {"relu", LAY_RELU},          {"gelu", LAY_GELU_ERF},
    {"gelu_new", LAY_GELU_TANH}, {"gelu_pytorch_tanh", LAY_GELU_TANH},
    {"silu", LAY_SILU},          {"swish", LAY_SILU},
};

static enum lay_status activation_by_name(const struct source *s, const char *key, const char *name,
                                          enum lay_activation *activation, struct lay_err *err)
{
    for (size_t i = 0; i < sizeof activations / sizeof *activations; i++)
        if (strcmp(activations[i].name, name) == 0) {
            *activation = activations[i].activation;
            return LAY_OK;
        }
    return lay_fail(err, LAY_ERR_INPUT,
                    "%s: activation \"%s\" (key \"%s\") is not implemented; implemented are relu, gelu, "
                    "gelu_new, gelu_pytorch_tanh, silu",
                    s->where, name, key);
}

static enum lay_status read_activation(const struct source *s, const char *key, const char *missing,
                                       enum lay_activation *activation, struct lay_err *err)
{
    const char *name = missing;
    LAY_TRY(lay_json_get_string(s->root, s->where, key, &name, err));
    return activation_by_name(s, key, name, activation, err);
}

/* --- what we refuse --- */

/* Keys that change the computation in a way nobody implemented here, with the one value that does not. */
enum harmless { IS_FALSE, IS_ONE, IS_ABSENT };
struct refusal {
    const char *key;
    enum harmless harmless;
};

static const struct refusal refusals[] = {
    {"quantization_config", IS_ABSENT},
    {"use_sliding_window", IS_FALSE}, /* transformers' versions disagree on which layers slide */
    {"partial_rotary_factor", IS_ONE},
    {"attn_logit_softcapping", IS_ABSENT},
    {"final_logit_softcapping", IS_ABSENT},
    {"logit_scale", IS_ONE},
    {"num_experts", IS_ABSENT},
    {"num_local_experts", IS_ABSENT},
    {"is_decoder", IS_FALSE},
    {"add_cross_attention", IS_FALSE},
    {"adapters", IS_ABSENT},
};

static bool is_harmless(const cJSON *item, enum harmless harmless)
{
    if (!item || cJSON_IsNull(item))
        return true;
    switch (harmless) {
    case IS_FALSE:
        return cJSON_IsFalse(item);
    case IS_ONE:
        return cJSON_IsNumber(item) && item->valuedouble == 1.0;
    case IS_ABSENT:
        return false;
    }
    return false;
}

static enum lay_status refuse_unimplemented(const struct source *s, struct lay_err *err)
{
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(s->root, refusals[i].key);
        if (!is_harmless(item, refusals[i].harmless))
            return lay_fail(err, LAY_ERR_INPUT,
                            "%s: \"%s\" changes the computation and is not implemented; use a checkpoint "
                            "without it",
                            s->where, refusals[i].key);
    }
    const cJSON *types = cJSON_GetObjectItemCaseSensitive(s->root, "layer_types");
    const cJSON *type;
    cJSON_ArrayForEach(type, types)
    {
        if (!cJSON_IsString(type) || strcmp(type->valuestring, "full_attention") != 0)
            return lay_fail(err, LAY_ERR_INPUT,
                            "%s: \"layer_types\" other than full_attention are not implemented", s->where);
    }
    return LAY_OK;
}

static enum lay_status read_model_type(const struct source *s, const char **type, struct lay_err *err)
{
    *type = NULL;
    LAY_TRY(lay_json_get_string(s->root, s->where, "model_type", type, err));
    return *type ? LAY_OK : lay_json_missing(s->where, "model_type", err);
}

static enum lay_status unknown_type(const struct source *s, const char *type, const char *what,
                                    const char *known, struct lay_err *err)
{
    return lay_fail(err, LAY_ERR_INPUT, "%s: model_type \"%s\" is not implemented as %s; implemented are %s",
                    s->where, type, what, known);
}

/* --- LLMs --- */

/* What transformers assumes for keys that are not there; num_key_value_heads 0: as many as heads. */
static const struct lay_llm_config llm_defaults[] = {
    {.model_type = "llama",
     .vocab_size = 32000,
     .hidden_size = 4096,
     .intermediate_size = 11008,
     .num_hidden_layers = 32,
     .num_attention_heads = 32,
     .max_position_embeddings = 2048,
     .rms_norm_eps = 1e-6f,
     .rope_theta = 10000,
     .bos_id = 1,
     .pad_id = -1,
     .eos_ids = {2},
     .n_eos = 1},
    {.model_type = "mistral",
     .vocab_size = 32000,
     .hidden_size = 4096,
     .intermediate_size = 14336,
     .num_hidden_layers = 32,
     .num_attention_heads = 32,
     .num_key_value_heads = 8,
     .max_position_embeddings = 131072,
     .sliding_window = 4096,
     .rms_norm_eps = 1e-6f,
     .rope_theta = 10000,
     .bos_id = 1,
     .pad_id = -1,
     .eos_ids = {2},
     .n_eos = 1},
    {.model_type = "qwen2",
     .vocab_size = 151936,
     .hidden_size = 4096,
     .intermediate_size = 22016,
     .num_hidden_layers = 32,
     .num_attention_heads = 32,
     .num_key_value_heads = 32,
     .max_position_embeddings = 32768,
     .rms_norm_eps = 1e-6f,
     .rope_theta = 10000,
     .qkv_bias = true,
     .bos_id = -1,
     .pad_id = -1},
};

static enum lay_status read_rope(const struct source *s, struct lay_llm_config *c, struct lay_err *err)
{
    /* transformers 5 moved rope_theta and the scaling into rope_parameters. */
    const cJSON *rope = cJSON_GetObjectItemCaseSensitive(s->root, "rope_scaling");
    if (!rope || cJSON_IsNull(rope))
        rope = cJSON_GetObjectItemCaseSensitive(s->root, "rope_parameters");
    LAY_TRY(lay_json_get_double(s->root, s->where, "rope_theta", &c->rope_theta, err));
    if (rope && !cJSON_IsNull(rope)) {
        const char *type = NULL;
        if (!cJSON_IsObject(rope))
            return lay_fail(err, LAY_ERR_INPUT, "%s: \"rope_scaling\" must be an object", s->where);
        LAY_TRY(lay_json_get_double(rope, s->where, "rope_theta", &c->rope_theta, err));
        LAY_TRY(lay_json_get_string(rope, s->where, "type", &type, err));
        LAY_TRY(lay_json_get_string(rope, s->where, "rope_type", &type, err));
        if (type && strcmp(type, "default") != 0) {
            if (strcmp(type, "linear") != 0 && strcmp(type, "llama3") != 0)
                return lay_fail(
                    err, LAY_ERR_INPUT,
                    "%s: rope_scaling \"%s\" is not implemented; implemented are linear and llama3", s->where,
                    type);
            strcpy(c->rope_scaling, type);
        }
        if (c->rope_scaling[0]) {
            LAY_TRY(lay_json_get_double(rope, s->where, "factor", &c->rope_factor, err));
            LAY_TRY(positive(s->where, "rope_scaling.factor", c->rope_factor, err));
        }
        if (strcmp(c->rope_scaling, "llama3") == 0) {
            const struct source inner = {(cJSON *)(uintptr_t)rope, s->where};
            LAY_TRY(lay_json_get_double(rope, s->where, "low_freq_factor", &c->rope_low_freq_factor, err));
            LAY_TRY(lay_json_get_double(rope, s->where, "high_freq_factor", &c->rope_high_freq_factor, err));
            LAY_TRY(positive(s->where, "low_freq_factor", c->rope_low_freq_factor, err));
            LAY_TRY(positive(s->where, "high_freq_factor", c->rope_high_freq_factor, err));
            LAY_TRY(
                read_dim(&inner, "original_max_position_embeddings", &c->rope_original_max_position, err));
            if (c->rope_high_freq_factor <= c->rope_low_freq_factor)
                return lay_fail(err, LAY_ERR_INPUT,
                                "%s: rope_scaling: high_freq_factor must exceed low_freq_factor", s->where);
        }
    }
    return positive(s->where, "rope_theta", c->rope_theta, err);
}

static enum lay_status read_heads(const struct source *s, struct lay_llm_config *c, struct lay_err *err)
{
    LAY_TRY(read_dim(s, "num_attention_heads", &c->num_attention_heads, err));
    if (c->num_key_value_heads == 0)
        c->num_key_value_heads = c->num_attention_heads;
    LAY_TRY(read_dim(s, "num_key_value_heads", &c->num_key_value_heads, err));
    if (c->num_attention_heads % c->num_key_value_heads)
        return lay_fail(err, LAY_ERR_INPUT,
                        "%s: num_attention_heads %lld is not a multiple of num_key_value_heads %lld",
                        s->where, (long long)c->num_attention_heads, (long long)c->num_key_value_heads);
    int64_t head_dim = 0;
    LAY_TRY(read_int(s, "head_dim", 0, 65536, &head_dim, err));
    if (head_dim == 0 && c->hidden_size % c->num_attention_heads)
        return lay_fail(err, LAY_ERR_INPUT,
                        "%s: hidden_size %lld is not a multiple of num_attention_heads %lld", s->where,
                        (long long)c->hidden_size, (long long)c->num_attention_heads);
    c->head_dim = head_dim ? head_dim : c->hidden_size / c->num_attention_heads;
    if (c->head_dim % 2)
        return lay_fail(err, LAY_ERR_INPUT, "%s: head_dim %lld is odd; rotary embeddings need pairs",
                        s->where, (long long)c->head_dim);
    if (c->num_attention_heads > DIM_MAX / c->head_dim)
        return lay_fail(err, LAY_ERR_INPUT, "%s: num_attention_heads × head_dim is absurdly large", s->where);
    return LAY_OK;
}

/* Mistral: a missing key means transformers' default, null means no window. */
static enum lay_status read_window(const struct source *s, struct lay_llm_config *c, struct lay_err *err)
{
    if (strcmp(c->model_type, "mistral") != 0)
        return LAY_OK;
    if (cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(s->root, "sliding_window")))
        c->sliding_window = 0;
    return read_int(s, "sliding_window", 0, DIM_MAX, &c->sliding_window, err);
}

static enum lay_status read_biases(const struct source *s, struct lay_llm_config *c, struct lay_err *err)
{
    bool attention_bias = false;
    LAY_TRY(lay_json_get_bool(s->root, s->where, "attention_bias", &attention_bias, err));
    LAY_TRY(lay_json_get_bool(s->root, s->where, "mlp_bias", &c->mlp_bias, err));
    if ((attention_bias || c->mlp_bias) && strcmp(c->model_type, "llama") != 0)
        return lay_fail(err, LAY_ERR_INPUT, "%s: attention_bias and mlp_bias exist only in model_type llama",
                        s->where);
    c->qkv_bias |= attention_bias;
    c->o_bias = attention_bias;
    return LAY_OK;
}

/* "eos_token_id": a number, a list of numbers, or null. */
static enum lay_status read_eos(const struct source *s, struct lay_llm_config *c, struct lay_err *err)
{
    const cJSON *eos = cJSON_GetObjectItemCaseSensitive(s->root, "eos_token_id");
    if (!eos || cJSON_IsNull(eos))
        return LAY_OK;
    const cJSON *item = cJSON_IsArray(eos) ? eos->child : eos;
    c->n_eos = 0;
    for (; item; item = cJSON_IsArray(eos) ? item->next : NULL) {
        const double id = cJSON_IsNumber(item) ? item->valuedouble : -1;
        if (id < 0 || id > DIM_MAX || id != floor(id))
            return lay_fail(err, LAY_ERR_INPUT, "%s: \"eos_token_id\" must be a token id or a list of them",
                            s->where);
        if (c->n_eos == (int)(sizeof c->eos_ids / sizeof *c->eos_ids))
            return lay_fail(err, LAY_ERR_INPUT, "%s: \"eos_token_id\" has more than %d ids", s->where,
                            c->n_eos);
        c->eos_ids[c->n_eos++] = (int32_t)id;
    }
    return LAY_OK;
}

static enum lay_status read_special_ids(const struct source *s, struct lay_llm_config *c, struct lay_err *err)
{
    LAY_TRY(read_eos(s, c, err));
    LAY_TRY(read_id(s, "bos_token_id", &c->bos_id, err));
    return read_id(s, "pad_token_id", &c->pad_id, err);
}

/* generation_config.json is what generate() obeys, so it has the last word on the special ids. */
static enum lay_status read_generation_config(const char *dir, struct lay_llm_config *c, struct lay_err *err)
{
    struct source s;
    char *path = lay_path_join(dir, "generation_config.json");
    if (!path)
        return lay_no_memory(err, "a path");
    const bool exists = lay_path_exists(path);
    lay_free(path);
    if (!exists)
        return LAY_OK;
    LAY_TRY(source_open(dir, "generation_config.json", &s, err));
    const enum lay_status status = read_special_ids(&s, c, err);
    source_close(&s);
    return status;
}

static enum lay_status read_llm(const struct source *s, struct lay_llm_config *c, struct lay_err *err)
{
    const char *type;
    LAY_TRY(read_model_type(s, &type, err));
    *c = (struct lay_llm_config){0};
    for (size_t i = 0; i < sizeof llm_defaults / sizeof *llm_defaults; i++)
        if (strcmp(llm_defaults[i].model_type, type) == 0)
            *c = llm_defaults[i];
    if (!c->model_type[0])
        return unknown_type(s, type, "an LLM", "llama, mistral, qwen2", err);
    LAY_TRY(refuse_unimplemented(s, err));
    LAY_TRY(read_dim(s, "vocab_size", &c->vocab_size, err));
    LAY_TRY(read_dim(s, "hidden_size", &c->hidden_size, err));
    LAY_TRY(read_dim(s, "intermediate_size", &c->intermediate_size, err));
    LAY_TRY(read_int(s, "num_hidden_layers", 1, LAYERS_MAX, &c->num_hidden_layers, err));
    LAY_TRY(read_dim(s, "max_position_embeddings", &c->max_position_embeddings, err));
    LAY_TRY(read_heads(s, c, err));
    LAY_TRY(read_window(s, c, err));
    LAY_TRY(read_biases(s, c, err));
    LAY_TRY(read_epsilon(s, "rms_norm_eps", &c->rms_norm_eps, err));
    LAY_TRY(read_rope(s, c, err));
    LAY_TRY(lay_json_get_bool(s->root, s->where, "tie_word_embeddings", &c->tie_word_embeddings, err));
    enum lay_activation activation;
    LAY_TRY(read_activation(s, "hidden_act", "silu", &activation, err));
    if (activation != LAY_SILU)
        return lay_fail(err, LAY_ERR_INPUT,
                        "%s: \"hidden_act\" must be silu; other gated feed-forwards are not "
                        "implemented for LLMs",
                        s->where);
    return read_special_ids(s, c, err);
}

enum lay_status lay_llm_config_read(const char *dir, struct lay_llm_config *config, struct lay_err *err)
{
    struct source s;
    LAY_TRY(source_open(dir, "config.json", &s, err));
    enum lay_status status = read_llm(&s, config, err);
    if (status == LAY_OK)
        status = read_generation_config(dir, config, err);
    source_close(&s);
    return status;
}

/* --- encoders --- */

/* T5's "feed_forward_proj": relu, gelu, gated-gelu (which means gelu_new), gated-silu. The derived keys
 * is_gated_act and dense_act_fn, when present, override it in transformers: they must agree. */
static enum lay_status read_t5_feed_forward(const struct source *s, struct lay_encoder_config *c,
                                            struct lay_err *err)
{
    const char *projection = strcmp(c->model_type, "t5") == 0 ? "relu" : "gated-gelu";
    LAY_TRY(lay_json_get_string(s->root, s->where, "feed_forward_proj", &projection, err));
    c->gated = strncmp(projection, "gated-", 6) == 0;
    const char *name = c->gated ? projection + 6 : projection;
    if (strcmp(projection, "gated-gelu") == 0)
        name = "gelu_new";
    LAY_TRY(activation_by_name(s, "feed_forward_proj", name, &c->activation, err));

    enum lay_activation stated = c->activation;
    bool gated = c->gated;
    LAY_TRY(read_activation(s, "dense_act_fn", name, &stated, err));
    LAY_TRY(lay_json_get_bool(s->root, s->where, "is_gated_act", &gated, err));
    if (stated != c->activation || gated != c->gated)
        return lay_fail(err, LAY_ERR_INPUT,
                        "%s: \"dense_act_fn\" and \"is_gated_act\" contradict \"feed_forward_proj\" \"%s\"",
                        s->where, projection);
    return LAY_OK;
}

static enum lay_status read_t5(const struct source *s, struct lay_encoder_config *c, struct lay_err *err)
{
    LAY_TRY(read_dim(s, "d_model", &c->hidden_size, err));
    LAY_TRY(read_dim(s, "d_ff", &c->intermediate_size, err));
    LAY_TRY(read_int(s, "num_layers", 1, LAYERS_MAX, &c->num_hidden_layers, err));
    LAY_TRY(read_dim(s, "num_heads", &c->num_attention_heads, err));
    LAY_TRY(read_int(s, "d_kv", 1, 65536, &c->head_dim, err));
    LAY_TRY(read_int(s, "relative_attention_num_buckets", 4, 65536, &c->relative_buckets, err));
    LAY_TRY(read_dim(s, "relative_attention_max_distance", &c->relative_max_distance, err));
    if (c->relative_buckets % 4 || c->relative_max_distance <= c->relative_buckets / 4)
        return lay_fail(err, LAY_ERR_INPUT,
                        "%s: relative_attention_num_buckets %lld and max_distance %lld do not fit together",
                        s->where, (long long)c->relative_buckets, (long long)c->relative_max_distance);
    LAY_TRY(read_epsilon(s, "layer_norm_epsilon", &c->norm_eps, err));
    return read_t5_feed_forward(s, c, err);
}

static enum lay_status divide_heads(const struct source *s, struct lay_encoder_config *c, struct lay_err *err)
{
    if (c->hidden_size % c->num_attention_heads)
        return lay_fail(err, LAY_ERR_INPUT,
                        "%s: the hidden size %lld is not a multiple of the %lld attention heads", s->where,
                        (long long)c->hidden_size, (long long)c->num_attention_heads);
    c->head_dim = c->hidden_size / c->num_attention_heads;
    return LAY_OK;
}

static enum lay_status read_m2m100(const struct source *s, struct lay_encoder_config *c, struct lay_err *err)
{
    LAY_TRY(read_dim(s, "d_model", &c->hidden_size, err));
    LAY_TRY(read_dim(s, "encoder_ffn_dim", &c->intermediate_size, err));
    LAY_TRY(read_int(s, "encoder_layers", 1, LAYERS_MAX, &c->num_hidden_layers, err));
    LAY_TRY(read_dim(s, "encoder_attention_heads", &c->num_attention_heads, err));
    LAY_TRY(read_activation(s, "activation_function", "relu", &c->activation, err));
    LAY_TRY(lay_json_get_bool(s->root, s->where, "scale_embedding", &c->scale_embedding, err));
    if (c->hidden_size < 4)
        return lay_fail(err, LAY_ERR_INPUT, "%s: d_model %lld is too small for sinusoidal positions",
                        s->where, (long long)c->hidden_size);
    return divide_heads(s, c, err);
}

static enum lay_status read_xlmr(const struct source *s, struct lay_encoder_config *c, struct lay_err *err)
{
    const char *positions = "absolute";
    LAY_TRY(read_dim(s, "hidden_size", &c->hidden_size, err));
    LAY_TRY(read_dim(s, "intermediate_size", &c->intermediate_size, err));
    LAY_TRY(read_int(s, "num_hidden_layers", 1, LAYERS_MAX, &c->num_hidden_layers, err));
    LAY_TRY(read_dim(s, "num_attention_heads", &c->num_attention_heads, err));
    LAY_TRY(read_activation(s, "hidden_act", "gelu", &c->activation, err));
    LAY_TRY(read_epsilon(s, "layer_norm_eps", &c->norm_eps, err));
    LAY_TRY(read_dim(s, "max_position_embeddings", &c->max_positions, err));
    LAY_TRY(lay_json_get_string(s->root, s->where, "position_embedding_type", &positions, err));
    if (strcmp(positions, "absolute") != 0)
        return lay_fail(err, LAY_ERR_INPUT,
                        "%s: position_embedding_type \"%s\" is not implemented, only \"absolute\"", s->where,
                        positions);
    return divide_heads(s, c, err);
}

/* One row per model_type: transformers' defaults and the function that reads the family's own keys. */
static const struct {
    enum lay_status (*read)(const struct source *s, struct lay_encoder_config *c, struct lay_err *err);
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

static enum lay_status read_encoder(const struct source *s, struct lay_encoder_config *c, struct lay_err *err)
{
    enum { N = sizeof encoder_families / sizeof *encoder_families };
    const char *type;
    size_t family = 0;
    LAY_TRY(read_model_type(s, &type, err));
    while (family < N && strcmp(encoder_families[family].defaults.model_type, type) != 0)
        family++;
    if (family == N)
        return unknown_type(s, type, "an encoder", "mt5, t5, umt5, m2m_100, xlm-roberta", err);
    *c = encoder_families[family].defaults;
    LAY_TRY(refuse_unimplemented(s, err));
    LAY_TRY(read_dim(s, "vocab_size", &c->vocab_size, err));
    LAY_TRY(encoder_families[family].read(s, c, err));
    if (c->num_attention_heads > DIM_MAX / c->head_dim)
        return lay_fail(err, LAY_ERR_INPUT, "%s: attention heads × head size is absurdly large", s->where);
    LAY_TRY(read_id(s, "pad_token_id", &c->pad_id, err));
    LAY_TRY(read_id(s, "eos_token_id", &c->eos_id, err));
    if (c->pad_id < 0 || c->pad_id >= c->vocab_size)
        return lay_fail(err, LAY_ERR_INPUT, "%s: pad_token_id %d is outside the vocabulary", s->where,
                        c->pad_id);
    return LAY_OK;
}

enum lay_status lay_encoder_config_read(const char *dir, struct lay_encoder_config *config,
                                        struct lay_err *err)
{
    struct source s;
    LAY_TRY(source_open(dir, "config.json", &s, err));
    const enum lay_status status = read_encoder(&s, config, err);
    source_close(&s);
    return status;
}

#include "engine/model/config_read.h"

#include "engine/base/file.h"
#include "engine/base/mem.h"

#include <math.h>
#include <string.h>

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

static enum lay_status read_llama3(const struct lay_config_source *rope, struct lay_llm_config *c,
                                   struct lay_err *err)
{
    LAY_TRY(lay_json_get_double(rope->root, rope->where, "low_freq_factor", &c->rope_low_freq_factor, err));
    LAY_TRY(lay_json_get_double(rope->root, rope->where, "high_freq_factor", &c->rope_high_freq_factor, err));
    LAY_TRY(lay_config_positive(rope->where, "low_freq_factor", c->rope_low_freq_factor, err));
    LAY_TRY(lay_config_positive(rope->where, "high_freq_factor", c->rope_high_freq_factor, err));
    if (c->rope_high_freq_factor <= c->rope_low_freq_factor)
        return lay_fail(err, LAY_ERR_INPUT, "%s: rope_scaling: high_freq_factor must exceed low_freq_factor",
                        rope->where);
    return lay_config_dim(rope, "original_max_position_embeddings", &c->rope_original_max_position, err);
}

static enum lay_status read_rope_scaling(const struct lay_config_source *rope, struct lay_llm_config *c,
                                         struct lay_err *err)
{
    const char *type = "default";
    LAY_TRY(lay_json_get_double(rope->root, rope->where, "rope_theta", &c->rope_theta, err));
    LAY_TRY(lay_json_get_string(rope->root, rope->where, "type", &type, err));
    LAY_TRY(lay_json_get_string(rope->root, rope->where, "rope_type", &type, err));
    if (strcmp(type, "default") == 0)
        return LAY_OK;
    if (strcmp(type, "linear") != 0 && strcmp(type, "llama3") != 0)
        return lay_fail(err, LAY_ERR_INPUT,
                        "%s: rope_scaling \"%s\" is not implemented; implemented are linear and llama3",
                        rope->where, type);
    strcpy(c->rope_scaling, type);
    LAY_TRY(lay_json_get_double(rope->root, rope->where, "factor", &c->rope_factor, err));
    LAY_TRY(lay_config_positive(rope->where, "rope_scaling.factor", c->rope_factor, err));
    return strcmp(type, "llama3") == 0 ? read_llama3(rope, c, err) : LAY_OK;
}

/* transformers 5 moved rope_theta and the scaling into rope_parameters. */
static enum lay_status read_rope(const struct lay_config_source *s, struct lay_llm_config *c,
                                 struct lay_err *err)
{
    static const char *const keys[] = {"rope_scaling", "rope_parameters"};
    LAY_TRY(lay_json_get_double(s->root, s->where, "rope_theta", &c->rope_theta, err));
    for (int i = 0; i < 2; i++) {
        const struct lay_config_source rope = {cJSON_GetObjectItemCaseSensitive(s->root, keys[i]), s->where};
        if (!rope.root || cJSON_IsNull(rope.root))
            continue;
        if (!cJSON_IsObject(rope.root))
            return lay_fail(err, LAY_ERR_INPUT, "%s: \"%s\" must be an object", s->where, keys[i]);
        LAY_TRY(read_rope_scaling(&rope, c, err));
    }
    return lay_config_positive(s->where, "rope_theta", c->rope_theta, err);
}

static enum lay_status read_heads(const struct lay_config_source *s, struct lay_llm_config *c,
                                  struct lay_err *err)
{
    LAY_TRY(lay_config_dim(s, "num_attention_heads", &c->num_attention_heads, err));
    if (c->num_key_value_heads == 0)
        c->num_key_value_heads = c->num_attention_heads;
    LAY_TRY(lay_config_dim(s, "num_key_value_heads", &c->num_key_value_heads, err));
    if (c->num_attention_heads % c->num_key_value_heads)
        return lay_fail(err, LAY_ERR_INPUT,
                        "%s: num_attention_heads %lld is not a multiple of num_key_value_heads %lld",
                        s->where, (long long)c->num_attention_heads, (long long)c->num_key_value_heads);
    int64_t head_dim = 0;
    LAY_TRY(lay_config_int(s, "head_dim", 0, 65536, &head_dim, err));
    if (head_dim == 0 && c->hidden_size % c->num_attention_heads)
        return lay_fail(err, LAY_ERR_INPUT,
                        "%s: hidden_size %lld is not a multiple of num_attention_heads %lld", s->where,
                        (long long)c->hidden_size, (long long)c->num_attention_heads);
    c->head_dim = head_dim ? head_dim : c->hidden_size / c->num_attention_heads;
    if (c->head_dim % 2)
        return lay_fail(err, LAY_ERR_INPUT, "%s: head_dim %lld is odd; rotary embeddings need pairs",
                        s->where, (long long)c->head_dim);
    if (c->head_dim > LAY_MAX_HEAD_DIM)
        return lay_fail(err, LAY_ERR_INPUT, "%s: heads of %lld are not supported, at most %d", s->where,
                        (long long)c->head_dim, LAY_MAX_HEAD_DIM);
    if (c->num_attention_heads > LAY_CONFIG_DIM_MAX / c->head_dim)
        return lay_fail(err, LAY_ERR_INPUT, "%s: num_attention_heads × head_dim is absurdly large", s->where);
    return LAY_OK;
}

/* Mistral: a missing key means transformers' default, null means no window. */
static enum lay_status read_window(const struct lay_config_source *s, struct lay_llm_config *c,
                                   struct lay_err *err)
{
    if (strcmp(c->model_type, "mistral") != 0)
        return LAY_OK;
    if (cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(s->root, "sliding_window")))
        c->sliding_window = 0;
    return lay_config_int(s, "sliding_window", 0, LAY_CONFIG_DIM_MAX, &c->sliding_window, err);
}

static enum lay_status read_biases(const struct lay_config_source *s, struct lay_llm_config *c,
                                   struct lay_err *err)
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
static enum lay_status read_eos(const struct lay_config_source *s, struct lay_llm_config *c,
                                struct lay_err *err)
{
    const cJSON *eos = cJSON_GetObjectItemCaseSensitive(s->root, "eos_token_id");
    if (!eos || cJSON_IsNull(eos))
        return LAY_OK;
    const cJSON *item = cJSON_IsArray(eos) ? eos->child : eos;
    c->n_eos = 0;
    for (; item; item = cJSON_IsArray(eos) ? item->next : NULL) {
        const double id = cJSON_IsNumber(item) ? item->valuedouble : -1;
        if (id < 0 || id > LAY_CONFIG_DIM_MAX || id != floor(id))
            return lay_fail(err, LAY_ERR_INPUT, "%s: \"eos_token_id\" must be a token id or a list of them",
                            s->where);
        if (c->n_eos == (int)(sizeof c->eos_ids / sizeof *c->eos_ids))
            return lay_fail(err, LAY_ERR_INPUT, "%s: \"eos_token_id\" has more than %d ids", s->where,
                            c->n_eos);
        c->eos_ids[c->n_eos++] = (int32_t)id;
    }
    return LAY_OK;
}

static enum lay_status read_special_ids(const struct lay_config_source *s, struct lay_llm_config *c,
                                        struct lay_err *err)
{
    LAY_TRY(read_eos(s, c, err));
    LAY_TRY(lay_config_id(s, "bos_token_id", &c->bos_id, err));
    return lay_config_id(s, "pad_token_id", &c->pad_id, err);
}

/* generation_config.json is what generate() obeys, so it has the last word on the special ids. */
static enum lay_status read_generation_config(const char *dir, struct lay_llm_config *c, struct lay_err *err)
{
    struct lay_config_source s;
    char *path = lay_path_join(dir, "generation_config.json");
    if (!path)
        return lay_no_memory(err, "a path");
    const bool exists = lay_path_exists(path);
    lay_free(path);
    if (!exists)
        return LAY_OK;
    LAY_TRY(lay_config_open(dir, "generation_config.json", &s, err));
    const enum lay_status status = read_special_ids(&s, c, err);
    lay_config_close(&s);
    return status;
}

static enum lay_status read_llm(const struct lay_config_source *s, struct lay_llm_config *c,
                                struct lay_err *err)
{
    const char *type;
    LAY_TRY(lay_config_model_type(s, &type, err));
    *c = (struct lay_llm_config){0};
    for (size_t i = 0; i < sizeof llm_defaults / sizeof *llm_defaults; i++)
        if (strcmp(llm_defaults[i].model_type, type) == 0)
            *c = llm_defaults[i];
    if (!c->model_type[0])
        return lay_config_unknown_type(s, type, "an LLM", "llama, mistral, qwen2", err);
    LAY_TRY(lay_config_refuse_unimplemented(s, err));
    LAY_TRY(lay_config_dim(s, "vocab_size", &c->vocab_size, err));
    LAY_TRY(lay_config_dim(s, "hidden_size", &c->hidden_size, err));
    LAY_TRY(lay_config_dim(s, "intermediate_size", &c->intermediate_size, err));
    LAY_TRY(lay_config_int(s, "num_hidden_layers", 1, LAY_CONFIG_LAYERS_MAX, &c->num_hidden_layers, err));
    LAY_TRY(lay_config_dim(s, "max_position_embeddings", &c->max_position_embeddings, err));
    LAY_TRY(read_heads(s, c, err));
    LAY_TRY(read_window(s, c, err));
    LAY_TRY(read_biases(s, c, err));
    LAY_TRY(lay_config_epsilon(s, "rms_norm_eps", &c->rms_norm_eps, err));
    LAY_TRY(read_rope(s, c, err));
    LAY_TRY(lay_json_get_bool(s->root, s->where, "tie_word_embeddings", &c->tie_word_embeddings, err));
    enum lay_activation activation;
    LAY_TRY(lay_config_activation(s, "hidden_act", "silu", &activation, err));
    if (activation != LAY_SILU)
        return lay_fail(err, LAY_ERR_INPUT,
                        "%s: \"hidden_act\" must be silu; other gated feed-forwards are not "
                        "implemented for LLMs",
                        s->where);
    return read_special_ids(s, c, err);
}

enum lay_status lay_llm_config_read(const char *dir, struct lay_llm_config *config, struct lay_err *err)
{
    struct lay_config_source s;
    LAY_TRY(lay_config_open(dir, "config.json", &s, err));
    enum lay_status status = read_llm(&s, config, err);
    if (status == LAY_OK)
        status = read_generation_config(dir, config, err);
    lay_config_close(&s);
    return status;
}

enum lay_status lay_llm_config_parse(const char *where, const char *text, size_t length,
                                     struct lay_llm_config *config, struct lay_err *err)
{
    struct lay_config_source s = {.where = (char *)(uintptr_t)where};
    enum lay_status status = lay_json_parse(where, text, length, &s.root, err);
    if (status == LAY_OK)
        status = read_llm(&s, config, err);
    cJSON_Delete(s.root);
    return status;
}

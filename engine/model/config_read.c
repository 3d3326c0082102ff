#include "engine/model/config_read.h"

#include "engine/base/file.h"
#include "engine/base/mem.h"

#include <math.h>
#include <string.h>

void lay_config_close(struct lay_config_source *source)
{
    cJSON_Delete(source->root);
    lay_free(source->where);
}

enum lay_status lay_config_open(const char *dir, const char *name, struct lay_config_source *source,
                                struct lay_err *err)
{
    *source = (struct lay_config_source){.where = lay_path_join(dir, name)};
    if (!source->where)
        return lay_no_memory(err, "a path");
    enum lay_status status = lay_json_read(source->where, &source->root, err);
    if (status == LAY_OK && !cJSON_IsObject(source->root))
        status = lay_fail(err, LAY_ERR_INPUT, "%s: must be a JSON object", source->where);
    if (status != LAY_OK)
        lay_config_close(source);
    return status;
}

/* --- typed keys --- */

enum lay_status lay_config_int(const struct lay_config_source *s, const char *key, int64_t min, int64_t max,
                               int64_t *value, struct lay_err *err)
{
    LAY_TRY(lay_json_get_int(s->root, s->where, key, value, err));
    if (*value < min || *value > max)
        return lay_fail(err, LAY_ERR_INPUT, "%s: \"%s\" is %lld, outside %lld to %lld", s->where, key,
                        (long long)*value, (long long)min, (long long)max);
    return LAY_OK;
}

enum lay_status lay_config_dim(const struct lay_config_source *s, const char *key, int64_t *value,
                               struct lay_err *err)
{
    return lay_config_int(s, key, 1, LAY_CONFIG_DIM_MAX, value, err);
}

enum lay_status lay_config_id(const struct lay_config_source *s, const char *key, int32_t *id,
                              struct lay_err *err)
{
    int64_t value = *id;
    LAY_TRY(lay_config_int(s, key, -1, LAY_CONFIG_DIM_MAX, &value, err));
    *id = (int32_t)value;
    return LAY_OK;
}

enum lay_status lay_config_positive(const char *where, const char *key, double value, struct lay_err *err)
{
    if (!(value > 0) || !isfinite(value))
        return lay_fail(err, LAY_ERR_INPUT, "%s: \"%s\" must be a lay_config_positive number", where, key);
    return LAY_OK;
}

enum lay_status lay_config_epsilon(const struct lay_config_source *s, const char *key, float *eps,
                                   struct lay_err *err)
{
    double value = *eps;
    LAY_TRY(lay_json_get_double(s->root, s->where, key, &value, err));
    LAY_TRY(lay_config_positive(s->where, key, value, err));
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

enum lay_status lay_config_activation_by_name(const struct lay_config_source *s, const char *key,
                                              const char *name, enum lay_activation *activation,
                                              struct lay_err *err)
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

enum lay_status lay_config_activation(const struct lay_config_source *s, const char *key, const char *missing,
                                      enum lay_activation *activation, struct lay_err *err)
{
    const char *name = missing;
    LAY_TRY(lay_json_get_string(s->root, s->where, key, &name, err));
    return lay_config_activation_by_name(s, key, name, activation, err);
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

enum lay_status lay_config_refuse_unimplemented(const struct lay_config_source *s, struct lay_err *err)
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

enum lay_status lay_config_model_type(const struct lay_config_source *s, const char **type,
                                      struct lay_err *err)
{
    *type = NULL;
    LAY_TRY(lay_json_get_string(s->root, s->where, "model_type", type, err));
    return *type ? LAY_OK : lay_json_missing(s->where, "model_type", err);
}

enum lay_status lay_config_unknown_type(const struct lay_config_source *s, const char *type, const char *what,
                                        const char *known, struct lay_err *err)
{
    return lay_fail(err, LAY_ERR_INPUT, "%s: model_type \"%s\" is not implemented as %s; implemented are %s",
                    s->where, type, what, known);
}

/* What a system is, for manifests. */
#include "engine/system_state.h"

static cJSON *describe_llm(const struct lay_system *s)
{
    const struct lay_llm_config *c = &s->llm_config;
    cJSON *llm = cJSON_CreateObject();
    cJSON_AddStringToObject(llm, "model_type", c->model_type);
    cJSON_AddNumberToObject(llm, "vocab_size", (double)c->vocab_size);
    cJSON_AddNumberToObject(llm, "hidden_size", (double)c->hidden_size);
    cJSON_AddNumberToObject(llm, "num_hidden_layers", (double)c->num_hidden_layers);
    cJSON_AddNumberToObject(llm, "rope_theta", c->rope_theta);
    cJSON_AddStringToObject(llm, "rope_scaling", c->rope_scaling);
    cJSON_AddNumberToObject(llm, "bos_id", c->bos_id);
    lay_json_add(llm, "eos_ids", cJSON_CreateIntArray(c->eos_ids, c->n_eos));
    cJSON_AddStringToObject(llm, "tokenizer_hash", lay_tokenizer_hash(s->llm_tokenizer));
    return llm;
}

static cJSON *describe_encoder(const struct lay_system *s)
{
    const struct lay_encoder_config *c = &s->encoder_config;
    cJSON *encoder = cJSON_CreateObject();
    cJSON_AddStringToObject(encoder, "model_type", c->model_type);
    cJSON_AddNumberToObject(encoder, "vocab_size", (double)c->vocab_size);
    cJSON_AddNumberToObject(encoder, "hidden_size", (double)c->hidden_size);
    cJSON_AddNumberToObject(encoder, "num_hidden_layers", (double)c->num_hidden_layers);
    cJSON_AddStringToObject(encoder, "tokenizer_hash", lay_tokenizer_hash(s->encoder_tokenizer));
    return encoder;
}

static cJSON *layer_list(const int64_t *layers, int64_t count)
{
    if (count < 0)
        return cJSON_CreateString("all in the checkpoint");
    cJSON *list = cJSON_CreateArray();
    for (int64_t i = 0; i < count; i++)
        lay_json_add(list, NULL, cJSON_CreateNumber((double)layers[i]));
    return list;
}

static cJSON *describe_bridge(const struct lay_system *s)
{
    const struct lay_bridge_options *b = &s->file.bridge;
    cJSON *bridge = cJSON_CreateObject();
    if (b->method == LAY_LAYALIGN) {
        lay_json_add(bridge, "encoder_layers", layer_list(b->encoder_layers, b->n_encoder_layers));
        lay_json_add(bridge, "language_layers", layer_list(b->language_layers, b->n_language_layers));
        cJSON_AddBoolToObject(bridge, "adapter_attention", !b->no_adapter);
        for (int key = 0; key < LAY_FORM_KEYS; key++)
            cJSON_AddStringToObject(bridge, lay_form_key(key), lay_form_name(&b->form, key));
    }
    cJSON_AddBoolToObject(bridge, "soft_prompt", s->file.soft_prompt);
    cJSON_AddBoolToObject(bridge, "text_prompt", s->file.text_prompt);
    return bridge;
}

static cJSON *describe_quantised(const struct lay_system *s)
{
    struct lay_str kept = {0};
    cJSON *quantised = cJSON_CreateObject();
    lay_precision_put_keep(&kept, s->precision.keep);
    cJSON_AddStringToObject(quantised, "weights", "int8 per output channel, symmetric");
    cJSON_AddStringToObject(quantised, "activations", "int8 per row, symmetric, as they come");
    cJSON_AddStringToObject(quantised, "kept_in_bf16", lay_str_text(&kept));
    cJSON_AddStringToObject(quantised, "products", lay_dnn_int8_support());
    lay_str_free(&kept);
    return quantised;
}

/* One fingerprint over those of encoder, bridge and LLM, in this order. */
static void fingerprint(const struct lay_system *s, char hex[LAY_HASH_HEX])
{
    struct lay_hash hashes[LAY_PART_KINDS] = {{0, 0}};
    for (int i = 0; i < LAY_PART_KINDS; i++)
        if (s->weights[i])
            hashes[i] = lay_weights_fingerprint(s->weights[i]);
    lay_hash_hex(lay_hash_bytes(hashes, sizeof hashes), hex);
}

/* cJSON drops what it cannot allocate, so a description is complete only if all its members are there. */
static bool has_members(const cJSON *object, int count)
{
    return object && cJSON_GetArraySize(object) == count;
}

cJSON *lay_system_describe(const struct lay_system *s)
{
    cJSON *description = cJSON_CreateObject();
    cJSON_AddStringToObject(description, "name", s->file.name);
    cJSON_AddStringToObject(description, "method", lay_system_method(s));
    lay_json_add(description, "llm", describe_llm(s));
    if (!lay_system_is_plain(s)) {
        lay_json_add(description, "encoder", describe_encoder(s));
        lay_json_add(description, "bridge", describe_bridge(s));
    }
    const bool int8 = s->precision.dtype == LAY_I8;
    if (int8)
        lay_json_add(description, "quantised", describe_quantised(s));
    if (s->models.llm) {
        char hex[LAY_HASH_HEX];
        fingerprint(s, hex);
        cJSON_AddStringToObject(description, "weights_fingerprint", hex);
    }
    const bool layalign = s->file.bridge.method == LAY_LAYALIGN;
    const bool complete =
        has_members(description, (lay_system_is_plain(s) ? 3 : 5) + int8 + (s->models.llm != NULL)) &&
        (!int8 || has_members(cJSON_GetObjectItemCaseSensitive(description, "quantised"), 4)) &&
        has_members(cJSON_GetObjectItemCaseSensitive(description, "llm"), 9) &&
        (lay_system_is_plain(s) ||
         (has_members(cJSON_GetObjectItemCaseSensitive(description, "encoder"), 5) &&
          has_members(cJSON_GetObjectItemCaseSensitive(description, "bridge"),
                      layalign ? 5 + LAY_FORM_KEYS : 2)));
    if (!complete) {
        cJSON_Delete(description);
        return NULL;
    }
    return description;
}

#include "engine/system_file.h"

#include "engine/base/file.h"
#include "engine/base/mem.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

void lay_system_file_free(struct lay_system_file *file)
{
    lay_free(file->name);
    lay_free(file->llm_path);
    lay_free(file->llm_tokenizer);
    lay_free(file->encoder_path);
    lay_free(file->encoder_tokenizer);
    lay_free(file->bridge_path);
    lay_free(file->prompt_set);
    *file = (struct lay_system_file){0};
}

/* The name becomes a directory and a column in tables. */
static bool is_plain_name(const char *name)
{
    if (!*name || name[0] == '.' || strlen(name) > 100)
        return false;
    for (; *name; name++)
        if (!isalnum((unsigned char)*name) && !strchr("._-+", *name))
            return false;
    return true;
}

static enum lay_status copy_string(const cJSON *object, const char *where, const char *key,
                                   const char *fallback, char **out, struct lay_err *err)
{
    const char *text = fallback;
    LAY_TRY(lay_json_get_string(object, where, key, &text, err));
    if (!text)
        return lay_json_missing(where, key, err);
    *out = lay_strdup(text);
    return *out ? LAY_OK : lay_no_memory(err, "a system file");
}

/* {"path", "tokenizer"?}; both joined with the directory of the system file. */
static enum lay_status read_model(const cJSON *root, const char *where, const char *key, const char *dir,
                                  char **path, char **tokenizer, struct lay_err *err)
{
    static const char *const keys[] = {"path", "tokenizer", NULL};
    const cJSON *object = cJSON_GetObjectItemCaseSensitive(root, key);
    const char *given = NULL, *given_tokenizer = NULL;
    if (!object)
        return lay_json_missing(where, key, err);
    if (!cJSON_IsObject(object))
        return lay_fail(err, LAY_ERR_INPUT, "%s: \"%s\" must be an object with \"path\"", where, key);
    if (cJSON_GetObjectItemCaseSensitive(object, "lora"))
        return lay_fail(err, LAY_ERR_INPUT,
                        "%s: \"%s\": LoRA weights are not supported yet; merge them into the model first",
                        where, key);
    LAY_TRY(lay_json_only_keys(object, where, keys, err));
    LAY_TRY(lay_json_get_string(object, where, "path", &given, err));
    LAY_TRY(lay_json_get_string(object, where, "tokenizer", &given_tokenizer, err));
    if (!given)
        return lay_fail(err, LAY_ERR_INPUT, "%s: \"%s\" needs a \"path\"", where, key);
    *path = lay_path_join(dir, given);
    *tokenizer = lay_path_join(dir, given_tokenizer ? given_tokenizer : given);
    return *path && *tokenizer ? LAY_OK : lay_no_memory(err, "a system file");
}

static enum lay_status read_layers(const cJSON *object, const char *where, const char *key, int64_t *layers,
                                   int64_t *count, struct lay_err *err)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(object, key);
    *count = -1;
    if (!list || cJSON_IsNull(list))
        return LAY_OK;
    const int n = cJSON_IsArray(list) ? cJSON_GetArraySize(list) : 0;
    if (n < 1 || n > LAY_BRIDGE_MAX_LAYERS)
        return lay_fail(err, LAY_ERR_INPUT, "%s: \"%s\" must be a list of 1 to %d layer numbers", where, key,
                        LAY_BRIDGE_MAX_LAYERS);
    *count = 0;
    for (const cJSON *item = list->child; item; item = item->next) {
        const double number = cJSON_IsNumber(item) ? item->valuedouble : -1;
        if (number < 0 || number > 10000 || number != (double)(int64_t)number)
            return lay_fail(err, LAY_ERR_INPUT, "%s: \"%s\" must hold whole layer numbers from 0", where,
                            key);
        for (int64_t i = 0; i < *count; i++)
            if (layers[i] == (int64_t)number)
                return lay_fail(err, LAY_ERR_INPUT, "%s: \"%s\" names layer %lld twice", where, key,
                                (long long)number);
        layers[(*count)++] = (int64_t)number;
    }
    return LAY_OK;
}

static enum lay_status read_bridge(const cJSON *root, const char *where, const char *dir,
                                   struct lay_system_file *file, struct lay_err *err)
{
    static const char *const keys[] = {
        "path", "encoder_layers", "language_layers", "structure", "fusion", "gate", NULL};
    struct lay_bridge_options *options = &file->bridge;
    const cJSON *object = cJSON_GetObjectItemCaseSensitive(root, "bridge");
    const char *path = NULL;
    if (!object)
        return lay_json_missing(where, "bridge", err);
    if (!cJSON_IsObject(object))
        return lay_fail(err, LAY_ERR_INPUT, "%s: \"bridge\" must be an object with \"path\"", where);
    LAY_TRY(lay_json_only_keys(object, where, keys, err));
    LAY_TRY(lay_json_get_string(object, where, "path", &path, err));
    if (!path)
        return lay_fail(err, LAY_ERR_INPUT, "%s: \"bridge\" needs a \"path\"", where);
    for (int i = 1; keys[i] && options->method != LAY_LAYALIGN; i++)
        if (cJSON_GetObjectItemCaseSensitive(object, keys[i]))
            return lay_fail(err, LAY_ERR_INPUT, "%s: \"%s\" belongs to method \"layalign\" only", where,
                            keys[i]);
    LAY_TRY(lay_form_read(object, where, &options->form, err));
    LAY_TRY(read_layers(object, where, "encoder_layers", options->encoder_layers, &options->n_encoder_layers,
                        err));
    LAY_TRY(read_layers(object, where, "language_layers", options->language_layers,
                        &options->n_language_layers, err));
    file->bridge_path = lay_path_join(dir, path);
    return file->bridge_path ? LAY_OK : lay_no_memory(err, "a system file");
}

static enum lay_status read_switches(const cJSON *root, const char *where, struct lay_system_file *file,
                                     struct lay_err *err)
{
    bool adapter = true;
    const char *dtype = NULL, *keep = NULL;
    file->soft_prompt = file->text_prompt = true;
    LAY_TRY(lay_json_get_bool(root, where, "soft_prompt", &file->soft_prompt, err));
    LAY_TRY(lay_json_get_bool(root, where, "text_prompt", &file->text_prompt, err));
    LAY_TRY(lay_json_get_bool(root, where, "adapter_attention", &adapter, err));
    LAY_TRY(lay_json_get_int(root, where, "max_new_tokens", &file->max_new_tokens, err));
    LAY_TRY(lay_json_get_string(root, where, "dtype", &dtype, err));
    file->bridge.no_adapter = !adapter;
    if (file->max_new_tokens < 0 || file->max_new_tokens > 1000000)
        return lay_fail(err, LAY_ERR_INPUT, "%s: \"max_new_tokens\" must be between 1 and 1000000", where);
    file->dtype = dtype ? lay_precision_dtype(dtype) : LAY_DTYPE_COUNT;
    if (dtype && file->dtype == LAY_DTYPE_COUNT)
        return lay_fail(err, LAY_ERR_INPUT,
                        "%s: \"dtype\" is \"%s\"; it can be \"f32\", \"bf16\" or \"int8\"", where, dtype);
    LAY_TRY(lay_json_get_string(root, where, "keep_bf16", &keep, err));
    if (lay_precision_parse_keep(keep, &file->keep_bf16, err) != LAY_OK)
        return lay_err_context(err, LAY_ERR_INPUT, "%s: \"keep_bf16\"", where);
    if (file->bridge.method == LAY_PLAIN && (!file->soft_prompt || !file->text_prompt || !adapter))
        return lay_fail(err, LAY_ERR_INPUT,
                        "%s: a plain system has nothing but its text prompt to switch off", where);
    return LAY_OK;
}

static enum lay_status read_root(const cJSON *root, const char *where, const char *dir,
                                 struct lay_system_file *file, struct lay_err *err)
{
    static const char *const keys[] = {"name",
                                       "method",
                                       "llm",
                                       "encoder",
                                       "bridge",
                                       "prompt_set",
                                       "max_new_tokens",
                                       "dtype",
                                       "keep_bf16",
                                       "soft_prompt",
                                       "text_prompt",
                                       "adapter_attention",
                                       NULL};
    const char *method = NULL;
    if (!cJSON_IsObject(root))
        return lay_fail(err, LAY_ERR_INPUT, "%s: must hold one JSON object", where);
    LAY_TRY(lay_json_only_keys(root, where, keys, err));
    LAY_TRY(copy_string(root, where, "name", NULL, &file->name, err));
    if (!is_plain_name(file->name))
        return lay_fail(err, LAY_ERR_INPUT,
                        "%s: \"name\" is \"%s\"; use letters, digits and . _ - + (it names a directory)",
                        where, file->name);
    LAY_TRY(copy_string(root, where, "prompt_set", "", &file->prompt_set, err));
    LAY_TRY(lay_json_get_string(root, where, "method", &method, err));
    if (!method)
        return lay_json_missing(where, "method", err);
    LAY_TRY(lay_method_by_name(method, where, &file->bridge.method, err));
    LAY_TRY(read_switches(root, where, file, err));
    LAY_TRY(read_model(root, where, "llm", dir, &file->llm_path, &file->llm_tokenizer, err));
    if (file->bridge.method == LAY_PLAIN) {
        if (cJSON_GetObjectItemCaseSensitive(root, "encoder") ||
            cJSON_GetObjectItemCaseSensitive(root, "bridge"))
            return lay_fail(
                err, LAY_ERR_INPUT,
                "%s: a plain system has no \"encoder\" and no \"bridge\"; remove them or change \"method\"",
                where);
        return LAY_OK;
    }
    LAY_TRY(read_model(root, where, "encoder", dir, &file->encoder_path, &file->encoder_tokenizer, err));
    return read_bridge(root, where, dir, file, err);
}

enum lay_status lay_system_file_read(const char *path, struct lay_system_file *file, struct lay_err *err)
{
    cJSON *root;
    *file = (struct lay_system_file){0};
    LAY_TRY(lay_json_read(path, &root, err));
    char *dir = lay_path_dirname(path);
    const enum lay_status status =
        dir ? read_root(root, path, dir, file, err) : lay_no_memory(err, "a system file");
    if (status != LAY_OK)
        lay_system_file_free(file);
    lay_free(dir);
    cJSON_Delete(root);
    return status;
}

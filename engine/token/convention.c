#include "engine/token/convention.h"

#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/base/mem.h"
#include "engine/token/json_member.h"

#include <stdlib.h>
#include <string.h>

static const char *const role_keys[LAY_ROLE_COUNT] = {
    [LAY_ROLE_BOS] = "bos_token",   [LAY_ROLE_EOS] = "eos_token", [LAY_ROLE_UNK] = "unk_token",
    [LAY_ROLE_SEP] = "sep_token",   [LAY_ROLE_PAD] = "pad_token", [LAY_ROLE_CLS] = "cls_token",
    [LAY_ROLE_MASK] = "mask_token",
};

/* What the tokenizer classes of transformers have as defaults. */
static const struct {
    const char *name;
    const struct lay_pipeline *pipeline;
    const char *roles[LAY_ROLE_COUNT];
} conventions[LAY_CONVENTION_COUNT] = {
    [LAY_LLAMA] = {"llama", &lay_pipeline_llama, {"<s>", "</s>", "<unk>"}},
    [LAY_T5] = {"t5", &lay_pipeline_spm, {NULL, "</s>", "<unk>", NULL, "<pad>"}},
    [LAY_XLM_R] = {"xlm-r", &lay_pipeline_spm, {"<s>", "</s>", "<unk>", "</s>", "<pad>", "<s>", "<mask>"}},
    [LAY_NLLB] = {"nllb", &lay_pipeline_spm, {"<s>", "</s>", "<unk>", "</s>", "<pad>", "<s>", "<mask>"}},
};

const char *lay_convention_name(enum lay_convention convention)
{
    return conventions[convention].name;
}

/* By tokenizer class without "Tokenizer" and "TokenizerFast", by model_type, by the model file's name. */
static const struct {
    const char *class, *model_type, *file;
    enum lay_convention convention;
} recognised[] = {
    {"Llama", "llama", "tokenizer.model", LAY_LLAMA},
    {NULL, "mistral", NULL, LAY_LLAMA},
    {"T5", "t5", "spiece.model", LAY_T5},
    {"MT5", "mt5", NULL, LAY_T5},
    {"UMT5", "umt5", NULL, LAY_T5},
    {"XLMRoberta", "xlm-roberta", "sentencepiece.bpe.model", LAY_XLM_R},
    {"Nllb", "m2m_100", NULL, LAY_NLLB},
    {NULL, "nllb-moe", NULL, LAY_NLLB},
};
enum { N_RECOGNISED = sizeof recognised / sizeof *recognised };

/* Classes that say nothing of the convention. */
static bool is_generic_class(const char *class)
{
    return strcmp(class, "PreTrainedTokenizerFast") == 0 || strcmp(class, "PreTrainedTokenizer") == 0;
}

static bool same_class(const char *class, const char *given)
{
    const size_t n = class ? strlen(class) : 0;
    if (n == 0 || strncmp(class, given, n) != 0)
        return false;
    return strcmp(given + n, "Tokenizer") == 0 || strcmp(given + n, "TokenizerFast") == 0;
}

static enum lay_status choose(const char *dir, const char *class, const char *model_type,
                              const char *model_file, struct lay_token_config *config, struct lay_err *err)
{
    for (int i = 0; class && i < N_RECOGNISED; i++)
        if (same_class(recognised[i].class, class)) {
            config->convention = recognised[i].convention;
            return LAY_OK;
        }
    if (class && !is_generic_class(class))
        return lay_fail(
            err, LAY_ERR_INPUT,
            "%s: tokenizer_class \"%s\" is not implemented; known are Llama, T5, MT5, XLMRoberta and "
            "Nllb tokenizers over SentencePiece",
            dir, class);
    for (int i = 0; model_type && i < N_RECOGNISED; i++)
        if (strcmp(recognised[i].model_type, model_type) == 0) {
            config->convention = recognised[i].convention;
            return LAY_OK;
        }
    if (model_type)
        return lay_fail(err, LAY_ERR_INPUT,
                        "%s: no tokenizer convention is known for model_type \"%s\"; name one by "
                        "\"tokenizer_class\" in tokenizer_config.json (LlamaTokenizer, T5Tokenizer, …)",
                        dir, model_type);
    for (int i = 0; i < N_RECOGNISED; i++)
        if (recognised[i].file && strcmp(recognised[i].file, model_file) == 0) {
            config->convention = recognised[i].convention;
            return LAY_OK;
        }
    return lay_fail(
        err, LAY_ERR_INPUT,
        "%s/%s: neither tokenizer_config.json nor config.json says which conventions hold for this "
        "SentencePiece model; add {\"tokenizer_class\": \"LlamaTokenizer\"} or another",
        dir, model_file);
}

/* --- declared tokens --- */

static bool is_declared(const struct lay_token_config *config, const char *content)
{
    for (size_t i = 0; i < config->n_tokens; i++)
        if (strcmp(config->tokens[i].content, content) == 0)
            return true;
    return false;
}

enum lay_status lay_token_config_declare(struct lay_token_config *config, const char *content, int64_t id,
                                         struct lay_added_flags flags, bool optional, struct lay_err *err)
{
    if (content[0] == 0 || is_declared(config, content))
        return LAY_OK;
    if (config->n_tokens == LAY_ADDED_TOKENS_MAX)
        return lay_fail(err, LAY_ERR_INPUT, "more than %d added tokens", LAY_ADDED_TOKENS_MAX);
    if (!lay_grow((void **)&config->tokens, &config->capacity, config->n_tokens + 1, sizeof *config->tokens))
        return lay_no_memory(err, "the added tokens");
    char *copy = lay_strdup(content);
    if (!copy)
        return lay_no_memory(err, "the added tokens");
    config->tokens[config->n_tokens++] =
        (struct lay_declared_token){.content = copy, .id = id, .flags = flags, .optional = optional};
    return LAY_OK;
}

/* {"content": …, "lstrip": …, "rstrip": …, "normalized": …, "single_word": …, "special": …, "id": …} */
static enum lay_status read_token(const char *where, const cJSON *node, const char **content, int64_t *id,
                                  struct lay_added_flags *flags, struct lay_err *err)
{
    LAY_TRY(lay_json_get_string(node, where, "content", content, err));
    LAY_TRY(lay_json_get_int(node, where, "id", id, err));
    LAY_TRY(lay_json_get_bool(node, where, "lstrip", &flags->left_strip, err));
    LAY_TRY(lay_json_get_bool(node, where, "rstrip", &flags->right_strip, err));
    LAY_TRY(lay_json_get_bool(node, where, "single_word", &flags->single_word, err));
    LAY_TRY(lay_json_get_bool(node, where, "special", &flags->special, err));
    flags->normalized = !flags->special;
    LAY_TRY(lay_json_get_bool(node, where, "normalized", &flags->normalized, err));
    return *content ? LAY_OK : lay_json_missing(where, "content", err);
}

/* A special token as a string or as an object; *content borrows from the tree, NULL for null. */
static enum lay_status read_special(const char *where, const char *key, const cJSON *node,
                                    struct lay_token_config *config, const char **content,
                                    struct lay_err *err)
{
    struct lay_added_flags flags = {.special = true};
    int64_t id = -1;
    *content = NULL;
    if (cJSON_IsString(node))
        *content = node->valuestring;
    else if (cJSON_IsObject(node))
        LAY_TRY(read_token(where, node, content, &id, &flags, err));
    else if (node && !cJSON_IsNull(node))
        return lay_fail(err, LAY_ERR_INPUT, "%s: \"%s\" must be a string or an object", where, key);
    if (!*content)
        return LAY_OK;
    flags.special = true;
    return lay_token_config_declare(config, *content, -1, flags, false, err);
}

/* tokenizer_config.json and special_tokens_map.json name special tokens alike. */
static enum lay_status read_specials(const char *where, const cJSON *root, struct lay_token_config *config,
                                     struct lay_err *err)
{
    const char *content;
    for (int role = 0; role < LAY_ROLE_COUNT; role++) {
        const cJSON *node = cJSON_GetObjectItemCaseSensitive(root, role_keys[role]);
        LAY_TRY(read_special(where, role_keys[role], node, config, &content, err));
        if (!content || config->roles[role])
            continue;
        config->roles[role] = lay_strdup(content);
        if (!config->roles[role])
            return lay_no_memory(err, where);
    }
    const char *key = "additional_special_tokens";
    const cJSON *item, *list = cJSON_GetObjectItemCaseSensitive(root, key);
    if (list && !cJSON_IsNull(list) && !cJSON_IsArray(list))
        return lay_fail(err, LAY_ERR_INPUT, "%s: \"%s\" must be a list", where, key);
    cJSON_ArrayForEach(item, list)
    {
        LAY_TRY(read_special(where, key, item, config, &content, err));
    }
    return LAY_OK;
}

/* "added_tokens_decoder": {"32000": {"content": "[PAD]", …}} */
static enum lay_status read_decoder(const char *where, const cJSON *decoder, struct lay_token_config *config,
                                    struct lay_err *err)
{
    const cJSON *item;
    if (decoder && !cJSON_IsNull(decoder) && !cJSON_IsObject(decoder))
        return lay_fail(err, LAY_ERR_INPUT, "%s: \"added_tokens_decoder\" must be an object", where);
    cJSON_ArrayForEach(item, decoder)
    {
        struct lay_added_flags flags = {0};
        const char *content = NULL;
        int64_t id = -1;
        LAY_TRY(read_token(where, item, &content, &id, &flags, err));
        char *end;
        const long number = strtol(item->string, &end, 10);
        if (end == item->string || *end || number < 0)
            return lay_fail(err, LAY_ERR_INPUT, "%s: \"added_tokens_decoder\": \"%.40s\" is no token id",
                            where, item->string);
        LAY_TRY(lay_token_config_declare(config, content, number, flags, false, err));
    }
    return LAY_OK;
}

/* --- the files --- */

/* *root stays NULL when the file does not exist. */
static enum lay_status read_optional(const char *dir, const char *name, char **path, cJSON **root,
                                     struct lay_err *err)
{
    *root = NULL;
    *path = lay_path_join(dir, name);
    if (!*path)
        return lay_no_memory(err, name);
    if (!lay_path_exists(*path))
        return LAY_OK;
    LAY_TRY(lay_json_read(*path, root, err));
    if (!cJSON_IsObject(*root))
        return lay_fail(err, LAY_ERR_INPUT, "%s: must hold a JSON object", *path);
    return LAY_OK;
}

/* tokenizer.json: what the fast tokenizer reads there besides the vocabulary, which we have from the model.
 */
static enum lay_status read_fast_file(const char *dir, struct lay_token_config *config, struct lay_err *err)
{
    struct lay_str text = {0};
    cJSON *normalizer = NULL, *pre_tokenizer = NULL, *added = NULL;
    const cJSON *item;
    enum lay_status status = LAY_OK;
    char *path = lay_path_join(dir, "tokenizer.json");
    if (!path)
        return lay_no_memory(err, "tokenizer.json");
    if (!lay_path_exists(path))
        goto done;
    LAY_TRY_GOTO(status, lay_file_read(path, LAY_JSON_FILE_MAX, &text, err), done);
    LAY_TRY_GOTO(status, lay_json_member(path, text.data, text.length, "normalizer", &normalizer, err), done);
    LAY_TRY_GOTO(status, lay_json_member(path, text.data, text.length, "pre_tokenizer", &pre_tokenizer, err),
                 done);
    LAY_TRY_GOTO(status, lay_json_member(path, text.data, text.length, "added_tokens", &added, err), done);
    LAY_TRY_GOTO(status, lay_pipeline_read(path, normalizer, pre_tokenizer, &config->pipeline, err), done);
    cJSON_ArrayForEach(item, added)
    {
        struct lay_added_flags flags = {0};
        const char *content = NULL;
        int64_t id = -1;
        LAY_TRY_GOTO(status, read_token(path, item, &content, &id, &flags, err), done);
        LAY_TRY_GOTO(status, lay_token_config_declare(config, content, id, flags, false, err), done);
    }
done:
    cJSON_Delete(normalizer);
    cJSON_Delete(pre_tokenizer);
    cJSON_Delete(added);
    lay_str_free(&text);
    lay_free(path);
    return status;
}

/* added_tokens.json: {"[PAD]": 32000}; special are those some role names. Only read when
 * tokenizer_config.json has no added_tokens_decoder, as in transformers. */
static enum lay_status read_added(const char *dir, const cJSON *settings, const cJSON *map,
                                  struct lay_token_config *config, struct lay_err *err)
{
    cJSON *root = NULL;
    const cJSON *item;
    char *path = NULL;
    struct lay_token_config specials = {0};
    enum lay_status status = LAY_OK;
    if (cJSON_IsObject(cJSON_GetObjectItemCaseSensitive(settings, "added_tokens_decoder")))
        return LAY_OK;
    LAY_TRY_GOTO(status, read_optional(dir, "added_tokens.json", &path, &root, err), done);
    LAY_TRY_GOTO(status, read_specials(path, settings, &specials, err), done);
    LAY_TRY_GOTO(status, read_specials(path, map, &specials, err), done);
    cJSON_ArrayForEach(item, root)
    {
        int64_t id = -1;
        const bool special = is_declared(&specials, item->string);
        LAY_TRY_GOTO(status, lay_json_get_int(root, path, item->string, &id, err), done);
        LAY_TRY_GOTO(status,
                     lay_token_config_declare(
                         config, item->string, id,
                         (struct lay_added_flags){.special = special, .normalized = !special}, false, err),
                     done);
    }
done:
    lay_token_config_free(&specials);
    cJSON_Delete(root);
    lay_free(path);
    return status;
}

/* Roles and tokens nobody mentioned, as the tokenizer class has them. */
static enum lay_status add_defaults(struct lay_token_config *config, struct lay_err *err)
{
    for (int role = 0; role < LAY_ROLE_COUNT; role++) {
        const char *text = conventions[config->convention].roles[role];
        if (!text)
            continue;
        const struct lay_added_flags flags = {.special = true, .left_strip = role == LAY_ROLE_MASK};
        LAY_TRY(lay_token_config_declare(config, text, -1, flags, true, err));
        if (!config->roles[role])
            config->roles[role] = lay_strdup(text);
        if (!config->roles[role])
            return lay_no_memory(err, "the special tokens");
    }
    for (int i = 0; config->convention == LAY_NLLB && i < LAY_NLLB_LANGUAGES; i++)
        LAY_TRY(lay_token_config_declare(config, lay_nllb_languages[i], -1,
                                         (struct lay_added_flags){.special = true}, true, err));
    return LAY_OK;
}

/* LlamaConverter looks at add_prefix_space, SpmConverter at legacy. */
static enum lay_status read_settings(const char *where, const cJSON *settings,
                                     struct lay_token_config *config, struct lay_err *err)
{
    bool legacy = true, add_prefix = true;
    const char *src_lang = NULL;
    LAY_TRY(lay_json_get_bool(settings, where, "add_bos_token", &config->add_bos, err));
    LAY_TRY(lay_json_get_bool(settings, where, "add_eos_token", &config->add_eos, err));
    LAY_TRY(lay_json_get_bool(settings, where, "legacy", &legacy, err));
    LAY_TRY(lay_json_get_bool(settings, where, "add_prefix_space", &add_prefix, err));
    LAY_TRY(lay_json_get_int(settings, where, "extra_ids", &config->extra_ids, err));
    LAY_TRY(lay_json_get_string(settings, where, "src_lang", &src_lang, err));
    if (config->extra_ids < -1 || config->extra_ids > 100000)
        return lay_fail(err, LAY_ERR_INPUT, "%s: \"extra_ids\" must lie between 0 and 100000", where);
    if (src_lang && !(config->src_lang = lay_strdup(src_lang)))
        return lay_no_memory(err, where);
    if (config->convention == LAY_LLAMA && !add_prefix)
        config->pipeline = (struct lay_pipeline){.steps = {LAY_NORMALIZE_SPACE_TO_MARK}};
    if (config->convention == LAY_T5 && !legacy)
        config->pipeline.prefix = LAY_PREFIX_FIRST;
    return LAY_OK;
}

static enum lay_status read_all(const char *dir, const char *model_file, const char *settings_path,
                                const cJSON *settings, const cJSON *map, const char *map_path,
                                const cJSON *model, struct lay_token_config *config, struct lay_err *err)
{
    const char *class = NULL, *model_type = NULL;
    LAY_TRY(lay_json_get_string(settings, settings_path, "tokenizer_class", &class, err));
    LAY_TRY(lay_json_get_string(model, dir, "model_type", &model_type, err));
    LAY_TRY(choose(dir, class, model_type, model_file, config, err));
    config->pipeline = *conventions[config->convention].pipeline;
    config->add_bos = true;
    config->extra_ids = -1;
    LAY_TRY(read_settings(settings_path, settings, config, err));
    /* LlamaConverter adds these three itself, with flags of its own. */
    for (int role = LAY_ROLE_BOS; config->convention == LAY_LLAMA && role <= LAY_ROLE_UNK; role++)
        LAY_TRY(lay_token_config_declare(config, conventions[LAY_LLAMA].roles[role], -1,
                                         (struct lay_added_flags){.special = true}, true, err));
    LAY_TRY(read_fast_file(dir, config, err));
    LAY_TRY(read_decoder(settings_path, cJSON_GetObjectItemCaseSensitive(settings, "added_tokens_decoder"),
                         config, err));
    LAY_TRY(read_added(dir, settings, map, config, err));
    LAY_TRY(read_specials(settings_path, settings, config, err));
    LAY_TRY(read_specials(map_path, map, config, err));
    return add_defaults(config, err);
}

enum lay_status lay_token_config_read(const char *dir, const char *model_file,
                                      struct lay_token_config *config, struct lay_err *err)
{
    cJSON *settings = NULL, *map = NULL, *model = NULL;
    char *settings_path = NULL, *map_path = NULL, *model_path = NULL;
    enum lay_status status;
    *config = (struct lay_token_config){0};
    LAY_TRY_GOTO(status, read_optional(dir, "tokenizer_config.json", &settings_path, &settings, err), done);
    LAY_TRY_GOTO(status, read_optional(dir, "special_tokens_map.json", &map_path, &map, err), done);
    LAY_TRY_GOTO(status, read_optional(dir, "config.json", &model_path, &model, err), done);
    status = read_all(dir, model_file, settings_path, settings, map, map_path, model, config, err);
done:
    cJSON_Delete(settings);
    cJSON_Delete(map);
    cJSON_Delete(model);
    lay_free(settings_path);
    lay_free(map_path);
    lay_free(model_path);
    if (status != LAY_OK)
        lay_token_config_free(config);
    return status;
}

void lay_token_config_free(struct lay_token_config *config)
{
    for (size_t i = 0; i < config->n_tokens; i++)
        lay_free(config->tokens[i].content);
    for (int role = 0; role < LAY_ROLE_COUNT; role++)
        lay_free(config->roles[role]);
    lay_free(config->tokens);
    lay_free(config->src_lang);
    *config = (struct lay_token_config){0};
}

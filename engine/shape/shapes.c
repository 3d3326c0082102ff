#include "engine/shape/shapes.h"

#include "engine/base/json.h"
#include "engine/base/mem.h"

#include <string.h>

/* Sizes from the published config.json files; the tiny ones are ours, odd enough to catch mix-ups; the
 * miniature ones learn what data/miniature makes. */
static const struct lay_shape shapes[] = {
    {.name = "tiny",
     .family = LAY_FAMILY_LLAMA,
     .vocab = 512,
     .hidden = 64,
     .inner = 176,
     .layers = 4,
     .heads = 4,
     .kv_heads = 4,
     .head_dim = 16,
     .positions = 2048},
    {.name = "miniature",
     .family = LAY_FAMILY_LLAMA,
     .vocab = 1024,
     .hidden = 128,
     .inner = 256,
     .layers = 3,
     .heads = 4,
     .kv_heads = 4,
     .head_dim = 32,
     .positions = 2048},
    {.name = "tiny-mistral",
     .family = LAY_FAMILY_MISTRAL,
     .vocab = 512,
     .hidden = 64,
     .inner = 176,
     .layers = 3,
     .heads = 4,
     .kv_heads = 2,
     .head_dim = 16,
     .positions = 2048},
    {.name = "tiny-qwen2",
     .family = LAY_FAMILY_QWEN2,
     .vocab = 512,
     .hidden = 64,
     .inner = 176,
     .layers = 3,
     .heads = 4,
     .kv_heads = 2,
     .head_dim = 16,
     .positions = 2048,
     .tied = true},
    {.name = "tinyllama-1.1b",
     .family = LAY_FAMILY_LLAMA,
     .vocab = 32000,
     .hidden = 2048,
     .inner = 5632,
     .layers = 22,
     .heads = 32,
     .kv_heads = 4,
     .head_dim = 64,
     .positions = 2048},
    {.name = "llama2-7b",
     .family = LAY_FAMILY_LLAMA,
     .vocab = 32000,
     .hidden = 4096,
     .inner = 11008,
     .layers = 32,
     .heads = 32,
     .kv_heads = 32,
     .head_dim = 128,
     .positions = 4096},
    {.name = "llama2-13b",
     .family = LAY_FAMILY_LLAMA,
     .vocab = 32000,
     .hidden = 5120,
     .inner = 13824,
     .layers = 40,
     .heads = 40,
     .kv_heads = 40,
     .head_dim = 128,
     .positions = 4096},
    {.name = "mistral-7b",
     .family = LAY_FAMILY_MISTRAL,
     .vocab = 32000,
     .hidden = 4096,
     .inner = 14336,
     .layers = 32,
     .heads = 32,
     .kv_heads = 8,
     .head_dim = 128,
     .positions = 32768},
    {.name = "qwen2-7b",
     .family = LAY_FAMILY_QWEN2,
     .vocab = 152064,
     .hidden = 3584,
     .inner = 18944,
     .layers = 28,
     .heads = 28,
     .kv_heads = 4,
     .head_dim = 128,
     .positions = 32768},
    {.name = "tiny-mt5",
     .family = LAY_FAMILY_MT5,
     .vocab = 512,
     .hidden = 48,
     .inner = 96,
     .layers = 3,
     .heads = 5,
     .kv_heads = 5,
     .head_dim = 8},
    {.name = "miniature-mt5",
     .family = LAY_FAMILY_MT5,
     .vocab = 1500,
     .hidden = 128,
     .inner = 256,
     .layers = 4,
     .heads = 4,
     .kv_heads = 4,
     .head_dim = 32},
    {.name = "mt5-small",
     .family = LAY_FAMILY_MT5,
     .vocab = 250112,
     .hidden = 512,
     .inner = 1024,
     .layers = 8,
     .heads = 6,
     .kv_heads = 6,
     .head_dim = 64},
    {.name = "mt5-base",
     .family = LAY_FAMILY_MT5,
     .vocab = 250112,
     .hidden = 768,
     .inner = 2048,
     .layers = 12,
     .heads = 12,
     .kv_heads = 12,
     .head_dim = 64},
    {.name = "mt5-large",
     .family = LAY_FAMILY_MT5,
     .vocab = 250112,
     .hidden = 1024,
     .inner = 2816,
     .layers = 24,
     .heads = 16,
     .kv_heads = 16,
     .head_dim = 64},
    {.name = "mt5-xl",
     .family = LAY_FAMILY_MT5,
     .vocab = 250112,
     .hidden = 2048,
     .inner = 5120,
     .layers = 24,
     .heads = 32,
     .kv_heads = 32,
     .head_dim = 64},
    {.name = "tiny-nllb",
     .family = LAY_FAMILY_M2M100,
     .vocab = 512,
     .hidden = 48,
     .inner = 96,
     .layers = 3,
     .heads = 4,
     .kv_heads = 4,
     .head_dim = 12,
     .positions = 1024},
    {.name = "nllb-600m",
     .family = LAY_FAMILY_M2M100,
     .vocab = 256206,
     .hidden = 1024,
     .inner = 4096,
     .layers = 12,
     .heads = 16,
     .kv_heads = 16,
     .head_dim = 64,
     .positions = 1024},
    {.name = "tiny-xlmr",
     .family = LAY_FAMILY_XLMR,
     .vocab = 512,
     .hidden = 48,
     .inner = 96,
     .layers = 3,
     .heads = 4,
     .kv_heads = 4,
     .head_dim = 12,
     .positions = 514},
    {.name = "xlmr-base",
     .family = LAY_FAMILY_XLMR,
     .vocab = 250002,
     .hidden = 768,
     .inner = 3072,
     .layers = 12,
     .heads = 12,
     .kv_heads = 12,
     .head_dim = 64,
     .positions = 514},
};
#define N_SHAPES (sizeof shapes / sizeof *shapes)

size_t lay_shape_count(void)
{
    return N_SHAPES;
}

const struct lay_shape *lay_shape_at(size_t index)
{
    return &shapes[index];
}

const struct lay_shape *lay_shape_find(const char *name)
{
    for (size_t i = 0; i < N_SHAPES; i++)
        if (strcmp(shapes[i].name, name) == 0)
            return &shapes[i];
    return NULL;
}

/* --- config.json: one row per key --- */

enum source {
    TEXT,
    NUMBER, /* row.number */
    TRUTH,  /* row.number */
    VOCAB,
    HIDDEN,
    INNER,
    LAYERS,
    HEADS,
    KV_HEADS,
    HEAD_DIM,
    POSITIONS,
    TIED,
    DTYPE
};

struct config_row {
    const char *key;
    enum source source;
    const char *text;
    double number;
};

static const struct config_row llama_rows[] = {
    {"architectures", TEXT, "LlamaForCausalLM", 0},
    {"model_type", TEXT, "llama", 0},
    {"attention_bias", TRUTH, NULL, 0},
    {"bos_token_id", NUMBER, NULL, 1},
    {"eos_token_id", NUMBER, NULL, 2},
    {"hidden_act", TEXT, "silu", 0},
    {"hidden_size", HIDDEN, NULL, 0},
    {"intermediate_size", INNER, NULL, 0},
    {"max_position_embeddings", POSITIONS, NULL, 0},
    {"num_attention_heads", HEADS, NULL, 0},
    {"num_hidden_layers", LAYERS, NULL, 0},
    {"num_key_value_heads", KV_HEADS, NULL, 0},
    {"rms_norm_eps", NUMBER, NULL, 1e-5},
    {"rope_theta", NUMBER, NULL, 10000},
    {"tie_word_embeddings", TIED, NULL, 0},
    {"torch_dtype", DTYPE, NULL, 0},
    {"vocab_size", VOCAB, NULL, 0},
    {NULL, TEXT, NULL, 0},
};
static const struct config_row mistral_rows[] = {
    {"architectures", TEXT, "MistralForCausalLM", 0},
    {"model_type", TEXT, "mistral", 0},
    {"bos_token_id", NUMBER, NULL, 1},
    {"eos_token_id", NUMBER, NULL, 2},
    {"hidden_act", TEXT, "silu", 0},
    {"hidden_size", HIDDEN, NULL, 0},
    {"intermediate_size", INNER, NULL, 0},
    {"max_position_embeddings", POSITIONS, NULL, 0},
    {"num_attention_heads", HEADS, NULL, 0},
    {"num_hidden_layers", LAYERS, NULL, 0},
    {"num_key_value_heads", KV_HEADS, NULL, 0},
    {"rms_norm_eps", NUMBER, NULL, 1e-5},
    {"rope_theta", NUMBER, NULL, 10000},
    {"sliding_window", NUMBER, NULL, 4096},
    {"tie_word_embeddings", TIED, NULL, 0},
    {"torch_dtype", DTYPE, NULL, 0},
    {"vocab_size", VOCAB, NULL, 0},
    {NULL, TEXT, NULL, 0},
};
static const struct config_row qwen2_rows[] = {
    {"architectures", TEXT, "Qwen2ForCausalLM", 0},
    {"model_type", TEXT, "qwen2", 0},
    {"bos_token_id", NUMBER, NULL, 1},
    {"eos_token_id", NUMBER, NULL, 2},
    {"hidden_act", TEXT, "silu", 0},
    {"hidden_size", HIDDEN, NULL, 0},
    {"intermediate_size", INNER, NULL, 0},
    {"max_position_embeddings", POSITIONS, NULL, 0},
    {"num_attention_heads", HEADS, NULL, 0},
    {"num_hidden_layers", LAYERS, NULL, 0},
    {"num_key_value_heads", KV_HEADS, NULL, 0},
    {"rms_norm_eps", NUMBER, NULL, 1e-6},
    {"rope_theta", NUMBER, NULL, 1000000},
    {"tie_word_embeddings", TIED, NULL, 0},
    {"torch_dtype", DTYPE, NULL, 0},
    {"use_sliding_window", TRUTH, NULL, 0},
    {"vocab_size", VOCAB, NULL, 0},
    {NULL, TEXT, NULL, 0},
};
static const struct config_row mt5_rows[] = {
    {"architectures", TEXT, "MT5EncoderModel", 0},
    {"model_type", TEXT, "mt5", 0},
    {"d_ff", INNER, NULL, 0},
    {"d_kv", HEAD_DIM, NULL, 0},
    {"d_model", HIDDEN, NULL, 0},
    {"decoder_start_token_id", NUMBER, NULL, 0},
    {"eos_token_id", NUMBER, NULL, 1},
    {"feed_forward_proj", TEXT, "gated-gelu", 0},
    {"layer_norm_epsilon", NUMBER, NULL, 1e-6},
    {"num_heads", HEADS, NULL, 0},
    {"num_layers", LAYERS, NULL, 0},
    {"pad_token_id", NUMBER, NULL, 0},
    {"relative_attention_max_distance", NUMBER, NULL, 128},
    {"relative_attention_num_buckets", NUMBER, NULL, 32},
    {"tie_word_embeddings", TRUTH, NULL, 0},
    {"torch_dtype", DTYPE, NULL, 0},
    {"vocab_size", VOCAB, NULL, 0},
    {NULL, TEXT, NULL, 0},
};
static const struct config_row m2m100_rows[] = {
    {"architectures", TEXT, "M2M100ForConditionalGeneration", 0},
    {"model_type", TEXT, "m2m_100", 0},
    {"activation_function", TEXT, "relu", 0},
    {"bos_token_id", NUMBER, NULL, 0},
    {"d_model", HIDDEN, NULL, 0},
    {"encoder_attention_heads", HEADS, NULL, 0},
    {"encoder_ffn_dim", INNER, NULL, 0},
    {"encoder_layers", LAYERS, NULL, 0},
    {"eos_token_id", NUMBER, NULL, 2},
    {"max_position_embeddings", POSITIONS, NULL, 0},
    {"num_hidden_layers", LAYERS, NULL, 0},
    {"pad_token_id", NUMBER, NULL, 1},
    {"scale_embedding", TRUTH, NULL, 1},
    {"torch_dtype", DTYPE, NULL, 0},
    {"vocab_size", VOCAB, NULL, 0},
    {NULL, TEXT, NULL, 0},
};
static const struct config_row xlmr_rows[] = {
    {"architectures", TEXT, "XLMRobertaForMaskedLM", 0},
    {"model_type", TEXT, "xlm-roberta", 0},
    {"bos_token_id", NUMBER, NULL, 0},
    {"eos_token_id", NUMBER, NULL, 2},
    {"hidden_act", TEXT, "gelu", 0},
    {"hidden_size", HIDDEN, NULL, 0},
    {"intermediate_size", INNER, NULL, 0},
    {"layer_norm_eps", NUMBER, NULL, 1e-5},
    {"max_position_embeddings", POSITIONS, NULL, 0},
    {"num_attention_heads", HEADS, NULL, 0},
    {"num_hidden_layers", LAYERS, NULL, 0},
    {"pad_token_id", NUMBER, NULL, 1},
    {"position_embedding_type", TEXT, "absolute", 0},
    {"torch_dtype", DTYPE, NULL, 0},
    {"type_vocab_size", NUMBER, NULL, 1},
    {"vocab_size", VOCAB, NULL, 0},
    {NULL, TEXT, NULL, 0},
};
static const struct config_row generation_rows[] = {
    {"bos_token_id", NUMBER, NULL, 1},
    {"eos_token_id", NUMBER, NULL, 2},
    {NULL, TEXT, NULL, 0},
};

static const struct {
    const struct config_row *rows;
    bool llm;
} configs[LAY_FAMILY_COUNT] = {
    [LAY_FAMILY_LLAMA] = {llama_rows, true},    [LAY_FAMILY_MISTRAL] = {mistral_rows, true},
    [LAY_FAMILY_QWEN2] = {qwen2_rows, true},    [LAY_FAMILY_MT5] = {mt5_rows, false},
    [LAY_FAMILY_M2M100] = {m2m100_rows, false}, [LAY_FAMILY_XLMR] = {xlmr_rows, false},
};

static const char *torch_dtype(enum lay_dtype dtype)
{
    return dtype == LAY_BF16 ? "bfloat16" : dtype == LAY_F16 ? "float16" : "float32";
}

static cJSON *row_value(const struct config_row *row, const struct lay_shape *shape, enum lay_dtype dtype)
{
    const int64_t numbers[] = {
        [VOCAB] = shape->vocab,       [HIDDEN] = shape->hidden,       [INNER] = shape->inner,
        [LAYERS] = shape->layers,     [HEADS] = shape->heads,         [KV_HEADS] = shape->kv_heads,
        [HEAD_DIM] = shape->head_dim, [POSITIONS] = shape->positions,
    };
    switch (row->source) {
    case TEXT:
        if (strcmp(row->key, "architectures") == 0)
            return cJSON_CreateStringArray(&row->text, 1);
        return cJSON_CreateString(row->text);
    case NUMBER:
        return cJSON_CreateNumber(row->number);
    case TRUTH:
        return cJSON_CreateBool(row->number != 0);
    case TIED:
        return cJSON_CreateBool(shape->tied);
    case DTYPE:
        return cJSON_CreateString(torch_dtype(dtype));
    default:
        return cJSON_CreateNumber((double)numbers[row->source]);
    }
}

static enum lay_status put_rows(const struct config_row *row, const struct lay_shape *shape,
                                enum lay_dtype dtype, struct lay_str *out, struct lay_err *err)
{
    cJSON *root = cJSON_CreateObject();
    bool built = root != NULL;
    for (; built && row->key; row++) {
        cJSON *value = row_value(row, shape, dtype);
        built = lay_json_add(root, row->key, value);
    }
    if (built) {
        lay_json_put(out, root, 2);
        lay_str_putc(out, '\n');
    }
    cJSON_Delete(root);
    return built ? lay_str_check(out, err) : lay_no_memory(err, "a configuration");
}

enum lay_status lay_shape_config(const struct lay_shape *shape, enum lay_dtype dtype, struct lay_str *config,
                                 struct lay_str *generation, struct lay_err *err)
{
    LAY_TRY(put_rows(configs[shape->family].rows, shape, dtype, config, err));
    if (!configs[shape->family].llm)
        return LAY_OK;
    return put_rows(generation_rows, shape, dtype, generation, err);
}

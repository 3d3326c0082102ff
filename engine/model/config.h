/* config.json of Hugging Face models, read strictly: whatever would change the computation and is not
 * implemented is refused by name. */
#ifndef LAY_MODEL_CONFIG_H
#define LAY_MODEL_CONFIG_H

#include "engine/base/err.h"
#include "engine/base/json.h"
#include "engine/nn/kernels.h"

#include <stdbool.h>
#include <stdint.h>

/* Decoder-only LLMs: LLaMA, Mistral, Qwen2. */
struct lay_llm_config {
    char model_type[32];
    int64_t vocab_size, hidden_size, intermediate_size, num_hidden_layers, num_attention_heads,
        num_key_value_heads, head_dim;
    int64_t max_position_embeddings;
    /* w: a query sees w keys, its own included (0: no window), as Mistral AI defines it and transformers'
     * sliding_window_overlay computes it. Some releases around 4.39 kept one key more, or none out under
     * sdpa: it matters beyond w tokens only. */
    int64_t sliding_window;
    float rms_norm_eps;
    double rope_theta;
    char rope_scaling[16]; /* "", "linear", "llama3" */
    double rope_factor, rope_low_freq_factor, rope_high_freq_factor;
    int64_t rope_original_max_position;
    bool qkv_bias; /* Qwen2: q, k, v */
    bool o_bias;   /* attention_bias of LLaMA: also o */
    bool mlp_bias;
    bool tie_word_embeddings;
    int32_t bos_id, pad_id; /* −1: none */
    int32_t eos_ids[16];
    int n_eos;
};

/* Encoders: mT5/T5/umT5, M2M100 (NLLB), XLM-R. */
struct lay_encoder_config {
    char model_type[32];
    int64_t vocab_size, hidden_size, intermediate_size, num_hidden_layers, num_attention_heads, head_dim;
    int64_t relative_buckets, relative_max_distance; /* T5 family */
    bool relative_bias_per_layer;                    /* umT5 */
    bool gated;
    enum lay_activation activation;
    float norm_eps;
    bool scale_embedding;  /* M2M100: embeddings × sqrt(hidden_size) */
    int64_t max_positions; /* XLM-R: rows of the position table; 0: no limit of the model */
    int32_t pad_id, eos_id;
};

/* `dir` is a model directory; generation_config.json's eos ids take precedence over config.json's. */
enum lay_status lay_llm_config_read(const char *dir, struct lay_llm_config *config, struct lay_err *err);
enum lay_status lay_encoder_config_read(const char *dir, struct lay_encoder_config *config,
                                        struct lay_err *err);
/* The same from the text of a config.json alone, called `where` in messages. */
enum lay_status lay_llm_config_parse(const char *where, const char *text, size_t length,
                                     struct lay_llm_config *config, struct lay_err *err);
enum lay_status lay_encoder_config_parse(const char *where, const char *text, size_t length,
                                         struct lay_encoder_config *config, struct lay_err *err);

#endif

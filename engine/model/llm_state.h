/* What an LLM holds in memory. Private to engine/model. */
#ifndef LAY_MODEL_LLM_STATE_H
#define LAY_MODEL_LLM_STATE_H

#include "engine/model/llm.h"
#include "engine/model/load.h"
#include "engine/nn/kernels.h"

/* One decoder layer. Linears are [out, in]; norms [hidden_size]. */
struct lay_llm_layer {
    float *attn_norm, *mlp_norm;
    struct lay_linear *q;     /* [heads · head_dim, hidden_size] */
    struct lay_linear *k, *v; /* [kv heads · head_dim, hidden_size]; apart, because the adapter uses them */
    struct lay_linear *o;     /* [hidden_size, heads · head_dim] */
    struct lay_linear *gate_up; /* [2 · intermediate_size, hidden_size] */
    struct lay_linear *down;    /* [hidden_size, intermediate_size] */
};

struct lay_llm {
    struct lay_llm_config config;
    struct lay_embedding embed_tokens;
    struct lay_llm_layer *layers;
    float *norm;
    struct lay_linear *head; /* [vocab_size, hidden_size] */
    float *inv_freq;         /* [head_dim / 2], rope_scaling applied */
    enum lay_dtype stored;   /* of keys and values */
    size_t bytes;

    /* Work memory of a step, [rows, …]. */
    struct lay_work h;           /* normed input of a half layer, hidden_size */
    struct lay_work q, k, v;     /* heads · head_dim, kv heads · head_dim */
    struct lay_work attn;        /* heads · head_dim */
    struct lay_work gates;       /* 1, only with gates that read the hidden state */
    struct lay_work ungated;     /* heads · head_dim, the same */
    struct lay_work tapped;      /* hidden_size, only with taps */
    struct lay_work tapped_attn; /* heads · head_dim, only with taps */
    int64_t *positions;          /* RoPE positions of the rows */
    size_t positions_capacity;
    struct lay_attention_span *causal, *cross; /* spans of the step: own keys, adapter keys */
    size_t causal_capacity, cross_capacity;
    int64_t n_cross;
};

/* 1 / theta^(2i / head_dim) with rope_scaling "linear" or "llama3" applied; inv_freq [head_dim / 2]. */
void lay_llm_inv_freq(const struct lay_llm_config *config, float *inv_freq);

#endif

/* Decoder-only LLMs of the LLaMA family (LLaMA, Mistral, Qwen2) with LayAlign's adapter attention.
 *
 * One call advances any number of sequences, each by any number of rows (prefill: many, decode: one). */
#ifndef LAY_MODEL_LLM_H
#define LAY_MODEL_LLM_H

#include "engine/dnn/linear.h"
#include "engine/model/config.h"
#include "engine/model/precision.h"
#include "engine/store/weights.h"

struct lay_llm;

/* Names as inside LlamaModel ("layers.0.self_attn.q_proj.weight", "embed_tokens.weight", "norm.weight") plus
 * "lm_head.weight". Borrows dnn and the checkpoints (embeddings stay mapped). */
enum lay_status lay_llm_load(struct lay_dnn *dnn, const struct lay_llm_config *config,
                             struct lay_weights *weights, struct lay_precision precision,
                             struct lay_llm **llm, struct lay_err *err);
void lay_llm_destroy(struct lay_llm *llm); /* accepts NULL */
const struct lay_llm_config *lay_llm_config(const struct lay_llm *llm);
size_t lay_llm_bytes(const struct lay_llm *llm);
struct lay_kv_shape lay_llm_kv_shape(const struct lay_llm *llm);

/* Token embeddings, [n, hidden_size]. */
enum lay_status lay_llm_embed(const struct lay_llm *llm, const int32_t *ids, int64_t n, float *out,
                              struct lay_err *err);

/* LayAlign: the adapter attention's gate. Released: gate[layer], one raw number. With `weight` (paper, Table
 * 8) it depends on the row: tanh(gate[layer] + weight[layer] · h), h the row's normed input of the attention.
 * has_gate[layer] false = plain attention. */
struct lay_llm_adapter {
    const float *gate;   /* [layers] */
    const float *weight; /* [layers, hidden_size]; NULL: none */
    const bool *has_gate;
};

/* A sequence's share of a step. */
struct lay_llm_span {
    struct lay_kv_seq *kv;            /* pages for the new rows must be reserved; n_tokens grows by n_rows */
    const struct lay_kv_seq *adapter; /* the aligner's keys and values, or NULL */
    int64_t n_rows;
    int64_t position_offset; /* added to the RoPE position (official batch mode of training); 0 otherwise */
};

/* For verify and analysis: called with named intermediate results [rows, hidden_size]; NULL for none.
 * name, all three after o_proj: in layers with a gate "attn_base_out" (self-attention) and "attn_adapter_out"
 * (gated adapter attention), in all "attn_out" (their sum); "out" (of the decoder layer). */
struct lay_llm_taps {
    void (*tap)(void *context, const char *name, int64_t layer, const float *data, int64_t rows,
                int64_t cols);
    void *context;
};

/* x [rows, hidden_size]: embeddings in, states after the final norm out. rows = Σ n_rows. */
enum lay_status lay_llm_forward(struct lay_llm *llm, struct lay_kv_pool *pool,
                                const struct lay_llm_span *spans, int64_t n_spans,
                                const struct lay_llm_adapter *adapter, float *x,
                                const struct lay_llm_taps *taps, struct lay_err *err);

/* logits [rows, vocab_size] of states x [rows, hidden_size] after the final norm. */
enum lay_status lay_llm_logits(struct lay_llm *llm, const float *x, int64_t rows, float *logits,
                               struct lay_err *err);

/* Where adapter keys and values go: tokens 0 … rows − 1 of a sequence whose pages are reserved. */
struct lay_llm_adapter_rows {
    const struct lay_kv_seq *adapter;
    int64_t rows;
};
/* Writes the adapter keys and values of n sequences: k_a = k_proj(states key), v_a = v_proj(states value)
 * with the layer's own projections and biases, no RoPE. keys, values [Σ rows, hidden_size], one sequence
 * after the other. */
enum lay_status lay_llm_write_adapters(struct lay_llm *llm, struct lay_kv_pool *pool, int64_t layer,
                                       const float *keys, const float *values,
                                       const struct lay_llm_adapter_rows *seqs, int64_t n,
                                       struct lay_err *err);

#endif

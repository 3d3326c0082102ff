/* From token ids to what the LLM reads: encoder, bridge, soft prompt, adapter keys and values (models.md,
 * Systems).
 *
 *   plain       [bos] prompt
 *   langbridge  [bos] A(E) enc_eos prompt
 *   mindmerger, layalign  [bos] M(E) end_boundary prompt */
#ifndef LAY_GENERATE_PREPARE_H
#define LAY_GENERATE_PREPARE_H

#include "engine/bridge/bridge.h"

/* The loaded models of a system; all borrowed. */
struct lay_models {
    struct lay_llm *llm;
    struct lay_encoder *encoder;     /* NULL: plain */
    struct lay_bridge *bridge;       /* NULL: plain */
    bool no_soft_prompt;             /* ablation: the mapped states and the boundary are left out */
    struct lay_workspace *workspace; /* workspace.h; borrowed; NULL: every call has its own */
};

/* Token ids of one request; borrowed. */
struct lay_prompt_ids {
    const int32_t *source; /* what the encoder reads, special tokens included; NULL for plain */
    int64_t n_source;
    int64_t padded_source; /* length the source is padded to (--official-batch); else n_source */
    const int32_t *prompt; /* the LLM's text prompt, no bos, no eos */
    int64_t n_prompt;
};

/* One request, ready for prefill. */
struct lay_prepared {
    float *inputs; /* [n_inputs, hidden_size] embeddings; owned */
    int64_t n_inputs;
    struct lay_kv_seq adapter; /* LayAlign: keys and values of padded_source tokens; else empty */
};

/* Rows that a request's prefill has, without running anything. */
int64_t lay_prepared_rows(const struct lay_models *models, const struct lay_prompt_ids *ids);
/* Tokens of adapter keys and values it needs. */
int64_t lay_prepared_adapter_tokens(const struct lay_models *models, const struct lay_prompt_ids *ids);

/* Work memory of one pass of encoder and bridge, which is kept for the next one: taking some hundred
 * megabytes anew costs as much as part of the work. */
struct lay_encoded;
enum lay_status lay_encoded_create(const struct lay_models *models, struct lay_encoded **encoded,
                                   struct lay_err *err);
void lay_encoded_destroy(struct lay_encoded *encoded); /* accepts NULL */

/* Prepares n requests in one pass of the encoder. Adapter pages come from `pool`. On failure nothing is kept.
 */
enum lay_status lay_prepare(const struct lay_models *models, struct lay_kv_pool *pool,
                            const struct lay_prompt_ids *const *ids, int64_t n, struct lay_encoded *encoded,
                            struct lay_prepared *prepared, struct lay_err *err);
/* Hears the encoder's pass: hidden[i] [Σ padded_source, d], i = 0 … num_hidden_layers, requests one after the
 * other; valid during the call. Not called for plain. */
struct lay_prepare_listener {
    void (*hidden)(void *context, float *const *hidden);
    void *context;
};
/* lay_prepare with a listener, for analysis: all hidden states are kept while it runs. */
enum lay_status lay_prepare_heard(const struct lay_models *models, struct lay_kv_pool *pool,
                                  const struct lay_prompt_ids *const *ids, int64_t n,
                                  struct lay_encoded *encoded, const struct lay_prepare_listener *listener,
                                  struct lay_prepared *prepared, struct lay_err *err);
/* Frees what prepare made; `pool` as given there. */
void lay_prepared_release(struct lay_prepared *prepared, struct lay_kv_pool *pool);

#endif

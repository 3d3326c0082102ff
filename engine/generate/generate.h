/* Greedy generation for many independent requests: continuous batching over paged keys and values.
 *
 * Requests are admitted, longest first, as pages allow (scheduler.h); a step is one pass of the LLM over the
 * last token of every live sequence plus prefill rows of the newly admitted up to a row budget; a sequence
 * leaves at its end token. No result depends on what else is in flight. */
#ifndef LAY_GENERATE_GENERATE_H
#define LAY_GENERATE_GENERATE_H

#include "engine/generate/ended.h"
#include "engine/generate/prepare.h"
#include "engine/generate/stats.h"

#include <signal.h>

/* Prompt rows in one pass of the LLM, and tokens in one pass of the encoder, at most: enough for the products
 * to run at full speed, small enough that activations stay in cache and a step stays short. */
#define LAY_STEP_PREFILL_ROWS 512
#define LAY_STEP_ENCODER_ROWS 512

struct lay_generation {
    size_t request;
    const int32_t *ids; /* new tokens without the eos */
    size_t n_ids;
    enum lay_ended ended;
    const char *error; /* when ended is LAY_ENDED_ERROR */
};

struct lay_generate_options {
    size_t kv_bytes;    /* budget for pages */
    int64_t batch_size; /* sequences in flight at most */
    int64_t max_new_tokens;
    bool ignore_eos;
    const volatile sig_atomic_t
        *stop; /* non-zero: return LAY_ERR_INTERRUPTED after the current step; may be NULL */
    /* Whether the text of the ids now holds a stop text; NULL when there are none. */
    bool (*stopped)(void *context, const int32_t *ids, size_t n);
    /* A finished request; non-zero ends the run with LAY_ERR_INTERRUPTED. */
    int (*done)(void *context, const struct lay_generation *generation);
    void *context;
    struct lay_generate_stats *stats; /* may be NULL */
    /* Benchmarks: request i ends after ends[i] ≤ max_new_tokens tokens, which the scheduler does not know in
     * advance, as with real answers; NULL: none. */
    const int64_t *ends;
    /* Comparisons: hears the logits [vocab_size] that new token `index` of a request is taken from; may be
     * NULL. */
    void (*logits)(void *context, size_t request, size_t index, const float *logits);
};

/* Bytes of pages that one request needs at most. */
size_t lay_generate_kv_bytes(const struct lay_models *models, const struct lay_prompt_ids *ids,
                             int64_t max_new_tokens);

/* LAY_ERR_INPUT before anything runs when a request cannot fit into kv_bytes, with the numbers. */
enum lay_status lay_generate(const struct lay_models *models, const struct lay_prompt_ids *ids, size_t count,
                             const struct lay_generate_options *options, struct lay_err *err);

#endif

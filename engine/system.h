/* A system: LLM, encoder and bridge with their tokenizers, as a system file declares it (models.md, Systems).
 * The only engine header the run loop needs. */
#ifndef LAY_ENGINE_SYSTEM_H
#define LAY_ENGINE_SYSTEM_H

#include "engine/base/dtype.h"
#include "engine/base/err.h"
#include "engine/base/hash.h"
#include "engine/base/json.h"
#include "engine/bridge/fusion.h"
#include "engine/generate/ended.h"
#include "engine/generate/observation.h"
#include "engine/generate/stats.h"
#include "engine/model/precision.h"
#include "engine/token/tokenizer.h"

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lay_system_options {
    enum lay_dtype
        dtype; /* LAY_F32, LAY_BF16, LAY_I8; LAY_DTYPE_COUNT: what the system file says, else bf16 */
    const char
        *keep_bf16;     /* int8: modules that stay in bf16, "down_proj,lm_head"; NULL: what the file says */
    size_t memory;      /* bytes for weights and KV together; 0: what the machine has free */
    int64_t batch_size; /* sequences in flight at most; 0: as memory allows */
    const char *cache_dir;  /* packed weights are kept there and mapped from there; NULL: none. Borrowed */
    int64_t official_batch; /* 0: off; N: reproduce the official code's batches of N (LayAlign) */
    int64_t max_new_tokens; /* 0: what the system file says, else the prompt set's or 512 */
};

struct lay_system;

/* Reads and checks the system file, the configurations and the tokenizers; no weights yet. */
enum lay_status lay_system_open(const char *path, const struct lay_system_options *options,
                                struct lay_system **system, struct lay_err *err);
/* Packs the weights and tries whether products are invariant. Prints nothing; `progress` (may be NULL) hears
 * the fraction done in 0 … 1. */
enum lay_status lay_system_load(struct lay_system *system, void (*progress)(void *context, double fraction),
                                void *context, struct lay_err *err);
void lay_system_close(struct lay_system *system); /* accepts NULL */

const char *lay_system_name(const struct lay_system *system);
const char *lay_system_method(const struct lay_system *system);
const char *lay_system_bridge_path(const struct lay_system *system); /* NULL for plain */
const char *lay_system_prompt_set(const struct lay_system *system); /* "" when the file names none */
enum lay_dtype lay_system_dtype(const struct lay_system *system);
int64_t lay_system_max_new_tokens(const struct lay_system *system); /* 0 when neither options nor file say */
bool lay_system_reads_source(const struct lay_system *system);      /* false for plain: there is no encoder */
bool lay_system_reads_prompt(const struct lay_system *system); /* false with the ablation no_text_prompt */

/* What determines the result, for the manifest: configurations, tokenizer hashes, layers, switches; in int8
 * "quantised"; after load also "weights_fingerprint". No absolute paths. Returns; free with cJSON_Delete.
 * NULL when memory runs out. */
cJSON *lay_system_describe(const struct lay_system *system);
/* After load: whether an answer depends on nothing but its request. The products of all layers were tried on
 * this machine then (engine/dnn/invariance.h); `reason` is appended what was found, in one sentence that is
 * the same for any batch size and number of threads. */
bool lay_system_is_invariant(const struct lay_system *system, struct lay_str *reason);
/* Tokens and seconds per phase so far, for timing.json and the progress line. Borrowed. */
const struct lay_generate_stats *lay_system_stats(const struct lay_system *system);
/* "weights 13.5 GB, KV 4.0 GB = 120 pages of …, 32 sequences in flight": the plan before loading. */
enum lay_status lay_system_plan(const struct lay_system *system, struct lay_str *text, struct lay_err *err);

/* After load: lines for the user, each with its end, about the packed cache; "" without. Borrowed. */
const char *lay_system_notes(const struct lay_system *system);

/* Before load: LAY_ERR_INPUT with the numbers when a request and its new tokens need more keys and values
 * than the plan leaves. request NULL: the longest that the limits on source and prompt let through; if that
 * fits, all do. */
struct lay_request;
enum lay_status lay_system_check_fit(struct lay_system *system, const struct lay_request *request,
                                     int64_t max_new_tokens, struct lay_err *err);

/* After load: what runs, for benchmarks. Borrowed. */
struct lay_models;
const struct lay_models *lay_system_models(const struct lay_system *system);

/* One question. Texts are borrowed until generate returns. */
struct lay_request {
    const char *source;   /* what the encoder reads; NULL without encoder */
    const char *prompt;   /* the LLM's text prompt; NULL for none */
    const char *language; /* NLLB code of the source; NULL if unknown */
};

struct lay_reply {
    size_t request;   /* index into the requests */
    const char *text; /* decoded, special tokens dropped; "" on error */
    size_t length;
    const int32_t *ids; /* new tokens, without the eos */
    size_t n_ids;
    enum lay_ended ended;
    const char *error;                    /* message when ended is LAY_ENDED_ERROR */
    bool truncated;                       /* source or prompt was cut to the limit */
    int64_t source_tokens, prompt_tokens; /* as fed, special tokens included; 0 if none */
};

struct lay_generate_params {
    int64_t max_new_tokens;
    const char *const *stops; /* texts that end generation; cut off, with what follows */
    int64_t n_stops;
    bool ignore_eos;                   /* benchmarks */
    const volatile sig_atomic_t *stop; /* non-zero: LAY_ERR_INTERRUPTED after the current step; may be NULL */
};

/* Answers the requests in any order; `reply` is called once each, from the calling thread, pointers valid
 * during the call. A non-zero return stops after the current step with LAY_ERR_INTERRUPTED; further replies
 * are not given. */
enum lay_status lay_system_generate(struct lay_system *system, const struct lay_request *requests,
                                    size_t count, const struct lay_generate_params *params,
                                    int (*reply)(void *context, const struct lay_reply *reply), void *context,
                                    struct lay_err *err);

/* Whether the weights are there. */
bool lay_system_is_loaded(const struct lay_system *system);

/* The logits [vocab_size] that the first new token of every request is taken from, once each, in any order.
 */
enum lay_status
lay_system_next_logits(struct lay_system *system, const struct lay_request *requests, size_t count,
                       void (*hear)(void *context, size_t request, const float *logits, int64_t vocab_size),
                       void *context, struct lay_err *err);

/* The token ids a request turns into: what the encoder reads and what follows the soft prompt (bos not
 * included). */
enum lay_status lay_system_tokenize(struct lay_system *system, const struct lay_request *request,
                                    struct lay_ids *source, struct lay_ids *prompt, bool *truncated,
                                    struct lay_err *err);

/* --- looking inside (after load) --- */

/* Runs the forward pass of every request and lets `heard` look at it, once each, in order; nothing is
 * generated, --official-batch does not apply. *stop as in lay_generate_params; may be NULL. */
enum lay_status lay_system_observe(struct lay_system *system, const struct lay_request *requests,
                                   size_t count, const volatile sig_atomic_t *stop,
                                   void (*heard)(void *context, const struct lay_observation *observation),
                                   void *context, struct lay_err *err);
/* False when there is no aligner. */
bool lay_system_fusion(const struct lay_system *system, struct lay_fusion *fusion);
/* Whether the LLM reads mapped encoder states. */
bool lay_system_has_soft_prompt(const struct lay_system *system);
/* Of the encoder; NULL for plain. Borrowed. There before load. */
const struct lay_tokenizer *lay_system_source_tokenizer(const struct lay_system *system);

#endif

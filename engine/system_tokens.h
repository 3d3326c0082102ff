/* Requests as token ids. */
#ifndef LAY_ENGINE_SYSTEM_TOKENS_H
#define LAY_ENGINE_SYSTEM_TOKENS_H

#include "engine/generate/prepare.h"
#include "engine/system.h"

/* The official code's limits for what the encoder and the text prompt of the LLM may hold. */
#define LAY_SOURCE_TOKENS_MAX 512
#define LAY_PROMPT_TOKENS_MAX 512

/* All requests of one call, tokenized. */
struct lay_request_tokens {
    struct lay_ids *sources, *prompts; /* [count] */
    bool *truncated;                   /* [count] source or prompt was cut to the limit */
    struct lay_prompt_ids *ids;        /* [count] views of sources and prompts; nothing is padded */
    size_t count;
};

/* Free with lay_request_tokens_free, also after a failure. */
enum lay_status lay_request_tokens_make(struct lay_system *system, const struct lay_request *requests,
                                        size_t count, struct lay_request_tokens *tokens, struct lay_err *err);
void lay_request_tokens_free(struct lay_request_tokens *tokens); /* accepts {0} */

#endif

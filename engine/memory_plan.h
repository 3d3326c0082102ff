/* What a system takes of the machine's memory, known from its configurations before anything is loaded:
 * packed weights, the working memory of the largest step, and what is left for keys and values. Embeddings
 * stay mapped from their files and do not count. */
#ifndef LAY_ENGINE_MEMORY_PLAN_H
#define LAY_ENGINE_MEMORY_PLAN_H

#include "engine/base/str.h"
#include "engine/bridge/bridge.h"

/* What is to be loaded, and into how much. Borrows the configurations. */
struct lay_memory_needs {
    const char *name; /* of the system, for messages */
    const struct lay_bridge_options *bridge;
    const struct lay_llm_config *llm;
    const struct lay_encoder_config *encoder; /* NULL: plain */
    struct lay_precision precision;
    size_t memory;      /* bytes for everything together */
    int64_t batch_size; /* sequences in flight at most */
};

struct lay_memory_plan {
    double llm, encoder, bridge; /* bytes of packed weights */
    double working;              /* bytes of activations, logits and inputs waiting to be read */
    size_t kv;                   /* bytes left for pages of keys and values */
    size_t kv_tokens;            /* tokens these hold */
};

/* Elements of the packed matrices of LLM, encoder and bridge; vectors are too small to count. */
double lay_memory_weight_elements(const struct lay_memory_needs *needs);

/* LAY_ERR_INPUT with the numbers when weights and working memory leave no room for keys and values. */
enum lay_status lay_memory_plan_make(const struct lay_memory_needs *needs, struct lay_memory_plan *plan,
                                     struct lay_err *err);

/* "NAME (METHOD, DTYPE): weights 13.48 GB …, keys and values up to … = N tokens, at most B sequences in
 * flight" */
enum lay_status lay_memory_plan_print(const struct lay_memory_needs *needs,
                                      const struct lay_memory_plan *plan, struct lay_str *text,
                                      struct lay_err *err);

#endif

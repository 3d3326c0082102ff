/* Next-token distributions of the first prompts of a run, for comparing two precisions of a system. */
#ifndef LAY_HARNESS_NEXT_TOKENS_H
#define LAY_HARNESS_NEXT_TOKENS_H

#include "engine/system.h"
#include "harness/run/items.h"

struct lay_next_tokens {
    float *log_probabilities; /* [prompts, vocab_size], natural logarithms */
    int64_t prompts, vocab_size;
};

/* The first `prompts` wanted items, one of every language in turn, given to a loaded system. Free with
 * lay_next_tokens_free. */
enum lay_status lay_next_tokens_get(struct lay_system *system, const struct lay_items *items, size_t cells,
                                    int64_t prompts, struct lay_next_tokens *tokens, struct lay_err *err);
void lay_next_tokens_free(struct lay_next_tokens *tokens); /* accepts {0} */

/* KL(p ‖ q) of one prompt in nats, at least 0, and whether the most likely token is the same. Both over the
 * same prompts and vocabulary. NaN when either distribution is. */
double lay_next_tokens_kl(const struct lay_next_tokens *p, const struct lay_next_tokens *q, int64_t prompt,
                          bool *same_top);

#endif

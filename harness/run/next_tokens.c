#include "harness/run/next_tokens.h"

#include "engine/base/mem.h"

#include <math.h>

/* ln softmax, in double. */
static void hear(void *context, size_t request, const float *logits, int64_t vocab_size)
{
    struct lay_next_tokens *tokens = context;
    float *out = tokens->log_probabilities + (int64_t)request * vocab_size;
    double largest = (double)logits[0], sum = 0;
    for (int64_t i = 1; i < vocab_size; i++)
        largest = (double)logits[i] > largest ? (double)logits[i] : largest;
    for (int64_t i = 0; i < vocab_size; i++)
        sum += exp((double)logits[i] - largest);
    for (int64_t i = 0; i < vocab_size; i++)
        out[i] = (float)((double)logits[i] - largest - log(sum));
}

/* The n-th wanted item of a cell; NULL when it has fewer. */
static const struct lay_item *wanted_item(const struct lay_items *items, size_t cell, size_t n)
{
    for (size_t i = items->start[cell]; i < items->start[cell + 1]; i++)
        if (items->list[i].wanted && n-- == 0)
            return &items->list[i];
    return NULL;
}

static size_t choose(const struct lay_items *items, size_t cells, size_t most, struct lay_request *requests)
{
    size_t count = 0;
    bool more = true;
    for (size_t n = 0; more && count < most; n++) {
        more = false;
        for (size_t c = 0; c < cells && count < most; c++) {
            const struct lay_item *item = wanted_item(items, c, n);
            if (!item)
                continue;
            more = true;
            requests[count++] = (struct lay_request){item->source, item->prompt, item->cell->language->nllb};
        }
    }
    return count;
}

/* The vocabulary is known with the first logits only. */
static void hear_first(void *context, size_t request, const float *logits, int64_t vocab_size)
{
    struct lay_next_tokens *tokens = context;
    if (!tokens->log_probabilities && !tokens->vocab_size) {
        tokens->vocab_size = vocab_size;
        tokens->log_probabilities =
            lay_alloc((size_t)(tokens->prompts * vocab_size), sizeof *tokens->log_probabilities);
    }
    if (tokens->log_probabilities)
        hear(context, request, logits, vocab_size);
}

enum lay_status lay_next_tokens_get(struct lay_system *system, const struct lay_items *items, size_t cells,
                                    int64_t prompts, struct lay_next_tokens *tokens, struct lay_err *err)
{
    struct lay_request *requests = lay_alloc((size_t)prompts, sizeof *requests);
    *tokens = (struct lay_next_tokens){0};
    if (!requests)
        return lay_no_memory(err, "the prompts");
    tokens->prompts = (int64_t)choose(items, cells, (size_t)prompts, requests);
    enum lay_status status =
        lay_system_next_logits(system, requests, (size_t)tokens->prompts, hear_first, tokens, err);
    lay_free(requests);
    if (status == LAY_OK && !tokens->log_probabilities)
        status = lay_no_memory(err, "next-token distributions");
    if (status != LAY_OK)
        lay_next_tokens_free(tokens);
    return status;
}

void lay_next_tokens_free(struct lay_next_tokens *tokens)
{
    lay_free(tokens->log_probabilities);
    *tokens = (struct lay_next_tokens){0};
}

double lay_next_tokens_kl(const struct lay_next_tokens *p, const struct lay_next_tokens *q, int64_t prompt,
                          bool *same_top)
{
    const float *a = p->log_probabilities + prompt * p->vocab_size;
    const float *b = q->log_probabilities + prompt * q->vocab_size;
    int64_t top_a = 0, top_b = 0;
    double kl = 0;
    for (int64_t i = 0; i < p->vocab_size; i++) {
        kl += exp((double)a[i]) * ((double)a[i] - (double)b[i]);
        top_a = a[i] > a[top_a] ? i : top_a;
        top_b = b[i] > b[top_b] ? i : top_b;
    }
    *same_top = top_a == top_b;
    return kl < 0 ? 0 : kl; /* rounding */
}

#include "engine/system_tokens.h"

#include "engine/base/mem.h"
#include "engine/system_state.h"

#include <string.h>

/* Cuts content to the limit and keeps the final special token (models.md, Positions). */
static bool truncate_source(struct lay_ids *ids)
{
    if (ids->count <= LAY_SOURCE_TOKENS_MAX)
        return false;
    ids->data[LAY_SOURCE_TOKENS_MAX - 1] = ids->data[ids->count - 1];
    ids->count = LAY_SOURCE_TOKENS_MAX;
    return true;
}

static enum lay_status check_vocabulary(const struct lay_ids *ids, int64_t vocab_size, const char *tokenizer,
                                        struct lay_err *err)
{
    for (size_t i = 0; i < ids->count; i++)
        if (ids->data[i] < 0 || ids->data[i] >= vocab_size)
            return lay_fail(
                err, LAY_ERR_INPUT,
                "%s: gives token id %d, but the model has %lld; the tokenizer belongs to another model",
                tokenizer, ids->data[i], (long long)vocab_size);
    return LAY_OK;
}

enum lay_status lay_system_tokenize(struct lay_system *s, const struct lay_request *request,
                                    struct lay_ids *source, struct lay_ids *prompt, bool *truncated,
                                    struct lay_err *err)
{
    *truncated = false;
    source->count = prompt->count = 0;
    if (!lay_system_is_plain(s)) {
        if (!request->source)
            return lay_fail(err, LAY_ERR_INTERNAL, "a request to %s without a source text", s->file.name);
        if (request->language)
            LAY_TRY(lay_tokenizer_set_language(s->encoder_tokenizer, request->language, err));
        LAY_TRY(lay_tokenizer_encode(s->encoder_tokenizer, request->source, strlen(request->source), true,
                                     source, err));
        *truncated = truncate_source(source);
        LAY_TRY(check_vocabulary(source, s->encoder_config.vocab_size, s->file.encoder_tokenizer, err));
    }
    if (request->prompt && s->file.text_prompt) {
        LAY_TRY(lay_tokenizer_encode(s->llm_tokenizer, request->prompt, strlen(request->prompt), false,
                                     prompt, err));
        if (prompt->count > LAY_PROMPT_TOKENS_MAX) {
            prompt->count = LAY_PROMPT_TOKENS_MAX;
            *truncated = true;
        }
        LAY_TRY(check_vocabulary(prompt, s->llm_config.vocab_size, s->file.llm_tokenizer, err));
    }
    return LAY_OK;
}

enum lay_status lay_request_tokens_make(struct lay_system *s, const struct lay_request *requests,
                                        size_t count, struct lay_request_tokens *t, struct lay_err *err)
{
    *t = (struct lay_request_tokens){.count = count};
    t->sources = lay_alloc(count, sizeof *t->sources);
    t->prompts = lay_alloc(count, sizeof *t->prompts);
    t->truncated = lay_alloc(count, sizeof *t->truncated);
    t->ids = lay_alloc(count, sizeof *t->ids);
    if (!t->sources || !t->prompts || !t->truncated || !t->ids)
        return lay_no_memory(err, "token ids");
    for (size_t i = 0; i < count; i++) {
        LAY_TRY(lay_system_tokenize(s, &requests[i], &t->sources[i], &t->prompts[i], &t->truncated[i], err));
        const int64_t n_source = (int64_t)t->sources[i].count;
        t->ids[i] = (struct lay_prompt_ids){t->sources[i].data, n_source, n_source, t->prompts[i].data,
                                            (int64_t)t->prompts[i].count};
    }
    return LAY_OK;
}

void lay_request_tokens_free(struct lay_request_tokens *t)
{
    for (size_t i = 0; i < t->count && t->sources && t->prompts; i++) {
        lay_ids_free(&t->sources[i]);
        lay_ids_free(&t->prompts[i]);
    }
    lay_free(t->sources);
    lay_free(t->prompts);
    lay_free(t->truncated);
    lay_free(t->ids);
    *t = (struct lay_request_tokens){0};
}

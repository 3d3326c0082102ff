/* What Hugging Face puts on top of a SentencePiece model: which tokens stand where, which are special, how a
 * text is prepared. Read from the tokenizer's configuration files, with the defaults of transformers 4.39
 * where they are missing. */
#ifndef LAY_TOKEN_CONVENTION_H
#define LAY_TOKEN_CONVENTION_H

#include "engine/base/err.h"
#include "engine/token/added.h"
#include "engine/token/pipeline.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum lay_convention { LAY_LLAMA, LAY_T5, LAY_XLM_R, LAY_NLLB, LAY_CONVENTION_COUNT };
const char *lay_convention_name(enum lay_convention convention); /* "llama", "t5", "xlm-r", "nllb" */

#define LAY_ADDED_TOKENS_MAX 16384

enum { LAY_NLLB_LANGUAGES = 202 };
/* In the order of the NLLB vocabulary (FAIRSEQ_LANGUAGE_CODES). */
extern const char *const lay_nllb_languages[LAY_NLLB_LANGUAGES];

enum lay_role {
    LAY_ROLE_BOS,
    LAY_ROLE_EOS,
    LAY_ROLE_UNK,
    LAY_ROLE_SEP,
    LAY_ROLE_PAD,
    LAY_ROLE_CLS,
    LAY_ROLE_MASK,
    LAY_ROLE_COUNT
};

/* A token some file declares. */
struct lay_declared_token {
    char *content;
    int64_t id; /* −1: the file gives none */
    struct lay_added_flags flags;
    bool optional; /* a default of ours: only if the vocabulary has it */
};

struct lay_token_config {
    enum lay_convention convention;
    struct lay_pipeline pipeline;
    bool add_bos, add_eos;             /* LLaMA */
    int64_t extra_ids;                 /* T5; −1: not stated */
    char *src_lang;                    /* NLLB; NULL: not stated */
    char *roles[LAY_ROLE_COUNT];       /* content of each special token; NULL: none */
    struct lay_declared_token *tokens; /* in the order they are added; the first mention of a text counts */
    size_t n_tokens, capacity;
};

/* `dir` holds the model file named `model_file` (base name), from which the convention follows when neither
 * tokenizer_config.json nor config.json says. LAY_ERR_INPUT for tokenizers of another kind, by name. */
enum lay_status lay_token_config_read(const char *dir, const char *model_file,
                                      struct lay_token_config *config, struct lay_err *err);
void lay_token_config_free(struct lay_token_config *config);

/* Adds a token to the list unless its text is there already. */
enum lay_status lay_token_config_declare(struct lay_token_config *config, const char *content, int64_t id,
                                         struct lay_added_flags flags, bool optional, struct lay_err *err);

#endif

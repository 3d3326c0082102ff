/* Inside the tokenizer: its parts, shared by opening (tokenizer_open.c) and use (tokenizer.c). */
#ifndef LAY_TOKEN_TOKENIZER_IMPL_H
#define LAY_TOKEN_TOKENIZER_IMPL_H

#include "engine/base/file.h"
#include "engine/base/hash.h"
#include "engine/token/added.h"
#include "engine/token/charsmap.h"
#include "engine/token/convention.h"
#include "engine/token/sp.h"
#include "engine/token/sp_model.h"
#include "engine/token/tokenizer.h"
#include "engine/token/vocab.h"

struct lay_tokenizer {
    struct lay_file_map file;
    struct lay_sp_model model; /* points into file */
    struct lay_charsmap charsmap;
    struct lay_sp *sp;
    struct lay_token_config config;
    struct lay_vocab vocab;
    struct lay_added added;
    int32_t roles[LAY_ROLE_COUNT]; /* ids, −1: none */
    int32_t language;              /* NLLB: the token in front */
    char hash[LAY_HASH_HEX];
};

/* fairseq's numbering: XLM-R and NLLB have ids one higher than the model's. */
static inline bool lay_token_has_offset(const struct lay_tokenizer *t)
{
    return t->config.convention == LAY_XLM_R || t->config.convention == LAY_NLLB;
}

#endif

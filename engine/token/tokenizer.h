/* Tokenizers: SentencePiece models with the conventions Hugging Face puts on top (models.md, Tokenizers).
 *
 * Opened from a model directory: tokenizer.model, spiece.model or sentencepiece.bpe.model, plus
 * tokenizer_config.json, special_tokens_map.json and added_tokens.json where present; the convention
 * (LLaMA, T5, XLM-R, NLLB) follows from tokenizer_class, else from config.json's model_type. */
#ifndef LAY_TOKEN_TOKENIZER_H
#define LAY_TOKEN_TOKENIZER_H

#include "engine/base/err.h"
#include "engine/base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lay_tokenizer;

/* Growing list of ids; {0} to start; free with lay_ids_free. */
struct lay_ids {
    int32_t *data;
    size_t count;
    size_t capacity;
};
enum lay_status lay_ids_push(struct lay_ids *ids, int32_t id, struct lay_err *err);
void lay_ids_free(struct lay_ids *ids);

/* `path`: a model directory, or a SentencePiece model file (its directory's configuration then applies). */
enum lay_status lay_tokenizer_open(const char *path, struct lay_tokenizer **tokenizer, struct lay_err *err);
void lay_tokenizer_close(struct lay_tokenizer *tokenizer); /* accepts NULL */

/* Appends the ids of text (valid UTF-8; special tokens in it are recognised as Hugging Face does). With
 * add_special the tokens the convention puts around a text are added: LLaMA <s> (and </s> only if
 * configured), T5 … </s>, XLM-R <s> … </s>, NLLB [source language] … </s>. */
enum lay_status lay_tokenizer_encode(const struct lay_tokenizer *tokenizer, const char *text, size_t length,
                                     bool add_special, struct lay_ids *ids, struct lay_err *err);

/* NLLB: the code ("ben_Beng") put in front of later texts; LAY_ERR_INPUT if the vocabulary has no such token.
 * No effect on other conventions. */
enum lay_status lay_tokenizer_set_language(struct lay_tokenizer *tokenizer, const char *nllb_code,
                                           struct lay_err *err);

/* Appends the text of ids as Hugging Face's decode(skip_special_tokens=True,
 * clean_up_tokenization_spaces=False): special tokens dropped, the one leading space of SentencePiece's first
 * piece removed, byte pieces joined (invalid UTF-8 becomes U+FFFD). */
enum lay_status lay_tokenizer_decode(const struct lay_tokenizer *tokenizer, const int32_t *ids, size_t count,
                                     struct lay_str *text, struct lay_err *err);

/* The piece as stored ("▁the", "<0x0A>"), "" for an id that has none. Owned by the tokenizer. */
const char *lay_tokenizer_piece(const struct lay_tokenizer *tokenizer, int32_t id);
/* −1 when the vocabulary has no such piece or special token. */
int32_t lay_tokenizer_id(const struct lay_tokenizer *tokenizer, const char *piece);

int32_t lay_tokenizer_bos(const struct lay_tokenizer *tokenizer); /* −1 when the model has none */
int32_t lay_tokenizer_eos(const struct lay_tokenizer *tokenizer);
int32_t lay_tokenizer_pad(const struct lay_tokenizer *tokenizer);
int64_t lay_tokenizer_size(const struct lay_tokenizer *tokenizer); /* largest id + 1 */
const char *
lay_tokenizer_convention(const struct lay_tokenizer *tokenizer); /* "llama", "t5", "xlm-r", "nllb" */

/* XXH3-128 over the vocabulary file, for the manifest: 32 hex digits. Owned by the tokenizer. */
const char *lay_tokenizer_hash(const struct lay_tokenizer *tokenizer);

#endif

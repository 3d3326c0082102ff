/* The vocabulary as Hugging Face numbers it: token texts by id and ids by text. */
#ifndef LAY_TOKEN_VOCAB_H
#define LAY_TOKEN_VOCAB_H

#include "engine/base/err.h"
#include "engine/base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lay_vocab_entry {
    size_t text;     /* offset of a NUL-terminated text in `texts` */
    uint32_t length; /* 0: no token has this id */
    bool special;    /* dropped by decode */
};

struct lay_vocab {
    struct lay_str texts;
    struct lay_vocab_entry *entries; /* [count], by id */
    size_t count, capacity;
    int32_t *slots; /* open addressing over the texts; −1 empty */
    size_t n_slots; /* a power of two, 0 before the first token */
    size_t n_tokens;
};

/* Gives `text` the id `id`, which must be free. A text that has an id already gets the later one, as in
 * Hugging Face's own table. */
enum lay_status lay_vocab_put(struct lay_vocab *vocab, int32_t id, const char *text, size_t length,
                              struct lay_err *err);
/* −1 when there is no such token. */
int32_t lay_vocab_find(const struct lay_vocab *vocab, const char *text, size_t length);
/* The text of an id, "" when it has none; *length may be NULL. */
const char *lay_vocab_text(const struct lay_vocab *vocab, int32_t id, size_t *length);
bool lay_vocab_has(const struct lay_vocab *vocab, int32_t id);
void lay_vocab_free(struct lay_vocab *vocab);

#endif

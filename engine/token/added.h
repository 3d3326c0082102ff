/* Added tokens: texts that are cut out before the model sees what stands between them (`</s>`,
 * `<extra_id_0>`, `fra_Latn`). Follows Hugging Face tokenizers' AddedVocabulary. */
#ifndef LAY_TOKEN_ADDED_H
#define LAY_TOKEN_ADDED_H

#include "engine/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lay_added_flags {
    bool special;     /* dropped by decode */
    bool left_strip;  /* swallows white space in front of it … */
    bool right_strip; /* … and behind it */
    bool single_word; /* only when no word character touches it */
    bool normalized;  /* looked for in the normalised text, in its own normalised form */
};

struct lay_added_token {
    char *content; /* as written in the files */
    char *pattern; /* what is looked for: content, or its normalised form */
    size_t length; /* of the pattern */
    int32_t id;
    struct lay_added_flags flags;
};

struct lay_added {
    struct lay_added_token *tokens;
    size_t count, capacity;
    size_t
        first[257]; /* after lay_added_sort: tokens whose pattern starts with byte b: first[b] … first[b+1] */
};

/* Takes a copy of the texts. `pattern` NULL: the content itself. */
enum lay_status lay_added_put(struct lay_added *added, const char *content, const char *pattern, int32_t id,
                              struct lay_added_flags flags, struct lay_err *err);
/* Orders the tokens for lay_added_next: call once after the last put. */
void lay_added_sort(struct lay_added *added);

/* The leftmost, then longest token of `text` that starts at or after `from` and has the given `normalized`
 * flag. Its extent with swallowed white space (never before `from`) is [*begin, *end). NULL: none. */
const struct lay_added_token *lay_added_next(const struct lay_added *added, bool normalized, const char *text,
                                             size_t length, size_t from, size_t *begin, size_t *end);
void lay_added_free(struct lay_added *added);

#endif

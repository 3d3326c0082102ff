/* What Hugging Face's fast tokenizers do to a text before the model sees words: a few normalising steps, then
 * splitting into words that carry their leading "▁". One table per convention, or what tokenizer.json says.
 */
#ifndef LAY_TOKEN_PIPELINE_H
#define LAY_TOKEN_PIPELINE_H

#include "engine/base/err.h"
#include "engine/base/json.h"
#include "engine/base/str.h"
#include "engine/token/charsmap.h"

#include <stdbool.h>
#include <stddef.h>

#define LAY_MARK "\xE2\x96\x81" /* ▁, SentencePiece's blank */
enum { LAY_MARK_BYTES = 3 };

enum lay_normalize {
    LAY_NORMALIZE_END,
    LAY_NORMALIZE_CHARSMAP,      /* Precompiled */
    LAY_NORMALIZE_STRIP_LEFT,    /* Strip */
    LAY_NORMALIZE_STRIP_RIGHT,   /* Strip */
    LAY_NORMALIZE_RUNS_TO_MARK,  /* Replace " {2,}" by "▁" */
    LAY_NORMALIZE_RUNS_TO_SPACE, /* Replace " {2,}" by " " */
    LAY_NORMALIZE_SPACE_TO_MARK, /* Replace " " by "▁" */
    LAY_NORMALIZE_PREPEND_MARK   /* Prepend "▁", unless the text is empty */
};
#define LAY_NORMALIZE_MAX 8

enum lay_prefix { LAY_PREFIX_NEVER, LAY_PREFIX_FIRST, LAY_PREFIX_ALWAYS };

struct lay_pipeline {
    enum lay_normalize steps[LAY_NORMALIZE_MAX + 1]; /* ends in LAY_NORMALIZE_END */
    bool white_space_split;                          /* WhitespaceSplit before Metaspace */
    bool metaspace;                                  /* Metaspace: " " becomes "▁" … */
    enum lay_prefix prefix; /* … "▁" is put in front unless one stands there … */
    bool words;             /* … and each "▁" starts a word of its own */
};

extern const struct lay_pipeline lay_pipeline_llama, lay_pipeline_spm;

/* Replaces what `normalizer` and `pre_tokenizer` of a tokenizer.json say (either may be NULL: none).
 * A component we do not know is refused by name. */
enum lay_status lay_pipeline_read(const char *where, const cJSON *normalizer, const cJSON *pre_tokenizer,
                                  struct lay_pipeline *pipeline, struct lay_err *err);

/* Appends the normalised text. `scratch` is the caller's, so that a loop reuses its memory. */
enum lay_status lay_pipeline_normalize(const struct lay_pipeline *pipeline, const struct lay_charsmap *map,
                                       const char *text, size_t length, struct lay_str *out,
                                       struct lay_str *scratch, struct lay_err *err);

/* Calls word(context, text, length) for each word of a normalised piece of text; `at_start`: the piece begins
 * where the whole text begins. Stops at the first status that is not LAY_OK and returns it. */
enum lay_status lay_pipeline_split(const struct lay_pipeline *pipeline, const char *text, size_t length,
                                   bool at_start,
                                   enum lay_status (*word)(void *context, const char *text, size_t length,
                                                           struct lay_err *err),
                                   void *context, struct lay_err *err);

#endif

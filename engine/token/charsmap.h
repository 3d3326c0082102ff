/* SentencePiece's precompiled map of characters (NFKC and the like), applied the way Hugging Face's
 * `Precompiled` normaliser does: grapheme by grapheme, not by longest match as SentencePiece itself.
 *
 * The difference is visible where a rule spans several characters: Bengali ে + া inside a longer grapheme is
 * composed by SentencePiece and left alone by the fast tokenizers. Source: spm_precompiled 0.1. */
#ifndef LAY_TOKEN_CHARSMAP_H
#define LAY_TOKEN_CHARSMAP_H

#include "engine/base/err.h"
#include "engine/base/str.h"

#include <stddef.h>

struct lay_charsmap {
    const unsigned char *units; /* n_units little-endian 32-bit units of a darts-clone double array */
    size_t n_units;
    const char *strings; /* NUL-terminated replacements, one behind the other */
    size_t n_strings;    /* bytes, the last one NUL */
};

/* Borrows `bytes`. {0} maps nothing. */
enum lay_status lay_charsmap_open(const char *name, const unsigned char *bytes, size_t size,
                                  struct lay_charsmap *map, struct lay_err *err);

/* Appends the normalised text (valid UTF-8) to `out`; memory trouble is left in `out`. */
void lay_charsmap_apply(const struct lay_charsmap *map, const char *text, size_t length, struct lay_str *out);

#endif

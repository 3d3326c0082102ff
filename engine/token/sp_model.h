/* SentencePiece model files, read by hand: what the Hugging Face conventions need to know of them, and a
 * clean copy for the SentencePiece library, so that no byte of a foreign file reaches its parser.
 *
 * The format is protobuf (sentencepiece_model.proto): pieces with score and type, the trainer's settings, and
 * the normaliser's precompiled map of characters. */
#ifndef LAY_TOKEN_SP_MODEL_H
#define LAY_TOKEN_SP_MODEL_H

#include "engine/base/err.h"
#include "engine/base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LAY_SP_FILE_MAX ((size_t)256 << 20) /* bytes; the largest published model (NLLB, mT5) has 5 MB */
#define LAY_SP_PIECES_MAX 4000000
#define LAY_SP_PIECE_BYTES_MAX 1024

enum lay_sp_type {
    LAY_SP_NORMAL = 1,
    LAY_SP_UNKNOWN = 2,
    LAY_SP_CONTROL = 3,
    LAY_SP_USER_DEFINED = 4,
    LAY_SP_UNUSED = 5,
    LAY_SP_BYTE = 6
};

enum lay_sp_algorithm { LAY_SP_UNIGRAM = 1, LAY_SP_BPE = 2, LAY_SP_WORD = 3, LAY_SP_CHAR = 4 };

struct lay_sp_piece {
    const char *text; /* not NUL-terminated; points into the file's bytes */
    uint32_t length;
    float score;
    enum lay_sp_type type;
};

struct lay_sp_model {
    struct lay_sp_piece *pieces;
    size_t count, capacity;
    enum lay_sp_algorithm algorithm;
    bool byte_fallback;
    int32_t unknown;               /* index of the one piece of type LAY_SP_UNKNOWN */
    const unsigned char *charsmap; /* precompiled_charsmap; NULL when the normaliser is the identity */
    size_t charsmap_size;
};

/* Reads and checks `size` bytes, which must outlive the model. `name` stands for the file in messages.
 * LAY_ERR_INPUT when it is no SentencePiece model or not a sane one. */
enum lay_status lay_sp_model_parse(const char *name, const void *bytes, size_t size,
                                   struct lay_sp_model *model, struct lay_err *err);
void lay_sp_model_free(struct lay_sp_model *model); /* accepts {0} */

/* A model for the library with the same pieces and scores that does no normalisation of its own. With `plain`
 * all pieces but the unknown one are normal ones and there is no byte fallback: how transformers'
 * SpmConverter understands a model (it knows pieces and scores, no types). */
enum lay_status lay_sp_model_write(const struct lay_sp_model *model, bool plain, struct lay_str *out,
                                   struct lay_err *err);

#endif

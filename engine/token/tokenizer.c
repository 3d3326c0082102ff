#include "engine/token/tokenizer.h"

#include "engine/base/mem.h"
#include "engine/base/utf8.h"
#include "engine/token/tokenizer_impl.h"

#include <string.h>

#define LAY_TEXT_MAX ((size_t)64 << 20) /* bytes of one text */

/* --- ids --- */

enum lay_status lay_ids_push(struct lay_ids *ids, int32_t id, struct lay_err *err)
{
    if (!lay_grow((void **)&ids->data, &ids->capacity, ids->count + 1, sizeof *ids->data))
        return lay_no_memory(err, "token ids");
    ids->data[ids->count++] = id;
    return LAY_OK;
}

void lay_ids_free(struct lay_ids *ids)
{
    lay_free(ids->data);
    *ids = (struct lay_ids){0};
}

/* --- encoding --- */

struct encoding {
    const struct lay_tokenizer *tokenizer;
    struct lay_ids *ids;
    struct lay_str normalized, scratch;
};

static int32_t id_of_piece(const struct lay_tokenizer *t, int32_t piece)
{
    static const int32_t unknown[LAY_CONVENTION_COUNT] = {
        [LAY_LLAMA] = 0, [LAY_T5] = -1, [LAY_XLM_R] = 3, [LAY_NLLB] = 3};
    const int32_t unk = unknown[t->config.convention];
    if (piece == t->model.unknown && unk >= 0)
        return unk;
    if (!lay_token_has_offset(t))
        return piece;
    if (piece >= 3)
        return piece + 1;
    const struct lay_sp_piece *text = &t->model.pieces[piece];
    const int32_t id = lay_vocab_find(&t->vocab, text->text, text->length);
    return id >= 0 ? id : unk;
}

static int emit(void *context, int32_t piece)
{
    const struct encoding *encoding = context;
    return lay_ids_push(encoding->ids, id_of_piece(encoding->tokenizer, piece), NULL) == LAY_OK ? 0 : 1;
}

static enum lay_status encode_word(void *context, const char *text, size_t length, struct lay_err *err)
{
    const struct encoding *encoding = context;
    return length ? lay_sp_encode(encoding->tokenizer->sp, text, length, emit, context, err) : LAY_OK;
}

/* Text between added tokens of the first kind: normalised, then searched for those of the second kind. */
static enum lay_status encode_plain(struct encoding *encoding, const char *text, size_t length, bool at_start,
                                    struct lay_err *err)
{
    const struct lay_tokenizer *t = encoding->tokenizer;
    const struct lay_pipeline *pipeline = &t->config.pipeline;
    LAY_TRY(lay_pipeline_normalize(pipeline, &t->charsmap, text, length, &encoding->normalized,
                                   &encoding->scratch, err));
    const char *normalized = lay_str_text(&encoding->normalized);
    size_t from = 0, begin, end;
    const struct lay_added_token *token;
    while ((token = lay_added_next(&t->added, true, normalized, encoding->normalized.length, from, &begin,
                                   &end)) != NULL) {
        LAY_TRY(lay_pipeline_split(pipeline, normalized + from, begin - from, at_start && from == 0,
                                   encode_word, encoding, err));
        LAY_TRY(lay_ids_push(encoding->ids, token->id, err));
        from = end;
    }
    return lay_pipeline_split(pipeline, normalized + from, encoding->normalized.length - from,
                              at_start && from == 0, encode_word, encoding, err);
}

static enum lay_status encode_text(struct encoding *encoding, const char *text, size_t length,
                                   struct lay_err *err)
{
    size_t from = 0, begin, end;
    const struct lay_added_token *token;
    while ((token = lay_added_next(&encoding->tokenizer->added, false, text, length, from, &begin, &end)) !=
           NULL) {
        if (begin > from)
            LAY_TRY(encode_plain(encoding, text + from, begin - from, from == 0, err));
        LAY_TRY(lay_ids_push(encoding->ids, token->id, err));
        from = end;
    }
    return from < length ? encode_plain(encoding, text + from, length - from, from == 0, err) : LAY_OK;
}

static enum lay_status push_optional(struct lay_ids *ids, int32_t id, struct lay_err *err)
{
    return id >= 0 ? lay_ids_push(ids, id, err) : LAY_OK;
}

static int32_t front_token(const struct lay_tokenizer *t)
{
    switch (t->config.convention) {
    case LAY_LLAMA:
        return t->config.add_bos ? t->roles[LAY_ROLE_BOS] : -1;
    case LAY_XLM_R:
        return t->roles[LAY_ROLE_BOS];
    case LAY_NLLB:
        return t->language;
    default:
        return -1;
    }
}

enum lay_status lay_tokenizer_encode(const struct lay_tokenizer *t, const char *text, size_t length,
                                     bool add_special, struct lay_ids *ids, struct lay_err *err)
{
    size_t bad_at;
    if (length > LAY_TEXT_MAX)
        return lay_fail(err, LAY_ERR_INPUT, "a text of %zu bytes is too long to tokenize; the limit is %zu",
                        length, LAY_TEXT_MAX);
    if (!lay_utf8_valid(text, length, &bad_at))
        return lay_fail(err, LAY_ERR_INPUT, "the text to tokenize is no valid UTF-8 at byte %zu", bad_at);
    struct encoding encoding = {.tokenizer = t, .ids = ids};
    enum lay_status status = add_special ? push_optional(ids, front_token(t), err) : LAY_OK;
    if (status == LAY_OK)
        status = encode_text(&encoding, text, length, err);
    const bool add_eos = t->config.convention != LAY_LLAMA || t->config.add_eos;
    if (status == LAY_OK && add_special && add_eos)
        status = lay_ids_push(ids, t->roles[LAY_ROLE_EOS], err);
    lay_str_free(&encoding.normalized);
    lay_str_free(&encoding.scratch);
    return status;
}

enum lay_status lay_tokenizer_set_language(struct lay_tokenizer *t, const char *nllb_code,
                                           struct lay_err *err)
{
    if (t->config.convention != LAY_NLLB)
        return LAY_OK;
    const int32_t id = lay_tokenizer_id(t, nllb_code);
    if (id < 0)
        return lay_fail(err, LAY_ERR_INPUT,
                        "the vocabulary has no language \"%.40s\"; codes look like eng_Latn or ben_Beng",
                        nllb_code);
    t->language = id;
    return LAY_OK;
}

/* --- decoding --- */

/* "<0x0A>" → 10; −1 for anything else. */
static int byte_of(const char *text, size_t length)
{
    static const char digits[] = "0123456789ABCDEF0123456789abcdef";
    if (length != 6 || memcmp(text, "<0x", 3) != 0 || text[5] != '>')
        return -1;
    const char *high = memchr(digits, text[3], 32), *low = memchr(digits, text[4], 32);
    return high && low ? (int)((high - digits) % 16 * 16 + (low - digits) % 16) : -1;
}

/* ByteFallback: a run of bytes that is no valid UTF-8 becomes one U+FFFD per byte, all of it. */
static void flush_bytes(struct lay_str *bytes, struct lay_str *text)
{
    const bool valid = lay_utf8_valid(lay_str_text(bytes), bytes->length, NULL);
    if (valid)
        lay_str_append(text, lay_str_text(bytes), bytes->length);
    for (size_t i = 0; !valid && i < bytes->length; i++)
        lay_str_puts(text, "\xEF\xBF\xBD");
    text->failed |= bytes->failed;
    lay_str_clear(bytes);
}

/* A piece with its marks turned into blanks, or, for `drop`, without them. */
static void put_blanks(const char *piece, size_t length, bool drop, struct lay_str *text)
{
    for (size_t at = 0; at < length;) {
        const bool mark = length - at >= LAY_MARK_BYTES && memcmp(piece + at, LAY_MARK, LAY_MARK_BYTES) == 0;
        if (!mark)
            lay_str_putc(text, piece[at]);
        else if (!drop)
            lay_str_putc(text, ' ');
        at += mark ? LAY_MARK_BYTES : 1;
    }
}

/* By text, as Hugging Face does: a text may stand at two ids. */
static bool is_special(const struct lay_tokenizer *t, const char *piece, size_t length)
{
    const int32_t id = lay_vocab_find(&t->vocab, piece, length);
    return id >= 0 && t->vocab.entries[id].special;
}

/* LLaMA joins byte pieces and strips one blank of the whole; the others drop the first piece's marks. */
enum lay_status lay_tokenizer_decode(const struct lay_tokenizer *t, const int32_t *ids, size_t count,
                                     struct lay_str *text, struct lay_err *err)
{
    const bool is_llama = t->config.convention == LAY_LLAMA;
    struct lay_str out = {0}, bytes = {0};
    bool first = true;
    for (size_t i = 0; i < count; i++) {
        size_t length;
        const char *piece = lay_vocab_text(&t->vocab, ids[i], &length);
        if (length == 0 || is_special(t, piece, length))
            continue;
        const int byte = is_llama ? byte_of(piece, length) : -1;
        if (byte >= 0) {
            lay_str_putc(&bytes, (char)byte);
            continue;
        }
        flush_bytes(&bytes, &out);
        put_blanks(piece, length, first && !is_llama, &out);
        first = false;
    }
    flush_bytes(&bytes, &out);
    const bool strip = is_llama && out.length > 0 && out.data[0] == ' ';
    lay_str_append(text, lay_str_text(&out) + strip, out.length - strip);
    text->failed |= out.failed;
    lay_str_free(&out);
    lay_str_free(&bytes);
    return lay_str_check(text, err);
}

/* --- facts --- */

const char *lay_tokenizer_piece(const struct lay_tokenizer *t, int32_t id)
{
    return lay_vocab_text(&t->vocab, id, NULL);
}

int32_t lay_tokenizer_id(const struct lay_tokenizer *t, const char *piece)
{
    return lay_vocab_find(&t->vocab, piece, strlen(piece));
}

int32_t lay_tokenizer_bos(const struct lay_tokenizer *t)
{
    return t->roles[LAY_ROLE_BOS];
}

int32_t lay_tokenizer_eos(const struct lay_tokenizer *t)
{
    return t->roles[LAY_ROLE_EOS];
}

int32_t lay_tokenizer_pad(const struct lay_tokenizer *t)
{
    return t->roles[LAY_ROLE_PAD];
}

int64_t lay_tokenizer_size(const struct lay_tokenizer *t)
{
    return (int64_t)t->vocab.count;
}

const char *lay_tokenizer_convention(const struct lay_tokenizer *t)
{
    return lay_convention_name(t->config.convention);
}

const char *lay_tokenizer_hash(const struct lay_tokenizer *t)
{
    return t->hash;
}

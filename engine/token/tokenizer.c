#include "engine/token/tokenizer.h"

#include "engine/base/file.h"
#include "engine/base/hash.h"
#include "engine/base/mem.h"
#include "engine/base/utf8.h"
#include "engine/token/added.h"
#include "engine/token/charsmap.h"
#include "engine/token/convention.h"
#include "engine/token/pipeline.h"
#include "engine/token/sp.h"
#include "engine/token/sp_model.h"
#include "engine/token/vocab.h"

#include <string.h>

#define LAY_TEXT_MAX ((size_t)64 << 20) /* bytes of one text */
#define LAY_TOKEN_ID_MAX (1 << 24)

#define MARK "\xE2\x96\x81" /* ▁ */
enum { MARK_BYTES = 3 };

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

/* --- the vocabulary --- */

static enum lay_status put(struct lay_tokenizer *t, int32_t id, const char *text, struct lay_err *err)
{
    return lay_vocab_put(&t->vocab, id, text, strlen(text), err);
}

static bool has_offset(const struct lay_tokenizer *t)
{
    return t->config.convention == LAY_XLM_R || t->config.convention == LAY_NLLB;
}

/* fairseq's numbering (XLM-R, NLLB) puts four tokens of its own in place of the model's first three. LLaMA's
 * converter fixes the names of the first three. */
static enum lay_status put_pieces(struct lay_tokenizer *t, struct lay_err *err)
{
    static const char *const fairseq[] = {"<s>", "<pad>", "</s>", "<unk>"};
    static const char *const llama[] = {"<unk>", "<s>", "</s>"};
    const bool offset = has_offset(t), is_llama = t->config.convention == LAY_LLAMA;
    const size_t skipped = offset || is_llama ? 3 : 0;
    if (t->model.count < skipped)
        return lay_fail(err, LAY_ERR_INPUT, "the SentencePiece model has only %zu pieces", t->model.count);
    for (int32_t i = 0; offset && i < 4; i++)
        LAY_TRY(put(t, i, fairseq[i], err));
    for (int32_t i = 0; is_llama && i < 3; i++)
        LAY_TRY(put(t, i, llama[i], err));
    for (size_t i = skipped; i < t->model.count; i++) {
        const struct lay_sp_piece *piece = &t->model.pieces[i];
        LAY_TRY(lay_vocab_put(&t->vocab, (int32_t)i + offset, piece->text, piece->length, err));
    }
    return LAY_OK;
}

/* T5: <extra_id_99> … <extra_id_0>, 100 of them unless the files say otherwise or the model has its own. */
static enum lay_status put_extra_ids(struct lay_tokenizer *t, struct lay_err *err)
{
    struct lay_str name = {0};
    int64_t n = t->config.extra_ids;
    enum lay_status status = LAY_OK;
    if (n < 0)
        n = lay_tokenizer_id(t, "<extra_id_0>") >= 0 || lay_tokenizer_id(t, MARK "<extra_id_0>") >= 0 ? 0
                                                                                                      : 100;
    const struct lay_added_flags flags = {.special = true};
    for (int64_t i = n - 1; i >= 0 && status == LAY_OK; i--) {
        lay_str_clear(&name);
        lay_str_printf(&name, "<extra_id_%lld>", (long long)i);
        status = lay_str_check(&name, err);
        if (status == LAY_OK)
            status = put(t, (int32_t)t->vocab.count, lay_str_text(&name), err);
        if (status == LAY_OK)
            status = lay_token_config_declare(&t->config, lay_str_text(&name), -1, flags, true, err);
    }
    lay_str_free(&name);
    return status;
}

static enum lay_status put_convention_tokens(struct lay_tokenizer *t, struct lay_err *err)
{
    if (t->config.convention == LAY_T5)
        return put_extra_ids(t, err);
    for (int i = 0; t->config.convention == LAY_NLLB && i < LAY_NLLB_LANGUAGES; i++)
        LAY_TRY(put(t, (int32_t)t->vocab.count, lay_nllb_languages[i], err));
    return has_offset(t) ? put(t, (int32_t)t->vocab.count, "<mask>", err) : LAY_OK;
}

/* What a token that is looked for in normalised text looks like there. */
static enum lay_status normalized_pattern(const struct lay_tokenizer *t, const char *content,
                                          struct lay_str *pattern, struct lay_err *err)
{
    struct lay_str scratch = {0};
    const enum lay_status status = lay_pipeline_normalize(&t->config.pipeline, &t->charsmap, content,
                                                          strlen(content), pattern, &scratch, err);
    lay_str_free(&scratch);
    return status;
}

static enum lay_status add_declared(struct lay_tokenizer *t, const struct lay_declared_token *token,
                                    struct lay_err *err)
{
    int32_t id = lay_tokenizer_id(t, token->content);
    if (id < 0) {
        if (token->optional)
            return LAY_OK;
        const int64_t wanted = token->id < 0 ? (int64_t)t->vocab.count : token->id;
        if (wanted > LAY_TOKEN_ID_MAX || lay_vocab_has(&t->vocab, (int32_t)wanted))
            return lay_fail(err, LAY_ERR_INPUT,
                            "added token \"%.80s\" wants id %lld, which is taken or beyond all reason",
                            token->content, (long long)wanted);
        id = (int32_t)wanted;
        LAY_TRY(put(t, id, token->content, err));
    }
    t->vocab.entries[id].special |= token->flags.special;
    struct lay_str pattern = {0};
    enum lay_status status = LAY_OK;
    if (token->flags.normalized)
        status = normalized_pattern(t, token->content, &pattern, err);
    if (status == LAY_OK)
        status =
            lay_added_put(&t->added, token->content, token->flags.normalized ? lay_str_text(&pattern) : NULL,
                          id, token->flags, err);
    lay_str_free(&pattern);
    return status;
}

/* Tokens with an id of their own come first; those without one are appended behind them. */
static enum lay_status add_all_declared(struct lay_tokenizer *t, struct lay_err *err)
{
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < t->config.n_tokens; i++)
            if ((t->config.tokens[i].id < 0) == pass)
                LAY_TRY(add_declared(t, &t->config.tokens[i], err));
    return LAY_OK;
}

/* What encode puts around a text must exist. */
static enum lay_status find_roles(struct lay_tokenizer *t, struct lay_err *err)
{
    static const struct {
        bool bos, eos;
    } needed[LAY_CONVENTION_COUNT] = {[LAY_LLAMA] = {true, true},
                                      [LAY_T5] = {false, true},
                                      [LAY_XLM_R] = {true, true},
                                      [LAY_NLLB] = {false, true}};
    for (int role = 0; role < LAY_ROLE_COUNT; role++)
        t->roles[role] = t->config.roles[role] ? lay_tokenizer_id(t, t->config.roles[role]) : -1;
    const bool bos = needed[t->config.convention].bos && t->roles[LAY_ROLE_BOS] < 0;
    if (bos || (needed[t->config.convention].eos && t->roles[LAY_ROLE_EOS] < 0))
        return lay_fail(err, LAY_ERR_INPUT, "the vocabulary has no \"%s\", which the %s convention needs",
                        t->config.roles[bos ? LAY_ROLE_BOS : LAY_ROLE_EOS],
                        lay_convention_name(t->config.convention));
    const char *language = t->config.src_lang ? t->config.src_lang : "eng_Latn";
    return t->config.convention == LAY_NLLB ? lay_tokenizer_set_language(t, language, err) : LAY_OK;
}

/* --- opening --- */

/* The model file in a directory; NULL with a message when there is none. */
static char *find_model(const char *dir, struct lay_err *err)
{
    static const char *const names[] = {"tokenizer.model", "spiece.model", "sentencepiece.bpe.model"};
    bool other = false;
    for (int i = 0; i < 5; i++) {
        const char *name = i < 3 ? names[i] : i == 3 ? "tokenizer.json" : "vocab.json";
        char *path = lay_path_join(dir, name);
        if (!path) {
            lay_no_memory(err, "a path");
            return NULL;
        }
        const bool exists = lay_path_exists(path);
        if (exists && i < 3)
            return path;
        other |= exists;
        lay_free(path);
    }
    if (other)
        lay_fail(
            err, LAY_ERR_INPUT,
            "%s: SentencePiece model not found (tokenizer.model, spiece.model or sentencepiece.bpe.model); "
            "byte-level BPE tokenizer.json comes later",
            dir);
    else
        lay_fail(err, LAY_ERR_INPUT,
                 "%s: no tokenizer: expected tokenizer.model, spiece.model or sentencepiece.bpe.model", dir);
    return NULL;
}

static enum lay_status open_model(struct lay_tokenizer *t, const char *path, struct lay_err *err)
{
    struct lay_str proto = {0};
    LAY_TRY(lay_file_map(path, &t->file, err));
    if (t->file.size > LAY_SP_FILE_MAX)
        return lay_fail(err, LAY_ERR_INPUT, "%s: %zu bytes are too many for a SentencePiece model", path,
                        t->file.size);
    LAY_TRY(lay_sp_model_parse(path, t->file.data, t->file.size, &t->model, err));
    LAY_TRY(lay_charsmap_open(path, t->model.charsmap, t->model.charsmap_size, &t->charsmap, err));
    lay_hash_hex(lay_hash_bytes(t->file.data, t->file.size), t->hash);
    enum lay_status status = lay_sp_model_write(&t->model, t->config.convention != LAY_LLAMA, &proto, err);
    if (status == LAY_OK)
        status = lay_sp_open(path, lay_str_text(&proto), proto.length, &t->sp, err);
    lay_str_free(&proto);
    return status;
}

static enum lay_status build(struct lay_tokenizer *t, struct lay_err *err)
{
    LAY_TRY(put_pieces(t, err));
    LAY_TRY(put_convention_tokens(t, err));
    LAY_TRY(add_all_declared(t, err));
    lay_added_sort(&t->added);
    return find_roles(t, err);
}

static enum lay_status open_file(struct lay_tokenizer *t, const char *path, struct lay_err *err)
{
    char *dir = lay_path_dirname(path);
    if (!dir)
        return lay_no_memory(err, path);
    enum lay_status status = lay_token_config_read(dir, lay_path_basename(path), &t->config, err);
    lay_free(dir);
    LAY_TRY(status);
    LAY_TRY(open_model(t, path, err));
    status = build(t, err);
    return status == LAY_OK ? LAY_OK : lay_err_context(err, status, "%s", path);
}

enum lay_status lay_tokenizer_open(const char *path, struct lay_tokenizer **tokenizer, struct lay_err *err)
{
    *tokenizer = NULL;
    if (!lay_path_exists(path))
        return lay_fail(err, LAY_ERR_INPUT, "%s: no such model directory or SentencePiece model", path);
    char *model = lay_path_is_dir(path) ? find_model(path, err) : lay_strdup(path);
    if (!model)
        return lay_path_is_dir(path) ? (err ? err->status : LAY_ERR_INPUT) : lay_no_memory(err, path);
    struct lay_tokenizer *t = lay_alloc(1, sizeof *t);
    enum lay_status status = t ? open_file(t, model, err) : lay_no_memory(err, path);
    if (status == LAY_OK)
        *tokenizer = t;
    else
        lay_tokenizer_close(t);
    lay_free(model);
    return status;
}

void lay_tokenizer_close(struct lay_tokenizer *t)
{
    if (!t)
        return;
    lay_sp_close(t->sp);
    lay_sp_model_free(&t->model);
    lay_file_unmap(&t->file);
    lay_token_config_free(&t->config);
    lay_vocab_free(&t->vocab);
    lay_added_free(&t->added);
    lay_free(t);
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
    if (!has_offset(t))
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
        const bool mark = length - at >= MARK_BYTES && memcmp(piece + at, MARK, MARK_BYTES) == 0;
        if (!mark)
            lay_str_putc(text, piece[at]);
        else if (!drop)
            lay_str_putc(text, ' ');
        at += mark ? MARK_BYTES : 1;
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

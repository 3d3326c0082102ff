/* From files to a tokenizer: which model, which tokens at which ids. */
#include "engine/base/mem.h"
#include "engine/token/tokenizer_impl.h"

#include <string.h>

#define LAY_TOKEN_ID_MAX (1 << 24)

/* --- the vocabulary --- */

static enum lay_status put(struct lay_tokenizer *t, int32_t id, const char *text, struct lay_err *err)
{
    return lay_vocab_put(&t->vocab, id, text, strlen(text), err);
}

/* fairseq's numbering (XLM-R, NLLB) puts four tokens of its own in place of the model's first three. LLaMA's
 * converter fixes the names of the first three. */
static enum lay_status put_pieces(struct lay_tokenizer *t, struct lay_err *err)
{
    static const char *const fairseq[] = {"<s>", "<pad>", "</s>", "<unk>"};
    static const char *const llama[] = {"<unk>", "<s>", "</s>"};
    const bool offset = lay_token_has_offset(t), is_llama = t->config.convention == LAY_LLAMA;
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
        n = lay_tokenizer_id(t, "<extra_id_0>") >= 0 || lay_tokenizer_id(t, LAY_MARK "<extra_id_0>") >= 0
                ? 0
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
    return lay_token_has_offset(t) ? put(t, (int32_t)t->vocab.count, "<mask>", err) : LAY_OK;
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

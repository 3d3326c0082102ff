#include "engine/token/pipeline.h"

#include "engine/base/utf8.h"

#include <string.h>

/* LlamaConverter: no pre-tokenizer, the model sees the text as one word. */
const struct lay_pipeline lay_pipeline_llama = {
    .steps = {LAY_NORMALIZE_PREPEND_MARK, LAY_NORMALIZE_SPACE_TO_MARK},
};

/* SpmConverter: T5, XLM-R, NLLB. */
const struct lay_pipeline lay_pipeline_spm = {
    .steps = {LAY_NORMALIZE_CHARSMAP, LAY_NORMALIZE_STRIP_RIGHT, LAY_NORMALIZE_RUNS_TO_MARK},
    .metaspace = true,
    .prefix = LAY_PREFIX_ALWAYS,
    .words = true,
};

/* --- tokenizer.json --- */

static const char *text_of(const cJSON *object, const char *key)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
    return text ? text : "";
}

static enum lay_status unknown_component(const char *where, const char *kind, const char *type,
                                         struct lay_err *err)
{
    return lay_fail(
        err, LAY_ERR_INPUT,
        "%s: %s \"%s\" is not implemented; without this file the SentencePiece model beside it is "
        "read as transformers 4.39 converts it",
        where, kind, type);
}

static bool push(struct lay_pipeline *pipeline, enum lay_normalize step)
{
    size_t n = 0;
    while (pipeline->steps[n] != LAY_NORMALIZE_END)
        n++;
    if (n == LAY_NORMALIZE_MAX)
        return false;
    pipeline->steps[n] = step;
    pipeline->steps[n + 1] = LAY_NORMALIZE_END;
    return true;
}

/* {"type": "Replace", "pattern": {"String": " "} or {"Regex": " {2,}"}, "content": …} */
static enum lay_normalize replace_step(const cJSON *node)
{
    static const struct {
        const char *kind, *pattern, *content;
        enum lay_normalize step;
    } table[] = {
        {"String", " ", LAY_MARK, LAY_NORMALIZE_SPACE_TO_MARK},
        {"Regex", " {2,}", LAY_MARK, LAY_NORMALIZE_RUNS_TO_MARK},
        {"Regex", " {2,}", " ", LAY_NORMALIZE_RUNS_TO_SPACE},
    };
    const cJSON *pattern = cJSON_GetObjectItemCaseSensitive(node, "pattern");
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strcmp(text_of(pattern, table[i].kind), table[i].pattern) == 0 &&
            strcmp(text_of(node, "content"), table[i].content) == 0)
            return table[i].step;
    return LAY_NORMALIZE_END;
}

static enum lay_status read_normalizer(const char *where, const cJSON *node, struct lay_pipeline *pipeline,
                                       struct lay_err *err)
{
    const char *type = text_of(node, "type");
    bool fine = true;
    if (strcmp(type, "Sequence") == 0) {
        const cJSON *item;
        cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(node, "normalizers"))
        {
            if (strcmp(text_of(item, "type"), "Sequence") == 0)
                return unknown_component(where, "normalizer", "Sequence of Sequences", err);
            LAY_TRY(read_normalizer(where, item, pipeline, err));
        }
        return LAY_OK;
    }
    if (strcmp(type, "Precompiled") == 0)
        fine = push(pipeline, LAY_NORMALIZE_CHARSMAP);
    else if (strcmp(type, "Prepend") == 0 && strcmp(text_of(node, "prepend"), LAY_MARK) == 0)
        fine = push(pipeline, LAY_NORMALIZE_PREPEND_MARK);
    else if (strcmp(type, "Replace") == 0 && replace_step(node) != LAY_NORMALIZE_END)
        fine = push(pipeline, replace_step(node));
    else if (strcmp(type, "Strip") == 0) {
        if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(node, "strip_left")))
            fine = push(pipeline, LAY_NORMALIZE_STRIP_LEFT);
        if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(node, "strip_right")))
            fine = fine && push(pipeline, LAY_NORMALIZE_STRIP_RIGHT);
    } else
        fine = false;
    return fine ? LAY_OK : unknown_component(where, "normalizer", type, err);
}

static enum lay_status read_metaspace(const char *where, const cJSON *node, struct lay_pipeline *pipeline,
                                      struct lay_err *err)
{
    static const char *const schemes[] = {"never", "first", "always"};
    const char *scheme = "always", *replacement = LAY_MARK;
    bool add_prefix = true, split = true;
    LAY_TRY(lay_json_get_string(node, where, "prepend_scheme", &scheme, err));
    LAY_TRY(lay_json_get_string(node, where, "replacement", &replacement, err));
    LAY_TRY(lay_json_get_bool(node, where, "add_prefix_space", &add_prefix, err));
    LAY_TRY(lay_json_get_bool(node, where, "split", &split, err));
    int prefix = 0;
    while (prefix < 3 && strcmp(schemes[prefix], scheme) != 0)
        prefix++;
    if (prefix == 3 || strcmp(replacement, LAY_MARK) != 0)
        return unknown_component(where, "Metaspace", prefix == 3 ? scheme : replacement, err);
    pipeline->metaspace = true;
    pipeline->prefix = add_prefix ? (enum lay_prefix)prefix : LAY_PREFIX_NEVER;
    pipeline->words = split;
    return LAY_OK;
}

static enum lay_status read_pre_tokenizer(const char *where, const cJSON *node, struct lay_pipeline *pipeline,
                                          struct lay_err *err)
{
    const char *type = text_of(node, "type");
    if (strcmp(type, "Metaspace") == 0)
        return read_metaspace(where, node, pipeline, err);
    if (strcmp(type, "WhitespaceSplit") == 0 && !pipeline->metaspace) {
        pipeline->white_space_split = true;
        return LAY_OK;
    }
    if (strcmp(type, "Sequence") != 0)
        return unknown_component(where, "pre_tokenizer", type, err);
    const cJSON *item;
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(node, "pretokenizers"))
    {
        if (strcmp(text_of(item, "type"), "Sequence") == 0)
            return unknown_component(where, "pre_tokenizer", "Sequence of Sequences", err);
        LAY_TRY(read_pre_tokenizer(where, item, pipeline, err));
    }
    return LAY_OK;
}

enum lay_status lay_pipeline_read(const char *where, const cJSON *normalizer, const cJSON *pre_tokenizer,
                                  struct lay_pipeline *pipeline, struct lay_err *err)
{
    *pipeline = (struct lay_pipeline){0};
    if (normalizer && !cJSON_IsNull(normalizer))
        LAY_TRY(read_normalizer(where, normalizer, pipeline, err));
    if (pre_tokenizer && !cJSON_IsNull(pre_tokenizer))
        LAY_TRY(read_pre_tokenizer(where, pre_tokenizer, pipeline, err));
    return LAY_OK;
}

/* --- normalising --- */

/* Rust's char::is_whitespace: Unicode White_Space, without the separators 1c–1f that Python counts in. */
static bool is_white(int32_t c)
{
    return lay_unicode_is_space(c) && !(c >= 0x1c && c <= 0x1f);
}

static size_t skip_white(const char *text, size_t length)
{
    size_t at = 0, next = 0;
    while (at < length && is_white(lay_utf8_next(text, length, &next)))
        at = next;
    return at;
}

static size_t drop_white(const char *text, size_t length)
{
    while (length > 0) {
        size_t start = length - 1;
        while (start > 0 && ((unsigned char)text[start] & 0xC0) == 0x80)
            start--;
        size_t at = start;
        if (!is_white(lay_utf8_next(text, length, &at)))
            break;
        length = start;
    }
    return length;
}

/* Replaces runs of at least `least` blanks by `by`. With least = 1 every blank counts for itself. */
static void replace_blanks(const char *text, size_t length, size_t least, const char *by, struct lay_str *out)
{
    for (size_t at = 0; at < length;) {
        size_t run = 0;
        while (at + run < length && text[at + run] == ' ' && (least > 1 || run < 1))
            run++;
        if (run >= least)
            lay_str_puts(out, by);
        else
            lay_str_append(out, text + at, run ? run : 1);
        at += run ? run : 1;
    }
}

static void apply(enum lay_normalize step, const struct lay_charsmap *map, const char *text, size_t length,
                  struct lay_str *out)
{
    size_t skipped;
    switch (step) {
    case LAY_NORMALIZE_CHARSMAP:
        lay_charsmap_apply(map, text, length, out);
        break;
    case LAY_NORMALIZE_STRIP_LEFT:
        skipped = skip_white(text, length);
        lay_str_append(out, text + skipped, length - skipped);
        break;
    case LAY_NORMALIZE_STRIP_RIGHT:
        lay_str_append(out, text, drop_white(text, length));
        break;
    case LAY_NORMALIZE_RUNS_TO_MARK:
        replace_blanks(text, length, 2, LAY_MARK, out);
        break;
    case LAY_NORMALIZE_RUNS_TO_SPACE:
        replace_blanks(text, length, 2, " ", out);
        break;
    case LAY_NORMALIZE_SPACE_TO_MARK:
        replace_blanks(text, length, 1, LAY_MARK, out);
        break;
    case LAY_NORMALIZE_PREPEND_MARK:
        if (length > 0)
            lay_str_puts(out, LAY_MARK);
        lay_str_append(out, text, length);
        break;
    case LAY_NORMALIZE_END:
        break;
    }
}

enum lay_status lay_pipeline_normalize(const struct lay_pipeline *pipeline, const struct lay_charsmap *map,
                                       const char *text, size_t length, struct lay_str *out,
                                       struct lay_str *scratch, struct lay_err *err)
{
    lay_str_clear(out);
    lay_str_append(out, text, length);
    for (const enum lay_normalize *step = pipeline->steps; *step != LAY_NORMALIZE_END; step++) {
        const struct lay_str input = *out;
        lay_str_clear(scratch);
        apply(*step, map, lay_str_text(&input), input.length, scratch);
        *out = *scratch;
        *scratch = input;
    }
    LAY_TRY(lay_str_check(scratch, err));
    return lay_str_check(out, err);
}

/* --- splitting --- */

typedef enum lay_status word_function(void *context, const char *text, size_t length, struct lay_err *err);

/* Words of a text whose blanks are marks already: each mark starts one. */
static enum lay_status split_marks(const char *text, size_t length, word_function *word, void *context,
                                   struct lay_err *err)
{
    size_t start = 0;
    for (size_t at = 1; at < length; at++) {
        if (length - at < LAY_MARK_BYTES || memcmp(text + at, LAY_MARK, LAY_MARK_BYTES) != 0)
            continue;
        LAY_TRY(word(context, text + start, at - start, err));
        start = at;
    }
    return word(context, text + start, length - start, err);
}

static enum lay_status metaspace(const struct lay_pipeline *pipeline, const char *text, size_t length,
                                 bool at_start, word_function *word, void *context, struct lay_err *err)
{
    struct lay_str marked = {0};
    if (length == 0)
        return LAY_OK;
    if (!pipeline->metaspace)
        return word(context, text, length, err);
    const bool has_mark =
        text[0] == ' ' || (length >= LAY_MARK_BYTES && memcmp(text, LAY_MARK, LAY_MARK_BYTES) == 0);
    if (!has_mark &&
        (pipeline->prefix == LAY_PREFIX_ALWAYS || (pipeline->prefix == LAY_PREFIX_FIRST && at_start)))
        lay_str_puts(&marked, LAY_MARK);
    replace_blanks(text, length, 1, LAY_MARK, &marked);
    enum lay_status status = lay_str_check(&marked, err);
    if (status == LAY_OK && pipeline->words)
        status = split_marks(marked.data, marked.length, word, context, err);
    else if (status == LAY_OK)
        status = word(context, marked.data, marked.length, err);
    lay_str_free(&marked);
    return status;
}

enum lay_status lay_pipeline_split(const struct lay_pipeline *pipeline, const char *text, size_t length,
                                   bool at_start, word_function *word, void *context, struct lay_err *err)
{
    if (!pipeline->white_space_split)
        return metaspace(pipeline, text, length, at_start, word, context, err);
    size_t start = 0;
    for (size_t at = 0; at < length;) {
        size_t next = at;
        const bool white = is_white(lay_utf8_next(text, length, &next));
        if (white) {
            LAY_TRY(
                metaspace(pipeline, text + start, at - start, at_start && start == 0, word, context, err));
            start = next;
        }
        at = next;
    }
    return metaspace(pipeline, text + start, length - start, at_start && start == 0, word, context, err);
}

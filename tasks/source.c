#include "tasks/dataset.h"

#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "engine/base/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum lay_status lay_source_fail(const struct lay_source *source, struct lay_err *err, const char *format, ...)
{
    char reason[LAY_ERR_MESSAGE_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(reason, sizeof reason, format, args);
    va_end(args);
    return lay_fail(err, LAY_ERR_INPUT, "%s:%lld: %s", source->path, (long long)source->line, reason);
}

static bool is_blank(struct lay_line line)
{
    lay_utf8_strip(&line.text, &line.length);
    return line.length == 0;
}

static enum lay_status check_line(const struct lay_source *source, struct lay_line line, struct lay_err *err)
{
    size_t bad_at;
    if (memchr(line.text, 0, line.length))
        return lay_source_fail(source, err, "a NUL byte stands in the line; is this a text file?");
    if (!lay_utf8_valid(line.text, line.length, &bad_at))
        return lay_source_fail(
            source, err, "invalid UTF-8 at byte %zu of the line; convert the file to UTF-8", bad_at + 1);
    return LAY_OK;
}

static enum lay_status next_line(struct lay_source *source, struct lay_line *line, bool *more,
                                 struct lay_err *err)
{
    const char *text = lay_str_text(&source->content);
    if (source->at == 0 && source->content.length >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0)
        source->at = 3;
    *more = source->at < source->content.length;
    if (!*more)
        return LAY_OK;
    const char *begin = text + source->at;
    const size_t left = source->content.length - source->at;
    const char *end = memchr(begin, '\n', left);
    line->text = begin;
    line->length = end ? (size_t)(end - begin) : left;
    source->at += line->length + (end ? 1 : 0);
    source->line++;
    if (line->length && begin[line->length - 1] == '\r')
        line->length--;
    return check_line(source, *line, err);
}

enum lay_status lay_source_line(struct lay_source *source, struct lay_line *line, bool *more,
                                struct lay_err *err)
{
    LAY_TRY(next_line(source, line, more, err));
    if (!*more)
        return LAY_OK;
    if (line->length > LAY_DATA_TEXT_MAX)
        return lay_source_fail(source, err, "a line of %zu bytes; at most %zu are read", line->length,
                               LAY_DATA_TEXT_MAX);
    if (is_blank(*line))
        return lay_source_fail(source, err, "the line is blank; every line must hold an item");
    return LAY_OK;
}

size_t lay_line_split(struct lay_line line, struct lay_line columns[], size_t max)
{
    size_t count = 0;
    for (;;) {
        const char *tab = memchr(line.text, '\t', line.length);
        const size_t length = tab ? (size_t)(tab - line.text) : line.length;
        if (count < max)
            columns[count] = (struct lay_line){line.text, length};
        count++;
        if (!tab)
            return count;
        line.text += length + 1;
        line.length -= length + 1;
    }
}

enum lay_status lay_source_columns(const struct lay_source *source, struct lay_line line, size_t wanted,
                                   struct lay_line columns[], struct lay_err *err)
{
    const size_t found = lay_line_split(line, columns, wanted);
    if (found != wanted)
        return lay_source_fail(source, err, "expected %zu columns, found %zu", wanted, found);
    return LAY_OK;
}

/* cJSON ends a string at an escaped NUL; what stands behind it would be lost without a word. */
static bool has_escaped_nul(struct lay_line line)
{
    for (size_t i = 0; i + 5 < line.length; i++) {
        if (line.text[i] != '\\')
            continue;
        if (memcmp(line.text + i + 1, "u0000", 5) == 0)
            return true;
        i++; /* the escaped character, be it a backslash */
    }
    return false;
}

static enum lay_status parse_object(const struct lay_source *source, struct lay_line line, cJSON **object,
                                    struct lay_err *err)
{
    struct lay_err inner = {0};
    *object = NULL;
    if (has_escaped_nul(line))
        return lay_source_fail(source, err, "\\u0000 stands in a text");
    const enum lay_status status = lay_json_parse("", line.text, line.length, object, &inner);
    if (status == LAY_ERR_INPUT) {
        const char *reason = strstr(inner.message, ": "); /* behind the (empty) name and a line number */
        return lay_source_fail(source, err, "%s", reason ? reason + 2 : inner.message);
    }
    if (status != LAY_OK)
        return lay_fail(err, status, "%s", inner.message);
    if (!cJSON_IsObject(*object)) {
        cJSON_Delete(*object);
        *object = NULL;
        return lay_source_fail(source, err, "a JSON object must stand here");
    }
    return LAY_OK;
}

enum lay_status lay_source_next_object(struct lay_source *source, cJSON **object, struct lay_err *err)
{
    struct lay_line line;
    bool more;
    *object = NULL;
    LAY_TRY(lay_source_line(source, &line, &more, err));
    return more ? parse_object(source, line, object, err) : LAY_OK;
}

enum lay_status lay_source_whole(struct lay_source *source, cJSON **root, struct lay_err *err)
{
    struct lay_line line;
    bool more = true;
    *root = NULL;
    while (more) { /* names the line of invalid UTF-8 and NUL bytes */
        LAY_TRY(next_line(source, &line, &more, err));
        if (more && has_escaped_nul(line))
            return lay_source_fail(source, err, "\\u0000 stands in a text");
    }
    return lay_json_parse(source->path, lay_str_text(&source->content), source->content.length, root, err);
}

enum lay_status lay_source_string(const struct lay_source *source, const cJSON *object, const char *key,
                                  const char **text, struct lay_err *err)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    if (!item)
        return lay_source_fail(source, err, "the key \"%s\" is missing", key);
    if (!cJSON_IsString(item))
        return lay_source_fail(source, err, "\"%s\" must be a string", key);
    if (is_blank(lay_line_of(item->valuestring)))
        return lay_source_fail(source, err, "\"%s\" is empty", key);
    *text = item->valuestring;
    return LAY_OK;
}

/* Takes item. */
static enum lay_status add_math(struct lay_source *source, const struct lay_math_keys *keys, cJSON *item,
                                struct lay_err *err)
{
    const char *question = "", *answer = "";
    enum lay_status status = lay_source_string(source, item, keys->question, &question, err);
    if (status == LAY_OK)
        status = lay_source_string(source, item, keys->answer, &answer, err);
    if (status == LAY_OK)
        status = lay_source_check_number(source, lay_line_of(answer), err);
    if (status == LAY_OK)
        return lay_source_add(source, lay_line_of(question), NULL, lay_line_of(answer), item, err);
    cJSON_Delete(item);
    return status;
}

enum lay_status lay_source_read_math(struct lay_source *source, const struct lay_math_keys *keys,
                                     struct lay_err *err)
{
    for (;;) {
        cJSON *item;
        LAY_TRY(lay_source_next_object(source, &item, err));
        if (!item)
            return LAY_OK;
        LAY_TRY(add_math(source, keys, item, err));
    }
}

struct lay_line lay_line_of(const char *text)
{
    return (struct lay_line){text, strlen(text)};
}

bool lay_doc_put(cJSON *doc, const char *key, struct lay_line text)
{
    char *copy = lay_strndup(text.text, text.length);
    const bool done = copy && cJSON_AddStringToObject(doc, key, copy);
    lay_free(copy);
    return done;
}

static void free_sample(struct lay_sample *sample)
{
    for (size_t i = 0; sample->choices && i < sample->n_choices; i++)
        lay_free(sample->choices[i]);
    lay_free(sample->choices);
    lay_free(sample->question);
    lay_free(sample->second);
    lay_free(sample->target);
    cJSON_Delete(sample->doc);
}

enum lay_status lay_source_add(struct lay_source *source, struct lay_line question, const char *second,
                               struct lay_line target, cJSON *doc, struct lay_err *err)
{
    struct lay_dataset *dataset = source->dataset;
    struct lay_sample sample = {
        .id = (int64_t)dataset->count,
        .question = lay_strndup(question.text, question.length),
        .second = second ? lay_strdup(second) : NULL,
        .target = lay_strndup(target.text, target.length),
        .doc = doc,
    };
    if (!sample.question || !sample.target || !doc || (second && !sample.second) ||
        !lay_grow((void **)&dataset->samples, &source->capacity, dataset->count + 1,
                  sizeof *dataset->samples)) {
        free_sample(&sample);
        return lay_no_memory(err, "data items");
    }
    if (dataset->count == 0)
        dataset->first_line = source->line;
    dataset->samples[dataset->count++] = sample;
    return LAY_OK;
}

enum lay_status lay_source_check_number(const struct lay_source *source, struct lay_line answer,
                                        struct lay_err *err)
{
    for (size_t at = 0; at < answer.length;)
        if (lay_unicode_digit(lay_utf8_next(answer.text, answer.length, &at)) >= 0)
            return LAY_OK;
    return lay_source_fail(source, err, "the answer \"%.*s\" holds no number",
                           answer.length < 64 ? (int)answer.length : 64, answer.text);
}

enum lay_status lay_source_open_beside(struct lay_source *source, const char *name, struct lay_source *other,
                                       struct lay_err *err)
{
    char hex[LAY_HASH_HEX];
    char *dir = lay_path_dirname(source->path);
    *other = (struct lay_source){.dataset = source->dataset};
    other->path = dir ? lay_path_join(dir, name) : NULL;
    lay_free(dir);
    if (!other->path)
        return lay_no_memory(err, "a path");
    LAY_TRY(lay_file_read(other->path, LAY_DATA_FILE_MAX, &other->content, err));
    lay_hash_hex(lay_hash_bytes(lay_str_text(&other->content), other->content.length), hex);
    lay_str_puts(&source->hashes, hex);
    return lay_str_check(&source->hashes, err);
}

void lay_source_close(struct lay_source *source)
{
    lay_str_free(&source->content);
    lay_str_free(&source->hashes);
    lay_free(source->path);
    *source = (struct lay_source){0};
}

void lay_samples_free(struct lay_sample *samples, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free_sample(&samples[i]);
}

void lay_dataset_free(struct lay_dataset *dataset)
{
    if (!dataset)
        return;
    lay_samples_free(dataset->samples, dataset->count);
    lay_free(dataset->samples);
    lay_free(dataset->file);
    lay_free(dataset);
}

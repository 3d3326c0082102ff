#include "tasks/parallel.h"

#include "engine/base/mem.h"

#include <stdio.h>
#include <string.h>

/* --- languages --- */

/* By ISO code, alias, English name or NLLB code. */
static const struct lay_language *known_language(const char *name)
{
    const struct lay_language *language = lay_language_find(name);
    for (size_t i = 0; !language && i < lay_language_count(); i++)
        if (strcmp(lay_language_at(i)->nllb, name) == 0)
            language = lay_language_at(i);
    return language;
}

/* "yor_Latn" */
static bool looks_like_nllb(const char *name)
{
    return strlen(name) == 8 && strspn(name, "abcdefghijklmnopqrstuvwxyz") == 3 && name[3] == '_' &&
           name[4] >= 'A' && name[4] <= 'Z' && strspn(name + 5, "abcdefghijklmnopqrstuvwxyz") == 3;
}

static bool script_runs_right_to_left(const char *nllb)
{
    static const char *const scripts[] = {"Arab", "Hebr", "Syrc", "Thaa", "Nkoo"};
    for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++)
        if (strcmp(nllb + 4, scripts[i]) == 0)
            return true;
    return false;
}

static enum lay_status name_language(struct lay_parallel_language *language, const char *name,
                                     const char *where, struct lay_err *err)
{
    const struct lay_language *known = known_language(name);
    if (known) {
        snprintf(language->code, sizeof language->code, "%s", known->iso);
        snprintf(language->name, sizeof language->name, "%s", known->name);
        snprintf(language->nllb, sizeof language->nllb, "%s", known->nllb);
        language->right_to_left = known->right_to_left;
        return LAY_OK;
    }
    const size_t length = strlen(name);
    if (length == 0 || length >= sizeof language->code ||
        strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") != length)
        return lay_fail(err, LAY_ERR_INPUT,
                        "%s: \"%.40s\" is no language; codes are letters, digits, _ and -, at most %zu",
                        where, name, sizeof language->code - 1);
    snprintf(language->code, sizeof language->code, "%s", name);
    snprintf(language->name, sizeof language->name, "%s", name);
    if (looks_like_nllb(name)) {
        snprintf(language->nllb, sizeof language->nllb, "%s", name);
        language->right_to_left = script_runs_right_to_left(name);
    }
    return LAY_OK;
}

enum lay_status lay_parallel_add_language(struct lay_parallel *parallel, const char *name, const char *where,
                                          struct lay_err *err)
{
    if (!parallel->languages)
        parallel->languages = lay_alloc(LAY_PARALLEL_LANGUAGES_MAX, sizeof *parallel->languages);
    if (!parallel->languages)
        return lay_no_memory(err, "parallel sentences");
    if (parallel->n_languages == LAY_PARALLEL_LANGUAGES_MAX)
        return lay_fail(err, LAY_ERR_INPUT, "%s: more than %d languages; choose some with --lang", where,
                        LAY_PARALLEL_LANGUAGES_MAX);
    struct lay_parallel_language *language = &parallel->languages[parallel->n_languages];
    *language = (struct lay_parallel_language){.count = 0};
    LAY_TRY(name_language(language, name, where, err));
    if (lay_parallel_find(parallel, language->code) < parallel->n_languages)
        return lay_fail(err, LAY_ERR_INPUT, "%s: %s (%s) is there twice", where, language->name,
                        language->code);
    parallel->n_languages++;
    return LAY_OK;
}

bool lay_parallel_is(const struct lay_parallel_language *language, const char *name)
{
    const struct lay_language *known = known_language(name);
    return strcmp(language->code, known ? known->iso : name) == 0;
}

size_t lay_parallel_find(const struct lay_parallel *parallel, const char *name)
{
    size_t i = 0;
    while (i < parallel->n_languages && !lay_parallel_is(&parallel->languages[i], name))
        i++;
    return i;
}

/* --- texts --- */

enum lay_status lay_parallel_add_text(struct lay_parallel_language *language, const char *text, size_t length,
                                      struct lay_err *err)
{
    char *copy = lay_strndup(text, length);
    if (!copy || !lay_grow((void **)&language->texts, &language->capacity, language->count + 1,
                           sizeof *language->texts)) {
        lay_free(copy);
        return lay_no_memory(err, "parallel sentences");
    }
    language->texts[language->count++] = copy;
    return LAY_OK;
}

static void free_texts(struct lay_parallel_language *language)
{
    for (size_t i = 0; i < language->count; i++)
        lay_free(language->texts[i]);
    lay_free(language->texts);
}

void lay_parallel_drop_language(struct lay_parallel *parallel)
{
    free_texts(&parallel->languages[--parallel->n_languages]);
}

void lay_parallel_free(struct lay_parallel *parallel)
{
    for (size_t i = 0; i < parallel->n_languages; i++)
        free_texts(&parallel->languages[i]);
    lay_free(parallel->languages);
    lay_str_free(&parallel->about);
    *parallel = (struct lay_parallel){0};
}

/* --- reading --- */

/* English to the front, the others keep their order. */
static enum lay_status english_first(struct lay_parallel *parallel, struct lay_err *err)
{
    const size_t english = lay_parallel_find(parallel, "en");
    if (english == parallel->n_languages)
        return lay_fail(err, LAY_ERR_INPUT, "%s: there is no English, with which languages are compared",
                        lay_str_text(&parallel->about));
    const struct lay_parallel_language kept = parallel->languages[english];
    memmove(parallel->languages + 1, parallel->languages, english * sizeof kept);
    parallel->languages[0] = kept;
    return LAY_OK;
}

static enum lay_status check(struct lay_parallel *parallel, struct lay_err *err)
{
    const char *about = lay_str_text(&parallel->about);
    const struct lay_parallel_language *english = &parallel->languages[0];
    if (parallel->n_languages < 2)
        return lay_fail(err, LAY_ERR_INPUT, "%s: there is no language beside English", about);
    for (size_t i = 1; i < parallel->n_languages; i++)
        if (parallel->languages[i].count != english->count)
            return lay_fail(err, LAY_ERR_INPUT,
                            "%s: %zu sentences in English, but %zu in %s; the rows must be translations of "
                            "each other",
                            about, english->count, parallel->languages[i].count, parallel->languages[i].name);
    if (english->count == 0)
        return lay_fail(err, LAY_ERR_INPUT, "%s: there are no sentences", about);
    parallel->count = english->count;
    return LAY_OK;
}

/* A hash over the hashes of all codes and texts. */
static enum lay_status hash(struct lay_parallel *parallel, struct lay_err *err)
{
    const size_t per_language = parallel->count + 1;
    struct lay_hash *hashes = lay_alloc(parallel->n_languages * per_language, sizeof *hashes);
    if (!hashes)
        return lay_no_memory(err, "parallel sentences");
    for (size_t i = 0; i < parallel->n_languages; i++) {
        const struct lay_parallel_language *language = &parallel->languages[i];
        struct lay_hash *at = hashes + i * per_language;
        *at++ = lay_hash_bytes(language->code, strlen(language->code));
        for (size_t s = 0; s < parallel->count; s++)
            *at++ = lay_hash_bytes(language->texts[s], strlen(language->texts[s]));
    }
    lay_hash_hex(lay_hash_bytes(hashes, parallel->n_languages * per_language * sizeof *hashes),
                 parallel->hash);
    lay_free(hashes);
    return LAY_OK;
}

enum lay_status lay_parallel_read(const struct lay_parallel_options *options, struct lay_parallel *parallel,
                                  struct lay_err *err)
{
    *parallel = (struct lay_parallel){0};
    if (options->json)
        LAY_TRY(lay_parallel_read_json(options, parallel, err));
    else if (options->flores)
        LAY_TRY(lay_parallel_read_flores(options, parallel, err));
    else
        LAY_TRY(lay_parallel_read_tasks(options, parallel, err));
    LAY_TRY(lay_str_check(&parallel->about, err));
    LAY_TRY(english_first(parallel, err));
    LAY_TRY(check(parallel, err));
    return hash(parallel, err);
}

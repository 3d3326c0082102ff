/* Shared by the tokenizer tests: model directories made on the spot, where the real data lie. */
#ifndef LAY_TESTS_TOKEN_SUPPORT_H
#define LAY_TESTS_TOKEN_SUPPORT_H

#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "engine/base/str.h"
#include "engine/token/tokenizer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* The folder with real data and golden cases, or NULL when it is absent. */
static inline const char *shared_dir(void)
{
    const char *dir = getenv("LAYEVAL_SHARED");
    if (!dir || !*dir)
        dir = "../shared";
    if (lay_path_is_dir(dir))
        return dir;
    print_message("skipped: no real data at %s (set LAYEVAL_SHARED)\n", dir);
    return NULL;
}

static inline char *make_temp_dir(void)
{
    char name[] = "/tmp/layeval-token-XXXXXX";
    assert_non_null(mkdtemp(name));
    return lay_strdup(name);
}

static inline void remove_dir(char *path)
{
    struct lay_dir dir;
    struct lay_err err = {0};
    if (lay_dir_list(path, &dir, &err) == LAY_OK) {
        for (size_t i = 0; i < dir.count; i++) {
            char *file = lay_path_join(path, dir.names[i]);
            unlink(file);
            lay_free(file);
        }
        lay_dir_free(&dir);
    }
    rmdir(path);
    lay_free(path);
}

static inline void put_file(const char *dir, const char *name, const char *bytes, size_t length)
{
    struct lay_err err = {0};
    char *path = lay_path_join(dir, name);
    if (lay_file_write(path, bytes, length, &err) != LAY_OK)
        fail_msg("%s", err.message);
    lay_free(path);
}

static inline void put_text(const char *dir, const char *name, const char *text)
{
    put_file(dir, name, text, strlen(text));
}

/* A directory with one model file under another name. */
static inline char *make_model_dir(const char *model, const char *name)
{
    struct lay_err err = {0};
    struct lay_str content = {0};
    if (lay_file_read(model, (size_t)1 << 26, &content, &err) != LAY_OK)
        fail_msg("%s", err.message);
    char *dir = make_temp_dir();
    put_file(dir, name, lay_str_text(&content), content.length);
    lay_str_free(&content);
    return dir;
}

static inline struct lay_tokenizer *open_or_fail(const char *path)
{
    struct lay_err err = {0};
    struct lay_tokenizer *tokenizer;
    if (lay_tokenizer_open(path, &tokenizer, &err) != LAY_OK)
        fail_msg("%s", err.message);
    return tokenizer;
}

static inline struct lay_ids encode(const struct lay_tokenizer *tokenizer, const char *text, bool special)
{
    struct lay_err err = {0};
    struct lay_ids ids = {0};
    if (lay_tokenizer_encode(tokenizer, text, strlen(text), special, &ids, &err) != LAY_OK)
        fail_msg("%s", err.message);
    return ids;
}

static inline void assert_ids(const struct lay_ids *ids, const int32_t *expected, size_t count,
                              const char *what)
{
    bool same = ids->count == count;
    for (size_t i = 0; same && i < count; i++)
        same = ids->data[i] == expected[i];
    if (same)
        return;
    struct lay_str message = {0};
    lay_str_printf(&message, "%s\n  expected", what);
    for (size_t i = 0; i < count; i++)
        lay_str_printf(&message, " %d", expected[i]);
    lay_str_puts(&message, "\n  got     ");
    for (size_t i = 0; i < ids->count; i++)
        lay_str_printf(&message, " %d", ids->data[i]);
    fail_msg("%s", lay_str_text(&message));
}

/* assert_encoded(tokenizer, "text", true, 1, 2, 3) */
#define assert_encoded(tokenizer, text, special, ...)                                                        \
    do {                                                                                                     \
        const int32_t expected_[] = {__VA_ARGS__};                                                           \
        struct lay_ids got_ = encode(tokenizer, text, special);                                              \
        assert_ids(&got_, expected_, sizeof expected_ / sizeof *expected_, text);                            \
        lay_ids_free(&got_);                                                                                 \
    } while (0)

static inline void assert_decoded(const struct lay_tokenizer *tokenizer, const int32_t *ids, size_t count,
                                  const char *expected)
{
    struct lay_err err = {0};
    struct lay_str text = {0};
    if (lay_tokenizer_decode(tokenizer, ids, count, &text, &err) != LAY_OK)
        fail_msg("%s", err.message);
    assert_string_equal(lay_str_text(&text), expected);
    lay_str_free(&text);
}

#endif

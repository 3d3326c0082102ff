/* Parallel sentences from outside: the first byte chooses the reader, the rest is its file; of a pair of
 * files the English one stands behind a byte 0x1E. What is accepted has as many whole texts in every
 * language. */
#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "tasks/parallel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { JSON, FLORES, TASKS, N_READERS, SEPARATOR = 0x1E };

/* Files in `root`; english NULL: one file for all. */
static const struct {
    const char *file, *english;
} files[N_READERS] = {
    {"pairs.jsonl", NULL}, {"deu_Latn.dev", "eng_Latn.dev"}, {"mgsm/mgsm_de.tsv", "mgsm/mgsm_en.tsv"}};

static char root[] = "/tmp/layeval-fuzz-XXXXXX";
static char *paths[N_READERS][2]; /* of files: the language's, the English one */
static char *folder;              /* that of the benchmark */

static void clean_up(void)
{
    for (int i = 0; i < N_READERS; i++)
        for (int english = 0; english < 2; english++) {
            if (paths[i][english])
                unlink(paths[i][english]);
            lay_free(paths[i][english]);
        }
    rmdir(folder);
    rmdir(root);
    lay_free(folder);
}

static void prepare(void)
{
    struct lay_err err = {0};
    if (folder)
        return;
    if (!mkdtemp(root) || lay_languages_load(NULL, &err) != LAY_OK)
        abort();
    folder = lay_path_join(root, "mgsm");
    if (!folder || lay_mkdirs(folder, &err) != LAY_OK)
        abort();
    for (int i = 0; i < N_READERS; i++) {
        paths[i][0] = lay_path_join(root, files[i].file);
        paths[i][1] = files[i].english ? lay_path_join(root, files[i].english) : NULL;
    }
    atexit(clean_up);
}

static void put(const char *path, const uint8_t *bytes, size_t size)
{
    FILE *file = path ? fopen(path, "wb") : NULL;
    if (!file || fwrite(bytes, 1, size, file) != size || fclose(file) != 0)
        abort();
}

static void check(const struct lay_parallel *parallel)
{
    if (parallel->n_languages < 2 || parallel->count == 0 || strcmp(parallel->languages[0].code, "en") != 0)
        abort();
    for (size_t i = 0; i < parallel->n_languages; i++) {
        const struct lay_parallel_language *language = &parallel->languages[i];
        if (language->count != parallel->count || lay_parallel_find(parallel, language->code) != i)
            abort();
        for (size_t s = 0; s < language->count; s++)
            if (!language->texts[s][0] || strlen(language->texts[s]) > (size_t)1 << 20)
                abort();
    }
}

/* All languages there are, or German and at most two sentences. */
static void read_back(int reader, bool chosen)
{
    static const char *const german[] = {"de"};
    struct lay_parallel parallel;
    struct lay_err err = {0};
    const struct lay_parallel_options options = {.json = reader == JSON ? paths[JSON][0] : NULL,
                                                 .flores = reader == FLORES ? root : NULL,
                                                 .split = "dev",
                                                 .data_dir = root,
                                                 .languages = german,
                                                 .n_languages = chosen,
                                                 .limit = chosen ? 2 : 0};
    const enum lay_status status = lay_parallel_read(&options, &parallel, &err);
    if (status != LAY_OK && status != LAY_ERR_INPUT)
        abort();
    if (status == LAY_OK)
        check(&parallel);
    else if (!err.message[0] || strchr(err.message, '\n'))
        abort();
    if (status == LAY_OK && chosen && (parallel.count > 2 || parallel.n_languages != 2))
        abort();
    lay_parallel_free(&parallel);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    prepare();
    if (size == 0)
        return 0;
    const int reader = data[0] % N_READERS;
    const uint8_t *content = data + 1;
    size_t length = size - 1;
    if (paths[reader][1]) {
        const uint8_t *separator = memchr(content, SEPARATOR, length);
        const size_t first = separator ? (size_t)(separator - content) : length;
        const size_t behind = first + (separator != NULL);
        put(paths[reader][1], content + behind, length - behind);
        length = first;
    }
    put(paths[reader][0], content, length);
    read_back(reader, false);
    read_back(reader, true);
    return 0;
}

/* Training data from outside: the first byte chooses the reader, the rest is its file; of a pair of files the
 * English one stands behind a byte 0x1E. Accepted items must be whole. */
#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "tasks/train_data.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SEPARATOR = 0x1E };

/* Where each reader's file lies; NULL: JSON lines by name. */
static const struct {
    const char *task, *folder, *file, *beside;
} readers[] = {
    {"translation", "en-de", "train_100k.de", "train_100k.en"},
    {"mgsm", NULL, "metamath_615k.json", NULL},
    {"x-csqa", "x-csqa", "train_de.jsonl", NULL},
    {"xnli", NULL, "xnli_dev.json", NULL},
    {NULL, NULL, "train.jsonl", NULL},
};
enum { N_READERS = sizeof readers / sizeof *readers };

static char root[] = "/tmp/layeval-fuzz-XXXXXX";
static struct lay_prompt_set *prompts;

static char *path_of(size_t reader, const char *name)
{
    char *folder = lay_path_join(root, readers[reader].folder ? readers[reader].folder : ".");
    char *path = folder ? lay_path_join(folder, name) : NULL;
    if (!path)
        abort();
    lay_free(folder);
    return path;
}

static void clean_up(void)
{
    for (size_t i = 0; i < N_READERS; i++) {
        char *path = path_of(i, readers[i].file), *folder = lay_path_dirname(path);
        unlink(path);
        lay_free(path);
        path = readers[i].beside ? path_of(i, readers[i].beside) : NULL;
        if (path)
            unlink(path);
        if (readers[i].folder)
            rmdir(folder);
        lay_free(path);
        lay_free(folder);
    }
    rmdir(root);
    lay_prompt_set_close(prompts);
}

static void prepare(void)
{
    static bool ready;
    struct lay_err err = {0};
    if (ready)
        return;
    if (!mkdtemp(root) || lay_languages_load(NULL, &err) != LAY_OK ||
        lay_prompt_set_open(NULL, "mindmerger", &prompts, &err) != LAY_OK)
        abort();
    for (size_t i = 0; i < N_READERS; i++) {
        char *path = path_of(i, readers[i].file), *folder = lay_path_dirname(path);
        if (lay_mkdirs(folder, &err) != LAY_OK)
            abort();
        lay_free(folder);
        lay_free(path);
    }
    atexit(clean_up);
    ready = true;
}

static void put(size_t reader, const char *name, const uint8_t *bytes, size_t size)
{
    char *path = path_of(reader, name);
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(bytes, 1, size, file) != size || fclose(file) != 0)
        abort();
    lay_free(path);
}

static void check(const struct lay_train_set *set, enum lay_status status)
{
    size_t items = 0;
    for (int32_t i = 0; i < set->n_files; i++)
        items += set->files[i].items;
    if (status == LAY_OK && (set->count == 0 || items != set->count))
        abort();
    for (size_t i = 0; i < set->count && status == LAY_OK; i++) {
        const struct lay_train_item *item = &set->items[i];
        char name[200];
        if (!item->target || item->line < 1 || item->file < 0 || item->file >= set->n_files ||
            !*lay_train_item_name(set, item, name, sizeof name))
            abort();
    }
}

static enum lay_status read_set(size_t reader, bool limited, struct lay_train_set *set, struct lay_err *err)
{
    const struct lay_language *german = lay_language_find("de");
    const struct lay_train_data_options options = {.languages = limited ? &german : NULL,
                                                   .n_languages = limited ? 1 : 0,
                                                   .limit = limited ? 2 : 0,
                                                   .prompts = prompts,
                                                   .text_prompt = true};
    if (readers[reader].task)
        return lay_train_data_read(set, readers[reader].task, root, &options, err);
    char *path = path_of(reader, readers[reader].file);
    const enum lay_status status = lay_train_data_read_lines(set, path, &options, err);
    lay_free(path);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    prepare();
    if (size == 0)
        return 0;
    const size_t reader = data[0] % N_READERS;
    const uint8_t *content = data + 1, *separator = NULL;
    size_t length = size - 1;
    if (readers[reader].beside) {
        separator = memchr(content, SEPARATOR, length);
        const size_t first = separator ? (size_t)(separator - content) : length;
        put(reader, readers[reader].beside, content + first + (separator != NULL),
            length - first - (separator != NULL));
        length = first;
    }
    put(reader, readers[reader].file, content, length);
    for (int limited = 0; limited < 2; limited++) {
        static struct lay_train_set set;
        struct lay_err err = {0};
        const enum lay_status status = read_set(reader, limited, &set, &err);
        if (status != LAY_OK && status != LAY_ERR_INPUT)
            abort();
        if (status == LAY_ERR_INPUT && (!err.message[0] || strchr(err.message, '\n')))
            abort();
        check(&set, status);
        lay_train_set_free(&set);
    }
    return 0;
}

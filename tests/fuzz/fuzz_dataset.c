/* Data files from outside: the first byte chooses one of all tasks' layouts, the rest is the file. What
 * stands behind a byte 0x1E is the labels file beside it. Accepted items must be whole. */
#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "tasks/dataset.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char folder[] = "/tmp/layeval-fuzz-XXXXXX";

static void clean_up(void)
{
    char *path = lay_path_join(folder, "test.labels.tsv");
    unlink(path);
    rmdir(folder);
    lay_free(path);
}

static void prepare(void)
{
    static bool ready;
    struct lay_err err = {0};
    if (ready)
        return;
    if (!mkdtemp(folder) || lay_languages_load(NULL, &err) != LAY_OK)
        abort();
    atexit(clean_up);
    ready = true;
}

static const struct lay_layout *choose(size_t number, const struct lay_task **task)
{
    size_t total = 0;
    for (size_t i = 0; i < lay_task_count(); i++)
        total += lay_task_at(i)->n_layouts;
    if (total == 0)
        abort();
    number %= total;
    for (size_t i = 0;; i++) {
        *task = lay_task_at(i);
        if (number < (*task)->n_layouts)
            return &(*task)->layouts[number];
        number -= (*task)->n_layouts;
    }
}

static void put_labels(const uint8_t *bytes, size_t size)
{
    char *path = lay_path_join(folder, "test.labels.tsv");
    FILE *file = path ? fopen(path, "wb") : NULL;
    if (!file || fwrite(bytes, 1, size, file) != size || fclose(file) != 0)
        abort();
    lay_free(path);
}

static void check(const struct lay_dataset *dataset)
{
    for (size_t i = 0; i < dataset->count; i++) {
        const struct lay_sample *sample = &dataset->samples[i];
        if (!sample->question || !sample->target || !sample->doc || sample->id != (int64_t)i)
            abort();
        if ((dataset->task->kind == LAY_TASK_LABEL) != (sample->second != NULL))
            abort();
        if (dataset->task->kind == LAY_TASK_CHOICE && (sample->n_choices < 2 || !sample->choices[0]))
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct lay_err err = {0};
    const struct lay_task *task;
    prepare();
    if (size == 0)
        return 0;
    const struct lay_layout *layout = choose(data[0], &task);
    const uint8_t *separator = memchr(data + 1, 0x1E, size - 1);
    const size_t length = separator ? (size_t)(separator - data) - 1 : size - 1;
    struct lay_dataset *dataset = lay_alloc(1, sizeof *dataset);
    struct lay_source source = {.dataset = dataset, .path = lay_path_join(folder, "data")};
    if (!dataset || !source.path)
        abort();
    dataset->task = task;
    dataset->language = lay_language_find("en");
    lay_str_append(&source.content, (const char *)data + 1, length);
    if (separator)
        put_labels(separator + 1, size - length - 2);
    const enum lay_status status = layout->read(&source, &err);
    if (status != LAY_OK && status != LAY_ERR_INPUT)
        abort();
    check(dataset);
    lay_source_close(&source);
    lay_dataset_free(dataset);
    return 0;
}

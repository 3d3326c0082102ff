/* Prompt sets from outside: opened, and rendered for every task when they are accepted. */
#include "engine/base/file.h"
#include "tasks/prompt.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void render(const struct lay_prompt_set *set, const struct lay_task *task)
{
    char *choices[] = {(char[]){"x"}, (char[]){"{stem}"}};
    const struct lay_sample sample = {
        .question = (char[]){"q"}, .second = (char[]){"s"}, .choices = choices, .n_choices = 2};
    struct lay_str encoder = {0}, prompt = {0};
    struct lay_err err = {0};
    bool has_prompt;
    size_t count;
    if (lay_prompt_render(set, task, lay_language_find("en"), &sample, &encoder, &prompt, &has_prompt,
                          &err) == LAY_OK &&
        !has_prompt && prompt.length > 0)
        abort();
    lay_prompt_stops(set, task, lay_language_find("en"), &count);
    lay_str_free(&encoder);
    lay_str_free(&prompt);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct lay_prompt_set *set;
    struct lay_err err = {0};
    char path[64];
    const int fd = memfd_create("prompts", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size || lay_languages_load(NULL, &err) != LAY_OK)
        abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    const enum lay_status status = lay_prompt_set_open(NULL, path, &set, &err);
    if (status != LAY_OK && status != LAY_ERR_INPUT)
        abort();
    for (size_t i = 0; status == LAY_OK && i < lay_task_count(); i++)
        render(set, lay_task_at(i));
    lay_prompt_set_close(set);
    close(fd);
    return 0;
}

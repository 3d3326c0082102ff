/* Lines of another engine's answers, from a file that cannot be trusted, to scored records. */
#include "harness/run/generations.h"
#include "harness/run/results.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const tasks[] = {"mgsm", "x-csqa", "xnli"};
    struct lay_generations_options options = {.match = LAY_MATCH_TOLERANCE};
    struct lay_journal journal;
    struct lay_system_result result;
    struct lay_err err = {0};
    size_t other_filters;
    cJSON *manifest;
    char path[64];
    const int fd = memfd_create("generations", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size || lay_languages_load(NULL, &err) != LAY_OK)
        abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    options.file = path;
    options.language = lay_language_find("en");
    for (size_t i = 0; i < sizeof tasks / sizeof *tasks; i++) {
        if (lay_task_find(tasks[i], &options.task, &err) != LAY_OK)
            abort();
        if (lay_generations_read(&options, &journal, &manifest, &other_filters, &err) != LAY_OK)
            break;
        if (lay_results_collect(&journal, manifest, options.match, &result, &err) == LAY_OK)
            lay_system_result_free(&result);
        lay_journal_free(&journal);
        cJSON_Delete(manifest);
    }
    close(fd);
    return 0;
}

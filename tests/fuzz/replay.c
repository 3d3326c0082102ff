/* Runs a fuzz target over every file of a corpus directory and over cut and flipped variants of each: a check
 * that needs no fuzzing engine. */
#include "engine/base/file.h"
#include "engine/base/mem.h"

#include <stdio.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void replay(const char *bytes, size_t length)
{
    uint64_t state = 0x9e3779b97f4a7c15u ^ length;
    LLVMFuzzerTestOneInput((const uint8_t *)bytes, length);
    for (int round = 0; round < 200 && length > 0; round++) {
        const size_t cut = round % 4 == 0 ? next_random(&state) % length : length;
        uint8_t *copy = lay_alloc(cut ? cut : 1, 1);
        if (!copy)
            return;
        memcpy(copy, bytes, cut);
        for (int flips = 0; cut && flips < 1 + round % 5; flips++)
            copy[next_random(&state) % cut] = (uint8_t)next_random(&state);
        LLVMFuzzerTestOneInput(copy, cut);
        lay_free(copy);
    }
}

int main(int argc, char **argv)
{
    struct lay_dir dir;
    struct lay_err err = {0};
    if (argc != 2 || lay_dir_list(argv[1], &dir, &err) != LAY_OK || dir.count == 0) {
        fprintf(stderr, "no corpus: %s\n", err.message);
        return 1;
    }
    for (size_t i = 0; i < dir.count; i++) {
        struct lay_str content = {0};
        char *path = lay_path_join(argv[1], dir.names[i]);
        if (!path || lay_file_read(path, (size_t)1 << 26, &content, &err) != LAY_OK) {
            fprintf(stderr, "%s\n", err.message);
            return 1;
        }
        replay(lay_str_text(&content), content.length);
        lay_str_free(&content);
        lay_free(path);
    }
    printf("%zu inputs, %zu variants\n", dir.count, dir.count * 200);
    lay_dir_free(&dir);
    return 0;
}

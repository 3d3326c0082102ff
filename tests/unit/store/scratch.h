/* A temporary directory and safetensors files in it. */
#ifndef LAY_TESTS_STORE_SCRATCH_H
#define LAY_TESTS_STORE_SCRATCH_H

#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "engine/store/safetensors_write.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct scratch {
    char dir[64];
    char path[128]; /* of the last name asked for */
};

static inline void scratch_open(struct scratch *scratch)
{
    strcpy(scratch->dir, "/tmp/layeval-test-XXXXXX");
    if (!mkdtemp(scratch->dir))
        abort();
}

static inline const char *scratch_path(struct scratch *scratch, const char *name)
{
    snprintf(scratch->path, sizeof scratch->path, "%s/%s", scratch->dir, name);
    return scratch->path;
}

static inline void scratch_close(struct scratch *scratch)
{
    struct lay_dir dir;
    if (lay_dir_list(scratch->dir, &dir, NULL) != LAY_OK)
        return;
    for (size_t i = 0; i < dir.count; i++)
        unlink(scratch_path(scratch, dir.names[i]));
    lay_dir_free(&dir);
    rmdir(scratch->dir);
}

/* Writes one tensor per spec; `data` holds their bytes one after the other. */
static inline enum lay_status scratch_write(const char *path, const struct lay_tensor_spec *specs, size_t n,
                                            const void *data, size_t bytes, struct lay_err *err)
{
    struct lay_safetensors_writer *writer;
    LAY_TRY(lay_safetensors_create(path, specs, n, &writer, err));
    const enum lay_status status = lay_safetensors_put(writer, data, bytes, err);
    if (status == LAY_OK)
        return lay_safetensors_finish(writer, err);
    lay_safetensors_abort(writer);
    return status;
}

#endif

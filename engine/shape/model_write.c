#include "engine/shape/model_write.h"

#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/base/mem.h"
#include "engine/store/safetensors_write.h"

#include <stdio.h>
#include <string.h>

#define BLOCK ((size_t)1 << 18) /* elements */

struct writing {
    const struct lay_model_write *job;
    const struct lay_shape_tensors *tensors;
    struct lay_tensor_spec *specs;
    size_t *shard_of; /* per tensor */
    size_t n_shards, total, done;
    float *values; /* BLOCK */
    void *packed;  /* BLOCK of job->dtype */
};

static size_t tensor_bytes(const struct writing *w, size_t i)
{
    return w->tensors->items[i].count * lay_dtype_size(w->job->dtype);
}

static void assign_shards(struct writing *w)
{
    size_t filled = 0;
    w->n_shards = 1;
    for (size_t i = 0; i < w->tensors->count; i++) {
        const size_t bytes = tensor_bytes(w, i);
        if (w->job->shard_bytes && filled && filled + bytes > w->job->shard_bytes) {
            w->n_shards++;
            filled = 0;
        }
        filled += bytes;
        w->total += bytes;
        w->shard_of[i] = w->n_shards - 1;
    }
}

static void shard_name(const struct writing *w, size_t shard, char name[64])
{
    if (w->n_shards == 1)
        snprintf(name, 64, "model.safetensors");
    else
        snprintf(name, 64, "model-%05zu-of-%05zu.safetensors", shard + 1, w->n_shards);
}

static enum lay_status put_tensor(struct writing *w, struct lay_safetensors_writer *writer,
                                  const struct lay_shape_tensor *tensor, struct lay_err *err)
{
    const size_t size = lay_dtype_size(w->job->dtype);
    for (size_t at = 0; at < tensor->count; at += BLOCK) {
        const size_t n = tensor->count - at < BLOCK ? tensor->count - at : BLOCK;
        lay_shape_fill(w->job->seed, tensor, at, n, w->values);
        lay_from_f32(w->job->dtype, w->values, w->packed, n);
        LAY_TRY(lay_safetensors_put(writer, w->packed, n * size, err));
        w->done += n * size;
        if (w->job->progress && w->job->progress(w->job->context, w->done, w->total))
            return lay_fail(err, LAY_ERR_INTERRUPTED, "%s: stopped; no file was left half-written",
                            w->job->dir);
    }
    return LAY_OK;
}

/* Tensors [first, end) are shard number `shard`. */
static enum lay_status write_shard(struct writing *w, size_t shard, size_t first, size_t end,
                                   struct lay_err *err)
{
    char name[64];
    struct lay_safetensors_writer *writer;
    shard_name(w, shard, name);
    char *path = lay_path_join(w->job->dir, name);
    if (!path)
        return lay_no_memory(err, "a path");
    enum lay_status status = lay_safetensors_create(path, w->specs + first, end - first, &writer, err);
    lay_free(path);
    LAY_TRY(status);
    for (size_t i = first; i < end && status == LAY_OK; i++)
        status = put_tensor(w, writer, &w->tensors->items[i], err);
    if (status == LAY_OK)
        return lay_safetensors_finish(writer, err);
    lay_safetensors_abort(writer);
    return status;
}

static enum lay_status write_index(const struct writing *w, struct lay_err *err)
{
    char name[64];
    struct lay_str text = {0};
    lay_str_printf(&text, "{\n  \"metadata\": {\n    \"total_size\": %zu\n  },\n  \"weight_map\": {",
                   w->total);
    for (size_t i = 0; i < w->tensors->count; i++) {
        shard_name(w, w->shard_of[i], name);
        lay_str_puts(&text, i ? ",\n    " : "\n    ");
        lay_json_put_string(&text, w->tensors->items[i].name, strlen(w->tensors->items[i].name));
        lay_str_printf(&text, ": \"%s\"", name);
    }
    lay_str_puts(&text, "\n  }\n}\n");
    const enum lay_status status = lay_file_write_in(w->job->dir, "model.safetensors.index.json", &text, err);
    lay_str_free(&text);
    return status;
}

static enum lay_status write_shards(struct writing *w, struct lay_err *err)
{
    size_t first = 0;
    for (size_t shard = 0; shard < w->n_shards; shard++) {
        size_t end = first;
        while (end < w->tensors->count && w->shard_of[end] == shard)
            end++;
        LAY_TRY(write_shard(w, shard, first, end, err));
        first = end;
    }
    return w->n_shards > 1 ? write_index(w, err) : LAY_OK;
}

static void make_specs(struct writing *w)
{
    for (size_t i = 0; i < w->tensors->count; i++) {
        const struct lay_shape_tensor *tensor = &w->tensors->items[i];
        w->specs[i] =
            (struct lay_tensor_spec){.name = tensor->name, .dtype = w->job->dtype, .rank = tensor->rank};
        memcpy(w->specs[i].shape, tensor->shape, sizeof tensor->shape);
    }
}

enum lay_status lay_model_write_weights(const struct lay_model_write *job,
                                        const struct lay_shape_tensors *tensors, struct lay_err *err)
{
    struct writing w = {
        .job = job,
        .tensors = tensors,
        .specs = lay_alloc(tensors->count, sizeof *w.specs),
        .shard_of = lay_alloc(tensors->count, sizeof *w.shard_of),
        .values = lay_alloc_aligned(BLOCK, sizeof *w.values),
        .packed = lay_alloc_aligned(BLOCK, sizeof *w.values),
    };
    enum lay_status status = LAY_OK;
    if (!w.specs || !w.shard_of || !w.values || !w.packed)
        status = lay_no_memory(err, "a model");
    if (status == LAY_OK) {
        make_specs(&w);
        assign_shards(&w);
        status = write_shards(&w, err);
    }
    lay_free(w.specs);
    lay_free(w.shard_of);
    lay_free(w.values);
    lay_free(w.packed);
    return status;
}

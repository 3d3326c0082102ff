#include "engine/store/weights.h"

#include "engine/base/mem.h"
#include "engine/base/str.h"
#include "engine/store/scan.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define NAME_MAX_LENGTH 1024 /* bytes of a tensor name with its prefix; longer ones are not found */

struct source {
    const struct lay_checkpoint *checkpoint;
    char *prefix, *from, *to; /* from and to may be NULL */
};

/* A tensor that was read and checked. */
struct reading {
    char *name; /* as looked up */
    const struct lay_tensor *tensor;
    struct lay_hash hash; /* of the data */
};

struct lay_weights {
    struct source sources[LAY_WEIGHTS_MAX_SOURCES];
    size_t n_sources;
    struct reading *readings; /* in order of name */
    size_t n_readings, capacity;
    struct lay_tensor_digest *digest;
    void (*heard)(void *context, size_t elements); /* NULL: nobody listens */
    void *heard_context;
    const struct lay_packed *packed;
    struct lay_packed_writer *writer;
};

enum lay_status lay_weights_create(struct lay_weights **weights, struct lay_err *err)
{
    *weights = lay_alloc(1, sizeof **weights);
    if (!*weights)
        return lay_no_memory(err, "weights");
    const enum lay_status status = lay_tensor_digest_create(&(*weights)->digest, err);
    if (status != LAY_OK) {
        lay_free(*weights);
        *weights = NULL;
    }
    return status;
}

static void source_free(struct source *source)
{
    lay_free(source->prefix);
    lay_free(source->from);
    lay_free(source->to);
}

void lay_weights_destroy(struct lay_weights *weights)
{
    if (!weights)
        return;
    for (size_t i = 0; i < weights->n_sources; i++)
        source_free(&weights->sources[i]);
    for (size_t i = 0; i < weights->n_readings; i++)
        lay_free(weights->readings[i].name);
    lay_free(weights->readings);
    lay_tensor_digest_destroy(weights->digest);
    lay_free(weights);
}

enum lay_status lay_weights_add(struct lay_weights *weights, const struct lay_checkpoint *checkpoint,
                                const char *prefix, const char *from, const char *to, struct lay_err *err)
{
    if (weights->n_sources == LAY_WEIGHTS_MAX_SOURCES)
        return lay_fail(err, LAY_ERR_INTERNAL, "more than %d sources of weights", LAY_WEIGHTS_MAX_SOURCES);
    struct source source = {
        .checkpoint = checkpoint,
        .prefix = lay_strdup(prefix ? prefix : ""),
        .from = from ? lay_strdup(from) : NULL,
        .to = to ? lay_strdup(to) : NULL,
    };
    if (!source.prefix || (from && !source.from) || (to && !source.to)) {
        source_free(&source);
        return lay_no_memory(err, "weights");
    }
    weights->sources[weights->n_sources++] = source;
    return LAY_OK;
}

/* The name inside the source's checkpoint; false when it does not fit. */
static bool name_in_source(const struct source *source, const char *name, char *full)
{
    const char *at = source->from ? strstr(name, source->from) : NULL;
    const int length = at ? snprintf(full, NAME_MAX_LENGTH, "%s%.*s%s%s", source->prefix, (int)(at - name),
                                     name, source->to, at + strlen(source->from))
                          : snprintf(full, NAME_MAX_LENGTH, "%s%s", source->prefix, name);
    return length >= 0 && length < NAME_MAX_LENGTH;
}

const struct lay_tensor *lay_weights_find(const struct lay_weights *weights, const char *name)
{
    char full[NAME_MAX_LENGTH];
    for (size_t i = 0; i < weights->n_sources; i++) {
        const struct source *source = &weights->sources[i];
        const struct lay_tensor *tensor =
            name_in_source(source, name, full) ? lay_checkpoint_find(source->checkpoint, full) : NULL;
        if (tensor)
            return tensor;
    }
    return NULL;
}

/* Where `name` stands or would stand among the readings. */
static size_t reading_position(const struct lay_weights *weights, const char *name, bool *there)
{
    size_t low = 0, high = weights->n_readings;
    *there = false;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const int order = strcmp(weights->readings[middle].name, name);
        if (order == 0) {
            *there = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void lay_weights_heard(struct lay_weights *weights, size_t elements)
{
    if (weights->heard)
        weights->heard(weights->heard_context, elements);
}

static enum lay_status read_once(struct lay_weights *weights, const char *name,
                                 const struct lay_tensor *tensor, struct lay_err *err)
{
    bool there;
    struct reading reading = {.tensor = tensor};
    const size_t at = reading_position(weights, name, &there);
    if (there || weights->packed)
        return LAY_OK;
    if (tensor->maker)
        tensor->maker->make(tensor->maker->context, tensor);
    LAY_TRY(lay_tensor_scan(tensor, true, &reading.hash, err));
    reading.name = lay_strdup(name);
    if (!reading.name ||
        !lay_grow((void **)&weights->readings, &weights->capacity, weights->n_readings + 1, sizeof reading)) {
        lay_free(reading.name);
        return lay_no_memory(err, "weights");
    }
    memmove(&weights->readings[at + 1], &weights->readings[at],
            (weights->n_readings - at) * sizeof *weights->readings);
    weights->readings[at] = reading;
    weights->n_readings++;
    lay_weights_heard(weights, tensor->count);
    return LAY_OK;
}

static enum lay_status missing(const struct lay_weights *weights, const char *name, struct lay_err *err)
{
    char full[NAME_MAX_LENGTH];
    struct lay_str places = {0};
    for (size_t i = 0; i < weights->n_sources; i++)
        if (name_in_source(&weights->sources[i], name, full))
            lay_str_printf(&places, "%s\"%s\" in %s", i ? ", " : "", full,
                           lay_checkpoint_path(weights->sources[i].checkpoint));
    const enum lay_status status = lay_fail(
        err, LAY_ERR_INPUT,
        "tensor \"%s\" is missing: the checkpoint is incomplete or of another model, download it again or "
        "name the right one (looked for %s)",
        name, places.length ? lay_str_text(&places) : "it nowhere: no checkpoint was given");
    lay_str_free(&places);
    return status;
}

static bool shape_fits(const struct lay_tensor *tensor, int rank, const int64_t *shape)
{
    bool fits = tensor->rank == rank;
    for (int i = 0; fits && i < rank; i++)
        fits = shape[i] < 0 || shape[i] == tensor->shape[i];
    return fits;
}

static enum lay_status wrong_shape(const struct lay_tensor *tensor, int rank, const int64_t *shape,
                                   struct lay_err *err)
{
    char has[256];
    struct lay_str wanted = {0};
    for (int i = 0; i < rank; i++) {
        lay_str_puts(&wanted, i ? ", " : "");
        if (shape[i] < 0)
            lay_str_puts(&wanted, "any");
        else
            lay_str_printf(&wanted, "%lld", (long long)shape[i]);
    }
    const enum lay_status status = lay_fail(
        err, LAY_ERR_INPUT,
        "%s: tensor \"%s\" has the shape %s where [%s] belongs; config.json and weights must be of one model",
        tensor->file, tensor->name, lay_tensor_shape_text(tensor, has, sizeof has), lay_str_text(&wanted));
    lay_str_free(&wanted);
    return status;
}

enum lay_status lay_weights_get(struct lay_weights *weights, const char *name, int rank, const int64_t *shape,
                                const struct lay_tensor **tensor, struct lay_err *err)
{
    const struct lay_tensor *found = lay_weights_find(weights, name);
    *tensor = NULL;
    if (!found)
        return missing(weights, name, err);
    if (!shape_fits(found, rank, shape))
        return wrong_shape(found, rank, shape, err);
    if (!lay_dtype_is_floating(found->dtype))
        return lay_fail(err, LAY_ERR_INPUT,
                        "%s: tensor \"%s\" holds %s where floating-point numbers belong; convert it to F32, "
                        "F16 or BF16",
                        found->file, found->name, lay_dtype_name(found->dtype));
    LAY_TRY(read_once(weights, name, found, err));
    *tensor = found;
    return LAY_OK;
}

void lay_weights_listen(struct lay_weights *weights, void (*heard)(void *context, size_t elements),
                        void *context)
{
    weights->heard = heard;
    weights->heard_context = context;
}

enum lay_status lay_weights_vector(struct lay_weights *weights, const char *name, int64_t length,
                                   float **vector, struct lay_err *err)
{
    const struct lay_tensor *tensor;
    *vector = NULL;
    LAY_TRY(lay_weights_get(weights, name, 1, &length, &tensor, err));
    assert(tensor);
    float *copy = lay_alloc_aligned(tensor->count, sizeof *copy);
    if (!copy)
        return lay_no_memory(err, name);
    const enum lay_status status = lay_tensor_to_f32(tensor, copy, err);
    if (status != LAY_OK) {
        lay_free(copy);
        return status;
    }
    *vector = copy;
    return LAY_OK;
}

enum lay_status lay_weights_identity(const struct lay_weights *weights, struct lay_str *text,
                                     struct lay_err *err)
{
    for (size_t i = 0; i < weights->n_sources; i++) {
        const struct source *source = &weights->sources[i];
        lay_str_printf(text, "source \"%s\" \"%s\" \"%s\"\n", source->prefix,
                       source->from ? source->from : "", source->to ? source->to : "");
        LAY_TRY(lay_checkpoint_identity(source->checkpoint, text, err));
    }
    return lay_str_check(text, err);
}

void lay_weights_use(struct lay_weights *weights, const struct lay_packed *packed,
                     struct lay_packed_writer *writer)
{
    weights->packed = packed;
    weights->writer = writer;
}

const struct lay_packed *lay_weights_packed(const struct lay_weights *weights)
{
    return weights->packed;
}

struct lay_packed_writer *lay_weights_writer(const struct lay_weights *weights)
{
    return weights->writer;
}

struct lay_hash lay_weights_fingerprint(const struct lay_weights *weights)
{
    if (weights->packed)
        return lay_packed_fingerprint(weights->packed);
    for (size_t i = 0; i < weights->n_readings; i++)
        lay_tensor_digest_add(weights->digest, weights->readings[i].name, weights->readings[i].tensor,
                              weights->readings[i].hash);
    return lay_tensor_digest_finish(weights->digest);
}

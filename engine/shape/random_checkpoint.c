#include "engine/shape/random_checkpoint.h"

#include "engine/base/clock.h"
#include "engine/base/mem.h"

#include <stdlib.h>
#include <string.h>

#define BLOCK ((size_t)1 << 14) /* elements converted at a time; they stay in the cache */

struct generator {
    struct lay_shape_tensors tensors; /* in order of name; owned */
    uint64_t seed;
    double *seconds;
};

static int by_name(const void *name, const void *tensor)
{
    return strcmp(name, ((const struct lay_shape_tensor *)tensor)->name);
}

static void make(void *context, const struct lay_tensor *tensor)
{
    const struct generator *g = context;
    const struct lay_shape_tensor *shape =
        bsearch(tensor->name, g->tensors.items, g->tensors.count, sizeof *g->tensors.items, by_name);
    const double start = lay_clock_now();
    float values[BLOCK];
    char *dst = (char *)(uintptr_t)tensor->data;
    for (size_t at = 0; shape && at < tensor->count; at += BLOCK) {
        const size_t n = tensor->count - at < BLOCK ? tensor->count - at : BLOCK;
        lay_shape_fill(g->seed, shape, at, n, values);
        lay_from_f32(tensor->dtype, values, dst + at * lay_dtype_size(tensor->dtype), n);
    }
    if (g->seconds)
        *g->seconds += lay_clock_now() - start;
}

/* Tables are looked up for as long as the model lives. */
static bool keeps(void *context, const struct lay_tensor *tensor)
{
    (void)context;
    return strstr(tensor->name, "embed") || strstr(tensor->name, "shared.");
}

static void destroy(void *context)
{
    struct generator *g = context;
    lay_shape_tensors_free(&g->tensors);
    lay_free(g);
}

static struct generator *generator_create(const struct lay_shape_tensors *tensors)
{
    struct generator *g = lay_alloc(1, sizeof *g);
    if (!g)
        return NULL;
    g->tensors.items = lay_alloc(tensors->count, sizeof *g->tensors.items);
    if (!g->tensors.items) {
        lay_free(g);
        return NULL;
    }
    memcpy(g->tensors.items, tensors->items, tensors->count * sizeof *tensors->items);
    g->tensors.count = tensors->count;
    return g;
}

enum lay_status lay_checkpoint_random(const char *name, const struct lay_shape_tensors *tensors,
                                      uint64_t seed, enum lay_dtype dtype, double *make_seconds,
                                      struct lay_checkpoint **checkpoint, struct lay_err *err)
{
    *checkpoint = NULL;
    struct generator *g = generator_create(tensors);
    struct lay_tensor *list = lay_alloc(tensors->count, sizeof *list);
    if (!g || !list) {
        if (g)
            destroy(g);
        lay_free(list);
        return lay_no_memory(err, name);
    }
    g->seed = seed;
    g->seconds = make_seconds;
    for (size_t i = 0; i < tensors->count; i++) {
        const struct lay_shape_tensor *t = &tensors->items[i];
        list[i] = (struct lay_tensor){.name = t->name, .dtype = dtype, .rank = t->rank};
        memcpy(list[i].shape, t->shape, sizeof t->shape);
    }
    const struct lay_tensor_maker maker = {make, keeps, destroy, g};
    const enum lay_status status = lay_checkpoint_make(name, list, tensors->count, &maker, checkpoint, err);
    lay_free(list);
    return status;
}

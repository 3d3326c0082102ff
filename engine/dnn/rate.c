#include "engine/dnn/rate.h"

#include "engine/base/clock.h"
#include "engine/base/mem.h"
#include "engine/base/memory_info.h"
#include "engine/dnn/internal.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define POOL_MIN ((size_t)64 << 20)
#define POOL_MAX ((size_t)1 << 30) /* where nothing else is said */
#define POOL_STEP ((size_t)16 << 20)
#define PATTERN 4096   /* elements after which the pool repeats */
#define LAYOUT_ROWS 32 /* as in linear.c */
#define MIN_CALLS 6    /* of a product, however long it takes */
#define MEMORY_ROUNDS 5

struct lay_rates {
    struct lay_dnn *dnn;
    enum lay_dtype compute;
    size_t most; /* bytes of the pool, beside those of one product */
    struct lay_scratch pool;
    struct lay_scratch x, y;
    struct lay_linear **shells; /* layers without weights of their own, one per shape */
    size_t n_shells, capacity;
    double *times; /* of the calls that are being measured */
    size_t times_capacity;
};

/* Numbers in (-1, 1), in bf16 where bytes are wanted: any bytes will do as int8. */
static void fill(enum lay_dtype dtype, char *memory, size_t bytes)
{
    dtype = dtype == LAY_I8 ? LAY_BF16 : dtype;
    float values[PATTERN];
    char pattern[PATTERN * sizeof(float)];
    uint32_t state = 1;
    for (size_t i = 0; i < PATTERN; i++) {
        state = state * 1664525u + 1013904223u;
        values[i] = (float)((int32_t)(state >> 8) - (1 << 23)) / (float)(1 << 23);
    }
    lay_from_f32(dtype, values, pattern, PATTERN);
    const size_t step = PATTERN * lay_dtype_size(dtype);
    for (size_t at = 0; at < bytes; at += step)
        memcpy(memory + at, pattern, bytes - at < step ? bytes - at : step);
}

/* Twice the last-level cache stands between two uses of the same weights, as far as there is memory; with
 * room for other layers, because a pool that grows is filled anew. */
static size_t pool_bytes(size_t most, size_t weights)
{
    const long cache = sysconf(_SC_LEVEL3_CACHE_SIZE);
    size_t bytes = cache > 0 ? 2 * (size_t)cache : POOL_MIN;
    const size_t free_bytes = lay_memory_available() / 4;
    bytes = bytes > free_bytes ? free_bytes : bytes;
    bytes = bytes < POOL_MIN ? POOL_MIN : bytes;
    return (bytes > most ? most : bytes) + (weights + POOL_STEP - 1) / POOL_STEP * POOL_STEP;
}

static enum lay_status grow_pool(struct lay_rates *rates, size_t weights, struct lay_err *err)
{
    const size_t bytes = pool_bytes(rates->most, weights);
    if (bytes <= rates->pool.bytes)
        return LAY_OK;
    LAY_TRY(lay_scratch_reserve(&rates->pool, bytes, "measuring rates", err));
    fill(rates->compute, rates->pool.data, bytes);
    return LAY_OK;
}

enum lay_status lay_rates_create(struct lay_dnn *dnn, enum lay_dtype compute, size_t pool,
                                 struct lay_rates **rates, struct lay_err *err)
{
    struct lay_rates *r = lay_alloc(1, sizeof *r);
    *rates = NULL;
    if (!r)
        return lay_no_memory(err, "measuring rates");
    r->dnn = dnn;
    r->compute = compute;
    r->most = pool > 0 ? pool : POOL_MAX;
    *rates = r;
    return LAY_OK;
}

void lay_rates_rest(struct lay_rates *rates)
{
    lay_scratch_free(&rates->pool);
    lay_scratch_free(&rates->x);
    lay_scratch_free(&rates->y);
}

void lay_rates_destroy(struct lay_rates *rates)
{
    if (!rates)
        return;
    lay_rates_rest(rates);
    for (size_t i = 0; i < rates->n_shells; i++)
        lay_linear_destroy(rates->shells[i]);
    lay_free(rates->shells);
    lay_free(rates->times);
    lay_free(rates);
}

/* One way of multiplying, on weights of which `bytes` are packed. */
struct way {
    enum lay_status (*run)(const struct way *way, const char *weights, struct lay_err *err);
    struct lay_rates *rates;
    size_t bytes;
    int64_t rows;
    const struct lay_linear *layer;
    const struct lay_product *product;
};

static enum lay_status run_layer(const struct way *way, const char *weights, struct lay_err *err)
{
    struct lay_linear layer = *way->layer;
    layer.packed = (char *)(uintptr_t)weights;
    return lay_linear_forward(&layer, (const float *)(void *)way->rates->x.data,
                              (float *)(void *)way->rates->y.data, way->rows, false, err);
}

static enum lay_status run_library(const struct way *way, const char *weights, struct lay_err *err)
{
    struct lay_dnn *dnn = way->rates->dnn;
    return lay_dnn_check(lay_product_run(way->product, dnn->engine, dnn->stream, way->rates->x.data, weights,
                                         NULL, (float *)(void *)way->rates->y.data, dnn->pad.data),
                         "a product", err);
}

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Seconds of a call. */
struct calls {
    double best, median;
};

static enum lay_status time_many(const struct way *way, double budget, struct calls *calls,
                                 struct lay_err *err)
{
    struct lay_rates *rates = way->rates;
    const size_t step = (way->bytes + LAY_ALIGNMENT - 1) / LAY_ALIGNMENT * LAY_ALIGNMENT;
    const double start = lay_clock_now();
    size_t at = 0, n = 0;
    for (; n < MIN_CALLS || lay_clock_now() - start < budget; n++) {
        if (!lay_grow((void **)&rates->times, &rates->times_capacity, n + 1, sizeof *rates->times))
            return lay_no_memory(err, "measuring rates");
        const double begin = lay_clock_now();
        LAY_TRY(way->run(way, rates->pool.data + at, err));
        rates->times[n] = lay_clock_now() - begin;
        at = at + 2 * step <= rates->pool.bytes ? at + step : 0;
    }
    qsort(rates->times, n, sizeof *rates->times, by_size);
    *calls = (struct calls){rates->times[0], rates->times[n / 2]};
    return LAY_OK;
}

/* A layer of that shape whose packed weights are dropped: the pool's stand in for them. */
static enum lay_status shell_of(struct lay_rates *rates, int64_t in, int64_t out,
                                const struct lay_linear **shell, struct lay_err *err)
{
    const enum lay_dtype stored = rates->compute == LAY_F32 ? LAY_F32 : LAY_BF16;
    const struct lay_matrix part = {rates->pool.data, stored, out, in, false};
    for (size_t i = 0; i < rates->n_shells; i++)
        if (rates->shells[i]->in == in && rates->shells[i]->out == out) {
            *shell = rates->shells[i];
            return LAY_OK;
        }
    if (!lay_grow((void **)&rates->shells, &rates->capacity, rates->n_shells + 1, sizeof *rates->shells))
        return lay_no_memory(err, "measuring rates");
    struct lay_linear **layer = &rates->shells[rates->n_shells];
    LAY_TRY(lay_linear_create(rates->dnn, rates->compute, &part, 1, NULL, layer, err));
    rates->n_shells++;
    lay_free((*layer)->memory);
    (*layer)->memory = (*layer)->packed = NULL;
    *shell = *layer;
    return LAY_OK;
}

static enum lay_status measure_layer(struct way *way, int64_t in, int64_t out, double budget,
                                     struct calls *calls, struct lay_err *err)
{
    LAY_TRY(shell_of(way->rates, in, out, &way->layer, err));
    way->bytes = way->layer->bytes;
    way->run = run_layer;
    fill(LAY_F32, way->rates->x.data, (size_t)(way->rows * in) * sizeof(float));
    LAY_TRY(grow_pool(way->rates, way->bytes, err));
    return time_many(way, budget, calls, err);
}

static enum lay_status measure_library(struct way *way, int64_t in, int64_t out, double budget,
                                       struct calls *calls, struct lay_err *err)
{
    struct lay_dnn *dnn = way->rates->dnn;
    char kernel[LAY_KERNEL_NAME];
    const enum lay_dtype compute = way->rates->compute;
    struct lay_product key = {.type = compute == LAY_I8     ? dnnl_u8
                                      : compute == LAY_BF16 ? dnnl_bf16
                                                            : dnnl_f32,
                              .rows = way->rows,
                              .in = in,
                              .out = out,
                              .threads = omp_get_max_threads()};
    struct lay_product *product = NULL;
    *calls = (struct calls){0};
    if (lay_product_layout(dnn, key.type, LAYOUT_ROWS, in, out, &key.weights, kernel, NULL) != LAY_OK)
        return LAY_OK; /* this CPU has no such product */
    enum lay_status status = lay_product_get(dnn, &key, &product, err);
    way->bytes = lay_dnn_desc_bytes(&key.weights);
    lay_dnn_desc_destroy(&key.weights);
    way->product = product;
    way->run = run_library;
    fill(way->rates->compute, way->rates->x.data, (size_t)(way->rows * in) * sizeof(float));
    if (status == LAY_OK)
        status = grow_pool(way->rates, way->bytes, err);
    if (status == LAY_OK)
        status = lay_scratch_reserve(&dnn->pad, product->scratch_bytes, "oneDNN's scratchpad", err);
    return status == LAY_OK ? time_many(way, budget, calls, err) : status;
}

enum lay_status lay_rates_measure(struct lay_rates *rates, int64_t in, int64_t out, int64_t rows,
                                  double budget, struct lay_rate *rate, struct lay_err *err)
{
    struct way way = {.rates = rates, .rows = rows};
    /* a layer is packed from the pool, an int8 one from bf16 */
    LAY_TRY(grow_pool(rates, (size_t)(in * out) * (rates->compute == LAY_F32 ? 4 : 2), err));
    LAY_TRY(lay_scratch_reserve(&rates->x, (size_t)(rows * in) * sizeof(float), "input rows", err));
    LAY_TRY(lay_scratch_reserve(&rates->y, (size_t)(rows * out) * sizeof(float), "output rows", err));
    struct calls layer, library;
    LAY_TRY(measure_layer(&way, in, out, budget, &layer, err));
    LAY_TRY(measure_library(&way, in, out, budget, &library, err));
    const struct calls *better = library.best > 0 && library.best < layer.best ? &library : &layer;
    *rate = (struct lay_rate){.library_seconds = library.best,
                              .layer_seconds = layer.best,
                              .seconds = better->best,
                              .median_seconds = better->median};
    return LAY_OK;
}

/* --- memory: sums of words do not depend on how threads share them --- */

static double read_once(const uint64_t *words, size_t n)
{
    uint64_t sum = 0;
    const double start = lay_clock_now();
#pragma omp parallel for simd schedule(static) reduction(+ : sum)
    for (size_t i = 0; i < n; i++)
        sum += words[i];
    const double took = lay_clock_now() - start;
    static volatile uint64_t sink;
    sink = sum;
    (void)sink;
    return took;
}

static double copy_once(char *dst, const char *src, size_t bytes)
{
    const size_t block = (size_t)1 << 20, blocks = bytes / block;
    const double start = lay_clock_now();
#pragma omp parallel for schedule(static)
    for (size_t b = 0; b < blocks; b++)
        memcpy(dst + b * block, src + b * block, block);
    return (lay_clock_now() - start) / (double)(blocks * block);
}

enum lay_status lay_rates_memory(struct lay_rates *rates, double *read, double *copy, struct lay_err *err)
{
    LAY_TRY(grow_pool(rates, 0, err));
    char *data = rates->pool.data;
    const size_t bytes = rates->pool.bytes, half = bytes / 2;
    *read = *copy = 0;
    for (int i = 0; i < MEMORY_ROUNDS; i++) {
        const double r = (double)bytes / read_once((const uint64_t *)(void *)data, bytes / sizeof(uint64_t));
        const double c = 2 / copy_once(data + half, data, half);
        *read = r > *read ? r : *read;
        *copy = c > *copy ? c : *copy;
    }
    return LAY_OK;
}

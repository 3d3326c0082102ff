#include "engine/base/mem.h"
#include "engine/dnn/internal.h"

#include <omp.h>
#include <stdio.h>

static size_t bucket_of(const struct lay_product *key)
{
    uint64_t h = (uint64_t)key->type;
    const int64_t fields[] = {key->rows, key->in, key->out, key->bias * 2 + key->accumulate, key->threads};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        h = (h ^ (uint64_t)fields[i]) * 0x9e3779b97f4a7c15u;
    return (size_t)(h >> 40) % LAY_DNN_BUCKETS;
}

static bool same(const struct lay_product *a, const struct lay_product *b)
{
    return a->type == b->type && a->rows == b->rows && a->in == b->in && a->out == b->out &&
           a->bias == b->bias && a->accumulate == b->accumulate && a->threads == b->threads &&
           lay_dnn_desc_equal(&a->weights, &b->weights);
}

static void destroy(struct lay_product *p)
{
    if (p->primitive)
        dnnl_primitive_destroy(p->primitive);
    lay_dnn_desc_destroy(&p->weights);
    lay_dnn_desc_destroy(&p->src);
    lay_dnn_desc_destroy(&p->dst);
    lay_dnn_desc_destroy(&p->bias_desc);
    lay_dnn_desc_destroy(&p->scratchpad);
    lay_free(p);
}

static dnnl_data_type_t weights_type(dnnl_data_type_t type)
{
    return type == dnnl_u8 ? dnnl_s8 : type;
}

static dnnl_data_type_t result_type(dnnl_data_type_t type)
{
    return type == dnnl_u8 ? dnnl_s32 : dnnl_f32;
}

static dnnl_status_t prepare(struct lay_product *p, dnnl_engine_t engine)
{
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t status = lay_dnn_desc_strided(&p->src, p->type, p->rows, p->in, p->in, 1);
    if (status == dnnl_success)
        status = lay_dnn_desc_strided(&p->dst, result_type(p->type), p->rows, p->out, p->out, 1);
    if (status == dnnl_success && p->bias)
        status = lay_dnn_desc_strided(&p->bias_desc, dnnl_f32, 1, p->out, p->out, 1);
    const struct lay_dnn_matmul_args args = {&p->src, &p->weights, p->bias ? &p->bias_desc : NULL, &p->dst,
                                             p->accumulate};
    if (status == dnnl_success)
        status = lay_dnn_matmul_desc(&pd, engine, &args);
    if (status == dnnl_success)
        status = lay_dnn_matmul_scratchpad(pd, &p->scratchpad);
    if (status == dnnl_success)
        status = dnnl_primitive_create(&p->primitive, pd);
    if (pd)
        dnnl_primitive_desc_destroy(pd);
    if (status == dnnl_success)
        p->scratch_bytes = lay_dnn_desc_bytes(&p->scratchpad);
    return status;
}

static void evict(struct lay_dnn *dnn)
{
    struct lay_product **oldest = NULL;
    for (size_t b = 0; b < LAY_DNN_BUCKETS; b++)
        for (struct lay_product **p = &dnn->buckets[b]; *p; p = &(*p)->next)
            if (!oldest || (*p)->used < (*oldest)->used)
                oldest = p;
    struct lay_product *victim = *oldest;
    *oldest = victim->next;
    destroy(victim);
    dnn->n_products--;
}

enum lay_status lay_product_get(struct lay_dnn *dnn, const struct lay_product *key,
                                struct lay_product **product, struct lay_err *err)
{
    const size_t b = bucket_of(key);
    for (struct lay_product *p = dnn->buckets[b]; p; p = p->next)
        if (same(p, key)) {
            p->used = ++dnn->clock;
            *product = p;
            return LAY_OK;
        }
    if (dnn->n_products == LAY_DNN_PRODUCTS_MAX)
        evict(dnn);
    struct lay_product *p = lay_alloc(1, sizeof *p);
    if (!p)
        return lay_no_memory(err, "a prepared product");
    *p = (struct lay_product){.type = key->type,
                              .rows = key->rows,
                              .in = key->in,
                              .out = key->out,
                              .bias = key->bias,
                              .accumulate = key->accumulate,
                              .threads = key->threads};
    dnnl_status_t status = lay_dnn_desc_copy(&p->weights, &key->weights);
    const int threads = omp_get_max_threads(); /* oneDNN plans for as many threads as it sees now */
    omp_set_num_threads(key->threads);
    if (status == dnnl_success)
        status = prepare(p, dnn->engine);
    omp_set_num_threads(threads);
    if (status != dnnl_success) {
        destroy(p);
        return lay_dnn_check(status, "a product", err);
    }
    p->used = ++dnn->clock;
    p->next = dnn->buckets[b];
    dnn->buckets[b] = *product = p;
    dnn->n_products++;
    return LAY_OK;
}

void lay_products_free(struct lay_dnn *dnn)
{
    for (size_t b = 0; b < LAY_DNN_BUCKETS; b++)
        while (dnn->buckets[b]) {
            struct lay_product *p = dnn->buckets[b];
            dnn->buckets[b] = p->next;
            destroy(p);
        }
    dnn->n_products = 0;
}

dnnl_status_t lay_product_run(const struct lay_product *product, dnnl_engine_t engine, dnnl_stream_t stream,
                              const void *src, const void *weights, const float *bias, void *dst, void *pad)
{
    const struct {
        int arg;
        const struct lay_dnn_desc *desc;
        const void *data;
    } uses[] = {
        {DNNL_ARG_SRC, &product->src, src},         {DNNL_ARG_WEIGHTS, &product->weights, weights},
        {DNNL_ARG_DST, &product->dst, dst},         {DNNL_ARG_SCRATCHPAD, &product->scratchpad, pad},
        {DNNL_ARG_BIAS, &product->bias_desc, bias},
    };
    const int n = product->bias ? 5 : 4;
    dnnl_exec_arg_t args[5];
    dnnl_status_t status = dnnl_success;
    int made = 0;
    for (; made < n && status == dnnl_success; made++) {
        args[made] = (dnnl_exec_arg_t){.arg = uses[made].arg, .memory = NULL};
        status =
            lay_dnn_memory(&args[made].memory, uses[made].desc, engine, (void *)(uintptr_t)uses[made].data);
    }
    if (status == dnnl_success)
        status = dnnl_primitive_execute(product->primitive, stream, n, args);
    if (status == dnnl_success)
        status = dnnl_stream_wait(stream);
    while (made-- > 0)
        if (args[made].memory)
            dnnl_memory_destroy(args[made].memory);
    return status;
}

/* Asks oneDNN about a product without preparing it. chosen NULL if the layout is known. */
static dnnl_status_t ask(struct lay_dnn *dnn, dnnl_data_type_t type, int64_t rows, int64_t in, int64_t out,
                         const struct lay_dnn_desc *weights, struct lay_dnn_desc *chosen, char *kernel)
{
    struct lay_dnn_desc src = {0}, dst = {0};
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t status = lay_dnn_desc_strided(&src, type, rows, in, in, 1);
    if (status == dnnl_success)
        status = lay_dnn_desc_strided(&dst, result_type(type), rows, out, out, 1);
    const struct lay_dnn_matmul_args args = {&src, weights, NULL, &dst, false};
    if (status == dnnl_success)
        status = lay_dnn_matmul_desc(&pd, dnn->engine, &args);
    if (status == dnnl_success && chosen)
        status = lay_dnn_matmul_weights(pd, chosen);
    if (status == dnnl_success)
        snprintf(kernel, LAY_KERNEL_NAME, "%s", lay_dnn_matmul_kernel(pd));
    if (pd)
        dnnl_primitive_desc_destroy(pd);
    lay_dnn_desc_destroy(&src);
    lay_dnn_desc_destroy(&dst);
    return status;
}

enum lay_status lay_product_layout(struct lay_dnn *dnn, dnnl_data_type_t type, int64_t rows, int64_t in,
                                   int64_t out, struct lay_dnn_desc *weights, char kernel[LAY_KERNEL_NAME],
                                   struct lay_err *err)
{
    struct lay_dnn_desc any = {0};
    dnnl_status_t status = lay_dnn_desc_any(&any, weights_type(type), in, out);
    if (status == dnnl_success)
        status = ask(dnn, type, rows, in, out, &any, weights, kernel);
    lay_dnn_desc_destroy(&any);
    return lay_dnn_check(status, "a product", err);
}

enum lay_status lay_product_kernel(struct lay_dnn *dnn, dnnl_data_type_t type, int64_t rows, int64_t in,
                                   int64_t out, const struct lay_dnn_desc *weights,
                                   char kernel[LAY_KERNEL_NAME], struct lay_err *err)
{
    return lay_dnn_check(ask(dnn, type, rows, in, out, weights, NULL, kernel), "a product", err);
}

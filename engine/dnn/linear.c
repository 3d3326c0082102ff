#include "engine/dnn/linear.h"

#include "engine/base/mem.h"
#include "engine/dnn/onednn.h"

#include <stdlib.h>
#include <string.h>

struct primitive {
    dnnl_data_type_t type;
    int64_t rows, in, out;
    bool accumulate, bias;
    dnnl_primitive_t handle;
    struct lay_dnn_desc src, dst;
    size_t scratch;
};

struct lay_dnn {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    struct primitive **cache;
    size_t n_cache, cache_capacity;
    char *scratch;
    size_t scratch_bytes;
    uint16_t *narrow;
    size_t narrow_count;
};

struct lay_linear {
    struct lay_dnn *dnn;
    enum lay_dtype compute;
    int64_t in, out;
    struct lay_dnn_desc desc, bias_desc;
    void *packed;
    size_t packed_bytes;
    float *bias;
};

const char *lay_dnn_version(void)
{
    return "2.6.3";
}
const char *lay_dnn_isa(void)
{
    return "avx512_core_bf16";
}
const char *lay_dnn_bf16_support(void)
{
    return "native";
}

static enum lay_status check(dnnl_status_t s, const char *what, struct lay_err *err)
{
    if (s == dnnl_success)
        return LAY_OK;
    return s == dnnl_out_of_memory
               ? lay_no_memory(err, what)
               : lay_fail(err, LAY_ERR_INTERNAL, "oneDNN refused %s (status %d)", what, s);
}

enum lay_status lay_dnn_create(struct lay_dnn **dnn, struct lay_err *err)
{
    dnnl_set_max_cpu_isa(dnnl_cpu_isa_avx512_core_bf16); /* AMX splits K by the number of threads */
    struct lay_dnn *d = lay_alloc(1, sizeof *d);
    if (!d)
        return lay_no_memory(err, "oneDNN");
    enum lay_status s = check(dnnl_engine_create(&d->engine, dnnl_cpu, 0), "an engine", err);
    if (s == LAY_OK)
        s = check(dnnl_stream_create(&d->stream, d->engine, dnnl_stream_default_flags), "a stream", err);
    if (s != LAY_OK) {
        lay_dnn_destroy(d);
        return s;
    }
    *dnn = d;
    return LAY_OK;
}

void lay_dnn_destroy(struct lay_dnn *d)
{
    if (!d)
        return;
    for (size_t i = 0; i < d->n_cache; i++) {
        dnnl_primitive_destroy(d->cache[i]->handle);
        lay_free(d->cache[i]);
    }
    lay_free(d->cache);
    lay_free(d->scratch);
    lay_free(d->narrow);
    if (d->stream)
        dnnl_stream_destroy(d->stream);
    if (d->engine)
        dnnl_engine_destroy(d->engine);
    lay_free(d);
}

static dnnl_data_type_t type_of(enum lay_dtype t)
{
    return t == LAY_F32 ? dnnl_f32 : dnnl_bf16;
}

static enum lay_status get_primitive(const struct lay_linear *l, int64_t rows, bool accumulate,
                                     struct primitive **out, struct lay_err *err)
{
    struct lay_dnn *d = l->dnn;
    for (size_t i = 0; i < d->n_cache; i++) {
        struct primitive *p = d->cache[i];
        if (p->type == type_of(l->compute) && p->rows == rows && p->in == l->in && p->out == l->out &&
            p->accumulate == accumulate && p->bias == (l->bias != NULL)) {
            *out = p;
            return LAY_OK;
        }
    }
    if (!lay_grow((void **)&d->cache, &d->cache_capacity, d->n_cache + 1, sizeof *d->cache))
        return lay_no_memory(err, "primitives");
    struct primitive *p = lay_alloc(1, sizeof *p);
    if (!p)
        return lay_no_memory(err, "primitives");
    *p = (struct primitive){.type = type_of(l->compute),
                            .rows = rows,
                            .in = l->in,
                            .out = l->out,
                            .accumulate = accumulate,
                            .bias = l->bias != NULL};
    lay_dnn_desc_strided(&p->src, p->type, rows, l->in, l->in, 1);
    lay_dnn_desc_strided(&p->dst, dnnl_f32, rows, l->out, l->out, 1);
    const struct lay_dnn_matmul_args args = {&p->src, &l->desc, l->bias ? &l->bias_desc : NULL, &p->dst,
                                             accumulate};
    dnnl_primitive_desc_t pd = NULL;
    enum lay_status s = check(lay_dnn_matmul_desc(&pd, d->engine, &args), "a product", err);
    if (s == LAY_OK) {
        p->scratch = lay_dnn_matmul_scratchpad(pd);
        s = check(dnnl_primitive_create(&p->handle, pd), "a product", err);
        dnnl_primitive_desc_destroy(pd);
    }
    if (s != LAY_OK) {
        lay_free(p);
        return s;
    }
    d->cache[d->n_cache++] = p;
    *out = p;
    return LAY_OK;
}

static void convert(const struct lay_matrix *m, float *dst, int64_t in)
{
    const size_t size = lay_dtype_size(m->dtype);
    if (!m->transposed) {
        lay_to_f32(m->dtype, m->data, dst, (size_t)(m->rows * in));
        return;
    }
    for (int64_t r = 0; r < m->rows; r++)
        for (int64_t c = 0; c < in; c++)
            lay_to_f32(m->dtype, (const char *)m->data + (size_t)(c * m->rows + r) * size, dst + r * in + c,
                       1);
}

static enum lay_status pack(struct lay_linear *l, const struct lay_matrix *parts, int n_parts,
                            struct lay_err *err)
{
    struct lay_dnn *d = l->dnn;
    struct lay_dnn_desc src, any, dst, from;
    const dnnl_data_type_t t = type_of(l->compute);
    lay_dnn_desc_strided(&src, t, 32, l->in, l->in, 1);
    lay_dnn_desc_any(&any, t, l->in, l->out);
    lay_dnn_desc_strided(&dst, dnnl_f32, 32, l->out, l->out, 1);
    lay_dnn_desc_strided(&from, dnnl_f32, l->in, l->out, 1, l->in);
    const struct lay_dnn_matmul_args args = {&src, &any, NULL, &dst, false};
    dnnl_primitive_desc_t pd = NULL;
    LAY_TRY(check(lay_dnn_matmul_desc(&pd, d->engine, &args), "a product", err));
    lay_dnn_matmul_weights(pd, &l->desc);
    dnnl_primitive_desc_destroy(pd);
    l->packed_bytes = lay_dnn_desc_bytes(&l->desc);
    l->packed = lay_alloc_aligned(l->packed_bytes, 1);
    float *wide = lay_alloc_aligned((size_t)(l->in * l->out), sizeof *wide);
    if (!l->packed || !wide) {
        lay_free(wide);
        return lay_no_memory(err, "packed weights");
    }
    float *row = wide;
    for (int i = 0; i < n_parts; i++) {
        convert(&parts[i], row, l->in);
        row += parts[i].rows * l->in;
    }
    const dnnl_status_t s = lay_dnn_reorder(d->engine, d->stream, &from, wide, &l->desc, l->packed);
    lay_free(wide);
    return check(s, "packing", err);
}

enum lay_status lay_linear_create(struct lay_dnn *dnn, enum lay_dtype compute, const struct lay_matrix *parts,
                                  int n_parts, const float *bias, struct lay_linear **linear,
                                  struct lay_err *err)
{
    struct lay_linear *l = lay_alloc(1, sizeof *l);
    if (!l)
        return lay_no_memory(err, "a linear layer");
    l->dnn = dnn;
    l->compute = compute;
    l->in = parts[0].cols;
    for (int i = 0; i < n_parts; i++)
        l->out += parts[i].rows;
    enum lay_status s = LAY_OK;
    if (bias) {
        l->bias = lay_alloc_aligned((size_t)l->out, sizeof *bias);
        if (l->bias)
            memcpy(l->bias, bias, (size_t)l->out * sizeof *bias);
        else
            s = lay_no_memory(err, "a bias");
        lay_dnn_desc_strided(&l->bias_desc, dnnl_f32, 1, l->out, l->out, 1);
    }
    if (s == LAY_OK)
        s = pack(l, parts, n_parts, err);
    if (s != LAY_OK) {
        lay_linear_destroy(l);
        return s;
    }
    *linear = l;
    return LAY_OK;
}

void lay_linear_destroy(struct lay_linear *l)
{
    if (!l)
        return;
    lay_dnn_desc_destroy(&l->desc);
    lay_dnn_desc_destroy(&l->bias_desc);
    lay_free(l->packed);
    lay_free(l->bias);
    lay_free(l);
}

int64_t lay_linear_in(const struct lay_linear *linear)
{
    return linear->in;
}
int64_t lay_linear_out(const struct lay_linear *linear)
{
    return linear->out;
}
size_t lay_linear_bytes(const struct lay_linear *linear)
{
    return linear->packed_bytes + (linear->bias ? (size_t)linear->out * sizeof(float) : 0);
}

enum lay_status lay_linear_forward(const struct lay_linear *l, const float *x, float *y, int64_t rows,
                                   bool accumulate, struct lay_err *err)
{
    if (rows == 0)
        return LAY_OK;
    struct lay_dnn *d = l->dnn;
    struct primitive *p = NULL;
    LAY_TRY(get_primitive(l, rows, accumulate, &p, err));
    if (d->scratch_bytes < p->scratch) {
        lay_free(d->scratch);
        d->scratch_bytes = 0;
        d->scratch = lay_alloc_aligned(p->scratch, 1);
        if (!d->scratch)
            return lay_no_memory(err, "scratch memory");
        d->scratch_bytes = p->scratch;
    }
    const void *src = x;
    if (l->compute == LAY_BF16) {
        const size_t n = (size_t)(rows * l->in);
        if (!lay_grow((void **)&d->narrow, &d->narrow_count, n, sizeof *d->narrow))
            return lay_no_memory(err, "bf16 rows");
        lay_from_f32(LAY_BF16, x, d->narrow, n);
        src = d->narrow;
    }
    struct lay_dnn_desc pad;
    lay_dnn_desc_strided(&pad, dnnl_u8, 1, (int64_t)p->scratch, (int64_t)p->scratch, 1);
    dnnl_memory_t m[5] = {0};
    lay_dnn_memory(&m[0], &p->src, d->engine, (void *)(uintptr_t)src);
    lay_dnn_memory(&m[1], &l->desc, d->engine, l->packed);
    lay_dnn_memory(&m[2], &p->dst, d->engine, y);
    lay_dnn_memory(&m[3], &pad, d->engine, d->scratch);
    if (l->bias)
        lay_dnn_memory(&m[4], &l->bias_desc, d->engine, l->bias);
    const dnnl_exec_arg_t args[] = {{DNNL_ARG_SRC, m[0]},
                                    {DNNL_ARG_WEIGHTS, m[1]},
                                    {DNNL_ARG_DST, m[2]},
                                    {DNNL_ARG_SCRATCHPAD, m[3]},
                                    {DNNL_ARG_BIAS, m[4]}};
    dnnl_status_t s = dnnl_primitive_execute(p->handle, d->stream, l->bias ? 5 : 4, args);
    if (s == dnnl_success)
        s = dnnl_stream_wait(d->stream);
    for (int i = 0; i < 5; i++)
        if (m[i])
            dnnl_memory_destroy(m[i]);
    return check(s, "a product", err);
}

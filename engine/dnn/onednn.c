#include "engine/dnn/onednn.h"

#include "engine/base/hash.h"

/* What a memory descriptor says, in one form for both versions. */
struct layout {
    int64_t facts[3]; /* type, kind of format, offset */
    int64_t dims[DNNL_MAX_NDIMS], padded[DNNL_MAX_NDIMS], strides[DNNL_MAX_NDIMS];
    int64_t block_sizes[DNNL_MAX_NDIMS], block_places[DNNL_MAX_NDIMS];
};

static void copy_dims(struct layout *layout, int n, const dnnl_dim_t *dims, const dnnl_dim_t *padded,
                      const dnnl_dim_t *strides)
{
    for (int i = 0; i < n && i < DNNL_MAX_NDIMS; i++) {
        layout->dims[i] = dims[i];
        layout->padded[i] = padded[i];
        layout->strides[i] = strides[i];
    }
}

static void copy_blocks(struct layout *layout, int n, const dnnl_dim_t *sizes, const dnnl_dim_t *places)
{
    for (int i = 0; i < n && i < DNNL_MAX_NDIMS; i++) {
        layout->block_sizes[i] = sizes[i];
        layout->block_places[i] = places[i];
    }
}

/* ---- what differs between the versions ---- */

#if DNNL_VERSION_MAJOR >= 3

static const_dnnl_memory_desc_t view(const struct lay_dnn_desc *desc)
{
    return desc ? desc->md : NULL;
}

dnnl_status_t lay_dnn_desc_strided(struct lay_dnn_desc *desc, dnnl_data_type_t type, int64_t rows,
                                   int64_t cols, int64_t row_stride, int64_t col_stride)
{
    const dnnl_dims_t dims = {rows, cols};
    const dnnl_dims_t strides = {row_stride, col_stride};
    return dnnl_memory_desc_create_with_strides(&desc->md, 2, dims, type, strides);
}

dnnl_status_t lay_dnn_desc_any(struct lay_dnn_desc *desc, dnnl_data_type_t type, int64_t rows, int64_t cols)
{
    const dnnl_dims_t dims = {rows, cols};
    return dnnl_memory_desc_create_with_tag(&desc->md, 2, dims, type, dnnl_format_tag_any);
}

dnnl_status_t lay_dnn_desc_part(struct lay_dnn_desc *desc, const struct lay_dnn_desc *whole,
                                int64_t first_row, int64_t first_col, int64_t rows, int64_t cols)
{
    const dnnl_dims_t dims = {rows, cols};
    const dnnl_dims_t offsets = {first_row, first_col};
    return dnnl_memory_desc_create_submemory(&desc->md, whole->md, dims, offsets);
}

dnnl_status_t lay_dnn_desc_copy(struct lay_dnn_desc *desc, const struct lay_dnn_desc *from)
{
    return dnnl_memory_desc_clone(&desc->md, from->md);
}

void lay_dnn_desc_destroy(struct lay_dnn_desc *desc)
{
    if (desc->md)
        dnnl_memory_desc_destroy(desc->md);
    desc->md = NULL;
}

static dnnl_status_t append_sum(dnnl_post_ops_t ops)
{
    return dnnl_post_ops_append_sum(ops, 1.0f, 0, dnnl_data_type_undef);
}

static struct layout layout_of(const struct lay_dnn_desc *desc)
{
    struct layout layout = {0};
    dnnl_data_type_t type = dnnl_data_type_undef;
    dnnl_format_kind_t kind = dnnl_format_kind_undef;
    int ndims = 0, blocks = 0;
    dnnl_dim_t offset = 0;
    dnnl_dims_t *dims, *padded, *strides, *sizes, *places;
    dnnl_memory_desc_query(desc->md, dnnl_query_data_type, &type);
    dnnl_memory_desc_query(desc->md, dnnl_query_format_kind, &kind);
    dnnl_memory_desc_query(desc->md, dnnl_query_submemory_offset_s64, &offset);
    layout.facts[0] = (int64_t)type;
    layout.facts[1] = (int64_t)kind;
    layout.facts[2] = offset;
    if (kind != dnnl_blocked ||
        dnnl_memory_desc_query(desc->md, dnnl_query_ndims_s32, &ndims) != dnnl_success ||
        dnnl_memory_desc_query(desc->md, dnnl_query_dims, &dims) != dnnl_success ||
        dnnl_memory_desc_query(desc->md, dnnl_query_padded_dims, &padded) != dnnl_success ||
        dnnl_memory_desc_query(desc->md, dnnl_query_strides, &strides) != dnnl_success ||
        dnnl_memory_desc_query(desc->md, dnnl_query_inner_nblks_s32, &blocks) != dnnl_success ||
        dnnl_memory_desc_query(desc->md, dnnl_query_inner_blks, &sizes) != dnnl_success ||
        dnnl_memory_desc_query(desc->md, dnnl_query_inner_idxs, &places) != dnnl_success)
        return layout;
    copy_dims(&layout, ndims, *dims, *padded, *strides);
    copy_blocks(&layout, blocks, *sizes, *places);
    return layout;
}

static dnnl_status_t create_matmul_desc(dnnl_primitive_desc_t *pd, dnnl_engine_t engine,
                                        const struct lay_dnn_matmul_args *args,
                                        const_dnnl_primitive_attr_t attr)
{
    return dnnl_matmul_primitive_desc_create(pd, engine, view(args->src), view(args->weights),
                                             view(args->bias), view(args->dst), attr);
}

static dnnl_status_t copy_queried(dnnl_primitive_desc_t pd, dnnl_query_t what, struct lay_dnn_desc *desc)
{
    return dnnl_memory_desc_clone(&desc->md, dnnl_primitive_desc_query_md(pd, what, 0));
}

#else

static const dnnl_memory_desc_t *view(const struct lay_dnn_desc *desc)
{
    return desc ? &desc->md : NULL;
}

dnnl_status_t lay_dnn_desc_strided(struct lay_dnn_desc *desc, dnnl_data_type_t type, int64_t rows,
                                   int64_t cols, int64_t row_stride, int64_t col_stride)
{
    const dnnl_dims_t dims = {rows, cols};
    const dnnl_dims_t strides = {row_stride, col_stride};
    return dnnl_memory_desc_init_by_strides(&desc->md, 2, dims, type, strides);
}

dnnl_status_t lay_dnn_desc_any(struct lay_dnn_desc *desc, dnnl_data_type_t type, int64_t rows, int64_t cols)
{
    const dnnl_dims_t dims = {rows, cols};
    return dnnl_memory_desc_init_by_tag(&desc->md, 2, dims, type, dnnl_format_tag_any);
}

dnnl_status_t lay_dnn_desc_part(struct lay_dnn_desc *desc, const struct lay_dnn_desc *whole,
                                int64_t first_row, int64_t first_col, int64_t rows, int64_t cols)
{
    const dnnl_dims_t dims = {rows, cols};
    const dnnl_dims_t offsets = {first_row, first_col};
    return dnnl_memory_desc_init_submemory(&desc->md, &whole->md, dims, offsets);
}

dnnl_status_t lay_dnn_desc_copy(struct lay_dnn_desc *desc, const struct lay_dnn_desc *from)
{
    desc->md = from->md;
    return dnnl_success;
}

void lay_dnn_desc_destroy(struct lay_dnn_desc *desc)
{
    (void)desc;
}

static struct layout layout_of(const struct lay_dnn_desc *desc)
{
    const dnnl_memory_desc_t *md = &desc->md;
    struct layout layout = {.facts = {(int64_t)md->data_type, (int64_t)md->format_kind, md->offset0}};
    if (md->format_kind != dnnl_blocked)
        return layout;
    const dnnl_blocking_desc_t *blocking = &md->format_desc.blocking;
    copy_dims(&layout, md->ndims, md->dims, md->padded_dims, blocking->strides);
    copy_blocks(&layout, blocking->inner_nblks, blocking->inner_blks, blocking->inner_idxs);
    return layout;
}

static dnnl_status_t append_sum(dnnl_post_ops_t ops)
{
    return dnnl_post_ops_append_sum(ops, 1.0f);
}

static dnnl_status_t create_matmul_desc(dnnl_primitive_desc_t *pd, dnnl_engine_t engine,
                                        const struct lay_dnn_matmul_args *args,
                                        const_dnnl_primitive_attr_t attr)
{
    dnnl_matmul_desc_t desc;
    const dnnl_status_t status =
        dnnl_matmul_desc_init(&desc, view(args->src), view(args->weights), view(args->bias), view(args->dst));
    return status != dnnl_success ? status : dnnl_primitive_desc_create(pd, &desc, attr, engine, NULL);
}

static dnnl_status_t copy_queried(dnnl_primitive_desc_t pd, dnnl_query_t what, struct lay_dnn_desc *desc)
{
    const dnnl_memory_desc_t *chosen = dnnl_primitive_desc_query_md(pd, what, 0);
    if (!chosen)
        return dnnl_invalid_arguments;
    desc->md = *chosen;
    return dnnl_success;
}

#endif

static const struct {
    dnnl_cpu_isa_t isa;
    const char *name;
} isas[] = {
    {dnnl_cpu_isa_sse41, "sse41"},
    {dnnl_cpu_isa_avx, "avx"},
    {dnnl_cpu_isa_avx2, "avx2"},
    {dnnl_cpu_isa_avx2_vnni, "avx2_vnni"},
    {dnnl_cpu_isa_avx512_core, "avx512_core"},
    {dnnl_cpu_isa_avx512_core_vnni, "avx512_core_vnni"},
    {dnnl_cpu_isa_avx512_core_bf16, "avx512_core_bf16"},
    {dnnl_cpu_isa_avx512_core_amx, "avx512_core_amx"},
#if DNNL_VERSION_MAJOR >= 3
    {dnnl_cpu_isa_avx2_vnni_2, "avx2_vnni_2"},
    {dnnl_cpu_isa_avx512_core_fp16, "avx512_core_fp16"},
    {dnnl_cpu_isa_avx512_core_amx_fp16, "avx512_core_amx_fp16"},
#endif
};

/* ---- what is the same ---- */

const char *lay_dnn_isa_name(dnnl_cpu_isa_t isa)
{
    for (size_t i = 0; i < sizeof isas / sizeof *isas; i++)
        if (isas[i].isa == isa)
            return isas[i].name;
    return "unknown";
}

uint64_t lay_dnn_desc_digest(const struct lay_dnn_desc *desc)
{
    const struct layout layout = layout_of(desc);
    return lay_hash_bytes(&layout, sizeof layout).low;
}

bool lay_dnn_desc_pads_f32(const struct lay_dnn_desc *desc)
{
    const struct layout layout = layout_of(desc);
    return layout.facts[0] == dnnl_f32 &&
           (layout.dims[0] != layout.padded[0] || layout.dims[1] != layout.padded[1]);
}

/* Elements from the start to place `at` of a dimension; those of both dimensions add up. Inner blocks are
 * dense, the last one innermost. */
static int64_t offset_of(const struct layout *layout, int dim, int64_t at)
{
    int64_t offset = 0, stride = 1;
    for (int b = DNNL_MAX_NDIMS - 1; b >= 0; b--) {
        const int64_t size = layout->block_sizes[b];
        if (size == 0)
            continue;
        if (layout->block_places[b] == dim) {
            offset += at % size * stride;
            at /= size;
        }
        stride *= size;
    }
    return offset + at * layout->strides[dim];
}

void lay_dnn_place(const struct lay_dnn_desc *to, const float *src, int64_t row_stride, int64_t col_stride,
                   int64_t first_col, int64_t cols, float *dst)
{
    enum { TILE = 16 };
    const struct layout layout = layout_of(to);
    const int64_t rows = layout.dims[0];
#pragma omp parallel for schedule(static)
    for (int64_t first = 0; first < rows; first += TILE) {
        const int64_t n = rows - first < TILE ? rows - first : TILE;
        int64_t row[TILE];
        for (int64_t r = 0; r < n; r++)
            row[r] = offset_of(&layout, 0, first + r);
        for (int64_t c = 0; c < cols; c++) {
            const int64_t col = offset_of(&layout, 1, first_col + c);
            for (int64_t r = 0; r < n; r++)
                dst[row[r] + col] = src[(first + r) * row_stride + c * col_stride];
        }
    }
}

size_t lay_dnn_desc_bytes(const struct lay_dnn_desc *desc)
{
    return dnnl_memory_desc_get_size(view(desc));
}

bool lay_dnn_desc_equal(const struct lay_dnn_desc *a, const struct lay_dnn_desc *b)
{
    return dnnl_memory_desc_equal(view(a), view(b));
}

dnnl_status_t lay_dnn_memory(dnnl_memory_t *memory, const struct lay_dnn_desc *desc, dnnl_engine_t engine,
                             void *data)
{
    return dnnl_memory_create(memory, view(desc), engine, data);
}

static dnnl_status_t create_attr(dnnl_primitive_attr_t *attr, bool accumulate)
{
    dnnl_status_t status = dnnl_primitive_attr_create(attr);
    if (status != dnnl_success)
        return status;
    status = dnnl_primitive_attr_set_scratchpad_mode(*attr, dnnl_scratchpad_mode_user);
    dnnl_post_ops_t ops = NULL;
    if (status == dnnl_success && accumulate)
        status = dnnl_post_ops_create(&ops);
    if (status == dnnl_success && accumulate)
        status = append_sum(ops);
    if (status == dnnl_success && accumulate)
        status = dnnl_primitive_attr_set_post_ops(*attr, ops); /* copies them */
    if (ops)
        dnnl_post_ops_destroy(ops);
    if (status != dnnl_success)
        dnnl_primitive_attr_destroy(*attr);
    return status;
}

dnnl_status_t lay_dnn_matmul_desc(dnnl_primitive_desc_t *pd, dnnl_engine_t engine,
                                  const struct lay_dnn_matmul_args *args)
{
    dnnl_primitive_attr_t attr;
    dnnl_status_t status = create_attr(&attr, args->accumulate);
    if (status != dnnl_success)
        return status;
    status = create_matmul_desc(pd, engine, args, attr);
    dnnl_primitive_attr_destroy(attr);
    return status;
}

dnnl_status_t lay_dnn_matmul_weights(dnnl_primitive_desc_t pd, struct lay_dnn_desc *weights)
{
    return copy_queried(pd, dnnl_query_weights_md, weights);
}

dnnl_status_t lay_dnn_matmul_scratchpad(dnnl_primitive_desc_t pd, struct lay_dnn_desc *scratchpad)
{
    return copy_queried(pd, dnnl_query_scratchpad_md, scratchpad);
}

const char *lay_dnn_matmul_kernel(dnnl_primitive_desc_t pd)
{
    const char *name = NULL;
    dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, &name);
    return name ? name : "unknown";
}

dnnl_status_t lay_dnn_reorder(dnnl_engine_t engine, dnnl_stream_t stream, const struct lay_dnn_desc *from,
                              void *src, const struct lay_dnn_desc *to, void *dst)
{
    dnnl_primitive_desc_t pd = NULL;
    dnnl_primitive_t primitive = NULL;
    dnnl_memory_t memory[2] = {NULL, NULL};
    dnnl_status_t status =
        dnnl_reorder_primitive_desc_create(&pd, view(from), engine, view(to), engine, NULL);
    if (status == dnnl_success)
        status = dnnl_primitive_create(&primitive, pd);
    if (status == dnnl_success)
        status = lay_dnn_memory(&memory[0], from, engine, src);
    if (status == dnnl_success)
        status = lay_dnn_memory(&memory[1], to, engine, dst);
    const dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, memory[0]}, {DNNL_ARG_TO, memory[1]}};
    if (status == dnnl_success)
        status = dnnl_primitive_execute(primitive, stream, 2, args);
    if (status == dnnl_success)
        status = dnnl_stream_wait(stream);
    for (int i = 0; i < 2; i++)
        if (memory[i])
            dnnl_memory_destroy(memory[i]);
    if (primitive)
        dnnl_primitive_destroy(primitive);
    if (pd)
        dnnl_primitive_desc_destroy(pd);
    return status;
}

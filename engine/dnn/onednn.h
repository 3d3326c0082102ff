/* The few oneDNN calls we make, the same for version 2 and version 3. Internal to engine/dnn: nothing else
 * sees dnnl.h. Functions return a oneDNN status; handles are created and destroyed in pairs, destroy accepts
 * {0}. */
#ifndef LAY_DNN_ONEDNN_H
#define LAY_DNN_ONEDNN_H

#include <oneapi/dnnl/dnnl.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Version 3 cuts K of a one-row f32 product into other pieces than that of several rows when K is larger. */
#if DNNL_VERSION_MAJOR >= 3
#define LAY_DNN_ONE_ROW_IN 1024
#else
#define LAY_DNN_ONE_ROW_IN INT64_MAX
#endif

/* Version 3.7 lets threads share K of an f32 product of 20000 inputs or more and 512 outputs or fewer
 * ("huge k" in its brgemm_matmul_utils.cpp): sums then depend on their number. */
#if DNNL_VERSION_MAJOR >= 3
#define LAY_DNN_SHARED_IN 20000
#define LAY_DNN_SHARED_OUT 512
#else
#define LAY_DNN_SHARED_IN INT64_MAX
#define LAY_DNN_SHARED_OUT 0
#endif

/* A memory descriptor: a struct by value in version 2, a handle in version 3. */
struct lay_dnn_desc {
    dnnl_memory_desc_t md;
};

/* [rows, cols] with strides in elements. */
dnnl_status_t lay_dnn_desc_strided(struct lay_dnn_desc *desc, dnnl_data_type_t type, int64_t rows,
                                   int64_t cols, int64_t row_stride, int64_t col_stride);
/* [rows, cols] in whatever layout the primitive likes best. */
dnnl_status_t lay_dnn_desc_any(struct lay_dnn_desc *desc, dnnl_data_type_t type, int64_t rows, int64_t cols);
/* The block [rows, cols] at (first_row, first_col) of a matrix whatever its layout. */
dnnl_status_t lay_dnn_desc_part(struct lay_dnn_desc *desc, const struct lay_dnn_desc *whole,
                                int64_t first_row, int64_t first_col, int64_t rows, int64_t cols);
dnnl_status_t lay_dnn_desc_copy(struct lay_dnn_desc *desc, const struct lay_dnn_desc *from);
bool lay_dnn_desc_equal(const struct lay_dnn_desc *a, const struct lay_dnn_desc *b);
void lay_dnn_desc_destroy(struct lay_dnn_desc *desc);
/* The same for equal layouts of equal shape and type and, as hashes go, for no others. */
uint64_t lay_dnn_desc_digest(const struct lay_dnn_desc *desc);
size_t lay_dnn_desc_bytes(const struct lay_dnn_desc *desc);

dnnl_status_t lay_dnn_memory(dnnl_memory_t *memory, const struct lay_dnn_desc *desc, dnnl_engine_t engine,
                             void *data);

/* dst = src · weights (+ bias) (+ dst with accumulate); bias NULL for none. Scratchpad is the caller's. */
struct lay_dnn_matmul_args {
    const struct lay_dnn_desc *src, *weights, *bias, *dst;
    bool accumulate;
};
dnnl_status_t lay_dnn_matmul_desc(dnnl_primitive_desc_t *pd, dnnl_engine_t engine,
                                  const struct lay_dnn_matmul_args *args);
/* What was chosen: a copy of the weights' layout and of the scratchpad's; the kernel's name, valid like pd.
 */
dnnl_status_t lay_dnn_matmul_weights(dnnl_primitive_desc_t pd, struct lay_dnn_desc *weights);
dnnl_status_t lay_dnn_matmul_scratchpad(dnnl_primitive_desc_t pd, struct lay_dnn_desc *scratchpad);
const char *lay_dnn_matmul_kernel(dnnl_primitive_desc_t pd);

/* "avx512_core_amx" of dnnl_cpu_isa_avx512_core_amx; "unknown" when this list is too old. */
const char *lay_dnn_isa_name(dnnl_cpu_isa_t isa);

/* An f32 layout that is padded. Version 3.7.2 fills it wrongly ("jit:uni" loses rows of the last, partial
 * block of columns), so lay_dnn_place does what lay_dnn_reorder would, with every version. */
bool lay_dnn_desc_pads_f32(const struct lay_dnn_desc *desc);
/* Copies src [rows, cols], strides in elements, into columns first_col … of all rows of dst, an f32 matrix
 * laid out as `to`. The padding of dst is left alone. */
void lay_dnn_place(const struct lay_dnn_desc *to, const float *src, int64_t row_stride, int64_t col_stride,
                   int64_t first_col, int64_t cols, float *dst);

/* Copies src to dst, changing layout and type, on all threads. */
dnnl_status_t lay_dnn_reorder(dnnl_engine_t engine, dnnl_stream_t stream, const struct lay_dnn_desc *from,
                              void *src, const struct lay_dnn_desc *to, void *dst);

#endif

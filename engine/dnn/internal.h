/* What the files of engine/dnn share. */
#ifndef LAY_DNN_INTERNAL_H
#define LAY_DNN_INTERNAL_H

#include "engine/dnn/linear.h"
#include "engine/dnn/onednn.h"

#define LAY_DNN_PRODUCTS_MAX 1024 /* prepared products kept; the least recently used goes first */
#define LAY_DNN_BUCKETS 512
#define LAY_KERNEL_NAME 64

/* A prepared product of fixed shape and the number of threads it was made for. Type is that of the input
 * rows: f32 and bf16 have weights alike and f32 results, u8 has s8 weights and s32 results. */
struct lay_product {
    dnnl_data_type_t type;
    int64_t rows, in, out;
    bool bias, accumulate;
    int threads;
    struct lay_dnn_desc weights, src, dst, bias_desc, scratchpad;
    dnnl_primitive_t primitive;
    size_t scratch_bytes;
    uint64_t used;
    struct lay_product *next; /* in its bucket */
};

/* Memory that only grows and whose content need not survive. */
struct lay_scratch {
    char *memory, *data; /* data: memory aligned to LAY_ALIGNMENT */
    size_t bytes;
};

struct lay_dnn {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    struct lay_product *buckets[LAY_DNN_BUCKETS];
    int64_t n_products;
    uint64_t clock;
    struct lay_scratch pad, rows, result;     /* oneDNN's scratchpad, input rows, padded or partial output */
    struct lay_scratch steps;                 /* int8: how much a step of each input row is */
    struct lay_scratch between;               /* rows between two layers */
    struct lay_scratch staging, wide, narrow; /* packing: converted rows, a panel in f32, quantised rows */
    struct lay_linear *linears;               /* all that live, the newest first */
};

/* How a layer is cut up. Weights [in, out] in oneDNN's terms.
 *   whole:     each part of K is one packed matrix over all outputs, multiplied on all threads.
 *   quantised: as whole, K in one part, u8 · s8 in s32.
 *   panels:    every panel of outputs is a packed f32 matrix of its own (kept as bf16 or s8 when widened),
 * multiplied by one thread; K is not cut. */
enum lay_linear_form { LAY_LINEAR_WHOLE, LAY_LINEAR_QUANTISED, LAY_LINEAR_PANELS };

struct lay_linear {
    struct lay_dnn *dnn;
    enum lay_dtype compute;
    int64_t in, out;
    enum lay_linear_form form;
    bool widened;
    int64_t n_parts, part_in; /* whole: parts of `part_in` inputs, the last may be smaller */
    int64_t rows_min;         /* fewer rows are padded to as many */
    int64_t row_tile;         /* panels: rows of every product; 0: as they come */
    int64_t n_panels, panel_out;
    dnnl_data_type_t type;       /* of the product */
    struct lay_dnn_desc desc[2]; /* layout of a part or panel, and of the last one */
    size_t block_bytes;          /* of one packed part or panel, as stored */
    char *memory, *packed;       /* packed: memory aligned */
    size_t bytes;
    float *bias;
    float *scales;                   /* int8: [out], weight = scale · its integer */
    int32_t *sums;                   /* quantised: [out], LAY_U8_ZERO · the sum of an output's integers */
    struct lay_linear *next, **link; /* in dnn->linears; link is what points here */
};

/* Input rows of int8 products are unsigned: this stands for 0. */
#define LAY_U8_ZERO 128

enum lay_status lay_dnn_check(dnnl_status_t status, const char *what, struct lay_err *err);
enum lay_status lay_scratch_reserve(struct lay_scratch *scratch, size_t bytes, const char *what,
                                    struct lay_err *err);
void lay_scratch_free(struct lay_scratch *scratch);
/* Zeroed memory that costs nothing until it is touched, in huge pages where the system has them. *data is
 * aligned; free *memory. False when there is none. */
bool lay_dnn_alloc(size_t bytes, char **memory, char **data);

/* The product of the key's shape on `weights`; made if need be. Borrowed: a product that was used long ago
 * may be destroyed by a later call. The key's type, shape, flags, threads and weights count. */
enum lay_status lay_product_get(struct lay_dnn *dnn, const struct lay_product *key,
                                struct lay_product **product, struct lay_err *err);
void lay_products_free(struct lay_dnn *dnn);
/* Runs it; bias NULL unless the key says so. May run in several threads at once with their own stream and
 * pad. */
dnnl_status_t lay_product_run(const struct lay_product *product, dnnl_engine_t engine, dnnl_stream_t stream,
                              const void *src, const void *weights, const float *bias, void *dst, void *pad);

/* The layout oneDNN likes for weights [in, out] at `rows` rows, and the kernel it would run; the kernel for a
 * given layout. */
enum lay_status lay_product_layout(struct lay_dnn *dnn, dnnl_data_type_t type, int64_t rows, int64_t in,
                                   int64_t out, struct lay_dnn_desc *weights, char kernel[LAY_KERNEL_NAME],
                                   struct lay_err *err);
enum lay_status lay_product_kernel(struct lay_dnn *dnn, dnnl_data_type_t type, int64_t rows, int64_t in,
                                   int64_t out, const struct lay_dnn_desc *weights,
                                   char kernel[LAY_KERNEL_NAME], struct lay_err *err);

/* Rows of one product at most: bounds the number of prepared products and the scratch. More rows are cut into
 * blocks of this many, about equal so that none is slow for being small. */
#define LAY_DNN_ROWS_MAX 512
static inline int64_t lay_block_rows(int64_t rows)
{
    const int64_t blocks = (rows + LAY_DNN_ROWS_MAX - 1) / LAY_DNN_ROWS_MAX;
    return blocks <= 1 ? rows : ((rows + blocks - 1) / blocks + 31) / 32 * 32;
}

/* Inputs and outputs of part p of a layer in whole form, outputs of panel p. */
static inline int64_t lay_part_in(const struct lay_linear *l, int64_t p)
{
    return p < l->n_parts - 1 ? l->part_in : l->in - p * l->part_in;
}
static inline int64_t lay_panel_out(const struct lay_linear *l, int64_t p)
{
    return p < l->n_panels - 1 ? l->panel_out : l->out - p * l->panel_out;
}

/* Whether int8 products of that shape run on kernels that sum exactly; *desc is then their layout of weights.
 */
bool lay_linear_quantises(struct lay_dnn *dnn, int64_t in, int64_t out, struct lay_dnn_desc *desc);

/* A layer whose layout is settled and whose weights are not there yet: packed and the vectors are to be
 * filled in. Destroy with lay_linear_destroy. */
enum lay_status lay_linear_begin(struct lay_dnn *dnn, enum lay_dtype compute, int64_t out, int64_t in,
                                 struct lay_linear **linear, struct lay_err *err);
/* Fills l->packed from the parts. */
enum lay_status lay_linear_pack(struct lay_linear *l, const struct lay_matrix *parts, int n_parts,
                                struct lay_err *err);
enum lay_status lay_linear_run_whole(const struct lay_linear *l, const float *x, float *y, int64_t rows,
                                     bool accumulate, struct lay_err *err);
enum lay_status lay_linear_run_panels(const struct lay_linear *l, const float *x, float *y, int64_t rows,
                                      bool accumulate, struct lay_err *err);
enum lay_status lay_linear_run_quantised(const struct lay_linear *l, const float *x, float *y, int64_t rows,
                                         bool accumulate, struct lay_err *err);
/* All layers of this form; rows are rounded once where all take them alike. */
enum lay_status lay_linear_run_whole_each(const struct lay_linear *const *layers, int n, const float *x,
                                          float *const *y, int64_t rows, struct lay_err *err);
/* All layers of this form. */
enum lay_status lay_linear_run_quantised_each(const struct lay_linear *const *layers, int n, const float *x,
                                              float *const *y, int64_t rows, struct lay_err *err);
enum lay_status lay_feed_forward_quantised(const struct lay_feed_forward *f, const float *x, float *y,
                                           int64_t rows, struct lay_err *err);

/* dst [n] = x rounded to bf16; the second form keeps f32. */
void lay_round_bf16(const float *x, uint16_t *dst, int64_t n);
void lay_round_f32(const float *x, float *dst, int64_t n);
void lay_widen_bf16(const uint16_t *x, float *dst, int64_t n);
void lay_widen_f16(const uint16_t *x, float *dst, int64_t n);
void lay_widen_s8(const int8_t *x, float *dst, int64_t n);
void lay_narrow_s8(const float *x, int8_t *dst, int64_t n); /* of integers */

/* Symmetric quantisation in 255 steps: x ≈ step · q with q = round(x / step), step = max |x| / 127, ties to
 * even. Returns the step: 0 for a row of zeros, NaN when the row holds a NaN or an infinity (the q are then
 * 0), so that whatever is multiplied by it is NaN, too. The second form stores q + LAY_U8_ZERO, the third q
 * as f32, q == x allowed. */
float lay_quantise_s8(const float *x, int8_t *q, int64_t n);
float lay_quantise_u8(const float *x, uint8_t *q, int64_t n);
float lay_quantise_f32(const float *x, float *q, int64_t n);

#endif

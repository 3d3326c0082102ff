/* Linear layers on oneDNN: y = x Wᵀ + b with W packed once into the layout the library chooses.
 *
 * This folder is the only one that includes dnnl.h. Activations are f32 in memory; a bf16 linear rounds its
 * input rows to bf16, multiplies with bf16 weights and accumulates in f32. An int8 linear holds its weights
 * in 255 steps per output (symmetric), rounds each input row to 255 steps of its own when it comes, and sums
 * exactly in integers (quantised.c). Row r of y depends on row r of x alone, bit for bit, whatever the number
 * of rows and threads (engine.md, Determinism).
 * A context belongs to one calling thread; the products inside run on all OpenMP threads. */
#ifndef LAY_DNN_LINEAR_H
#define LAY_DNN_LINEAR_H

#include "engine/base/dtype.h"
#include "engine/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Engine, stream, scratch memory and the cache of primitives. */
struct lay_dnn;
enum lay_status lay_dnn_create(struct lay_dnn **dnn, struct lay_err *err);
void lay_dnn_destroy(struct lay_dnn *dnn); /* after every linear made with it; accepts NULL */

/* For manifests: "2.6.3", "avx512_core_bf16"; and how bf16 and int8 products run here: "native" or "widened
 * to f32". */
const char *lay_dnn_version(void);
const char *lay_dnn_isa(void);
const char *lay_dnn_bf16_support(void);
const char *lay_dnn_int8_support(void);

/* A stored matrix [rows, cols], row-major, or [cols, rows] when transposed. Floating dtypes; may be
 * unaligned. */
struct lay_matrix {
    const void *data;
    enum lay_dtype dtype;
    int64_t rows, cols;
    bool transposed;
};

/* A packed linear layer [out, in]; bias may be NULL. */
struct lay_linear;

/* Packs `n_parts` matrices of equal cols, concatenated along their rows (q, k and v in one product).
 * `bias` [out] is copied; NULL for none. compute is LAY_F32, LAY_BF16 or LAY_I8. Borrows dnn for the life of
 * the layer; the parts' data are not needed afterwards. */
enum lay_status lay_linear_create(struct lay_dnn *dnn, enum lay_dtype compute, const struct lay_matrix *parts,
                                  int n_parts, const float *bias, struct lay_linear **linear,
                                  struct lay_err *err);
void lay_linear_destroy(struct lay_linear *linear); /* accepts NULL */

int64_t lay_linear_in(const struct lay_linear *linear);
int64_t lay_linear_out(const struct lay_linear *linear);
size_t lay_linear_bytes(const struct lay_linear *linear); /* packed weight, scales and bias */
/* For reports: the oneDNN kernel that multiplies `rows` rows ("brg:avx512_core_bf16"), "" when unknown. */
#define LAY_LINEAR_KERNEL_NAME 64
void lay_linear_kernel(const struct lay_linear *linear, int64_t rows, char name[LAY_LINEAR_KERNEL_NAME]);

/* y [rows, out] = x [rows, in] Wᵀ + b; with accumulate, that is added to what y holds (a residual
 * connection). Row-major f32, contiguous. rows may be 0. */
enum lay_status lay_linear_forward(const struct lay_linear *linear, const float *x, float *y, int64_t rows,
                                   bool accumulate, struct lay_err *err);

/* n layers of the same input: y[i] = x W_iᵀ + b_i, the same bits as one by one. The rows are rounded once
 * where all layers take them alike. */
enum lay_status lay_linear_forward_each(const struct lay_linear *const *layers, int n, const float *x,
                                        float *const *y, int64_t rows, struct lay_err *err);

/* y += W_out f(W_in x + b_in) + b_out, the same bits as the three steps one by one; in int8 the rows between
 * the layers are never in memory in f32. `between` is f for one row, [out of `in`] to [in of `out`], on any
 * thread. y == x allowed. Books the laps of a feed-forward block (profile.h). */
struct lay_feed_forward {
    const struct lay_linear *in, *out;
    void (*between)(const void *context, const float *x, float *y);
    const void *context;
};
enum lay_status lay_feed_forward_run(const struct lay_feed_forward *f, const float *x, float *y, int64_t rows,
                                     struct lay_err *err);

#endif

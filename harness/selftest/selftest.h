/* layeval selftest: does an answer depend on anything but its request, on this machine? Products of published
 * shapes one by one, then whole systems of small random models; everything is compared bit for bit. */
#ifndef LAY_HARNESS_SELFTEST_H
#define LAY_HARNESS_SELFTEST_H

#include "engine/base/str.h"
#include "engine/bridge/bridge.h"
#include "engine/dnn/invariance.h"
#include "engine/shape/shapes.h"

#include <signal.h>

#define LAY_SELFTEST_LAYERS_MAX 8
#define LAY_SELFTEST_KERNEL_ROWS 4
extern const int64_t lay_selftest_kernel_rows[LAY_SELFTEST_KERNEL_ROWS]; /* 1, 8, 32, 128 */

/* One matrix of a model: y [out] = x [in] Wᵀ, as the engine multiplies it. */
struct lay_selftest_layer {
    const char *name; /* "gate_up" */
    int64_t in, out;
    char kernels[LAY_SELFTEST_KERNEL_ROWS][LAY_LINEAR_KERNEL_NAME]; /* what oneDNN runs */
    struct lay_invariance verdict;
};

/* The products of a shape in one dtype. */
struct lay_selftest_products {
    const struct lay_shape *shape;
    enum lay_dtype dtype;
    struct lay_selftest_layer layers[LAY_SELFTEST_LAYERS_MAX];
    size_t n_layers;
    double seconds;
};

/* Answers of a system of small random models in one dtype. */
struct lay_selftest_answers {
    const char *system; /* "tiny-mt5 + layalign + tiny" */
    enum lay_dtype dtype;
    int64_t requests, runs; /* runs compared with the first */
    bool holds;
    char where[160]; /* else: the run and the request that differ */
    double seconds;
};

/* Packs random weights of every layer of `shape` in turn and tries it. LAY_ERR_INTERRUPTED when *stop. */
enum lay_status lay_selftest_try_products(struct lay_dnn *dnn, const struct lay_shape *shape,
                                          enum lay_dtype dtype, const volatile sig_atomic_t *stop,
                                          struct lay_selftest_products *products, struct lay_err *err);

/* System `which` of lay_selftest_systems: answers the same requests in batches of 1, 5 and 32, in several
 * orders and on 1, 2 and 4 threads. */
extern const size_t lay_selftest_systems;
enum lay_status lay_selftest_try_answers(size_t which, enum lay_dtype dtype,
                                         struct lay_selftest_answers *answers, struct lay_err *err);

/* Everything that was tried. */
struct lay_selftest {
    struct lay_selftest_products *products; /* owned */
    struct lay_selftest_answers *answers;   /* owned */
    size_t n_products, n_answers;
    double seconds;
};
void lay_selftest_free(struct lay_selftest *selftest);

bool lay_selftest_products_hold(const struct lay_selftest_products *products);
bool lay_selftest_holds(const struct lay_selftest *selftest);
/* For people: a line per shape and dtype, a line per system, the verdict. */
void lay_selftest_put_text(struct lay_str *out, const struct lay_selftest *selftest);
void lay_selftest_put_json(struct lay_str *out, const struct lay_selftest *selftest);

#endif

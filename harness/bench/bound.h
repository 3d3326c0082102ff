/* The bound: the time that a subject's matrix products take at the best rates of this machine, measured in
 * this process on packed weights in no cache (engine.md, Bound). Nothing else is in it: neither attention nor
 * norms nor the choice of tokens. */
#ifndef LAY_HARNESS_BENCH_BOUND_H
#define LAY_HARNESS_BENCH_BOUND_H

#include "engine/dnn/rate.h"
#include "harness/bench/subject.h"

/* Products of one part of a model. Queries, keys and values count as one product, gate and up as another:
 * they read the same rows. */
struct lay_product_shape {
    const char *name;
    int64_t in, out, count; /* [rows, in] × [in, out], `count` times */
};
#define LAY_BOUND_PRODUCTS_MAX 8
struct lay_product_list {
    struct lay_product_shape items[LAY_BOUND_PRODUCTS_MAX];
    int count;
};

struct lay_product_list lay_products_llm(const struct lay_llm_config *c); /* without the head */
struct lay_product_list lay_products_head(const struct lay_llm_config *c);
struct lay_product_list lay_products_encoder(const struct lay_encoder_config *c);
/* The mapping, and with `adapters` > 0 layers of LayAlign's the aligner ("aligner") and the adapter's keys
 * and values ("adapter_kv"); rows are source tokens. */
struct lay_product_list lay_products_aligner(const struct lay_encoder_config *encoder,
                                             const struct lay_llm_config *llm, int64_t adapters,
                                             bool soft_prompt);

/* Rates measured so far, for one dtype. `pool` as for lay_rates_create. */
struct lay_bounds;
enum lay_status lay_bounds_create(enum lay_dtype dtype, double budget, size_t pool,
                                  struct lay_bounds **bounds, struct lay_err *err);
void lay_bounds_destroy(struct lay_bounds *bounds); /* accepts NULL */
/* Gives the memory that measuring takes back, and starts another round: what is asked for then is measured
 * once more, and the best of all rounds counts. Rounds between repetitions see the machine as those do. */
void lay_bounds_rest(struct lay_bounds *bounds);
/* A new cell: the first round of what follows. */
void lay_bounds_begin(struct lay_bounds *bounds);
/* How steady the machine was during the rounds since then: what the products measured in them take at best
 * over what they took in the median. 1 when all calls were alike; 0 when nothing was measured. */
double lay_bounds_steadiness(const struct lay_bounds *bounds);
/* Below this other work has taken part of the machine, and fractions of the bound say little. */
#define LAY_BOUNDS_STEADY 0.8

/* Seconds for `rows` rows that come `step` at a time, on the current number of threads. */
enum lay_status lay_bound_seconds(struct lay_bounds *bounds, const struct lay_product_list *products,
                                  double rows, int64_t step, double *seconds, struct lay_err *err);
/* Bytes a second of memory, all threads. */
enum lay_status lay_bound_memory(struct lay_bounds *bounds, double *read, double *copy, struct lay_err *err);

#endif

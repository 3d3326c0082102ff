#include "harness/bench/bound.h"

#include "engine/base/mem.h"

#include <omp.h>

struct measured {
    int64_t in, out, rows;
    int threads, round;
    double seconds; /* of one product, the best of all rounds */
    double medians; /* of one product, the sum over the rounds since lay_bounds_begin */
    int medians_count;
};

struct lay_bounds {
    enum lay_dtype dtype;
    double budget;
    struct lay_dnn *dnn;
    struct lay_rates *rates;
    int round;
    struct measured *measured;
    size_t count, capacity;
    double read, copy; /* of memory_threads threads */
    int memory_threads, memory_round;
};

/* --- what is multiplied --- */

static void add(struct lay_product_list *list, const char *name, int64_t in, int64_t out, int64_t count)
{
    list->items[list->count++] = (struct lay_product_shape){name, in, out, count};
}

struct lay_product_list lay_products_llm(const struct lay_llm_config *c)
{
    const int64_t H = c->hidden_size, F = c->intermediate_size, L = c->num_hidden_layers;
    const int64_t q = c->num_attention_heads * c->head_dim, kv = c->num_key_value_heads * c->head_dim;
    struct lay_product_list list = {.count = 0};
    add(&list, "qkv", H, q + 2 * kv, L);
    add(&list, "attn_out", q, H, L);
    add(&list, "mlp_in", H, 2 * F, L);
    add(&list, "mlp_out", F, H, L);
    return list;
}

struct lay_product_list lay_products_head(const struct lay_llm_config *c)
{
    struct lay_product_list list = {.count = 0};
    add(&list, "head", c->hidden_size, c->vocab_size, 1);
    return list;
}

struct lay_product_list lay_products_encoder(const struct lay_encoder_config *c)
{
    const int64_t d = c->hidden_size, F = c->intermediate_size, L = c->num_hidden_layers;
    const int64_t inner = c->num_attention_heads * c->head_dim;
    struct lay_product_list list = {.count = 0};
    add(&list, "qkv", d, 3 * inner, L);
    add(&list, "attn_out", inner, d, L);
    add(&list, "mlp_in", d, c->gated ? 2 * F : F, L);
    add(&list, "mlp_out", F, d, L);
    return list;
}

/* models.md: M = linear(d → 2d), linear(2d → H); LangBridge d → H; the aligner d → H for keys and for values
 * of every language layer, then that layer's k_proj and v_proj. Ablated or larger structures do more. */
struct lay_product_list lay_products_aligner(const struct lay_encoder_config *encoder,
                                             const struct lay_llm_config *llm, int64_t adapters,
                                             bool soft_prompt)
{
    const int64_t d = encoder->hidden_size, H = llm->hidden_size;
    const int64_t kv = llm->num_key_value_heads * llm->head_dim;
    struct lay_product_list list = {.count = 0};
    if (soft_prompt) {
        add(&list, "mapping_in", d, 2 * d, 1);
        add(&list, "mapping_out", 2 * d, H, 1);
    }
    if (adapters > 0) {
        add(&list, "aligner", d, H, 2 * adapters);
        add(&list, "adapter_kv", H, kv, 2 * adapters);
    }
    return list;
}

/* --- rates --- */

enum lay_status lay_bounds_create(enum lay_dtype dtype, double budget, size_t pool,
                                  struct lay_bounds **bounds, struct lay_err *err)
{
    struct lay_bounds *b = lay_alloc(1, sizeof *b);
    *bounds = NULL;
    if (!b)
        return lay_no_memory(err, "the bound");
    b->dtype = dtype;
    b->budget = budget;
    b->round = 1;
    enum lay_status status = lay_dnn_create(&b->dnn, err);
    if (status == LAY_OK)
        status = lay_rates_create(b->dnn, dtype, pool, &b->rates, err);
    if (status != LAY_OK)
        lay_bounds_destroy(b);
    else
        *bounds = b;
    return status;
}

void lay_bounds_rest(struct lay_bounds *bounds)
{
    lay_rates_rest(bounds->rates);
    bounds->round++;
}

void lay_bounds_destroy(struct lay_bounds *bounds)
{
    if (!bounds)
        return;
    lay_rates_destroy(bounds->rates);
    lay_dnn_destroy(bounds->dnn);
    lay_free(bounds->measured);
    lay_free(bounds);
}

static struct measured *find(struct lay_bounds *b, const struct measured *key)
{
    for (size_t i = 0; i < b->count; i++) {
        struct measured *m = &b->measured[i];
        if (m->in == key->in && m->out == key->out && m->rows == key->rows && m->threads == key->threads)
            return m;
    }
    return NULL;
}

static enum lay_status best_seconds(struct lay_bounds *b, int64_t in, int64_t out, int64_t rows,
                                    double *seconds, struct lay_err *err)
{
    const struct measured new = {.in = in, .out = out, .rows = rows, .threads = omp_get_max_threads()};
    struct measured *m = find(b, &new);
    if (!m) {
        if (!lay_grow((void **)&b->measured, &b->capacity, b->count + 1, sizeof new))
            return lay_no_memory(err, "the bound");
        m = &b->measured[b->count++];
        *m = new;
    }
    if (m->round != b->round) {
        struct lay_rate rate;
        LAY_TRY(lay_rates_measure(b->rates, in, out, rows, b->budget, &rate, err));
        m->seconds = m->round == 0 || rate.seconds < m->seconds ? rate.seconds : m->seconds;
        m->medians += rate.median_seconds;
        m->medians_count++;
        m->round = b->round;
    }
    *seconds = m->seconds;
    return LAY_OK;
}

void lay_bounds_begin(struct lay_bounds *b)
{
    lay_bounds_rest(b);
    for (size_t i = 0; i < b->count; i++) {
        b->measured[i].medians = 0;
        b->measured[i].medians_count = 0;
    }
}

double lay_bounds_steadiness(const struct lay_bounds *b)
{
    double best = 0, typical = 0;
    for (size_t i = 0; i < b->count; i++) {
        const struct measured *m = &b->measured[i];
        if (m->medians_count == 0)
            continue;
        best += m->seconds;
        typical += m->medians / m->medians_count;
    }
    return typical > 0 ? best / typical : 0;
}

enum lay_status lay_bound_seconds(struct lay_bounds *bounds, const struct lay_product_list *products,
                                  double rows, int64_t step, double *seconds, struct lay_err *err)
{
    *seconds = 0;
    for (int i = 0; i < products->count && rows > 0; i++) {
        const struct lay_product_shape *p = &products->items[i];
        double one;
        LAY_TRY(best_seconds(bounds, p->in, p->out, step, &one, err));
        *seconds += (double)p->count * rows / (double)step * one;
    }
    return LAY_OK;
}

enum lay_status lay_bound_memory(struct lay_bounds *b, double *read, double *copy, struct lay_err *err)
{
    const int threads = omp_get_max_threads();
    if (b->memory_threads != threads || b->memory_round != b->round) {
        double r, c;
        const bool same = b->memory_threads == threads;
        LAY_TRY(lay_rates_memory(b->rates, &r, &c, err));
        b->read = same && b->read > r ? b->read : r;
        b->copy = same && b->copy > c ? b->copy : c;
        b->memory_threads = threads;
        b->memory_round = b->round;
    }
    *read = b->read;
    *copy = b->copy;
    return LAY_OK;
}

/* Whole models that learn: the promise that neither threads nor splits nor kept activations change a bit,
 * what becomes of changed values, and what is refused. */
#include "world.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>

/* All gradients one after the other; free with free. */
static float *gradients(struct lay_trainable *t, size_t *n)
{
    *n = 0;
    for (size_t i = 0; i < lay_trainable_count(t); i++)
        *n += lay_trainable_parameter(t, i)->count;
    float *all = malloc((*n + 1) * sizeof *all), *to = all;
    assert_non_null(all);
    for (size_t i = 0; i < lay_trainable_count(t); i++) {
        const struct lay_parameter *p = lay_trainable_parameter(t, i);
        memcpy(to, p->gradient, p->count * sizeof *to);
        to += p->count;
    }
    return all;
}

/* --- the promise --- */

/* How a batch is computed. */
struct way {
    const char *name;
    int threads;
    int64_t rows; /* of a pass */
    bool apart;   /* one call per sample */
    bool little;  /* as little memory as can be: nothing is kept */
};

static size_t least_memory(const struct world *w, struct lay_trainable_options options)
{
    size_t low = 1, high = (size_t)1 << 40;
    struct lay_train_plan plan;
    while (high - low > 1) {
        options.memory = low + (high - low) / 2;
        if (lay_trainable_plan(&w->parts, &options, &plan, NULL, NULL) == LAY_OK)
            high = options.memory;
        else
            low = options.memory;
    }
    return high;
}

static float *compute(const struct world *w, const struct variant *v, const struct way *way,
                      enum lay_dtype dtype, bool all, struct lay_train_loss *loss, size_t *n)
{
    struct lay_trainable_options options = everything(v);
    const struct lay_accumulate_options accumulate = {.weight = 1.0};
    struct lay_trainable *t;
    options.compute = dtype;
    options.rows = way->rows;
    if (!all)
        options.train_llm = options.train_encoder = false;
    if (way->little)
        options.memory = least_memory(w, options);
    *loss = (struct lay_train_loss){0};
    omp_set_num_threads(way->threads);
    ok(lay_trainable_create(&w->parts, &options, &t, err));
    for (size_t s = 0; s < SAMPLES; s += way->apart ? 1 : SAMPLES)
        ok(lay_trainable_accumulate(t, samples + s, way->apart ? 1 : SAMPLES, &accumulate, loss, err));
    lay_trainable_collect(t, 1.0);
    float *all_gradients = gradients(t, n);
    lay_trainable_destroy(t);
    return all_gradients;
}

static void nothing_but_the_samples_matters(void **state)
{
    static const struct way ways[] = {{"whole", 2, 2048, false, false},
                                      {"one thread", 1, 2048, false, false},
                                      {"a sample per pass", 2, 1, false, false},
                                      {"a call per sample", 2, 2048, true, false},
                                      {"nothing kept", 2, 2048, false, true}};
    (void)state;
    const int threads = omp_get_max_threads();
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++)
        for (int half = 0; half < 2; half++) { /* f32 with all parts learning, bf16 with frozen models */
            const enum lay_dtype dtype = half ? LAY_BF16 : LAY_F32;
            const bool all = !half || variants[i].method == LAY_PLAIN;
            struct lay_train_loss first, other;
            struct world w;
            size_t n;
            world_open(&variants[i], &w);
            float *expected = compute(&w, &variants[i], &ways[0], dtype, all, &first, &n);
            world_close(&w);
            for (size_t k = 1; k < sizeof ways / sizeof *ways; k++) {
                world_open(&variants[i], &w);
                float *got = compute(&w, &variants[i], &ways[k], dtype, all, &other, &n);
                if (memcmp(got, expected, n * sizeof *got) != 0 || first.sum != other.sum)
                    fail_msg("%s: %s makes a difference", variants[i].name, ways[k].name);
                free(got);
                world_close(&w);
            }
            free(expected);
        }
    omp_set_num_threads(threads);
}

/* bf16 rounds each factor to 8 bits: the gradients as a whole point the same way. */
static void bf16_gradients_are_near(void **state)
{
    static const struct way way = {"whole", 2, 2048, false, false};
    (void)state;
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++) {
        struct lay_train_loss loss;
        float *g[2];
        size_t n;
        for (int half = 0; half < 2; half++) {
            struct world w;
            world_open(&variants[i], &w);
            g[half] = compute(&w, &variants[i], &way, half ? LAY_BF16 : LAY_F32, true, &loss, &n);
            world_close(&w);
        }
        double difference = 0, size = 0;
        for (size_t e = 0; e < n; e++) {
            difference += pow((double)g[0][e] - (double)g[1][e], 2);
            size += pow((double)g[0][e], 2);
        }
        assert_true(difference > 0 && sqrt(difference / size) < 0.05);
        free(g[0]), free(g[1]);
    }
}

/* --- changing the values --- */

/* A step down the gradient lowers the loss by about step · |g|², in the packed weights too. The loss alone,
 * as dev sets have it, drops nothing. */
static void refreshed_values_are_used(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++) {
        const struct lay_trainable_options options = everything(&variants[i]);
        const struct lay_accumulate_options accumulate = {.weight = 1.0};
        struct lay_train_loss before = {0}, after = {0}, same = {0};
        struct lay_trainable *t;
        struct world w;
        world_open(&variants[i], &w);
        ok(lay_trainable_create(&w.parts, &options, &t, err));
        ok(lay_trainable_accumulate(t, samples, SAMPLES, &accumulate, &before, err));
        lay_trainable_collect(t, 1.0);
        double squares = 0;
        for (size_t p = 0; p < lay_trainable_count(t); p++) {
            const struct lay_parameter *parameter = lay_trainable_parameter(t, p);
            for (size_t e = 0; e < parameter->count; e++) {
                squares += pow((double)parameter->gradient[e], 2);
                parameter->value[e] -= 1e-5f * parameter->gradient[e];
            }
        }
        ok(lay_trainable_refresh(t, err));
        ok(lay_trainable_loss(t, samples, SAMPLES, &accumulate, &after, err));
        for (size_t p = 0; p < lay_trainable_count(t); p++)
            for (size_t e = 0; e < lay_trainable_parameter(t, p)->count; e++)
                assert_true(lay_trainable_parameter(t, p)->gradient[e] == 0.0f);
        ok(lay_trainable_accumulate(t, samples, SAMPLES, &accumulate, &same, err));
        assert_true(fabs((before.sum - same.sum) / (1e-5 * squares) - 1) < 0.1);
        assert_true((same.sum == after.sum) == (variants[i].dropout == 0));
        lay_trainable_destroy(t);
        world_close(&w);
    }
}

/* --- what is refused --- */

static void refuse(struct lay_trainable *t, const struct lay_train_sample *sample, const char *what)
{
    const struct lay_accumulate_options options = {.weight = 1.0};
    struct lay_train_loss loss = {0};
    struct lay_err err = {0};
    assert_int_equal(lay_trainable_accumulate(t, sample, 1, &options, &loss, &err), LAY_ERR_INPUT);
    assert_non_null(strstr(err.message, what));
}

static void bad_samples_and_options_are_refused(void **state)
{
    (void)state;
    const struct variant *v = &variants[3];
    const int32_t outside[] = {3, 30};
    struct lay_trainable_options options = everything(v);
    struct lay_train_sample sample = samples[0];
    struct lay_trainable *t;
    struct lay_err error = {0};
    struct world w;
    world_open(v, &w);
    ok(lay_trainable_create(&w.parts, &options, &t, err));
    sample.n_target = 0;
    refuse(t, &sample, "no target");
    sample = samples[0];
    sample.n_source = 0;
    refuse(t, &sample, "no source");
    sample = samples[0];
    sample.prompt = outside;
    sample.n_prompt = 2;
    refuse(t, &sample, "vocabulary");
    lay_trainable_destroy(t);

    options.memory = 1000;
    assert_int_equal(lay_trainable_create(&w.parts, &options, &t, &error), LAY_ERR_MEMORY);
    options = (struct lay_trainable_options){.compute = LAY_F32};
    assert_int_equal(lay_trainable_create(&w.parts, &options, &t, &error), LAY_ERR_INPUT);
    options.train_encoder = true;
    strcpy(w.encoder.model_type, "bert");
    assert_int_equal(lay_trainable_create(&w.parts, &options, &t, &error), LAY_ERR_INPUT);
    assert_non_null(strstr(error.message, "bert"));
    world_close(&w);
}

static void fail_allocations(const struct variant *v)
{
    const struct lay_trainable_options options = everything(v);
    const struct lay_accumulate_options accumulate = {.weight = 1.0};
    struct lay_train_loss loss = {0};
    bool failed = true;
    /* not every allocation, but all kinds of them, in a fraction of the time */
    for (long n = 0; failed; n += 23) {
        struct lay_trainable *t = NULL;
        struct lay_err err = {0};
        struct world w;
        world_open(v, &w);
        lay_mem_fail_after(n);
        enum lay_status status = lay_trainable_create(&w.parts, &options, &t, &err);
        if (status == LAY_OK)
            status = lay_trainable_accumulate(t, samples, SAMPLES, &accumulate, &loss, &err);
        if (status == LAY_OK)
            status = lay_trainable_refresh(t, &err);
        lay_mem_fail_after(-1);
        failed = status != LAY_OK;
        assert_true(!failed || status == LAY_ERR_MEMORY);
        lay_trainable_destroy(t);
        world_close(&w);
        assert_true(n < 100000);
    }
}

static void failing_allocations(void **state)
{
    (void)state;
    fail_allocations(&variants[4]);
    fail_allocations(&variants[10]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_but_the_samples_matters),
        cmocka_unit_test(bf16_gradients_are_near),
        cmocka_unit_test(refreshed_values_are_used),
        cmocka_unit_test(bad_samples_and_options_are_refused),
        cmocka_unit_test(failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

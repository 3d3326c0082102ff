/* An LLM of a golden case or of a temporary directory, and runs of it, for the tests of engine/model. */
#ifndef LAY_TESTS_MODEL_LLM_FIXTURE_H
#define LAY_TESTS_MODEL_LLM_FIXTURE_H

#include "engine/base/mem.h"
#include "engine/model/llm.h"
#include "engine/nn/kernels.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/ok.h"

struct fixture {
    struct lay_dnn *dnn;
    struct lay_checkpoint *checkpoint;
    struct lay_weights *weights;
    struct lay_llm *llm;
    struct lay_kv_pool *pool;
    int64_t H, V;
};

/* `change` (may be NULL) edits the configuration before the weights are loaded. */
static inline void fixture_open(struct fixture *f, const char *dir, enum lay_dtype dtype,
                                void (*change)(struct lay_llm_config *config))
{
    struct lay_llm_config config;
    *f = (struct fixture){0};
    ok(lay_llm_config_read(dir, &config, err));
    if (change)
        change(&config);
    ok(lay_dnn_create(&f->dnn, err));
    ok(lay_checkpoint_open(dir, &f->checkpoint, err));
    ok(lay_weights_create(&f->weights, err));
    ok(lay_weights_add(f->weights, f->checkpoint, "model.", NULL, NULL, err));
    ok(lay_weights_add(f->weights, f->checkpoint, "", NULL, NULL, err));
    ok(lay_llm_load(f->dnn, &config, f->weights, lay_precision_of(dtype), &f->llm, err));
    const struct lay_kv_shape shape = lay_llm_kv_shape(f->llm);
    ok(lay_kv_pool_create(&shape, 64 * lay_kv_page_bytes(&shape), &f->pool, err));
    f->H = config.hidden_size;
    f->V = config.vocab_size;
}

static inline void fixture_close(struct fixture *f)
{
    lay_kv_pool_destroy(f->pool);
    lay_llm_destroy(f->llm);
    lay_weights_destroy(f->weights);
    lay_checkpoint_close(f->checkpoint);
    lay_dnn_destroy(f->dnn);
}

/* Logits [n, V] of `ids`, fed in pieces of `step` rows. Free with lay_free. */
static inline float *run(struct fixture *f, const int32_t *ids, int64_t n, int64_t step, int64_t offset)
{
    struct lay_kv_seq kv = {0};
    float *x = lay_alloc((size_t)(n * f->H), sizeof *x),
          *logits = lay_alloc((size_t)(n * f->V), sizeof *logits);
    assert_non_null(x);
    assert_non_null(logits);
    ok(lay_kv_reserve(f->pool, &kv, n, err));
    ok(lay_llm_embed(f->llm, ids, n, x, err));
    for (int64_t at = 0; at < n; at += step) {
        const struct lay_llm_span span = {&kv, NULL, n - at < step ? n - at : step, offset};
        ok(lay_llm_forward(f->llm, f->pool, &span, 1, NULL, x + at * f->H, NULL, err));
    }
    ok(lay_llm_logits(f->llm, x, n, logits, err));
    lay_kv_release(f->pool, &kv);
    lay_free(x);
    return logits;
}

#endif

/* Continuous batching: what a request gets does not depend on what else is in flight, and limits are kept. */
#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "engine/generate/workspace.h"
#include "engine/generate/generate.h"
#include "engine/store/safetensors_write.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { VOCAB = 40, HIDDEN = 16, INNER = 24, LAYERS = 2, HEADS = 4, KV_HEADS = 2, HEAD_DIM = 4 };
enum { N_REQUESTS = 7, MAX_NEW = 12 };

static char directory[] = "/tmp/layeval-generate-XXXXXX";
static char path[128];
static struct lay_dnn *dnn;
static struct lay_checkpoint *checkpoint;
static struct lay_weights *weights;
static struct lay_models models;

static struct lay_llm_config config = {
    .model_type = "llama",
    .vocab_size = VOCAB,
    .hidden_size = HIDDEN,
    .intermediate_size = INNER,
    .num_hidden_layers = LAYERS,
    .num_attention_heads = HEADS,
    .num_key_value_heads = KV_HEADS,
    .head_dim = HEAD_DIM,
    .max_position_embeddings = 512,
    .rms_norm_eps = 1e-5F,
    .rope_theta = 10000,
    .bos_id = 1,
    .pad_id = -1,
};

/* --- a random model, through the file format as users have it --- */

static struct lay_tensor_spec specs[64];
static char names[64][64];
static size_t n_specs;

static void add(const char *name, int64_t rows, int64_t cols)
{
    snprintf(names[n_specs], sizeof names[0], "%s", name);
    specs[n_specs] = (struct lay_tensor_spec){
        .name = names[n_specs], .dtype = LAY_F32, .rank = cols ? 2 : 1, .shape = {rows, cols}};
    n_specs++;
}

static void describe(void)
{
    static const struct {
        const char *name;
        int64_t rows, cols;
    } layer[] = {
        {"self_attn.q_proj.weight", HEADS * HEAD_DIM, HIDDEN},
        {"self_attn.k_proj.weight", KV_HEADS * HEAD_DIM, HIDDEN},
        {"self_attn.v_proj.weight", KV_HEADS * HEAD_DIM, HIDDEN},
        {"self_attn.o_proj.weight", HIDDEN, HEADS * HEAD_DIM},
        {"mlp.gate_proj.weight", INNER, HIDDEN},
        {"mlp.up_proj.weight", INNER, HIDDEN},
        {"mlp.down_proj.weight", HIDDEN, INNER},
        {"input_layernorm.weight", HIDDEN, 0},
        {"post_attention_layernorm.weight", HIDDEN, 0},
    };
    char name[64];
    add("embed_tokens.weight", VOCAB, HIDDEN);
    add("lm_head.weight", VOCAB, HIDDEN);
    add("norm.weight", HIDDEN, 0);
    for (int l = 0; l < LAYERS; l++)
        for (size_t i = 0; i < sizeof layer / sizeof *layer; i++) {
            snprintf(name, sizeof name, "layers.%d.%s", l, layer[i].name);
            add(name, layer[i].rows, layer[i].cols);
        }
}

static int load(void **state)
{
    (void)state;
    struct lay_err err = {0};
    struct lay_safetensors_writer *writer;
    if (!mkdtemp(directory))
        return -1;
    snprintf(path, sizeof path, "%s/model.safetensors", directory);
    describe();
    srand(11);
    assert_int_equal(lay_safetensors_create(path, specs, n_specs, &writer, &err), LAY_OK);
    for (size_t t = 0; t < n_specs; t++)
        for (int64_t i = 0; i < specs[t].shape[0] * (specs[t].rank == 2 ? specs[t].shape[1] : 1); i++) {
            const float v = (float)rand() / (float)RAND_MAX - 0.5F;
            assert_int_equal(lay_safetensors_put(writer, &v, sizeof v, &err), LAY_OK);
        }
    assert_int_equal(lay_safetensors_finish(writer, &err), LAY_OK);
    assert_int_equal(lay_dnn_create(&dnn, &err), LAY_OK);
    assert_int_equal(lay_checkpoint_open(path, &checkpoint, &err), LAY_OK);
    assert_int_equal(lay_weights_create(&weights, &err), LAY_OK);
    assert_int_equal(lay_weights_add(weights, checkpoint, "", NULL, NULL, &err), LAY_OK);
    assert_int_equal(lay_llm_load(dnn, &config, weights, lay_precision_of(LAY_F32), &models.llm, &err),
                     LAY_OK);
    return 0;
}

static int unload(void **state)
{
    (void)state;
    lay_llm_destroy(models.llm);
    lay_weights_destroy(weights);
    lay_checkpoint_close(checkpoint);
    lay_dnn_destroy(dnn);
    unlink(path);
    return rmdir(directory);
}

/* --- requests --- */

static const int32_t prompt_tokens[64] = {5,  9, 3, 17, 20, 31, 7, 6, 12, 33, 39, 2, 8,  15, 4,  21,
                                          11, 3, 9, 30, 25, 14, 6, 1, 37, 28, 13, 9, 22, 35, 10, 16};
static struct lay_prompt_ids requests[N_REQUESTS];

struct answers {
    size_t n;
    struct {
        int32_t ids[MAX_NEW];
        size_t n_ids;
        enum lay_ended ended;
        int times;
    } of[N_REQUESTS];
    size_t stop_at;      /* stopped() says yes at this many tokens; 0 never */
    size_t interrupt_at; /* done() says stop at this many answers; 0 never */
};

static void fill_requests(void)
{
    static const int64_t lengths[N_REQUESTS] = {3, 40, 0, 11, 25, 1, 17};
    for (int i = 0; i < N_REQUESTS; i++)
        requests[i] = (struct lay_prompt_ids){.prompt = prompt_tokens + i, .n_prompt = lengths[i]};
}

static int done(void *context, const struct lay_generation *generation)
{
    struct answers *a = context;
    const size_t i = generation->request;
    memcpy(a->of[i].ids, generation->ids, generation->n_ids * sizeof *generation->ids);
    a->of[i].n_ids = generation->n_ids;
    a->of[i].ended = generation->ended;
    a->of[i].times++;
    return ++a->n == a->interrupt_at;
}

static bool stopped(void *context, const int32_t *ids, size_t n)
{
    const struct answers *a = context;
    (void)ids;
    return n == a->stop_at;
}

static enum lay_status generate(int64_t batch_size, size_t kv_bytes, struct answers *a, struct lay_err *err)
{
    const struct lay_generate_options options = {
        .kv_bytes = kv_bytes,
        .batch_size = batch_size,
        .max_new_tokens = MAX_NEW,
        .stopped = a->stop_at ? stopped : NULL,
        .done = done,
        .context = a,
    };
    fill_requests();
    return lay_generate(&models, requests, N_REQUESTS, &options, err);
}

static void same_answers(const struct answers *a, const struct answers *b)
{
    for (int i = 0; i < N_REQUESTS; i++) {
        assert_int_equal(a->of[i].times, 1);
        assert_int_equal(b->of[i].times, 1);
        assert_int_equal(a->of[i].ended, b->of[i].ended);
        assert_int_equal(a->of[i].n_ids, b->of[i].n_ids);
        assert_memory_equal(a->of[i].ids, b->of[i].ids, a->of[i].n_ids * sizeof(int32_t));
    }
}

static void batch_and_memory_do_not_change_answers(void **state)
{
    (void)state;
    struct lay_err err = {0};
    struct answers alone = {0}, together = {0}, tight = {0};
    const size_t one = lay_generate_kv_bytes(&models, &(struct lay_prompt_ids){.n_prompt = 40}, MAX_NEW);
    assert_int_equal(generate(1, one, &alone, &err), LAY_OK);
    assert_int_equal(generate(64, 64 * one, &together, &err), LAY_OK);
    assert_int_equal(generate(3, one + one / 2, &tight, &err),
                     LAY_OK); /* pages run out before sequences do */
    same_answers(&alone, &together);
    same_answers(&alone, &tight);
    for (int i = 0; i < N_REQUESTS; i++) {
        assert_int_equal(alone.of[i].n_ids, MAX_NEW); /* the model names no eos */
        assert_int_equal(alone.of[i].ended, LAY_ENDED_LENGTH);
    }
}

/* What a call leaves is taken by the next as long as it is large enough and not above its limit. */
static void a_workspace_is_kept_and_changes_no_answer(void **state)
{
    (void)state;
    struct lay_err err = {0};
    struct lay_workspace workspace = {0};
    struct answers without = {0}, first = {0}, again = {0}, small = {0}, large = {0};
    const size_t one = lay_generate_kv_bytes(&models, &(struct lay_prompt_ids){.n_prompt = 40}, MAX_NEW);
    assert_int_equal(generate(3, 4 * one, &without, &err), LAY_OK);
    models.workspace = &workspace;
    assert_int_equal(generate(3, 4 * one, &first, &err), LAY_OK);
    const struct lay_kv_pool *pool = workspace.pool;
    const struct lay_encoded *encoded = workspace.encoded;
    const int64_t pages = pool->n_pages;
    assert_true(pool && encoded && pool->n_free == pages);
    assert_int_equal(generate(3, 4 * one, &again, &err), LAY_OK);
    assert_ptr_equal(workspace.pool, pool);
    assert_ptr_equal(workspace.encoded, encoded);
    assert_int_equal(generate(3, one, &small, &err), LAY_OK);
    assert_true(workspace.pool->n_pages < pages);
    assert_int_equal(generate(3, 4 * one, &large, &err), LAY_OK);
    assert_int_equal(workspace.pool->n_pages, pages);
    models.workspace = NULL;
    lay_workspace_free(&workspace);
    assert_null(workspace.pool);
    same_answers(&without, &first);
    same_answers(&without, &again);
    same_answers(&without, &small);
    same_answers(&without, &large);
}

/* With an end token the answers are those without, cut before its first occurrence. */
static void eos_ends_a_sequence(void **state)
{
    (void)state;
    struct lay_err err = {0};
    struct answers open = {0}, ended = {0};
    struct lay_llm *without = models.llm;
    assert_int_equal(generate(3, (size_t)1 << 20, &open, &err), LAY_OK);
    struct lay_llm_config with = config;
    with.n_eos = 1;
    with.eos_ids[0] = open.of[1].ids[MAX_NEW / 2];
    assert_int_equal(lay_llm_load(dnn, &with, weights, lay_precision_of(LAY_F32), &models.llm, &err), LAY_OK);
    assert_int_equal(generate(3, (size_t)1 << 20, &ended, &err), LAY_OK);
    lay_llm_destroy(models.llm);
    models.llm = without;
    for (int i = 0; i < N_REQUESTS; i++) {
        size_t n = 0;
        while (n < MAX_NEW && open.of[i].ids[n] != with.eos_ids[0])
            n++;
        assert_int_equal(ended.of[i].n_ids, n);
        assert_int_equal(ended.of[i].ended, n < MAX_NEW ? LAY_ENDED_EOS : LAY_ENDED_LENGTH);
        assert_memory_equal(ended.of[i].ids, open.of[i].ids, n * sizeof(int32_t));
    }
    assert_int_equal(ended.of[1].ended, LAY_ENDED_EOS);
}

static void stop_texts_end_a_sequence(void **state)
{
    (void)state;
    struct lay_err err = {0};
    struct answers a = {.stop_at = 4};
    assert_int_equal(generate(4, (size_t)1 << 20, &a, &err), LAY_OK);
    for (int i = 0; i < N_REQUESTS; i++) {
        assert_int_equal(a.of[i].n_ids, 4);
        assert_int_equal(a.of[i].ended, LAY_ENDED_STOP);
    }
}

static void refuses_what_can_never_fit(void **state)
{
    (void)state;
    struct lay_err err = {0};
    struct answers a = {0};
    const size_t small = lay_generate_kv_bytes(&models, &(struct lay_prompt_ids){.n_prompt = 3}, MAX_NEW);
    assert_int_equal(generate(4, small, &a, &err), LAY_ERR_INPUT);
    assert_non_null(strstr(err.message, "request 1 needs"));
    assert_int_equal(a.n, 0);
}

/* --- many requests that begin alike --- */

enum { N_MANY = 24, MANY_NEW = 40, COMMON = 50, OWN = 6 };

struct many {
    int32_t tokens[N_MANY][COMMON + OWN];
    struct lay_prompt_ids requests[N_MANY];
    int64_t ends[N_MANY];
    int32_t ids[N_MANY][MANY_NEW];
    size_t n_ids[N_MANY];
    struct lay_generate_stats stats;
};

static int keep(void *context, const struct lay_generation *generation)
{
    struct many *m = context;
    memcpy(m->ids[generation->request], generation->ids, generation->n_ids * sizeof(int32_t));
    m->n_ids[generation->request] = generation->n_ids;
    return 0;
}

/* The first half has the longer prompts and one new token each, so that the others are expected to be short,
 * which they are not. */
static void generate_many(struct many *m, bool alike, int64_t batch_size, size_t kv_bytes)
{
    struct lay_err err = {0};
    *m = (struct many){0};
    for (int i = 0; i < N_MANY; i++) {
        for (int t = 0; t < COMMON + OWN; t++)
            m->tokens[i][t] = (int32_t)(3 + (t * 7 + (alike && t < COMMON ? 0 : i * 11 + t / 3)) % 36);
        m->requests[i] =
            (struct lay_prompt_ids){.prompt = m->tokens[i], .n_prompt = COMMON + OWN - i / 12 * 3};
        m->ends[i] = i < 12 ? 1 : MANY_NEW;
    }
    const struct lay_generate_options options = {.kv_bytes = kv_bytes,
                                                 .batch_size = batch_size,
                                                 .max_new_tokens = MANY_NEW,
                                                 .done = keep,
                                                 .context = m,
                                                 .stats = &m->stats,
                                                 .ends = m->ends};
    if (lay_generate(&models, m->requests, N_MANY, &options, &err) != LAY_OK)
        fail_msg("%s", err.message);
}

static void same_many(const struct many *a, const struct many *b)
{
    for (int i = 0; i < N_MANY; i++) {
        assert_int_equal(a->n_ids[i], a->ends[i]);
        assert_int_equal(b->n_ids[i], b->ends[i]);
        assert_memory_equal(a->ids[i], b->ids[i], a->n_ids[i] * sizeof(int32_t));
    }
}

static size_t bytes_of_many(int64_t n)
{
    const struct lay_prompt_ids longest = {.n_prompt = COMMON + OWN};
    return (size_t)n * lay_generate_kv_bytes(&models, &longest, MANY_NEW);
}

/* 50 common tokens behind bos fill three pages of 16; all but the first request take them over. Alone, one
 * after the other, a request finds the pages that the one before it left. */
static void common_beginnings_are_computed_once(void **state)
{
    (void)state;
    static struct many alone, together, different;
    generate_many(&alone, true, 1, bytes_of_many(1));
    generate_many(&together, true, N_MANY, bytes_of_many(2 * N_MANY));
    same_many(&alone, &together);
    const int64_t shared = 48 * (N_MANY - 1), prompts = 12 * (57 + 54);
    assert_int_equal(together.stats.shared_tokens, shared);
    assert_int_equal(together.stats.prefill_tokens, prompts - shared);
    generate_many(&different, false, N_MANY, bytes_of_many(2 * N_MANY));
    assert_int_equal(different.stats.shared_tokens, 0);
    assert_int_equal(different.stats.prefill_tokens, prompts);
}

/* What sharing does is the same as not sharing: one request at a time, each in a call of its own. */
static void shared_pages_hold_what_each_would_have_computed(void **state)
{
    (void)state;
    static struct many together;
    generate_many(&together, true, N_MANY, bytes_of_many(2 * N_MANY));
    for (int i = 0; i < N_MANY; i += 5) {
        static struct many single;
        struct lay_err err = {0};
        single = (struct many){0};
        const struct lay_generate_options options = {.kv_bytes = bytes_of_many(1),
                                                     .batch_size = 1,
                                                     .max_new_tokens = MANY_NEW,
                                                     .done = keep,
                                                     .context = &single,
                                                     .stats = &single.stats,
                                                     .ends = &together.ends[i]};
        assert_int_equal(lay_generate(&models, &together.requests[i], 1, &options, &err), LAY_OK);
        assert_int_equal(single.stats.shared_tokens, 0);
        assert_int_equal(single.n_ids[0], together.n_ids[i]);
        assert_memory_equal(single.ids[0], together.ids[i], single.n_ids[0] * sizeof(int32_t));
    }
}

static void sequences_that_are_set_back_lose_nothing(void **state)
{
    (void)state;
    static struct many roomy, tight;
    for (int alike = 0; alike < 2; alike++) {
        generate_many(&roomy, alike, N_MANY, bytes_of_many(2 * N_MANY));
        assert_int_equal(roomy.stats.set_back, 0);
        generate_many(&tight, alike, N_MANY, bytes_of_many(3));
        same_many(&roomy, &tight);
        assert_true(tight.stats.set_back > 0);
    }
}

static void stops_when_asked(void **state)
{
    (void)state;
    struct lay_err err = {0};
    struct answers a = {.interrupt_at = 2};
    assert_int_equal(generate(1, (size_t)1 << 20, &a, &err), LAY_ERR_INTERRUPTED);
    assert_int_equal(a.n, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batch_and_memory_do_not_change_answers),
        cmocka_unit_test(a_workspace_is_kept_and_changes_no_answer),
        cmocka_unit_test(eos_ends_a_sequence),
        cmocka_unit_test(stop_texts_end_a_sequence),
        cmocka_unit_test(refuses_what_can_never_fit),
        cmocka_unit_test(common_beginnings_are_computed_once),
        cmocka_unit_test(shared_pages_hold_what_each_would_have_computed),
        cmocka_unit_test(sequences_that_are_set_back_lose_nothing),
        cmocka_unit_test(stops_when_asked),
    };
    return cmocka_run_group_tests(tests, load, unload);
}

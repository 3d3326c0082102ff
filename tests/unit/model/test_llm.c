/* What the forward pass promises beyond the golden figures: the same bits however the rows are fed, and the
 * sliding window. */
#include "llm_fixture.h"

#include <math.h>
#include <omp.h>

#define CASES LAYEVAL_TEST_DIR "/golden/"
#define LLAMA CASES "layalign_mt5_llama_linear/llm"
#define MISTRAL CASES "layalign_mt5_mistral_subset/llm"

enum { N = 21 }; /* more than a page of keys */

static void make_ids(int32_t *ids, int64_t n, int32_t seed)
{
    for (int64_t i = 0; i < n; i++)
        ids[i] = (int32_t)((seed + 37 * i) % 100);
}

static void check_decode_equals_prefill(enum lay_dtype dtype, const char *dir)
{
    struct fixture f;
    int32_t ids[N];
    make_ids(ids, N, 3);
    fixture_open(&f, dir, dtype, NULL);
    float *whole = run(&f, ids, N, N, 0);
    static const int64_t steps[] = {1, 5, 16};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        float *pieces = run(&f, ids, N, steps[i], 0);
        assert_memory_equal(whole, pieces, (size_t)(N * f.V) * sizeof *whole);
        lay_free(pieces);
    }
    lay_free(whole);
    fixture_close(&f);
}

static void decoding_gives_the_bits_of_the_prefill(void **state)
{
    (void)state;
    check_decode_equals_prefill(LAY_F32, LLAMA);
    check_decode_equals_prefill(LAY_BF16, LLAMA);
    check_decode_equals_prefill(LAY_F32, MISTRAL);
}

/* Three sequences in one step, each with other companions, give the bits of each alone. */
static void check_company(enum lay_dtype dtype)
{
    enum { SEQS = 3 };
    static const int64_t lengths[SEQS] = {7, 1, 18};
    struct fixture f;
    struct lay_kv_seq kv[SEQS] = {0};
    struct lay_llm_span spans[SEQS];
    int32_t ids[SEQS][N];
    fixture_open(&f, LLAMA, dtype, NULL);
    float *x = lay_alloc((size_t)(SEQS * N * f.H), sizeof *x);
    float *logits = lay_alloc((size_t)(SEQS * N * f.V), sizeof *logits);
    int64_t rows = 0;
    for (int s = 0; s < SEQS; s++) {
        make_ids(ids[s], lengths[s], 11 * s);
        ok(lay_kv_reserve(f.pool, &kv[s], lengths[s], err));
        ok(lay_llm_embed(f.llm, ids[s], lengths[s], x + rows * f.H, err));
        spans[s] = (struct lay_llm_span){&kv[s], NULL, lengths[s], 0};
        rows += lengths[s];
    }
    ok(lay_llm_forward(f.llm, f.pool, spans, SEQS, NULL, x, NULL, err));
    ok(lay_llm_logits(f.llm, x, rows, logits, err));
    const float *at = logits;
    for (int s = 0; s < SEQS; s++) {
        float *alone = run(&f, ids[s], lengths[s], lengths[s], 0);
        assert_memory_equal(at, alone, (size_t)(lengths[s] * f.V) * sizeof *alone);
        at += lengths[s] * f.V;
        lay_free(alone);
        assert_int_equal(kv[s].n_tokens, lengths[s]);
        lay_kv_release(f.pool, &kv[s]);
    }
    lay_free(x);
    lay_free(logits);
    fixture_close(&f);
}

static void company_changes_no_bit(void **state)
{
    (void)state;
    check_company(LAY_F32);
    check_company(LAY_BF16);
}

static void threads_change_no_bit(void **state)
{
    (void)state;
    struct fixture f;
    int32_t ids[N];
    const int before = omp_get_max_threads();
    make_ids(ids, N, 5);
    fixture_open(&f, LLAMA, LAY_F32, NULL);
    omp_set_num_threads(1);
    float *one = run(&f, ids, N, N, 0);
    omp_set_num_threads(2);
    float *two = run(&f, ids, N, N, 0);
    omp_set_num_threads(before);
    assert_memory_equal(one, two, (size_t)(N * f.V) * sizeof *one);
    lay_free(one);
    lay_free(two);
    fixture_close(&f);
}

static void one_layer_window_4(struct lay_llm_config *config)
{
    config->num_hidden_layers = 1;
    config->sliding_window = 4;
}

static void one_layer(struct lay_llm_config *config)
{
    config->num_hidden_layers = 1;
    config->sliding_window = 0;
}

static float last_row_difference(const struct fixture *f, const float *a, int64_t n_a, const float *b,
                                 int64_t n_b)
{
    float largest = 0;
    for (int64_t i = 0; i < f->V; i++)
        largest = fmaxf(largest, fabsf(a[(n_a - 1) * f->V + i] - b[(n_b - 1) * f->V + i]));
    return largest;
}

/* With one layer, a query that sees 4 keys gives what the last 4 tokens alone give, at their positions; a
 * fifth token makes a difference. */
static void the_window_counts_the_token_itself(void **state)
{
    (void)state;
    struct fixture windowed, full;
    int32_t ids[N];
    make_ids(ids, N, 1);
    fixture_open(&windowed, MISTRAL, LAY_F32, one_layer_window_4);
    fixture_open(&full, MISTRAL, LAY_F32, one_layer);
    float *logits = run(&windowed, ids, N, N, 0);
    float *decoded = run(&windowed, ids, N, 1, 0);
    float *last4 = run(&full, ids + N - 4, 4, 4, N - 4);
    float *last5 = run(&full, ids + N - 5, 5, 5, N - 5);
    assert_memory_equal(logits, decoded, (size_t)(N * full.V) * sizeof *logits);
    assert_true(last_row_difference(&full, logits, N, last4, 4) < 1e-4f);
    assert_true(last_row_difference(&full, logits, N, last5, 5) > 1e-2f);
    lay_free(logits);
    lay_free(decoded);
    lay_free(last4);
    lay_free(last5);
    fixture_close(&windowed);
    fixture_close(&full);
}

/* --- LayAlign's gates --- */

enum { SOURCE = 5, GATED_LAYERS = 2 };

/* What a tap hears of the adapter attention and of the layers' outputs. */
struct heard {
    float *adapter[GATED_LAYERS], *out[GATED_LAYERS];
    int64_t from; /* first row of the step */
};

static void hear(void *context, const char *name, int64_t layer, const float *data, int64_t rows,
                 int64_t cols)
{
    struct heard *heard = context;
    float *const *to = strcmp(name, "attn_adapter_out") == 0 ? heard->adapter
                       : strcmp(name, "out") == 0            ? heard->out
                                                             : NULL;
    if (to && layer < GATED_LAYERS)
        memcpy(to[layer] + heard->from * cols, data, (size_t)(rows * cols) * sizeof *data);
}

static float wave(int64_t i)
{
    return sinf((float)(i * i % 977));
}

/* Feeds N tokens in pieces of `step` rows through an LLM whose first layers have the adapter. */
static void run_adapted(struct fixture *f, const struct lay_llm_adapter *adapter, int64_t step,
                        struct heard *heard)
{
    struct lay_kv_seq kv = {0}, source = {0};
    const struct lay_llm_taps taps = {hear, heard};
    int32_t ids[N];
    float *x = lay_alloc((size_t)(N * f->H), sizeof *x);
    float *keys = lay_alloc((size_t)(SOURCE * f->H), sizeof *keys);
    make_ids(ids, N, 7);
    ok(lay_kv_reserve(f->pool, &kv, N, err));
    ok(lay_kv_reserve(f->pool, &source, SOURCE, err));
    for (int64_t i = 0; i < SOURCE * f->H; i++)
        keys[i] = wave(i + 1);
    for (int64_t layer = 0; layer < GATED_LAYERS; layer++) {
        heard->adapter[layer] = lay_alloc((size_t)(N * f->H), sizeof(float));
        heard->out[layer] = lay_alloc((size_t)(N * f->H), sizeof(float));
        ok(lay_llm_write_adapters(f->llm, f->pool, layer, keys, keys,
                                  &(struct lay_llm_adapter_rows){&source, SOURCE}, 1, err));
    }
    source.n_tokens = SOURCE;
    ok(lay_llm_embed(f->llm, ids, N, x, err));
    for (int64_t at = 0; at < N; at += step) {
        const struct lay_llm_span span = {&kv, &source, N - at < step ? N - at : step, 0};
        heard->from = at;
        ok(lay_llm_forward(f->llm, f->pool, &span, 1, adapter, x + at * f->H, &taps, err));
    }
    lay_kv_release(f->pool, &kv);
    lay_kv_release(f->pool, &source);
    lay_free(x);
    lay_free(keys);
}

static void heard_free(struct heard *heard)
{
    for (int i = 0; i < GATED_LAYERS; i++)
        lay_free(heard->adapter[i]), lay_free(heard->out[i]);
}

/* tanh(bias + w · norm(x)) of a row, in double. */
static double naive_gate(const struct fixture *f, const float *x, const char *norm, const float *w,
                         float bias)
{
    const float eps = lay_llm_config(f->llm)->rms_norm_eps;
    double squares = 0, sum = (double)bias;
    float *weight;
    ok(lay_weights_vector(f->weights, norm, f->H, &weight, err));
    for (int64_t i = 0; i < f->H; i++)
        squares += (double)x[i] * (double)x[i];
    for (int64_t i = 0; i < f->H; i++)
        sum += (double)w[i] * (double)weight[i] * (double)x[i] / sqrt(squares / (double)f->H + (double)eps);
    lay_free(weight);
    return tanh(sum);
}

/* Layer 0 does to both LLMs the same but for the gate, so the rows of its adapter attention differ by the
 * gate; and rows come in any pieces. */
static void gates_that_read_the_hidden_state(void **state)
{
    (void)state;
    static const bool has_gate[8] = {true, true};
    static const float one[8] = {1, 1}, bias[8] = {0.3f, -0.2f};
    struct fixture f;
    struct heard scalar, hidden, pieces;
    int32_t ids[N];
    fixture_open(&f, LLAMA, LAY_F32, NULL);
    assert_true(lay_llm_config(f.llm)->num_hidden_layers <= 8);
    float *weight = lay_alloc((size_t)(8 * f.H), sizeof *weight),
          *x = lay_alloc((size_t)(N * f.H), sizeof *x);
    for (int64_t i = 0; i < 8 * f.H; i++)
        weight[i] = 0.2f * wave(3 * i + 2);
    run_adapted(&f, &(struct lay_llm_adapter){one, NULL, has_gate}, N, &scalar);
    run_adapted(&f, &(struct lay_llm_adapter){bias, weight, has_gate}, N, &hidden);
    make_ids(ids, N, 7);
    ok(lay_llm_embed(f.llm, ids, N, x, err));
    double smallest = 1, largest = -1;
    for (int64_t r = 0; r < N; r++) {
        const double gate = naive_gate(&f, x + r * f.H, "layers.0.input_layernorm.weight", weight, bias[0]);
        smallest = fmin(smallest, gate);
        largest = fmax(largest, gate);
        for (int64_t i = r * f.H; i < (r + 1) * f.H; i++)
            assert_true(fabs((double)hidden.adapter[0][i] - gate * (double)scalar.adapter[0][i]) < 2e-6);
    }
    assert_true(largest - smallest > 0.2); /* or the test would not see rows mixed up */
    static const int64_t steps[] = {1, 4};
    for (size_t s = 0; s < sizeof steps / sizeof *steps; s++) {
        run_adapted(&f, &(struct lay_llm_adapter){bias, weight, has_gate}, steps[s], &pieces);
        for (int layer = 0; layer < GATED_LAYERS; layer++)
            assert_memory_equal(hidden.out[layer], pieces.out[layer], (size_t)(N * f.H) * sizeof(float));
        heard_free(&pieces);
    }
    heard_free(&scalar);
    heard_free(&hidden);
    lay_free(weight);
    lay_free(x);
    fixture_close(&f);
}

static void a_step_without_pages_is_refused(void **state)
{
    (void)state;
    struct fixture f;
    struct lay_kv_seq kv = {0};
    struct lay_err why = {0};
    fixture_open(&f, LLAMA, LAY_F32, NULL);
    float *x = lay_alloc((size_t)(17 * f.H), sizeof *x);
    const struct lay_llm_span span = {&kv, NULL, 17, 0};
    ok(lay_kv_reserve(f.pool, &kv, 16, err));
    assert_int_equal(lay_llm_forward(f.llm, f.pool, &span, 1, NULL, x, NULL, &why), LAY_ERR_INTERNAL);
    assert_int_equal(kv.n_tokens, 0);
    lay_kv_release(f.pool, &kv);
    lay_free(x);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decoding_gives_the_bits_of_the_prefill),
        cmocka_unit_test(company_changes_no_bit),
        cmocka_unit_test(threads_change_no_bit),
        cmocka_unit_test(the_window_counts_the_token_itself),
        cmocka_unit_test(gates_that_read_the_hidden_state),
        cmocka_unit_test(a_step_without_pages_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The figures of an analysis against the official code's own states: what a forward pass lets one hear, and
 * every figure computed a second time, naively, from the tensors of the golden cases. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/base/mem.h"
#include "engine/generate/observe.h"
#include "harness/verify/verify.h"
#include "reports/analysis/analysis.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXAMPLES_MAX 8
#define HIDDEN_LIMIT 2e-5 /* of tests/golden/README.md */
#define LLM_LIMIT 3e-4

/* A copy of what was heard of one example. */
struct heard {
    int64_t n_source, n_hidden, d, n_rows, H, layers;
    float *hidden; /* [n_hidden, n_source, d] */
    const float *views[16];
    float *states;
    double *ratio;
};

struct golden {
    struct lay_verify_case c;
    struct lay_verify_models models;
    struct lay_models loaded;
    struct lay_verify_inputs inputs[EXAMPLES_MAX];
    struct lay_prompt_ids ids[EXAMPLES_MAX];
    struct heard heard[EXAMPLES_MAX];
    size_t n;
};

static void *copy(const void *data, size_t count, size_t size)
{
    void *to = calloc(count ? count : 1, size);
    assert_non_null(to);
    if (count)
        memcpy(to, data, count * size);
    return to;
}

static void keep(void *context, const struct lay_observation *o)
{
    struct heard *h = (struct heard *)context + o->request;
    const size_t layer = (size_t)(o->n_source * o->encoder_width);
    *h = (struct heard){.n_source = o->n_source,
                        .n_hidden = o->n_hidden,
                        .d = o->encoder_width,
                        .n_rows = o->n_rows,
                        .H = o->llm_width,
                        .layers = o->llm_layers};
    h->hidden = calloc((size_t)o->n_hidden * layer + 1, sizeof(float));
    assert_non_null(h->hidden);
    for (int64_t i = 0; i < o->n_hidden; i++) {
        memcpy(h->hidden + (size_t)i * layer, o->hidden[i], layer * sizeof(float));
        h->views[i] = h->hidden + (size_t)i * layer;
    }
    h->states = copy(o->states, (size_t)(o->n_rows * o->llm_width), sizeof(float));
    h->ratio = copy(o->adapter_ratio, (size_t)o->llm_layers, sizeof(double));
}

static void forget(struct heard *h)
{
    free(h->hidden);
    free(h->states);
    free(h->ratio);
}

static void check(enum lay_status status, const struct lay_err *err)
{
    if (status != LAY_OK)
        fail_msg("%s", err->message);
}

static void open_case(struct golden *g, const char *name)
{
    const struct lay_verify_overrides none = {0};
    struct lay_err err = {0};
    char path[512];
    *g = (struct golden){.n = 0};
    snprintf(path, sizeof path, "%s/golden/%s", LAYEVAL_TEST_DIR, name);
    check(lay_verify_case_open(path, &none, &g->c, &err), &err);
    check(lay_verify_models_load(&g->c, &g->c.forms[0], LAY_F32, &g->models, &err), &err);
    g->loaded =
        (struct lay_models){.llm = g->models.llm, .encoder = g->models.encoder, .bridge = g->models.bridge};
    for (; g->n < EXAMPLES_MAX; g->n++) {
        char prefix[16], key[32];
        snprintf(prefix, sizeof prefix, "ex%zu.", g->n);
        snprintf(key, sizeof key, "ex%zu.enc_ids", g->n);
        if (!lay_checkpoint_find(g->c.expected, key))
            break;
        struct lay_verify_inputs *in = &g->inputs[g->n];
        check(lay_verify_inputs_read(&g->c, prefix, &g->models, in, &err), &err);
        g->ids[g->n] = (struct lay_prompt_ids){in->source, in->n, in->n, in->text, in->n_text[0]};
    }
    assert_true(g->n >= 4);
    check(lay_observe(&g->loaded, g->ids, g->n, NULL, keep, g->heard, &err), &err);
}

static void close_case(struct golden *g)
{
    for (size_t i = 0; i < g->n; i++) {
        forget(&g->heard[i]);
        lay_verify_inputs_free(&g->inputs[i]);
    }
    lay_verify_models_close(&g->models);
    lay_verify_case_close(&g->c);
}

static const struct lay_tensor *expected(const struct golden *g, size_t example, const char *format,
                                         int64_t number)
{
    char name[96];
    int n = snprintf(name, sizeof name, "ex%zu.", example);
    snprintf(name + n, sizeof name - (size_t)n, format, (long long)number);
    return lay_checkpoint_find(g->c.expected, name);
}

/* --- what is heard --- */

static void check_hidden(const struct golden *g, size_t example)
{
    const struct heard *h = &g->heard[example];
    assert_true(h->n_hidden >= 4);
    for (int64_t i = 0; i < h->n_hidden; i++) {
        const struct lay_tensor *t = expected(g, example, "encoder.hidden.%lld", i);
        assert_non_null(t);
        assert_int_equal(t->count, h->n_source * h->d);
        for (size_t k = 0; k < t->count; k++)
            assert_true(fabs(lay_verify_element(t, k) - (double)h->views[i][k]) <= HIDDEN_LIMIT);
    }
}

/* The states are after the final norm: the LM head of the file turns them into the official logits. */
static void check_states(const struct golden *g, size_t example)
{
    const struct heard *h = &g->heard[example];
    const struct lay_tensor *logits = expected(g, example, "prefill_logits", 0);
    const struct lay_tensor *head = lay_weights_find(g->models.weights[1], "lm_head.weight");
    if (!head) /* tied */
        head = lay_weights_find(g->models.weights[1], "embed_tokens.weight");
    assert_true(logits && head);
    const int64_t V = head->shape[0];
    assert_int_equal(logits->count, h->n_rows * V);
    for (int64_t r = 0; r < h->n_rows; r++)
        for (int64_t v = 0; v < V; v++) {
            double sum = 0;
            for (int64_t j = 0; j < h->H; j++)
                sum += lay_verify_element(head, (size_t)(v * h->H + j)) * (double)h->states[r * h->H + j];
            assert_true(fabs(sum - lay_verify_element(logits, (size_t)(r * V + v))) <= LLM_LIMIT);
        }
}

static double row_norm(const struct lay_tensor *a, const struct lay_tensor *minus, int64_t row, int64_t cols)
{
    double sum = 0;
    for (int64_t j = 0; j < cols; j++) {
        const size_t k = (size_t)(row * cols + j);
        const double x = lay_verify_element(a, k) - (minus ? lay_verify_element(minus, k) : 0);
        sum += x * x;
    }
    return sqrt(sum);
}

/* Of ex0 alone the cases hold the attention's outputs: the adapter's part is what the gate added. The limit
 * is what rounding the two f32 outputs can do to a difference of about `largest`. */
static int64_t check_ratios(const struct golden *g)
{
    const struct heard *h = &g->heard[0];
    int64_t compared = 0;
    for (int64_t layer = 0; layer < h->layers; layer++) {
        const struct lay_tensor *base = expected(g, 0, "llm.layer%lld.attn_base_out", layer);
        const struct lay_tensor *both = expected(g, 0, "llm.layer%lld.attn_out", layer);
        if (!base) {
            assert_true(isnan(h->ratio[layer]));
            continue;
        }
        double sum = 0, smallest = INFINITY;
        for (int64_t r = 0; r < h->n_rows; r++) {
            const double self = row_norm(base, NULL, r, h->H);
            sum += row_norm(both, base, r, h->H) / self;
            smallest = fmin(smallest, self);
        }
        const double mean = sum / (double)h->n_rows;
        assert_true(mean > 1e-3);
        assert_true(fabs(h->ratio[layer] - mean) <= 1e-5 * sqrt((double)h->H) * (1 + mean) / smallest);
        compared++;
    }
    return compared;
}

static void a_pass_lets_the_official_states_be_heard(void **state)
{
    static const struct {
        const char *name;
        int64_t gates;
    } cases[] = {{"layalign_mt5_llama_linear", 4},   {"layalign_mt5_llama_mlp", 3},
                 {"layalign_mt5_mistral_subset", 2}, {"layalign_nllb_llama_linear", 3},
                 {"mindmerger_mt5_llama", 0},        {"mindmerger_xlmr_qwen2", 0},
                 {"langbridge_mt5_llama_linear", 0}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct golden g;
        open_case(&g, cases[i].name);
        for (size_t e = 0; e < g.n; e++) {
            check_hidden(&g, e);
            check_states(&g, e);
        }
        assert_int_equal(check_ratios(&g), cases[i].gates);
        close_case(&g);
    }
}

/* One example at a time, and in the other order, gives the same bits as all together. */
static void neighbours_change_nothing(void **state)
{
    struct golden g;
    struct lay_err err = {0};
    (void)state;
    open_case(&g, "layalign_mt5_llama_linear");
    for (size_t e = g.n; e-- > 0;) {
        struct heard alone;
        const struct heard *together = &g.heard[e];
        check(lay_observe(&g.loaded, &g.ids[e], 1, NULL, keep, &alone, &err), &err);
        assert_int_equal(alone.n_rows, together->n_rows);
        assert_memory_equal(alone.states, together->states, (size_t)(alone.n_rows * alone.H) * sizeof(float));
        assert_memory_equal(alone.hidden, together->hidden,
                            (size_t)(alone.n_hidden * alone.n_source * alone.d) * sizeof(float));
        assert_memory_equal(alone.ratio, together->ratio, (size_t)alone.layers * sizeof(double));
        forget(&alone);
    }
    close_case(&g);
}

static void a_stop_ends_the_pass(void **state)
{
    struct golden g;
    struct lay_err err = {0};
    const volatile sig_atomic_t stop = 1;
    (void)state;
    open_case(&g, "mindmerger_mt5_llama");
    assert_int_equal(lay_observe(&g.loaded, g.ids, g.n, &stop, keep, NULL, &err), LAY_ERR_INTERRUPTED);
    assert_int_equal(lay_observe(&g.loaded, g.ids, 0, NULL, keep, NULL, &err), LAY_OK);
    close_case(&g);
}

/* --- the figures --- */

/* Cosine of rows s and t of two tensors. */
static double row_cosine(const struct lay_tensor *a, int64_t s, const struct lay_tensor *b, int64_t t,
                         int64_t cols)
{
    double ab = 0, aa = 0, bb = 0;
    for (int64_t j = 0; j < cols; j++) {
        const double x = lay_verify_element(a, (size_t)(s * cols + j));
        const double y = lay_verify_element(b, (size_t)(t * cols + j));
        ab += x * y;
        aa += x * x;
        bb += y * y;
    }
    return ab / sqrt(aa * bb);
}

/* Examples 0, 2, … stand for English, 1, 3, … for their translations. */
static struct lay_analysis *analyse(const struct golden *g)
{
    static const struct lay_analysis_language languages[] = {{"en", "English", false},
                                                             {"sw", "Swahili", false}};
    struct lay_analysis_options options = {.languages = languages,
                                           .n_languages = 2,
                                           .n_sentences = g->n / 2,
                                           .n_points = 100,
                                           .pair_language = 1,
                                           .pair_sentence = 1};
    struct lay_analysis *analysis;
    struct lay_err err = {0};
    for (int f = 0; f < LAY_FIGURE_COUNT; f++)
        options.wanted[f] = true;
    check(lay_analysis_create(&options, &analysis, &err), &err);
    for (size_t e = 0; e < 2 * options.n_sentences; e++) {
        const struct heard *h = &g->heard[e];
        const struct lay_states states = {h->n_source, h->n_hidden, h->d,      h->views, h->n_rows,
                                          h->H,        h->states,   h->layers, h->ratio};
        check(lay_analysis_add(analysis, e % 2, e / 2, &states, &err), &err);
    }
    check(lay_analysis_finish(analysis, &err), &err);
    return analysis;
}

static void check_layer_figure(const struct golden *g, const struct lay_analysis *a)
{
    const size_t examples = g->n / 2 * 2;
    for (int64_t i = 0; i < a->n_hidden; i++)
        for (int64_t j = 0; j < a->n_hidden; j++) {
            double sum = 0;
            for (size_t e = 0; e < examples; e++) {
                const struct lay_tensor *x = expected(g, e, "encoder.hidden.%lld", i);
                const struct lay_tensor *y = expected(g, e, "encoder.hidden.%lld", j);
                const int64_t n = g->heard[e].n_source, d = g->heard[e].d;
                for (int64_t t = 0; t < n; t++)
                    sum += row_cosine(x, t, y, t, d) / (double)n;
            }
            assert_true(fabs(a->layers[i * a->n_hidden + j] - sum / (double)examples) <= 1e-4);
        }
}

static void check_token_figure(const struct golden *g, const struct lay_analysis *a)
{
    const int64_t n = g->heard[2].n_source, m = g->heard[3].n_source, d = g->heard[2].d;
    assert_int_equal(a->n_pair[0], n);
    assert_int_equal(a->n_pair[1], m);
    for (int64_t i = 0; i < a->n_hidden; i++)
        for (int64_t s = 0; s < n; s++)
            for (int64_t t = 0; t < m; t++) {
                const double naive = row_cosine(expected(g, 2, "encoder.hidden.%lld", i), s,
                                                expected(g, 3, "encoder.hidden.%lld", i), t, d);
                assert_true(fabs(a->tokens[(i * n + s) * m + t] - naive) <= 1e-4);
            }
}

static void pooled(const struct heard *h, double *mean)
{
    for (int64_t j = 0; j < h->H; j++) {
        mean[j] = 0;
        for (int64_t r = 0; r < h->n_rows; r++)
            mean[j] += (double)h->states[r * h->H + j] / (double)h->n_rows;
    }
}

static void check_similarity_figure(const struct golden *g, const struct lay_analysis *a)
{
    double values[EXAMPLES_MAX], sum = 0, squares = 0;
    const size_t n = g->n / 2;
    for (size_t s = 0; s < n; s++) {
        double x[64], y[64], xy = 0, xx = 0, yy = 0;
        const int64_t H = g->heard[0].H;
        assert_true(H <= 64);
        pooled(&g->heard[2 * s], x);
        pooled(&g->heard[2 * s + 1], y);
        for (int64_t j = 0; j < H; j++) {
            xy += x[j] * y[j];
            xx += x[j] * x[j];
            yy += y[j] * y[j];
        }
        values[s] = xy / sqrt(xx * yy);
        sum += values[s];
    }
    for (size_t s = 0; s < n; s++)
        squares += (values[s] - sum / (double)n) * (values[s] - sum / (double)n);
    assert_true(fabs(lay_similarity_mean(&a->similarity[1]) - sum / (double)n) <= 1e-6);
    assert_true(fabs(lay_similarity_deviation(&a->similarity[1]) - sqrt(squares / (double)(n - 1))) <= 1e-5);
    assert_true(fabs(lay_similarity_mean(&a->similarity[0]) - 1) <= 1e-12);
}

static void figures_agree_with_the_official_states(void **state)
{
    static const char *const cases[] = {"layalign_mt5_llama_linear", "layalign_nllb_llama_linear",
                                        "mindmerger_xlmr_qwen2"};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct golden g;
        open_case(&g, cases[i]);
        struct lay_analysis *analysis = analyse(&g);
        check_layer_figure(&g, analysis);
        check_token_figure(&g, analysis);
        check_similarity_figure(&g, analysis);
        assert_true(lay_analysis_has(analysis, LAY_FIGURE_ATTENTION) == (i < 2));
        lay_analysis_destroy(analysis);
        close_case(&g);
    }
}

/* The aligner's weights as the checkpoint stores them. */
static void fusion_weights_are_those_of_the_checkpoint(void **state)
{
    struct golden g;
    struct lay_fusion fusion;
    (void)state;
    open_case(&g, "layalign_mt5_mistral_subset");
    assert_true(lay_bridge_fusion(g.models.bridge, &fusion));
    const struct lay_tensor *fc1 =
        lay_weights_find(g.models.weights[2], "encoder_aligner.projector.fc1.weight");
    const struct lay_tensor *bias =
        lay_weights_find(g.models.weights[2], "encoder_aligner.projector.fc1.bias");
    assert_true(fc1 && bias);
    assert_int_equal(fusion.n_encoder_layers, 2);
    assert_int_equal(fusion.n_language_layers, 2);
    assert_int_equal(fusion.encoder_layers[0], 1);
    assert_int_equal(fusion.encoder_layers[1], 3);
    assert_int_equal(fusion.language_layers[0], 1);
    assert_int_equal(fusion.language_layers[1], 2);
    for (size_t k = 0; k < 8; k++)
        assert_true((double)fusion.weights[k] == lay_verify_element(fc1, k));
    for (size_t k = 0; k < 4; k++)
        assert_true((double)fusion.bias[k] == lay_verify_element(bias, k));
    for (int64_t i = 0; i < 2; i++) {
        char name[64];
        snprintf(name, sizeof name, "layers.%lld.self_attn.adaption_gate",
                 (long long)fusion.language_layers[i]);
        const struct lay_tensor *gate = lay_weights_find(g.models.weights[2], name);
        assert_non_null(gate);
        assert_true((double)fusion.gates[fusion.language_layers[i]] == lay_verify_element(gate, 0));
    }
    close_case(&g);
    open_case(&g, "mindmerger_mt5_llama");
    assert_false(lay_bridge_fusion(g.models.bridge, &fusion));
    close_case(&g);
}

static void out_of_memory_is_an_error(void **state)
{
    struct golden g;
    struct lay_err err = {0};
    enum lay_status status = LAY_ERR_MEMORY;
    long failures = 0;
    (void)state;
    open_case(&g, "layalign_mt5_llama_linear");
    struct heard last[EXAMPLES_MAX];
    for (long n = 0; status == LAY_ERR_MEMORY; n++) {
        lay_mem_fail_after(n);
        status = lay_observe(&g.loaded, &g.ids[0], 1, NULL, keep, last, &err);
        lay_mem_fail_after(-1);
        failures += status != LAY_OK;
    }
    assert_int_equal(status, LAY_OK);
    assert_true(failures > 8);
    forget(&last[0]);
    close_case(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pass_lets_the_official_states_be_heard),
        cmocka_unit_test(neighbours_change_nothing),
        cmocka_unit_test(a_stop_ends_the_pass),
        cmocka_unit_test(figures_agree_with_the_official_states),
        cmocka_unit_test(fusion_weights_are_those_of_the_checkpoint),
        cmocka_unit_test(out_of_memory_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* LangBridge's two-layer alignment, which no golden case has, MindMerger's names, and methods by name. */
#include "bridge_fixture.h"

#include <math.h>

enum { D = 12, INNER = 20, H = 9, ROWS = 4 };

static const struct lay_encoder_config encoder = {.hidden_size = D, .num_hidden_layers = 1};
static const struct lay_llm_config llm = {.hidden_size = H, .num_hidden_layers = 1};

static double gelu(double x)
{
    return 0.5 * x * (1.0 + erf(x / sqrt(2.0)));
}

static double relu(double x)
{
    return x > 0 ? x : 0;
}

/* tensors: first weight and bias, second weight and bias, boundary. */
static void check(struct tensor *tensors, enum lay_method method, double (*act)(double))
{
    const struct lay_bridge_options o = {.method = method, .n_encoder_layers = -1, .n_language_layers = -1};
    struct fixture f;
    struct lay_bridge *bridge;
    float encoded[ROWS * D], out[ROWS * H];
    double x[ROWS * D], inner[ROWS * INNER], expected[ROWS * H];
    checkpoint_open(&f, tensors, 5, method);
    ok(lay_bridge_load(f.dnn, &o, f.weights, &encoder, &llm, lay_precision_of(LAY_F32), &bridge, err));
    random_fill(encoded, ROWS * D, 1);
    for (int i = 0; i < ROWS * D; i++)
        x[i] = (double)(encoded[i] *= 2.0f);
    float *hidden[] = {NULL, encoded};
    ok(lay_bridge_soft_prompt(bridge, hidden, ROWS, out, err));
    naive_linear(x, tensors[0].data, tensors[1].data, inner, ROWS, INNER, D);
    for (int i = 0; i < ROWS * INNER; i++)
        inner[i] = act(inner[i]);
    naive_linear(inner, tensors[2].data, tensors[3].data, expected, ROWS, H, INNER);
    for (int i = 0; i < ROWS * H; i++)
        assert_true(fabs((double)out[i] - expected[i]) < 2e-5);
    assert_memory_equal(lay_bridge_boundary(bridge), tensors[4].data, H * sizeof(float));
    assert_null(lay_bridge_adapter(bridge));
    assert_int_equal(lay_bridge_adapter_count(bridge), 0);
    lay_bridge_destroy(bridge);
    checkpoint_close(&f, tensors, 5);
}

static void langbridge_ffn_with_exact_gelu(void **state)
{
    (void)state;
    struct tensor tensors[] = {
        {"lb.alignment.ffn.0.weight", 2, {INNER, D}, NULL},
        {"lb.alignment.ffn.0.bias", 1, {INNER}, NULL},
        {"lb.alignment.ffn.2.weight", 2, {H, INNER}, NULL},
        {"lb.alignment.ffn.2.bias", 1, {H}, NULL},
        {"lb.alignment.enc_eos", 1, {H}, NULL},
    };
    check(tensors, LAY_LANGBRIDGE, gelu);
}

static void mindmerger_bare_and_prefixed(void **state)
{
    (void)state;
    struct tensor bare[] = {
        {"mlp.linear1.weight", 2, {INNER, D}, NULL}, {"mlp.linear1.bias", 1, {INNER}, NULL},
        {"mlp.linear2.weight", 2, {H, INNER}, NULL}, {"mlp.linear2.bias", 1, {H}, NULL},
        {"end_boundary", 3, {1, 1, H}, NULL},
    };
    struct tensor prefixed[] = {
        {"mapping.mlp.linear1.weight", 2, {INNER, D}, NULL}, {"mapping.mlp.linear1.bias", 1, {INNER}, NULL},
        {"mapping.mlp.linear2.weight", 2, {H, INNER}, NULL}, {"mapping.mlp.linear2.bias", 1, {H}, NULL},
        {"mapping.end_boundary", 2, {1, H}, NULL},
    };
    check(bare, LAY_MINDMERGER, relu);
    check(prefixed, LAY_MINDMERGER, relu);
}

static void other_alignments_are_refused(void **state)
{
    (void)state;
    struct tensor tensors[] = {{"lb.alignment.enc_eos", 1, {H}, NULL}};
    const struct lay_bridge_options o = {.method = LAY_LANGBRIDGE};
    struct fixture f;
    struct lay_bridge *bridge;
    struct lay_err why = {0};
    checkpoint_open(&f, tensors, 1, LAY_LANGBRIDGE);
    assert_int_equal(
        lay_bridge_load(f.dnn, &o, f.weights, &encoder, &llm, lay_precision_of(LAY_F32), &bridge, &why),
        LAY_ERR_INPUT);
    assert_non_null(strstr(why.message, "lb.alignment.linear.weight"));
    checkpoint_close(&f, tensors, 1);
}

static void methods_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *name, *says;
    } refused[] = {
        {"translate", "not implemented"}, {"mindmerger-hard", "not implemented"}, {"qalign", "plain, lang"}};
    enum lay_method method;
    for (int i = 0; i < LAY_METHOD_COUNT; i++) {
        ok(lay_method_by_name(lay_method_name((enum lay_method)i), "a.json", &method, err));
        assert_int_equal(method, i);
    }
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        struct lay_err why = {0};
        assert_int_equal(lay_method_by_name(refused[i].name, "a.json", &method, &why), LAY_ERR_INPUT);
        assert_non_null(strstr(why.message, refused[i].name));
        assert_non_null(strstr(why.message, refused[i].says));
        assert_non_null(strstr(why.message, "a.json"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(langbridge_ffn_with_exact_gelu),
        cmocka_unit_test(mindmerger_bare_and_prefixed),
        cmocka_unit_test(other_alignments_are_refused),
        cmocka_unit_test(methods_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

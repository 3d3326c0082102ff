/* LayAlign's aligner against the formula in plain loops, and what it refuses. */
#include "bridge_fixture.h"

#include <math.h>
#include <stdio.h>

enum { D = 21, H = 18, M = 3, K = 2, ROWS = 5, STATES = 5, LLM_LAYERS = 4 };

#define PROJECTOR "encoder_aligner.projector."
#define LLM "model_llm.model.model."

static const struct lay_encoder_config encoder = {.hidden_size = D, .num_hidden_layers = STATES - 1};
static const struct lay_llm_config llm = {.hidden_size = H, .num_hidden_layers = LLM_LAYERS};

/* The gates sit in LLM layers 1 and 3; fc3 last, so that structure Linear takes two tensors less. */
static struct tensor tensors[] = {
    {"mapping.mlp.linear1.weight", 2, {2 * D, D}, NULL},
    {"mapping.mlp.linear1.bias", 1, {2 * D}, NULL},
    {"mapping.mlp.linear2.weight", 2, {H, 2 * D}, NULL},
    {"mapping.mlp.linear2.bias", 1, {H}, NULL},
    {"mapping.end_boundary", 3, {1, 1, H}, NULL},
    {LLM "layers.1.self_attn.adaption_gate", 1, {1}, NULL},
    {LLM "layers.3.self_attn.adaption_gate", 1, {1}, NULL},
    {PROJECTOR "fc1.weight", 2, {2 * K, M}, NULL},
    {PROJECTOR "fc1.bias", 1, {2 * K}, NULL},
    {PROJECTOR "fc2.weight", 2, {H, D}, NULL},
    {PROJECTOR "fc2.bias", 1, {H}, NULL},
    {PROJECTOR "fc3.weight", 2, {H, H}, NULL},
    {PROJECTOR "fc3.bias", 1, {H}, NULL},
};
enum { N_MLP = sizeof tensors / sizeof *tensors, N_LINEAR = N_MLP - 2 };

static struct lay_bridge_options options_of(const int64_t *encoder_layers, int64_t n)
{
    struct lay_bridge_options o = {.method = LAY_LAYALIGN, .n_encoder_layers = n, .n_language_layers = -1};
    for (int64_t i = 0; i < n; i++)
        o.encoder_layers[i] = encoder_layers[i];
    return o;
}

static double relu(double x)
{
    return x > 0 ? x : 0;
}

/* Row 2i + `value` of fc1's outputs, then fc2 and, for MLP, fc3. */
static void naive_states(size_t n, float *const *hidden, const int64_t *layers, int64_t i, int value,
                         double *out)
{
    const float *fc1 = data_of(tensors, n, PROJECTOR "fc1.weight") + (2 * i + value) * M;
    const float bias = data_of(tensors, n, PROJECTOR "fc1.bias")[2 * i + value];
    double r[ROWS * D], inner[ROWS * H];
    for (int64_t e = 0; e < ROWS * D; e++) {
        double sum = (double)bias;
        for (int64_t j = 0; j < M; j++)
            sum += (double)fc1[j] * (double)hidden[layers[j]][e];
        r[e] = relu(sum);
    }
    naive_linear(r, data_of(tensors, n, PROJECTOR "fc2.weight"), data_of(tensors, n, PROJECTOR "fc2.bias"),
                 out, ROWS, H, D);
    if (n == N_LINEAR)
        return;
    for (int64_t e = 0; e < ROWS * H; e++)
        inner[e] = relu(out[e]);
    naive_linear(inner, data_of(tensors, n, PROJECTOR "fc3.weight"),
                 data_of(tensors, n, PROJECTOR "fc3.bias"), out, ROWS, H, H);
}

static void check_states(size_t n, const int64_t *chosen, const int64_t *layers)
{
    const struct lay_bridge_options o = options_of(chosen, chosen ? M : -1);
    struct fixture f;
    struct lay_bridge *bridge;
    float states[STATES][ROWS * D], keys[ROWS * H], values[ROWS * H];
    float *hidden[STATES];
    double naive_keys[ROWS * H], naive_values[ROWS * H];
    checkpoint_open(&f, tensors, n, LAY_LAYALIGN);
    ok(lay_bridge_load(f.dnn, &o, f.weights, &encoder, &llm, lay_precision_of(LAY_F32), &bridge, err));
    for (int i = 0; i < STATES; i++) {
        random_fill(states[i], ROWS * D, (uint32_t)(100 + i));
        hidden[i] = states[i];
    }
    assert_int_equal(lay_bridge_adapter_count(bridge), K);
    for (int64_t i = 0; i < K; i++) {
        assert_int_equal(lay_bridge_adapter_layer(bridge, i), 2 * i + 1);
        if (i % 2 == 0) /* two at once, the last one alone */
            ok(lay_bridge_adapter_fuse(bridge, hidden, ROWS, i, i + 2 < K ? 2 : K - i, err));
        ok(lay_bridge_adapter_states(bridge, ROWS, i, keys, values, err));
        naive_states(n, hidden, layers, i, 0, naive_keys);
        naive_states(n, hidden, layers, i, 1, naive_values);
        for (int e = 0; e < ROWS * H; e++) {
            assert_true(fabs((double)keys[e] - naive_keys[e]) < 2e-5);
            assert_true(fabs((double)values[e] - naive_values[e]) < 2e-5);
        }
    }
    for (int64_t i = 0; i < STATES; i++) {
        bool wanted = i == STATES - 1; /* the mapping reads the last one */
        for (int j = 0; j < M; j++)
            wanted |= layers[j] == i;
        assert_int_equal(lay_bridge_wants_hidden(bridge, i), wanted);
    }
    const struct lay_llm_adapter *adapter = lay_bridge_adapter(bridge);
    for (int64_t i = 0; i < LLM_LAYERS; i++)
        assert_int_equal(adapter->has_gate[i], i % 2 == 1);
    assert_true(adapter->gate[1] == *data_of(tensors, n, LLM "layers.1.self_attn.adaption_gate"));
    assert_true(adapter->gate[3] == *data_of(tensors, n, LLM "layers.3.self_attn.adaption_gate"));
    lay_bridge_destroy(bridge);
    checkpoint_close(&f, tensors, n);
}

static void structure_linear_and_mlp(void **state)
{
    (void)state;
    static const int64_t first[] = {0, 1, 2}, chosen[] = {4, 1, 3};
    check_states(N_LINEAR, NULL, first);
    check_states(N_LINEAR, chosen, chosen);
    check_states(N_MLP, NULL, first);
    check_states(N_MLP, chosen, chosen);
}

static void the_ablation_switches_it_off(void **state)
{
    (void)state;
    struct lay_bridge_options o = options_of(NULL, -1);
    struct fixture f;
    struct lay_bridge *bridge;
    o.no_adapter = true;
    checkpoint_open(&f, tensors, N_LINEAR, LAY_LAYALIGN);
    ok(lay_bridge_load(f.dnn, &o, f.weights, &encoder, &llm, lay_precision_of(LAY_F32), &bridge, err));
    assert_int_equal(lay_bridge_adapter_count(bridge), 0);
    assert_null(lay_bridge_adapter(bridge));
    assert_false(lay_bridge_wants_hidden(bridge, 0));
    assert_true(lay_bridge_wants_hidden(bridge, STATES - 1));
    lay_bridge_destroy(bridge);
    checkpoint_close(&f, tensors, N_LINEAR);
}

static void refuses(const struct lay_bridge_options *o, const struct lay_encoder_config *e,
                    const struct lay_llm_config *l, struct tensor *list, size_t n, const char *says)
{
    struct fixture f;
    struct lay_bridge *bridge;
    struct lay_err why = {0};
    checkpoint_open(&f, list, n, LAY_LAYALIGN);
    const enum lay_status status =
        lay_bridge_load(f.dnn, o, f.weights, e, l, lay_precision_of(LAY_F32), &bridge, &why);
    if (status != LAY_ERR_INPUT || !strstr(why.message, says))
        fail_msg("expected \"%s\", got %d \"%s\"", says, status, why.message);
    assert_null(bridge);
    checkpoint_close(&f, list, n);
}

static void what_does_not_fit_is_refused(void **state)
{
    (void)state;
    static const int64_t two[] = {0, 1}, outside[] = {0, 1, 5};
    struct lay_bridge_options o = options_of(two, 2);
    refuses(&o, &encoder, &llm, tensors, N_LINEAR, "fuses 3");
    o = options_of(outside, 3);
    refuses(&o, &encoder, &llm, tensors, N_LINEAR, "the bridge wants 5");
    o = options_of(NULL, -1);
    strcpy(o.structure, "MLP");
    refuses(&o, &encoder, &llm, tensors, N_LINEAR, "has no fc3");
    strcpy(o.structure, "Linear");
    refuses(&o, &encoder, &llm, tensors, N_MLP, "has fc3");
    o = options_of(NULL, -1);
    o.n_language_layers = 2;
    o.language_layers[0] = 1;
    o.language_layers[1] = 2;
    refuses(&o, &encoder, &llm, tensors, N_LINEAR, "layer 2, for which");
    o.language_layers[1] = 1;
    refuses(&o, &encoder, &llm, tensors, N_LINEAR, "twice");
    o.n_language_layers = 1;
    refuses(&o, &encoder, &llm, tensors, N_LINEAR, "gates for 2");
    o = options_of(NULL, -1);
    struct lay_llm_config biased = llm, wide = llm;
    biased.o_bias = true;
    refuses(&o, &encoder, &biased, tensors, N_LINEAR, "attention_bias");
    wide.hidden_size = H + 1;
    refuses(&o, &encoder, &wide, tensors, N_LINEAR, "mapping.mlp.linear2.weight");
    struct lay_encoder_config shallow = encoder;
    shallow.num_hidden_layers = 1;
    refuses(&o, &shallow, &llm, tensors, N_LINEAR, "hidden states 0 to 1");
}

static void a_checkpoint_without_gates_is_refused(void **state)
{
    (void)state;
    const struct lay_bridge_options o = options_of(NULL, -1);
    struct tensor list[N_LINEAR];
    memcpy(list, tensors, sizeof list);
    list[5].name = "something.else";
    list[6].name = "something.other";
    refuses(&o, &encoder, &llm, list, N_LINEAR, "0 gates");
    refuses(&o, &encoder, &llm, list + 1, N_LINEAR - 1, "mapping.mlp.linear1.weight");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(structure_linear_and_mlp),
        cmocka_unit_test(the_ablation_switches_it_off),
        cmocka_unit_test(what_does_not_fit_is_refused),
        cmocka_unit_test(a_checkpoint_without_gates_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

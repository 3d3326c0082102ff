/* LayAlign's aligner against the formula in plain loops, and what it refuses. */
#include "bridge_fixture.h"

#include <math.h>
#include <stdio.h>

enum { D = 21, H = 18, M = 3, K = 2, ROWS = 5, STATES = 5, LLM_LAYERS = 4 };

#define PROJECTOR "encoder_aligner.projector."
#define LLM "model_llm.model.model."

static const struct lay_encoder_config encoder = {.hidden_size = D, .num_hidden_layers = STATES - 1};
static const struct lay_llm_config llm = {.hidden_size = H, .num_hidden_layers = LLM_LAYERS};

#define GATE1 LLM "layers.1.self_attn.adaption_gate"
#define GATE3 LLM "layers.3.self_attn.adaption_gate"

/* Of all forms; the gates sit in LLM layers 1 and 3. */
static const struct tensor all[] = {
    {"mapping.mlp.linear1.weight", 2, {2 * D, D}, NULL},
    {"mapping.mlp.linear1.bias", 1, {2 * D}, NULL},
    {"mapping.mlp.linear2.weight", 2, {H, 2 * D}, NULL},
    {"mapping.mlp.linear2.bias", 1, {H}, NULL},
    {"mapping.end_boundary", 3, {1, 1, H}, NULL},
    {GATE1, 1, {1}, NULL},
    {GATE3, 1, {1}, NULL},
    {GATE1 ".weight", 2, {1, H}, NULL},
    {GATE1 ".bias", 1, {1}, NULL},
    {GATE3 ".weight", 2, {1, H}, NULL},
    {GATE3 ".bias", 1, {1}, NULL},
    {PROJECTOR "fc0.weight", 2, {D, D}, NULL},
    {PROJECTOR "fc0.bias", 1, {D}, NULL},
    {PROJECTOR "fc1.weight", 2, {2 * K, M}, NULL},
    {PROJECTOR "fc1.bias", 1, {2 * K}, NULL},
    {PROJECTOR "fc2.weight", 2, {H, D}, NULL},
    {PROJECTOR "fc2.bias", 1, {H}, NULL},
    {PROJECTOR "fc3.weight", 2, {H, H}, NULL},
    {PROJECTOR "fc3.bias", 1, {H}, NULL},
};
enum { N_ALL = sizeof all / sizeof *all };

static const struct lay_form linear = {{LAY_STRUCTURE_LINEAR, LAY_FUSION_LEARNED, LAY_GATE_SCALAR}};
static const struct lay_form mlp = {{LAY_STRUCTURE_MLP, LAY_FUSION_LEARNED, LAY_GATE_SCALAR}};
static const struct lay_form wide = {{LAY_STRUCTURE_WIDE, LAY_FUSION_LEARNED, LAY_GATE_SCALAR}};
static const struct lay_form average = {{LAY_STRUCTURE_LINEAR, LAY_FUSION_AVERAGE, LAY_GATE_SCALAR}};
static const struct lay_form hidden_gates = {{LAY_STRUCTURE_LINEAR, LAY_FUSION_LEARNED, LAY_GATE_HIDDEN}};
static const struct lay_form everything_else = {{LAY_STRUCTURE_WIDE, LAY_FUSION_AVERAGE, LAY_GATE_HIDDEN}};

/* What a checkpoint of that form holds. */
struct list {
    struct tensor items[N_ALL];
    size_t n;
};

static struct list tensors_of(const struct lay_form *form)
{
    struct list list = {.n = 0};
    const struct {
        const char *part;
        bool wanted;
    } parts[] = {{"adaption_gate.", form->value[LAY_FORM_GATE] == LAY_GATE_HIDDEN},
                 {"adaption_gate", form->value[LAY_FORM_GATE] == LAY_GATE_SCALAR},
                 {"fc0", form->value[LAY_FORM_STRUCTURE] == LAY_STRUCTURE_WIDE},
                 {"fc1", form->value[LAY_FORM_FUSION] == LAY_FUSION_LEARNED},
                 {"fc3", form->value[LAY_FORM_STRUCTURE] == LAY_STRUCTURE_MLP},
                 {"", true}};
    for (int i = 0; i < N_ALL; i++) {
        int part = 0;
        while (!strstr(all[i].name, parts[part].part))
            part++;
        if (parts[part].wanted)
            list.items[list.n++] = all[i];
    }
    return list;
}

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

static const float *value_of(const struct list *list, const char *name)
{
    return data_of(list->items, list->n, name);
}

/* Row 2i + `value` of fc1's outputs, or the mean; then what the structure has. */
static void naive_states(const struct lay_form *form, const struct list *list, float *const *hidden,
                         const int64_t *layers, int64_t i, int value, double *out)
{
    double r[ROWS * D], inner[ROWS * (D > H ? D : H)];
    const float *w2 = value_of(list, PROJECTOR "fc2.weight"), *b2 = value_of(list, PROJECTOR "fc2.bias");
    for (int64_t e = 0; e < ROWS * D; e++) {
        double sum = 0;
        for (int64_t j = 0; j < M; j++) {
            const double h = (double)hidden[layers[j]][e];
            sum += form->value[LAY_FORM_FUSION] == LAY_FUSION_AVERAGE
                       ? h / M
                       : h * (double)value_of(list, PROJECTOR "fc1.weight")[(2 * i + value) * M + j];
        }
        r[e] = form->value[LAY_FORM_FUSION] == LAY_FUSION_AVERAGE
                   ? sum
                   : relu(sum + (double)value_of(list, PROJECTOR "fc1.bias")[2 * i + value]);
    }
    if (form->value[LAY_FORM_STRUCTURE] == LAY_STRUCTURE_WIDE) {
        naive_linear(r, value_of(list, PROJECTOR "fc0.weight"), value_of(list, PROJECTOR "fc0.bias"), inner,
                     ROWS, D, D);
        for (int64_t e = 0; e < ROWS * D; e++)
            r[e] = inner[e] / (1 + exp(-inner[e]));
    }
    naive_linear(r, w2, b2, out, ROWS, H, D);
    if (form->value[LAY_FORM_STRUCTURE] != LAY_STRUCTURE_MLP)
        return;
    for (int64_t e = 0; e < ROWS * H; e++)
        inner[e] = relu(out[e]);
    naive_linear(inner, value_of(list, PROJECTOR "fc3.weight"), value_of(list, PROJECTOR "fc3.bias"), out,
                 ROWS, H, H);
}

static void check_gates(const struct lay_form *form, const struct list *list, const struct lay_bridge *bridge)
{
    const struct lay_llm_adapter *adapter = lay_bridge_adapter(bridge);
    struct lay_fusion fusion;
    const bool hidden = form->value[LAY_FORM_GATE] == LAY_GATE_HIDDEN;
    assert_true(lay_bridge_fusion(bridge, &fusion));
    assert_int_equal(fusion.weights == NULL, form->value[LAY_FORM_FUSION] == LAY_FUSION_AVERAGE);
    assert_int_equal(fusion.gates == NULL, hidden);
    assert_int_equal(adapter->weight != NULL, hidden);
    for (int64_t i = 0; i < LLM_LAYERS; i++) {
        assert_int_equal(adapter->has_gate[i], i % 2 == 1);
        if (i % 2 == 0)
            continue;
        char name[96];
        snprintf(name, sizeof name, LLM "layers.%d.self_attn.adaption_gate%s", (int)i, hidden ? ".bias" : "");
        assert_true(adapter->gate[i] == *value_of(list, name));
        snprintf(name, sizeof name, LLM "layers.%d.self_attn.adaption_gate.weight", (int)i);
        if (hidden)
            assert_memory_equal(adapter->weight + i * H, value_of(list, name), H * sizeof(float));
    }
}

/* `said` is what the system file says, `form` what the checkpoint is. */
static void check_states(const struct lay_form *form, const struct lay_form *said, const int64_t *chosen,
                         const int64_t *layers)
{
    struct lay_bridge_options o = options_of(chosen, chosen ? M : -1);
    struct fixture f;
    struct lay_bridge *bridge;
    struct list list = tensors_of(form);
    float states[STATES][ROWS * D], keys[ROWS * H], values[ROWS * H];
    float *hidden[STATES];
    double naive_keys[ROWS * H], naive_values[ROWS * H];
    o.form = *said;
    checkpoint_open(&f, list.items, list.n, LAY_LAYALIGN);
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
        naive_states(form, &list, hidden, layers, i, 0, naive_keys);
        naive_states(form, &list, hidden, layers, i, 1, naive_values);
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
    check_gates(form, &list, bridge);
    lay_bridge_destroy(bridge);
    checkpoint_close(&f, list.items, list.n);
}

static const struct lay_form nothing_said;

static void structure_linear_and_mlp(void **state)
{
    (void)state;
    static const int64_t first[] = {0, 1, 2}, chosen[] = {4, 1, 3};
    check_states(&linear, &nothing_said, NULL, first);
    check_states(&linear, &linear, chosen, chosen);
    check_states(&mlp, &nothing_said, NULL, first);
    check_states(&mlp, &mlp, chosen, chosen);
}

static void the_forms_of_the_ablations(void **state)
{
    (void)state;
    static const int64_t first[] = {0, 1, 2}, chosen[] = {4, 1, 3};
    static const struct lay_form averages = {.value = {[LAY_FORM_FUSION] = LAY_FUSION_AVERAGE}};
    check_states(&wide, &nothing_said, NULL, first);
    check_states(&wide, &wide, chosen, chosen);
    check_states(&hidden_gates, &nothing_said, chosen, chosen);
    check_states(&hidden_gates, &hidden_gates, NULL, first);
    check_states(&average, &averages, chosen, chosen);
    check_states(&everything_else, &averages, chosen, chosen);
    check_states(&everything_else, &everything_else, chosen, chosen);
}

/* Without fc1 nothing says how many layers there are: the inputs of all blocks. */
static void an_average_is_over_all_inputs_of_blocks(void **state)
{
    (void)state;
    struct lay_bridge_options o = options_of(NULL, -1);
    struct list list = tensors_of(&average);
    struct fixture f;
    struct lay_bridge *bridge;
    struct lay_fusion fusion;
    o.form = average;
    checkpoint_open(&f, list.items, list.n, LAY_LAYALIGN);
    ok(lay_bridge_load(f.dnn, &o, f.weights, &encoder, &llm, lay_precision_of(LAY_F32), &bridge, err));
    assert_true(lay_bridge_fusion(bridge, &fusion));
    assert_int_equal(fusion.n_encoder_layers, STATES - 1);
    for (int64_t j = 0; j < STATES - 1; j++)
        assert_int_equal(fusion.encoder_layers[j], j);
    lay_bridge_destroy(bridge);
    checkpoint_close(&f, list.items, list.n);
}

static void the_ablation_switches_it_off(void **state)
{
    (void)state;
    struct lay_bridge_options o = options_of(NULL, -1);
    struct list list = tensors_of(&linear);
    struct fixture f;
    struct lay_bridge *bridge;
    o.no_adapter = true;
    checkpoint_open(&f, list.items, list.n, LAY_LAYALIGN);
    ok(lay_bridge_load(f.dnn, &o, f.weights, &encoder, &llm, lay_precision_of(LAY_F32), &bridge, err));
    assert_int_equal(lay_bridge_adapter_count(bridge), 0);
    assert_null(lay_bridge_adapter(bridge));
    assert_false(lay_bridge_wants_hidden(bridge, 0));
    assert_true(lay_bridge_wants_hidden(bridge, STATES - 1));
    lay_bridge_destroy(bridge);
    checkpoint_close(&f, list.items, list.n);
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

/* Every form against every other value of each key. */
static void a_form_that_the_checkpoint_has_not_is_refused(void **state)
{
    (void)state;
    static const struct {
        const struct lay_form *form;
        int key, said;
        const char *says;
    } cases[] = {
        {&linear, LAY_FORM_STRUCTURE, LAY_STRUCTURE_MLP,
         "\"structure\" is \"MLP\", but the checkpoint has neither fc0 nor fc3: it is \"Linear\""},
        {&linear, LAY_FORM_STRUCTURE, LAY_STRUCTURE_WIDE, "\"Wide\", but the checkpoint has neither fc0"},
        {&mlp, LAY_FORM_STRUCTURE, LAY_STRUCTURE_LINEAR, "has fc3"},
        {&wide, LAY_FORM_STRUCTURE, LAY_STRUCTURE_LINEAR, "has fc0: it is \"Wide\""},
        {&linear, LAY_FORM_FUSION, LAY_FUSION_AVERAGE,
         "\"fusion\" is \"average\", but the checkpoint has fc1"},
        {&average, LAY_FORM_FUSION, LAY_FUSION_LEARNED, "no tensor \"encoder_aligner.projector.fc1.weight\""},
        {&average, LAY_FORM_FUSION, 0, "say \"fusion\": \"average\""},
        {&linear, LAY_FORM_GATE, LAY_GATE_HIDDEN,
         "\"gate\" is \"hidden\", but the checkpoint has adaption_gate:"},
        {&hidden_gates, LAY_FORM_GATE, LAY_GATE_SCALAR, "has adaption_gate.weight: it is \"hidden\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct lay_bridge_options o = options_of(NULL, -1);
        struct list list = tensors_of(cases[i].form);
        o.form.value[cases[i].key] = cases[i].said;
        refuses(&o, &encoder, &llm, list.items, list.n, cases[i].says);
    }
}

/* Without the tensor whose name ends so, and with more than belongs together. */
static void incomplete_and_mixed_forms_are_refused(void **state)
{
    (void)state;
    static const char *const needed[] = {"fc0.bias", "fc2.weight", "layers.1.self_attn.adaption_gate.bias"};
    struct lay_bridge_options o = options_of(NULL, -1);
    o.form = everything_else;
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++) {
        struct list list = tensors_of(&everything_else);
        for (size_t t = 0; t < list.n; t++)
            if (strstr(list.items[t].name, needed[i]))
                list.items[t].name = "something.else";
        refuses(&o, &encoder, &llm, list.items, list.n, needed[i]);
    }
    o = options_of(NULL, -1);
    struct list list = tensors_of(&mlp);
    list.items[list.n++] = (struct tensor){PROJECTOR "fc0.weight", 2, {D, D}, NULL};
    refuses(&o, &encoder, &llm, list.items, list.n, "fc0 and fc3");
    list = tensors_of(&linear);
    list.items[list.n++] = (struct tensor){LLM "layers.2.self_attn.adaption_gate.weight", 2, {1, H}, NULL};
    refuses(&o, &encoder, &llm, list.items, list.n, "gates of both kinds");
    list = tensors_of(&hidden_gates);
    for (size_t t = 0; t < list.n; t++)
        if (strcmp(list.items[t].name, GATE3 ".weight") == 0)
            list.items[t].shape[1] = H - 1;
    refuses(&o, &encoder, &llm, list.items, list.n, "layers.3.self_attn.adaption_gate.weight");
}

static void what_does_not_fit_is_refused(void **state)
{
    (void)state;
    static const int64_t two[] = {0, 1}, outside[] = {0, 1, 5};
    struct list list = tensors_of(&linear);
    struct lay_bridge_options o = options_of(two, 2);
    refuses(&o, &encoder, &llm, list.items, list.n, "fuses 3");
    o = options_of(outside, 3);
    refuses(&o, &encoder, &llm, list.items, list.n, "the bridge wants 5");
    o = options_of(NULL, -1);
    o.n_language_layers = 2;
    o.language_layers[0] = 1;
    o.language_layers[1] = 2;
    refuses(&o, &encoder, &llm, list.items, list.n, "layer 2, for which");
    o.language_layers[1] = 1;
    refuses(&o, &encoder, &llm, list.items, list.n, "twice");
    o.n_language_layers = 1;
    refuses(&o, &encoder, &llm, list.items, list.n, "gates for 2");
    o = options_of(NULL, -1);
    struct lay_llm_config biased = llm, broad = llm;
    biased.o_bias = true;
    refuses(&o, &encoder, &biased, list.items, list.n, "attention_bias");
    broad.hidden_size = H + 1;
    refuses(&o, &encoder, &broad, list.items, list.n, "mapping.mlp.linear2.weight");
    struct lay_encoder_config shallow = encoder;
    shallow.num_hidden_layers = 1;
    refuses(&o, &shallow, &llm, list.items, list.n, "hidden states 0 to 1");
}

static void a_checkpoint_without_gates_is_refused(void **state)
{
    (void)state;
    const struct lay_bridge_options o = options_of(NULL, -1);
    struct list list = tensors_of(&linear);
    assert_string_equal(list.items[5].name, GATE1);
    list.items[5].name = "something.else";
    list.items[6].name = "something.other";
    refuses(&o, &encoder, &llm, list.items, list.n, "0 gates");
    refuses(&o, &encoder, &llm, list.items + 1, list.n - 1, "mapping.mlp.linear1.weight");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(structure_linear_and_mlp),
        cmocka_unit_test(the_forms_of_the_ablations),
        cmocka_unit_test(an_average_is_over_all_inputs_of_blocks),
        cmocka_unit_test(the_ablation_switches_it_off),
        cmocka_unit_test(a_form_that_the_checkpoint_has_not_is_refused),
        cmocka_unit_test(incomplete_and_mixed_forms_are_refused),
        cmocka_unit_test(what_does_not_fit_is_refused),
        cmocka_unit_test(a_checkpoint_without_gates_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The memory plan against the arithmetic of published configurations. */
#include "engine/memory_plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct lay_llm_config llama2_7b = {.hidden_size = 4096,
                                                .num_hidden_layers = 32,
                                                .num_attention_heads = 32,
                                                .num_key_value_heads = 32,
                                                .head_dim = 128,
                                                .intermediate_size = 11008,
                                                .vocab_size = 32000};
static const struct lay_encoder_config mt5_xl = {.hidden_size = 2048,
                                                 .num_hidden_layers = 24,
                                                 .num_attention_heads = 32,
                                                 .head_dim = 64,
                                                 .intermediate_size = 5120,
                                                 .gated = true};

/* 32 · (4·4096² + 3·4096·11008) + 4096·32000; 24 · (4·2048² + 3·2048·5120); 2·2048² + 3·2048·4096 */
#define LLM_ELEMENTS 6607077376.0
#define ENCODER_ELEMENTS 1157627904.0
#define BRIDGE_ELEMENTS 33554432.0
/* 16 tokens of 32 layers, keys and values, 32 heads of 128 numbers in bf16 */
#define PAGE_BYTES 8388608

static const struct lay_bridge_options released = {.method = LAY_LAYALIGN};

static struct lay_memory_needs layalign(size_t memory)
{
    return (struct lay_memory_needs){"layalign", &released, &llama2_7b, &mt5_xl, {LAY_BF16, 0}, memory, 32};
}

static void counts_every_packed_matrix(void **state)
{
    (void)state;
    const struct lay_memory_needs needs = layalign((size_t)24 << 30);
    struct lay_memory_plan plan;
    assert_int_equal(lay_memory_plan_make(&needs, &plan, NULL), LAY_OK);
    assert_true(plan.llm == 2 * LLM_ELEMENTS);
    assert_true(plan.encoder == 2 * ENCODER_ELEMENTS);
    assert_true(plan.bridge == 2 * BRIDGE_ELEMENTS);
    assert_true(lay_memory_weight_elements(&needs) == LLM_ELEMENTS + ENCODER_ELEMENTS + BRIDGE_ELEMENTS);
    assert_int_equal(plan.kv_tokens, plan.kv / PAGE_BYTES * 16);
    assert_true(plan.working > 100e6 && plan.working < 1e9);
    const double all = plan.llm + plan.encoder + plan.bridge + plan.working + (double)plan.kv;
    assert_true(all <= (double)needs.memory && all > (double)needs.memory - 2);
}

/* fc3 is H · H, fc0 d · d; without the adapter there is only the mapping. */
static void counts_what_the_form_adds(void **state)
{
    (void)state;
    static const struct {
        struct lay_bridge_options bridge;
        double elements;
    } cases[] = {
        {{.method = LAY_LAYALIGN, .form = {{LAY_STRUCTURE_MLP}}}, BRIDGE_ELEMENTS + 4096.0 * 4096},
        {{.method = LAY_LAYALIGN, .form = {{LAY_STRUCTURE_WIDE}}}, BRIDGE_ELEMENTS + 2048.0 * 2048},
        {{.method = LAY_LAYALIGN, .form = {{LAY_STRUCTURE_LINEAR, LAY_FUSION_AVERAGE}}}, BRIDGE_ELEMENTS},
        {{.method = LAY_LAYALIGN, .no_adapter = true}, BRIDGE_ELEMENTS - 2048.0 * 4096},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct lay_memory_needs needs = layalign((size_t)24 << 30);
        struct lay_memory_plan plan;
        needs.bridge = &cases[i].bridge;
        assert_int_equal(lay_memory_plan_make(&needs, &plan, NULL), LAY_OK);
        assert_true(plan.bridge == 2 * cases[i].elements);
    }
}

static void kept_modules_take_two_bytes(void **state)
{
    (void)state;
    struct lay_memory_needs needs = layalign((size_t)24 << 30);
    struct lay_memory_plan plan, kept;
    needs.precision.dtype = LAY_I8;
    assert_int_equal(lay_memory_plan_make(&needs, &plan, NULL), LAY_OK);
    assert_true(plan.llm == LLM_ELEMENTS);
    assert_true(plan.encoder == ENCODER_ELEMENTS);
    assert_int_equal(lay_precision_parse_keep("down_proj,lm_head,encoder", &needs.precision.keep, NULL),
                     LAY_OK);
    assert_int_equal(lay_memory_plan_make(&needs, &kept, NULL), LAY_OK);
    assert_true(kept.llm - plan.llm == 32.0 * 4096 * 11008 + 4096.0 * 32000);
    assert_true(kept.encoder == 2 * ENCODER_ELEMENTS);
    assert_true(kept.bridge == plan.bridge);
}

static void refuses_weights_that_leave_no_room(void **state)
{
    (void)state;
    struct lay_memory_needs needs = layalign((size_t)(2 * (LLM_ELEMENTS + ENCODER_ELEMENTS)));
    struct lay_memory_plan plan;
    struct lay_err err = {0};
    assert_int_equal(lay_memory_plan_make(&needs, &plan, &err), LAY_ERR_INPUT);
    assert_non_null(strstr(err.message, "15.60 GB in bf16"));
    needs.precision.dtype = LAY_F32;
    err = (struct lay_err){0};
    assert_int_equal(lay_memory_plan_make(&needs, &plan, &err), LAY_ERR_INPUT);
    assert_non_null(strstr(err.message, "use --dtype bf16"));
}

static void says_the_plan_in_one_line(void **state)
{
    (void)state;
    struct lay_memory_needs needs = layalign((size_t)24 << 30);
    struct lay_memory_plan plan;
    struct lay_str text = {0};
    assert_int_equal(lay_memory_plan_make(&needs, &plan, NULL), LAY_OK);
    assert_int_equal(lay_memory_plan_print(&needs, &plan, &text, NULL), LAY_OK);
    assert_non_null(strstr(text.data, "layalign (layalign, bf16): weights 15.60 GB"));
    assert_non_null(strstr(text.data, "LLM 13.21 GB, encoder 2.32 GB, bridge 67.1 MB"));
    assert_non_null(strstr(text.data, "at most 32 sequences in flight"));
    assert_null(strchr(text.data, '\n'));
    lay_str_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_every_packed_matrix),  cmocka_unit_test(counts_what_the_form_adds),
        cmocka_unit_test(kept_modules_take_two_bytes), cmocka_unit_test(refuses_weights_that_leave_no_room),
        cmocka_unit_test(says_the_plan_in_one_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

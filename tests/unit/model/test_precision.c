/* Which dtype a module's products have. */
#include "engine/model/precision.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct lay_precision int8_keeping(const char *list)
{
    struct lay_precision precision = lay_precision_of(LAY_I8);
    assert_int_equal(lay_precision_parse_keep(list, &precision.keep, NULL), LAY_OK);
    return precision;
}

static void names_of_dtypes(void **state)
{
    (void)state;
    assert_int_equal(lay_precision_dtype("f32"), LAY_F32);
    assert_int_equal(lay_precision_dtype("float32"), LAY_F32);
    assert_int_equal(lay_precision_dtype("bfloat16"), LAY_BF16);
    assert_int_equal(lay_precision_dtype("int8"), LAY_I8);
    assert_int_equal(lay_precision_dtype("i8"), LAY_DTYPE_COUNT);
    assert_int_equal(lay_precision_dtype("f16"), LAY_DTYPE_COUNT);
    assert_string_equal(lay_precision_name(LAY_I8), "int8");
    assert_string_equal(lay_precision_name(LAY_BF16), "bf16");
}

static void kept_modules_stay_in_bf16(void **state)
{
    (void)state;
    const struct lay_precision p = int8_keeping("down_proj,lm_head");
    assert_int_equal(lay_precision_for(p, "down_proj"), LAY_BF16);
    assert_int_equal(lay_precision_for(p, "lm_head"), LAY_BF16);
    assert_int_equal(lay_precision_for(p, "q_proj"), LAY_I8);
    assert_int_equal(lay_precision_for(p, "wi_0"), LAY_I8);
    assert_int_equal(lay_precision_rows(p), LAY_BF16);
}

static void gate_and_up_are_one_product(void **state)
{
    (void)state;
    assert_int_equal(lay_precision_for(int8_keeping("up_proj"), "gate_proj"), LAY_BF16);
    assert_int_equal(lay_precision_for(int8_keeping("gate_proj"), "up_proj"), LAY_BF16);
}

static void an_encoder_is_kept_as_a_whole(void **state)
{
    (void)state;
    assert_int_equal(lay_precision_within(int8_keeping("encoder"), "encoder").dtype, LAY_BF16);
    /* o_proj of the LLM does not reach into an encoder that is quantised */
    const struct lay_precision encoder = lay_precision_within(int8_keeping("o_proj"), "encoder");
    assert_int_equal(lay_precision_for(encoder, "o_proj"), LAY_I8);
}

static void other_dtypes_keep_nothing(void **state)
{
    (void)state;
    const struct lay_precision f32 = {LAY_F32, int8_keeping("lm_head").keep};
    assert_int_equal(lay_precision_for(f32, "lm_head"), LAY_F32);
    assert_int_equal(lay_precision_rows(f32), LAY_F32);
}

static void lists_go_back_and_forth(void **state)
{
    (void)state;
    struct lay_str text = {0};
    lay_precision_put_keep(&text, int8_keeping("lm_head,q_proj").keep);
    assert_string_equal(lay_str_text(&text), "q_proj,lm_head");
    lay_str_free(&text);
    assert_int_equal(int8_keeping(NULL).keep, 0);
    assert_int_equal(int8_keeping("").keep, 0);
}

static void unknown_modules_are_refused_with_the_list(void **state)
{
    (void)state;
    static const char *const wrong[] = {"lm_hea", "lm_headx", "q_proj,", ",", "q_proj,,k_proj", "LM_HEAD"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct lay_err err = {0};
        uint32_t keep;
        if (lay_precision_parse_keep(wrong[i], &keep, &err) != LAY_ERR_USAGE)
            fail_msg("\"%s\" was accepted", wrong[i]);
        assert_non_null(strstr(err.message, "down_proj"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_of_dtypes),
        cmocka_unit_test(kept_modules_stay_in_bf16),
        cmocka_unit_test(gate_and_up_are_one_product),
        cmocka_unit_test(an_encoder_is_kept_as_a_whole),
        cmocka_unit_test(other_dtypes_keep_nothing),
        cmocka_unit_test(lists_go_back_and_forth),
        cmocka_unit_test(unknown_modules_are_refused_with_the_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

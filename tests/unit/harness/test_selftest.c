/* What the self test says when something differs. */
#include "harness/selftest/selftest.h"

#include "engine/base/json.h"
#include "engine/base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct lay_selftest_products products;
static struct lay_selftest_answers answers;

static struct lay_selftest make(bool products_hold, bool answers_hold)
{
    products =
        (struct lay_selftest_products){.shape = lay_shape_find("tiny"), .dtype = LAY_BF16, .n_layers = 2};
    for (int i = 0; i < 2; i++) {
        products.layers[i] = (struct lay_selftest_layer){.name = i ? "down" : "up", .in = 64, .out = 176};
        products.layers[i].verdict = (struct lay_invariance){.holds = i == 0 || products_hold,
                                                             .layers = 1,
                                                             .products = 21,
                                                             .in = 176,
                                                             .out = 64,
                                                             .trial = {3, 5, 4, true},
                                                             .row = 6};
    }
    answers = (struct lay_selftest_answers){.system = "tiny", .dtype = LAY_BF16, .holds = answers_hold};
    strcpy(answers.where, "request 3 differs");
    return (struct lay_selftest){&products, &answers, 1, 1, 0.5};
}

static void one_difference_is_enough(void **state)
{
    (void)state;
    const struct lay_selftest good = make(true, true);
    assert_true(lay_selftest_holds(&good));
    struct lay_selftest bad = make(false, true);
    assert_false(lay_selftest_holds(&bad));
    bad = make(true, false);
    assert_false(lay_selftest_holds(&bad));
}

static void the_text_says_where(void **state)
{
    (void)state;
    const struct lay_selftest bad = make(false, false);
    struct lay_str text = {0};
    lay_selftest_put_text(&text, &bad);
    assert_non_null(strstr(text.data, "DIFFER"));
    assert_non_null(strstr(text.data, "down: "));
    assert_null(strstr(text.data, "up: "));
    assert_non_null(strstr(text.data, "among 5 rows on 4 threads"));
    assert_non_null(strstr(text.data, "request 3 differs"));
    assert_non_null(strstr(text.data, "NOT batch invariant"));
    lay_str_free(&text);
}

static void the_json_says_where(void **state)
{
    (void)state;
    const struct lay_selftest bad = make(false, false);
    struct lay_str text = {0};
    cJSON *root = NULL;
    lay_selftest_put_json(&text, &bad);
    assert_int_equal(lay_json_parse("selftest", text.data, text.length, &root, NULL), LAY_OK);
    assert_true(cJSON_IsFalse(cJSON_GetObjectItem(root, "batch_invariant")));
    const cJSON *layers =
        cJSON_GetObjectItem(cJSON_GetArrayItem(cJSON_GetObjectItem(root, "products"), 0), "layers");
    assert_null(cJSON_GetObjectItem(cJSON_GetArrayItem(layers, 0), "differs"));
    const cJSON *at = cJSON_GetObjectItem(cJSON_GetArrayItem(layers, 1), "differs");
    assert_int_equal(cJSON_GetObjectItem(at, "rows")->valueint, 5);
    assert_int_equal(cJSON_GetObjectItem(at, "threads")->valueint, 4);
    assert_int_equal(cJSON_GetObjectItem(at, "row")->valueint, 6);
    cJSON_Delete(root);
    lay_str_free(&text);
}

static void the_json_is_whole_or_has_failed(void **state)
{
    (void)state;
    const struct lay_selftest bad = make(false, false);
    struct lay_str whole = {0}, text = {0};
    long failures = -1;
    lay_selftest_put_json(&whole, &bad);
    assert_false(whole.failed);
    do {
        lay_str_free(&text);
        lay_mem_fail_after(++failures);
        lay_selftest_put_json(&text, &bad);
        lay_mem_fail_after(-1);
    } while (text.failed);
    assert_string_equal(lay_str_text(&text), lay_str_text(&whole));
    assert_true(failures > 80); /* items, their names and texts */
    lay_str_free(&text);
    lay_str_free(&whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_difference_is_enough),
        cmocka_unit_test(the_text_says_where),
        cmocka_unit_test(the_json_says_where),
        cmocka_unit_test(the_json_is_whole_or_has_failed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Relative buckets, sinusoids, position ids and rotary frequencies against the official functions' values and
 * hand arithmetic. */
#include "engine/base/json.h"
#include "engine/model/encoder_family.h"
#include "engine/model/llm_state.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define FUNCTIONS LAYEVAL_TEST_DIR "/golden/eval_functions/"

static cJSON *read_json(const char *path)
{
    struct lay_err err = {0};
    cJSON *root;
    if (lay_json_read(path, &root, &err) != LAY_OK)
        fail_msg("%s", err.message);
    return root;
}

static const cJSON *member(const cJSON *root, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(root, key);
    if (!item)
        fail_msg("no key \"%s\"", key);
    return item;
}

static void check_buckets(const cJSON *root, const char *key, int64_t max_distance)
{
    const cJSON *distance = member(root, "relative_position (memory index - query index)")->child;
    int n = 0;
    for (const cJSON *bucket = member(root, key)->child; bucket; bucket = bucket->next, n++) {
        assert_non_null(distance);
        assert_int_equal(lay_t5_bucket((int64_t)distance->valuedouble, 32, max_distance),
                         (int64_t)bucket->valuedouble);
        distance = distance->next;
    }
    assert_null(distance);
    assert_true(n > 500);
}

static void buckets_are_those_of_transformers(void **state)
{
    (void)state;
    cJSON *root = read_json(FUNCTIONS "t5_relative_bucket.json");
    check_buckets(root, "bidirectional, num_buckets 32, max_distance 128", 128);
    check_buckets(root, "bidirectional, num_buckets 32, max_distance 64", 64);
    cJSON_Delete(root);
}

static void check_sinusoids(const cJSON *rows, int64_t width)
{
    int64_t position = 0;
    for (const cJSON *row = rows->child; row; row = row->next, position++) {
        float ours[16];
        lay_m2m100_position(position, 1, width, ours);
        int64_t i = 0;
        for (const cJSON *value = row->child; value; value = value->next, i++)
            assert_true(fabs((double)ours[i] - value->valuedouble) < 1e-6);
        assert_int_equal(i, width);
    }
    assert_true(position >= 8);
}

static void sinusoids_are_those_of_transformers(void **state)
{
    (void)state;
    cJSON *root = read_json(FUNCTIONS "m2m100_positions.json");
    check_sinusoids(member(root, "weights (num_positions 20 + offset 2, dim 10, padding_idx 1)"), 10);
    check_sinusoids(member(root, "weights (num_positions 6 + offset 2, dim 9 (odd), padding_idx 1)"), 9);
    cJSON_Delete(root);
}

static void positions_skip_pads(void **state)
{
    (void)state;
    cJSON *root = read_json(FUNCTIONS "m2m100_positions.json");
    const cJSON *ids = member(root, "input_ids")->child, *positions = member(root, "position_ids")->child;
    int rows = 0;
    for (; ids; ids = ids->next, positions = positions->next, rows++) {
        int32_t row[8], ours[8];
        int64_t n = 0;
        for (const cJSON *id = ids->child; id; id = id->next)
            row[n++] = (int32_t)id->valuedouble;
        lay_position_ids(row, n, 1, ours);
        n = 0;
        for (const cJSON *position = positions->child; position; position = position->next)
            assert_int_equal(ours[n++], (int)position->valuedouble);
    }
    assert_int_equal(rows, 2);
    cJSON_Delete(root);
}

static void plain_frequencies(void **state)
{
    (void)state;
    const struct lay_llm_config c = {.head_dim = 8, .rope_theta = 10000};
    const double expected[] = {1.0, 0.1, 0.01, 0.001}; /* 10000^(-2i/8) */
    float f[4];
    lay_llm_inv_freq(&c, f);
    for (int i = 0; i < 4; i++)
        assert_true(fabs((double)f[i] / expected[i] - 1) < 1e-6);
}

static void linear_scaling_divides_all(void **state)
{
    (void)state;
    const struct lay_llm_config c = {
        .head_dim = 8, .rope_theta = 10000, .rope_scaling = "linear", .rope_factor = 4};
    const double expected[] = {0.25, 0.025, 0.0025, 0.00025};
    float f[4];
    lay_llm_inv_freq(&c, f);
    for (int i = 0; i < 4; i++)
        assert_true(fabs((double)f[i] / expected[i] - 1) < 1e-6);
}

/* original length 1024, low 1, high 4, factor 8: wavelengths 2π/f are 6.28, 62.8, 628, 6283. Below 1024/4 =
 * 256 untouched; above 1024/1 divided by 8; 628.3: smooth = (1024/628.3185 - 1)/3 = 0.2099182, so f =
 * (0.7900818/8 + 0.2099182) · 0.01 = 0.3086784 · 0.01. */
static void llama3_scaling_by_wavelength(void **state)
{
    (void)state;
    const struct lay_llm_config c = {.head_dim = 8,
                                     .rope_theta = 10000,
                                     .rope_scaling = "llama3",
                                     .rope_factor = 8,
                                     .rope_low_freq_factor = 1,
                                     .rope_high_freq_factor = 4,
                                     .rope_original_max_position = 1024};
    const double expected[] = {1.0, 0.1, 0.003086784, 0.000125};
    float f[4];
    lay_llm_inv_freq(&c, f);
    for (int i = 0; i < 4; i++)
        assert_true(fabs((double)f[i] / expected[i] - 1) < 1e-5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buckets_are_those_of_transformers),
        cmocka_unit_test(sinusoids_are_those_of_transformers),
        cmocka_unit_test(positions_skip_pads),
        cmocka_unit_test(plain_frequencies),
        cmocka_unit_test(linear_scaling_divides_all),
        cmocka_unit_test(llama3_scaling_by_wavelength),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

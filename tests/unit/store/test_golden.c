/* Every checkpoint of the golden cases opens; forms of one model agree; names, shapes and types are those
 * that PyTorch wrote down in case.json. */
#include "tests/unit/store/golden.h"

#include "engine/base/json.h"
#include "engine/base/mem.h"
#include "engine/store/checkpoint.h"
#include "engine/store/weights.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static const struct {
    const char *name;
    const char *format; /* of bridge/pytorch_model.bin; NULL: not there */
} cases[] = {
    {"layalign_mt5_llama_linear", "torch zip"},   {"layalign_mt5_llama_mlp", "torch zip"},
    {"layalign_mt5_mistral_subset", "torch zip"}, {"layalign_nllb_llama_linear", "torch zip"},
    {"mindmerger_mt5_llama", "torch legacy"},     {"mindmerger_xlmr_qwen2", "torch legacy"},
    {"langbridge_mt5_llama_linear", "torch zip"},
};
#define N_CASES (sizeof cases / sizeof *cases)

static struct lay_checkpoint *open_golden(const char *relative)
{
    char path[4096];
    struct lay_checkpoint *checkpoint;
    struct lay_err err = {0};
    if (!golden_path(path, sizeof path, relative))
        fail_msg("%s is missing", path);
    if (lay_checkpoint_open(path, &checkpoint, &err) != LAY_OK)
        fail_msg("%s", err.message);
    return checkpoint;
}

static struct lay_checkpoint *open_part(const char *case_name, const char *part)
{
    char relative[512];
    snprintf(relative, sizeof relative, "%s/%s", case_name, part);
    return open_golden(relative);
}

static void assert_shape_is(const struct lay_tensor *tensor, const cJSON *shape)
{
    assert_int_equal(tensor->rank, cJSON_GetArraySize(shape));
    for (int i = 0; i < tensor->rank; i++)
        assert_true((double)tensor->shape[i] == cJSON_GetArrayItem(shape, i)->valuedouble);
}

static void assert_listed(const struct lay_checkpoint *checkpoint, const cJSON *keys)
{
    size_t n = 0;
    for (const cJSON *key = keys->child; key; key = key->next, n++) {
        const struct lay_tensor *tensor = lay_checkpoint_find(checkpoint, key->string);
        if (!tensor)
            fail_msg("%s is missing", key->string);
        assert_shape_is(tensor, cJSON_GetArrayItem(key, 0));
        assert_string_equal(cJSON_GetArrayItem(key, 1)->valuestring, "float32");
        assert_int_equal(tensor->dtype, LAY_F32);
    }
    assert_int_equal(lay_checkpoint_count(checkpoint), n);
}

static void bridges_hold_the_tensors_that_case_json_lists(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_CASES; i++) {
        char path[4096], relative[512];
        cJSON *root;
        struct lay_err err = {0};
        snprintf(relative, sizeof relative, "%s/case.json", cases[i].name);
        assert_true(golden_path(path, sizeof path, relative));
        assert_int_equal(lay_json_read(path, &root, &err), LAY_OK);
        struct lay_checkpoint *bridge = open_part(cases[i].name, "bridge/pytorch_model.bin");
        assert_string_equal(lay_checkpoint_format(bridge), cases[i].format);
        const cJSON *keys = cJSON_GetObjectItemCaseSensitive(root, "bridge_pytorch_model_bin_keys");
        assert_non_null(keys);
        assert_listed(bridge, keys);
        lay_checkpoint_close(bridge);
        cJSON_Delete(root);
    }
}

static float *as_f32(const struct lay_tensor *tensor)
{
    struct lay_err err = {0};
    float *values = lay_alloc(tensor->count, sizeof *values);
    assert_non_null(values);
    if (lay_tensor_to_f32(tensor, values, &err) != LAY_OK)
        fail_msg("%s", err.message);
    return values;
}

static void assert_same_tensor(const struct lay_tensor *a, const struct lay_tensor *b)
{
    assert_int_equal(a->rank, b->rank);
    assert_memory_equal(a->shape, b->shape, sizeof *a->shape * (size_t)a->rank);
    assert_int_equal(a->dtype, b->dtype);
    assert_int_equal(a->bytes, b->bytes);
    if (a->transposed == b->transposed) {
        assert_memory_equal(a->data, b->data, a->bytes);
        return;
    }
    float *x = as_f32(a), *y = as_f32(b);
    assert_memory_equal(x, y, a->count * sizeof *x);
    lay_free(x);
    lay_free(y);
}

/* Every tensor of `some` is in `all`; `extra` more are aliases that safetensors leaves out. */
static void assert_agree(struct lay_checkpoint *all, struct lay_checkpoint *some, size_t extra)
{
    assert_int_equal(lay_checkpoint_count(all), lay_checkpoint_count(some) + extra);
    for (size_t i = 0; i < lay_checkpoint_count(some); i++) {
        const struct lay_tensor *tensor = lay_checkpoint_at(some, i);
        const struct lay_tensor *same = lay_checkpoint_find(all, tensor->name);
        if (!same)
            fail_msg("%s is missing", tensor->name);
        assert_same_tensor(same, tensor);
    }
    lay_checkpoint_close(all);
    lay_checkpoint_close(some);
}

static void bin_and_safetensors_of_one_model_agree(void **state)
{
    (void)state;
    static const struct {
        const char *name, *part;
        size_t aliases;
    } pairs[] = {
        {"layalign_mt5_llama_linear", "encoder", 2}, /* shared = encoder's and decoder's embed_tokens */
        {"layalign_mt5_llama_linear", "llm", 0},
        {"layalign_mt5_llama_mlp", "bridge", 1}, /* llm_embedding_layer */
        {"mindmerger_mt5_llama", "bridge", 0},
        {"mindmerger_xlmr_qwen2", "bridge", 0},
        {"langbridge_mt5_llama_linear", "bridge", 2}, /* lb.embeddings, lb.enc.encoder.embed_tokens */
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        char bin[256], safe[256];
        snprintf(bin, sizeof bin, "%s/pytorch_model.bin", pairs[i].part);
        snprintf(safe, sizeof safe, "%s/model.safetensors", pairs[i].part);
        assert_agree(open_part(pairs[i].name, bin), open_part(pairs[i].name, safe), pairs[i].aliases);
    }
}

static void shards_agree_with_the_single_file(void **state)
{
    (void)state;
    struct lay_checkpoint *sharded = open_golden("mindmerger_mt5_llama/llm_sharded");
    assert_string_equal(lay_checkpoint_format(sharded), "safetensors, 3 shards");
    assert_agree(sharded, open_golden("mindmerger_mt5_llama/llm"), 0);
}

static void bf16_checkpoint_is_the_rounded_f32_one(void **state)
{
    (void)state;
    struct lay_checkpoint *wide = open_golden("layalign_mt5_llama_mlp/bridge/pytorch_model.bin");
    struct lay_checkpoint *narrow = open_golden("layalign_mt5_llama_mlp/bridge_bf16");
    assert_int_equal(lay_checkpoint_count(wide), lay_checkpoint_count(narrow));
    for (size_t i = 0; i < lay_checkpoint_count(wide); i++) {
        const struct lay_tensor *a = lay_checkpoint_at(wide, i), *b = lay_checkpoint_at(narrow, i);
        assert_string_equal(a->name, b->name);
        assert_int_equal(b->dtype, LAY_BF16);
        float *x = as_f32(a), *y = as_f32(b);
        for (size_t j = 0; j < a->count; j++) /* 8 bits of precision: half a unit in the last place */
            assert_true(fabsf(x[j] - y[j]) <= fabsf(x[j]) / 256 + 1e-38f);
        lay_free(x);
        lay_free(y);
    }
    lay_checkpoint_close(wide);
    lay_checkpoint_close(narrow);
}

static void every_model_directory_opens(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_CASES; i++) {
        static const char *const parts[] = {"encoder", "llm", "bridge"};
        for (size_t j = 0; j < 3; j++) {
            struct lay_checkpoint *checkpoint = open_part(cases[i].name, parts[j]);
            assert_true(lay_checkpoint_count(checkpoint) > 4);
            lay_checkpoint_close(checkpoint);
        }
        lay_checkpoint_close(open_part(cases[i].name, "expected.safetensors"));
    }
}

static void weights_find_adapted_layers_in_the_bridge_first(void **state)
{
    (void)state;
    struct lay_err err = {0};
    struct lay_weights *weights;
    const struct lay_tensor *tensor;
    const int64_t shape[] = {48, -1};
    struct lay_checkpoint *bridge = open_golden("layalign_mt5_llama_linear/bridge");
    struct lay_checkpoint *llm = open_golden("layalign_mt5_llama_linear/llm");
    assert_int_equal(lay_weights_create(&weights, &err), LAY_OK);
    assert_int_equal(
        lay_weights_add(weights, bridge, "model_llm.model.", "self_attn.", "self_attn.model.", &err), LAY_OK);
    assert_int_equal(lay_weights_add(weights, bridge, "model_llm.model.", NULL, NULL, &err), LAY_OK);
    assert_int_equal(lay_weights_add(weights, llm, "", NULL, NULL, &err), LAY_OK);
    assert_int_equal(
        lay_weights_get(weights, "model.layers.1.self_attn.q_proj.weight", 2, shape, &tensor, &err), LAY_OK);
    assert_string_equal(tensor->name, "model_llm.model.model.layers.1.self_attn.model.q_proj.weight");
    tensor = lay_weights_find(weights, "model.layers.1.self_attn.adaption_gate");
    assert_string_equal(tensor->name, "model_llm.model.model.layers.1.self_attn.adaption_gate");
    assert_null(lay_weights_find(weights, "model.layers.9.self_attn.adaption_gate"));
    lay_weights_destroy(weights);
    lay_checkpoint_close(bridge);
    lay_checkpoint_close(llm);
}

int main(void)
{
    char path[4096];
    if (!golden_path(path, sizeof path, "layalign_mt5_llama_linear/case.json")) {
        printf("skipped: no golden cases; set LAYEVAL_SHARED\n");
        return 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bridges_hold_the_tensors_that_case_json_lists),
        cmocka_unit_test(bin_and_safetensors_of_one_model_agree),
        cmocka_unit_test(shards_agree_with_the_single_file),
        cmocka_unit_test(bf16_checkpoint_is_the_rounded_f32_one),
        cmocka_unit_test(every_model_directory_opens),
        cmocka_unit_test(weights_find_adapted_layers_in_the_bridge_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* config.json: what transformers assumes for missing keys, and what is refused. */
#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "engine/model/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static char dir[] = "/tmp/layeval-config-XXXXXX";

static void write_file(const char *name, const char *text)
{
    struct lay_err err = {0};
    char *path = lay_path_join(dir, name);
    if (lay_file_write(path, text, strlen(text), &err) != LAY_OK)
        fail_msg("%s", err.message);
    lay_free(path);
}

static void remove_file(const char *name)
{
    char *path = lay_path_join(dir, name);
    unlink(path);
    lay_free(path);
}

static int set_up(void **state)
{
    (void)state;
    return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    remove_file("config.json");
    remove_file("generation_config.json");
    return rmdir(dir);
}

static struct lay_llm_config llm(const char *json)
{
    struct lay_llm_config c;
    struct lay_err err = {0};
    write_file("config.json", json);
    if (lay_llm_config_read(dir, &c, &err) != LAY_OK)
        fail_msg("%s", err.message);
    return c;
}

static struct lay_encoder_config encoder(const char *json)
{
    struct lay_encoder_config c;
    struct lay_err err = {0};
    write_file("config.json", json);
    if (lay_encoder_config_read(dir, &c, &err) != LAY_OK)
        fail_msg("%s", err.message);
    return c;
}

static void missing_keys_mean_what_transformers_means(void **state)
{
    (void)state;
    struct lay_llm_config c =
        llm("{\"model_type\":\"llama\",\"num_attention_heads\":16,\"hidden_size\":1024}");
    assert_int_equal(c.num_key_value_heads, 16);
    assert_int_equal(c.head_dim, 64);
    assert_int_equal(c.vocab_size, 32000);
    assert_true(c.rope_theta == 10000.0);
    assert_false(c.qkv_bias || c.o_bias || c.mlp_bias || c.tie_word_embeddings);
    assert_int_equal(c.n_eos, 1);
    assert_int_equal(c.eos_ids[0], 2);
    assert_int_equal(c.bos_id, 1);
    assert_int_equal(c.sliding_window, 0);

    c = llm("{\"model_type\":\"mistral\"}");
    assert_int_equal(c.sliding_window, 4096);
    assert_int_equal(c.num_key_value_heads, 8);
    c = llm("{\"model_type\":\"mistral\",\"sliding_window\":null}");
    assert_int_equal(c.sliding_window, 0);
    c = llm("{\"model_type\":\"qwen2\",\"sliding_window\":4096,\"use_sliding_window\":false}");
    assert_true(c.qkv_bias);
    assert_false(c.o_bias);
    assert_int_equal(c.sliding_window, 0);
    assert_int_equal(c.n_eos, 0);
    c = llm("{\"model_type\":\"llama\",\"attention_bias\":true,\"head_dim\":96}");
    assert_true(c.qkv_bias && c.o_bias);
    assert_int_equal(c.head_dim, 96);
}

static void rope_of_old_and_new_files(void **state)
{
    (void)state;
    struct lay_llm_config c =
        llm("{\"model_type\":\"llama\",\"rope_theta\":500000.0,\"rope_scaling\":{\"rope_type\":\"llama3\","
            "\"factor\":8.0,\"low_freq_factor\":1.0,\"high_freq_factor\":4.0,"
            "\"original_max_position_embeddings\":8192}}");
    assert_string_equal(c.rope_scaling, "llama3");
    assert_true(c.rope_theta == 500000.0 && c.rope_factor == 8.0);
    assert_int_equal(c.rope_original_max_position, 8192);
    c = llm("{\"model_type\":\"llama\",\"rope_scaling\":{\"type\":\"linear\",\"factor\":2}}");
    assert_string_equal(c.rope_scaling, "linear");
    c = llm("{\"model_type\":\"llama\",\"rope_parameters\":{\"rope_type\":\"default\",\"rope_theta\":1e6}}");
    assert_string_equal(c.rope_scaling, "");
    assert_true(c.rope_theta == 1e6);
}

static void generation_config_has_the_last_word_on_eos(void **state)
{
    (void)state;
    write_file("generation_config.json", "{\"eos_token_id\":[7,9],\"pad_token_id\":5}");
    struct lay_llm_config c = llm("{\"model_type\":\"llama\",\"eos_token_id\":3,\"bos_token_id\":4}");
    assert_int_equal(c.n_eos, 2);
    assert_int_equal(c.eos_ids[0], 7);
    assert_int_equal(c.eos_ids[1], 9);
    assert_int_equal(c.bos_id, 4);
    assert_int_equal(c.pad_id, 5);
    remove_file("generation_config.json");
    c = llm("{\"model_type\":\"llama\",\"eos_token_id\":[3,4]}");
    assert_int_equal(c.n_eos, 2);
    assert_int_equal(c.eos_ids[1], 4);
}

static void encoders_and_their_defaults(void **state)
{
    (void)state;
    struct lay_encoder_config c = encoder("{\"model_type\":\"t5\"}");
    assert_int_equal(c.activation, LAY_RELU);
    assert_false(c.gated);
    assert_false(c.relative_bias_per_layer);
    c = encoder("{\"model_type\":\"mt5\",\"d_model\":1024,\"d_kv\":64,\"num_heads\":12}");
    assert_true(c.gated);
    assert_int_equal(c.activation, LAY_GELU_TANH);
    assert_int_equal(c.head_dim, 64); /* 12 · 64 ≠ d_model is fine */
    assert_int_equal(c.relative_max_distance, 128);
    c = encoder("{\"model_type\":\"umt5\"}");
    assert_true(c.relative_bias_per_layer);
    c = encoder("{\"model_type\":\"t5\",\"feed_forward_proj\":\"gated-silu\"}");
    assert_int_equal(c.activation, LAY_SILU);
    c = encoder("{\"model_type\":\"m2m_100\"}");
    assert_true(c.scale_embedding);
    assert_int_equal(c.pad_id, 1);
    assert_int_equal(c.head_dim, 64);
    c = encoder("{\"model_type\":\"xlm-roberta\",\"max_position_embeddings\":514}");
    assert_int_equal(c.max_positions, 514);
    assert_int_equal(c.activation, LAY_GELU_ERF);
}

struct refusal {
    const char *json, *says;
};

static void refuses(const struct refusal *r, bool is_llm)
{
    struct lay_err err = {0};
    struct lay_llm_config l;
    struct lay_encoder_config e;
    write_file("config.json", r->json);
    const enum lay_status status =
        is_llm ? lay_llm_config_read(dir, &l, &err) : lay_encoder_config_read(dir, &e, &err);
    if (status != LAY_ERR_INPUT || !strstr(err.message, r->says) || !strstr(err.message, "config.json"))
        fail_msg("%s\ngave %d \"%s\", expected \"%s\"", r->json, status, err.message, r->says);
}

static void llms_that_are_refused_by_name(void **state)
{
    (void)state;
    static const struct refusal refusals[] = {
        {"{}", "model_type"},
        {"[]", "object"},
        {"{\"model_type\":\"gpt2\"}", "gpt2"},
        {"{\"model_type\":\"mt5\"}", "mt5"},
        {"{\"model_type\":\"llama\",\"hidden_act\":\"gelu\"}", "hidden_act"},
        {"{\"model_type\":\"llama\",\"hidden_act\":\"mish\"}", "mish"},
        {"{\"model_type\":\"llama\",\"rope_scaling\":{\"type\":\"dynamic\",\"factor\":2}}", "dynamic"},
        {"{\"model_type\":\"llama\",\"rope_scaling\":{\"rope_type\":\"yarn\",\"factor\":2}}", "yarn"},
        {"{\"model_type\":\"llama\",\"rope_scaling\":{\"type\":\"linear\"}}", "factor"},
        {"{\"model_type\":\"llama\",\"rope_scaling\":{\"type\":\"linear\",\"factor\":-1}}", "factor"},
        {"{\"model_type\":\"llama\",\"rope_scaling\":3}", "rope_scaling"},
        {"{\"model_type\":\"llama\",\"rope_theta\":0}", "rope_theta"},
        {"{\"model_type\":\"llama\",\"quantization_config\":{\"bits\":4}}", "quantization_config"},
        {"{\"model_type\":\"qwen2\",\"use_sliding_window\":true}", "use_sliding_window"},
        {"{\"model_type\":\"mistral\",\"attention_bias\":true}", "attention_bias"},
        {"{\"model_type\":\"qwen2\",\"layer_types\":[\"sliding_attention\"]}", "layer_types"},
        {"{\"model_type\":\"llama\",\"hidden_size\":-5}", "hidden_size"},
        {"{\"model_type\":\"llama\",\"hidden_size\":0}", "hidden_size"},
        {"{\"model_type\":\"llama\",\"vocab_size\":4294967296}", "vocab_size"},
        {"{\"model_type\":\"llama\",\"num_hidden_layers\":1000000}", "num_hidden_layers"},
        {"{\"model_type\":\"llama\",\"num_hidden_layers\":\"32\"}", "num_hidden_layers"},
        {"{\"model_type\":\"llama\",\"num_attention_heads\":3}", "multiple"},
        {"{\"model_type\":\"llama\",\"num_key_value_heads\":5}", "multiple"},
        {"{\"model_type\":\"llama\",\"head_dim\":7}", "odd"},
        {"{\"model_type\":\"llama\",\"head_dim\":258}", "258"},
        {"{\"model_type\":\"llama\",\"rms_norm_eps\":0}", "rms_norm_eps"},
        {"{\"model_type\":\"llama\",\"eos_token_id\":\"</s>\"}", "eos_token_id"},
        {"{\"model_type\":\"llama\",\"eos_token_id\":[1,-2]}", "eos_token_id"},
    };
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++)
        refuses(&refusals[i], true);
}

static void encoders_that_are_refused_by_name(void **state)
{
    (void)state;
    static const struct refusal refusals[] = {
        {"{\"model_type\":\"bert\"}", "bert"},
        {"{\"model_type\":\"llama\"}", "llama"},
        {"{\"model_type\":\"mt5\",\"feed_forward_proj\":\"gated-swiglu\"}", "swiglu"},
        {"{\"model_type\":\"mt5\",\"dense_act_fn\":\"relu\"}", "dense_act_fn"},
        {"{\"model_type\":\"mt5\",\"is_gated_act\":false}", "is_gated_act"},
        {"{\"model_type\":\"mt5\",\"relative_attention_num_buckets\":30}", "relative_attention_num_buckets"},
        {"{\"model_type\":\"mt5\",\"relative_attention_max_distance\":8}", "max_distance"},
        {"{\"model_type\":\"mt5\",\"pad_token_id\":-1}", "pad_token_id"},
        {"{\"model_type\":\"mt5\",\"d_ff\":-1}", "d_ff"},
        {"{\"model_type\":\"mt5\",\"d_kv\":257}", "257"},
        {"{\"model_type\":\"mt5\",\"num_heads\":2147483647,\"d_kv\":64}", "large"},
        {"{\"model_type\":\"m2m_100\",\"activation_function\":\"mish\"}", "mish"},
        {"{\"model_type\":\"m2m_100\",\"encoder_attention_heads\":7}", "multiple"},
        {"{\"model_type\":\"xlm-roberta\",\"position_embedding_type\":\"relative_key\"}", "relative_key"},
        {"{\"model_type\":\"xlm-roberta\",\"is_decoder\":true}", "is_decoder"},
    };
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++)
        refuses(&refusals[i], false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(missing_keys_mean_what_transformers_means),
        cmocka_unit_test(rope_of_old_and_new_files),
        cmocka_unit_test(generation_config_has_the_last_word_on_eos),
        cmocka_unit_test(encoders_and_their_defaults),
        cmocka_unit_test(llms_that_are_refused_by_name),
        cmocka_unit_test(encoders_that_are_refused_by_name),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

/* System files: what is read, and that every mistake is refused with its name. */
#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "engine/system_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char directory[] = "/tmp/layeval-system-XXXXXX";
static char path[128];

static enum lay_status read_text(const char *text, struct lay_system_file *file, struct lay_err *err)
{
    assert_int_equal(lay_file_write(path, text, strlen(text), err), LAY_OK);
    return lay_system_file_read(path, file, err);
}

static void reads_a_full_file(void **state)
{
    (void)state;
    struct lay_system_file file;
    struct lay_err err = {0};
    const char *text =
        "{\"name\":\"la-1\",\"method\":\"layalign\",\"llm\":{\"path\":\"llm\"},"
        "\"encoder\":{\"path\":\"/abs/enc\",\"tokenizer\":\"tok\"},"
        "\"bridge\":{\"path\":\"b.bin\",\"encoder_layers\":[0,2],\"structure\":\"MLP\",\"gate\":\"hidden\"},"
        "\"prompt_set\":\"mindmerger\",\"max_new_tokens\":64,\"dtype\":\"f32\",\"adapter_attention\":false}";
    assert_int_equal(read_text(text, &file, &err), LAY_OK);
    char expected[160];
    snprintf(expected, sizeof expected, "%s/llm", directory);
    assert_string_equal(file.llm_path, expected);
    assert_string_equal(file.llm_tokenizer, expected); /* the model's own directory by default */
    assert_string_equal(file.encoder_path, "/abs/enc");
    snprintf(expected, sizeof expected, "%s/tok", directory);
    assert_string_equal(file.encoder_tokenizer, expected);
    assert_int_equal(file.bridge.method, LAY_LAYALIGN);
    assert_int_equal(file.bridge.n_encoder_layers, 2);
    assert_int_equal(file.bridge.encoder_layers[1], 2);
    assert_int_equal(file.bridge.n_language_layers, -1); /* to be inferred from the gates */
    assert_int_equal(file.bridge.form.value[LAY_FORM_STRUCTURE], LAY_STRUCTURE_MLP);
    assert_int_equal(file.bridge.form.value[LAY_FORM_FUSION], 0); /* not said */
    assert_int_equal(file.bridge.form.value[LAY_FORM_GATE], LAY_GATE_HIDDEN);
    assert_true(file.bridge.no_adapter);
    assert_true(file.soft_prompt && file.text_prompt);
    assert_int_equal(file.max_new_tokens, 64);
    assert_int_equal(file.dtype, LAY_F32);
    lay_system_file_free(&file);
}

static void refuses_mistakes_by_name(void **state)
{
    (void)state;
#define LLM "\"llm\":{\"path\":\"l\"}"
#define ENCODER "\"encoder\":{\"path\":\"e\"}"
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"[1]", "one JSON object"},
        {"{\"name\":\"a\",\"method\":\"plain\"}", "\"llm\" is missing"},
        {"{\"method\":\"plain\"," LLM "}", "\"name\" is missing"},
        {"{\"name\":\"a\"," LLM "}", "\"method\" is missing"},
        {"{\"name\":\"a/b\",\"method\":\"plain\"," LLM "}", "names a directory"},
        {"{\"name\":\"..\",\"method\":\"plain\"," LLM "}", "names a directory"},
        {"{\"name\":\"a\",\"method\":\"plain\"," LLM ",\"lr\":1}", "unknown key \"lr\""},
        {"{\"name\":\"a\",\"method\":\"plain\",\"llm\":{\"path\":\"l\",\"lora\":\"x\"}}", "LoRA"},
        {"{\"name\":\"a\",\"method\":\"plain\",\"llm\":{}}", "needs a \"path\""},
        {"{\"name\":\"a\",\"method\":\"plain\",\"llm\":3}", "must be an object"},
        {"{\"name\":\"a\",\"method\":\"translate\"," LLM "}", "translate"},
        {"{\"name\":\"a\",\"method\":\"nonsense\"," LLM "}", "nonsense"},
        {"{\"name\":\"a\",\"method\":\"plain\"," LLM "," ENCODER "}", "has no \"encoder\""},
        {"{\"name\":\"a\",\"method\":\"plain\"," LLM ",\"text_prompt\":false}",
         "nothing but its text prompt"},
        {"{\"name\":\"a\",\"method\":\"plain\"," LLM ",\"dtype\":\"int4\"}", "\"int4\""},
        {"{\"name\":\"a\",\"method\":\"plain\"," LLM ",\"max_new_tokens\":-1}", "max_new_tokens"},
        {"{\"name\":\"a\",\"method\":\"plain\"," LLM ",\"max_new_tokens\":\"9\"}", "whole number"},
        {"{\"name\":\"a\",\"method\":\"mindmerger\"," LLM "}", "\"encoder\" is missing"},
        {"{\"name\":\"a\",\"method\":\"mindmerger\"," LLM "," ENCODER "}", "\"bridge\" is missing"},
        {"{\"name\":\"a\",\"method\":\"mindmerger\"," LLM "," ENCODER
         ",\"bridge\":{\"path\":\"b\",\"structure\":\"MLP\"}}",
         "method \"layalign\" only"},
        {"{\"name\":\"a\",\"method\":\"layalign\"," LLM "," ENCODER
         ",\"bridge\":{\"path\":\"b\",\"structure\":\"mlp\"}}",
         "\"structure\" is \"mlp\"; it can be \"Linear\" or \"MLP\" or \"Wide\""},
        {"{\"name\":\"a\",\"method\":\"layalign\"," LLM "," ENCODER
         ",\"bridge\":{\"path\":\"b\",\"fusion\":\"mean\"}}",
         "\"fusion\" is \"mean\"; it can be \"learned\" or \"average\""},
        {"{\"name\":\"a\",\"method\":\"layalign\"," LLM "," ENCODER
         ",\"bridge\":{\"path\":\"b\",\"gate\":1}}",
         "\"gate\""},
        {"{\"name\":\"a\",\"method\":\"langbridge\"," LLM "," ENCODER
         ",\"bridge\":{\"path\":\"b\",\"gate\":\"scalar\"}}",
         "\"gate\" belongs to method"},
        {"{\"name\":\"a\",\"method\":\"layalign\"," LLM "," ENCODER
         ",\"bridge\":{\"path\":\"b\",\"encoder_layers\":[-1]}}",
         "encoder_layers"},
        {"{\"name\":\"a\",\"method\":\"layalign\"," LLM "," ENCODER
         ",\"bridge\":{\"path\":\"b\",\"encoder_layers\":[]}}",
         "encoder_layers"},
        {"{\"name\":\"a\",\"name\":\"b\",\"method\":\"plain\"," LLM "}", "twice"},
        {"{\"name\":\"a\",", "not valid JSON"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct lay_system_file file;
        struct lay_err err = {0};
        assert_int_equal(read_text(cases[i].text, &file, &err), LAY_ERR_INPUT);
        if (!strstr(err.message, cases[i].message) || !strstr(err.message, "system.json"))
            fail_msg("%s: message \"%s\" lacks \"%s\" or the file", cases[i].text, err.message,
                     cases[i].message);
    }
}

static int set_up(void **state)
{
    (void)state;
    if (!mkdtemp(directory))
        return -1;
    snprintf(path, sizeof path, "%s/system.json", directory);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_a_full_file),
        cmocka_unit_test(refuses_mistakes_by_name),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

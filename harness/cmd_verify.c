#include "harness/command.h"
#include "harness/options.h"
#include "harness/output.h"
#include "harness/verify/verify.h"

#include "engine/base/json.h"
#include "engine/base/mem.h"

#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <string.h>

/* clang-format off */
static const char description[] =
    "Recomputes the outputs of a case and compares them, tensor by tensor, with what another implementation got:\n"
    "a golden case of the tests, or a dump of your own PyTorch model. Exit code 1 when anything differs by more\n"
    "than its limit.\n"
    "\n"
    "A case is a folder:\n"
    "  llm/, encoder/, bridge/  Hugging Face directories and the bridge checkpoint, as in a system file. Every\n"
    "                           weight file found is tried, and folders named llm_X, encoder_X, bridge_X as well.\n"
    "  case.json                {\"method\": \"plain|langbridge|mindmerger|layalign\"} and, where needed,\n"
    "                           \"aligner\": {\"encoder_layers\": [..], \"language_layers\": [..], \"structure\",\n"
    "                           \"fusion\", \"gate\": as in a system file},\n"
    "                           \"llm_bos_id\" (default: the LLM's configuration), \"eos_variant_id\", \"limits\": {NAME: NUMBER}.\n"
    "  expected.safetensors     inputs and outputs. P is any name of your choice (ex0, b3):\n"
    "    P.enc_ids, P.enc_mask        [B, n] what the encoder reads, padded on the right (masks: default all 1)\n"
    "    P.prompt_ids, P.prompt_mask  [B, p] the text prompt without bos; may be missing\n"
    "    P.label_ids, P.label_mask    [B, t] training: the target with its eos\n"
    "    P.input_ids, P.input_mask, P.labels  [B, t] the same for LangBridge, bos first\n"
    "    P.encoder.hidden.I           [B, n, d]\n"
    "    P.soft_prompt                [B, n, H] (LangBridge: [B, n+1, H])\n"
    "    P.adapter.layerL.k, .v       [B, n, H] before the layer's k_proj, v_proj\n"
    "    P.llm.inputs_embeds          [B, S, H] padded on the left (LangBridge: where the source ends, and right)\n"
    "    P.llm.attention_mask, P.llm.position_ids, P.decode1.attention_mask, P.decode1.position_ids\n"
    "    P.llm.layerL.attn_base_out, .attn_out, .out   [B, S, H]\n"
    "    P.prefill_logits, P.logits (training)         [B, S, V]\n"
    "    P.generated_ids [B, T] greedy without end token, P.step_logits [B, T, V],\n"
    "    P.generated_ids_eos [B, T] greedy with eos = pad = eos_variant_id; P.loss [1],\n"
    "    P.grad.NAME                  of the mean loss, for the parameters of the bridge (plain: of the LLM)\n"
    "  Only the inputs are required; whatever else is there is compared, and names that are not known are listed.\n"
    "  Padded places are left out, except at the encoder of LayAlign, whose adapter attention reads them.";
static const char examples[] =
    "  layeval verify tests/golden/layalign_*\n"
    "  layeval verify my-dump --llm /models/MetaMath-7B --json\n"
    "  layeval verify tests/golden/layalign_mt5_llama_mlp --bridge tests/golden/layalign_mt5_llama_mlp/bridge_bf16\n";
/* clang-format on */

struct verify_options {
    struct lay_verify_overrides paths;
    const char *dtype;
    int64_t threads;
    bool json;
};

/* --- printing ----------------------------------------------------------------------------------------------
 */

static const char *verdict(const struct lay_verify_family *f)
{
    return f->failed ? "FAILED" : f->judged ? "OK" : "not judged";
}

/* Inputs are read, not compared: one line for all. */
static bool is_input(const struct lay_verify_family *f)
{
    return f->compared == 0 && strcmp(f->reason, "input") == 0;
}

static void print_inputs(const struct lay_verify_report *report)
{
    const char *separator = "  inputs: ";
    for (size_t i = 0; i < report->n; i++)
        if (is_input(&report->families[i])) {
            printf("%s%s", separator, report->families[i].name);
            separator = ", ";
        }
    if (separator[0] == ',')
        putchar('\n');
}

static void print_family(const struct lay_verify_family *f, enum lay_dtype dtype)
{
    if (is_input(f))
        return;
    if (f->compared > 0) {
        printf("  %-26s %4lld compared  largest difference %8.2g  ", f->name, (long long)f->compared,
               f->largest);
        if (dtype == LAY_F32 || f->limit == 0)
            printf("limit %8.2g  %s", f->limit, verdict(f));
        else
            printf("relative error %7.3f %%  limit %4.1f %%  %s", 100 * lay_verify_relative_error(f),
                   100 * lay_verify_relative_limit(dtype), verdict(f));
        if (dtype != LAY_F32 && strstr(f->name, "prefill_logits"))
            printf("  next token agrees in %lld of %lld rows", (long long)f->agreed, (long long)f->rows);
        if (f->failed)
            printf("  (%s%s)", f->worst, isinf(f->largest) ? ": other shape or not a number" : "");
        if (f->partly)
            printf("  (%lld without their pads)", (long long)f->partly);
        putchar('\n');
    }
    if (f->skipped > 0)
        printf("  %-26s %4lld not compared: %s\n", f->name, (long long)f->skipped, f->reason);
}

/* The case's own folder is not repeated in front of every path. */
static const char *shorten(const struct lay_verify_case *c, const char *path)
{
    const size_t length = strlen(c->dir);
    if (!path || strncmp(path, c->dir, length) != 0)
        return path;
    return path[length] == '/' ? path + length + 1 : path + length;
}

static void print_report(const struct lay_verify_case *c, const struct lay_verify_form *form,
                         const struct lay_verify_report *report)
{
    const char *separator = "";
    printf("%s (%s): ", c->dir, lay_method_name(c->bridge.method));
    const char *const paths[] = {form->bridge, form->own_copies ? NULL : form->encoder,
                                 form->own_copies ? NULL : form->llm};
    for (int i = 0; i < 3; i++)
        if (paths[i]) {
            printf("%s%s", separator, shorten(c, paths[i]));
            separator = " + ";
        }
    puts(form->own_copies ? " with its copies of encoder and LLM" : "");
    print_inputs(report);
    for (size_t i = 0; i < report->n; i++)
        print_family(&report->families[i], report->dtype);
    printf("  %s\n\n", report->failed ? "FAILED" : "OK");
}

static void add_number(cJSON *object, const char *key, double value)
{
    if (isfinite(value))
        cJSON_AddNumberToObject(object, key, value);
    else
        cJSON_AddNullToObject(object, key);
}

static void add_string(cJSON *object, const char *key, const char *text)
{
    if (text)
        cJSON_AddStringToObject(object, key, text);
    else
        cJSON_AddNullToObject(object, key);
}

static void json_report(cJSON *blocks, const struct lay_verify_case *c, const struct lay_verify_form *form,
                        const struct lay_verify_report *report)
{
    cJSON *block = cJSON_CreateObject();
    if (!lay_json_add(blocks, NULL, block))
        return;
    cJSON_AddStringToObject(block, "case", c->dir);
    cJSON_AddStringToObject(block, "method", lay_method_name(c->bridge.method));
    add_string(block, "bridge", form->bridge);
    add_string(block, "encoder", form->own_copies ? NULL : form->encoder);
    add_string(block, "llm", form->own_copies ? NULL : form->llm);
    cJSON_AddBoolToObject(block, "ok", !report->failed);
    cJSON *families = cJSON_AddArrayToObject(block, "families");
    cJSON *skipped = cJSON_AddArrayToObject(block, "not_compared");
    for (size_t i = 0; i < report->n; i++) {
        const struct lay_verify_family *f = &report->families[i];
        if (f->compared > 0) {
            cJSON *item = cJSON_CreateObject();
            if (!lay_json_add(families, NULL, item))
                return;
            cJSON_AddStringToObject(item, "family", f->name);
            cJSON_AddNumberToObject(item, "tensors", (double)f->compared);
            cJSON_AddNumberToObject(item, "without_pads", (double)f->partly);
            add_number(item, "largest_difference", f->largest);
            cJSON_AddNumberToObject(item, "limit", f->limit);
            cJSON_AddNumberToObject(item, "relative_error", lay_verify_relative_error(f));
            cJSON_AddNumberToObject(item, "relative_limit", lay_verify_relative_limit(report->dtype));
            cJSON_AddNumberToObject(item, "rows", (double)f->rows);
            cJSON_AddNumberToObject(item, "next_token_agrees", (double)f->agreed);
            cJSON_AddBoolToObject(item, "judged", f->judged);
            cJSON_AddBoolToObject(item, "ok", !f->failed);
            add_string(item, "worst", f->worst[0] ? f->worst : NULL);
        }
        if (f->skipped > 0) {
            cJSON *item = cJSON_CreateObject();
            if (!lay_json_add(skipped, NULL, item))
                return;
            cJSON_AddStringToObject(item, "family", f->name);
            cJSON_AddNumberToObject(item, "tensors", (double)f->skipped);
            cJSON_AddStringToObject(item, "reason", f->reason);
        }
    }
}

/* --- running -----------------------------------------------------------------------------------------------
 */

static bool has_expectations(const struct lay_verify_case *c, const char *keys, const char *prefix)
{
    char start[2 * LAY_VERIFY_NAME];
    const size_t length = (size_t)snprintf(start, sizeof start, "%s%s", keys, prefix);
    for (size_t i = 0; i < lay_checkpoint_count(c->expected); i++)
        if (strncmp(lay_checkpoint_at(c->expected, i)->name, start, length) == 0)
            return true;
    return false;
}

static enum lay_status verify_example(const struct lay_verify_case *c, const struct lay_verify_form *form,
                                      struct lay_verify_models *models, const char *prefix,
                                      struct lay_verify_report *report, struct lay_err *err)
{
    struct lay_verify_inputs inputs;
    struct lay_verify_result *results;
    LAY_TRY(lay_verify_inputs_read(c, prefix, models, &inputs, err));
    enum lay_status status = lay_verify_compute(c, models, &inputs, form->keys, &results, err);
    if (status == LAY_OK)
        status = lay_verify_gradients(c, form, models, &inputs, &results, err);
    if (status == LAY_OK)
        status = lay_verify_compare(c, form->keys, prefix, results, report, err);
    lay_verify_results_free(results);
    lay_verify_inputs_free(&inputs);
    return status == LAY_OK ? LAY_OK : lay_err_context(err, status, "%s", prefix);
}

static enum lay_status verify_form(const struct lay_verify_case *c, const struct lay_verify_form *form,
                                   enum lay_dtype dtype, struct lay_verify_report *report,
                                   struct lay_err *err)
{
    struct lay_verify_models models;
    char prefix[LAY_VERIFY_NAME];
    size_t at = 0, examples_seen = 0;
    LAY_TRY(lay_verify_models_load(c, form, dtype, &models, err));
    enum lay_status status = LAY_OK;
    while (status == LAY_OK && lay_verify_next_prefix(c->expected, &at, prefix)) {
        if (!has_expectations(c, form->keys, prefix))
            continue;
        examples_seen++;
        status = verify_example(c, form, &models, prefix, report, err);
    }
    lay_verify_models_close(&models);
    if (status == LAY_OK && examples_seen == 0)
        status = lay_fail(err, LAY_ERR_INPUT,
                          "%s/expected.safetensors has no inputs (P.enc_ids or P.prompt_ids)", c->dir);
    return status == LAY_OK ? lay_verify_leftovers(c, form->keys, report, err) : status;
}

static enum lay_status verify_case(const char *dir, const struct verify_options *options,
                                   enum lay_dtype dtype, cJSON *blocks, bool *failed, struct lay_err *err)
{
    struct lay_verify_case c;
    LAY_TRY(lay_verify_case_open(dir, &options->paths, &c, err));
    struct lay_verify_report *report = lay_alloc(1, sizeof *report);
    enum lay_status status = report ? LAY_OK : lay_no_memory(err, "a report");
    for (size_t i = 0; i < c.n_forms && status == LAY_OK; i++) {
        *report = (struct lay_verify_report){.dtype = dtype};
        status = verify_form(&c, &c.forms[i], dtype, report, err);
        if (status != LAY_OK)
            break;
        *failed |= report->failed;
        if (options->json)
            json_report(blocks, &c, &c.forms[i], report);
        else
            print_report(&c, &c.forms[i], report);
    }
    lay_free(report);
    lay_verify_case_close(&c);
    return status;
}

static enum lay_status verify_all(const struct verify_options *options, const struct lay_option_list *dirs,
                                  bool *failed, struct lay_err *err)
{
    const enum lay_dtype dtype = lay_precision_dtype(options->dtype);
    if (dtype == LAY_DTYPE_COUNT)
        return lay_fail(err, LAY_ERR_USAGE, "--dtype must be f32, bf16 or int8, not \"%s\"", options->dtype);
    if (dirs->count == 0)
        return lay_fail(err, LAY_ERR_USAGE, "name at least one case folder; --help describes its layout");
    if (options->threads > 0)
        omp_set_num_threads((int)options->threads);
    lay_mem_watch_cjson();
    cJSON *root = cJSON_CreateObject(), *blocks = cJSON_AddArrayToObject(root, "blocks");
    enum lay_status status = blocks ? LAY_OK : lay_no_memory(err, "the report");
    for (size_t i = 0; i < dirs->count && status == LAY_OK; i++)
        status = verify_case(dirs->items[i], options, dtype, blocks, failed, err);
    if (status == LAY_OK && options->json) {
        struct lay_str text = {0};
        cJSON_AddBoolToObject(root, "ok", !*failed);
        lay_json_put(&text, root, 2);
        text.failed |= lay_mem_cjson_failed();
        status = lay_str_check(&text, err);
        if (status == LAY_OK)
            puts(lay_str_text(&text));
        lay_str_free(&text);
    }
    cJSON_Delete(root);
    return status;
}

int lay_cmd_verify(int argc, char **argv)
{
    struct verify_options o = {.dtype = "f32"};
    struct lay_option_list dirs = {0};
    struct lay_err err = {0};
    bool help = false, failed = false;
    const struct lay_usage usage = {"verify", "CASE_DIR... [options]", description, examples};
    const struct lay_option options[] = {
        {.name = "encoder",
         .kind = LAY_OPTION_STRING,
         .argument = "PATH",
         .help = "weight file or directory of the encoder (default: all in CASE_DIR/encoder*)",
         .value = &o.paths.encoder},
        {.name = "llm",
         .kind = LAY_OPTION_STRING,
         .argument = "PATH",
         .help = "weight file or directory of the LLM (default: all in CASE_DIR/llm*)",
         .value = &o.paths.llm},
        {.name = "bridge",
         .kind = LAY_OPTION_STRING,
         .argument = "PATH",
         .help = "bridge checkpoint (default: all in CASE_DIR/bridge*)",
         .value = &o.paths.bridge},
        {.name = "dtype",
         .kind = LAY_OPTION_STRING,
         .argument = "TYPE",
         .help = "f32 (default), bf16 or int8; limits below f32 are relative",
         .value = &o.dtype},
        {.name = "threads",
         .kind = LAY_OPTION_INT,
         .argument = "N",
         .help = "threads (default: all processors)",
         .value = &o.threads,
         .min = 1,
         .max = 1024},
        {.name = "json", .kind = LAY_OPTION_FLAG, .help = "print one JSON object", .value = &o.json},
    };
    enum lay_status status =
        lay_options_parse(&usage, options, sizeof options / sizeof *options, argc, argv, &dirs, &help, &err);
    if (status == LAY_OK && !help)
        status = verify_all(&o, &dirs, &failed, &err);
    if (status == LAY_OK)
        status = lay_output_flush("", &err);
    lay_option_list_free(&dirs);
    if (status != LAY_OK)
        return lay_report_error("verify", &err);
    return failed ? 1 : 0;
}

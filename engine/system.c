#include "engine/system_state.h"

#include "engine/base/mem.h"
#include "engine/base/memory_info.h"

#define DEFAULT_BATCH_SIZE 64 /* beyond this the products run no faster */

int64_t lay_system_batch_size(const struct lay_system *s)
{
    return s->options.batch_size > 0 ? s->options.batch_size : DEFAULT_BATCH_SIZE;
}

struct lay_memory_needs lay_system_memory_needs(const struct lay_system *s)
{
    return (struct lay_memory_needs){s->file.name,
                                     &s->file.bridge,
                                     &s->llm_config,
                                     lay_system_is_plain(s) ? NULL : &s->encoder_config,
                                     s->precision,
                                     s->memory,
                                     lay_system_batch_size(s)};
}

/* --- opening: everything but the weights --- */

static enum lay_status open_llm(struct lay_system *s, struct lay_err *err)
{
    LAY_TRY(lay_llm_config_read(s->file.llm_path, &s->llm_config, err));
    LAY_TRY(lay_tokenizer_open(s->file.llm_tokenizer, &s->llm_tokenizer, err));
    if (s->llm_config.bos_id < 0)
        s->llm_config.bos_id = lay_tokenizer_bos(s->llm_tokenizer);
    if (s->llm_config.bos_id < 0)
        return lay_fail(err, LAY_ERR_INPUT,
                        "%s: no bos token in config.json or tokenizer; the prompt cannot start",
                        s->file.llm_path);
    const enum lay_status status = lay_checkpoint_open(s->file.llm_path, &s->llm_checkpoint, err);
    /* a LangBridge checkpoint carries the LLM, so its own directory may hold configuration only */
    return status == LAY_OK || s->file.bridge.method != LAY_LANGBRIDGE ? status : LAY_OK;
}

/* What the system file leaves open about the aligner, and whether the rest fits the checkpoint. */
static enum lay_status resolve_form(struct lay_system *s, struct lay_err *err)
{
    struct lay_weights *weights;
    if (s->file.bridge.method != LAY_LAYALIGN || s->file.bridge.no_adapter)
        return LAY_OK;
    LAY_TRY(lay_weights_create(&weights, err));
    enum lay_status status = lay_bridge_sources(weights, LAY_LAYALIGN, s->bridge_checkpoint, err);
    if (status == LAY_OK)
        status = lay_form_resolve(&s->file.bridge.form, weights, s->llm_config.num_hidden_layers, err);
    lay_weights_destroy(weights);
    return status == LAY_OK ? status : lay_err_context(err, status, "%s", s->file.bridge_path);
}

static enum lay_status open_encoder(struct lay_system *s, struct lay_err *err)
{
    LAY_TRY(lay_encoder_config_read(s->file.encoder_path, &s->encoder_config, err));
    LAY_TRY(lay_tokenizer_open(s->file.encoder_tokenizer, &s->encoder_tokenizer, err));
    LAY_TRY(lay_checkpoint_open(s->file.bridge_path, &s->bridge_checkpoint, err));
    LAY_TRY(resolve_form(s, err));
    const enum lay_status status = lay_checkpoint_open(s->file.encoder_path, &s->encoder_checkpoint, err);
    return status == LAY_OK || s->file.bridge.method != LAY_LANGBRIDGE ? status : LAY_OK;
}

static enum lay_status choose_precision(struct lay_system *s, struct lay_err *err)
{
    const enum lay_dtype wanted = s->options.dtype;
    s->precision.dtype = wanted != LAY_DTYPE_COUNT          ? wanted
                         : s->file.dtype != LAY_DTYPE_COUNT ? s->file.dtype
                                                            : LAY_BF16;
    if (s->options.keep_bf16)
        LAY_TRY(lay_precision_parse_keep(s->options.keep_bf16, &s->precision.keep, err));
    else
        s->precision.keep = s->file.keep_bf16;
    if (s->precision.dtype == LAY_I8)
        return LAY_OK;
    s->precision.keep = 0; /* the system file's holds for int8 only */
    return s->options.keep_bf16 ? lay_fail(err, LAY_ERR_USAGE, "--keep-bf16 goes with --dtype int8") : LAY_OK;
}

enum lay_status lay_system_open(const char *path, const struct lay_system_options *options,
                                struct lay_system **out, struct lay_err *err)
{
    enum lay_status status;
    *out = NULL;
    struct lay_system *s = lay_alloc(1, sizeof *s);
    if (!s)
        return lay_no_memory(err, "a system");
    s->options = *options;
    LAY_TRY_GOTO(status, lay_system_file_read(path, &s->file, err), fail);
    LAY_TRY_GOTO(status, choose_precision(s, err), fail);
    s->memory = options->memory ? options->memory : lay_memory_available() / 10 * 9;
    LAY_TRY_GOTO(status, open_llm(s, err), fail);
    if (!lay_system_is_plain(s))
        LAY_TRY_GOTO(status, open_encoder(s, err), fail);
    *out = s;
    return LAY_OK;
fail:
    lay_system_close(s);
    return status;
}

void lay_system_close(struct lay_system *s)
{
    if (!s)
        return;
    lay_workspace_free(&s->workspace);
    lay_bridge_destroy(s->models.bridge);
    lay_encoder_destroy(s->models.encoder);
    lay_llm_destroy(s->models.llm);
    lay_dnn_destroy(s->dnn);
    for (int i = 0; i < LAY_PART_KINDS; i++) {
        lay_packed_close(s->packed[i]);
        lay_weights_destroy(s->weights[i]);
    }
    lay_str_free(&s->notes);
    lay_checkpoint_close(s->llm_checkpoint);
    lay_checkpoint_close(s->encoder_checkpoint);
    lay_checkpoint_close(s->bridge_checkpoint);
    lay_tokenizer_close(s->llm_tokenizer);
    lay_tokenizer_close(s->encoder_tokenizer);
    lay_system_file_free(&s->file);
    lay_free(s);
}

/* --- what it is --- */

const char *lay_system_name(const struct lay_system *s)
{
    return s->file.name;
}

const char *lay_system_method(const struct lay_system *s)
{
    return lay_method_name(s->file.bridge.method);
}

const char *lay_system_bridge_path(const struct lay_system *s)
{
    return lay_system_is_plain(s) ? NULL : s->file.bridge_path;
}

const char *lay_system_prompt_set(const struct lay_system *s)
{
    return s->file.prompt_set;
}

enum lay_dtype lay_system_dtype(const struct lay_system *s)
{
    return s->precision.dtype;
}

int64_t lay_system_max_new_tokens(const struct lay_system *s)
{
    return s->options.max_new_tokens ? s->options.max_new_tokens : s->file.max_new_tokens;
}

bool lay_system_reads_source(const struct lay_system *s)
{
    return !lay_system_is_plain(s);
}

bool lay_system_reads_prompt(const struct lay_system *s)
{
    return s->file.text_prompt;
}

const struct lay_generate_stats *lay_system_stats(const struct lay_system *s)
{
    return &s->stats;
}

bool lay_system_is_loaded(const struct lay_system *s)
{
    return s->models.llm != NULL;
}

bool lay_system_is_invariant(const struct lay_system *s, struct lay_str *reason)
{
    lay_invariance_print(&s->invariance, reason);
    return s->invariance.holds;
}

const char *lay_system_notes(const struct lay_system *s)
{
    return lay_str_text(&s->notes);
}

const struct lay_models *lay_system_models(const struct lay_system *s)
{
    return &s->models;
}

const struct lay_tokenizer *lay_system_source_tokenizer(const struct lay_system *s)
{
    return s->encoder_tokenizer;
}

/* --- memory --- */

enum lay_status lay_system_plan(const struct lay_system *s, struct lay_str *text, struct lay_err *err)
{
    const struct lay_memory_needs needs = lay_system_memory_needs(s);
    struct lay_memory_plan plan;
    LAY_TRY(lay_memory_plan_make(&needs, &plan, err));
    return lay_memory_plan_print(&needs, &plan, text, err);
}

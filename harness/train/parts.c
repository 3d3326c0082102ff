#include "harness/train/parts.h"

#include "engine/train/bridge_init.h"

static bool is_plain(const struct lay_train_parts *p)
{
    return p->file.bridge.method == LAY_PLAIN;
}

static enum lay_status check_options(const struct lay_train_options *o, const struct lay_train_parts *p,
                                     struct lay_err *err)
{
    if (is_plain(p) && (p->train_bridge || p->train_encoder))
        return lay_fail(
            err, LAY_ERR_USAGE,
            "--train: a plain system has neither bridge nor encoder; its LLM can be trained (llm)");
    if (is_plain(p) && o->init)
        return lay_fail(err, LAY_ERR_USAGE, "--init: a plain system has no bridge to start from");
    if (is_plain(p) && o->dropout > 0)
        return lay_fail(err, LAY_ERR_USAGE,
                        "--dropout: it is of what a bridge gives the LLM; a plain system has no bridge");
    if (is_plain(p) && o->translation && !p->text_prompt)
        return lay_fail(err, LAY_ERR_USAGE,
                        "--stage translation: a plain LLM would read nothing; give it --text-prompt");
    if (o->bin && !p->train_bridge)
        return lay_fail(err, LAY_ERR_USAGE,
                        "--save-format bin: is of bridges, and no bridge is to be trained");
    const bool adapter = p->file.bridge.method == LAY_LAYALIGN && !p->file.bridge.no_adapter;
    if (p->train_bridge && !p->file.soft_prompt && !adapter)
        return lay_fail(
            err, LAY_ERR_INPUT,
            "%s: switches off all that a bridge gives the LLM (soft_prompt, adapter_attention), so "
            "there is nothing to train of it",
            o->system);
    return LAY_OK;
}

static void choose_modules(const struct lay_train_options *o, struct lay_train_parts *p)
{
    const bool chosen = o->train_bridge || o->train_llm || o->train_encoder || o->train_head;
    p->train_bridge = chosen ? o->train_bridge : !is_plain(p);
    p->train_llm = chosen ? o->train_llm : is_plain(p);
    p->train_encoder = o->train_encoder;
    p->train_head = o->train_head;
    p->text_prompt = o->text_prompt && (o->text_prompt_said || p->file.text_prompt);
}

static enum lay_status open_llm(struct lay_train_parts *p, struct lay_err *err)
{
    LAY_TRY(lay_llm_config_read(p->file.llm_path, &p->llm_config, err));
    LAY_TRY(lay_tokenizer_open(p->file.llm_tokenizer, &p->llm_tokenizer, err));
    if (p->llm_config.bos_id < 0)
        p->llm_config.bos_id = lay_tokenizer_bos(p->llm_tokenizer);
    p->eos = lay_tokenizer_eos(p->llm_tokenizer);
    if (p->eos < 0 && p->llm_config.n_eos > 0)
        p->eos = p->llm_config.eos_ids[0];
    if (p->llm_config.bos_id < 0 || p->eos < 0)
        return lay_fail(err, LAY_ERR_INPUT, "%s: neither configuration nor tokenizer has a %s token",
                        p->file.llm_path, p->eos < 0 ? "eos" : "bos");
    return lay_checkpoint_open(p->file.llm_path, &p->llm, err);
}

/* A bridge of another method or shape is refused now, not behind the reading of all data. */
static enum lay_status try_init(const struct lay_train_options *o, const struct lay_train_parts *p,
                                struct lay_err *err)
{
    const struct lay_trainable_parts parts = lay_train_parts_of(p);
    const struct lay_trainable_options options = lay_train_parts_options(p, o);
    struct lay_err inner = {0};
    const enum lay_status status = lay_trainable_try_bridge(&parts, &options, &inner);
    return status == LAY_OK ? LAY_OK : lay_fail(err, status, "--init %s: %s", o->init, inner.message);
}

static enum lay_status open_bridge(const struct lay_train_options *o, struct lay_train_parts *p,
                                   struct lay_err *err)
{
    LAY_TRY(lay_encoder_config_read(p->file.encoder_path, &p->encoder_config, err));
    LAY_TRY(lay_tokenizer_open(p->file.encoder_tokenizer, &p->encoder_tokenizer, err));
    LAY_TRY(lay_checkpoint_open(p->file.encoder_path, &p->encoder, err));
    if (o->init) {
        LAY_TRY(lay_checkpoint_open(o->init, &p->bridge, err));
        return try_init(o, p, err);
    }
    return lay_bridge_init(&p->file.bridge, &p->encoder_config, &p->llm_config, (uint64_t)o->seed, &p->bridge,
                           err);
}

enum lay_status lay_train_parts_open(const struct lay_train_options *options, struct lay_train_parts *parts,
                                     struct lay_err *err)
{
    *parts = (struct lay_train_parts){0};
    LAY_TRY(lay_system_file_read(options->system, &parts->file, err));
    choose_modules(options, parts);
    LAY_TRY(check_options(options, parts, err));
    LAY_TRY(open_llm(parts, err));
    return is_plain(parts) ? LAY_OK : open_bridge(options, parts, err);
}

void lay_train_parts_close(struct lay_train_parts *parts)
{
    lay_checkpoint_close(parts->llm);
    lay_checkpoint_close(parts->encoder);
    lay_checkpoint_close(parts->bridge);
    lay_tokenizer_close(parts->llm_tokenizer);
    lay_tokenizer_close(parts->encoder_tokenizer);
    lay_system_file_free(&parts->file);
    *parts = (struct lay_train_parts){0};
}

struct lay_trainable_parts lay_train_parts_of(const struct lay_train_parts *parts)
{
    return (struct lay_trainable_parts){.llm_config = &parts->llm_config,
                                        .encoder_config = is_plain(parts) ? NULL : &parts->encoder_config,
                                        .llm = parts->llm,
                                        .encoder = parts->encoder,
                                        .bridge = parts->bridge,
                                        .bridge_options = parts->file.bridge};
}

struct lay_trainable_options lay_train_parts_options(const struct lay_train_parts *parts,
                                                     const struct lay_train_options *options)
{
    return (struct lay_trainable_options){.compute = options->compute,
                                          .train_bridge = parts->train_bridge,
                                          .train_llm = parts->train_llm,
                                          .train_encoder = parts->train_encoder,
                                          .train_head = parts->train_head,
                                          .no_soft_prompt = !is_plain(parts) && !parts->file.soft_prompt,
                                          .dropout = options->dropout,
                                          .memory = options->memory,
                                          .rows = options->pass_rows};
}

struct lay_train_save lay_train_parts_save(const struct lay_train_parts *parts,
                                           const struct lay_train_options *options,
                                           const struct lay_trainable *trainable)
{
    return (struct lay_train_save){.trainable = trainable,
                                   .method = parts->file.bridge.method,
                                   .llm = parts->llm,
                                   .encoder = parts->encoder,
                                   .bridge = parts->bridge,
                                   .llm_dir = parts->file.llm_path,
                                   .encoder_dir = parts->file.encoder_path,
                                   .dtype = options->save_dtype,
                                   .bin = options->bin};
}

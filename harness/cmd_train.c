/* layeval train: the command line; the work is in train/train.c. */
#include "harness/command.h"

#include "engine/base/mem.h"
#include "harness/train/preset.h"

#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <string.h>

static const struct lay_usage usage = {
    .command = "train",
    .synopsis = "--system FILE --stage STAGE --data DIR --out DIR [options]",
    .description =
        "Trains the bridge of a system (LayAlign, MindMerger, LangBridge) in the papers' two stages: "
        "translation,\n"
        "where the LLM learns to say in English what the encoder read, then task. LLM and encoder stay as "
        "they\n"
        "are unless --train names them. Checkpoints go to DIR/last and, with a dev set, DIR/best. The same\n"
        "command continues an interrupted training, to the bit. Everything is checked before the first "
        "step.\n\n"
        "Presets:  layalign-math-stage1     layalign-x-csqa-stage1     layalign-xnli-stage1\n"
        "          layalign-math-stage2     layalign-x-csqa-stage2     layalign-xnli-stage2\n"
        "          mindmerger-math-stage1   mindmerger-x-csqa-stage1   mindmerger-xnli-stage1\n"
        "          mindmerger-math-stage2   mindmerger-x-csqa-stage2   mindmerger-xnli-stage2",
    .examples =
        "  layeval train --system layalign.json --preset layalign-math-stage1 --data datas --out train/1\n"
        "  layeval train --system layalign.json --preset layalign-math-stage2 --data datas \\\n"
        "    --init train/1/last/bridge --out train/2\n"
        "  layeval train --system plain.json --stage task --task mgsm --lang en --data datas --train llm \\\n"
        "    --lr 2e-3 --batch-size 32 --out train/llm",
};

/* What the option table cannot hold as it is. */
struct raw {
    const char *preset, *stage, *schedule, *dtype, *save_dtype, *save_format;
    struct lay_option_list train;
    double lr;
    int64_t length, threads;
    bool text_prompt, no_text_prompt;
};

static enum lay_status parse(int argc, char **argv, struct lay_train_options *o, struct raw *raw, bool *help,
                             struct lay_err *err)
{
    const struct lay_option options[] = {
        {"system", NULL, LAY_OPTION_STRING, "FILE", "system file", &o->system, 0, 0},
        {"preset", NULL, LAY_OPTION_STRING, "NAME",
         "released settings of a paper (see above); options given\nbeside it win", &raw->preset, 0, 0},
        {"stage", NULL, LAY_OPTION_STRING, "STAGE", "translation or task", &raw->stage, 0, 0},
        {"out", "output-path", LAY_OPTION_STRING, "DIR", "checkpoints, log, state", &o->out, 0, 0},
        {"init", NULL, LAY_OPTION_STRING, "PATH", "bridge to start from (default: a new one)", &o->init, 0,
         0},
        {"train", NULL, LAY_OPTION_LIST, "LIST",
         "what learns, of bridge, llm, encoder, head (the LLM's\nlm_head alone); default: bridge, of a plain "
         "system llm",
         &raw->train, 0, 0},
        {"Data", NULL, LAY_OPTION_HEADING, NULL, NULL, NULL, 0, 0},
        {"data", NULL, LAY_OPTION_STRING, "PATH",
         "folder with files as the official code has them, or a file of\nJSON lines (.jsonl)", &o->data, 0,
         0},
        {"task", "tasks", LAY_OPTION_LIST, "LIST",
         "stage task: mgsm, msvamp, x-csqa, xnli, translation\n(default: mgsm)", &o->tasks, 0, 0},
        {"lang", "languages", LAY_OPTION_LIST, "LIST",
         "ISO codes or English names (default: all there is data for;\ntranslation: but English)",
         &o->languages, 0, 0},
        {"limit", NULL, LAY_OPTION_INT, "N", "only the first N items of every language", &o->limit, 1,
         INT32_MAX},
        {"dev", NULL, LAY_OPTION_INT, "N", "hold out N samples and measure their perplexity (default: 0)",
         &o->dev, 0, INT32_MAX},
        {"prompt-set", NULL, LAY_OPTION_STRING, "NAME",
         "prompt set, by name or file (default: the system file's)", &o->prompts, 0, 0},
        {"text-prompt", NULL, LAY_OPTION_FLAG, NULL,
         "the LLM reads a text prompt (the default of stage task)", &raw->text_prompt, 0, 0},
        {"no-text-prompt", NULL, LAY_OPTION_FLAG, NULL, "it reads none (the default of stage translation)",
         &raw->no_text_prompt, 0, 0},
        {"length", NULL, LAY_OPTION_INT, "N", "the next three at once", &raw->length, 2, 100000},
        {"source-length", NULL, LAY_OPTION_INT, "N", "tokens the encoder reads at most (default: 512)",
         &o->source_length, 2, 100000},
        {"prompt-length", NULL, LAY_OPTION_INT, "N", "tokens of a text prompt at most (default: 512)",
         &o->prompt_length, 1, 100000},
        {"target-length", NULL, LAY_OPTION_INT, "N",
         "tokens of a target at most (default: 512); longer ones are\nrefused", &o->target_length, 2, 100000},
        {"cut-targets", NULL, LAY_OPTION_FLAG, NULL, "cut them instead, as the official code does",
         &o->cut_targets, 0, 0},
        {"Optimisation", NULL, LAY_OPTION_HEADING, NULL, NULL, NULL, 0, 0},
        {"epochs", NULL, LAY_OPTION_INT, "N", "passes through the data (default: 3)", &o->epochs, 1, 1000000},
        {"steps", NULL, LAY_OPTION_INT, "N", "optimiser steps instead", &o->steps, 1, INT32_MAX},
        {"batch-size", NULL, LAY_OPTION_INT, "N", "samples of a step (default: 128)", &o->batch, 1, 1000000},
        {"official-micro-batch", NULL, LAY_OPTION_INT, "N",
         "the official loss: mean of the means of N padded samples", &o->official_micro_batch, 1, 1000000},
        {"lr", "learning-rate", LAY_OPTION_DOUBLE, "X",
         "highest learning rate (default: 4e-5, stage task 3e-5)", &raw->lr, 0, 0},
        {"schedule", NULL, LAY_OPTION_STRING, "NAME", "cosine, linear or constant (default: cosine)",
         &raw->schedule, 0, 0},
        {"warm-up", NULL, LAY_OPTION_DOUBLE, "X", "share of the steps (default: 0.05)", &o->warm_up, 0, 0},
        {"beta1", NULL, LAY_OPTION_DOUBLE, "X", "of AdamW (default: 0.8)", &o->adamw.beta1, 0, 0},
        {"beta2", NULL, LAY_OPTION_DOUBLE, "X", "of AdamW (default: 0.999)", &o->adamw.beta2, 0, 0},
        {"epsilon", NULL, LAY_OPTION_DOUBLE, "X", "of AdamW (default: 1e-8)", &o->adamw.epsilon, 0, 0},
        {"weight-decay", NULL, LAY_OPTION_DOUBLE, "X", "of AdamW (default: 3e-7)", &o->adamw.weight_decay, 0,
         0},
        {"clip", NULL, LAY_OPTION_DOUBLE, "X", "largest norm of the gradients (default: 0, no limit)",
         &o->clip, 0, 0},
        {"dropout", NULL, LAY_OPTION_DOUBLE, "P",
         "drop this share of what the bridge gives the LLM (default: 0)", &o->dropout, 0, 0},
        {"seed", NULL, LAY_OPTION_INT, "N", "of new bridges, dev set, order and dropout (default: 0)",
         &o->seed, 0, INT32_MAX},
        {"Checkpoints", NULL, LAY_OPTION_HEADING, NULL, NULL, NULL, 0, 0},
        {"save-every", NULL, LAY_OPTION_INT, "N", "steps between checkpoints (default: an epoch)",
         &o->save_every, 1, INT32_MAX},
        {"dev-every", NULL, LAY_OPTION_INT, "N", "steps between dev losses (default: an epoch)",
         &o->dev_every, 1, INT32_MAX},
        {"save-dtype", NULL, LAY_OPTION_STRING, "TYPE", "f32, bf16 or f16 (default: f32)", &raw->save_dtype,
         0, 0},
        {"save-format", NULL, LAY_OPTION_STRING, "FORMAT",
         "safetensors, or bin: pytorch_model.bin of the whole module as\nthe official evaluation loads it "
         "(default: safetensors)",
         &raw->save_format, 0, 0},
        {"Resources", NULL, LAY_OPTION_HEADING, NULL, NULL, NULL, 0, 0},
        {"dtype", NULL, LAY_OPTION_STRING, "TYPE",
         "of products, f32 or bf16; weights and sums stay f32 (default:\nf32)", &raw->dtype, 0, 0},
        {"pass-rows", NULL, LAY_OPTION_INT, "N",
         "tokens of the LLM computed at once (default: 2048); changes\nno bit of the result", &o->pass_rows,
         1, 1000000},
        {"memory", NULL, LAY_OPTION_SIZE, "SIZE", "for everything, such as 16G (default: what is free)",
         &o->memory, 0, 0},
        {"threads", NULL, LAY_OPTION_INT, "N", "default: the processors this process may use", &raw->threads,
         1, 4096},
        {"Output", NULL, LAY_OPTION_HEADING, NULL, NULL, NULL, 0, 0},
        {"dry-run", NULL, LAY_OPTION_FLAG, NULL,
         "check everything, print the plan, load no weights but\n--init's", &o->dry_run, 0, 0},
        {"quiet", NULL, LAY_OPTION_FLAG, NULL, "no progress on stderr", &o->quiet, 0, 0},
    };
    return lay_options_parse(&usage, options, sizeof options / sizeof *options, argc, argv, NULL, help, err);
}

static enum lay_status add_words(struct lay_option_list *list, const char *words, struct lay_err *err)
{
    for (const char *at = words ? words : ""; *at; at += strcspn(at, ",") + (at[strcspn(at, ",")] == ',')) {
        list->items[list->count] = lay_strndup(at, strcspn(at, ","));
        if (!list->items[list->count])
            return lay_no_memory(err, "a preset");
        list->count++;
    }
    return LAY_OK;
}

/* Fills in what the command line left open. */
static enum lay_status apply_preset(struct lay_train_options *o, struct raw *raw, struct lay_err *err)
{
    const struct lay_train_preset *preset;
    if (!raw->preset)
        return LAY_OK;
    LAY_TRY(lay_train_preset_find(raw->preset, &preset, err));
    if (raw->stage && strcmp(raw->stage, preset->stage) != 0)
        return lay_fail(err, LAY_ERR_USAGE, "--stage %s: the preset %s is of stage %s; leave out one of them",
                        raw->stage, raw->preset, preset->stage);
    raw->stage = preset->stage;
    if (!raw->schedule)
        raw->schedule = preset->recipe->schedule;
    if (isnan(o->warm_up))
        o->warm_up = preset->recipe->warm_up;
    if (isnan(o->clip))
        o->clip = preset->recipe->clip;
    if (o->dev < 0)
        o->dev = preset->recipe->dev;
    if (isnan(raw->lr))
        raw->lr = preset->learning_rate;
    if (o->limit == 0)
        o->limit = preset->limit;
    if (raw->length == 0)
        raw->length = preset->length;
    if (o->tasks.count == 0)
        LAY_TRY(add_words(&o->tasks, preset->tasks, err));
    return o->languages.count ? LAY_OK : add_words(&o->languages, preset->languages, err);
}

static enum lay_status read_stage(const struct raw *raw, struct lay_train_options *o, struct lay_err *err)
{
    o->translation = raw->stage && strcmp(raw->stage, "translation") == 0;
    if (!raw->stage)
        return lay_fail(err, LAY_ERR_USAGE, "missing --stage STAGE: translation or task (or --preset NAME)");
    if (!o->translation && strcmp(raw->stage, "task") != 0)
        return lay_fail(err, LAY_ERR_USAGE, "--stage: \"%s\" is neither translation nor task", raw->stage);
    if (o->translation && o->tasks.count)
        return lay_fail(err, LAY_ERR_USAGE, "--task belongs to --stage task");
    if (raw->text_prompt && raw->no_text_prompt)
        return lay_fail(err, LAY_ERR_USAGE, "--text-prompt and --no-text-prompt exclude each other");
    o->text_prompt = raw->text_prompt || (!o->translation && !raw->no_text_prompt);
    o->text_prompt_said = raw->text_prompt || raw->no_text_prompt;
    return o->translation || o->tasks.count ? LAY_OK : add_words(&o->tasks, "mgsm", err);
}

static enum lay_status read_dtype(const char *option, const char *text, bool f16, enum lay_dtype *dtype,
                                  struct lay_err *err)
{
    *dtype = text ? lay_dtype_by_name(text) : LAY_F32;
    if (*dtype == LAY_F32 || *dtype == LAY_BF16 || (f16 && *dtype == LAY_F16))
        return LAY_OK;
    return lay_fail(err, LAY_ERR_USAGE, "--%s: \"%s\" is none of f32, bf16%s", option, text,
                    f16 ? ", f16" : "");
}

static enum lay_status read_train(const struct lay_option_list *list, struct lay_train_options *o,
                                  struct lay_err *err)
{
    const struct {
        const char *name;
        bool *flag;
    } parts[] = {{"bridge", &o->train_bridge},
                 {"llm", &o->train_llm},
                 {"encoder", &o->train_encoder},
                 {"head", &o->train_head}};
    for (size_t i = 0; i < list->count; i++) {
        size_t p = 0;
        while (p < 4 && strcmp(parts[p].name, list->items[i]) != 0)
            p++;
        if (p == 4)
            return lay_fail(err, LAY_ERR_USAGE, "--train: \"%s\" is none of bridge, llm, encoder, head",
                            list->items[i]);
        *parts[p].flag = true;
    }
    return LAY_OK;
}

static enum lay_status check_numbers(const struct lay_train_options *o, struct lay_err *err)
{
    const struct {
        const char *option;
        double value, low, high; /* low ≤ value < high */
    } ranges[] = {{"lr", o->schedule.learning_rate, 1e-12, 1e3},
                  {"warm-up", o->warm_up, 0, 1},
                  {"beta1", o->adamw.beta1, 0, 1},
                  {"beta2", o->adamw.beta2, 0, 1},
                  {"epsilon", o->adamw.epsilon, 1e-30, 1},
                  {"clip", o->clip, 0, 1e30},
                  {"dropout", o->dropout, 0, 1},
                  {"weight-decay", o->adamw.weight_decay, 0, 1e3}};
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        if (!(ranges[i].value >= ranges[i].low && ranges[i].value < ranges[i].high))
            return lay_fail(err, LAY_ERR_USAGE, "--%s: %g is not a number from %g to below %g",
                            ranges[i].option, ranges[i].value, ranges[i].low, ranges[i].high);
    return LAY_OK;
}

static enum lay_status require(const struct lay_train_options *o, struct lay_err *err)
{
    const struct lay_requirement needed[] = {
        {o->system != NULL, "--system FILE: the system to train (README, System files)"},
        {o->data != NULL, "--data PATH: the training data (README, Training)"},
        {o->out != NULL || o->dry_run, "--out DIR: where checkpoints go (or --dry-run)"},
    };
    return lay_options_require(needed, sizeof needed / sizeof *needed, err);
}

static enum lay_status interpret(struct lay_train_options *o, struct raw *raw, struct lay_err *err)
{
    int64_t *const lengths[] = {&o->source_length, &o->prompt_length, &o->target_length};
    LAY_TRY(apply_preset(o, raw, err));
    LAY_TRY(read_stage(raw, o, err));
    LAY_TRY(read_train(&raw->train, o, err));
    LAY_TRY(read_dtype("dtype", raw->dtype, false, &o->compute, err));
    LAY_TRY(read_dtype("save-dtype", raw->save_dtype, true, &o->save_dtype, err));
    LAY_TRY(lay_schedule_by_name(raw->schedule ? raw->schedule : "cosine", &o->schedule.kind, err));
    o->bin = raw->save_format && strcmp(raw->save_format, "bin") == 0;
    if (raw->save_format && !o->bin && strcmp(raw->save_format, "safetensors") != 0)
        return lay_fail(err, LAY_ERR_USAGE, "--save-format: \"%s\" is neither safetensors nor bin",
                        raw->save_format);
    for (size_t i = 0; i < 3; i++)
        if (*lengths[i] == 0)
            *lengths[i] = raw->length ? raw->length : 512;
    if (o->epochs && o->steps)
        return lay_fail(err, LAY_ERR_USAGE, "--epochs and --steps exclude each other");
    o->epochs = o->epochs ? o->epochs : 3;
    o->warm_up = isnan(o->warm_up) ? 0.05 : o->warm_up;
    o->clip = isnan(o->clip) ? 0 : o->clip;
    o->dev = o->dev < 0 ? 0 : o->dev;
    o->schedule.learning_rate = !isnan(raw->lr) ? raw->lr : o->translation ? 4e-5 : 3e-5;
    if (raw->threads > 0)
        omp_set_num_threads((int)raw->threads);
    LAY_TRY(check_numbers(o, err));
    return require(o, err);
}

int lay_cmd_train(int argc, char **argv)
{
    struct lay_train_options options = {
        .batch = 128,
        .warm_up = NAN, /* not said; no option gives it */
        .clip = NAN,
        .dev = -1,
        .adamw = {.beta1 = 0.8, .beta2 = 0.999, .epsilon = 1e-8, .weight_decay = 3e-7},
    };
    struct raw raw = {.lr = NAN};
    struct lay_err err = {0};
    bool help = false;
    enum lay_status status = parse(argc, argv, &options, &raw, &help, &err);
    if (status == LAY_OK && !help)
        status = interpret(&options, &raw, &err);
    if (status == LAY_OK && !help)
        status = lay_train(&options, &err);
    lay_option_list_free(&options.tasks);
    lay_option_list_free(&options.languages);
    lay_option_list_free(&raw.train);
    return status == LAY_OK ? 0 : lay_report_error("train", &err);
}

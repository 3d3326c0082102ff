/* layeval make-model: model directories and bridges with random weights. */
#include "harness/command.h"

#include "engine/base/clock.h"
#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "engine/bridge/bridge.h"
#include "engine/model/config.h"
#include "engine/shape/model_write.h"
#include "harness/options.h"
#include "harness/output.h"
#include "harness/run/signals.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct arguments {
    const char *shape, *out, *dtype, *tokenizer, *encoder, *llm, *structure, *fusion, *gate;
    int64_t seed, encoder_layers;
    size_t shard_size;
    struct lay_option_list language_layers;
    bool quiet;
};

static const struct {
    const char *name;
    enum lay_family family;
} bridges[] = {
    {"layalign", LAY_FAMILY_LAYALIGN},
    {"mindmerger", LAY_FAMILY_MINDMERGER},
    {"langbridge", LAY_FAMILY_LANGBRIDGE},
};
enum { N_BRIDGES = sizeof bridges / sizeof *bridges };

static int find_bridge(const char *name)
{
    for (int i = 0; i < N_BRIDGES; i++)
        if (strcmp(bridges[i].name, name) == 0)
            return i;
    return -1;
}

/* --- progress --- */

struct display {
    const char *out;
    bool quiet, terminal;
    double started, printed;
};

static int show_progress(void *context, size_t done, size_t total)
{
    struct display *display = context;
    const double now = lay_clock_now();
    const bool last = done == total;
    const double every = display->terminal ? 0.2 : 10.0;
    if (!display->quiet && now - display->started > 1 && (last || now - display->printed >= every)) {
        display->printed = now;
        fprintf(stderr, "%s%s: %.2f of %.2f GB, %.0f MB/s%s", display->terminal ? "\r\033[K" : "",
                display->out, (double)done / 1e9, (double)total / 1e9,
                (double)done / 1e6 / (now - display->started), display->terminal && !last ? "" : "\n");
        fflush(stderr);
    }
    return lay_signals_stop != 0;
}

/* --- writing --- */

static enum lay_status write_text(const char *dir, const char *name, const struct lay_str *text,
                                  struct lay_err *err)
{
    return text->length ? lay_file_write_in(dir, name, text, err) : LAY_OK;
}

/* New weights beside old ones would make a directory that means something else than either. */
static enum lay_status prepare_directory(const char *dir, struct lay_err *err)
{
    static const char *const weights[] = {"model.safetensors", "model.safetensors.index.json",
                                          "pytorch_model.bin", "pytorch_model.bin.index.json"};
    LAY_TRY(lay_mkdirs(dir, err));
    for (size_t i = 0; i < sizeof weights / sizeof *weights; i++) {
        char *path = lay_path_join(dir, weights[i]);
        if (!path)
            return lay_no_memory(err, "a path");
        const bool there = lay_path_exists(path);
        lay_free(path);
        if (there)
            return lay_fail(err, LAY_ERR_INPUT, "%s: holds %s already; remove it or name another directory",
                            dir, weights[i]);
    }
    return LAY_OK;
}

static enum lay_status copy_tokenizer(const char *file, const char *dir, struct lay_err *err)
{
    struct lay_file_map map;
    if (!file)
        return LAY_OK;
    LAY_TRY(lay_file_map(file, &map, err));
    char *path = lay_path_join(dir, lay_path_basename(file));
    const enum lay_status status =
        path ? lay_file_write(path, map.data, map.size, err) : lay_no_memory(err, "a path");
    lay_free(path);
    lay_file_unmap(&map);
    return status;
}

static enum lay_status parse_dtype(const char *name, enum lay_dtype *dtype, struct lay_err *err)
{
    *dtype = lay_dtype_by_name(name);
    if (*dtype != LAY_F32 && *dtype != LAY_F16 && *dtype != LAY_BF16)
        return lay_fail(err, LAY_ERR_USAGE, "--dtype: \"%s\" is not f32, f16 or bf16", name);
    return LAY_OK;
}

static enum lay_status write_weights(const struct arguments *args, const struct lay_shape_tensors *tensors,
                                     struct lay_err *err)
{
    struct display display = {args->out, args->quiet, isatty(STDERR_FILENO) == 1, lay_clock_now(), 0};
    struct lay_model_write job = {
        .dir = args->out,
        .seed = (uint64_t)args->seed,
        .shard_bytes = args->shard_size,
        .progress = show_progress,
        .context = &display,
    };
    LAY_TRY(parse_dtype(args->dtype, &job.dtype, err));
    lay_signals_defer(true);
    const enum lay_status status = lay_model_write_weights(&job, tensors, err);
    lay_signals_defer(false);
    return status;
}

static void print_summary(const struct arguments *args, const struct lay_shape_tensors *tensors)
{
    size_t parameters = 0;
    for (size_t i = 0; i < tensors->count; i++)
        parameters += tensors->items[i].count;
    printf("%s: %s, %zu tensors, %zu parameters in %s, seed %lld (random weights)\n", args->out, args->shape,
           tensors->count, parameters, args->dtype, (long long)args->seed);
}

/* --- models --- */

static enum lay_status make_model(const struct arguments *args, const struct lay_shape *shape,
                                  struct lay_shape_tensors *tensors, struct lay_err *err)
{
    struct lay_str config = {0}, generation = {0};
    enum lay_dtype dtype;
    LAY_TRY(parse_dtype(args->dtype, &dtype, err));
    LAY_TRY(lay_shape_tensors(shape, tensors, err));
    LAY_TRY(prepare_directory(args->out, err));
    enum lay_status status = lay_shape_config(shape, dtype, &config, &generation, err);
    if (status == LAY_OK)
        status = write_text(args->out, "config.json", &config, err);
    if (status == LAY_OK)
        status = write_text(args->out, "generation_config.json", &generation, err);
    lay_str_free(&config);
    lay_str_free(&generation);
    LAY_TRY(status);
    return write_weights(args, tensors, err);
}

/* --- bridges --- */

/* LayAlign's structure, fusion and gate. */
static enum lay_status parse_form(const struct arguments *args, struct lay_bridge_shape *shape,
                                  struct lay_err *err)
{
    const char *const names[LAY_FORM_KEYS] = {[LAY_FORM_STRUCTURE] = args->structure,
                                              [LAY_FORM_FUSION] = args->fusion,
                                              [LAY_FORM_GATE] = args->gate};
    struct lay_form form = {{0}};
    for (int key = 0; key < LAY_FORM_KEYS; key++) {
        if (names[key] && shape->family != LAY_FAMILY_LAYALIGN)
            return lay_fail(err, LAY_ERR_USAGE, "--%s: a %s bridge has only one", lay_form_key(key),
                            args->shape);
        if (names[key] && lay_form_set(&form, key, names[key], err) != LAY_OK)
            return lay_err_context(err, LAY_ERR_USAGE, "--%s", lay_form_key(key));
    }
    shape->mlp = form.value[LAY_FORM_STRUCTURE] == LAY_STRUCTURE_MLP;
    shape->wide = form.value[LAY_FORM_STRUCTURE] == LAY_STRUCTURE_WIDE;
    shape->average = form.value[LAY_FORM_FUSION] == LAY_FUSION_AVERAGE;
    shape->hidden_gates = form.value[LAY_FORM_GATE] == LAY_GATE_HIDDEN;
    return LAY_OK;
}

/* LangBridge's structure has names of its own. */
static enum lay_status parse_structure(const struct arguments *args, struct lay_bridge_shape *shape,
                                       struct lay_err *err)
{
    if (shape->family != LAY_FAMILY_LANGBRIDGE || !args->structure || args->fusion || args->gate)
        return parse_form(args, shape, err);
    shape->mlp = strcmp(args->structure, "ffn") == 0;
    if (!shape->mlp && strcmp(args->structure, "linear") != 0)
        return lay_fail(err, LAY_ERR_USAGE, "--structure: \"%s\" is not linear or ffn", args->structure);
    return LAY_OK;
}

/* The layers listed, or all `n` of the LLM. */
static enum lay_status parse_layers(const struct lay_option_list *list, int64_t n, int64_t *layers,
                                    int64_t *count, struct lay_err *err)
{
    if (list->count == 0 && n > LAY_BRIDGE_MAX_LAYERS)
        return lay_fail(err, LAY_ERR_USAGE,
                        "the LLM has more than %d layers; list some with --language-layers",
                        LAY_BRIDGE_MAX_LAYERS);
    *count = list->count ? (int64_t)list->count : n;
    for (int64_t i = 0; i < *count; i++) {
        char *end = NULL;
        errno = 0;
        layers[i] = list->count ? strtoll(list->items[i], &end, 10) : i;
        if (errno || (end && (end == list->items[i] || *end)) || layers[i] < 0 || layers[i] >= n)
            return lay_fail(err, LAY_ERR_USAGE,
                            "--language-layers: \"%s\" is not a layer of the LLM (0 to %lld)", list->items[i],
                            (long long)n - 1);
        for (int64_t j = 0; j < i; j++)
            if (layers[j] == layers[i])
                return lay_fail(err, LAY_ERR_USAGE, "--language-layers: %lld is listed twice",
                                (long long)layers[i]);
    }
    return LAY_OK;
}

/* LangBridge's directories have a config.json; the others are a bare weight file. */
static enum lay_status write_bridge_config(const struct arguments *args, const struct lay_bridge_shape *shape,
                                           struct lay_err *err)
{
    struct lay_str text = {0};
    if (shape->family != LAY_FAMILY_LANGBRIDGE)
        return LAY_OK;
    lay_str_printf(&text,
                   "{\n  \"alignments\": \"%s\",\n  \"architectures\": [\n    \"LangBridgeModel\"\n  ],\n"
                   "  \"dim_enc\": %lld,\n  \"dim_lm\": %lld\n}\n",
                   shape->mlp ? "ffn" : "linear", (long long)shape->encoder_hidden,
                   (long long)shape->llm_hidden);
    enum lay_status status = lay_str_check(&text, err);
    if (status == LAY_OK)
        status = write_text(args->out, "config.json", &text, err);
    lay_str_free(&text);
    return status;
}

static enum lay_status make_bridge(const struct arguments *args, int bridge,
                                   struct lay_shape_tensors *tensors, struct lay_err *err)
{
    struct lay_encoder_config encoder;
    struct lay_llm_config llm;
    int64_t layers[LAY_BRIDGE_MAX_LAYERS];
    enum lay_dtype dtype;
    struct lay_bridge_shape shape = {.family = bridges[bridge].family, .language_layers = layers};
    if (!args->encoder || !args->llm)
        return lay_fail(err, LAY_ERR_USAGE, "--shape %s: needs --encoder DIR and --llm DIR for its sizes",
                        args->shape);
    LAY_TRY(parse_dtype(args->dtype, &dtype, err));
    LAY_TRY(parse_structure(args, &shape, err));
    LAY_TRY(lay_encoder_config_read(args->encoder, &encoder, err));
    LAY_TRY(lay_llm_config_read(args->llm, &llm, err));
    LAY_TRY(
        parse_layers(&args->language_layers, llm.num_hidden_layers, layers, &shape.n_language_layers, err));
    shape.encoder_hidden = encoder.hidden_size;
    shape.llm_hidden = llm.hidden_size;
    shape.encoder_layers = args->encoder_layers ? args->encoder_layers : encoder.num_hidden_layers;
    if (shape.encoder_layers > encoder.num_hidden_layers + 1)
        return lay_fail(err, LAY_ERR_USAGE, "--encoder-layers: the encoder has only %lld hidden states",
                        (long long)encoder.num_hidden_layers + 1);
    LAY_TRY(lay_bridge_shape_tensors(&shape, tensors, err));
    LAY_TRY(prepare_directory(args->out, err));
    LAY_TRY(write_bridge_config(args, &shape, err));
    return write_weights(args, tensors, err);
}

static enum lay_status unknown_shape(const char *name, struct lay_err *err)
{
    struct lay_str names = {0};
    for (size_t i = 0; i < lay_shape_count(); i++)
        lay_str_printf(&names, "%s, ", lay_shape_at(i)->name);
    const enum lay_status status = lay_fail(
        err, LAY_ERR_USAGE, "--shape: \"%s\" is unknown; there are %slayalign, mindmerger, langbridge", name,
        lay_str_text(&names));
    lay_str_free(&names);
    return status;
}

static enum lay_status make(const struct arguments *args, struct lay_err *err)
{
    struct lay_shape_tensors tensors = {0};
    if (!args->shape || !args->out)
        return lay_fail(err, LAY_ERR_USAGE, "%s is needed; see `layeval make-model --help`",
                        args->shape ? "--out DIR" : "--shape NAME");
    const struct lay_shape *shape = lay_shape_find(args->shape);
    const int bridge = find_bridge(args->shape);
    enum lay_status status;
    if (shape)
        status = make_model(args, shape, &tensors, err);
    else if (bridge >= 0)
        status = make_bridge(args, bridge, &tensors, err);
    else
        status = unknown_shape(args->shape, err);
    if (status == LAY_OK)
        status = copy_tokenizer(args->tokenizer, args->out, err);
    if (status == LAY_OK) {
        print_summary(args, &tensors);
        status = lay_output_flush("; the files are complete", err);
    }
    lay_shape_tensors_free(&tensors);
    return status;
}

int lay_cmd_make_model(int argc, char **argv)
{
    static const struct lay_usage usage = {
        "make-model", "--shape NAME --out DIR [options]",
        "Writes a Hugging Face directory with random weights of a named shape, for benchmarks and tests.\n"
        "Such a model answers nonsense. The numbers depend on the seed and the tensor's name alone.\n"
        "No tokenizer is written; --tokenizer copies one in.\n\n"
        "LLMs:     tiny miniature tiny-mistral tiny-qwen2 tinyllama-1.1b llama2-7b llama2-13b mistral-7b "
        "qwen2-7b\n"
        "encoders: tiny-mt5 miniature-mt5 mt5-small mt5-base mt5-large mt5-xl tiny-nllb nllb-600m tiny-xlmr "
        "xlmr-base\n"
        "          (the encoder half only)\n"
        "bridges:  layalign mindmerger langbridge (without copies of encoder and LLM)",
        "  layeval make-model --shape tinyllama-1.1b --out models/llm --tokenizer tokenizer.model\n"
        "  layeval make-model --shape mt5-small --seed 1 --dtype f32 --out models/encoder\n"
        "  layeval make-model --shape layalign --encoder models/encoder --llm models/llm --out "
        "models/bridge"};
    struct arguments args = {.dtype = "bf16"};
    const struct lay_option options[] = {
        {"shape", NULL, LAY_OPTION_STRING, "NAME", "which model (see above)", &args.shape, 0, 0},
        {"out", "output-path", LAY_OPTION_STRING, "DIR", "where to; made if it does not exist", &args.out, 0,
         0},
        {"seed", NULL, LAY_OPTION_INT, "N", "random seed (default 0)", &args.seed, 0, INT64_MAX},
        {"dtype", NULL, LAY_OPTION_STRING, "TYPE", "f32, f16 or bf16 (default bf16)", &args.dtype, 0, 0},
        {"shard-size", NULL, LAY_OPTION_SIZE, "SIZE",
         "several files of at most SIZE, for example 5G, with an "
         "index\n(default: one file)",
         &args.shard_size, 0, 0},
        {"tokenizer", NULL, LAY_OPTION_STRING, "FILE", "copy this tokenizer file into the directory",
         &args.tokenizer, 0, 0},
        {"quiet", NULL, LAY_OPTION_FLAG, NULL, "no progress on stderr", &args.quiet, 0, 0},
        {"Bridges", NULL, LAY_OPTION_HEADING, NULL, NULL, NULL, 0, 0},
        {"encoder", NULL, LAY_OPTION_STRING, "DIR", "encoder directory, for its sizes", &args.encoder, 0, 0},
        {"llm", NULL, LAY_OPTION_STRING, "DIR", "LLM directory, for its sizes", &args.llm, 0, 0},
        {"structure", NULL, LAY_OPTION_STRING, "NAME",
         "layalign: Linear (default), MLP or Wide; langbridge: linear (default) or ffn", &args.structure, 0,
         0},
        {"fusion", NULL, LAY_OPTION_STRING, "NAME", "layalign: learned (default) or average", &args.fusion, 0,
         0},
        {"gate", NULL, LAY_OPTION_STRING, "NAME", "layalign: scalar (default) or hidden", &args.gate, 0, 0},
        {"encoder-layers", NULL, LAY_OPTION_INT, "N",
         "layalign: hidden states fused (default: the encoder's layers)", &args.encoder_layers, 1, 1024},
        {"language-layers", NULL, LAY_OPTION_LIST, "LIST",
         "layalign: LLM layers with a gate, for example 0,1,5 (default: all)", &args.language_layers, 0, 0},
    };
    bool help;
    struct lay_err err = {0};
    enum lay_status status =
        lay_options_parse(&usage, options, sizeof options / sizeof *options, argc, argv, NULL, &help, &err);
    if (status == LAY_OK && !help)
        status = make(&args, &err);
    lay_option_list_free(&args.language_layers);
    return status == LAY_OK ? 0 : lay_report_error("make-model", &err);
}

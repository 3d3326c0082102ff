#include "harness/inspect/inspect.h"

#include "engine/base/file.h"
#include "engine/base/mem.h"

#include <string.h>

static const char *const states[] = {"key", "value"};

static size_t shown_tensors(const struct lay_inspection *inspection,
                            const struct lay_inspect_options *options)
{
    const size_t n = lay_checkpoint_count(inspection->checkpoint);
    if (options->no_tensors)
        return 0;
    return options->limit > 0 && (size_t)options->limit < n ? (size_t)options->limit : n;
}

static const char *human_size(size_t bytes, char text[32])
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    double size = (double)bytes;
    size_t unit = 0;
    for (; size >= 1000 && unit + 1 < sizeof units / sizeof *units; unit++)
        size /= 1000;
    snprintf(text, 32, unit ? "%.2f %s" : "%.0f %s", size, units[unit]);
    return text;
}

/* 1,234,567 */
static const char *grouped(size_t number, char text[32])
{
    char digits[32];
    const int n = snprintf(digits, sizeof digits, "%zu", number);
    char *out = text;
    for (int i = 0; i < n; i++) {
        if (i && (n - i) % 3 == 0)
            *out++ = ',';
        *out++ = digits[i];
    }
    *out = 0;
    return text;
}

/* --- text --- */

static void print_dtypes(const struct lay_inspection *inspection, FILE *stream)
{
    size_t counts[LAY_DTYPE_COUNT] = {0};
    const char *separator = "";
    for (size_t i = 0; i < lay_checkpoint_count(inspection->checkpoint); i++)
        counts[lay_checkpoint_at(inspection->checkpoint, i)->dtype]++;
    fprintf(stream, "dtypes      ");
    for (int i = 0; i < LAY_DTYPE_COUNT; i++) {
        if (!counts[i])
            continue;
        fprintf(stream, "%s%s (%zu)", separator, lay_dtype_name((enum lay_dtype)i), counts[i]);
        separator = ", ";
    }
    fputc('\n', stream);
}

static void print_finite(const struct lay_inspection *inspection, FILE *stream)
{
    for (size_t i = 0; i < lay_checkpoint_count(inspection->checkpoint); i++)
        if (!inspection->finite[i])
            fprintf(stream, "NOT FINITE  %s holds NaN or Inf\n",
                    lay_checkpoint_at(inspection->checkpoint, i)->name);
}

static void print_summary(const struct lay_inspection *inspection, FILE *stream)
{
    char parameters[32], bytes[32], hex[LAY_HASH_HEX];
    const struct lay_checkpoint *checkpoint = inspection->checkpoint;
    fprintf(stream, "path        %s\nformat      %s\n", lay_checkpoint_path(checkpoint),
            lay_checkpoint_format(checkpoint));
    fprintf(stream, "tensors     %zu\nparameters  %s\nsize        %s\n", lay_checkpoint_count(checkpoint),
            grouped(inspection->parameters, parameters), human_size(inspection->bytes, bytes));
    print_dtypes(inspection, stream);
    if (inspection->hashes) {
        lay_hash_hex(inspection->hash, hex);
        fprintf(stream, "hash        %s (XXH3-128 of the tensors)\n", hex);
        print_finite(inspection, stream);
    }
    if (inspection->bridge)
        fprintf(stream, "bridge      %s\n", inspection->bridge);
}

static void print_config(const cJSON *config, FILE *stream)
{
    fprintf(stream, "\nconfig.json\n");
    for (const cJSON *field = config->child; field; field = field->next) {
        struct lay_str value = {0};
        lay_json_put(&value, field, -1);
        fprintf(stream, "  %-26s %s\n", field->string, lay_str_text(&value));
        lay_str_free(&value);
    }
}

static void print_gates(const struct lay_inspect_aligner *aligner, FILE *stream)
{
    fprintf(stream, "\nlayer      gate\n");
    for (int64_t i = 0; i < aligner->n_layers; i++)
        fprintf(stream, "%5lld %9.5f\n", (long long)aligner->layers[i], (double)aligner->gates[i]);
}

static void print_fusion(const struct lay_inspect_aligner *aligner, FILE *stream)
{
    fprintf(stream,
            "fc1, per LLM layer: weights of the fused encoder layers (in the order of encoder_layers)\n\n"
            "layer      gate  state      bias");
    for (int64_t j = 0; j < aligner->fused; j++) {
        char column[32];
        snprintf(column, sizeof column, "w%lld", (long long)j);
        fprintf(stream, "%9s", column);
    }
    fputc('\n', stream);
    for (int64_t i = 0; i < 2 * aligner->n_layers; i++) {
        if (i % 2 == 0)
            fprintf(stream, "%5lld %9.5f", (long long)aligner->layers[i / 2], (double)aligner->gates[i / 2]);
        else
            fprintf(stream, "%15s", "");
        fprintf(stream, "  %-5s %9.5f", states[i % 2], (double)aligner->biases[i]);
        for (int64_t j = 0; j < aligner->fused; j++)
            fprintf(stream, "%9.5f", (double)aligner->weights[i * aligner->fused + j]);
        fputc('\n', stream);
    }
}

static void print_aligner(const struct lay_inspect_aligner *aligner, FILE *stream)
{
    fprintf(stream, "\nLayAlign: ");
    if (aligner->weights)
        fprintf(stream, "%lld encoder layers fused, ", (long long)aligner->fused);
    else
        fprintf(stream, "encoder layers averaged, ");
    fprintf(stream, "%lld LLM layers with adapter attention, structure %s\n", (long long)aligner->n_layers,
            lay_form_name(&aligner->form, LAY_FORM_STRUCTURE));
    if (aligner->form.value[LAY_FORM_GATE] == LAY_GATE_HIDDEN)
        fprintf(stream, "gates read the hidden state: tanh(bias + weight · state); here their biases\n");
    if (aligner->weights)
        print_fusion(aligner, stream);
    else
        print_gates(aligner, stream);
}

static void print_tensor(const struct lay_inspection *inspection, size_t i, int name_width, int shape_width,
                         bool files, bool hashes, FILE *stream)
{
    const struct lay_tensor *tensor = lay_checkpoint_at(inspection->checkpoint, i);
    char shape[256], size[32], hex[LAY_HASH_HEX];
    fprintf(stream, "%-*s  %-*s  %-4s  %10s", name_width, tensor->name, shape_width,
            lay_tensor_shape_text(tensor, shape, sizeof shape), lay_dtype_name(tensor->dtype),
            human_size(tensor->bytes, size));
    if (hashes) {
        lay_hash_hex(inspection->hashes[i], hex);
        fprintf(stream, "  %s", hex);
    }
    if (files)
        fprintf(stream, "  %s", lay_path_basename(tensor->file));
    fprintf(stream, "%s\n", tensor->transposed ? "  (transposed)" : "");
}

static void print_tensors(const struct lay_inspection *inspection, const struct lay_inspect_options *options,
                          FILE *stream)
{
    const size_t n = shown_tensors(inspection, options), all = lay_checkpoint_count(inspection->checkpoint);
    const bool files = strstr(lay_checkpoint_format(inspection->checkpoint), "shards") != NULL;
    const bool hashes = options->hashes && inspection->hashes;
    int name_width = 4, shape_width = 5;
    char shape[256];
    for (size_t i = 0; i < n; i++) {
        const struct lay_tensor *tensor = lay_checkpoint_at(inspection->checkpoint, i);
        const int name = (int)strlen(tensor->name);
        const int text = (int)strlen(lay_tensor_shape_text(tensor, shape, sizeof shape));
        name_width = name > name_width ? name : name_width;
        shape_width = text > shape_width ? text : shape_width;
    }
    if (n)
        fprintf(stream, "\n%-*s  %-*s  type  %10s%s%s\n", name_width, "name", shape_width, "shape", "size",
                hashes ? "  hash                            " : "", files ? "  file" : "");
    for (size_t i = 0; i < n; i++)
        print_tensor(inspection, i, name_width, shape_width, files, hashes, stream);
    if (n && n < all)
        fprintf(stream, "… and %zu more\n", all - n);
}

void lay_inspect_print(const struct lay_inspection *inspection, const struct lay_inspect_options *options,
                       FILE *stream)
{
    print_summary(inspection, stream);
    if (inspection->config)
        print_config(inspection->config, stream);
    if (inspection->has_aligner)
        print_aligner(&inspection->aligner, stream);
    print_tensors(inspection, options, stream);
}

/* --- JSON, written piece by piece: a tree of a thousand tensors would be no clearer --- */

static void put_key(struct lay_str *out, const char *key)
{
    lay_str_printf(out, ",\n  \"%s\": ", key);
}

static void put_text(struct lay_str *out, const char *text)
{
    lay_json_put_string(out, text, strlen(text));
}

static void put_tensor(struct lay_str *out, const struct lay_inspection *inspection, size_t i, bool hashes)
{
    const struct lay_tensor *tensor = lay_checkpoint_at(inspection->checkpoint, i);
    char shape[256], hex[LAY_HASH_HEX];
    lay_str_puts(out, "{\"name\": ");
    put_text(out, tensor->name);
    lay_str_printf(out, ", \"shape\": %s, \"dtype\": \"%s\", \"bytes\": %zu, \"file\": ",
                   lay_tensor_shape_text(tensor, shape, sizeof shape), lay_dtype_name(tensor->dtype),
                   tensor->bytes);
    put_text(out, lay_path_basename(tensor->file));
    if (inspection->finite)
        lay_str_printf(out, ", \"finite\": %s", inspection->finite[i] ? "true" : "false");
    if (hashes && inspection->hashes) {
        lay_hash_hex(inspection->hashes[i], hex);
        lay_str_printf(out, ", \"hash\": \"%s\"", hex);
    }
    lay_str_putc(out, '}');
}

/* {"weights": […], "bias": …} of a row of fc1. */
static void put_state(struct lay_str *out, const struct lay_inspect_aligner *aligner, int64_t row)
{
    lay_str_printf(out, ", \"%s\": {\"weights\": [", states[row % 2]);
    for (int64_t j = 0; j < aligner->fused; j++) {
        lay_str_puts(out, j ? ", " : "");
        lay_json_put_double(out, (double)aligner->weights[row * aligner->fused + j]);
    }
    lay_str_puts(out, "], \"bias\": ");
    lay_json_put_double(out, (double)aligner->biases[row]);
    lay_str_putc(out, '}');
}

/* Averaged layers: no encoder_layers, keys and values; gates that read the hidden state: gate is their bias.
 */
static void put_aligner(struct lay_str *out, const struct lay_inspect_aligner *aligner)
{
    lay_str_puts(out, "{");
    for (int key = 0; key < LAY_FORM_KEYS; key++)
        lay_str_printf(out, "\"%s\": \"%s\", ", lay_form_key(key), lay_form_name(&aligner->form, key));
    if (aligner->weights)
        lay_str_printf(out, "\"encoder_layers\": %lld, ", (long long)aligner->fused);
    lay_str_puts(out, "\"layers\": [");
    for (int64_t i = 0; i < aligner->n_layers; i++) {
        lay_str_printf(out, "%s\n    {\"layer\": %lld, \"gate\": ", i ? "," : "",
                       (long long)aligner->layers[i]);
        lay_json_put_double(out, (double)aligner->gates[i]);
        for (int64_t s = 0; s < 2 && aligner->weights; s++)
            put_state(out, aligner, 2 * i + s);
        lay_str_putc(out, '}');
    }
    lay_str_puts(out, "\n  ]}");
}

static void put_summary(struct lay_str *out, const struct lay_inspection *inspection)
{
    char hex[LAY_HASH_HEX];
    lay_str_puts(out, "{\n  \"path\": ");
    put_text(out, lay_checkpoint_path(inspection->checkpoint));
    put_key(out, "format");
    put_text(out, lay_checkpoint_format(inspection->checkpoint));
    put_key(out, "count");
    lay_str_printf(out, "%zu", lay_checkpoint_count(inspection->checkpoint));
    put_key(out, "parameters");
    lay_str_printf(out, "%zu", inspection->parameters);
    put_key(out, "bytes");
    lay_str_printf(out, "%zu", inspection->bytes);
    if (inspection->hashes) {
        lay_hash_hex(inspection->hash, hex);
        put_key(out, "hash");
        put_text(out, hex);
    }
}

enum lay_status lay_inspect_print_json(const struct lay_inspection *inspection,
                                       const struct lay_inspect_options *options, FILE *stream,
                                       struct lay_err *err)
{
    struct lay_str out = {0};
    const size_t n = shown_tensors(inspection, options);
    put_summary(&out, inspection);
    if (inspection->config) {
        put_key(&out, "config");
        lay_json_put(&out, inspection->config, -1);
    }
    if (inspection->bridge) {
        put_key(&out, "bridge");
        put_text(&out, inspection->bridge);
    }
    if (inspection->has_aligner) {
        put_key(&out, "aligner");
        put_aligner(&out, &inspection->aligner);
    }
    put_key(&out, "tensors");
    lay_str_putc(&out, '[');
    for (size_t i = 0; i < n; i++) {
        lay_str_puts(&out, i ? ",\n    " : "\n    ");
        put_tensor(&out, inspection, i, options->hashes);
    }
    lay_str_puts(&out, n ? "\n  ]\n}\n" : "]\n}\n");
    const enum lay_status status = lay_str_check(&out, err);
    if (status == LAY_OK)
        fputs(lay_str_text(&out), stream);
    lay_str_free(&out);
    return status;
}

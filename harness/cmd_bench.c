/* layeval bench: the command line and the matrix of cells; measuring is in bench/. */
#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "harness/bench/sampler.h"
#include "harness/bench/table.h"
#include "harness/bench/train.h"
#include "harness/command.h"
#include "harness/options.h"
#include "harness/output.h"
#include "harness/run/signals.h"

#include <assert.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LENGTHS_FILE_MAX ((size_t)16 << 20)
#define NUMBER_MAX 1000000 /* of threads, sequences, tokens */

struct arguments {
    struct lay_option_list shapes, dtypes, threads, batches, prompts, news;
    const char *model, *system, *encoder_shape, *llm_shape, *bridge, *lengths, *format, *cache;
    int64_t source, repetitions, warm_up, seed;
    double bound_seconds;
    size_t bound_pool;
    size_t memory;
    bool train, profile, quiet;
};

/* The matrix after parsing, and what came out. */
struct bench {
    const struct arguments *args;
    enum lay_bench_format format;
    struct lay_subject_source sources[LAY_OPTION_LIST_MAX];
    size_t n_sources;
    enum lay_dtype dtypes[LAY_OPTION_LIST_MAX];
    int64_t threads[LAY_OPTION_LIST_MAX], batches[LAY_OPTION_LIST_MAX], prompts[LAY_OPTION_LIST_MAX],
        news[LAY_OPTION_LIST_MAX];
    size_t n_dtypes, n_threads, n_batches, n_prompts, n_news;
    int64_t *lengths;
    size_t n_lengths;
    struct lay_bench_row *rows;
    size_t n_rows, capacity;
    struct lay_train_row *train_rows;
    size_t n_train_rows, train_capacity;
};

/* --- arguments --- */

static enum lay_status numbers(const char *option, const struct lay_option_list *list, int64_t standard,
                               int64_t min, int64_t *out, size_t *count, struct lay_err *err)
{
    out[0] = standard;
    *count = list->count ? list->count : 1;
    for (size_t i = 0; i < list->count; i++) {
        char *end;
        const long long number = strtoll(list->items[i], &end, 10);
        if (end == list->items[i] || *end || number < min || number > NUMBER_MAX)
            return lay_fail(err, LAY_ERR_USAGE, "--%s: \"%s\" is not a number from %lld to %d", option,
                            list->items[i], (long long)min, NUMBER_MAX);
        out[i] = number;
    }
    return LAY_OK;
}

static enum lay_status read_dtypes(struct bench *b, struct lay_err *err)
{
    b->dtypes[0] = LAY_BF16;
    b->n_dtypes = b->args->dtypes.count ? b->args->dtypes.count : 1;
    for (size_t i = 0; i < b->args->dtypes.count; i++) {
        b->dtypes[i] = lay_precision_dtype(b->args->dtypes.items[i]);
        if (b->dtypes[i] == LAY_DTYPE_COUNT)
            return lay_fail(err, LAY_ERR_USAGE, "--dtype: \"%s\" is none of f32, bf16, int8",
                            b->args->dtypes.items[i]);
    }
    return LAY_OK;
}

static enum lay_status read_pair(struct bench *b, struct lay_err *err)
{
    const struct arguments *a = b->args;
    struct lay_subject_source *source = &b->sources[b->n_sources++];
    if (!a->encoder_shape || !a->llm_shape || !a->bridge)
        return lay_fail(err, LAY_ERR_USAGE,
                        "--encoder-shape, --llm-shape and --bridge belong together: one is missing");
    source->seed = (uint64_t)a->seed;
    LAY_TRY(lay_method_by_name(a->bridge, "--bridge", &source->method, err));
    LAY_TRY(lay_subject_shape(a->encoder_shape, &source->encoder, err));
    LAY_TRY(lay_subject_shape(a->llm_shape, &source->llm, err));
    if (source->method == LAY_PLAIN)
        return lay_fail(err, LAY_ERR_USAGE, "--bridge: plain has none; use --shape %s", a->llm_shape);
    if (!lay_shape_is_encoder(source->encoder) || lay_shape_is_encoder(source->llm))
        return lay_fail(err, LAY_ERR_USAGE, "--encoder-shape needs an encoder and --llm-shape an LLM");
    return LAY_OK;
}

static enum lay_status read_sources(struct bench *b, struct lay_err *err)
{
    const struct arguments *a = b->args;
    const bool pair = a->encoder_shape || a->llm_shape || a->bridge;
    if ((a->shapes.count > 0) + (a->model != NULL) + (a->system != NULL) + pair != 1)
        return lay_fail(err, LAY_ERR_USAGE,
                        "say what to measure with one of --shape NAME, --model DIR, --system FILE, or "
                        "--encoder-shape, --llm-shape and --bridge");
    if (a->cache && !a->model && !a->system)
        return lay_fail(err, LAY_ERR_USAGE,
                        "--cache keeps the packed weights of --model or --system; random ones are not kept");
    if (pair)
        return read_pair(b, err);
    if (a->model || a->system)
        b->sources[b->n_sources++] =
            (struct lay_subject_source){.model = a->model, .system = a->system, .cache_dir = a->cache};
    for (size_t i = 0; i < a->shapes.count; i++) {
        const struct lay_shape *shape;
        LAY_TRY(lay_subject_shape(a->shapes.items[i], &shape, err));
        struct lay_subject_source *source = &b->sources[b->n_sources++];
        source->seed = (uint64_t)a->seed;
        *(lay_shape_is_encoder(shape) ? &source->encoder : &source->llm) = shape;
    }
    return LAY_OK;
}

/* One number a line; blank lines are skipped. */
static enum lay_status parse_lengths(struct bench *b, const char *path, const char *text, struct lay_err *err)
{
    size_t capacity = 0;
    for (long line = 1; *text; line++) {
        const size_t width = strcspn(text, "\n");
        char *end;
        const long long number = strtoll(text, &end, 10);
        const size_t used = (size_t)(end - text);
        const size_t rest = used <= width ? strspn(end, " \t\r") : 0;
        if (strspn(text, " \t\r") < width) {
            if (used == 0 || used + rest < width || used > width || number < 1 || number > NUMBER_MAX)
                return lay_fail(err, LAY_ERR_INPUT, "%s:%ld: expected one number from 1 to %d", path, line,
                                NUMBER_MAX);
            if (!lay_grow((void **)&b->lengths, &capacity, b->n_lengths + 1, sizeof *b->lengths))
                return lay_no_memory(err, path);
            b->lengths[b->n_lengths++] = number;
        }
        text += width + (text[width] == '\n');
    }
    return b->n_lengths ? LAY_OK : lay_fail(err, LAY_ERR_INPUT, "%s: holds no lengths", path);
}

/* The uniform cell beside forced lengths makes their mean, so that both have the same mix of phases. */
static enum lay_status read_lengths(struct bench *b, struct lay_err *err)
{
    struct lay_str text = {0};
    const char *path = b->args->lengths;
    if (!path)
        return LAY_OK;
    if (b->args->news.count > 0)
        return lay_fail(err, LAY_ERR_USAGE, "--new and --lengths exclude each other");
    enum lay_status status = lay_file_read(path, LENGTHS_FILE_MAX, &text, err);
    if (status == LAY_OK)
        status = parse_lengths(b, path, lay_str_text(&text), err);
    lay_str_free(&text);
    LAY_TRY(status);
    assert(b->n_lengths > 0);
    int64_t sum = 0;
    for (size_t i = 0; i < b->n_lengths; i++)
        sum += b->lengths[i];
    b->news[0] = (sum + (int64_t)b->n_lengths / 2) / (int64_t)b->n_lengths;
    return LAY_OK;
}

static enum lay_status interpret(struct bench *b, struct lay_err *err)
{
    const struct arguments *a = b->args;
    b->format = lay_bench_format_by_name(a->format);
    if (b->format == LAY_BENCH_FORMATS)
        return lay_fail(err, LAY_ERR_USAGE, "--format: \"%s\" is none of md, csv, json", a->format);
    if (a->bound_seconds < 0 || a->bound_seconds > 60)
        return lay_fail(err, LAY_ERR_USAGE, "--bound-seconds: %g is outside 0 to 60", a->bound_seconds);
    LAY_TRY(read_sources(b, err));
    LAY_TRY(read_dtypes(b, err));
    LAY_TRY(numbers("threads", &a->threads, omp_get_max_threads(), 1, b->threads, &b->n_threads, err));
    LAY_TRY(numbers("batch", &a->batches, 32, 1, b->batches, &b->n_batches, err));
    LAY_TRY(numbers("prompt", &a->prompts, 128, 1, b->prompts, &b->n_prompts, err));
    LAY_TRY(numbers("new", &a->news, 64, 1, b->news, &b->n_news, err));
    return read_lengths(b, err);
}

/* --- the matrix --- */

/* Sizes of one cell: the i-th of threads × batches × prompts × news, the last varying fastest. */
static struct lay_cell cell_at(const struct bench *b, const struct lay_subject *subject, size_t i)
{
    const struct arguments *a = b->args;
    const bool llm = subject->models.llm != NULL;
    struct lay_cell cell = {.source = llm && subject->models.encoder ? a->source : 0,
                            .warm_up = a->warm_up,
                            .repetitions = a->repetitions,
                            .memory = a->memory,
                            .seed = (uint64_t)a->seed,
                            .lengths = b->lengths,
                            .n_lengths = llm ? b->n_lengths : 0,
                            .stop = &lay_signals_stop};
    cell.new_tokens = llm ? b->news[i % b->n_news] : 0;
    i /= b->n_news;
    cell.prompt = b->prompts[i % b->n_prompts];
    i /= b->n_prompts;
    cell.batch = b->batches[i % b->n_batches];
    cell.threads = (int)b->threads[i / b->n_batches];
    return cell;
}

static void set_products(const struct lay_subject *s, struct lay_bench_row *row)
{
    if (s->models.encoder)
        row->products[LAY_PHASE_ENCODER] = lay_products_encoder(lay_encoder_config(s->models.encoder));
    if (s->models.llm)
        row->products[LAY_PHASE_PREFILL] = row->products[LAY_PHASE_DECODE] =
            lay_products_llm(lay_llm_config(s->models.llm));
}

static enum lay_status measure_cells(struct bench *b, const struct lay_subject *subject,
                                     struct lay_bounds *bounds, size_t load_peak, struct lay_err *err)
{
    /* an encoder makes no tokens, so there is one cell for all --new */
    const size_t news = subject->models.llm ? b->n_news : 1;
    const size_t cells = b->n_threads * b->n_batches * b->n_prompts * b->n_news;
    for (size_t i = 0; i < cells; i += b->n_news / news) {
        if (!lay_grow((void **)&b->rows, &b->capacity, b->n_rows + 1, sizeof *b->rows))
            return lay_no_memory(err, "the results");
        struct lay_bench_row *row = &b->rows[b->n_rows];
        *row = (struct lay_bench_row){.dtype = subject->dtype,
                                      .cell = cell_at(b, subject, i),
                                      .load_seconds = subject->load_seconds,
                                      .load_peak_bytes = load_peak,
                                      .weight_bytes = lay_subject_packed_bytes(subject),
                                      .table_bytes = subject->table_bytes};
        snprintf(row->shape, sizeof row->shape, "%s", subject->name);
        set_products(subject, row);
        if (!b->args->quiet)
            fprintf(stderr, "%s %s, %d threads, %lld + %lld, batch %lld\n", row->shape,
                    lay_precision_name(row->dtype), row->cell.threads, (long long)row->cell.prompt,
                    (long long)row->cell.new_tokens, (long long)row->cell.batch);
        LAY_TRY(lay_measure(subject, &row->cell, bounds, &row->measured, err));
        b->n_rows++;
    }
    return LAY_OK;
}

static enum lay_status measure_subject(struct bench *b, const struct lay_subject_source *source,
                                       enum lay_dtype dtype, struct lay_err *err)
{
    struct lay_subject subject = {0};
    struct lay_bounds *bounds = NULL;
    struct lay_sampler *sampler;
    LAY_TRY(lay_sampler_start(&sampler, err));
    enum lay_status status = lay_subject_open(source, dtype, &subject, err);
    const size_t load_peak = lay_sampler_stop(sampler);
    if (status == LAY_OK && !b->args->quiet)
        fputs(lay_str_text(&subject.notes), stderr);
    if (status == LAY_OK && b->args->bound_seconds > 0)
        status = lay_bounds_create(dtype, b->args->bound_seconds, b->args->bound_pool, &bounds, err);
    if (status == LAY_OK)
        status = measure_cells(b, &subject, bounds, load_peak, err);
    lay_bounds_destroy(bounds);
    lay_subject_close(&subject);
    return status;
}

/* --- training --- */

static void say_plan(const char *plan)
{
    fprintf(stderr, "%s\n", plan);
}

/* The i-th of threads × batches × prompts × news, as cell_at. */
static enum lay_status measure_training(struct bench *b, const struct lay_subject_source *source,
                                        enum lay_dtype dtype, size_t i, struct lay_err *err)
{
    const struct arguments *a = b->args;
    struct lay_train_cell cell = {.source = source->encoder ? a->source : 0,
                                  .warm_up = a->warm_up,
                                  .repetitions = a->repetitions,
                                  .memory = a->memory,
                                  .seed = (uint64_t)a->seed,
                                  .bound_seconds = a->bound_seconds,
                                  .bound_pool = a->bound_pool,
                                  .stop = &lay_signals_stop};
    cell.target = b->news[i % b->n_news];
    i /= b->n_news;
    cell.prompt = b->prompts[i % b->n_prompts];
    i /= b->n_prompts;
    cell.batch = b->batches[i % b->n_batches];
    cell.threads = (int)b->threads[i / b->n_batches];
    if (!lay_grow((void **)&b->train_rows, &b->train_capacity, b->n_train_rows + 1, sizeof *b->train_rows))
        return lay_no_memory(err, "the results");
    LAY_TRY(lay_measure_training(source, dtype, &cell, a->quiet ? NULL : say_plan,
                                 &b->train_rows[b->n_train_rows], err));
    b->n_train_rows++;
    return LAY_OK;
}

static enum lay_status measure_all_training(struct bench *b, struct lay_err *err)
{
    const size_t cells = b->n_threads * b->n_batches * b->n_prompts * b->n_news;
    for (size_t s = 0; s < b->n_sources; s++)
        for (size_t d = 0; d < b->n_dtypes; d++)
            for (size_t i = 0; i < cells; i++)
                LAY_TRY(measure_training(b, &b->sources[s], b->dtypes[d], i, err));
    return LAY_OK;
}

static enum lay_status check_training(const struct bench *b, struct lay_err *err)
{
    const struct arguments *a = b->args;
    if (!a->train)
        return LAY_OK;
    if (a->model || a->system)
        return lay_fail(err, LAY_ERR_USAGE, "--train measures named shapes, not --model or --system");
    if (a->lengths || a->profile)
        return lay_fail(err, LAY_ERR_USAGE, "--train excludes --lengths and --profile");
    for (size_t d = 0; d < b->n_dtypes; d++)
        if (b->dtypes[d] != LAY_F32 && b->dtypes[d] != LAY_BF16)
            return lay_fail(err, LAY_ERR_USAGE, "--train: --dtype must be f32 or bf16");
    return LAY_OK;
}

static enum lay_status measure_all(struct bench *b, struct lay_err *err)
{
    for (size_t s = 0; s < b->n_sources; s++)
        for (size_t d = 0; d < b->n_dtypes; d++)
            LAY_TRY(measure_subject(b, &b->sources[s], b->dtypes[d], err));
    return LAY_OK;
}

/* What was measured before an interruption or an error is printed, too. */
static enum lay_status print(const struct bench *b, struct lay_err *err)
{
    struct lay_str text = {0};
    if (b->args->train)
        lay_train_put(&text, b->format, b->train_rows, b->n_train_rows);
    else
        lay_bench_put(&text, b->format, b->rows, b->n_rows, b->args->profile);
    enum lay_status status = lay_str_check(&text, err);
    if (status == LAY_OK)
        status = lay_output_put(&text, err);
    lay_str_free(&text);
    return status;
}

static enum lay_status run(const struct arguments *args, struct lay_err *err)
{
    struct bench b = {.args = args};
    struct lay_err print_err = {0};
    enum lay_status status = interpret(&b, err);
    if (status == LAY_OK)
        status = check_training(&b, err);
    if (status == LAY_OK) {
        lay_signals_install();
        lay_signals_defer(true);
        status = args->train ? measure_all_training(&b, err) : measure_all(&b, err);
        const enum lay_status printed = print(&b, &print_err);
        if (status == LAY_OK && printed != LAY_OK)
            status = lay_fail(err, printed, "%s", print_err.message);
        lay_signals_defer(false);
    }
    lay_free(b.lengths);
    lay_free(b.rows);
    lay_free(b.train_rows);
    return status;
}

static const struct lay_usage usage = {
    "bench", "--shape NAME | --model DIR | --system FILE [options]",
    "Measures tokens per second on the path that `layeval run` takes, with random prompts and a fixed "
    "number\n"
    "of new tokens, and beside it the bound: what the model's matrix products would take at the best rates\n"
    "that oneDNN reaches in this process on weights in no cache. Lists make a matrix of cells.\n\n"
    "  PP, TG, B   prompt rows (bos and soft prompt included), new tokens, sequences in flight\n"
    "  S_PP, S_TG  prompt rows a second in steps that hold any; new tokens a second in the other steps\n"
    "  S           prompt rows and new tokens over the whole time, the median of the repetitions",
    "  layeval bench --shape tinyllama-1.1b --batch 1,8,32\n"
    "  layeval bench --shape mt5-xl --prompt 64 --profile\n"
    "  layeval bench --encoder-shape mt5-small --llm-shape tinyllama-1.1b --bridge layalign "
    "--lengths lengths.txt -o json\n"
    "  layeval bench --train --encoder-shape mt5-small --llm-shape tinyllama-1.1b --bridge layalign \\\n"
    "      --batch 16 --prompt 64 --source 48 --new 65\n"
    "  layeval bench --model models/llama2-7b --dtype bf16 --threads 1,2 --repetitions 5"};

static enum lay_status parse_and_run(int argc, char **argv, struct arguments *a, struct lay_err *err)
{
    bool help;
    const struct lay_option options[] = {
        {"shape", NULL, LAY_OPTION_LIST, "LIST",
         "named shapes with random weights made in memory\n(`layeval make-model --help` lists them)",
         &a->shapes, 0, 0},
        {"model", NULL, LAY_OPTION_STRING, "DIR", "directory of an LLM or an encoder", &a->model, 0, 0},
        {"system", NULL, LAY_OPTION_STRING, "FILE", "system file", &a->system, 0, 0},
        {"encoder-shape", NULL, LAY_OPTION_STRING, "NAME", "with the next two: a random system",
         &a->encoder_shape, 0, 0},
        {"llm-shape", NULL, LAY_OPTION_STRING, "NAME", "its LLM", &a->llm_shape, 0, 0},
        {"bridge", NULL, LAY_OPTION_STRING, "METHOD", "layalign, mindmerger or langbridge", &a->bridge, 0, 0},
        {"train", NULL, LAY_OPTION_FLAG, NULL,
         "steps of training instead: the bridge between frozen models, or an\nLLM alone; --prompt rows "
         "before "
         "the target, --new target tokens",
         &a->train, 0, 0},
        {"Cells", NULL, LAY_OPTION_HEADING, NULL, NULL, NULL, 0, 0},
        {"dtype", NULL, LAY_OPTION_LIST, "LIST", "f32, bf16, int8 (default bf16)", &a->dtypes, 0, 0},
        {"threads", NULL, LAY_OPTION_LIST, "LIST", "default: the processors this process may use",
         &a->threads, 0, 0},
        {"batch", "batch-size", LAY_OPTION_LIST, "LIST", "sequences in flight (default 32)", &a->batches, 0,
         0},
        {"prompt", NULL, LAY_OPTION_LIST, "LIST",
         "rows of a prompt; tokens of a sequence for an encoder alone\n(default 128)", &a->prompts, 0, 0},
        {"new", NULL, LAY_OPTION_LIST, "LIST", "new tokens of every answer (default 64)", &a->news, 0, 0},
        {"source", NULL, LAY_OPTION_INT, "N", "systems: tokens the encoder reads (default 64)", &a->source, 1,
         512},
        {"lengths", NULL, LAY_OPTION_STRING, "FILE",
         "instead of --new: a number of new tokens per line, one answer\neach; their time is compared with "
         "the rate "
         "of answers that all\nhave their mean length",
         &a->lengths, 0, 0},
        {"cache", NULL, LAY_OPTION_STRING, "DIR",
         "with --model or --system: keep packed weights there, and map\nthem from there at the next start",
         &a->cache, 0, 0},
        {"memory", NULL, LAY_OPTION_SIZE, "SIZE", "for weights, keys and values (default: what a cell needs)",
         &a->memory, 0, 0},
        {"Measuring", NULL, LAY_OPTION_HEADING, NULL, NULL, NULL, 0, 0},
        {"repetitions", NULL, LAY_OPTION_INT, "N", "of each cell (default 3)", &a->repetitions, 1, 1000},
        {"warm-up", NULL, LAY_OPTION_INT, "N", "repetitions before those (default 1)", &a->warm_up, 0, 1000},
        {"bound-seconds", NULL, LAY_OPTION_DOUBLE, "X",
         "how long each product's best rate is looked for after every\nrepetition; 0: no bound (default 0.1)",
         &a->bound_seconds, 0, 0},
        {"bound-pool", NULL, LAY_OPTION_SIZE, "SIZE",
         "memory that its weights are walked through at most; in less than\nthe caches the bound is too high "
         "(default 1G)",
         &a->bound_pool, 0, 0},
        {"seed", NULL, LAY_OPTION_INT, "N", "of weights and prompts (default 0)", &a->seed, 0, INT32_MAX},
        {"Output", NULL, LAY_OPTION_HEADING, NULL, NULL, NULL, 0, 0},
        {"format", "o", LAY_OPTION_STRING, "FORMAT", "md, csv or json (default md)", &a->format, 0, 0},
        {"profile", NULL, LAY_OPTION_FLAG, NULL, "where the time goes, per phase and operation (md, json)",
         &a->profile, 0, 0},
        {"quiet", NULL, LAY_OPTION_FLAG, NULL, "nothing on stderr", &a->quiet, 0, 0},
    };
    LAY_TRY(
        lay_options_parse(&usage, options, sizeof options / sizeof *options, argc, argv, NULL, &help, err));
    return help ? LAY_OK : run(a, err);
}

int lay_cmd_bench(int argc, char **argv)
{
    struct lay_err err = {0};
    struct arguments a = {.format = "md", .source = 64, .repetitions = 3, .warm_up = 1, .bound_seconds = 0.1};
    const enum lay_status status = parse_and_run(argc, argv, &a, &err);
    struct lay_option_list *const lists[] = {&a.shapes,  &a.dtypes,  &a.threads,
                                             &a.batches, &a.prompts, &a.news};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        lay_option_list_free(lists[i]);
    return status == LAY_OK ? 0 : lay_report_error("bench", &err);
}

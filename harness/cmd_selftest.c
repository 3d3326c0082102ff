/* layeval selftest: the command line; the trials are in selftest/. */
#include "engine/base/clock.h"
#include "engine/base/mem.h"
#include "harness/bench/subject.h"
#include "harness/command.h"
#include "harness/options.h"
#include "harness/output.h"
#include "harness/run/signals.h"
#include "harness/selftest/selftest.h"

#include <stdio.h>

static const struct lay_usage usage = {
    .command = "selftest",
    .synopsis = "[--dtype LIST] [--shape LIST] [--json]",
    .description =
        "Tries on this machine whether an answer depends on anything but its request: the products of\n"
        "published shapes for several numbers of rows, places and threads, and answers of small random\n"
        "systems in several batches, orders and numbers of threads, compared bit for bit. Prints the\n"
        "oneDNN kernels that run. Exit code 1 when anything differs.",
    .examples = "  layeval selftest\n"
                "  layeval selftest --dtype bf16 --shape llama2-7b,mt5-xl --json\n",
};

/* What the paper's systems are made of, small and large. */
static const char *const standard_shapes[] = {"tinyllama-1.1b", "llama2-7b", "mt5-xl"};
enum { N_STANDARD = sizeof standard_shapes / sizeof *standard_shapes };

struct trials {
    enum lay_dtype dtypes[LAY_OPTION_LIST_MAX];
    const struct lay_shape *shapes[LAY_OPTION_LIST_MAX];
    size_t n_dtypes, n_shapes;
    bool json, quiet;
};

static const enum lay_dtype standard_dtypes[] = {LAY_F32, LAY_BF16, LAY_I8};
enum { N_DTYPES = sizeof standard_dtypes / sizeof *standard_dtypes };

static enum lay_status read_dtypes(const struct lay_option_list *list, struct trials *trials,
                                   struct lay_err *err)
{
    for (size_t i = 0; i < N_DTYPES && list->count == 0; i++)
        trials->dtypes[trials->n_dtypes++] = standard_dtypes[i];
    for (size_t i = 0; i < list->count; i++) {
        const enum lay_dtype dtype = lay_precision_dtype(list->items[i]);
        if (dtype == LAY_DTYPE_COUNT)
            return lay_fail(err, LAY_ERR_USAGE, "--dtype: \"%s\" is none of f32, bf16, int8", list->items[i]);
        trials->dtypes[trials->n_dtypes++] = dtype;
    }
    return LAY_OK;
}

static enum lay_status read_shapes(const struct lay_option_list *list, struct trials *trials,
                                   struct lay_err *err)
{
    for (size_t i = 0; i < N_STANDARD && list->count == 0; i++)
        trials->shapes[trials->n_shapes++] = lay_shape_find(standard_shapes[i]);
    for (size_t i = 0; i < list->count; i++)
        LAY_TRY(lay_subject_shape(list->items[i], &trials->shapes[trials->n_shapes++], err));
    return LAY_OK;
}

static void say(const struct trials *trials, enum lay_dtype dtype, const char *what)
{
    if (!trials->quiet)
        fprintf(stderr, "selftest: %s %s\n", lay_precision_name(dtype), what);
}

static enum lay_status try_all(const struct trials *t, struct lay_selftest *s, struct lay_err *err)
{
    struct lay_dnn *dnn = NULL;
    enum lay_status status = LAY_OK;
    s->products = lay_alloc(t->n_dtypes * t->n_shapes, sizeof *s->products);
    s->answers = lay_alloc(t->n_dtypes * lay_selftest_systems, sizeof *s->answers);
    if (!s->products || !s->answers)
        return lay_no_memory(err, "the results");
    LAY_TRY(lay_dnn_create(&dnn, err));
    for (size_t d = 0; d < t->n_dtypes; d++) {
        for (size_t i = 0; i < t->n_shapes && status == LAY_OK; i++) {
            say(t, t->dtypes[d], t->shapes[i]->name);
            status = lay_selftest_try_products(dnn, t->shapes[i], t->dtypes[d], &lay_signals_stop,
                                               &s->products[s->n_products++], err);
        }
        for (size_t i = 0; i < lay_selftest_systems && status == LAY_OK; i++)
            status = lay_selftest_try_answers(i, t->dtypes[d], &s->answers[s->n_answers++], err);
    }
    lay_dnn_destroy(dnn);
    return status;
}

static enum lay_status run(const struct trials *trials, bool *holds, struct lay_err *err)
{
    const double start = lay_clock_now();
    struct lay_selftest selftest = {0};
    struct lay_str text = {0};
    lay_signals_install();
    lay_signals_defer(true);
    enum lay_status status = try_all(trials, &selftest, err);
    selftest.seconds = lay_clock_now() - start;
    if (status == LAY_OK) {
        *holds = lay_selftest_holds(&selftest);
        (trials->json ? lay_selftest_put_json : lay_selftest_put_text)(&text, &selftest);
        status = lay_str_check(&text, err);
    }
    if (status == LAY_OK)
        status = lay_output_put(&text, err);
    lay_str_free(&text);
    lay_selftest_free(&selftest);
    return status;
}

int lay_cmd_selftest(int argc, char **argv)
{
    struct lay_option_list shape_list = {0}, dtype_list = {0};
    struct trials trials = {0};
    struct lay_err err = {0};
    bool help = false, holds = true;
    const struct lay_option options[] = {
        {"dtype", "dtypes", LAY_OPTION_LIST, "LIST", "f32, bf16, int8 (default: all)", &dtype_list, 0, 0},
        {"shape", "shapes", LAY_OPTION_LIST, "LIST",
         "models whose products are tried, by name (default:\ntinyllama-1.1b, llama2-7b and mt5-xl)",
         &shape_list, 0, 0},
        {"json", NULL, LAY_OPTION_FLAG, NULL, "the findings as JSON", &trials.json, 0, 0},
        {"quiet", NULL, LAY_OPTION_FLAG, NULL, "no progress on stderr", &trials.quiet, 0, 0},
    };
    enum lay_status status =
        lay_options_parse(&usage, options, sizeof options / sizeof *options, argc, argv, NULL, &help, &err);
    if (status == LAY_OK && !help)
        status = read_dtypes(&dtype_list, &trials, &err);
    if (status == LAY_OK && !help)
        status = read_shapes(&shape_list, &trials, &err);
    if (status == LAY_OK && !help)
        status = run(&trials, &holds, &err);
    lay_option_list_free(&shape_list);
    lay_option_list_free(&dtype_list);
    return status != LAY_OK ? lay_report_error("selftest", &err) : holds ? 0 : 1;
}

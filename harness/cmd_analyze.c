/* layeval analyze: the command line; the work is in analyze/. */
#include "harness/analyze/analyze.h"
#include "harness/command.h"
#include "harness/dtype_option.h"
#include "harness/output.h"

#include <omp.h>
#include <stdio.h>

static const struct lay_usage usage = {
    .command = "analyze",
    .synopsis = "--system FILE (--data DIR | --parallel FILE | --flores DIR) --out DIR [options]",
    .description =
        "Runs parallel sentences through systems and leaves the figures of the LayAlign paper in DIR: "
        "pictures\n"
        "(analysis.html, SVG), tables (CSV) and everything in analysis.json; with several systems in\n"
        "DIR/<system>/, and a page of all in DIR. Nothing is generated. Figures that do not exist for a "
        "system,\n"
        "such as fusion weights without an aligner, are left out.",
    .examples =
        "  layeval analyze --system layalign.json --data datasets --task mgsm --out figures\n"
        "  layeval analyze --system a.json --system b.json --flores flores200_dataset --lang bn,sw,th "
        "--out figures\n"
        "  layeval analyze --system a.json --parallel pairs.jsonl --figures tokens --pair bn "
        "--sentence 3 --out one"};

#define LIMIT 100  /* sentences, by default */
#define POINTS 100 /* sentences per language in the picture of components, by default */

/* What the option table cannot hold as it is. */
struct raw {
    struct lay_option_list systems, tasks, languages, figures;
    const char *dtype;
    int64_t threads, limit;
};

static enum lay_status choose_figures(const struct lay_option_list *names, bool wanted[LAY_FIGURE_COUNT],
                                      struct lay_err *err)
{
    for (int f = 0; f < LAY_FIGURE_COUNT; f++)
        wanted[f] = names->count == 0;
    for (size_t i = 0; i < names->count; i++) {
        enum lay_figure figure;
        LAY_TRY(lay_figure_find(names->items[i], &figure, err));
        wanted[figure] = true;
    }
    return LAY_OK;
}

static enum lay_status require(const struct raw *raw, const struct lay_analyze_options *o,
                               struct lay_err *err)
{
    const int sources = (o->data.data_dir != NULL) + (o->data.json != NULL) + (o->data.flores != NULL);
    if (raw->systems.count == 0)
        return lay_fail(err, LAY_ERR_USAGE, "missing --system FILE: the system to look into");
    if (sources != 1)
        return lay_fail(err, LAY_ERR_USAGE,
                        "%s --data DIR (benchmarks), --parallel FILE or --flores DIR: the sentences",
                        sources == 0 ? "missing" : "only one is possible of");
    if (!o->out_dir)
        return lay_fail(err, LAY_ERR_USAGE, "missing --out DIR: where the figures go");
    if (raw->tasks.count > 0 && !o->data.data_dir)
        return lay_fail(err, LAY_ERR_USAGE, "--task needs --data DIR: where the data files are");
    if (o->data.layout && raw->tasks.count != 1)
        return lay_fail(err, LAY_ERR_USAGE, "--layout needs exactly one --task");
    return LAY_OK;
}

static enum lay_status interpret(struct raw *raw, struct lay_analyze_options *o, struct lay_err *err)
{
    LAY_TRY(require(raw, o, err));
    LAY_TRY(choose_figures(&raw->figures, o->wanted, err));
    LAY_TRY(lay_dtype_option(raw->dtype, &o->system.dtype, err));
    o->systems = &raw->systems;
    o->data.tasks = (const char *const *)raw->tasks.items;
    o->data.n_tasks = raw->tasks.count;
    o->data.languages = (const char *const *)raw->languages.items;
    o->data.n_languages = raw->languages.count;
    o->data.limit = (size_t)raw->limit;
    if (raw->threads > 0)
        omp_set_num_threads((int)raw->threads);
    return LAY_OK;
}

static enum lay_status parse_and_run(int argc, char **argv, struct raw *raw, struct lay_err *err)
{
    struct lay_analyze_options o = {.data.split = "dev", .points = POINTS};
    bool help;
    const struct lay_option options[] = {
        {"system", NULL, LAY_OPTION_PATHS, "FILE", "system file; repeatable", &raw->systems, 0, 0},
        {"out", "output-path", LAY_OPTION_STRING, "DIR", "where the figures go", &o.out_dir, 0, 0},
        {"figures", NULL, LAY_OPTION_LIST, "LIST",
         "similarity, components, encoder-layers, tokens, attention,\nfusion (default: all)", &raw->figures,
         0, 0},
        {"Sentences", NULL, LAY_OPTION_HEADING, NULL, NULL, NULL, 0, 0},
        {"data", NULL, LAY_OPTION_STRING, "DIR",
         "the questions of benchmarks: DIR/<task> if that exists, else\nDIR", &o.data.data_dir, 0, 0},
        {"task", "tasks", LAY_OPTION_LIST, "LIST",
         "benchmarks, in the languages that all of them have (default:\nthose that DIR has)", &raw->tasks, 0,
         0},
        {"layout", NULL, LAY_OPTION_STRING, "NAME", "file layout, when a folder holds several",
         &o.data.layout, 0, 0},
        {"parallel", NULL, LAY_OPTION_STRING, "FILE", "JSON lines {\"en\": \"...\", \"bn\": \"...\"}",
         &o.data.json, 0, 0},
        {"flores", NULL, LAY_OPTION_STRING, "DIR", "FLORES files, one language each", &o.data.flores, 0, 0},
        {"split", NULL, LAY_OPTION_STRING, "NAME", "of FLORES: dev (default) or devtest", &o.data.split, 0,
         0},
        {"lang", "languages", LAY_OPTION_LIST, "LIST",
         "languages beside English: ISO codes, names or NLLB codes\n(default: all there are)",
         &raw->languages, 0, 0},
        {"limit", NULL, LAY_OPTION_INT, "N",
         "only the first N sentences, of every task (default: 100; 0: all)", &raw->limit, 0, INT32_MAX},
        {"with-text", NULL, LAY_OPTION_FLAG, NULL,
         "the LLM reads the sentence as text too, behind the mapped\nencoder states", &o.with_text, 0, 0},
        {"Figures", NULL, LAY_OPTION_HEADING, NULL, NULL, NULL, 0, 0},
        {"pair", NULL, LAY_OPTION_STRING, "LANG", "tokens: the language beside English (default: the first)",
         &o.pair, 0, 0},
        {"sentence", NULL, LAY_OPTION_INT, "N", "tokens: which sentence, from 0 (default: 0)", &o.sentence, 0,
         INT32_MAX},
        {"points", NULL, LAY_OPTION_INT, "N", "components: how many sentences per language (default: 100)",
         &o.points, 1, 100000},
        {"Resources (figures do not depend on them, except on the dtype)", NULL, LAY_OPTION_HEADING, NULL,
         NULL, NULL, 0, 0},
        {"dtype", NULL, LAY_OPTION_STRING, "TYPE",
         "f32, bf16 or int8 (default: the system file's, else bf16)", &raw->dtype, 0, 0},
        {"threads", NULL, LAY_OPTION_INT, "N", "default: the processors this process may use", &raw->threads,
         1, 4096},
        {"cache", NULL, LAY_OPTION_STRING, "DIR",
         "keep packed weights there, and map them from there at the next\nstart", &o.system.cache_dir, 0, 0},
        {"quiet", NULL, LAY_OPTION_FLAG, NULL, "no progress on stderr", &o.quiet, 0, 0},
    };
    LAY_TRY(
        lay_options_parse(&usage, options, sizeof options / sizeof *options, argc, argv, NULL, &help, err));
    if (help)
        return LAY_OK;
    LAY_TRY(interpret(raw, &o, err));
    return lay_analyze(&o, err);
}

int lay_cmd_analyze(int argc, char **argv)
{
    struct lay_err err = {0};
    struct raw raw = {.limit = LIMIT};
    enum lay_status status = parse_and_run(argc, argv, &raw, &err);
    if (status == LAY_OK)
        status = lay_output_flush("; the files are complete", &err);
    lay_option_list_free(&raw.systems);
    lay_option_list_free(&raw.tasks);
    lay_option_list_free(&raw.languages);
    lay_option_list_free(&raw.figures);
    return status == LAY_OK ? 0 : lay_report_error("analyze", &err);
}

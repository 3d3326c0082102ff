/* layeval run: the command line; the work is in run.c. */
#include "harness/command.h"
#include "harness/dtype_option.h"
#include "harness/output.h"
#include "harness/run/reporting.h"
#include "harness/run/run.h"

#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct lay_usage usage = {
    .command = "run",
    .synopsis = "--system FILE --task NAME --data DIR --out DIR [options]",
    .description =
        "Evaluates one or several systems on benchmarks and leaves scores, samples and a journal in DIR\n"
        "(with several systems in DIR/<system>/, and results.csv and results.json over all in DIR).\n"
        "The same command continues an interrupted run. Everything is checked before weights are loaded.",
    .examples =
        "  layeval run --system layalign-metamath.json --task mgsm --data data/mgsm --out runs/layalign\n"
        "  layeval run --system a.json --system b.json --tasks mgsm,msvamp --lang bn,sw,en --data data --out "
        "runs/ab\n"
        "  layeval run --system a.json --task xnli --data data --limit 2 --write-out --dry-run\n"
        "  layeval run --system a.json --task xnli --data data --shard 1/2 --out runs/a-1",
};

/* What the option table cannot hold as it is. */
struct raw {
    const char *batch_size, *dtype, *match, *shard;
    int64_t threads, num_fewshot, write_out_samples;
    bool write_out, log_samples, no_log_samples;
};

static enum lay_status read_batch_size(const char *text, int64_t *batch_size, struct lay_err *err)
{
    char *end;
    if (!text || strcmp(text, "auto") == 0)
        return LAY_OK;
    const long long number = strtoll(text, &end, 10);
    if (end == text || *end || number < 1 || number > 1000000)
        return lay_fail(err, LAY_ERR_USAGE, "--batch-size: \"%s\" is neither auto nor a number from 1 on",
                        text);
    *batch_size = number;
    return LAY_OK;
}

static enum lay_status read_match(const char *text, enum lay_match *match, struct lay_err *err)
{
    *match = text && strcmp(text, "float-eq") == 0 ? LAY_MATCH_FLOAT_EQ : LAY_MATCH_TOLERANCE;
    if (!text || *match == LAY_MATCH_FLOAT_EQ || strcmp(text, "tolerance") == 0)
        return LAY_OK;
    return lay_fail(err, LAY_ERR_USAGE, "--match: \"%s\" is neither tolerance nor float-eq", text);
}

static enum lay_status interpret(const struct raw *raw, struct lay_run_options *run, struct lay_err *err)
{
    LAY_TRY(read_batch_size(raw->batch_size, &run->system.batch_size, err));
    LAY_TRY(lay_dtype_option(raw->dtype, &run->system.dtype, err));
    uint32_t ignored;
    if (lay_precision_parse_keep(run->system.keep_bf16, &ignored, err) != LAY_OK)
        return lay_err_context(err, LAY_ERR_USAGE, "--keep-bf16");
    LAY_TRY(read_match(raw->match, &run->match, err));
    if (raw->shard)
        LAY_TRY(lay_shard_parse(raw->shard, &run->shard, err));
    if (raw->num_fewshot != 0)
        return lay_fail(err, LAY_ERR_USAGE,
                        "--num-fewshot: only 0 exists; the papers evaluate without examples in the prompt");
    if (raw->log_samples && raw->no_log_samples)
        return lay_fail(err, LAY_ERR_USAGE, "--log-samples and --no-log-samples exclude each other");
    if (run->check_against && run->predict_only)
        return lay_fail(err, LAY_ERR_USAGE, "--check-against compares scores; leave out --predict-only");
    LAY_TRY(lay_reporting_names(&run->reports, err));
    if (run->reports.count && run->predict_only)
        return lay_fail(err, LAY_ERR_USAGE,
                        "--report needs scores, which --predict-only leaves out; `layeval report` makes one "
                        "later");
    run->log_samples = !raw->no_log_samples;
    run->write_out = raw->write_out ? raw->write_out_samples : 0;
    if (raw->threads > 0)
        omp_set_num_threads((int)raw->threads);
    run->threads = omp_get_max_threads();
    return LAY_OK;
}

static enum lay_status require(const struct lay_run_options *run, struct lay_err *err)
{
    const struct lay_requirement needed[] = {
        {run->systems.count > 0, "--system FILE: the system to evaluate (README, System files)"},
        {run->tasks.count > 0, "--task NAME: what to evaluate it on; `layeval tasks` lists the benchmarks"},
        {run->data_dir != NULL,
         "--data DIR: where the data files are; `layeval tasks` says where to get them"},
        {run->out_dir != NULL || run->dry_run, "--out DIR: where results go (or --dry-run)"},
    };
    return lay_options_require(needed, sizeof needed / sizeof *needed, err);
}

static enum lay_status parse_and_run(int argc, char **argv, struct lay_run_options *run, struct lay_err *err)
{
    struct raw raw = {.write_out_samples = 1};
    bool help;
    const struct lay_option options[] = {
        {"system", NULL, LAY_OPTION_PATHS, "FILE", "system file; repeatable", &run->systems, 0, 0},
        {"task", "tasks", LAY_OPTION_LIST, "LIST", "benchmarks, separated by commas", &run->tasks, 0, 0},
        {"lang", "languages", LAY_OPTION_LIST, "LIST",
         "ISO codes or English names; all adds Telugu to MGSM; available\ntakes those there is data for "
         "(default: all of the papers)",
         &run->languages, 0, 0},
        {"data", NULL, LAY_OPTION_STRING, "DIR", "data files: DIR/<task> if that exists, else DIR",
         &run->data_dir, 0, 0},
        {"layout", NULL, LAY_OPTION_LIST, "NAME",
         "file layout, when a folder holds several; TASK:NAME with\nseveral tasks (`layeval tasks` lists "
         "them)",
         &run->layouts, 0, 0},
        {"out", "output-path", LAY_OPTION_STRING, "DIR", "the run directory", &run->out_dir, 0, 0},
        {"limit", NULL, LAY_OPTION_INT, "N", "only the first N samples per language", &run->limit, 1,
         INT32_MAX},
        {"shard", NULL, LAY_OPTION_STRING, "I/N",
         "only part I of N, for several machines: `layeval merge` puts\nthe parts together", &raw.shard, 0,
         0},
        {"Generation", NULL, LAY_OPTION_HEADING, NULL, NULL, NULL, 0, 0},
        {"prompt-set", NULL, LAY_OPTION_STRING, "NAME",
         "prompt set, by name or file (default: the system file's)", &run->prompt_set, 0, 0},
        {"max-new-tokens", NULL, LAY_OPTION_INT, "N",
         "longest answer (default: the system file's, else the\nprompt set's, else 512)",
         &run->system.max_new_tokens, 1, 1000000},
        {"official-batch", NULL, LAY_OPTION_INT, "N",
         "reproduce the official code's batches of N, padding included", &run->system.official_batch, 1,
         100000},
        {"num-fewshot", NULL, LAY_OPTION_INT, "N", "only 0", &raw.num_fewshot, 0, 0},
        {"match", NULL, LAY_OPTION_STRING, "RULE",
         "math answers equal within 1e-3 (tolerance, LayAlign's rule and\nthe default) or exactly (float-eq)",
         &raw.match, 0, 0},
        {"Resources (results do not depend on them, except on the dtype)", NULL, LAY_OPTION_HEADING, NULL,
         NULL, NULL, 0, 0},
        {"dtype", NULL, LAY_OPTION_STRING, "TYPE",
         "f32, bf16 or int8 (default: the system file's, else bf16)", &raw.dtype, 0, 0},
        {"keep-bf16", NULL, LAY_OPTION_STRING, "LIST",
         "int8: modules that stay in bf16, of q_proj k_proj v_proj o_proj\ngate_proj up_proj down_proj "
         "lm_head "
         "encoder bridge",
         &run->system.keep_bf16, 0, 0},
        {"check-against", NULL, LAY_OPTION_STRING, "RUN",
         "how far this dtype changes the answers of an earlier run of the\nsame samples: check.json and a "
         "line "
         "behind the table",
         &run->check_against, 0, 0},
        {"check-prompts", NULL, LAY_OPTION_INT, "N",
         "with --check-against: prompts whose next-token distributions\nare compared (default: 32)",
         &run->check_prompts, 1, 1000},
        {"batch-size", NULL, LAY_OPTION_STRING, "N", "most sequences in flight (default: auto)",
         &raw.batch_size, 0, 0},
        {"memory", NULL, LAY_OPTION_SIZE, "SIZE",
         "for weights, keys and values, such as 16G (default: what is\nfree)", &run->system.memory, 0, 0},
        {"cache", NULL, LAY_OPTION_STRING, "DIR",
         "keep packed weights there, and map them from there at the next\nstart", &run->system.cache_dir, 0,
         0},
        {"threads", NULL, LAY_OPTION_INT, "N", "default: the processors this process may use", &raw.threads,
         1, 4096},
        {"Output", NULL, LAY_OPTION_HEADING, NULL, NULL, NULL, 0, 0},
        {"write-out", NULL, LAY_OPTION_FLAG, NULL,
         "print the exact prompt and token ids of the first samples of\nevery language on stdout",
         &raw.write_out, 0, 0},
        {"write-out-samples", NULL, LAY_OPTION_INT, "N", "how many per language (default: 1)",
         &raw.write_out_samples, 1, INT32_MAX},
        {"predict-only", NULL, LAY_OPTION_FLAG, NULL,
         "generate, do not score; `layeval score DIR` does so later", &run->predict_only, 0, 0},
        {"log-samples", NULL, LAY_OPTION_FLAG, NULL, "write samples_<task>_<lang>.jsonl (the default)",
         &raw.log_samples, 0, 0},
        {"no-log-samples", NULL, LAY_OPTION_FLAG, NULL, "leave them out", &raw.no_log_samples, 0, 0},
        {"report", NULL, LAY_OPTION_LIST, "LIST",
         "also leave reports in DIR: md (report.md), html\n(report.html), latex or tex (table.tex), junit "
         "(junit.xml)",
         &run->reports, 0, 0},
        {"dry-run", NULL, LAY_OPTION_FLAG, NULL, "check everything, print the plan, load no weights",
         &run->dry_run, 0, 0},
        {"quiet", NULL, LAY_OPTION_FLAG, NULL, "no progress on stderr", &run->quiet, 0, 0},
    };
    LAY_TRY(
        lay_options_parse(&usage, options, sizeof options / sizeof *options, argc, argv, NULL, &help, err));
    if (help)
        return LAY_OK;
    LAY_TRY(interpret(&raw, run, err));
    LAY_TRY(require(run, err));
    return lay_run(run, err);
}

int lay_cmd_run(int argc, char **argv)
{
    struct lay_err err = {0};
    struct lay_run_options run = {.check_prompts = 32, .limit = -1};
    enum lay_status status = parse_and_run(argc, argv, &run, &err);
    if (status == LAY_OK)
        status = lay_output_flush("; the files are complete", &err);
    lay_option_list_free(&run.systems);
    lay_option_list_free(&run.tasks);
    lay_option_list_free(&run.languages);
    lay_option_list_free(&run.layouts);
    lay_option_list_free(&run.reports);
    return status == LAY_OK ? 0 : lay_report_error("run", &err);
}

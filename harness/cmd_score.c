/* layeval score: the command line; the work is in harness/score. */
#include "harness/command.h"
#include "harness/options.h"
#include "harness/score/score.h"

static enum lay_status score(const struct lay_score_arguments *arguments,
                             const struct lay_option_list *directories, struct lay_err *err)
{
    if (arguments->print_extracted && arguments->json)
        return lay_fail(err, LAY_ERR_USAGE,
                        "--print-extracted and --json both write to standard output; choose one");
    if (arguments->generations) {
        if (directories->count)
            return lay_fail(err, LAY_ERR_USAGE,
                            "score either a run directory or --generations FILE, not both");
        return lay_score_generations(arguments, err);
    }
    if (arguments->print_extracted || arguments->task || arguments->language || arguments->prompt_set ||
        arguments->name)
        return lay_fail(
            err, LAY_ERR_USAGE,
            "--task, --lang, --prompt-set, --name and --print-extracted belong to --generations FILE");
    if (directories->count != 1)
        return lay_fail(err, LAY_ERR_USAGE,
                        "name one run directory, or --generations FILE; see `layeval score --help`");
    return lay_score_directory(arguments, directories->items[0], err);
}

int lay_cmd_score(int argc, char **argv)
{
    struct lay_score_arguments a = {0};
    struct lay_option_list directories = {0};
    struct lay_err err = {0};
    bool help;
    const struct lay_usage usage = {
        .command = "score",
        .synopsis = "DIR [options]  |  --task NAME --lang CODE --generations FILE [options]",
        .description =
            "Scores stored answers again, without a model: those of a run directory (or of a directory of "
            "several\nruns), whose report files are rewritten, or texts from any engine.",
        .examples =
            "  layeval score runs/layalign\n"
            "  layeval score runs/layalign --match float-eq --out runs/layalign-float-eq\n"
            "  layeval score --task mgsm --lang bn --generations answers.jsonl --print-extracted\n"
            "  layeval score --task xnli --lang sw --generations samples_xnli_sw.jsonl --out runs/other",
    };
    const struct lay_option options[] = {
        {.name = "out",
         .alias = "output-path",
         .kind = LAY_OPTION_STRING,
         .argument = "DIR",
         .value = &a.out,
         .help = "write the report files there (a run directory: into itself; generations: nowhere)"},
        {.name = "match",
         .kind = LAY_OPTION_STRING,
         .argument = "RULE",
         .value = &a.match,
         .help = "how paper scoring compares numbers: tolerance (LayAlign) or float-eq\n(MindMerger, "
                 "LangBridge); "
                 "default: the run's, else tolerance"},
        {.name = "json",
         .kind = LAY_OPTION_FLAG,
         .value = &a.json,
         .help = "print results.json instead of the table"},
        {.name = "no-log-samples",
         .alias = "no-samples",
         .kind = LAY_OPTION_FLAG,
         .value = &a.no_samples,
         .help = "do not write samples_*.jsonl"},
        {.name = "Texts from any engine", .kind = LAY_OPTION_HEADING},
        {.name = "generations",
         .kind = LAY_OPTION_STRING,
         .argument = "FILE",
         .value = &a.generations,
         .help = "JSON lines with \"output\" and \"target\", or samples of lm-evaluation-harness"},
        {.name = "task",
         .alias = "tasks",
         .kind = LAY_OPTION_STRING,
         .argument = "NAME",
         .value = &a.task,
         .help = "benchmark: mgsm, msvamp, x-csqa, xnli"},
        {.name = "lang",
         .alias = "language",
         .kind = LAY_OPTION_STRING,
         .argument = "CODE",
         .value = &a.language,
         .help = "language code or name"},
        {.name = "print-extracted",
         .kind = LAY_OPTION_FLAG,
         .value = &a.print_extracted,
         .help = "print per line, as JSON, what each scorer read (the table goes to stderr)"},
        {.name = "prompt-set",
         .kind = LAY_OPTION_STRING,
         .argument = "NAME",
         .value = &a.prompt_set,
         .help =
             "prompt set whose label_words say what targets are called in answers;\ndefault: targets as the "
             "file has them"},
        {.name = "name",
         .kind = LAY_OPTION_STRING,
         .argument = "NAME",
         .value = &a.name,
         .help = "what the system is called in reports; default: the file's name"},
    };
    enum lay_status status = lay_options_parse(&usage, options, sizeof options / sizeof *options, argc, argv,
                                               &directories, &help, &err);
    if (status == LAY_OK && !help)
        status = score(&a, &directories, &err);
    lay_option_list_free(&directories);
    return status == LAY_OK ? 0 : lay_report_error("score", &err);
}

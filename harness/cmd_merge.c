/* layeval merge: the command line; the work is in run/merge.c. */
#include "harness/command.h"
#include "harness/options.h"
#include "harness/output.h"
#include "harness/run/merge.h"

static const struct lay_usage usage = {
    .command = "merge",
    .synopsis = "DIR... --out DIR [options]",
    .description =
        "Puts the shards of a run together (`layeval run --shard I/N`, each in a directory of its own). "
        "What\n"
        "is left in --out is byte for byte what the run without --shard leaves, timing.json aside. A shard\n"
        "that is missing, named twice, unfinished or of another run is refused by name.",
    .examples = "  layeval merge runs/a-1 runs/a-2 --out runs/a\n"
                "  layeval merge runs/ab-* --out runs/ab",
};

static enum lay_status parse_and_merge(int argc, char **argv, struct lay_option_list *dirs,
                                       struct lay_err *err)
{
    const char *out = NULL;
    bool help, no_samples = false;
    const struct lay_option options[] = {
        {"out", "output-path", LAY_OPTION_STRING, "DIR", "the run directory to write", &out, 0, 0},
        {"no-log-samples", "no-samples", LAY_OPTION_FLAG, NULL, "do not write samples_*.jsonl", &no_samples,
         0, 0},
    };
    LAY_TRY(
        lay_options_parse(&usage, options, sizeof options / sizeof *options, argc, argv, dirs, &help, err));
    if (help)
        return LAY_OK;
    if (dirs->count == 0)
        return lay_fail(err, LAY_ERR_USAGE, "name the directories of all shards; see `layeval merge --help`");
    if (!out)
        return lay_fail(err, LAY_ERR_USAGE, "missing --out DIR: where the whole run goes");
    const struct lay_merge_options merge = {.dirs = (const char *const *)dirs->items,
                                            .count = dirs->count,
                                            .out = out,
                                            .log_samples = !no_samples};
    return lay_merge(&merge, err);
}

int lay_cmd_merge(int argc, char **argv)
{
    struct lay_err err = {0};
    struct lay_option_list dirs = {0};
    enum lay_status status = parse_and_merge(argc, argv, &dirs, &err);
    if (status == LAY_OK)
        status = lay_output_flush("; the files are complete", &err);
    lay_option_list_free(&dirs);
    return status == LAY_OK ? 0 : lay_report_error("merge", &err);
}

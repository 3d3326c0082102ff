/* layeval inspect: what a weight file or model directory holds. */
#include "harness/command.h"

#include "harness/inspect/inspect.h"
#include "harness/options.h"
#include "harness/output.h"

#include <stdio.h>

static enum lay_status inspect(const char *path, const struct lay_inspect_options *options, bool json,
                               struct lay_err *err)
{
    struct lay_inspection inspection;
    enum lay_status status = lay_inspect_open(path, options, &inspection, err);
    if (status == LAY_OK && json)
        status = lay_inspect_print_json(&inspection, options, stdout, err);
    else if (status == LAY_OK)
        lay_inspect_print(&inspection, options, stdout);
    lay_inspect_close(&inspection);
    return status == LAY_OK ? lay_output_flush("", err) : status;
}

int lay_cmd_inspect(int argc, char **argv)
{
    static const struct lay_usage usage = {
        "inspect", "PATH [options]",
        "Shows what a weight file (safetensors, torch .bin) or a model directory holds: format, tensors,\n"
        "shapes, types, sizes, hash, the main fields of config.json; of a LayAlign bridge also the gates\n"
        "and the fusion weights per LLM layer. Nothing in the file is executed.",
        "  layeval inspect models/layalign/pytorch_model.bin\n"
        "  layeval inspect models/llm --limit 10 --no-hash\n"
        "  layeval inspect models/bridge --json"};
    struct lay_inspect_options options = {0};
    bool json = false, help;
    const struct lay_option table[] = {
        {"json", NULL, LAY_OPTION_FLAG, NULL, "print one JSON object", &json, 0, 0},
        {"limit", "tensors", LAY_OPTION_INT, "N", "list at most N tensors (default: all)", &options.limit, 1,
         INT64_MAX},
        {"no-tensors", NULL, LAY_OPTION_FLAG, NULL, "do not list the tensors", &options.no_tensors, 0, 0},
        {"hash", NULL, LAY_OPTION_FLAG, NULL, "list the hash of every tensor too", &options.hashes, 0, 0},
        {"no-hash", NULL, LAY_OPTION_FLAG, NULL,
         "compute no hash and look for no NaN: the data are not read,\nwhich is quick for large models",
         &options.no_hash, 0, 0},
    };
    struct lay_option_list paths = {0};
    struct lay_err err = {0};
    enum lay_status status =
        lay_options_parse(&usage, table, sizeof table / sizeof *table, argc, argv, &paths, &help, &err);
    if (status == LAY_OK && !help && paths.count != 1)
        status = lay_fail(&err, LAY_ERR_USAGE, "one PATH is needed; see `layeval inspect --help`");
    if (status == LAY_OK && !help)
        status = inspect(paths.items[0], &options, json, &err);
    lay_option_list_free(&paths);
    return status == LAY_OK ? 0 : lay_report_error("inspect", &err);
}

/* `layeval run` without its command line: validate everything, then per system load, answer, seal, report. */
#ifndef LAY_HARNESS_RUN_H
#define LAY_HARNESS_RUN_H

#include "engine/base/err.h"
#include "engine/system.h"
#include "harness/options.h"
#include "harness/run/shard.h"
#include "tasks/score.h"

struct lay_run_options {
    struct lay_option_list systems, tasks, languages, layouts;
    const char *data_dir;
    const char *out_dir;       /* NULL only with dry_run */
    const char *prompt_set;    /* NULL: what the system file says */
    int64_t limit;             /* -1: all */
    struct lay_shard shard;    /* a part of what limit leaves */
    int64_t write_out;         /* samples per language whose texts and ids are printed; 0: none */
    const char *check_against; /* an earlier run in another dtype, or a directory of several; NULL: none */
    int64_t check_prompts;     /* whose next tokens are compared */
    int threads;               /* for timing.json */
    struct lay_system_options system;
    enum lay_match match;
    struct lay_option_list reports; /* formats of report files in the run directories */
    bool log_samples, predict_only, dry_run, quiet;
};

/* Prints texts asked for and the table on stdout, plan, progress and remarks on stderr. */
enum lay_status lay_run(const struct lay_run_options *options, struct lay_err *err);

#endif

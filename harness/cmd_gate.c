/* layeval gate: whether a run may pass, for CI. */
#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "harness/command.h"
#include "harness/gate/gate.h"
#include "harness/gate/gate_print.h"
#include "harness/options.h"
#include "harness/output.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXIT_REGRESSION 1

struct arguments {
    const char *against, *junit;
    double max_drop, alpha;
    bool all;
    struct lay_choice choice;
    struct lay_option_list directories, picks, thresholds, allowed;
};

struct plan {
    struct lay_gate_options options;
    struct lay_gate_threshold thresholds[LAY_OPTION_LIST_MAX];
    struct lay_chosen chosen;
};

static enum lay_status make_plan(const struct arguments *arguments, struct plan *plan, struct lay_err *err)
{
    plan->options.max_drop = arguments->max_drop;
    plan->options.alpha = arguments->alpha;
    plan->options.thresholds = plan->thresholds;
    if (arguments->directories.count == 0)
        return lay_fail(err, LAY_ERR_USAGE, "name a run directory; see `layeval gate --help`");
    if (!arguments->against && arguments->thresholds.count == 0)
        return lay_fail(err, LAY_ERR_USAGE,
                        "nothing to hold the run against; give --against, --min-accuracy");
    if (!(arguments->max_drop >= 0 && arguments->max_drop <= 100))
        return lay_fail(err, LAY_ERR_USAGE, "--max-drop: %g is not between 0 and 100 percentage points",
                        arguments->max_drop);
    if (!(arguments->alpha > 0 && arguments->alpha <= 1))
        return lay_fail(err, LAY_ERR_USAGE, "--alpha: %g is not above 0 and at most 1", arguments->alpha);
    LAY_TRY(lay_scorer_find(arguments->choice.score, &plan->options.scorer, err));
    LAY_TRY(lay_chosen_resolve(&arguments->choice.tasks, &arguments->choice.languages, &plan->chosen, err));
    for (size_t i = 0; i < arguments->allowed.count; i++)
        LAY_TRY(lay_gate_read_allowed(arguments->allowed.items[i], &plan->options, err));
    for (size_t i = 0; i < arguments->thresholds.count; i++)
        LAY_TRY(lay_gate_read_threshold(arguments->thresholds.items[i],
                                        &plan->thresholds[plan->options.n_thresholds++], err));
    return LAY_OK;
}

/* --- output --- */

static enum lay_status append_file(const char *path, const struct lay_str *text, struct lay_err *err)
{
    FILE *file = fopen(path, "ae");
    const bool written = file && fwrite(lay_str_text(text), 1, text->length, file) == text->length;
    if (!file || fclose(file) != 0 || !written)
        return lay_fail(err, LAY_ERR_IO, "%s (GITHUB_STEP_SUMMARY): cannot be written: %s", path,
                        strerror(errno));
    return LAY_OK;
}

/* What GitHub Actions shows beside the log. */
static enum lay_status tell_github(const struct lay_gate *gate, struct lay_err *err)
{
    const char *actions = getenv("GITHUB_ACTIONS"), *summary = getenv("GITHUB_STEP_SUMMARY");
    struct lay_str text = {0};
    if (!actions || strcmp(actions, "true") != 0)
        return LAY_OK;
    enum lay_status status = lay_gate_put_github(&text, gate, err);
    if (status == LAY_OK)
        status = lay_output_put(&text, err);
    lay_str_clear(&text);
    if (status == LAY_OK && summary && *summary) {
        status = lay_gate_put_markdown(&text, gate, err);
        if (status == LAY_OK)
            status = append_file(summary, &text, err);
    }
    lay_str_free(&text);
    return status;
}

static enum lay_status tell(const struct arguments *arguments, const struct lay_gate *gate,
                            struct lay_err *err)
{
    struct lay_str text = {0};
    enum lay_status status = lay_gate_put_terminal(&text, gate, arguments->all, err);
    if (status == LAY_OK)
        status = lay_output_put(&text, err);
    if (status == LAY_OK)
        status = tell_github(gate, err);
    lay_str_clear(&text);
    if (status == LAY_OK && arguments->junit) {
        status = lay_gate_put_junit(&text, gate, err);
        if (status == LAY_OK)
            status = lay_file_write(arguments->junit, lay_str_text(&text), text.length, err);
    }
    lay_str_free(&text);
    return status;
}

/* --- the gate --- */

static enum lay_status check_runs(const struct arguments *arguments, const struct plan *plan,
                                  const struct lay_loaded_list *runs, const struct lay_reference *reference,
                                  bool *failed, struct lay_err *err)
{
    struct lay_gate gate = {0};
    struct lay_system_result *views;
    LAY_TRY(lay_views_create(runs->results, runs->count, &plan->chosen, &views, err));
    enum lay_status status = LAY_OK;
    for (size_t i = 0; i < runs->count && status == LAY_OK; i++)
        status = lay_gate_add(&gate, &plan->options, &runs->runs[i], &views[i], reference, err);
    if (status == LAY_OK)
        status = lay_gate_finish(&gate, err);
    if (status == LAY_OK)
        status = tell(arguments, &gate, err);
    *failed = gate.failed > 0;
    lay_gate_free(&gate);
    lay_views_free(views, runs->count);
    return status;
}

static enum lay_status gate(const struct arguments *arguments, bool *failed, struct lay_err *err)
{
    struct plan plan = {0};
    struct lay_loaded_list runs = {0};
    struct lay_reference reference = {0};
    enum lay_status status;
    LAY_TRY(make_plan(arguments, &plan, err));
    const struct lay_reference_options options = {.path = arguments->against,
                                                  .scorer = plan.options.scorer,
                                                  .match = arguments->choice.match,
                                                  .picks = &arguments->picks,
                                                  .chosen = &plan.chosen};
    LAY_TRY_GOTO(status,
                 lay_loaded_list_open((const char *const *)arguments->directories.items,
                                      arguments->directories.count, arguments->choice.match, &runs, err),
                 done);
    if (arguments->against)
        LAY_TRY_GOTO(status, lay_reference_open(&options, &reference, err), done);
    for (size_t i = 0; i < reference.runs.count; i++)
        lay_loaded_note_missing(&reference.runs.runs[i], "gate", stderr);
    status = check_runs(arguments, &plan, &runs, arguments->against ? &reference : NULL, failed, err);
done:
    lay_reference_close(&reference);
    lay_loaded_list_free(&runs);
    return status;
}

int lay_cmd_gate(int argc, char **argv)
{
    struct arguments a = {.choice.score = "paper", .max_drop = 1, .alpha = 0.05};
    struct lay_err err = {0};
    bool help, failed = false;
    const struct lay_usage usage = {
        .command = "gate",
        .synopsis = "RUN --against REF [--max-drop 1.0] [options]",
        .description =
            "Holds a finished run against a reference and exits with 1 if it may not pass. Fails on: an "
            "accuracy\nthat dropped by more than --max-drop (and significantly, where both runs' samples are "
            "at "
            "hand),\na result the reference has and the run has not, unanswered samples, samples that ended "
            "in "
            "an\nerror, accuracies below --min-accuracy. Every failure is listed before the end.",
        .examples =
            "  layeval gate runs/tonight --against runs/released --max-drop 1.0 --junit junit.xml\n"
            "  layeval gate runs/layalign --against results.csv --max-drop 0.5\n"
            "  layeval gate runs/layalign --against layalign_paper.csv --pick LayAlign --pick \"Table 2\"\n"
            "  layeval gate runs/layalign --min-accuracy mgsm=50,mgsm:sw=40",
    };
    const struct lay_option options[] = {
        {.name = "against",
         .kind = LAY_OPTION_STRING,
         .argument = "REF",
         .value = &a.against,
         .help = "a run directory (or one of several systems), a results.json of layeval or of\n"
                 "lm-evaluation-harness, a results.csv, or a baselines CSV"},
        {.name = "pick",
         .kind = LAY_OPTION_PATHS,
         .argument = "TEXT",
         .value = &a.picks,
         .help =
             "only figures of the reference that are described by TEXT: the name of a system,\nor a part of "
             "method, model, source, lm-evaluation-harness task or metric; repeatable"},
        {.name = "max-drop",
         .kind = LAY_OPTION_DOUBLE,
         .argument = "X",
         .value = &a.max_drop,
         .help = "percentage points an accuracy may drop (default: 1.0)"},
        {.name = "alpha",
         .kind = LAY_OPTION_DOUBLE,
         .argument = "X",
         .value = &a.alpha,
         .help = "with samples at hand a larger drop fails only if p is at most X (default: 0.05;\n1: every "
                 "larger drop fails)"},
        {.name = "min-accuracy",
         .kind = LAY_OPTION_LIST,
         .argument = "LIST",
         .value = &a.thresholds,
         .help = "least accuracies in percent: 40 (every average), mgsm=40, mgsm:bn=35"},
        {.name = "allow",
         .kind = LAY_OPTION_LIST,
         .argument = "LIST",
         .value = &a.allowed,
         .help = "what is noted instead of failed: missing, incomplete, samples, errors"},
        LAY_CHOICE_OPTIONS(a.choice),
        {.name = "junit",
         .kind = LAY_OPTION_STRING,
         .argument = "FILE",
         .value = &a.junit,
         .help = "write the checks as JUnit XML"},
        {.name = "all", .kind = LAY_OPTION_FLAG, .value = &a.all, .help = "list checks that passed, too"},
    };
    struct lay_option_list *const lists[] = {&a.directories, &a.choice.tasks, &a.choice.languages,
                                             &a.picks,       &a.thresholds,   &a.allowed};
    enum lay_status status = lay_options_parse(&usage, options, sizeof options / sizeof *options, argc, argv,
                                               &a.directories, &help, &err);
    if (status == LAY_OK && !help)
        status = gate(&a, &failed, &err);
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        lay_option_list_free(lists[i]);
    if (status != LAY_OK)
        return lay_report_error("gate", &err);
    return failed ? EXIT_REGRESSION : 0;
}

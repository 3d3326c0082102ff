/* layeval report: the papers' tables of finished runs and published figures, in the forms people paste. */
#include "engine/base/file.h"
#include "harness/command.h"
#include "harness/options.h"
#include "harness/output.h"
#include "harness/run/loaded.h"
#include "harness/run/reporting.h"
#include "harness/selection.h"
#include "reports/html.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct arguments {
    const char *format, *out, *match, *analysis;
    int64_t paper;
    struct lay_option_list directories, tasks, languages, baselines;
};

static enum lay_status write_out(const struct arguments *arguments, const struct lay_str *text,
                                 struct lay_err *err)
{
    return arguments->out ? lay_file_write(arguments->out, lay_str_text(text), text->length, err)
                          : lay_output_put(text, err);
}

static enum lay_status make(const struct arguments *arguments, const struct lay_report_format *format,
                            const struct lay_report *report, struct lay_err *err)
{
    struct lay_str text = {0};
    enum lay_status status = format->put(&text, report, err);
    if (status == LAY_OK)
        status = write_out(arguments, &text, err);
    lay_str_free(&text);
    return status;
}

/* --- what is reported --- */

static enum lay_status read_baselines(const struct arguments *arguments, struct lay_baseline_list *list,
                                      struct lay_err *err)
{
    for (size_t i = 0; i < arguments->baselines.count; i++)
        LAY_TRY(lay_baseline_read(arguments->baselines.items[i], list, err));
    return arguments->paper ? lay_reporting_paper(arguments->paper, list, err) : LAY_OK;
}

/* Without --task a table of the paper is about its own tasks. */
static void choose_published_tasks(const struct lay_baseline_list *baselines, struct lay_chosen *chosen)
{
    struct lay_selection *selection = &chosen->selection;
    for (size_t i = 0; i < baselines->count && selection->n_tasks < LAY_OPTION_LIST_MAX; i++)
        if (i == 0 || strcmp(baselines->rows[i].task, baselines->rows[i - 1].task) != 0)
            chosen->tasks[selection->n_tasks++] = baselines->rows[i].task;
}

static enum lay_status report_list(const struct arguments *arguments, const struct lay_report_format *format,
                                   const struct lay_loaded_list *list,
                                   const struct lay_baseline_list *baselines,
                                   const struct lay_html_figures *figures, struct lay_err *err)
{
    char heading[96];
    struct lay_chosen chosen = {0};
    struct lay_system_result *views = NULL;
    for (size_t i = 0; i < list->count; i++)
        lay_loaded_note_missing(&list->runs[i], "report", stderr);
    LAY_TRY(lay_chosen_resolve(&arguments->tasks, &arguments->languages, &chosen, err));
    if (arguments->paper) {
        LAY_TRY(lay_reporting_check(list->results, list->count, baselines, arguments->paper, err));
        if (arguments->tasks.count == 0)
            choose_published_tasks(baselines, &chosen);
    }
    LAY_TRY(lay_views_create(list->results, list->count, &chosen, &views, err));
    struct lay_report report = {.systems = views,
                                .count = list->count,
                                .baselines = baselines,
                                .figures = figures,
                                .differences = arguments->paper != 0};
    if (arguments->paper) {
        snprintf(heading, sizeof heading, "LayAlign (arXiv 2502.11405v1), Table %lld",
                 (long long)arguments->paper);
        report.heading = heading;
    }
    if (!arguments->out)
        report.terminal = lay_table_options_for(STDOUT_FILENO);
    const enum lay_status status = make(arguments, format, &report, err);
    lay_views_free(views, list->count);
    return status;
}

static enum lay_status report(const struct arguments *arguments, struct lay_err *err)
{
    const struct lay_report_format *format;
    struct lay_baseline_list baselines = {0};
    struct lay_html_figures figures = {0};
    struct lay_loaded_list list = {0};
    enum lay_status status;
    if (arguments->directories.count == 0)
        return lay_fail(err, LAY_ERR_USAGE, "name run directories; see `layeval report --help`");
    if (arguments->paper && arguments->baselines.count)
        return lay_fail(err, LAY_ERR_USAGE,
                        "--paper and --baselines exclude each other: --paper brings its own");
    LAY_TRY(lay_report_format_find(arguments->format, "--format", false, &format, err));
    if (arguments->analysis && format->put != lay_html_put)
        return lay_fail(err, LAY_ERR_USAGE, "--analysis puts pictures into --format html only");
    LAY_TRY_GOTO(status, read_baselines(arguments, &baselines, err), done);
    if (arguments->analysis)
        LAY_TRY_GOTO(status, lay_html_figures_read(arguments->analysis, &figures, err), done);
    LAY_TRY_GOTO(status,
                 lay_loaded_list_open((const char *const *)arguments->directories.items,
                                      arguments->directories.count, arguments->match, &list, err),
                 done);
    status = report_list(arguments, format, &list, &baselines, &figures, err);
done:
    lay_html_figures_free(&figures);
    lay_loaded_list_free(&list);
    lay_baseline_list_free(&baselines);
    return status;
}

int lay_cmd_report(int argc, char **argv)
{
    struct arguments a = {.format = "terminal"};
    struct lay_err err = {0};
    bool help;
    const struct lay_usage usage = {
        .command = "report",
        .synopsis = "RUN... [options]",
        .description =
            "Puts finished runs into the papers' tables: languages in printed order, Lrl., Hrl., Avg., the "
            "best\n"
            "figure of a column bold, the second best underlined, published figures below with their "
            "sources.\n"
            "Scores are made anew from the journals. A directory of several systems counts as all of them.",
        .examples = "  layeval report runs/ab\n"
                    "  layeval report runs/a runs/b --baselines data/baselines/mindmerger.csv --format md\n"
                    "  layeval report runs/layalign --paper 2\n"
                    "  layeval report runs/ab --task mgsm --format latex --out table.tex\n"
                    "  layeval report runs/ab --format html --out report.html",
    };
    const struct lay_option options[] = {
        {.name = "format",
         .kind = LAY_OPTION_STRING,
         .argument = "NAME",
         .value = &a.format,
         .help = "terminal (default), md, latex, csv, json, html, junit"},
        {.name = "out",
         .alias = "output-path",
         .kind = LAY_OPTION_STRING,
         .argument = "FILE",
         .value = &a.out,
         .help = "write there instead of standard output"},
        {.name = "baselines",
         .kind = LAY_OPTION_PATHS,
         .argument = "FILE",
         .value = &a.baselines,
         .help = "published figures to stand below ours; repeatable"},
        {.name = "paper",
         .kind = LAY_OPTION_INT,
         .argument = "N",
         .value = &a.paper,
         .min = 1,
         .max = 99,
         .help =
             "that table of the LayAlign paper: its figures, ours, the differences, and\nwhether they lie "
             "within the 95 % interval"},
        {.name = "analysis",
         .kind = LAY_OPTION_STRING,
         .argument = "DIR",
         .value = &a.analysis,
         .help = "pictures for the HTML report: every *.svg of this folder"},
        {.name = "task",
         .alias = "tasks",
         .kind = LAY_OPTION_LIST,
         .argument = "LIST",
         .value = &a.tasks,
         .help = "only these benchmarks, separated by commas"},
        {.name = "lang",
         .alias = "languages",
         .kind = LAY_OPTION_LIST,
         .argument = "LIST",
         .value = &a.languages,
         .help = "only these languages: ISO codes or English names"},
        {.name = "match",
         .kind = LAY_OPTION_STRING,
         .argument = "RULE",
         .value = &a.match,
         .help = "how paper scoring compares numbers: tolerance or float-eq; default: each\nrun's own"},
    };
    enum lay_status status = lay_options_parse(&usage, options, sizeof options / sizeof *options, argc, argv,
                                               &a.directories, &help, &err);
    if (status == LAY_OK && !help)
        status = report(&a, &err);
    lay_option_list_free(&a.directories);
    lay_option_list_free(&a.tasks);
    lay_option_list_free(&a.languages);
    lay_option_list_free(&a.baselines);
    return status == LAY_OK ? 0 : lay_report_error("report", &err);
}

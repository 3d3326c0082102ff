/* layeval compare: runs over the same samples, with statistics for paired outcomes. */
#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "harness/command.h"
#include "harness/options.h"
#include "harness/output.h"
#include "harness/run/loaded.h"
#include "harness/selection.h"
#include "reports/compare_put.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct arguments {
    const char *format, *flips;
    int64_t seed, resamples;
    struct lay_choice choice;
    struct lay_option_list directories;
};

/* What the arguments come down to. */
struct plan {
    struct lay_compare_put_options options;
    const struct lay_compare_format *format;
    const char *flips_file;
};

static enum lay_status find_format(const char *name, const struct lay_compare_format **format,
                                   struct lay_err *err)
{
    for (size_t i = 0; i < lay_compare_format_count; i++)
        if (strcmp(name, lay_compare_formats[i].name) == 0) {
            *format = &lay_compare_formats[i];
            return LAY_OK;
        }
    return lay_fail(err, LAY_ERR_USAGE, "--format: \"%s\" is none of terminal, md, csv, json", name);
}

/* --flips: a number of samples to show, or a file for all of them. */
static enum lay_status read_flips(const char *text, struct plan *plan, struct lay_err *err)
{
    if (!text)
        return LAY_OK;
    if (*text == 0 || text[strspn(text, "0123456789")] != 0) {
        plan->flips_file = text;
        return LAY_OK;
    }
    if (!plan->format->for_people)
        return lay_fail(err, LAY_ERR_USAGE,
                        "--flips %s shows samples in terminal and md; with --format %s name a file", text,
                        plan->format->name);
    plan->options.flips = (size_t)strtoull(text, NULL, 10);
    return LAY_OK;
}

static enum lay_status make_plan(const struct arguments *arguments, struct plan *plan, struct lay_err *err)
{
    plan->options.compare.seed = (uint64_t)arguments->seed;
    plan->options.compare.resamples = (size_t)arguments->resamples;
    LAY_TRY(lay_scorer_find(arguments->choice.score, &plan->options.compare.scorer, err));
    LAY_TRY(find_format(arguments->format, &plan->format, err));
    return read_flips(arguments->flips, plan, err);
}

/* --- which with which --- */

struct pair {
    size_t a, b; /* places in the list of runs */
};

static const char *system_name(const struct lay_loaded *run)
{
    const char *name = cJSON_GetStringValue(
        cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(run->manifest, "system"), "name"));
    return name ? name : "";
}

/* How many systems a directory holds; 0: it is a run itself. */
static enum lay_status count_systems(const char *dir, size_t *count, struct lay_err *err)
{
    struct lay_dir runs;
    bool several;
    LAY_TRY(lay_loaded_find(dir, &runs, &several, err));
    *count = several ? runs.count : 0;
    lay_dir_free(&runs);
    return LAY_OK;
}

/* The place of the run in [from, to) whose system is called like that of `run`; `to` if there is none. */
static size_t namesake(const struct lay_loaded_list *list, size_t from, size_t to, size_t run)
{
    while (from < to && strcmp(system_name(&list->runs[from]), system_name(&list->runs[run])) != 0)
        from++;
    return from;
}

static void note_unpaired(const struct lay_loaded_list *list, size_t first)
{
    for (size_t i = 0; i < list->count; i++) {
        const size_t from = i < first ? first : 0, to = i < first ? list->count : first;
        if (namesake(list, from, to, i) == to)
            fprintf(stderr, "layeval compare: %s: the other directory has no system of this name; left out\n",
                    list->runs[i].dir);
    }
}

/* Two directories of several systems each: every system of the second with its namesake in the first. */
static enum lay_status pair_by_name(const struct lay_loaded_list *list, size_t first, struct pair *pairs,
                                    size_t *count, struct lay_err *err)
{
    for (size_t i = first; i < list->count; i++) {
        const size_t a = namesake(list, 0, first, i);
        if (a < first)
            pairs[(*count)++] = (struct pair){a, i};
    }
    if (*count == 0)
        return lay_fail(err, LAY_ERR_USAGE,
                        "the two directories have no system of the same name; name the runs themselves to "
                        "compare them");
    note_unpaired(list, first);
    return LAY_OK;
}

static enum lay_status choose_pairs(const struct lay_option_list *directories,
                                    const struct lay_loaded_list *list, struct pair *pairs, size_t *count,
                                    struct lay_err *err)
{
    size_t systems[2] = {0};
    *count = 0;
    for (size_t i = 0; i < 2 && directories->count == 2; i++)
        LAY_TRY(count_systems(directories->items[i], &systems[i], err));
    if (systems[0] && systems[1])
        return pair_by_name(list, systems[0], pairs, count, err);
    for (size_t i = 1; i < list->count; i++)
        pairs[(*count)++] = (struct pair){0, i};
    return *count ? LAY_OK
                  : lay_fail(err, LAY_ERR_USAGE, "%s: is a single run; name another one to compare it with",
                             list->runs[0].dir);
}

/* --- output --- */

static enum lay_status print(const struct plan *plan, const struct lay_comparison *comparisons, size_t count,
                             struct lay_err *err)
{
    struct lay_str text = {0};
    enum lay_status status = LAY_OK;
    if (plan->flips_file) {
        status = lay_compare_put_flips(&text, comparisons, count, err);
        if (status == LAY_OK)
            status = lay_file_write(plan->flips_file, lay_str_text(&text), text.length, err);
        lay_str_clear(&text);
    }
    if (status == LAY_OK)
        status = plan->format->put(&text, comparisons, count, &plan->options, err);
    if (status == LAY_OK)
        status = lay_output_put(&text, err);
    lay_str_free(&text);
    return status;
}

static enum lay_status compare_pairs(const struct plan *plan, const struct lay_system_result *views,
                                     const struct pair *pairs, size_t count, struct lay_err *err)
{
    enum lay_status status = LAY_OK;
    struct lay_comparison *comparisons = lay_alloc(count + 1, sizeof *comparisons);
    if (!comparisons)
        return lay_no_memory(err, "the comparisons");
    for (size_t i = 0; i < count && status == LAY_OK; i++)
        status = lay_comparison_create(&views[pairs[i].a], &views[pairs[i].b], &plan->options.compare,
                                       &comparisons[i], err);
    if (status == LAY_OK)
        status = print(plan, comparisons, count, err);
    for (size_t i = 0; i < count; i++)
        lay_comparison_free(&comparisons[i]);
    lay_free(comparisons);
    return status;
}

static enum lay_status compare_list(const struct arguments *arguments, const struct plan *plan,
                                    const struct lay_loaded_list *list, const struct lay_chosen *chosen,
                                    struct lay_err *err)
{
    struct lay_system_result *views = NULL;
    struct pair *pairs = lay_alloc(list->count + 1, sizeof *pairs);
    size_t count;
    enum lay_status status = pairs ? LAY_OK : lay_no_memory(err, "the comparisons");
    for (size_t i = 0; i < list->count; i++)
        lay_loaded_note_missing(&list->runs[i], "compare", stderr);
    if (status == LAY_OK)
        status = choose_pairs(&arguments->directories, list, pairs, &count, err);
    if (status == LAY_OK)
        status = lay_views_create(list->results, list->count, chosen, &views, err);
    if (status == LAY_OK)
        status = compare_pairs(plan, views, pairs, count, err);
    lay_views_free(views, list->count);
    lay_free(pairs);
    return status;
}

static enum lay_status compare(const struct arguments *arguments, struct lay_err *err)
{
    struct plan plan = {0};
    struct lay_chosen chosen = {0};
    struct lay_loaded_list list;
    if (arguments->directories.count == 0)
        return lay_fail(err, LAY_ERR_USAGE, "name run directories; see `layeval compare --help`");
    LAY_TRY(make_plan(arguments, &plan, err));
    LAY_TRY(lay_chosen_resolve(&arguments->choice.tasks, &arguments->choice.languages, &chosen, err));
    LAY_TRY(lay_loaded_list_open((const char *const *)arguments->directories.items,
                                 arguments->directories.count, arguments->choice.match, &list, err));
    const enum lay_status status = compare_list(arguments, &plan, &list, &chosen, err);
    lay_loaded_list_free(&list);
    return status;
}

int lay_cmd_compare(int argc, char **argv)
{
    struct arguments a = {.choice.score = "paper", .format = "terminal", .resamples = LAY_RESAMPLES};
    struct lay_err err = {0};
    bool help;
    const struct lay_usage usage = {
        .command = "compare",
        .synopsis = "A B [C...] [options]",
        .description = "Compares finished runs over the same samples: differences with paired bootstrap "
                       "intervals, exact\n"
                       "McNemar tests, Holm's correction over languages, and the samples that flipped. The "
                       "first system is\n"
                       "the reference; every other one is compared with it. A directory of several systems "
                       "counts as all "
                       "of\nthem; of two such directories the systems of the same name are compared.",
        .examples = "  layeval compare runs/mindmerger runs/layalign\n"
                    "  layeval compare runs/demo/mgsm --format md\n"
                    "  layeval compare runs/old runs/new --score strict --flips flips.jsonl",
    };
    const struct lay_option options[] = {
        LAY_CHOICE_OPTIONS(a.choice),
        {.name = "format",
         .kind = LAY_OPTION_STRING,
         .argument = "NAME",
         .value = &a.format,
         .help = "terminal (default), md, csv or json"},
        {.name = "flips",
         .kind = LAY_OPTION_STRING,
         .argument = "FILE|N",
         .value = &a.flips,
         .help = "write all flipped samples to FILE as JSON lines, or show both outputs of the\nfirst N of "
                 "every language (default: only ids)"},
        {.name = "seed",
         .kind = LAY_OPTION_INT,
         .argument = "N",
         .value = &a.seed,
         .max = INT64_MAX,
         .help = "of the bootstrap (default: 0)"},
        {.name = "resamples",
         .kind = LAY_OPTION_INT,
         .argument = "N",
         .value = &a.resamples,
         .min = LAY_RESAMPLES,
         .max = 1000000,
         .help = "of the bootstrap, 10000 (default) to 1000000"},
    };
    enum lay_status status = lay_options_parse(&usage, options, sizeof options / sizeof *options, argc, argv,
                                               &a.directories, &help, &err);
    if (status == LAY_OK && !help)
        status = compare(&a, &err);
    lay_option_list_free(&a.directories);
    lay_option_list_free(&a.choice.tasks);
    lay_option_list_free(&a.choice.languages);
    return status == LAY_OK ? 0 : lay_report_error("compare", &err);
}

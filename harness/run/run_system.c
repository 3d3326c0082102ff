#include "harness/run/run_system.h"

#include "engine/base/clock.h"
#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "harness/run/answer.h"
#include "harness/run/items.h"
#include "harness/run/results.h"
#include "harness/run/signals.h"
#include "reports/training.h"

#include <stdio.h>
#include <string.h>

#define DEFAULT_PROMPT_SET "mindmerger"
#define DEFAULT_MAX_NEW_TOKENS 512 /* of the official evaluation code */

struct lay_items_options lay_run_system_items(const struct lay_run_system *run,
                                              const struct lay_workload *workload)
{
    return (struct lay_items_options){.workload = workload,
                                      .prompts = run->prompts,
                                      .reads_source = lay_system_reads_source(run->system),
                                      .reads_prompt = lay_system_reads_prompt(run->system)};
}

/* --- opening --- */

static bool is_path(const char *name)
{
    const size_t length = strlen(name);
    return strchr(name, '/') || (length > 5 && strcmp(name + length - 5, ".json") == 0);
}

/* A path in a system file is relative to that file, one on the command line to where we are. */
static enum lay_status open_prompts(const char *system_path, const struct lay_run_options *options,
                                    struct lay_run_system *run, struct lay_err *err)
{
    const char *name = lay_system_prompt_set(run->system);
    if (options->prompt_set)
        return lay_prompt_set_open(NULL, options->prompt_set, &run->prompts, err);
    if (!*name)
        name = DEFAULT_PROMPT_SET;
    if (!is_path(name))
        return lay_prompt_set_open(NULL, name, &run->prompts, err);
    char *folder = lay_path_dirname(system_path);
    char *path = folder ? lay_path_join(folder, name) : NULL;
    const enum lay_status status =
        path ? lay_prompt_set_open(NULL, path, &run->prompts, err) : lay_no_memory(err, "a path");
    lay_free(folder);
    lay_free(path);
    return status;
}

/* Systems name directories and columns. */
static enum lay_status check_name(const char *path, const char *name, struct lay_err *err)
{
    bool good = *name && *name != '.' && strlen(name) <= 100;
    for (const char *at = name; *at && good; at++)
        good = *at != '/' && *at != '\\' && (unsigned char)*at >= 0x20 && *at != 0x7f;
    if (good)
        return LAY_OK;
    return lay_fail(
        err, LAY_ERR_INPUT,
        "%s: \"name\" must be 1 to 100 bytes without slashes and not begin with a dot: it names a "
        "directory",
        path);
}

static enum lay_status try_prompts(const struct lay_run_system *run, const struct lay_workload *workload,
                                   struct lay_err *err)
{
    const struct lay_items_options options = lay_run_system_items(run, workload);
    for (size_t c = 0; c < workload->count; c++) {
        struct lay_item item;
        LAY_TRY(
            lay_item_render(&options, &workload->cells[c], &workload->cells[c].data->samples[0], &item, err));
        lay_item_free(&item);
    }
    return LAY_OK;
}

enum lay_status lay_run_system_open(const char *path, const struct lay_run_options *options,
                                    const struct lay_workload *workload, struct lay_run_system *run,
                                    struct lay_err *err)
{
    *run = (struct lay_run_system){0};
    LAY_TRY(lay_system_open(path, &options->system, &run->system, err));
    LAY_TRY(check_name(path, lay_system_name(run->system), err));
    LAY_TRY(open_prompts(path, options, run, err));
    run->max_new_tokens = lay_system_max_new_tokens(run->system);
    if (run->max_new_tokens == 0)
        run->max_new_tokens = lay_prompt_max_new_tokens(run->prompts);
    if (run->max_new_tokens == 0)
        run->max_new_tokens = DEFAULT_MAX_NEW_TOKENS;
    const enum lay_status status = try_prompts(run, workload, err);
    return status == LAY_OK ? LAY_OK : lay_err_context(err, status, "%s", path);
}

void lay_run_system_close(struct lay_run_system *run)
{
    lay_system_result_free(&run->result);
    lay_free(run->training);
    lay_journal_free(&run->journal);
    cJSON_Delete(run->manifest);
    lay_rundir_close(run->lock);
    lay_free(run->dir);
    lay_prompt_set_close(run->prompts);
    lay_system_close(run->system);
    *run = (struct lay_run_system){0};
}

/* --- the run directory --- */

enum lay_status lay_run_system_manifest(const struct lay_run_system *run,
                                        const struct lay_run_options *options,
                                        const struct lay_workload *workload, cJSON **manifest,
                                        struct lay_err *err)
{
    const struct lay_manifest_inputs inputs = {.system = run->system,
                                               .prompts = run->prompts,
                                               .workload = workload,
                                               .max_new_tokens = run->max_new_tokens,
                                               .official_batch = options->system.official_batch,
                                               .limit = options->limit,
                                               .shard = options->shard,
                                               .match = options->match};
    return lay_manifest_build(&inputs, manifest, err);
}

static enum lay_status read_journal(struct lay_run_system *run, struct lay_err *err)
{
    bool there;
    LAY_TRY(lay_rundir_holds(run->dir, LAY_JOURNAL_FILE, &there, err));
    if (!there)
        return LAY_OK;
    LAY_TRY(lay_journal_read(run->dir, &run->journal, err));
    if (run->journal.manifest_hash[0] && strcmp(run->journal.manifest_hash, run->manifest_hash) != 0)
        return lay_fail(err, LAY_ERR_INPUT,
                        "%s: " LAY_JOURNAL_FILE " belongs to another " LAY_MANIFEST_FILE
                        " (%s, not %s); one of them was changed: name another --out",
                        run->dir, run->journal.manifest_hash, run->manifest_hash);
    return LAY_OK;
}

/* How the bridge was trained, if that stands beside it. */
static enum lay_status read_training(struct lay_run_system *run, struct lay_err *err)
{
    const char *bridge = lay_system_bridge_path(run->system);
    return bridge ? lay_training_read_beside(bridge, &run->training, err) : LAY_OK;
}

enum lay_status lay_run_system_prepare(struct lay_run_system *run, const char *dir,
                                       const struct lay_run_options *options,
                                       const struct lay_workload *workload, struct lay_err *err)
{
    cJSON *wanted;
    bool there;
    run->dir = lay_strdup(dir);
    if (!run->dir)
        return lay_no_memory(err, "a path");
    LAY_TRY(lay_rundir_open(dir, &run->lock, err));
    LAY_TRY(lay_rundir_refuse_stray(dir, err));
    LAY_TRY(lay_rundir_holds(dir, LAY_MANIFEST_FILE, &there, err));
    if (!there)
        return read_training(run, err);
    LAY_TRY(lay_manifest_read(dir, &run->manifest, run->manifest_hash, err));
    LAY_TRY(lay_run_system_manifest(run, options, workload, &wanted, err));
    const enum lay_status status = lay_manifest_compare(dir, run->manifest, wanted, true, err);
    cJSON_Delete(wanted);
    LAY_TRY(status);
    return read_journal(run, err);
}

/* With the weights known: a new manifest is written, an old one must agree to the last key. */
static enum lay_status settle_manifest(struct lay_run_system *run, const struct lay_run_options *options,
                                       const struct lay_workload *workload, struct lay_err *err)
{
    cJSON *wanted;
    LAY_TRY(lay_run_system_manifest(run, options, workload, &wanted, err));
    if (run->manifest) {
        const enum lay_status status = lay_manifest_compare(run->dir, run->manifest, wanted, false, err);
        cJSON_Delete(wanted);
        return status;
    }
    run->manifest = wanted;
    if (run->training) /* in front of the manifest, without which there is no run */
        LAY_TRY(lay_training_write(run->training, run->dir, err));
    return lay_manifest_write(run->dir, wanted, run->manifest_hash, err);
}

static enum lay_status check_items(struct lay_run_system *run, const struct lay_items *items,
                                   struct lay_err *err)
{
    for (size_t i = 0; i < items->count; i++) {
        const struct lay_item *item = &items->list[i];
        const struct lay_request request = {
            .source = item->source, .prompt = item->prompt, .language = item->cell->language->nllb};
        const enum lay_status status = lay_system_check_fit(run->system, &request, run->max_new_tokens, err);
        if (status != LAY_OK)
            return lay_err_context(err, status, "system %s: %s %s %lld", lay_system_name(run->system),
                                   item->cell->task->name, item->cell->language->iso,
                                   (long long)item->sample->id);
    }
    return LAY_OK;
}

enum lay_status lay_run_system_check_fit(struct lay_run_system *run, const struct lay_workload *workload,
                                         struct lay_err *err)
{
    const struct lay_items_options how = lay_run_system_items(run, workload);
    struct lay_items items;
    /* nearly always, and without a look at the samples */
    if (lay_system_check_fit(run->system, NULL, run->max_new_tokens, NULL) == LAY_OK)
        return LAY_OK;
    LAY_TRY(lay_items_create(&how, &items, err));
    const enum lay_status status = check_items(run, &items, err);
    lay_items_free(&items);
    return status;
}

/* --- evaluating --- */

static enum lay_status load(struct lay_run_system *run, struct lay_progress *progress,
                            struct lay_timing *timing, struct lay_err *err)
{
    const double start = lay_clock_now();
    LAY_TRY(lay_system_load(run->system, lay_progress_load, progress, err));
    if (!progress->quiet)
        fputs(lay_system_notes(run->system), stderr);
    timing->load_seconds = lay_clock_now() - start;
    lay_timing_sample(timing);
    return LAY_OK;
}

/* Where something stopped a run that can go on: not after a complaint about what it was given. */
static void say_what_is_safe(const struct lay_run_system *run, const struct lay_items *items,
                             enum lay_status status)
{
    const bool stopped = status == LAY_ERR_INTERRUPTED || status == LAY_ERR_IO;
    if (stopped || (items->done > 0 && (status == LAY_ERR_MEMORY || status == LAY_ERR_INTERNAL)))
        fprintf(stderr, "%s: %zu of %zu samples are safe in %s; repeat the command to continue\n",
                lay_system_name(run->system), items->done, items->wanted, run->dir);
}

static enum lay_status answer(struct lay_run_system *run, const struct lay_run_options *options,
                              struct lay_answering *answering, struct lay_err *err)
{
    struct lay_err close_err = {0};
    size_t unsaved = 0;
    LAY_TRY(lay_journal_open(run->dir, run->manifest_hash, &run->journal, &answering->journal, err));
    enum lay_status status = lay_answer_items(answering, err);
    /* an error on the way outranks one in closing */
    answering->timing->journal_seconds = lay_journal_seconds(answering->journal);
    const enum lay_status closed = lay_journal_close(answering->journal, &unsaved, &close_err);
    answering->items->done -= unsaved;
    if (status == LAY_OK && closed != LAY_OK)
        status = lay_fail(err, closed, "%s", close_err.message);
    lay_progress_end(answering->progress);
    if (answering->first_error[0] && !options->quiet)
        fprintf(stderr, "%s: %zu samples ended in an error, the first: %s\n", lay_system_name(run->system),
                answering->timing->errors, answering->first_error);
    return status;
}

static enum lay_status generate(struct lay_run_system *run, const struct lay_run_options *options,
                                const struct lay_workload *workload, const struct lay_items_options *how,
                                struct lay_items *items, size_t correct, struct lay_err *err)
{
    struct lay_progress progress;
    struct lay_timing timing;
    lay_progress_init(&progress, lay_system_name(run->system), options->quiet);
    lay_timing_start(&timing);
    if (items->done > 0 && !options->quiet)
        fprintf(stderr, "%s: resuming, %zu of %zu samples are done\n", lay_system_name(run->system),
                items->done, items->wanted);
    LAY_TRY(load(run, &progress, &timing, err));
    LAY_TRY(settle_manifest(run, options, workload, err));
    struct lay_answering answering = {.system = run->system,
                                      .items = items,
                                      .options = how,
                                      .max_new_tokens = run->max_new_tokens,
                                      .official_batch = (size_t)options->system.official_batch,
                                      .match = options->match,
                                      .progress = &progress,
                                      .timing = &timing};
    lay_progress_start(&progress, items->wanted, items->done, correct);
    lay_signals_defer(true);
    const enum lay_status status = answer(run, options, &answering, err);
    const struct lay_timing_context context = {.stats = lay_system_stats(run->system),
                                               .batch_size = options->system.batch_size,
                                               .threads = options->threads,
                                               .complete = status == LAY_OK};
    const enum lay_status timed =
        lay_timing_write(&timing, &context, run->dir, status == LAY_OK ? err : NULL);
    return status != LAY_OK ? status : timed;
}

/* From here on only what the disk holds counts. */
static enum lay_status seal(struct lay_run_system *run, const struct lay_items_options *how,
                            const struct lay_items *items, struct lay_err *err)
{
    lay_journal_free(&run->journal);
    LAY_TRY(lay_journal_read(run->dir, &run->journal, err));
    LAY_TRY(lay_items_sort(how, items, &run->journal, err));
    return run->journal.sealed ? LAY_OK : lay_journal_seal(run->dir, &run->journal, err);
}

static enum lay_status report(struct lay_run_system *run, const struct lay_run_options *options,
                              struct lay_err *err)
{
    const struct lay_results_options how = {
        .dir = run->dir, .match = options->match, .log_samples = options->log_samples};
    if (options->predict_only)
        return LAY_OK;
    LAY_TRY(lay_results_collect(&run->journal, run->manifest, options->match, &run->result, err));
    LAY_TRY(lay_training_read(run->dir, &run->result.training, err));
    return lay_results_write(&run->result, &how, err);
}

enum lay_status lay_run_system_evaluate(struct lay_run_system *run, const struct lay_run_options *options,
                                        const struct lay_workload *workload, struct lay_err *err)
{
    const struct lay_items_options how = lay_run_system_items(run, workload);
    struct lay_items items;
    size_t correct;
    LAY_TRY(lay_items_create(&how, &items, err));
    enum lay_status status = lay_items_mark(&how, &items, &run->journal, options->match, &correct, err);
    if (status == LAY_OK && items.done < items.wanted)
        status = generate(run, options, workload, &how, &items, correct, err);
    else if (status == LAY_OK && !options->quiet)
        fprintf(stderr, "%s: all %zu samples are done; nothing to generate\n", lay_system_name(run->system),
                items.wanted);
    lay_signals_defer(true); /* the reports take a moment and are then whole */
    if (status == LAY_OK)
        status = seal(run, &how, &items, err);
    if (status == LAY_OK)
        status = report(run, options, err);
    say_what_is_safe(run, &items, status);
    lay_signals_defer(false);
    lay_items_free(&items);
    return status;
}

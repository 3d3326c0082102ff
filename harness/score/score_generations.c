#include "harness/run/generations.h"
#include "harness/run/loaded.h"
#include "harness/run/manifest.h"
#include "harness/run/results.h"
#include "harness/run/rundir.h"
#include "harness/score/score.h"

#include <stdio.h>

/* What the file became. */
struct scored {
    cJSON *manifest;
    struct lay_journal journal;
    struct lay_system_result result;
    struct lay_rundir *lock; /* of the directory written to */
};

static void scored_free(struct scored *scored)
{
    lay_rundir_close(scored->lock);
    lay_system_result_free(&scored->result);
    lay_journal_free(&scored->journal);
    cJSON_Delete(scored->manifest);
}

/* With manifest and journal, so that what is left can be scored again. */
static enum lay_status write_generations(const struct lay_score_arguments *arguments, struct scored *scored,
                                         enum lay_match match, struct lay_err *err)
{
    const struct lay_results_options options = {
        .dir = arguments->out, .match = match, .log_samples = !arguments->no_samples};
    LAY_TRY(lay_rundir_open(arguments->out, &scored->lock, err));
    LAY_TRY(lay_rundir_refuse_other(arguments->out, scored->manifest, err));
    LAY_TRY(lay_manifest_write(arguments->out, scored->manifest, scored->journal.manifest_hash, err));
    LAY_TRY(lay_journal_seal(arguments->out, &scored->journal, err));
    return lay_results_write(&scored->result, &options, err);
}

static enum lay_status score_generations(const struct lay_score_arguments *arguments,
                                         const struct lay_generations_options *options, struct lay_err *err)
{
    struct scored scored = {0};
    size_t other_filters;
    enum lay_status status;
    LAY_TRY_GOTO(status,
                 lay_generations_read(options, &scored.journal, &scored.manifest, &other_filters, err), done);
    if (other_filters)
        fprintf(
            stderr,
            "layeval score: %s: %zu lines repeat an answer for another filter; the first line's filter was "
            "read\n",
            options->file, other_filters);
    LAY_TRY_GOTO(status,
                 lay_results_collect(&scored.journal, scored.manifest, options->match, &scored.result, err),
                 done);
    if (arguments->print_extracted)
        LAY_TRY_GOTO(status, lay_score_print_extracted(&scored.journal, &scored.result, err), done);
    if (arguments->out)
        LAY_TRY_GOTO(status, write_generations(arguments, &scored, options->match, err), done);
    status = lay_score_print(arguments, &scored.result, 1, false, err);
done:
    scored_free(&scored);
    return status;
}

enum lay_status lay_score_generations(const struct lay_score_arguments *arguments, struct lay_err *err)
{
    struct lay_generations_options options = {.file = arguments->generations, .name = arguments->name};
    struct lay_prompt_set *prompts = NULL;
    if (!arguments->task || !arguments->language)
        return lay_fail(err, LAY_ERR_USAGE, "--generations needs --task and --lang");
    LAY_TRY(lay_match_parse(arguments->match ? arguments->match : "tolerance", &options.match, err));
    LAY_TRY(lay_languages_load(NULL, err));
    LAY_TRY(lay_task_find(arguments->task, &options.task, err));
    options.language = lay_language_find(arguments->language);
    if (!options.language || !lay_language_in(options.language, options.task->name))
        return lay_fail(err, LAY_ERR_USAGE, "--lang: %s has no language \"%s\"; see `layeval tasks`",
                        options.task->name, arguments->language);
    if (arguments->prompt_set)
        LAY_TRY(lay_prompt_set_open(lay_data_dir(), arguments->prompt_set, &prompts, err));
    options.prompts = prompts;
    const enum lay_status status = score_generations(arguments, &options, err);
    lay_prompt_set_close(prompts);
    return status;
}

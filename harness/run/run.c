#include "harness/run/run.h"

#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "harness/run/check.h"
#include "harness/run/reporting.h"
#include "harness/run/results.h"
#include "harness/run/run_system.h"
#include "harness/run/signals.h"
#include "harness/run/write_out.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* All systems of one command. */
struct session {
    const struct lay_run_options *options;
    struct lay_workload workload;
    struct lay_run_system *systems;
    size_t count;
    struct lay_check *checks; /* [count]; NULL without --check-against */
    struct lay_rundir *lock;  /* of the directory above several systems */
};

static enum lay_status load_workload(struct session *s, struct lay_err *err)
{
    const struct lay_run_options *o = s->options;
    struct lay_str notes = {0};
    const struct lay_workload_options options = {.tasks = &o->tasks,
                                                 .languages = &o->languages,
                                                 .layouts = &o->layouts,
                                                 .data_dir = o->data_dir,
                                                 .limit = o->limit,
                                                 .whole_file = o->system.official_batch > 0};
    enum lay_status status = lay_workload_load(&options, &s->workload, &notes, err);
    if (status == LAY_OK)
        status = lay_shard_choose(o->shard, o->system.official_batch, &s->workload, err);
    if (status == LAY_OK && !o->quiet)
        fputs(lay_str_text(&notes), stderr);
    lay_str_free(&notes);
    return status;
}

static enum lay_status open_systems(struct session *s, struct lay_err *err)
{
    const struct lay_option_list *paths = &s->options->systems;
    s->systems = lay_alloc(paths->count, sizeof *s->systems);
    if (!s->systems)
        return lay_no_memory(err, "the systems");
    for (size_t i = 0; i < paths->count; i++) {
        s->count++;
        LAY_TRY(lay_run_system_open(paths->items[i], s->options, &s->workload, &s->systems[i], err));
        for (size_t j = 0; j < i; j++)
            if (strcmp(lay_system_name(s->systems[i].system), lay_system_name(s->systems[j].system)) == 0)
                return lay_fail(err, LAY_ERR_INPUT,
                                "%s: is called \"%s\" like %s; change one \"name\": it names the directory",
                                paths->items[i], lay_system_name(s->systems[i].system), paths->items[j]);
    }
    return LAY_OK;
}

/* The plan: on stdout when it is all that was asked for. */
static enum lay_status print_plan(const struct session *s, struct lay_err *err)
{
    FILE *stream = s->options->dry_run ? stdout : stderr;
    const struct lay_workload *workload = &s->workload;
    for (size_t i = 0; i < s->count; i++) {
        struct lay_str text = {0};
        enum lay_status status = lay_system_plan(s->systems[i].system, &text, err);
        if (status == LAY_OK && (s->options->dry_run || !s->options->quiet))
            fprintf(stream, "%s\n", lay_str_text(&text));
        lay_str_free(&text);
        if (status == LAY_OK)
            status = lay_run_system_check_fit(&s->systems[i], workload, err);
        LAY_TRY(status);
    }
    if (!s->options->dry_run)
        return LAY_OK;
    for (size_t c = 0; c < workload->count; c++)
        fprintf(stream, "%s %s: %zu of %zu samples of %s (%s)\n", workload->cells[c].task->name,
                workload->cells[c].language->iso, workload->cells[c].n_chosen, workload->cells[c].data->total,
                workload->cells[c].file, workload->cells[c].data->layout);
    fprintf(stream, "%zu samples for each of %zu systems", workload->samples, s->count);
    if (s->options->shard.count > 0)
        fprintf(stream, " (shard %lld of %lld)", (long long)s->options->shard.index,
                (long long)s->options->shard.count);
    fputc('\n', stream);
    return LAY_OK;
}

static enum lay_status write_out(const struct session *s, struct lay_err *err)
{
    for (size_t i = 0; i < s->count && s->options->write_out > 0; i++)
        LAY_TRY(lay_write_out(s->systems[i].system, s->systems[i].prompts, &s->workload,
                              (size_t)s->options->write_out, stdout, err));
    return LAY_OK;
}

/* One system works in the directory itself; several have one each below it. */
static enum lay_status prepare_directories(struct session *s, struct lay_err *err)
{
    const char *out = s->options->out_dir;
    if (s->count == 1)
        return lay_run_system_prepare(&s->systems[0], out, s->options, &s->workload, err);
    LAY_TRY(lay_rundir_open_above(out, &s->lock, err));
    for (size_t i = 0; i < s->count; i++) {
        char *dir = lay_path_join(out, lay_system_name(s->systems[i].system));
        const enum lay_status status =
            dir ? lay_run_system_prepare(&s->systems[i], dir, s->options, &s->workload, err)
                : lay_no_memory(err, "a path");
        lay_free(dir);
        LAY_TRY(status);
    }
    return LAY_OK;
}

/* Every run directory has its own, the one above several has them over all. */
static enum lay_status write_reports(const struct session *s, const struct lay_system_result *results,
                                     struct lay_err *err)
{
    const struct lay_option_list *formats = &s->options->reports;
    for (size_t i = 0; i < s->count; i++)
        LAY_TRY(lay_reporting_write(&results[i], 1, formats, s->systems[i].dir, err));
    return s->count > 1 ? lay_reporting_write(results, s->count, formats, s->options->out_dir, err) : LAY_OK;
}

static enum lay_status combine(struct session *s, struct lay_err *err)
{
    struct lay_system_result *results = lay_alloc(s->count, sizeof *results);
    if (!results)
        return lay_no_memory(err, "the results");
    for (size_t i = 0; i < s->count; i++)
        results[i] = s->systems[i].result; /* lent: freed with the systems */
    enum lay_status status = LAY_OK;
    if (s->count > 1)
        status = lay_results_write_combined(results, s->count, s->options->out_dir, err);
    if (status == LAY_OK)
        status = write_reports(s, results, err);
    if (status == LAY_OK)
        status = lay_results_print(results, s->count, stdout, err);
    lay_free(results);
    return status;
}

/* Before anything is loaded, so that a run that cannot be compared is refused at once. */
static enum lay_status open_checks(struct session *s, struct lay_err *err)
{
    if (!s->options->check_against)
        return LAY_OK;
    s->checks = lay_alloc(s->count, sizeof *s->checks);
    if (!s->checks)
        return lay_no_memory(err, "the checks");
    for (size_t i = 0; i < s->count; i++)
        LAY_TRY(lay_check_open(&s->systems[i], s->options, &s->workload, &s->checks[i], err));
    return LAY_OK;
}

static enum lay_status evaluate_one(struct session *s, size_t i, struct lay_err *err)
{
    LAY_TRY(lay_run_system_evaluate(&s->systems[i], s->options, &s->workload, err));
    if (!s->checks)
        return LAY_OK;
    return lay_check_run(&s->checks[i], &s->systems[i], s->options->systems.items[i], s->options,
                         &s->workload, err);
}

static enum lay_status evaluate(struct session *s, struct lay_err *err)
{
    LAY_TRY(open_checks(s, err));
    LAY_TRY(prepare_directories(s, err));
    for (size_t i = 0; i < s->count; i++) {
        LAY_TRY(evaluate_one(s, i, err));
        lay_system_close(s->systems[i].system); /* its weights make room for the next */
        s->systems[i].system = NULL;
        if (lay_signals_stop && i + 1 < s->count)
            return lay_fail(err, LAY_ERR_INTERRUPTED,
                            "interrupted; %zu of %zu systems are done; repeat the command to continue", i + 1,
                            s->count);
    }
    LAY_TRY(s->options->predict_only ? LAY_OK : combine(s, err));
    for (size_t i = 0; i < s->count && s->checks; i++)
        lay_check_print(&s->checks[i], stdout);
    return LAY_OK;
}

enum lay_status lay_run(const struct lay_run_options *options, struct lay_err *err)
{
    struct session s = {.options = options};
    enum lay_status status;
    lay_signals_install();
    LAY_TRY_GOTO(status, lay_languages_load(NULL, err), done);
    LAY_TRY_GOTO(status, load_workload(&s, err), done);
    LAY_TRY_GOTO(status, open_systems(&s, err), done);
    LAY_TRY_GOTO(status, print_plan(&s, err), done);
    LAY_TRY_GOTO(status, write_out(&s, err), done);
    if (!options->dry_run)
        status = evaluate(&s, err);
done:
    for (size_t i = 0; i < s.count && s.checks; i++)
        lay_check_close(&s.checks[i]);
    lay_free(s.checks);
    for (size_t i = 0; i < s.count; i++)
        lay_run_system_close(&s.systems[i]);
    lay_free(s.systems);
    lay_rundir_close(s.lock);
    lay_workload_free(&s.workload);
    return status;
}

#include "harness/analyze/analyze.h"

#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "harness/run/rundir.h"
#include "harness/run/signals.h"

#include <stdio.h>
#include <string.h>

/* One system on its way. */
struct subject {
    struct lay_system *system;
    char *name;
    char *dir; /* where its files go */
    struct lay_rundir *lock;
    struct lay_analysis *analysis;
};

struct analyses {
    const struct lay_analyze_options *options;
    struct lay_parallel parallel;
    struct lay_analysis_language languages[LAY_PARALLEL_LANGUAGES_MAX];
    struct subject *subjects;
    size_t count;
    struct lay_rundir *above; /* of several systems */
};

static enum lay_status read_sentences(struct analyses *a, struct lay_err *err)
{
    const struct lay_analyze_options *o = a->options;
    LAY_TRY(lay_languages_load(NULL, err));
    LAY_TRY(lay_parallel_read(&o->data, &a->parallel, err));
    for (size_t i = 0; i < a->parallel.n_languages; i++) {
        const struct lay_parallel_language *language = &a->parallel.languages[i];
        a->languages[i] =
            (struct lay_analysis_language){language->code, language->name, language->right_to_left};
    }
    if (o->pair && lay_parallel_find(&a->parallel, o->pair) == a->parallel.n_languages)
        return lay_fail(err, LAY_ERR_USAGE, "--pair: the sentences have no \"%s\"", o->pair);
    if (o->wanted[LAY_FIGURE_TOKENS] && (size_t)o->sentence >= a->parallel.count)
        return lay_fail(err, LAY_ERR_USAGE, "--sentence %lld: there are sentences 0 to %zu",
                        (long long)o->sentence, a->parallel.count - 1);
    return LAY_OK;
}

/* --- where files go --- */

static enum lay_status claim(const char *dir, struct lay_rundir **lock, struct lay_err *err)
{
    bool is_run;
    LAY_TRY(lay_rundir_open(dir, lock, err));
    LAY_TRY(lay_rundir_holds(dir, "manifest.json", &is_run, err));
    return is_run ? lay_fail(err, LAY_ERR_INPUT, "%s: holds a run; name another --out", dir) : LAY_OK;
}

static enum lay_status open_subject(struct analyses *a, size_t i, struct lay_err *err)
{
    const struct lay_analyze_options *o = a->options;
    struct subject *s = &a->subjects[i];
    LAY_TRY(lay_system_open(o->systems->items[i], &o->system, &s->system, err));
    const char *name = lay_system_name(s->system);
    for (size_t j = 0; j < i; j++)
        if (strcmp(lay_system_name(a->subjects[j].system), name) == 0)
            return lay_fail(err, LAY_ERR_USAGE,
                            "two systems are called \"%s\"; they would write the same files", name);
    s->name = lay_strdup(name);
    s->dir = a->count > 1 ? lay_path_join(o->out_dir, name) : lay_strdup(o->out_dir);
    return s->name && s->dir ? LAY_OK : lay_no_memory(err, "a path");
}

/* --- systems --- */

static void report(const struct subject *s)
{
    printf("%s: %s\n", s->name, s->dir);
    for (int f = 0; f < LAY_FIGURE_COUNT; f++) {
        const struct lay_figure_info *info = lay_figure_info((enum lay_figure)f);
        if (lay_analysis_has(s->analysis, (enum lay_figure)f))
            printf("  %-15s %s\n", info->name, info->file);
        else if (s->analysis->missing[f])
            printf("  %-15s left out: %s\n", info->name, s->analysis->missing[f]);
    }
}

/* Weights are in memory for one system at a time. */
static enum lay_status analyse(struct analyses *a, struct subject *s, struct lay_err *err)
{
    LAY_TRY(lay_analyze_system(a->options, &a->parallel, a->languages, s->system, &s->analysis, err));
    LAY_TRY(lay_analyze_write(a->options, &a->parallel, s->system, s->analysis, s->dir, err));
    report(s);
    lay_system_close(s->system);
    s->system = NULL;
    return LAY_OK;
}

/* Several systems side by side. */
static enum lay_status write_overview(const struct analyses *a, struct lay_err *err)
{
    struct lay_analysed *list = lay_alloc(a->count, sizeof *list);
    if (!list)
        return lay_no_memory(err, "an overview");
    for (size_t i = 0; i < a->count; i++)
        list[i] = (struct lay_analysed){a->subjects[i].name, a->subjects[i].analysis};
    const enum lay_status status = lay_analyze_write_page(list, a->count, a->options->out_dir, err);
    lay_free(list);
    if (status == LAY_OK)
        printf("all: %s/analysis.html\n", a->options->out_dir);
    return status;
}

static enum lay_status run(struct analyses *a, struct lay_err *err)
{
    a->subjects = lay_alloc(a->options->systems->count, sizeof *a->subjects);
    if (!a->subjects)
        return lay_no_memory(err, "systems");
    a->count = a->options->systems->count;
    LAY_TRY(read_sentences(a, err));
    for (size_t i = 0; i < a->count; i++)
        LAY_TRY(open_subject(a, i, err));
    if (a->count > 1)
        LAY_TRY(lay_rundir_open_above(a->options->out_dir, &a->above, err));
    for (size_t i = 0; i < a->count; i++)
        LAY_TRY(claim(a->subjects[i].dir, &a->subjects[i].lock, err));
    for (size_t i = 0; i < a->count; i++)
        LAY_TRY(analyse(a, &a->subjects[i], err));
    return a->count > 1 ? write_overview(a, err) : LAY_OK;
}

enum lay_status lay_analyze(const struct lay_analyze_options *options, struct lay_err *err)
{
    struct analyses analyses = {.options = options};
    lay_signals_install();
    const enum lay_status status = run(&analyses, err);
    for (size_t i = 0; i < analyses.count; i++) {
        struct subject *s = &analyses.subjects[i];
        lay_analysis_destroy(s->analysis);
        lay_rundir_close(s->lock);
        lay_free(s->dir);
        lay_free(s->name);
        lay_system_close(s->system);
    }
    lay_rundir_close(analyses.above);
    lay_free(analyses.subjects);
    lay_parallel_free(&analyses.parallel);
    return status;
}

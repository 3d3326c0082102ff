#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "harness/run/loaded.h"
#include "harness/run/manifest.h"
#include "harness/run/results.h"
#include "harness/run/rundir.h"
#include "harness/score/score.h"
#include "reports/training.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A run that is scored, with the lock of the directory written to. */
struct scored {
    struct lay_loaded run;
    struct lay_rundir *lock;
};

static void scored_free(struct scored *scored)
{
    lay_rundir_close(scored->lock);
    lay_loaded_free(&scored->run);
}

static enum lay_status copy_file(const char *from, const char *to, const char *name, struct lay_err *err)
{
    struct lay_str content = {0};
    char *source = lay_path_join(from, name), *target = lay_path_join(to, name);
    enum lay_status status = source && target ? LAY_OK : lay_no_memory(err, "a path");
    if (status == LAY_OK)
        status = lay_file_read(source, SIZE_MAX, &content, err);
    if (status == LAY_OK)
        status = lay_file_write(target, lay_str_text(&content), content.length, err);
    lay_str_free(&content);
    lay_free(source);
    lay_free(target);
    return status;
}

static enum lay_status write_run(const struct lay_score_arguments *arguments, const char *out,
                                 const struct lay_loaded *run, struct lay_err *err)
{
    const struct lay_results_options options = {
        .dir = out, .match = run->match, .log_samples = !arguments->no_samples};
    if (!lay_path_same(run->dir, out)) {
        LAY_TRY(lay_rundir_refuse_other(out, run->manifest, err));
        LAY_TRY(lay_training_copy(run->dir, out, err));
        LAY_TRY(copy_file(run->dir, out, LAY_MANIFEST_FILE, err));
        LAY_TRY(copy_file(run->dir, out, LAY_JOURNAL_FILE, err));
    }
    return lay_results_write(&run->result, &options, err);
}

/* `out` may be `dir`. */
static enum lay_status score_run(const struct lay_score_arguments *arguments, const char *dir,
                                 const char *out, struct scored *scored, struct lay_err *err)
{
    LAY_TRY(lay_rundir_open(out, &scored->lock, err));
    LAY_TRY(lay_loaded_open(dir, arguments->match, &scored->run, err));
    lay_loaded_note_missing(&scored->run, "score", stderr);
    return write_run(arguments, out, &scored->run, err);
}

static enum lay_status score_several(const struct lay_score_arguments *arguments, const char *dir,
                                     const struct lay_dir *runs, struct lay_err *err)
{
    const char *out = arguments->out ? arguments->out : dir;
    struct scored *scored = lay_alloc(runs->count, sizeof *scored);
    struct lay_system_result *results = lay_alloc(runs->count, sizeof *results);
    enum lay_status status = scored && results ? LAY_OK : lay_no_memory(err, "the results");
    for (size_t i = 0; i < runs->count && status == LAY_OK; i++) {
        char *from = lay_path_join(dir, runs->names[i]), *to = lay_path_join(out, runs->names[i]);
        status = from && to ? score_run(arguments, from, to, &scored[i], err) : lay_no_memory(err, "a path");
        results[i] = scored[i].run.result; /* lent */
        lay_free(from);
        lay_free(to);
    }
    if (status == LAY_OK)
        status = lay_results_write_combined(results, runs->count, out, err);
    if (status == LAY_OK)
        status = lay_score_print(arguments, results, runs->count, true, err);
    for (size_t i = 0; scored && i < runs->count; i++)
        scored_free(&scored[i]);
    lay_free(scored);
    lay_free(results);
    return status;
}

enum lay_status lay_score_directory(const struct lay_score_arguments *arguments, const char *dir,
                                    struct lay_err *err)
{
    struct lay_dir runs;
    struct scored scored = {0};
    bool several;
    LAY_TRY(lay_loaded_find(dir, &runs, &several, err));
    if (several) {
        const enum lay_status status = score_several(arguments, dir, &runs, err);
        lay_dir_free(&runs);
        return status;
    }
    enum lay_status status = score_run(arguments, dir, arguments->out ? arguments->out : dir, &scored, err);
    if (status == LAY_OK)
        status = lay_score_print(arguments, &scored.run.result, 1, false, err);
    scored_free(&scored);
    return status;
}

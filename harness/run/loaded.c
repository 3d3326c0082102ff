#include "harness/run/loaded.h"

#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "harness/run/manifest.h"
#include "harness/run/results.h"
#include "harness/run/shard.h"
#include "reports/training.h"

#include <string.h>

enum lay_status lay_match_parse(const char *name, enum lay_match *match, struct lay_err *err)
{
    for (*match = LAY_MATCH_TOLERANCE; *match <= LAY_MATCH_FLOAT_EQ; (*match)++)
        if (strcmp(name, lay_match_name(*match)) == 0)
            return LAY_OK;
    return lay_fail(err, LAY_ERR_USAGE, "--match: \"%s\" is neither tolerance nor float-eq", name);
}

/* --- one run --- */

static enum lay_status read_run(const char *match, struct lay_loaded *run, struct lay_err *err)
{
    const char *rule = lay_match_name(LAY_MATCH_TOLERANCE);
    LAY_TRY(lay_manifest_read(run->dir, &run->manifest, run->manifest_hash, err));
    LAY_TRY(lay_journal_read(run->dir, &run->journal, err));
    if (run->journal.manifest_hash[0] && strcmp(run->journal.manifest_hash, run->manifest_hash) != 0)
        return lay_fail(err, LAY_ERR_INPUT,
                        "%s: " LAY_JOURNAL_FILE " belongs to another " LAY_MANIFEST_FILE
                        "; put back the one it was written with",
                        run->dir);
    run->promised = lay_manifest_samples(run->manifest);
    LAY_TRY(lay_json_get_string(run->manifest, LAY_MANIFEST_FILE, "match", &rule, err));
    return lay_match_parse(match ? match : rule, &run->match, err);
}

static enum lay_status open_run(const char *dir, const char *match, bool score, struct lay_loaded *run,
                                struct lay_err *err)
{
    *run = (struct lay_loaded){.dir = lay_strdup(dir)};
    enum lay_status status = run->dir ? read_run(match, run, err) : lay_no_memory(err, "a path");
    if (status == LAY_OK && score)
        status = lay_results_take(&run->journal, run->manifest, run->match, &run->result, err);
    if (status == LAY_OK && score)
        status = lay_training_read(dir, &run->result.training, err);
    if (status != LAY_OK)
        lay_loaded_free(run);
    return status;
}

enum lay_status lay_loaded_open(const char *dir, const char *match, struct lay_loaded *run,
                                struct lay_err *err)
{
    return open_run(dir, match, true, run, err);
}

enum lay_status lay_loaded_read(const char *dir, struct lay_loaded *run, struct lay_err *err)
{
    return open_run(dir, NULL, false, run, err);
}

void lay_loaded_free(struct lay_loaded *run)
{
    lay_system_result_free(&run->result);
    lay_journal_free(&run->journal);
    cJSON_Delete(run->manifest);
    lay_free(run->dir);
    *run = (struct lay_loaded){0};
}

void lay_loaded_note_missing(const struct lay_loaded *run, const char *command, FILE *stream)
{
    if (run->promised > (int64_t)run->journal.count)
        fprintf(
            stream,
            "layeval %s: %s: %zu of %lld samples are answered and scored; finish the run with the command "
            "that started it\n",
            command, run->dir, run->journal.count, (long long)run->promised);
}

/* --- finding runs --- */

enum lay_status lay_loaded_is_run(const char *dir, bool *yes, struct lay_err *err)
{
    char *path = lay_path_join(dir, LAY_MANIFEST_FILE);
    *yes = path && lay_path_exists(path);
    lay_free(path);
    return path ? LAY_OK : lay_no_memory(err, "a path");
}

/* Whether `system` of a results.json is the one in the directory called `name`: a shard's is labelled. */
static bool is_system(const cJSON *system, const char *name)
{
    char label[LAY_SHARD_LABEL];
    const size_t length = strlen(name);
    lay_shard_label(system, label);
    return strncmp(system->string, name, length) == 0 && strcmp(system->string + length, label) == 0;
}

/* As the run listed its systems: in the order its results.json has, new ones behind. */
static enum lay_status keep_order(const char *dir, struct lay_dir *runs, struct lay_err *err)
{
    size_t placed = 0;
    cJSON *root = NULL;
    const cJSON *system;
    struct lay_err unread = {0};
    char *path = lay_path_join(dir, "results.json");
    if (!path)
        return lay_no_memory(err, "a path");
    /* One that is missing or not ours says nothing about order; one that cannot be read does not say so. */
    const enum lay_status status = lay_path_exists(path) ? lay_json_read(path, &root, &unread) : LAY_OK;
    lay_free(path);
    if (status != LAY_OK && status != LAY_ERR_INPUT)
        return lay_fail(err, status, "%s", unread.message);
    if (status != LAY_OK)
        root = NULL;
    const cJSON *ours = cJSON_GetObjectItemCaseSensitive(root, "layeval");
    cJSON_ArrayForEach(system, cJSON_GetObjectItemCaseSensitive(ours, "systems"))
    {
        size_t at = placed;
        while (at < runs->count && !is_system(system, runs->names[at]))
            at++;
        if (at == runs->count)
            continue;
        char *name = runs->names[at];
        memmove(&runs->names[placed + 1], &runs->names[placed], (at - placed) * sizeof *runs->names);
        runs->names[placed++] = name;
    }
    cJSON_Delete(root);
    return LAY_OK;
}

/* Keeps the names in `names` that are run directories below `dir`. */
static enum lay_status keep_runs(const char *dir, struct lay_dir *names, struct lay_err *err)
{
    enum lay_status status = LAY_OK;
    size_t kept = 0;
    for (size_t i = 0; i < names->count; i++) {
        bool is_run = false;
        char *path = status == LAY_OK ? lay_path_join(dir, names->names[i]) : NULL;
        if (path)
            status = lay_loaded_is_run(path, &is_run, err);
        else if (status == LAY_OK)
            status = lay_no_memory(err, "a path");
        if (is_run)
            names->names[kept++] = names->names[i];
        else
            lay_free(names->names[i]);
        lay_free(path);
    }
    names->count = kept;
    return status;
}

enum lay_status lay_loaded_find(const char *dir, struct lay_dir *runs, bool *several, struct lay_err *err)
{
    bool is_run;
    *several = false;
    *runs = (struct lay_dir){0};
    if (!lay_path_is_dir(dir))
        return lay_fail(err, LAY_ERR_INPUT, "%s: no such directory; name what `layeval run --out` wrote",
                        dir);
    LAY_TRY(lay_loaded_is_run(dir, &is_run, err));
    if (is_run)
        return LAY_OK;
    *several = true;
    LAY_TRY(lay_dir_list(dir, runs, err));
    enum lay_status status = keep_runs(dir, runs, err);
    if (status == LAY_OK)
        status = keep_order(dir, runs, err);
    if (status == LAY_OK && runs->count == 0)
        status =
            lay_fail(err, LAY_ERR_INPUT,
                     "%s: no " LAY_MANIFEST_FILE " in it nor in its subdirectories; name a directory that "
                     "`layeval run --out` wrote",
                     dir);
    if (status != LAY_OK)
        lay_dir_free(runs);
    return status;
}

/* --- several --- */

static enum lay_status add_run(const char *dir, const char *match, struct lay_loaded_list *list,
                               struct lay_err *err)
{
    for (size_t i = 0; i < list->count; i++)
        if (lay_path_same(list->runs[i].dir, dir))
            return lay_fail(err, LAY_ERR_USAGE, "%s: is there twice (as %s, too); name every run once", dir,
                            list->runs[i].dir);
    struct lay_loaded *runs = lay_realloc(list->runs, list->count + 1, sizeof *runs);
    if (!runs)
        return lay_no_memory(err, "the runs");
    list->runs = runs;
    LAY_TRY(lay_loaded_open(dir, match, &runs[list->count], err));
    list->count++;
    return LAY_OK;
}

static enum lay_status add_runs(const char *dir, const char *match, struct lay_loaded_list *list,
                                struct lay_err *err)
{
    struct lay_dir found;
    bool several;
    LAY_TRY(lay_loaded_find(dir, &found, &several, err));
    enum lay_status status = several ? LAY_OK : add_run(dir, match, list, err);
    for (size_t i = 0; i < found.count && status == LAY_OK; i++) {
        char *path = lay_path_join(dir, found.names[i]);
        status = path ? add_run(path, match, list, err) : lay_no_memory(err, "a path");
        lay_free(path);
    }
    lay_dir_free(&found);
    return status;
}

static bool name_is_shared(const struct lay_loaded_list *list, size_t at)
{
    for (size_t i = 0; i < list->count; i++)
        if (i != at && strcmp(list->runs[i].result.name, list->runs[at].result.name) == 0)
            return true;
    return false;
}

static enum lay_status make_names_unique(struct lay_loaded_list *list, struct lay_err *err)
{
    enum lay_status status = LAY_OK;
    char **names = lay_alloc(list->count + 1, sizeof *names);
    if (!names)
        return lay_no_memory(err, "the runs");
    for (size_t i = 0; i < list->count && status == LAY_OK; i++) {
        struct lay_str name = {0};
        if (!name_is_shared(list, i))
            continue;
        lay_str_printf(&name, "%s (%s)", list->runs[i].result.name, list->runs[i].dir);
        names[i] = lay_str_take(&name);
        status = names[i] ? LAY_OK : lay_no_memory(err, "the runs");
    }
    for (size_t i = 0; i < list->count; i++) {
        char *unused = names[i];
        if (names[i] && status == LAY_OK) {
            unused = list->runs[i].result.name;
            list->runs[i].result.name = names[i];
        }
        lay_free(unused);
    }
    lay_free(names);
    return status;
}

enum lay_status lay_loaded_list_open(const char *const *dirs, size_t n_dirs, const char *match,
                                     struct lay_loaded_list *list, struct lay_err *err)
{
    enum lay_status status = LAY_OK;
    *list = (struct lay_loaded_list){0};
    for (size_t i = 0; i < n_dirs && status == LAY_OK; i++)
        status = add_runs(dirs[i], match, list, err);
    if (status == LAY_OK)
        status = make_names_unique(list, err);
    if (status == LAY_OK && !(list->results = lay_alloc(list->count + 1, sizeof *list->results)))
        status = lay_no_memory(err, "the runs");
    for (size_t i = 0; i < list->count && status == LAY_OK; i++)
        list->results[i] = list->runs[i].result;
    if (status != LAY_OK)
        lay_loaded_list_free(list);
    return status;
}

void lay_loaded_list_free(struct lay_loaded_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        lay_loaded_free(&list->runs[i]);
    lay_free(list->runs);
    lay_free(list->results);
    *list = (struct lay_loaded_list){0};
}

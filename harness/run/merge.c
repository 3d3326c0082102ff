#include "harness/run/merge.h"

#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "harness/run/journal.h"
#include "harness/run/loaded.h"
#include "harness/run/manifest.h"
#include "harness/run/results.h"
#include "harness/run/rundir.h"
#include "harness/run/shard.h"
#include "harness/run/signals.h"
#include "harness/run/timing.h"
#include "reports/training.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One shard of one system. */
struct part {
    char *dir;
    struct lay_loaded run;
    struct lay_shard shard;
};

/* One system of the run. */
struct whole {
    char *dir; /* where it goes */
    struct part *parts;
    size_t count;
    cJSON *manifest;
    struct lay_journal journal;
    struct lay_rundir *lock;
    struct lay_system_result result;
};

struct merge {
    const struct lay_merge_options *options;
    struct whole *systems;
    size_t count;
    bool several; /* systems, each in a directory of its own */
    struct lay_rundir *lock;
};

static void whole_free(struct whole *whole)
{
    for (size_t i = 0; whole->parts && i < whole->count; i++) {
        lay_free(whole->parts[i].dir);
        lay_loaded_free(&whole->parts[i].run);
    }
    lay_free(whole->parts);
    lay_system_result_free(&whole->result);
    lay_journal_free(&whole->journal);
    cJSON_Delete(whole->manifest);
    lay_rundir_close(whole->lock);
    lay_free(whole->dir);
}

/* --- reading --- */

static enum lay_status read_part(struct part *part, struct lay_err *err)
{
    LAY_TRY(lay_loaded_read(part->dir, &part->run, err));
    if (!lay_shard_read(part->run.manifest, &part->shard, NULL) || part->shard.index < 1 ||
        part->shard.index > part->shard.count || part->shard.count > LAY_SHARDS_MAX)
        return lay_fail(err, LAY_ERR_INPUT,
                        "%s: is not a shard, by its " LAY_MANIFEST_FILE
                        "; name directories that `layeval run --shard` wrote",
                        part->dir);
    if (!part->run.journal.sealed || (int64_t)part->run.journal.count != part->run.promised)
        return lay_fail(err, LAY_ERR_INPUT,
                        "%s: shard %lld/%lld is not finished, %zu of %lld samples are there; repeat the "
                        "command that started it",
                        part->dir, (long long)part->shard.index, (long long)part->shard.count,
                        part->run.journal.count, (long long)part->run.promised);
    return LAY_OK;
}

/* The manifest of the run without --shard. */
static enum lay_status whole_manifest(const struct part *part, cJSON **manifest, struct lay_err *err)
{
    lay_mem_watch_cjson();
    cJSON *nothing = cJSON_CreateNull();
    *manifest = cJSON_Duplicate(part->run.manifest, true);
    if (*manifest && nothing && cJSON_ReplaceItemInObjectCaseSensitive(*manifest, "shard", nothing)) {
        if (!lay_mem_cjson_failed()) /* it may have lost the key and yet succeeded */
            return LAY_OK;
    } else {
        cJSON_Delete(nothing);
    }
    return lay_no_memory(err, "the manifest");
}

/* That the part's manifest, but for the shard, is the first one's. */
static enum lay_status compare_part(const struct whole *whole, const struct part *part, struct lay_err *err)
{
    cJSON *manifest;
    struct lay_str text = {0};
    enum lay_status status = whole_manifest(part, &manifest, err);
    if (status == LAY_OK) {
        lay_manifest_differences((struct lay_manifest_side){"there", whole->manifest},
                                 (struct lay_manifest_side){"here", manifest}, false, &text);
        status = lay_str_check(&text, err);
    }
    if (status == LAY_OK && text.length > 0)
        status = lay_fail(err, LAY_ERR_INPUT, "%s: is of another run than %s; it differs in %s", part->dir,
                          whole->parts[0].dir, lay_str_text(&text));
    lay_str_free(&text);
    cJSON_Delete(manifest);
    if (status == LAY_OK && part->shard.count != whole->parts[0].shard.count)
        status = lay_fail(err, LAY_ERR_INPUT, "%s: is shard %lld/%lld, but %s is shard %lld/%lld", part->dir,
                          (long long)part->shard.index, (long long)part->shard.count, whole->parts[0].dir,
                          (long long)whole->parts[0].shard.index, (long long)whole->parts[0].shard.count);
    return status;
}

/* Every index stands there once. */
static enum lay_status check_indices(const struct whole *whole, struct lay_err *err)
{
    const int64_t count = whole->parts[0].shard.count;
    enum lay_status status = LAY_OK;
    struct lay_str missing = {0};
    const struct part **found = lay_alloc((size_t)count, sizeof *found);
    if (!found)
        return lay_no_memory(err, "the shards");
    for (size_t i = 0; i < whole->count && status == LAY_OK; i++) {
        const struct part *part = &whole->parts[i], **place = &found[part->shard.index - 1];
        if (*place)
            status = lay_fail(err, LAY_ERR_INPUT, "%s and %s: both are shard %lld/%lld; name one of them",
                              (*place)->dir, part->dir, (long long)part->shard.index, (long long)count);
        *place = part;
    }
    for (int64_t i = 0; i < count && missing.length < 200; i++)
        if (!found[i])
            lay_str_printf(&missing, " %lld/%lld", (long long)i + 1, (long long)count);
    if (status == LAY_OK && missing.length > 0)
        status = lay_fail(err, LAY_ERR_INPUT, "shards are missing: %s%s; name the directories of all %lld",
                          lay_str_text(&missing) + 1, missing.length < 200 ? "" : " …", (long long)count);
    lay_str_free(&missing);
    lay_free(found);
    return status;
}

/* --- the journal --- */

/* Where an entry stands in the journal of the whole run. */
struct place {
    const struct part *part;
    struct lay_journal_entry *entry;
    size_t cell; /* task and language in the manifest's order */
};

static int in_order(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    if (x->cell != y->cell)
        return x->cell < y->cell ? -1 : 1;
    return (x->entry->doc_id > y->entry->doc_id) - (x->entry->doc_id < y->entry->doc_id);
}

/* The number of the entry's task and language in the manifest, and how many samples these have; false when
 * they are not there. */
static bool find_cell(const cJSON *manifest, const struct lay_journal_entry *entry, size_t *cell, int64_t *n)
{
    const cJSON *task, *language;
    *cell = 0;
    cJSON_ArrayForEach(task, cJSON_GetObjectItemCaseSensitive(manifest, "tasks"))
    {
        const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(task, "task"));
        cJSON_ArrayForEach(language, cJSON_GetObjectItemCaseSensitive(task, "languages"))
        {
            const char *iso = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(language, "language"));
            if (name && iso && strcmp(name, entry->task) == 0 && strcmp(iso, entry->language) == 0)
                return lay_json_get_int(language, LAY_MANIFEST_FILE, "n", n, NULL) == LAY_OK;
            ++*cell;
        }
    }
    return false;
}

static enum lay_status place_entries(const struct whole *whole, struct place *places, struct lay_err *err)
{
    for (size_t i = 0; i < whole->count; i++) {
        const struct part *part = &whole->parts[i];
        for (size_t j = 0; j < part->run.journal.count; j++) {
            struct lay_journal_entry *entry = &part->run.journal.entries[j];
            int64_t n = 0;
            *places = (struct place){.part = part, .entry = entry};
            if (!find_cell(whole->manifest, entry, &places->cell, &n) || entry->doc_id >= n)
                return lay_fail(err, LAY_ERR_INPUT,
                                "%s: " LAY_JOURNAL_FILE ":%zu: sample %s %s %lld does not belong to this run",
                                part->dir, j + 2, entry->task, entry->language, (long long)entry->doc_id);
            places++;
        }
    }
    return LAY_OK;
}

static enum lay_status refuse_doubles(const struct place *places, size_t count, struct lay_err *err)
{
    for (size_t i = 1; i < count; i++)
        if (in_order(&places[i - 1], &places[i]) == 0)
            return lay_fail(err, LAY_ERR_INPUT,
                            "%s and %s: sample %s %s %lld is in both; they are shards of different runs",
                            places[i - 1].part->dir, places[i].part->dir, places[i].entry->task,
                            places[i].entry->language, (long long)places[i].entry->doc_id);
    return LAY_OK;
}

/* Moves the entries of all parts into whole->journal. With no sample twice and none that is not of the run,
 * the right number of them is all of them. */
static enum lay_status join_journals(struct whole *whole, struct lay_err *err)
{
    size_t count = 0;
    enum lay_status status;
    for (size_t i = 0; i < whole->count; i++)
        count += whole->parts[i].run.journal.count;
    struct place *places = lay_alloc(count, sizeof *places);
    whole->journal.entries = lay_alloc(count, sizeof *whole->journal.entries);
    if (!places || !whole->journal.entries) {
        status = lay_no_memory(err, "the journal");
        goto done;
    }
    LAY_TRY_GOTO(status, place_entries(whole, places, err), done);
    qsort(places, count, sizeof *places, in_order);
    LAY_TRY_GOTO(status, refuse_doubles(places, count, err), done);
    if ((int64_t)count != lay_manifest_samples(whole->manifest)) {
        status =
            lay_fail(err, LAY_ERR_INPUT,
                     "%s and the others: %zu of %lld samples are there; they are shards of different runs",
                     whole->parts[0].dir, count, (long long)lay_manifest_samples(whole->manifest));
        goto done;
    }
    for (; whole->journal.count < count; whole->journal.count++) {
        whole->journal.entries[whole->journal.count] = *places[whole->journal.count].entry;
        *places[whole->journal.count].entry = (struct lay_journal_entry){0};
    }
done:
    lay_free(places);
    return status;
}

static int by_index(const void *a, const void *b)
{
    const struct part *x = a, *y = b;
    return (x->shard.index > y->shard.index) - (x->shard.index < y->shard.index);
}

/* All that is needed of one system; its parts have their directories. */
static enum lay_status read_system(struct whole *whole, struct lay_err *err)
{
    for (size_t i = 0; i < whole->count; i++) {
        LAY_TRY(read_part(&whole->parts[i], err));
        if (i == 0)
            LAY_TRY(whole_manifest(&whole->parts[0], &whole->manifest, err));
        else
            LAY_TRY(compare_part(whole, &whole->parts[i], err));
    }
    LAY_TRY(check_indices(whole, err));
    qsort(whole->parts, whole->count, sizeof *whole->parts, by_index);
    return join_journals(whole, err);
}

/* --- directories --- */

static bool holds_name(const struct lay_dir *dir, const char *name)
{
    for (size_t i = 0; i < dir->count; i++)
        if (strcmp(dir->names[i], name) == 0)
            return true;
    return false;
}

/* That a shard's directory has the systems of the first one. */
static enum lay_status same_systems(const char *first, const struct lay_dir *systems, const char *dir,
                                    const struct lay_dir *others, struct lay_err *err)
{
    for (size_t i = 0; i < systems->count; i++)
        if (!holds_name(others, systems->names[i]))
            return lay_fail(err, LAY_ERR_INPUT, "%s: has no system %s, which %s has", dir, systems->names[i],
                            first);
    for (size_t i = 0; i < others->count; i++)
        if (!holds_name(systems, others->names[i]))
            return lay_fail(err, LAY_ERR_INPUT, "%s: has a system %s, which %s has not", dir,
                            others->names[i], first);
    return LAY_OK;
}

/* Gives every system its parts, by name; `names` is NULL for the only one. */
static enum lay_status name_parts(struct merge *merge, char *const *names, struct lay_err *err)
{
    const struct lay_merge_options *o = merge->options;
    for (size_t s = 0; s < merge->count; s++) {
        struct whole *whole = &merge->systems[s];
        whole->parts = lay_alloc(o->count, sizeof *whole->parts);
        whole->dir = names ? lay_path_join(o->out, names[s]) : lay_strdup(o->out);
        bool complete = whole->parts && whole->dir;
        for (; complete && whole->count < o->count; whole->count++) {
            const char *dir = o->dirs[whole->count];
            char *path = names ? lay_path_join(dir, names[s]) : lay_strdup(dir);
            whole->parts[whole->count].dir = path;
            complete = path != NULL;
        }
        if (!complete)
            return lay_no_memory(err, "the shards");
    }
    return LAY_OK;
}

static enum lay_status check_kind(const struct merge *merge, size_t i, const struct lay_dir *first,
                                  struct lay_err *err)
{
    const char *const *dirs = merge->options->dirs;
    struct lay_dir others;
    bool several;
    LAY_TRY(lay_loaded_find(dirs[i], &others, &several, err));
    enum lay_status status = LAY_OK;
    if (several != merge->several)
        status =
            lay_fail(err, LAY_ERR_INPUT, "%s: is the directory of %s, but %s is that of %s", dirs[i],
                     several ? "several systems" : "one system", dirs[0], merge->several ? "several" : "one");
    else
        status = same_systems(dirs[0], first, dirs[i], &others, err);
    lay_dir_free(&others);
    return status;
}

static enum lay_status find_parts(struct merge *merge, struct lay_err *err)
{
    struct lay_dir first;
    LAY_TRY(lay_loaded_find(merge->options->dirs[0], &first, &merge->several, err));
    enum lay_status status = LAY_OK;
    for (size_t i = 1; i < merge->options->count && status == LAY_OK; i++)
        status = check_kind(merge, i, &first, err);
    merge->count = merge->several ? first.count : 1;
    merge->systems = lay_alloc(merge->count, sizeof *merge->systems);
    if (status == LAY_OK && !merge->systems)
        status = lay_no_memory(err, "the systems");
    if (status == LAY_OK)
        status = name_parts(merge, merge->several ? first.names : NULL, err);
    lay_dir_free(&first);
    return status;
}

/* --- writing --- */

/* The directory is new, or that of the same run: then the files are written again. */
static enum lay_status open_directory(struct whole *whole, struct lay_err *err)
{
    LAY_TRY(lay_rundir_open(whole->dir, &whole->lock, err));
    LAY_TRY(lay_rundir_refuse_stray(whole->dir, err));
    return lay_rundir_refuse_other(whole->dir, whole->manifest, err);
}

static enum lay_status write_timing(const struct whole *whole, struct lay_err *err)
{
    struct lay_timing_source *sources = lay_alloc(whole->count, sizeof *sources);
    if (!sources)
        return lay_no_memory(err, "the timing");
    for (size_t i = 0; i < whole->count; i++) {
        const struct part *part = &whole->parts[i];
        sources[i].dir = part->dir;
        snprintf(sources[i].shard, sizeof sources[i].shard, "%lld/%lld", (long long)part->shard.index,
                 (long long)part->shard.count);
    }
    const enum lay_status status = lay_timing_merge(sources, whole->count, whole->dir, err);
    lay_free(sources);
    return status;
}

/* In the order of a run: manifest, journal, reports. */
static enum lay_status write_system(struct whole *whole, bool log_samples, struct lay_err *err)
{
    const enum lay_match match = whole->parts[0].run.match;
    const struct lay_results_options options = {
        .dir = whole->dir, .match = match, .log_samples = log_samples};
    LAY_TRY(lay_training_copy(whole->parts[0].dir, whole->dir, err));
    LAY_TRY(lay_manifest_write(whole->dir, whole->manifest, whole->journal.manifest_hash, err));
    LAY_TRY(lay_journal_seal(whole->dir, &whole->journal, err));
    LAY_TRY(write_timing(whole, err));
    LAY_TRY(lay_results_collect(&whole->journal, whole->manifest, match, &whole->result, err));
    return lay_results_write(&whole->result, &options, err);
}

static enum lay_status write_all(struct merge *merge, struct lay_err *err)
{
    struct lay_system_result *results = lay_alloc(merge->count, sizeof *results);
    enum lay_status status = results ? LAY_OK : lay_no_memory(err, "the results");
    if (status == LAY_OK && merge->several)
        status = lay_rundir_open_above(merge->options->out, &merge->lock, err);
    for (size_t i = 0; i < merge->count && status == LAY_OK; i++)
        status = open_directory(&merge->systems[i], err);
    for (size_t i = 0; i < merge->count && status == LAY_OK; i++) {
        status = write_system(&merge->systems[i], merge->options->log_samples, err);
        results[i] = merge->systems[i].result; /* lent */
    }
    if (status == LAY_OK && merge->several)
        status = lay_results_write_combined(results, merge->count, merge->options->out, err);
    if (status == LAY_OK)
        status = lay_results_print(results, merge->count, stdout, err);
    lay_free(results);
    return status;
}

enum lay_status lay_merge(const struct lay_merge_options *options, struct lay_err *err)
{
    struct merge merge = {.options = options};
    lay_signals_install();
    enum lay_status status = find_parts(&merge, err);
    for (size_t i = 0; i < merge.count && status == LAY_OK; i++)
        status = read_system(&merge.systems[i], err);
    if (status == LAY_OK)
        status = write_all(&merge, err);
    for (size_t i = 0; merge.systems && i < merge.count; i++)
        whole_free(&merge.systems[i]);
    lay_free(merge.systems);
    lay_rundir_close(merge.lock);
    return status;
}

/* A finished or half-finished run, read back from its directory and scored: what `score`, `report`,
 * `compare`, `gate` and `analyze` start from.
 *
 * Scores are always made anew from manifest.json and journal.jsonl; results.json is never trusted for them. A
 * run that is still being written can be loaded: what is torn at its end is left out. Nothing is locked or
 * written. */
#ifndef LAY_HARNESS_LOADED_H
#define LAY_HARNESS_LOADED_H

#include "harness/run/journal.h"
#include "reports/record.h"
#include "tasks/score.h"

#include <stdio.h>

/* One run directory. */
struct lay_loaded {
    char *dir;
    cJSON *manifest;
    char manifest_hash[LAY_HASH_HEX];
    enum lay_match match;            /* the rule `result` was scored with */
    int64_t promised;                /* samples the manifest names; more than journal.count: unfinished */
    struct lay_journal journal;      /* in the file's order; its texts have moved into `result` */
    struct lay_system_result result; /* borrows `manifest` */
};

/* "tolerance" or "float-eq"; LAY_ERR_USAGE naming --match for anything else. */
enum lay_status lay_match_parse(const char *name, enum lay_match *match, struct lay_err *err);

/* Loads the run directory `dir`. `match`: "tolerance", "float-eq", or NULL for the run's own rule. Free with
 * lay_loaded_free, which accepts {0}. LAY_ERR_INPUT for what is missing, damaged or does not belong
 * together. */
enum lay_status lay_loaded_open(const char *dir, const char *match, struct lay_loaded *run,
                                struct lay_err *err);
/* The same without scoring: `result` stays empty. */
enum lay_status lay_loaded_read(const char *dir, struct lay_loaded *run, struct lay_err *err);
void lay_loaded_free(struct lay_loaded *run);

/* One line on `stream` if the run is unfinished, as `layeval COMMAND` would say it. */
void lay_loaded_note_missing(const struct lay_loaded *run, const char *command, FILE *stream);

/* Whether `dir` is a run directory itself. */
enum lay_status lay_loaded_is_run(const char *dir, bool *yes, struct lay_err *err);

/* Names of the run directories below `dir`, in the order its results.json lists the systems, others behind by
 * name; none (*several false) if `dir` is a run directory itself. LAY_ERR_INPUT if it is neither. Free with
 * lay_dir_free. */
struct lay_dir;
enum lay_status lay_loaded_find(const char *dir, struct lay_dir *runs, bool *several, struct lay_err *err);

/* Several runs. `results` are those of `runs`, side by side for the functions that take an array; lent.
 * Systems called the same get their directory behind the name ("layalign (runs/b)"), so that names are
 * unique. */
struct lay_loaded_list {
    struct lay_loaded *runs;
    struct lay_system_result *results;
    size_t count;
};

/* Every one of `dirs` is a run directory or a directory of several. One directory given twice is
 * LAY_ERR_USAGE. Free with lay_loaded_list_free, which accepts {0}. */
enum lay_status lay_loaded_list_open(const char *const *dirs, size_t n_dirs, const char *match,
                                     struct lay_loaded_list *list, struct lay_err *err);
void lay_loaded_list_free(struct lay_loaded_list *list);

#endif

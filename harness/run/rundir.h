/* A run directory: created, locked against a second process, cleared of what a crash left half written. */
#ifndef LAY_HARNESS_RUNDIR_H
#define LAY_HARNESS_RUNDIR_H

#include "engine/base/json.h"

#include <stdbool.h>

struct lay_rundir;

/* Creates DIR if need be and locks it (a file `.lock` that is gone after lay_rundir_close; one that a killed
 * process left does not hold anyone up). A directory that cannot be written is LAY_ERR_IO, one that another
 * process works on is LAY_ERR_INPUT with its process id. Removes temporary files (`*.tmp-PID`) of dead
 * writers. Returns; release with lay_rundir_close. */
enum lay_status lay_rundir_open(const char *path, struct lay_rundir **dir, struct lay_err *err);
void lay_rundir_close(struct lay_rundir *dir); /* accepts NULL */
/* The same of the folder `name` in it, if it is there, and of the folders of that: checkpoints of a training.
 */
enum lay_status lay_rundir_clear(const char *path, const char *name, struct lay_err *err);

/* The same for a directory above those of several systems; refuses one that is the directory of a run. */
enum lay_status lay_rundir_open_above(const char *path, struct lay_rundir **dir, struct lay_err *err);

/* Whether the file is there. LAY_ERR_IO when the file system does not say: one that cannot be seen is not
 * one that is not there. */
enum lay_status lay_rundir_holds(const char *path, const char *name, bool *there, struct lay_err *err);

/* LAY_ERR_INPUT with the differing keys if the directory holds a run with another manifest. */
enum lay_status lay_rundir_refuse_other(const char *path, const cJSON *manifest, struct lay_err *err);

/* LAY_ERR_INPUT if there is a journal or a report, but no manifest they belong to: the manifest is written
 * first. */
enum lay_status lay_rundir_refuse_stray(const char *path, struct lay_err *err);

#endif

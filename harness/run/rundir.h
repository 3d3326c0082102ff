/* A run directory: created, locked against a second process, cleared of what a crash left half written. */
#ifndef LAY_HARNESS_RUNDIR_H
#define LAY_HARNESS_RUNDIR_H

#include "engine/base/err.h"

struct lay_rundir;

/* Creates DIR if need be and locks it (a file `.lock` that is gone after lay_rundir_close; one that a killed
 * process left does not hold anyone up). A directory that cannot be written is LAY_ERR_IO, one that another
 * process works on is LAY_ERR_INPUT with its process id. Removes temporary files (`*.tmp-PID`) of dead
 * writers. Returns; release with lay_rundir_close. */
enum lay_status lay_rundir_open(const char *path, struct lay_rundir **dir, struct lay_err *err);
void lay_rundir_close(struct lay_rundir *dir); /* accepts NULL */

#endif

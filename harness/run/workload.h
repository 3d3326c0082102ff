/* What is to be answered: tasks × languages with their data, the same for every system of a run. */
#ifndef LAY_HARNESS_WORKLOAD_H
#define LAY_HARNESS_WORKLOAD_H

#include "harness/options.h"
#include "tasks/task.h"

struct lay_workload_cell {
    const struct lay_task *task;
    const struct lay_language *language;
    struct lay_dataset *data;
    size_t wanted;    /* the first samples of data; the others only complete official batches */
    bool *chosen;     /* [wanted]: those of a shard (shard.h); NULL: all of them */
    size_t n_chosen;  /* how many */
    const char *file; /* data->file below the data directory; points into it */
};

/* Tasks in the order of the task table, languages in the papers' printed order, whatever the order on the
 * command line: results do not depend on it. */
struct lay_workload {
    struct lay_workload_cell *cells;
    size_t count;
    size_t samples; /* sum of n_chosen */
};

struct lay_workload_options {
    const struct lay_option_list *tasks;
    /* ISO codes or names; "all": with those off by default; "available": the papers' that have data; empty:
     * the papers', all of which must have data. */
    const struct lay_option_list *languages;
    const struct lay_option_list *layouts; /* "NAME" with one task, or "TASK:NAME" */
    const char *data_dir;
    int64_t limit;   /* -1: all */
    bool whole_file; /* read past the limit: official batches are formed over whole files */
};

/* Reads all files. Remarks for the user (a language that one of several tasks does not have), one a line, are
 * appended to `notes`. Release with lay_workload_free, also after a failure. */
enum lay_status lay_workload_load(const struct lay_workload_options *options, struct lay_workload *workload,
                                  struct lay_str *notes, struct lay_err *err);
void lay_workload_free(struct lay_workload *workload);

/* Whether the i-th sample of the cell's data is to be answered. */
static inline bool lay_workload_chosen(const struct lay_workload_cell *cell, size_t i)
{
    return i < cell->wanted && (!cell->chosen || cell->chosen[i]);
}

#endif

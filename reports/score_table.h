/* The papers' table of one task, whatever it is printed as: a row per system, then the published rows; a
 * column per language in the papers' order, then Lrl., Hrl., Avg. Figures are percentages by paper scoring,
 * with one decimal for ours and as many as were printed for published ones.
 *
 * Best and second best of a column are found among the figures as printed with one decimal; equal ones share
 * the place. Averages take part only where they are over the papers' languages: ours if the run has all of
 * them, a published one unless its row lists a language that is in no average (then it was averaged over
 * too). */
#ifndef LAY_REPORTS_SCORE_TABLE_H
#define LAY_REPORTS_SCORE_TABLE_H

#include "engine/base/str.h"
#include "reports/accuracy.h"
#include "reports/baseline.h"
#include "reports/record.h"

struct lay_score_column {
    const char *key;   /* "bn"; "lrl", "hrl", "avg": as in results.csv */
    const char *title; /* "bn"; "Lrl.", "Hrl.", "Avg." */
    const char *name;  /* "Bengali"; "low-resource languages" … */
    bool average;
    enum lay_set set; /* of an average */
};

struct lay_score {
    double paper;  /* NaN: there is none */
    double strict; /* NaN too for published figures */
    int decimals;  /* of `paper` as printed */
    struct lay_interval
        interval; /* 95 % of `paper`, percent: Wilson, stratified for averages; NaN: unknown */
    int place;    /* 1 best, 2 second best, 0 neither, or fewer than two figures to rank */
    bool partial; /* an average over other languages than the papers' */
};

/* One of `system` and `published` is NULL. */
struct lay_score_row {
    const char *name;
    const struct lay_system_result *system;
    const struct lay_task_result *task; /* the system's */
    const struct lay_baseline *published;
};

struct lay_score_table {
    const char *task, *title; /* "mgsm", "MGSM" */
    struct lay_score_column *columns;
    size_t n_columns;
    struct lay_score_row *rows;
    size_t n_rows;
    struct lay_score *scores; /* [n_rows, n_columns] */
};

/* The table of a task over the systems that have it. `baselines` (may be NULL) adds their rows of the task.
 * Borrows everything from both. Free with lay_score_table_free, which accepts {0}. LAY_ERR_MEMORY only. */
enum lay_status lay_score_table_create(const struct lay_system_result *systems, size_t count,
                                       const struct lay_baseline_list *baselines, const char *task,
                                       struct lay_score_table *table, struct lay_err *err);
void lay_score_table_free(struct lay_score_table *table);

const struct lay_score *lay_score_at(const struct lay_score_table *table, size_t row, size_t column);

/* Appends the figure with its decimals; "-" for none. */
void lay_score_put(struct lay_str *out, const struct lay_score *score);

/* The tasks the systems have, in the order in which they first appear. Returns the names, borrowed, in an
 * array to be freed with lay_free; NULL when memory is exhausted. */
const char **lay_score_tasks(const struct lay_system_result *systems, size_t count, size_t *n_tasks);

#endif

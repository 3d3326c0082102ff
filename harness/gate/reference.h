/* What a run is held against: figures of a finished run, of a results file (ours or that of
 * lm-evaluation-harness 0.4) or of published baselines. */
#ifndef LAY_HARNESS_GATE_REFERENCE_H
#define LAY_HARNESS_GATE_REFERENCE_H

#include "harness/run/loaded.h"
#include "harness/selection.h"
#include "reports/compare.h"

struct lay_reference_figure {
    char *system;                /* "" where the file names none */
    char *label;                 /* what is known of it: what --pick looks at and messages show */
    char task[16], language[8];  /* our names; the language may be lrl, hrl, avg */
    double accuracy;             /* percent, rounded as in reports */
    int64_t n;                   /* samples; 0: not told */
    char *over;                  /* of an average: its languages, "bn+th+sw"; NULL: those of the papers */
    const struct lay_cell *cell; /* the samples, of a run's language; borrowed */
};

struct lay_reference {
    struct lay_reference_figure *figures;
    size_t count, capacity;
    size_t foreign;                  /* entries of tasks or languages that are not ours */
    struct lay_loaded_list runs;     /* of a run directory; else empty */
    struct lay_system_result *views; /* [runs.count] */
};

struct lay_reference_options {
    const char *path;
    enum lay_scorer scorer;
    const char *match;                   /* rule for a run; NULL: its own */
    const struct lay_option_list *picks; /* --pick: a system's name, or a text the label must have */
    const struct lay_chosen *chosen;
};

/* A directory is a run or holds several; a file is told by what it begins with. Figures that are not chosen
 * or not picked are left out; averages of files are, too, once languages were chosen. LAY_ERR_INPUT for a
 * file of no such kind, for one that has several figures for one thing (their labels are named), and when
 * nothing is left. Free with lay_reference_close, which accepts {0}, also after a failure. */
enum lay_status lay_reference_open(const struct lay_reference_options *options,
                                   struct lay_reference *reference, struct lay_err *err);
void lay_reference_close(struct lay_reference *reference);

/* The system a run's system is held against: the one of its name, or the only one there is. LAY_ERR_INPUT
 * with the names there are, otherwise. */
enum lay_status lay_reference_system(const struct lay_reference *reference, const char *name,
                                     const char **system, struct lay_err *err);
/* NULL if there is none. */
const struct lay_reference_figure *lay_reference_figure(const struct lay_reference *reference,
                                                        const char *system, const char *task,
                                                        const char *language);

/* --- for the readers of the kinds of files --- */

/* Adds a figure if its task and language are ours and chosen. Copies the texts. `language` may be an average;
 * a NaN accuracy is no figure. */
struct lay_reference_entry {
    const char *system, *label, *task, *language, *over;
    double accuracy;
    int64_t n;
};
enum lay_status lay_reference_add(struct lay_reference *reference,
                                  const struct lay_reference_options *options,
                                  const struct lay_reference_entry *entry, struct lay_err *err);

enum lay_status lay_reference_read_json(const struct lay_reference_options *options,
                                        struct lay_reference *reference, struct lay_err *err);
enum lay_status lay_reference_read_csv(const struct lay_reference_options *options,
                                       struct lay_reference *reference, struct lay_err *err);

#endif

/* One journal entry scored: the step from what a run wrote to what reports are made of. */
#ifndef LAY_HARNESS_SCORING_H
#define LAY_HARNESS_SCORING_H

#include "harness/run/journal.h"
#include "reports/record.h"
#include "tasks/score.h"

enum { LAY_SCORING_MAX_LABELS = 16 };

/* What all samples of one language of one task have in common. Borrows from the manifest. */
struct lay_scoring {
    const struct lay_task *task;
    const struct lay_language *language;
    enum lay_match match;
    const char *labels[LAY_SCORING_MAX_LABELS]; /* the words answers are expected to use for the task's
                                                   labels: the manifest's where a prompt set renames them */
    size_t n_labels;
    const cJSON *words; /* the manifest's, NULL if it has none */
};

/* For the entries of `entry`'s task and language, which must be known. */
enum lay_status lay_scoring_prepare(const cJSON *manifest, const struct lay_journal_entry *entry,
                                    enum lay_match match, struct lay_scoring *scoring, struct lay_err *err);

/* Fills `record`, which is {0} before and owned by the caller also after a failure. `take`: the entry's texts
 * are moved instead of copied. May be called for different entries from several threads. */
enum lay_status lay_scoring_do(const struct lay_scoring *scoring, struct lay_journal_entry *entry, bool take,
                               struct lay_record *record, struct lay_err *err);

#endif

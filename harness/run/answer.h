/* The sample loop: outstanding items to the system, replies to the journal and the progress line. */
#ifndef LAY_HARNESS_ANSWER_H
#define LAY_HARNESS_ANSWER_H

#include "engine/system.h"
#include "harness/run/items.h"
#include "harness/run/journal.h"
#include "harness/run/progress.h"
#include "harness/run/timing.h"

struct lay_answering {
    struct lay_system *system; /* loaded */
    struct lay_items *items;
    const struct lay_items_options *options;
    int64_t max_new_tokens;
    size_t official_batch; /* 0: off */
    enum lay_match match;  /* for the running accuracy */
    struct lay_journal_writer *journal;
    struct lay_progress *progress;
    struct lay_timing *timing;
    char first_error[256]; /* what the first failing sample said */
};

/* Answers what is wanted and not done. Everything outstanding goes into as few calls of the engine as the
 * stop texts allow, so that batches are full; with official batches one call per language, whole batches in
 * file order. A sample that fails is journalled as an error and the loop goes on. LAY_ERR_INTERRUPTED after
 * lay_signals_stop; a journal that cannot be written ends it at once. */
enum lay_status lay_answer_items(struct lay_answering *answering, struct lay_err *err);

#endif

/* Which requests are in flight, and their pages. Internal to engine/generate.
 *
 * Requests wait in order of length, longest first, so that the tail of a run is short. They are prepared
 * (encoder and bridge) in batches ahead of need, and admitted while the pages they are expected to need are
 * free. A sequence draws pages as it grows. When none is left, what is kept for others goes first, then the
 * youngest sequence is set back: it gives its pages up, keeps its tokens, and reads them again when there is
 * room. The oldest always goes on, so every run ends. None of this changes an answer: a row's bits depend on
 * its own tokens alone. */
#ifndef LAY_GENERATE_SCHEDULER_H
#define LAY_GENERATE_SCHEDULER_H

#include "engine/generate/generate.h"
#include "engine/generate/prefix.h"

#define LAY_READY_MAX 64 /* requests prepared ahead at most */

/* A request in flight. Its rows are those of the prompt, then one for each new token; the next token is taken
 * when all are read. */
struct lay_live {
    size_t request;
    struct lay_prepared prepared;
    struct lay_kv_seq kv; /* n_tokens: rows the LLM has read */
    int32_t *ids;         /* [max_new_tokens] */
    size_t n_ids;
    int64_t step_rows; /* rows in the current step; their last one is … */
    int64_t last_row;  /* … this row of x */
};

struct lay_scheduler {
    const struct lay_models *models;
    const struct lay_prompt_ids *ids;
    const struct lay_generate_options *options;
    size_t count;
    struct lay_kv_pool *pool;
    struct lay_prefixes *prefixes;
    struct lay_encoded *encoded; /* work memory of preparing */
    size_t *order;               /* requests, longest first; those before `next` were prepared once */
    size_t next;
    struct lay_live *live; /* [batch_size], oldest first */
    int64_t n_live;
    struct lay_live *waiting; /* [batch_size] set back: request, ids and n_ids; the last one goes on first */
    int64_t n_waiting;
    struct lay_live ready[LAY_READY_MAX]; /* prepared, in order */
    int64_t first_ready, n_ready;
    int64_t finished, finished_tokens; /* answers so far, for what is to be expected */
    struct lay_generate_stats stats;   /* of the current step */
};

/* LAY_ERR_INPUT when a request can never fit, with the numbers. On failure destroy is still due. */
enum lay_status lay_scheduler_create(struct lay_scheduler *s, const struct lay_models *models,
                                     const struct lay_prompt_ids *ids, size_t count,
                                     const struct lay_generate_options *options, struct lay_err *err);
void lay_scheduler_destroy(struct lay_scheduler *s);

bool lay_scheduler_idle(const struct lay_scheduler *s); /* nothing in flight, nothing to come */

/* Admits what fits. */
enum lay_status lay_scheduler_admit(struct lay_scheduler *s, struct lay_err *err);

/* Rows that the LLM has not read yet: one for a sequence that decodes, more in prefill. */
static inline int64_t lay_live_rows(const struct lay_live *live)
{
    return live->prepared.n_inputs + (int64_t)live->n_ids - live->kv.n_tokens;
}

/* Takes what others have computed of the sequence's beginning; *await when another one is just computing what
 * comes next. */
enum lay_status lay_scheduler_share(struct lay_scheduler *s, struct lay_live *live, bool *await,
                                    struct lay_err *err);
/* Pages for `rows` more rows of live[i]. May set back live[i + 1] … or, when nothing else helps, live[i]
 * itself: *granted false. */
enum lay_status lay_scheduler_grow(struct lay_scheduler *s, int64_t i, int64_t rows, bool *granted,
                                   struct lay_err *err);
/* After a step, in which the LLM has read step_rows of it: what was computed is there for others. */
void lay_scheduler_advance(struct lay_scheduler *s, struct lay_live *live);
/* An answer is complete: everything is given back at once; ids becomes NULL until the next … */
void lay_scheduler_finish(struct lay_scheduler *s, struct lay_live *live);
/* … call of this, which closes the gaps. */
void lay_scheduler_compact(struct lay_scheduler *s);

#endif

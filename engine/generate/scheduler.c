#include "engine/generate/scheduler.h"

#include "engine/base/clock.h"
#include "engine/base/mem.h"
#include "engine/generate/workspace.h"

#include <assert.h>
#include <stdlib.h>

/* Until so many answers are there, a request is expected to need all of max_new_tokens; afterwards a half
 * more than the average answer. */
#define EXPECT_FROM 8

/* --- sizes --- */

static int64_t adapter_pages(const struct lay_scheduler *s, size_t request)
{
    return lay_kv_pages_for(lay_prepared_adapter_tokens(s->models, &s->ids[request]));
}

static int64_t most_pages(const struct lay_models *models, const struct lay_prompt_ids *ids,
                          int64_t max_new_tokens)
{
    return lay_kv_pages_for(lay_prepared_rows(models, ids) + max_new_tokens) +
           lay_kv_pages_for(lay_prepared_adapter_tokens(models, ids));
}

size_t lay_generate_kv_bytes(const struct lay_models *models, const struct lay_prompt_ids *ids,
                             int64_t max_new_tokens)
{
    const struct lay_kv_shape shape = lay_llm_kv_shape(models->llm);
    return (size_t)most_pages(models, ids, max_new_tokens) * lay_kv_page_bytes(&shape);
}

static int64_t expected_new_tokens(const struct lay_scheduler *s)
{
    const int64_t most = s->options->max_new_tokens;
    if (s->finished < EXPECT_FROM)
        return most;
    const int64_t expected = s->finished_tokens * 3 / (2 * s->finished) + LAY_KV_PAGE_TOKENS;
    return expected < most ? expected : most;
}

/* Pages of the sequence itself, adapter not included, when it ends as expected. */
static int64_t expected_pages(const struct lay_scheduler *s, size_t request, size_t n_ids)
{
    int64_t tokens = expected_new_tokens(s);
    if (tokens <= (int64_t)n_ids)
        tokens = (int64_t)n_ids + 1;
    return lay_kv_pages_for(lay_prepared_rows(s->models, &s->ids[request]) + tokens);
}

/* Free pages less what the sequences in flight are still expected to draw. */
static int64_t spare_pages(const struct lay_scheduler *s)
{
    int64_t spare = s->pool->n_free;
    for (int64_t i = 0; i < s->n_live; i++) {
        const struct lay_live *live = &s->live[i];
        const int64_t more = expected_pages(s, live->request, live->n_ids) - live->kv.n_pages;
        spare -= more > 0 ? more : 0;
    }
    return spare;
}

/* --- life --- */

/* Longest first; ties in order of request. */
static int by_length(const void *a, const void *b, void *context)
{
    const struct lay_scheduler *s = context;
    const size_t i = *(const size_t *)a, j = *(const size_t *)b;
    const int64_t x = lay_prepared_rows(s->models, &s->ids[i]);
    const int64_t y = lay_prepared_rows(s->models, &s->ids[j]);
    if (x != y)
        return x > y ? -1 : 1;
    return i < j ? -1 : i > j;
}

static enum lay_status check_fit(const struct lay_scheduler *s, struct lay_err *err)
{
    for (size_t i = 0; i < s->count; i++) {
        const int64_t pages = most_pages(s->models, &s->ids[i], s->options->max_new_tokens);
        if (pages > s->pool->n_pages)
            return lay_fail(err, LAY_ERR_INPUT,
                            "request %zu needs %.2f GB of keys and values (%lld prompt rows and %lld new "
                            "tokens), %.2f GB are there; "
                            "give more --memory or lower --max-new-tokens",
                            i, 1e-9 * (double)pages * (double)s->pool->page_bytes,
                            (long long)lay_prepared_rows(s->models, &s->ids[i]),
                            (long long)s->options->max_new_tokens,
                            1e-9 * (double)s->pool->n_pages * (double)s->pool->page_bytes);
    }
    return LAY_OK;
}

/* No more pages than the largest sequences can fill together, so that a small run does not reserve a large
 * pool. */
static size_t pool_bytes(const struct lay_scheduler *s)
{
    const size_t batch = (size_t)s->options->batch_size + LAY_READY_MAX;
    const size_t flying = s->count < batch ? s->count : batch;
    size_t wanted = 0, most = 0;
    for (size_t i = 0; i < s->count; i++) {
        const size_t bytes = lay_generate_kv_bytes(s->models, &s->ids[i], s->options->max_new_tokens);
        most = bytes > most ? bytes : most;
    }
    if (!lay_mul_size(most, flying, &wanted) || wanted > s->options->kv_bytes)
        wanted = s->options->kv_bytes;
    return wanted;
}

enum lay_status lay_scheduler_create(struct lay_scheduler *s, const struct lay_models *models,
                                     const struct lay_prompt_ids *ids, size_t count,
                                     const struct lay_generate_options *options, struct lay_err *err)
{
    const size_t batch = (size_t)options->batch_size;
    *s = (struct lay_scheduler){.models = models, .ids = ids, .options = options, .count = count};
    s->order = lay_alloc(count, sizeof *s->order);
    s->live = lay_alloc(batch, sizeof *s->live);
    s->waiting = lay_alloc(batch, sizeof *s->waiting);
    if (!s->order || !s->live || !s->waiting)
        return lay_no_memory(err, "a schedule");
    for (size_t i = 0; i < count; i++)
        s->order[i] = i;
    qsort_r(s->order, count, sizeof *s->order, by_length, s);
    LAY_TRY(lay_prefixes_create(models, ids, count, &s->prefixes, err));
    LAY_TRY(lay_workspace_take(models, pool_bytes(s), options->kv_bytes, &s->pool, &s->encoded, err));
    return check_fit(s, err);
}

static void release(struct lay_scheduler *s, struct lay_live *live)
{
    lay_prepared_release(&live->prepared, s->pool);
    lay_kv_release(s->pool, &live->kv);
    lay_free(live->ids);
    *live = (struct lay_live){0};
}

void lay_scheduler_destroy(struct lay_scheduler *s)
{
    for (int64_t i = 0; i < s->n_live; i++)
        release(s, &s->live[i]);
    for (int64_t i = 0; i < s->n_waiting; i++)
        release(s, &s->waiting[i]);
    for (int64_t i = 0; i < s->n_ready; i++)
        release(s, &s->ready[s->first_ready + i]);
    lay_prefixes_destroy(s->prefixes, s->pool);
    lay_workspace_give(s->models, s->pool, s->encoded);
    lay_free(s->order);
    lay_free(s->live);
    lay_free(s->waiting);
}

bool lay_scheduler_idle(const struct lay_scheduler *s)
{
    return s->n_live == 0 && s->n_waiting == 0 && s->n_ready == 0 && s->next == s->count;
}

void lay_scheduler_finish(struct lay_scheduler *s, struct lay_live *live)
{
    s->finished++;
    s->finished_tokens += (int64_t)live->n_ids;
    release(s, live);
}

void lay_scheduler_compact(struct lay_scheduler *s)
{
    int64_t kept = 0;
    for (int64_t i = 0; i < s->n_live; i++)
        if (s->live[i].ids)
            s->live[kept++] = s->live[i];
    s->n_live = kept;
}

/* --- admission --- */

/* Runs encoder and bridge over n requests. */
static enum lay_status prepare(struct lay_scheduler *s, struct lay_live *lives, int64_t n,
                               struct lay_err *err)
{
    const struct lay_prompt_ids *chosen[LAY_READY_MAX];
    struct lay_prepared prepared[LAY_READY_MAX];
    const double start = lay_clock_now();
    for (int64_t i = 0; i < n; i++) {
        chosen[i] = &s->ids[lives[i].request];
        s->stats.encoder_tokens += chosen[i]->padded_source;
    }
    LAY_TRY(lay_prepare(s->models, s->pool, chosen, n, s->encoded, prepared, err));
    s->stats.encoder_seconds += lay_clock_now() - start;
    for (int64_t i = 0; i < n; i++)
        lives[i].prepared = prepared[i];
    return LAY_OK;
}

/* The next requests: as many as one pass of the encoder should read, while their adapter pages leave the
 * spare ones at half. A system without encoder prepares one after the other. */
static enum lay_status refill(struct lay_scheduler *s, int64_t spare, struct lay_err *err)
{
    int64_t n = 0, rows = 0, pages = 0;
    const int64_t most = s->models->encoder ? LAY_READY_MAX : 1;
    while (n < most && s->next + (size_t)n < s->count) {
        const size_t request = s->order[s->next + (size_t)n];
        rows += s->ids[request].padded_source;
        pages += adapter_pages(s, request);
        if (n > 0 && (rows > LAY_STEP_ENCODER_ROWS || pages > spare / 2))
            break;
        s->ready[n++] = (struct lay_live){.request = request};
    }
    LAY_TRY(prepare(s, s->ready, n, err));
    s->next += (size_t)n;
    s->first_ready = 0;
    s->n_ready = n;
    return LAY_OK;
}

/* Gives up what was prepared ahead; it will be prepared again. */
static bool drop_ready(struct lay_scheduler *s)
{
    if (s->n_ready == 0)
        return false;
    s->n_ready--;
    s->next--;
    release(s, &s->ready[s->first_ready + s->n_ready]);
    return true;
}

/* Whether a request may come in, with `more` pages of adapter on top. The first of all always may. */
static bool has_room(const struct lay_scheduler *s, size_t request, int64_t more, int64_t spare)
{
    return s->n_live == 0 || expected_pages(s, request, 0) + more <= spare;
}

/* A sequence that was set back goes on when it cannot be set back again for lack of pages, or alone. */
static bool waiting_has_room(const struct lay_scheduler *s, int64_t spare)
{
    const size_t request = s->waiting[s->n_waiting - 1].request;
    return s->n_live == 0 || most_pages(s->models, &s->ids[request], s->options->max_new_tokens) <= spare;
}

/* It reads its prompt and its tokens again. */
static enum lay_status admit_waiting(struct lay_scheduler *s, struct lay_err *err)
{
    struct lay_live *live = &s->live[s->n_live];
    *live = s->waiting[s->n_waiting - 1];
    s->n_waiting--;
    s->n_live++;
    while (adapter_pages(s, live->request) > s->pool->n_free && drop_ready(s))
        continue;
    return prepare(s, live, 1, err);
}

static enum lay_status admit_ready(struct lay_scheduler *s, struct lay_err *err)
{
    struct lay_live *live = &s->live[s->n_live];
    *live = s->ready[s->first_ready++];
    s->n_ready--;
    s->n_live++;
    live->ids = lay_alloc((size_t)s->options->max_new_tokens, sizeof *live->ids);
    return live->ids ? LAY_OK : lay_no_memory(err, "new tokens");
}

/* Admits one sequence; *more false when there is none or no room. */
static enum lay_status admit_one(struct lay_scheduler *s, bool *more, struct lay_err *err)
{
    const int64_t spare = spare_pages(s);
    *more = false;
    if (s->n_waiting > 0) {
        *more = waiting_has_room(s, spare);
        return *more ? admit_waiting(s, err) : LAY_OK;
    }
    if (s->n_ready == 0) {
        const size_t request = s->next < s->count ? s->order[s->next] : 0;
        if (s->next == s->count || !has_room(s, request, adapter_pages(s, request), spare))
            return LAY_OK;
        LAY_TRY(refill(s, spare, err));
    } else if (!has_room(s, s->ready[s->first_ready].request, 0, spare)) {
        return LAY_OK;
    }
    *more = true;
    return admit_ready(s, err);
}

enum lay_status lay_scheduler_admit(struct lay_scheduler *s, struct lay_err *err)
{
    bool more = true;
    while (more && s->n_live < s->options->batch_size)
        LAY_TRY(admit_one(s, &more, err));
    return LAY_OK;
}

/* --- pages of sequences in flight --- */

enum lay_status lay_scheduler_share(struct lay_scheduler *s, struct lay_live *live, bool *await,
                                    struct lay_err *err)
{
    *await = false;
    while (live->kv.n_tokens == live->kv.n_pages * LAY_KV_PAGE_TOKENS) {
        const int64_t i = live->kv.n_pages;
        int32_t page;
        if (i >= lay_prefixes_depth(s->prefixes, live->request))
            return LAY_OK;
        const enum lay_prefix_state state = lay_prefixes_look(s->prefixes, live->request, i, &page);
        *await = state == LAY_PREFIX_AWAITED;
        if (state != LAY_PREFIX_READY)
            return LAY_OK;
        LAY_TRY(lay_kv_adopt(s->pool, &live->kv, page, err));
        lay_prefixes_pass(s->prefixes, s->pool, live->request, i, page);
        s->stats.shared_tokens += LAY_KV_PAGE_TOKENS;
    }
    return LAY_OK;
}

void lay_scheduler_advance(struct lay_scheduler *s, struct lay_live *live)
{
    const int64_t depth = lay_prefixes_depth(s->prefixes, live->request);
    const int64_t full = live->kv.n_tokens / LAY_KV_PAGE_TOKENS;
    int64_t i = (live->kv.n_tokens - live->step_rows) / LAY_KV_PAGE_TOKENS;
    for (; i < full && i < depth; i++)
        lay_prefixes_pass(s->prefixes, s->pool, live->request, i, live->kv.pages[i]);
    if (live->prepared.inputs && live->kv.n_tokens >= live->prepared.n_inputs) {
        lay_free(live->prepared.inputs); /* read for good: one that is set back is prepared again */
        live->prepared.inputs = NULL;
    }
}

/* Takes the pages of the youngest sequence; its tokens are kept. */
static void set_back_youngest(struct lay_scheduler *s)
{
    struct lay_live *live = &s->live[s->n_live - 1];
    lay_prefixes_abandon(s->prefixes, live->request);
    s->waiting[s->n_waiting++] =
        (struct lay_live){.request = live->request, .ids = live->ids, .n_ids = live->n_ids};
    live->ids = NULL;
    release(s, live);
    s->n_live--;
    s->stats.set_back++;
}

enum lay_status lay_scheduler_grow(struct lay_scheduler *s, int64_t i, int64_t rows, bool *granted,
                                   struct lay_err *err)
{
    struct lay_live *live = &s->live[i];
    const int64_t wanted = lay_kv_pages_for(live->kv.n_tokens + rows) - live->kv.n_pages;
    bool flushed = false;
    *granted = true;
    while (wanted > s->pool->n_free) {
        if (drop_ready(s))
            continue;
        if (!flushed) {
            lay_prefixes_flush(s->prefixes, s->pool);
            flushed = true;
            continue;
        }
        *granted = i < s->n_live - 1;
        set_back_youngest(s);
        if (!*granted)
            return LAY_OK;
    }
    return lay_kv_reserve(s->pool, &live->kv, live->kv.n_tokens + rows, err);
}

#include "harness/run/answer.h"

#include "engine/base/mem.h"
#include "engine/base/utf8.h"
#include "harness/run/signals.h"

#include <stdio.h>
#include <string.h>

/* One call of the engine. */
struct call {
    struct lay_answering *answering;
    struct lay_item **items; /* [count], the item of each request */
    struct lay_request *requests;
    size_t count;
    struct lay_err journal; /* why a reply could not be kept; the engine has an error of its own then */
};

/* The journal's texts are C strings in UTF-8: NUL and malformed bytes become U+FFFD. Neither is ever part of
 * an answer, a digit or white space, so scores do not change. */
static char *clean_text(const char *text, size_t length)
{
    size_t bad_at;
    if (!memchr(text, 0, length) && lay_utf8_valid(text, length, &bad_at))
        return lay_strndup(text, length);
    struct lay_str clean = {0};
    for (size_t at = 0; at < length;) {
        const size_t start = at;
        const int32_t code_point = lay_utf8_next(text, length, &at);
        if (code_point == 0 || (code_point == 0xFFFD && at == start + 1))
            lay_str_puts(&clean, "\xEF\xBF\xBD");
        else
            lay_str_append(&clean, text + start, at - start);
    }
    lay_str_append(&clean, "", 0);
    return lay_str_take(&clean);
}

static enum lay_status journal_reply(struct lay_answering *a, const struct lay_item *item,
                                     const struct lay_reply *reply, char *output, char *error,
                                     struct lay_err *err)
{
    struct lay_str doc = {0};
    lay_json_put(&doc, item->sample->doc, -1);
    struct lay_journal_entry entry = {
        .task = (char *)(uintptr_t)item->cell->task->name,
        .language = (char *)(uintptr_t)item->cell->language->iso,
        .doc_id = item->sample->id,
        .source = item->source,
        .prompt = item->prompt,
        .target = item->sample->target,
        .output = output,
        .error = error,
        .truncated = reply->truncated,
        .source_tokens = reply->source_tokens,
        .prompt_tokens = reply->prompt_tokens,
        .output_tokens = (int64_t)reply->n_ids,
        .doc = doc.data,
    };
    snprintf(entry.ended, sizeof entry.ended, "%s", lay_ended_name(reply->ended));
    enum lay_status status = lay_str_check(&doc, err);
    if (status == LAY_OK)
        status = lay_journal_append(a->journal, &entry, err);
    lay_str_free(&doc);
    return status;
}

static enum lay_status take_reply(struct lay_answering *a, struct lay_item *item,
                                  const struct lay_reply *reply, struct lay_err *err)
{
    const bool failed = reply->ended == LAY_ENDED_ERROR;
    const char *message = failed ? (reply->error ? reply->error : "unknown error") : NULL;
    char *output = failed ? lay_strdup("") : clean_text(reply->text, reply->length);
    char *error = message ? clean_text(message, strlen(message)) : NULL;
    enum lay_status status =
        output && (error || !failed) ? LAY_OK : lay_no_memory(err, "an answer of the system");
    if (status == LAY_OK)
        status = journal_reply(a, item, reply, output, error, err);
    if (status == LAY_OK) {
        item->done = true;
        a->items->done++;
        a->timing->samples++;
        a->timing->errors += failed;
        a->timing->output_tokens += (int64_t)reply->n_ids;
        if (failed && !a->first_error[0])
            snprintf(a->first_error, sizeof a->first_error, "%s %s %lld: %s", item->cell->task->name,
                     item->cell->language->iso, (long long)item->sample->id, error);
        lay_progress_sample(
            a->progress,
            !failed && lay_item_paper_correct(a->options, item->cell, item->sample->target, output, a->match),
            failed, (int64_t)reply->n_ids);
        lay_timing_sample(a->timing);
    }
    lay_free(output);
    lay_free(error);
    return status;
}

static int on_reply(void *context, const struct lay_reply *reply)
{
    struct call *call = context;
    struct lay_item *item = call->items[reply->request];
    if (item->wanted && !item->done)
        take_reply(call->answering, item, reply, &call->journal);
    return call->journal.status != LAY_OK || lay_signals_stop;
}

static void add(struct call *call, struct lay_item *item)
{
    call->items[call->count] = item;
    call->requests[call->count++] = (struct lay_request){
        .source = item->source, .prompt = item->prompt, .language = item->cell->language->nllb};
}

static enum lay_status run_call(struct call *call, const struct lay_workload_cell *cell, struct lay_err *err)
{
    const struct lay_answering *a = call->answering;
    size_t n_stops;
    const char *const *stops = lay_prompt_stops(a->options->prompts, cell->task, cell->language, &n_stops);
    const struct lay_generate_params params = {.max_new_tokens = a->max_new_tokens,
                                               .stops = stops,
                                               .n_stops = (int64_t)n_stops,
                                               .stop = &lay_signals_stop};
    const enum lay_status status =
        lay_system_generate(a->system, call->requests, call->count, &params, on_reply, call, err);
    if (call->journal.status != LAY_OK)
        return lay_fail(err, call->journal.status, "%s", call->journal.message);
    if (lay_signals_stop)
        return lay_fail(err, LAY_ERR_INTERRUPTED, "interrupted");
    return status;
}

/* --- which requests go together --- */

static bool same_stops(const struct lay_prompt_set *prompts, const struct lay_workload_cell *x,
                       const struct lay_workload_cell *y)
{
    size_t n, m;
    const char *const *a = lay_prompt_stops(prompts, x->task, x->language, &n);
    const char *const *b = lay_prompt_stops(prompts, y->task, y->language, &m);
    bool same = n == m;
    for (size_t i = 0; i < n && same; i++)
        same = strcmp(a[i], b[i]) == 0;
    return same;
}

static bool outstanding(const struct lay_item *item)
{
    return item->wanted && !item->done;
}

/* All outstanding items whose stop texts are those of `first`, the first cell that has them. */
static void gather_by_stops(struct call *call, size_t first)
{
    const struct lay_answering *a = call->answering;
    const struct lay_workload *workload = a->options->workload;
    call->count = 0;
    for (size_t c = 0; c < first; c++)
        if (same_stops(a->options->prompts, &workload->cells[c], &workload->cells[first]))
            return; /* answered with that cell */
    for (size_t c = first; c < workload->count; c++) {
        if (!same_stops(a->options->prompts, &workload->cells[c], &workload->cells[first]))
            continue;
        for (size_t i = a->items->start[c]; i < a->items->start[c + 1]; i++)
            if (outstanding(&a->items->list[i]))
                add(call, &a->items->list[i]);
    }
}

/* The official batches of one language that hold an outstanding item, whole and in file order. */
static void gather_batches(struct call *call, size_t cell)
{
    const struct lay_answering *a = call->answering;
    const size_t end_of_cell = a->items->start[cell + 1];
    call->count = 0;
    for (size_t start = a->items->start[cell]; start < end_of_cell; start += a->official_batch) {
        const size_t left = end_of_cell - start;
        const size_t end = start + (left < a->official_batch ? left : a->official_batch);
        bool needed = false;
        for (size_t i = start; i < end; i++)
            needed = needed || outstanding(&a->items->list[i]);
        for (size_t i = start; i < end && needed; i++)
            add(call, &a->items->list[i]);
    }
}

enum lay_status lay_answer_items(struct lay_answering *answering, struct lay_err *err)
{
    const struct lay_workload *workload = answering->options->workload;
    struct call call = {.answering = answering};
    enum lay_status status = LAY_OK;
    call.items = lay_alloc(answering->items->count, sizeof(struct lay_item *));
    call.requests = lay_alloc(answering->items->count, sizeof *call.requests);
    if (!call.items || !call.requests)
        status = lay_no_memory(err, "the requests");
    for (size_t c = 0; c < workload->count && status == LAY_OK; c++) {
        if (answering->official_batch > 0)
            gather_batches(&call, c);
        else
            gather_by_stops(&call, c);
        if (call.count > 0)
            status = run_call(&call, &workload->cells[c], err);
    }
    lay_free(call.items);
    lay_free(call.requests);
    return status;
}

#include "harness/run/items.h"

#include "engine/base/mem.h"

#include <string.h>

void lay_item_free(struct lay_item *item)
{
    lay_free(item->source);
    lay_free(item->prompt);
    item->source = item->prompt = NULL;
}

enum lay_status lay_item_render(const struct lay_items_options *options, const struct lay_workload_cell *cell,
                                const struct lay_sample *sample, struct lay_item *item, struct lay_err *err)
{
    struct lay_str source = {0}, prompt = {0};
    bool has_prompt = false;
    *item = (struct lay_item){.cell = cell, .sample = sample};
    enum lay_status status = lay_prompt_render(options->prompts, cell->task, cell->language, sample, &source,
                                               &prompt, &has_prompt, err);
    if (status == LAY_OK && options->reads_source) {
        item->source = lay_strdup(lay_str_text(&source));
        status = item->source ? lay_str_check(&source, err) : lay_no_memory(err, "a prompt");
    }
    if (status == LAY_OK && options->reads_prompt && has_prompt) {
        item->prompt = lay_strdup(lay_str_text(&prompt));
        status = item->prompt ? lay_str_check(&prompt, err) : lay_no_memory(err, "a prompt");
    }
    if (status == LAY_OK && options->reads_source && !lay_prompt_has_encoder(options->prompts, cell->task))
        status =
            lay_fail(err, LAY_ERR_INPUT,
                     "prompt set %s gives the encoder nothing to read for %s, but the system has one; choose "
                     "another --prompt-set",
                     lay_prompt_set_name(options->prompts), cell->task->name);
    if (status == LAY_OK && !item->source && !item->prompt)
        status =
            lay_fail(err, LAY_ERR_INPUT,
                     "prompt set %s gives %s no text prompt, and the system has no encoder: it would read "
                     "nothing; choose another --prompt-set",
                     lay_prompt_set_name(options->prompts), cell->task->name);
    lay_str_free(&source);
    lay_str_free(&prompt);
    if (status != LAY_OK)
        lay_item_free(item);
    return status;
}

enum lay_status lay_items_create(const struct lay_items_options *options, struct lay_items *items,
                                 struct lay_err *err)
{
    const struct lay_workload *workload = options->workload;
    size_t total = 0;
    *items = (struct lay_items){0};
    for (size_t c = 0; c < workload->count; c++)
        total += workload->cells[c].data->count;
    items->list = lay_alloc(total, sizeof *items->list);
    items->start = lay_alloc(workload->count + 1, sizeof *items->start);
    enum lay_status status = items->list && items->start ? LAY_OK : lay_no_memory(err, "the samples");
    for (size_t c = 0; c < workload->count && status == LAY_OK; c++) {
        const struct lay_workload_cell *cell = &workload->cells[c];
        items->start[c] = items->count;
        for (size_t i = 0; i < cell->data->count && status == LAY_OK; i++) {
            struct lay_item *item = &items->list[items->count];
            status = lay_item_render(options, cell, &cell->data->samples[i], item, err);
            items->count += status == LAY_OK;
            item->wanted = lay_workload_chosen(cell, i);
            items->wanted += item->wanted;
        }
        items->start[c + 1] = items->count;
    }
    if (status != LAY_OK)
        lay_items_free(items);
    return status;
}

void lay_items_free(struct lay_items *items)
{
    for (size_t i = 0; items->list && i < items->count; i++)
        lay_item_free(&items->list[i]);
    lay_free(items->list);
    lay_free(items->start);
    *items = (struct lay_items){0};
}

bool lay_item_paper_correct(const struct lay_items_options *options, const struct lay_workload_cell *cell,
                            const char *target, const char *output, enum lay_match match)
{
    struct lay_score score = {0};
    target = lay_prompt_target(options->prompts, cell->task, target);
    return lay_score_answer(cell->task, cell->language, target, output, strlen(output), match, &score, NULL,
                            NULL, NULL) == LAY_OK &&
           score.paper_correct;
}

/* --- against a journal --- */

/* Ids rise within a file. */
static struct lay_item *find_in_cell(const struct lay_items *items, size_t cell, int64_t id)
{
    size_t low = items->start[cell], high = items->start[cell + 1];
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (items->list[middle].sample->id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < items->start[cell + 1] && items->list[low].sample->id == id ? &items->list[low] : NULL;
}

static struct lay_item *find_item(const struct lay_items_options *options, const struct lay_items *items,
                                  const struct lay_journal_entry *entry)
{
    const struct lay_workload *workload = options->workload;
    for (size_t c = 0; c < workload->count; c++)
        if (strcmp(workload->cells[c].task->name, entry->task) == 0 &&
            strcmp(workload->cells[c].language->iso, entry->language) == 0)
            return find_in_cell(items, c, entry->doc_id);
    return NULL;
}

enum lay_status lay_items_mark(const struct lay_items_options *options, struct lay_items *items,
                               const struct lay_journal *journal, enum lay_match match, size_t *paper_correct,
                               struct lay_err *err)
{
    *paper_correct = 0;
    for (size_t i = 0; i < journal->count; i++) {
        const struct lay_journal_entry *entry = &journal->entries[i];
        struct lay_item *item = find_item(options, items, entry);
        if (!item || !item->wanted)
            return lay_fail(err, LAY_ERR_INPUT,
                            LAY_JOURNAL_FILE ":%zu: sample %s %s %lld does not belong to this run; name "
                                             "another --out",
                            i + 2, entry->task, entry->language, (long long)entry->doc_id);
        items->done += !item->done;
        item->done = true;
        *paper_correct += strcmp(entry->ended, "error") != 0 &&
                          lay_item_paper_correct(options, item->cell, entry->target, entry->output, match);
    }
    return LAY_OK;
}

enum lay_status lay_items_sort(const struct lay_items_options *options, const struct lay_items *items,
                               struct lay_journal *journal, struct lay_err *err)
{
    enum lay_status status = LAY_OK;
    const size_t size = sizeof(struct lay_journal_entry);
    size_t filled = 0;
    size_t *place = lay_alloc(items->count, sizeof *place); /* item → 1 + entry */
    struct lay_journal_entry *sorted = lay_alloc(journal->count, size);
    if (!place || !sorted) {
        status = lay_no_memory(err, "a journal");
        goto done;
    }
    for (size_t i = 0; i < journal->count; i++) {
        const struct lay_item *item = find_item(options, items, &journal->entries[i]);
        if (item)
            place[item - items->list] = i + 1;
    }
    for (size_t i = 0; i < items->count; i++)
        if (place[i])
            sorted[filled++] = journal->entries[place[i] - 1];
    if (filled != journal->count || filled != items->wanted) {
        status = lay_fail(err, LAY_ERR_INTERNAL, "the journal holds %zu of %zu samples at the end of the run",
                          filled, items->wanted);
        goto done;
    }
    if (filled)
        memcpy(journal->entries, sorted, filled * size);
done:
    lay_free(place);
    lay_free(sorted);
    return status;
}

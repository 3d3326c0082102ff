#include "harness/run/write_out.h"

#include "harness/run/items.h"

static void print_part(FILE *stream, const char *what, const char *text, const struct lay_ids *ids)
{
    if (!text)
        return;
    fprintf(stream, "--- %s\n%s\n--- %s ids (%zu)\n", what, text, what, ids->count);
    for (size_t i = 0; i < ids->count; i++)
        fprintf(stream, "%s%d", i ? " " : "", ids->data[i]);
    fputc('\n', stream);
}

static enum lay_status print_item(struct lay_system *system, const struct lay_item *item, FILE *stream,
                                  struct lay_err *err)
{
    struct lay_ids source = {0}, prompt = {0};
    bool truncated = false;
    const struct lay_request request = {
        .source = item->source, .prompt = item->prompt, .language = item->cell->language->nllb};
    const enum lay_status status = lay_system_tokenize(system, &request, &source, &prompt, &truncated, err);
    if (status == LAY_OK) {
        fprintf(stream, "=== %s: %s %s %lld%s\n", lay_system_name(system), item->cell->task->name,
                item->cell->language->iso, (long long)item->sample->id, truncated ? " (truncated)" : "");
        print_part(stream, "encoder", item->source, &source);
        print_part(stream, "prompt", item->prompt, &prompt);
        fprintf(stream, "--- target\n%s\n\n", item->sample->target);
    }
    lay_ids_free(&source);
    lay_ids_free(&prompt);
    return status;
}

enum lay_status lay_write_out(struct lay_system *system, const struct lay_prompt_set *prompts,
                              const struct lay_workload *workload, size_t samples, FILE *stream,
                              struct lay_err *err)
{
    const struct lay_items_options options = {.workload = workload,
                                              .prompts = prompts,
                                              .reads_source = lay_system_reads_source(system),
                                              .reads_prompt = lay_system_reads_prompt(system)};
    for (size_t c = 0; c < workload->count; c++) {
        const struct lay_workload_cell *cell = &workload->cells[c];
        for (size_t i = 0; i < samples && i < cell->wanted; i++) {
            struct lay_item item;
            LAY_TRY(lay_item_render(&options, cell, &cell->data->samples[i], &item, err));
            const enum lay_status status = print_item(system, &item, stream, err);
            lay_item_free(&item);
            LAY_TRY(status);
        }
    }
    fflush(stream);
    return LAY_OK;
}

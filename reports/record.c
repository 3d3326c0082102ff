#include "reports/record.h"

#include "engine/base/mem.h"

static void record_free(struct lay_record *record)
{
    char *const texts[] = {
        record->doc,          record->question, record->source,          record->prompt,
        record->target,       record->output,   record->paper_extracted, record->strict_extracted,
        record->error_message};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        lay_free(texts[i]);
}

static void task_free(struct lay_task_result *task)
{
    for (size_t i = 0; i < task->count; i++) {
        for (size_t j = 0; task->cells[i].records && j < task->cells[i].count; j++)
            record_free(&task->cells[i].records[j]);
        lay_free(task->cells[i].records);
    }
    lay_free(task->cells);
}

size_t lay_results_cells(const struct lay_system_result *systems, size_t count)
{
    size_t cells = 0;
    for (size_t s = 0; s < count; s++)
        for (size_t t = 0; t < systems[s].count; t++)
            cells += systems[s].tasks[t].count;
    return cells;
}

void lay_system_result_free(struct lay_system_result *result)
{
    for (size_t i = 0; i < result->count; i++)
        task_free(&result->tasks[i]);
    lay_free(result->tasks);
    lay_free(result->name);
    lay_free(result->method);
    lay_free(result->training);
    *result = (struct lay_system_result){0};
}

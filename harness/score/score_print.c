#include "harness/output.h"
#include "harness/run/results.h"
#include "harness/score/score.h"
#include "reports/emit.h"
#include "reports/results_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum lay_status print_json(const struct lay_system_result *results, size_t count, bool combined,
                                  struct lay_err *err)
{
    struct lay_str text = {0};
    const enum lay_status status = lay_results_json_put(&text, results, count, combined, err);
    if (status == LAY_OK)
        fputs(lay_str_text(&text), stdout);
    lay_str_free(&text);
    return status;
}

static int by_id(const void *key, const void *member)
{
    const int64_t id = *(const int64_t *)key, other = ((const struct lay_record *)member)->doc_id;
    return (id > other) - (id < other);
}

enum lay_status lay_score_print_extracted(const struct lay_journal *journal,
                                          const struct lay_system_result *result, struct lay_err *err)
{
    const struct lay_cell *cell = &result->tasks[0].cells[0];
    struct lay_str text = {0};
    for (size_t i = 0; i < journal->count; i++) {
        struct lay_emit emit = {.out = &text, .indent = -1};
        const struct lay_record *record =
            bsearch(&journal->entries[i].doc_id, cell->records, cell->count, sizeof *cell->records, by_id);
        if (!record)
            return lay_fail(err, LAY_ERR_INTERNAL, "a scored answer was lost");
        lay_emit_open(&emit, NULL, '{');
        lay_emit_int(&emit, "index", (int64_t)i);
        lay_emit_int(&emit, "doc_id", record->doc_id);
        lay_emit_string(&emit, "target", record->target);
        lay_emit_string(&emit, "paper", record->paper_extracted);
        lay_emit_bool(&emit, "paper_correct", record->paper_correct);
        lay_emit_string(&emit, "strict", record->strict_extracted);
        lay_emit_bool(&emit, "strict_correct", record->strict_correct);
        lay_emit_bool(&emit, "unparsed", record->unparsed);
        lay_emit_bool(&emit, "error", record->error);
        lay_emit_close(&emit, '}');
        lay_str_putc(&text, '\n');
    }
    const enum lay_status status = lay_str_check(&text, err);
    if (status == LAY_OK)
        fputs(lay_str_text(&text), stdout);
    lay_str_free(&text);
    return status;
}

enum lay_status lay_score_print(const struct lay_score_arguments *arguments,
                                const struct lay_system_result *results, size_t count, bool combined,
                                struct lay_err *err)
{
    LAY_TRY(arguments->json
                ? print_json(results, count, combined, err)
                : lay_results_print(results, count, arguments->print_extracted ? stderr : stdout, err));
    return lay_output_flush("", err);
}

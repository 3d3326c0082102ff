#include "reports/paper.h"

#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "engine/base/utf8.h"
#include "reports/accuracy.h"
#include "reports/emit.h"

#include <math.h>
#include <string.h>

void lay_paper_number(struct lay_str *out, double value)
{
    if (isinf(value))
        lay_str_puts(out, value < 0 ? "-inf" : "inf");
    else
        lay_json_put_double(out, value);
}

enum lay_status lay_paper_scores_put(struct lay_str *out, const struct lay_task_result *task,
                                     struct lay_err *err)
{
    size_t *order = lay_official_order(task);
    if (!order)
        return lay_no_memory(err, "the order of languages");
    for (size_t i = 0; i < task->count; i++) {
        const struct lay_cell *cell = &task->cells[order[i]];
        const struct lay_counts counts = lay_cell_counts(cell);
        if (counts.n == 0)
            continue;
        lay_str_printf(out, "%s\t", cell->language_name);
        lay_paper_number(out, lay_accuracy(counts.correct_paper, counts.n));
        lay_str_putc(out, '\n');
    }
    lay_free(order);
    return lay_str_check(out, err);
}

static void put_math(struct lay_emit *emit, const struct lay_record *record, struct lay_str *number)
{
    lay_str_clear(number);
    lay_paper_number(number, record->paper_number);
    emit->out->failed |= number->failed;
    lay_emit_string(emit, "question", record->question ? record->question : "");
    lay_emit_double(emit, "answer", record->paper_target_number);
    lay_emit_string(emit, "prompt", record->prompt ? record->prompt : "");
    lay_emit_string(emit, "prediction", lay_str_text(number));
    lay_emit_string(emit, "output", record->output ? record->output : "");
}

static void put_label(struct lay_emit *emit, const struct lay_record *record, struct lay_str *stripped)
{
    const char *text = record->output ? record->output : "";
    size_t length = strlen(text);
    lay_utf8_strip(&text, &length);
    lay_str_clear(stripped);
    lay_str_append(stripped, text, length);
    emit->out->failed |= stripped->failed;
    lay_emit_string(emit, "prompt", record->prompt ? record->prompt : "");
    lay_emit_string(emit, "prediction", lay_str_text(stripped));
    lay_emit_string(emit, "answer", record->target);
}

enum lay_status lay_paper_language_put(struct lay_str *out, const struct lay_task_result *task,
                                       const struct lay_cell *cell, struct lay_err *err)
{
    struct lay_emit emit = {.out = out, .indent = 2};
    struct lay_str text = {0};
    lay_emit_open(&emit, NULL, '[');
    for (size_t i = 0; i < cell->count; i++) {
        lay_emit_open(&emit, NULL, '{');
        (task->math ? put_math : put_label)(&emit, &cell->records[i], &text);
        lay_emit_close(&emit, '}');
    }
    lay_emit_close(&emit, ']');
    lay_str_free(&text);
    return lay_str_check(out, err);
}

static enum lay_status write_language(const char *folder, const struct lay_task_result *task,
                                      const struct lay_cell *cell, struct lay_err *err)
{
    struct lay_str name = {0}, content = {0};
    lay_str_printf(&name, "%s.json", cell->language_name);
    enum lay_status status = lay_str_check(&name, err);
    if (status == LAY_OK)
        status = lay_paper_language_put(&content, task, cell, err);
    if (status == LAY_OK)
        status = lay_file_write_in(folder, lay_str_text(&name), &content, err);
    lay_str_free(&name);
    lay_str_free(&content);
    return status;
}

static enum lay_status write_scores(const char *folder, const struct lay_task_result *task,
                                    struct lay_err *err)
{
    struct lay_str content = {0};
    enum lay_status status = lay_paper_scores_put(&content, task, err);
    if (status == LAY_OK)
        status = lay_file_write_in(folder, "scores.tsv", &content, err);
    lay_str_free(&content);
    return status;
}

enum lay_status lay_paper_write(const char *dir, const struct lay_task_result *task, struct lay_err *err)
{
    struct lay_str folder = {0};
    lay_str_printf(&folder, "%s/paper/%s", dir, task->task);
    enum lay_status status = lay_str_check(&folder, err);
    if (status == LAY_OK)
        status = lay_mkdirs(lay_str_text(&folder), err);
    for (size_t i = 0; i < task->count && status == LAY_OK; i++)
        if (task->cells[i].count)
            status = write_language(lay_str_text(&folder), task, &task->cells[i], err);
    if (status == LAY_OK)
        status = write_scores(lay_str_text(&folder), task, err);
    lay_str_free(&folder);
    return status;
}

/* Results put together by hand, for the tests of this folder. Texts are copied; free with
 * lay_system_result_free. */
#ifndef LAY_TESTS_UNIT_REPORTS_BUILD_H
#define LAY_TESTS_UNIT_REPORTS_BUILD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/mem.h"
#include "reports/record.h"

/* "P" right for both scorers, "p" for paper only, "s" for strict only, "w" wrong for both, "u" wrong and
 * unparsed, "U" right for paper and unparsed, "l" wrong, cut off at the limit, "t" wrong, input truncated,
 * "e" error. */
static inline void build_record(struct lay_record *record, int64_t id, char kind)
{
    char text[32];
    snprintf(text, sizeof text, "text %lld", (long long)id);
    *record = (struct lay_record){.doc_id = id,
                                  .doc = lay_strdup("{}"),
                                  .question = lay_strdup("q"),
                                  .prompt = lay_strdup("p"),
                                  .target = lay_strdup("18"),
                                  .output = lay_strdup(text),
                                  .paper_extracted = lay_strdup("1.0"),
                                  .strict_extracted = lay_strdup(""),
                                  .paper_correct = strchr("PpU", kind) != NULL,
                                  .strict_correct = strchr("Ps", kind) != NULL,
                                  .unparsed = strchr("uU", kind) != NULL,
                                  .error = kind == 'e',
                                  .error_message = kind == 'e' ? lay_strdup("broke") : NULL,
                                  .truncated = kind == 't'};
    snprintf(record->ended, sizeof record->ended, "%s",
             kind == 'e'   ? "error"
             : kind == 'l' ? "length"
                           : "eos");
}

struct build_cell {
    const char *language, *name;
    enum lay_group group;
    bool in_average;
    int official_order;
    const char *kinds; /* one letter a record */
};

static inline void build_task(struct lay_task_result *task, const char *name, bool math,
                              const struct build_cell *cells, size_t count)
{
    *task = (struct lay_task_result){.math = math, .version = 3, .count = count};
    snprintf(task->task, sizeof task->task, "%s", name);
    snprintf(task->title, sizeof task->title, "%s", name);
    task->cells = lay_alloc(count, sizeof *task->cells);
    for (size_t i = 0; i < count; i++) {
        struct lay_cell *cell = &task->cells[i];
        cell->group = cells[i].group;
        cell->in_average = cells[i].in_average;
        cell->official_order = cells[i].official_order;
        cell->count = strlen(cells[i].kinds);
        cell->records = lay_alloc(cell->count + 1, sizeof *cell->records);
        snprintf(cell->language, sizeof cell->language, "%s", cells[i].language);
        snprintf(cell->language_name, sizeof cell->language_name, "%s", cells[i].name);
        for (size_t j = 0; j < cell->count; j++)
            build_record(&cell->records[j], (int64_t)j, cells[i].kinds[j]);
    }
}

/* A system with room for `tasks` tasks, to be filled with build_task. */
static inline struct lay_system_result build_system(const char *name, size_t tasks)
{
    return (struct lay_system_result){.name = lay_strdup(name),
                                      .method = lay_strdup("plain"),
                                      .match = "tolerance",
                                      .strict_version = 1,
                                      .tasks = lay_alloc(tasks, sizeof(struct lay_task_result)),
                                      .count = tasks};
}

#endif

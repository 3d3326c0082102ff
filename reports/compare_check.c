/* Whether two systems have answered the same samples, and if not, what differs. */
#include "reports/compare.h"

#include "engine/base/str.h"
#include "reports/view.h"

#include <string.h>

enum {
    IDS_SHOWN = 5,    /* of one kind in one language */
    PLACES_SHOWN = 8, /* then "and N more" */
};

struct findings {
    struct lay_str text;
    size_t count;
};

/* Where to put the next finding; NULL once enough are listed. */
static struct lay_str *next_finding(struct findings *findings)
{
    if (++findings->count > PLACES_SHOWN)
        return NULL;
    if (findings->count > 1)
        lay_str_puts(&findings->text, "; ");
    return &findings->text;
}

/* The same value, however it is laid out. */
static bool same_json(const char *a, const char *b)
{
    cJSON *x = NULL, *y = NULL;
    const bool same = strcmp(a, b) == 0 ||
                      (lay_json_parse("doc", a, strlen(a), &x, NULL) == LAY_OK &&
                       lay_json_parse("doc", b, strlen(b), &y, NULL) == LAY_OK && cJSON_Compare(x, y, true));
    cJSON_Delete(x);
    cJSON_Delete(y);
    return same;
}

bool lay_same_sample(const struct lay_record *a, const struct lay_record *b, bool math)
{
    if (strcmp(a->target, b->target) == 0)
        return true;
    if (math && a->paper_target_number == b->paper_target_number)
        return true;
    return a->doc && b->doc && same_json(a->doc, b->doc);
}

/* doc_ids of one kind in one language. */
struct id_list {
    const char *what; /* "only in the first" */
    size_t count;
    int64_t shown[IDS_SHOWN];
};

static void note_id(struct id_list *list, int64_t id)
{
    if (list->count < IDS_SHOWN)
        list->shown[list->count] = id;
    list->count++;
}

static void report_ids(struct findings *findings, const struct lay_task_result *task,
                       const struct lay_cell *cell, const struct id_list *list)
{
    struct lay_str *out = list->count ? next_finding(findings) : NULL;
    if (!out)
        return;
    lay_str_printf(out, "%s %s: %zu %s (doc_id", task->task, cell->language, list->count, list->what);
    for (size_t i = 0; i < list->count && i < IDS_SHOWN; i++)
        lay_str_printf(out, "%s %lld", i ? "," : "", (long long)list->shown[i]);
    lay_str_puts(out, list->count > IDS_SHOWN ? ", …)" : ")");
}

static void check_cells(struct findings *findings, const struct lay_task_result *task,
                        const struct lay_cell *a, const struct lay_cell *b)
{
    struct id_list only_a = {.what = "only in the first"}, only_b = {.what = "only in the second"},
                   other = {.what = "with another target"};
    size_t i = 0, j = 0;
    while (i < a->count && j < b->count) {
        const struct lay_record *x = &a->records[i], *y = &b->records[j];
        if (x->doc_id < y->doc_id)
            note_id(&only_a, x->doc_id);
        else if (y->doc_id < x->doc_id)
            note_id(&only_b, y->doc_id);
        else if (!lay_same_sample(x, y, task->math))
            note_id(&other, x->doc_id);
        i += x->doc_id <= y->doc_id;
        j += y->doc_id <= x->doc_id;
    }
    for (; i < a->count; i++)
        note_id(&only_a, a->records[i].doc_id);
    for (; j < b->count; j++)
        note_id(&only_b, b->records[j].doc_id);
    report_ids(findings, task, a, &only_a);
    report_ids(findings, task, a, &only_b);
    report_ids(findings, task, a, &other);
}

/* Languages of `task` that `other` has not; those both have are compared if `samples`. */
static void check_languages(struct findings *findings, const struct lay_task_result *task,
                            const struct lay_task_result *other, const char *which, bool samples)
{
    for (size_t i = 0; i < task->count; i++) {
        const struct lay_cell *cell = lay_cell_of(other, task->cells[i].language);
        struct lay_str *out = cell ? NULL : next_finding(findings);
        if (out)
            lay_str_printf(out, "%s %s only in the %s", task->task, task->cells[i].language, which);
        if (cell && samples)
            check_cells(findings, task, &task->cells[i], cell);
    }
}

static void check_tasks(struct findings *findings, const struct lay_system_result *system,
                        const struct lay_system_result *other, const char *which, bool samples)
{
    for (size_t i = 0; i < system->count; i++) {
        const struct lay_task_result *task = lay_task_of(other, system->tasks[i].task);
        struct lay_str *out = task ? NULL : next_finding(findings);
        if (out)
            lay_str_printf(out, "%s only in the %s", system->tasks[i].task, which);
        if (task)
            check_languages(findings, &system->tasks[i], task, which, samples);
    }
}

enum lay_status lay_compare_check(const struct lay_system_result *a, const struct lay_system_result *b,
                                  struct lay_err *err)
{
    struct findings findings = {0};
    check_tasks(&findings, a, b, "first", true);
    check_tasks(&findings, b, a, "second", false);
    if (findings.count > PLACES_SHOWN)
        lay_str_printf(&findings.text, "; and %zu more", findings.count - PLACES_SHOWN);
    enum lay_status status = lay_str_check(&findings.text, err);
    if (status == LAY_OK && findings.count)
        status = lay_fail(err, LAY_ERR_INPUT,
                          "%.100s and %.100s have not answered the same samples: %s; compare what both have "
                          "(--task, --lang), or finish the run",
                          a->name, b->name, lay_str_text(&findings.text));
    lay_str_free(&findings.text);
    return status;
}

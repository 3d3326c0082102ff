#include "harness/run/reporting.h"

#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "reports/view.h"
#include "tasks/language.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAPER_FILE "baselines/layalign_paper.csv"
#define PAPER_TABLE ", Table "

/* --- tables of the paper --- */

/* The number in "LayAlign, arXiv …, Table 12"; 0 if there is none. */
static long table_of(const struct lay_baseline *row)
{
    const char *at = strstr(row->source, PAPER_TABLE);
    return at ? strtol(at + strlen(PAPER_TABLE), NULL, 10) : 0;
}

static enum lay_status refuse_table(int64_t table, const struct lay_baseline_list *all, struct lay_err *err)
{
    char known[256] = "";
    for (long n = 1; n <= 99; n++) {
        bool has = false;
        for (size_t i = 0; i < all->count; i++)
            has |= table_of(&all->rows[i]) == n;
        const size_t used = strlen(known);
        if (has)
            snprintf(known + used, sizeof known - used, "%s%ld", used ? ", " : "", n);
    }
    return lay_fail(err, LAY_ERR_USAGE,
                    "--paper: no figures of Table %lld in data/" PAPER_FILE "; it has Tables %s",
                    (long long)table, known);
}

/* Keeps the rows of the table. */
static void keep_table(struct lay_baseline_list *list, int64_t table)
{
    size_t kept = 0;
    for (size_t i = 0; i < list->count; i++) {
        if (table_of(&list->rows[i]) == table)
            list->rows[kept++] = list->rows[i];
        else
            lay_baseline_clear(&list->rows[i]);
    }
    list->count = kept;
}

enum lay_status lay_reporting_paper(int64_t table, struct lay_baseline_list *list, struct lay_err *err)
{
    char *path = lay_path_join(lay_data_dir(), PAPER_FILE);
    bool has = false;
    if (!path)
        return lay_no_memory(err, "a path");
    const enum lay_status status = lay_baseline_read(path, list, err);
    lay_free(path);
    LAY_TRY(status);
    for (size_t i = 0; i < list->count; i++)
        has |= table_of(&list->rows[i]) == table;
    if (!has)
        return refuse_table(table, list, err);
    keep_table(list, table);
    return LAY_OK;
}

enum lay_status lay_reporting_check(const struct lay_system_result *systems, size_t count,
                                    const struct lay_baseline_list *published, int64_t table,
                                    struct lay_err *err)
{
    struct lay_str tasks = {0};
    bool any = false;
    for (size_t i = 0; i < published->count; i++) {
        const char *task = published->rows[i].task;
        for (size_t s = 0; s < count; s++)
            any |= lay_task_of(&systems[s], task) != NULL;
        if (!tasks.data || !strstr(tasks.data, task))
            lay_str_printf(&tasks, "%s%s", tasks.length ? ", " : "", task);
    }
    const enum lay_status status =
        any ? LAY_OK
            : lay_fail(err, LAY_ERR_INPUT, "--paper: Table %lld is about %s, which no run has",
                       (long long)table, lay_str_text(&tasks));
    lay_str_free(&tasks);
    return status;
}

/* --- files --- */

enum lay_status lay_reporting_names(const struct lay_option_list *formats, struct lay_err *err)
{
    const struct lay_report_format *format;
    for (size_t i = 0; i < formats->count; i++)
        LAY_TRY(lay_report_format_find(formats->items[i], "--report", true, &format, err));
    return LAY_OK;
}

static enum lay_status write_file(const struct lay_report *report, const struct lay_report_format *format,
                                  const char *dir, struct lay_err *err)
{
    struct lay_str text = {0};
    enum lay_status status = format->put(&text, report, err);
    if (status == LAY_OK)
        status = lay_file_write_in(dir, format->file, &text, err);
    lay_str_free(&text);
    return status;
}

enum lay_status lay_reporting_write(const struct lay_system_result *systems, size_t count,
                                    const struct lay_option_list *formats, const char *dir,
                                    struct lay_err *err)
{
    const struct lay_report report = {.systems = systems, .count = count};
    for (size_t i = 0; i < formats->count; i++) {
        const struct lay_report_format *format;
        LAY_TRY(lay_report_format_find(formats->items[i], "--report", true, &format, err));
        LAY_TRY(write_file(&report, format, dir, err));
    }
    return LAY_OK;
}

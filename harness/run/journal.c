#include "harness/run/journal.h"

#include "engine/base/file.h"
#include "engine/base/json_scan.h"
#include "engine/base/mem.h"
#include "harness/run/journal_line.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- reading --- */

/* Lines of a file that end in a newline. */
struct lines {
    struct lay_json_slice *items; /* without the newline */
    size_t count;
};

static enum lay_status split_lines(const char *text, size_t size, struct lines *lines, struct lay_err *err)
{
    size_t capacity = 0;
    for (size_t at = 0; at < size;) {
        const char *end = memchr(text + at, '\n', size - at);
        if (!end)
            break; /* torn */
        if (!lay_grow((void **)&lines->items, &capacity, lines->count + 1, sizeof *lines->items))
            return lay_no_memory(err, "a journal");
        lines->items[lines->count++] = (struct lay_json_slice){text + at, (size_t)(end - text) - at};
        at = (size_t)(end - text) + 1;
    }
    return LAY_OK;
}

/* What became of a line, in the order in which faults of one line count. */
enum line_state { LINE_READ, LINE_DAMAGED, LINE_REFUSED };

struct line_fault {
    size_t at; /* the first line, from 0, that was not read; SIZE_MAX: none */
    enum line_state state;
    struct lay_err err;
};

static enum line_state read_line(const char *path, const struct lines *lines, size_t at,
                                 struct lay_journal_entry *entry, struct lay_err *err)
{
    char where[512];
    const struct lay_json_slice *line = &lines->items[at];
    if (!lay_journal_line_intact(line->text, line->length))
        return LINE_DAMAGED;
    snprintf(where, sizeof where, "%s:%zu", path, at + 1);
    return lay_journal_line_read_entry(where, line->text, line->length, entry, err) == LAY_OK ? LINE_READ
                                                                                              : LINE_REFUSED;
}

/* Lines 2 to the end into entries[0] on. In parallel: a line's entry depends on the line alone and has its
 * own place, and of several faults the one in the first line is kept, so nothing depends on threads. */
static void read_entries(const char *path, const struct lines *lines, struct lay_journal_entry *entries,
                         struct line_fault *fault)
{
    fault->at = SIZE_MAX;
#pragma omp parallel for schedule(dynamic, 64) if (lines->count > 512)
    for (size_t i = 1; i < lines->count; i++) {
        struct lay_err err = {0};
        const enum line_state state = read_line(path, lines, i, &entries[i - 1], &err);
        if (state == LINE_READ)
            continue;
#pragma omp critical(lay_journal_fault)
        if (i < fault->at)
            *fault = (struct line_fault){i, state, err};
    }
}

static enum lay_status damaged(const char *path, size_t at, struct lay_err *err)
{
    return lay_fail(
        err, LAY_ERR_INPUT,
        "%s:%zu: damaged line, its checksum does not match; delete that line and repeat the run to "
        "have its sample redone%s",
        path, at + 1, at == 0 ? " (for the first line: remove the file)" : "");
}

/* A damaged line is torn if no intact one follows: the process or the machine died in the middle of it. */
static bool is_torn(const struct lines *lines, size_t at)
{
    for (size_t i = at + 1; i < lines->count; i++)
        if (lay_journal_line_intact(lines->items[i].text, lines->items[i].length))
            return false;
    return true;
}

static enum lay_status keep_intact(const char *path, const struct lines *lines,
                                   const struct line_fault *fault, struct lay_journal *journal,
                                   struct lay_err *err)
{
    size_t intact = lines->count;
    if (fault->at != SIZE_MAX) {
        if (fault->state == LINE_REFUSED)
            return lay_fail(err, fault->err.status, "%s", fault->err.message);
        if (!is_torn(lines, fault->at))
            return damaged(path, fault->at, err);
        intact = fault->at;
    }
    journal->count = intact - 1;
    const struct lay_json_slice *last = &lines->items[intact - 1];
    journal->intact_bytes = (size_t)(last->text + last->length + 1 - lines->items[0].text);
    return LAY_OK;
}

static enum lay_status read_lines(const char *path, const struct lines *lines, int64_t *sealed_count,
                                  struct lay_journal *journal, struct lay_err *err)
{
    char where[512];
    struct line_fault fault;
    if (lines->count == 0)
        return LAY_OK;
    const struct lay_json_slice *first = &lines->items[0];
    if (!lay_journal_line_intact(first->text, first->length))
        return is_torn(lines, 0) ? LAY_OK : damaged(path, 0, err);
    snprintf(where, sizeof where, "%s:1", path);
    LAY_TRY(lay_journal_line_read_header(where, first->text, first->length, journal->manifest_hash,
                                         sealed_count, err));
    journal->entries = lay_alloc(lines->count, sizeof *journal->entries);
    if (!journal->entries)
        return lay_no_memory(err, "a journal");
    read_entries(path, lines, journal->entries, &fault);
    const enum lay_status status = keep_intact(path, lines, &fault, journal, err);
    if (status != LAY_OK)
        journal->count = lines->count - 1; /* all of them are freed */
    return status;
}

static int by_sample(const void *a, const void *b)
{
    const struct lay_journal_entry *x = *(const struct lay_journal_entry *const *)a;
    const struct lay_journal_entry *y = *(const struct lay_journal_entry *const *)b;
    if (x->doc_id != y->doc_id)
        return x->doc_id < y->doc_id ? -1 : 1;
    const int order = strcmp(x->language, y->language);
    return order != 0 ? order : strcmp(x->task, y->task);
}

static enum lay_status refuse_duplicates(const char *path, const struct lay_journal *journal,
                                         struct lay_err *err)
{
    enum lay_status status = LAY_OK;
    const struct lay_journal_entry **sorted = lay_alloc(journal->count, sizeof *sorted);
    if (!sorted)
        return lay_no_memory(err, "a journal");
    for (size_t i = 0; i < journal->count; i++)
        sorted[i] = &journal->entries[i];
    qsort(sorted, journal->count, sizeof *sorted, by_sample);
    for (size_t i = 1; i < journal->count && status == LAY_OK; i++) {
        if (by_sample(&sorted[i - 1], &sorted[i]) != 0)
            continue;
        const size_t first = (size_t)(sorted[i - 1] - journal->entries) + 2;
        const size_t second = (size_t)(sorted[i] - journal->entries) + 2;
        status =
            lay_fail(err, LAY_ERR_INPUT, "%s:%zu: sample %s %s %lld stands in line %zu already; delete one",
                     path, first > second ? first : second, sorted[i]->task, sorted[i]->language,
                     (long long)sorted[i]->doc_id, first > second ? second : first);
    }
    lay_free(sorted);
    return status;
}

enum lay_status lay_journal_read(const char *dir, struct lay_journal *journal, struct lay_err *err)
{
    struct lay_file_map map = {0};
    struct lines lines = {0};
    int64_t sealed_count = -1;
    *journal = (struct lay_journal){0};
    char *path = lay_path_join(dir, LAY_JOURNAL_FILE);
    if (!path)
        return lay_no_memory(err, "a path");
    enum lay_status status;
    LAY_TRY_GOTO(status, lay_file_map(path, &map, err), done);
    LAY_TRY_GOTO(status, split_lines((const char *)map.data, map.size, &lines, err), done);
    LAY_TRY_GOTO(status, read_lines(path, &lines, &sealed_count, journal, err), done);
    LAY_TRY_GOTO(status, refuse_duplicates(path, journal, err), done);
    if (sealed_count >= 0 && journal->count > (size_t)sealed_count)
        status = lay_fail(err, LAY_ERR_INPUT, "%s: %zu samples where the first line seals %lld", path,
                          journal->count, (long long)sealed_count);
    journal->sealed = sealed_count >= 0 && journal->count == (size_t)sealed_count;
    journal->stale_seal = sealed_count >= 0 && !journal->sealed;
done:
    lay_free(lines.items);
    lay_file_unmap(&map);
    lay_free(path);
    if (status != LAY_OK)
        lay_journal_free(journal);
    return status;
}

void lay_journal_free(struct lay_journal *journal)
{
    for (size_t i = 0; i < journal->count; i++)
        lay_journal_entry_free(&journal->entries[i]);
    lay_free(journal->entries);
    *journal = (struct lay_journal){0};
}

/* --- writing whole --- */

/* The file with these entries, atomically; `sealed` marks it so. */
static enum lay_status write_whole(const char *path, const char *manifest_hash,
                                   const struct lay_journal *journal, bool sealed, struct lay_err *err)
{
    struct lay_file_writer *writer;
    struct lay_str line = {0};
    LAY_TRY(lay_file_writer_open(path, &writer, err));
    lay_journal_line_header(&line, manifest_hash, sealed ? (int64_t)journal->count : -1);
    enum lay_status status = lay_str_check(&line, err);
    if (status == LAY_OK)
        status = lay_file_writer_write(writer, line.data, line.length, err);
    for (size_t i = 0; i < journal->count && status == LAY_OK; i++) {
        lay_str_clear(&line);
        lay_journal_line_entry(&line, &journal->entries[i]);
        status = lay_str_check(&line, err);
        if (status == LAY_OK)
            status = lay_file_writer_write(writer, line.data, line.length, err);
    }
    lay_str_free(&line);
    if (status == LAY_OK)
        return lay_file_writer_commit(writer, err);
    lay_file_writer_abort(writer);
    return status;
}

static enum lay_status write_in(const char *dir, const char *manifest_hash, const struct lay_journal *journal,
                                bool sealed, struct lay_err *err)
{
    char *path = lay_path_join(dir, LAY_JOURNAL_FILE);
    if (!path)
        return lay_no_memory(err, "a path");
    const enum lay_status status = write_whole(path, manifest_hash, journal, sealed, err);
    lay_free(path);
    return status;
}

enum lay_status lay_journal_seal(const char *dir, const struct lay_journal *journal, struct lay_err *err)
{
    return write_in(dir, journal->manifest_hash, journal, true, err);
}

enum lay_status lay_journal_begin(const char *dir, const char *manifest_hash,
                                  const struct lay_journal *journal, struct lay_err *err)
{
    return write_in(dir, manifest_hash, journal, false, err);
}

#include "harness/run/journal.h"

#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "harness/run/journal_line.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- reading --- */

static enum lay_status take_line(const char *where, const char *line, size_t length, size_t number,
                                 int64_t *sealed_count, struct lay_journal *journal, size_t *capacity,
                                 struct lay_err *err)
{
    if (number == 1)
        return lay_journal_line_read_header(where, line, length, journal->manifest_hash, sealed_count, err);
    if (!lay_grow((void **)&journal->entries, capacity, journal->count + 1, sizeof *journal->entries))
        return lay_no_memory(err, "a journal");
    LAY_TRY(lay_journal_line_read_entry(where, line, length, &journal->entries[journal->count], err));
    journal->count++;
    return LAY_OK;
}

static bool any_intact(const char *text, size_t size)
{
    for (size_t at = 0; at < size;) {
        const char *end = memchr(text + at, '\n', size - at);
        const size_t length = end ? (size_t)(end - text) - at : size - at;
        if (end && lay_journal_line_intact(text + at, length))
            return true;
        at += length + 1;
    }
    return false;
}

static enum lay_status read_lines(const char *path, const char *text, size_t size, int64_t *sealed_count,
                                  struct lay_journal *journal, struct lay_err *err)
{
    size_t capacity = 0;
    size_t number = 1;
    while (journal->intact_bytes < size) {
        char where[512];
        const char *line = text + journal->intact_bytes;
        const size_t left = size - journal->intact_bytes;
        const char *end = memchr(line, '\n', left);
        const size_t length = end ? (size_t)(end - line) : left;
        if (!end || !lay_journal_line_intact(line, length)) {
            if (!any_intact(line, left))
                return LAY_OK; /* torn: the process or the machine died in the middle of it */
            return lay_fail(
                err, LAY_ERR_INPUT,
                "%s:%zu: damaged line, its checksum does not match; delete that line and repeat the "
                "run to have its sample redone%s",
                path, number, number == 1 ? " (for the first line: remove the file)" : "");
        }
        snprintf(where, sizeof where, "%s:%zu", path, number);
        LAY_TRY(take_line(where, line, length, number, sealed_count, journal, &capacity, err));
        journal->intact_bytes += length + 1;
        number++;
    }
    return LAY_OK;
}

static int by_sample(const void *a, const void *b)
{
    const struct lay_journal_entry *x = *(const struct lay_journal_entry *const *)a;
    const struct lay_journal_entry *y = *(const struct lay_journal_entry *const *)b;
    int order = strcmp(x->task, y->task);
    if (order == 0)
        order = strcmp(x->language, y->language);
    return order != 0 ? order : (x->doc_id > y->doc_id) - (x->doc_id < y->doc_id);
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
    int64_t sealed_count = -1;
    *journal = (struct lay_journal){0};
    char *path = lay_path_join(dir, LAY_JOURNAL_FILE);
    if (!path)
        return lay_no_memory(err, "a path");
    enum lay_status status;
    LAY_TRY_GOTO(status, lay_file_map(path, &map, err), done);
    LAY_TRY_GOTO(status, read_lines(path, (const char *)map.data, map.size, &sealed_count, journal, err),
                 done);
    LAY_TRY_GOTO(status, refuse_duplicates(path, journal, err), done);
    if (sealed_count >= 0 && journal->count > (size_t)sealed_count)
        status = lay_fail(err, LAY_ERR_INPUT, "%s: %zu samples where the first line seals %lld", path,
                          journal->count, (long long)sealed_count);
    journal->sealed = sealed_count >= 0 && journal->count == (size_t)sealed_count;
    journal->stale_seal = sealed_count >= 0 && !journal->sealed;
done:
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

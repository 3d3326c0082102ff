/* A run directory as a test wants it: make_run DIR, with {"manifest": {…}, "sealed": true, "entries":
 * [{"task", "language", "doc_id", "target", "output", "ended", "error", "doc"}]} on standard input.
 * tests/cli/runs.py calls it: the checksums of a journal are not in Python's library. */
#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "harness/run/journal.h"
#include "harness/run/manifest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *text_of(const cJSON *object, const char *key)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
    return text ? lay_strdup(text) : NULL;
}

static struct lay_journal_entry entry_of(const cJSON *object)
{
    const cJSON *doc = cJSON_GetObjectItemCaseSensitive(object, "doc");
    char *ended = text_of(object, "ended");
    struct lay_str line = {0};
    struct lay_journal_entry entry = {.task = text_of(object, "task"),
                                      .language = text_of(object, "language"),
                                      .target = text_of(object, "target"),
                                      .output = text_of(object, "output"),
                                      .error = text_of(object, "error")};
    if (lay_json_get_int(object, "entry", "doc_id", &entry.doc_id, NULL) != LAY_OK)
        exit(3);
    snprintf(entry.ended, sizeof entry.ended, "%s", ended ? ended : "eos");
    if (doc)
        lay_json_put(&line, doc, -1);
    entry.doc = doc ? lay_str_take(&line) : NULL;
    lay_free(ended);
    return entry;
}

static enum lay_status write_entries(const char *dir, const struct lay_journal *journal, bool sealed,
                                     struct lay_err *err)
{
    struct lay_journal_writer *writer;
    const struct lay_journal none = {0};
    if (sealed)
        return lay_journal_seal(dir, journal, err);
    LAY_TRY(lay_journal_open(dir, journal->manifest_hash, &none, &writer, err));
    enum lay_status status = LAY_OK;
    for (size_t i = 0; i < journal->count && status == LAY_OK; i++)
        status = lay_journal_append(writer, &journal->entries[i], err);
    return status == LAY_OK ? lay_journal_close(writer, NULL, err) : status;
}

static enum lay_status write_run(const char *dir, const cJSON *spec, struct lay_err *err)
{
    struct lay_journal journal = {0};
    const cJSON *entries = cJSON_GetObjectItemCaseSensitive(spec, "entries");
    LAY_TRY(lay_mkdirs(dir, err));
    LAY_TRY(lay_manifest_write(dir, cJSON_GetObjectItemCaseSensitive(spec, "manifest"), journal.manifest_hash,
                               err));
    journal.entries = lay_alloc((size_t)cJSON_GetArraySize(entries) + 1, sizeof *journal.entries);
    if (!journal.entries)
        return lay_no_memory(err, "the entries");
    for (const cJSON *entry = entries ? entries->child : NULL; entry; entry = entry->next)
        journal.entries[journal.count++] = entry_of(entry);
    const enum lay_status status =
        write_entries(dir, &journal, cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(spec, "sealed")), err);
    lay_journal_free(&journal);
    return status;
}

static enum lay_status read_all(FILE *file, struct lay_str *text, struct lay_err *err)
{
    char block[4096];
    for (size_t n; (n = fread(block, 1, sizeof block, file)) > 0;)
        lay_str_append(text, block, n);
    return lay_str_check(text, err);
}

int main(int argc, char **argv)
{
    struct lay_str text = {0};
    struct lay_err err = {0};
    cJSON *spec = NULL;
    if (argc != 2)
        return 2;
    enum lay_status status = read_all(stdin, &text, &err);
    if (status == LAY_OK)
        status = lay_json_parse("spec", lay_str_text(&text), text.length, &spec, &err);
    if (status == LAY_OK)
        status = write_run(argv[1], spec, &err);
    if (status != LAY_OK)
        fprintf(stderr, "make_run: %s\n", err.message);
    cJSON_Delete(spec);
    lay_str_free(&text);
    return lay_exit_code(status);
}

/* The journal of a run: one line per finished sample, the only source the scorer reads (formats.md).
 *
 * journal.jsonl starts with a line that binds it to the manifest (its hash). Every line is a JSON object
 * whose last member "xxh3" is the XXH3-128 of the bytes in front of `, "xxh3"`. Lines are appended as samples
 * finish, each in one write. Sealed means rewritten, atomically, in the manifest's order; the first line then
 * says so and how many samples follow. Whatever a crash leaves behind can be read: only what was written
 * last can be torn. */
#ifndef LAY_HARNESS_JOURNAL_H
#define LAY_HARNESS_JOURNAL_H

#include "engine/base/err.h"
#include "engine/base/hash.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LAY_JOURNAL_FILE "journal.jsonl"

/* One finished sample. Owned strings in entries read back; borrowed when appending. */
struct lay_journal_entry {
    char *task, *language; /* "mgsm", "bn" */
    int64_t doc_id;
    char *source;  /* text the encoder read, NULL if none */
    char *prompt;  /* the LLM's text prompt, NULL if none */
    char *target;  /* gold string as the data file has it */
    char *output;  /* generated text */
    char ended[8]; /* "eos", "length", "stop", "error" */
    char *error;   /* NULL unless ended is error */
    bool truncated;
    int64_t source_tokens, prompt_tokens, output_tokens;
    char *doc; /* the item as read, JSON text on one line */
};

struct lay_journal {
    struct lay_journal_entry *entries;
    size_t count;
    char manifest_hash[LAY_HASH_HEX]; /* "" when not even the first line is intact */
    bool sealed;                      /* complete, in the manifest's order */
    bool stale_seal;                  /* marked sealed, but lines are missing at the end */
    size_t intact_bytes;              /* length of the file up to the end of the last intact line */
};

/* Reads DIR/journal.jsonl. What is torn at the end is dropped; a damaged line in front of an intact one, or a
 * sample that stands twice, is LAY_ERR_INPUT with its number. */
enum lay_status lay_journal_read(const char *dir, struct lay_journal *journal, struct lay_err *err);
void lay_journal_free(struct lay_journal *journal);

/* Appending. Nothing is buffered: when append returns, the line survives the end of this process. A thread of
 * the writer brings lines to the disk within LAY_JOURNAL_SYNC_SECONDS: from then on they survive the end of
 * the machine. */
#define LAY_JOURNAL_SYNC_SECONDS 1
struct lay_journal_writer;

/* Opens for appending behind what `journal` read; {0} or one without an intact line starts a new file bound
 * to the hash. A sealed journal that turned out incomplete is unsealed. Returns; end with
 * lay_journal_close. */
enum lay_status lay_journal_open(const char *dir, const char *manifest_hash,
                                 const struct lay_journal *journal, struct lay_journal_writer **writer,
                                 struct lay_err *err);
/* LAY_ERR_IO when the line cannot be written (full disk …): the file is then cut back to its last whole line;
 * when earlier lines could not be brought to the disk; and when the file is not as this writer left it,
 * because another process writes to it or has removed it. */
enum lay_status lay_journal_append(struct lay_journal_writer *writer, const struct lay_journal_entry *entry,
                                   struct lay_err *err);
/* How many appended lines are not known to be on the disk. */
size_t lay_journal_unsaved(struct lay_journal_writer *writer);
/* Seconds spent in append so far. */
double lay_journal_seconds(const struct lay_journal_writer *writer);
/* Brings all lines to the disk and frees. *unsaved (may be NULL): how many of them are not known to be there.
 */
enum lay_status lay_journal_close(struct lay_journal_writer *writer, size_t *unsaved, struct lay_err *err);

/* Writes DIR/journal.jsonl whole, atomically and unsealed: the entries as they stand, bound to the hash. */
enum lay_status lay_journal_begin(const char *dir, const char *manifest_hash,
                                  const struct lay_journal *journal, struct lay_err *err);
/* The same, marked sealed. */
enum lay_status lay_journal_seal(const char *dir, const struct lay_journal *journal, struct lay_err *err);

#endif

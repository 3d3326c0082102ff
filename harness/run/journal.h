/* The journal of a run: one line per finished sample, the only source the scorer reads (formats.md).
 *
 * journal.jsonl starts with a line that binds it to the manifest (its hash). Every line is a JSON object
 * whose last member "xxh3" is the XXH3-128 of the bytes in front of `, "xxh3"`. Lines are appended as samples
 * finish, each in one write. Sealed means rewritten, atomically, in the manifest's order; the first line then
 * says so and how many samples follow. Whatever a crash leaves behind can be read: only the last line can be
 * torn. */
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

/* Reads DIR/journal.jsonl. A torn last line is dropped; a damaged line elsewhere, or a sample that stands
 * twice, is LAY_ERR_INPUT with its number. */
enum lay_status lay_journal_read(const char *dir, struct lay_journal *journal, struct lay_err *err);
void lay_journal_free(struct lay_journal *journal);

/* Appending. Nothing is buffered: when append returns, the line survives the end of this process; it survives
 * the end of the machine from the next sync on. */
struct lay_journal_writer;

/* Opens for appending behind what `journal` read; {0} or one without an intact line starts a new file bound
 * to the hash. A sealed journal that turned out incomplete is unsealed. Returns; end with
 * lay_journal_close. */
enum lay_status lay_journal_open(const char *dir, const char *manifest_hash,
                                 const struct lay_journal *journal, struct lay_journal_writer **writer,
                                 struct lay_err *err);
/* On failure (LAY_ERR_IO: full disk …) the file is cut back to its last whole line. Syncs when the last sync
 * is more than LAY_JOURNAL_SYNC_SECONDS old. */
#define LAY_JOURNAL_SYNC_SECONDS 1.0
enum lay_status lay_journal_append(struct lay_journal_writer *writer, const struct lay_journal_entry *entry,
                                   struct lay_err *err);
enum lay_status lay_journal_sync(struct lay_journal_writer *writer, struct lay_err *err);
/* Syncs and frees; accepts NULL. */
enum lay_status lay_journal_close(struct lay_journal_writer *writer, struct lay_err *err);

/* Rewrites DIR/journal.jsonl with the entries as they stand, marked sealed. */
enum lay_status lay_journal_seal(const char *dir, const struct lay_journal *journal, struct lay_err *err);

#endif

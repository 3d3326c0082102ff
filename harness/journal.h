/* The journal of a run: one line per finished sample, the only source the scorer reads (formats.md).
 *
 * journal.jsonl starts with a line that binds it to the manifest (its hash); every line ends in a checksum
 * member "xxh3". Appended as samples finish; sealed (rewritten in sample order) when the run is complete. */
#ifndef LAY_HARNESS_JOURNAL_H
#define LAY_HARNESS_JOURNAL_H

#include "engine/base/err.h"
#include "engine/base/hash.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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
    char manifest_hash[LAY_HASH_HEX];
    bool sealed; /* every line intact and in (task, language, doc_id) order given by the manifest */
};

/* Reads DIR/journal.jsonl. A torn last line is dropped; a damaged line elsewhere is LAY_ERR_INPUT with its
 * number. */
enum lay_status lay_journal_read(const char *dir, struct lay_journal *journal, struct lay_err *err);
void lay_journal_free(struct lay_journal *journal);

#endif

/* One line of a journal: text with its checksum, and back. Pure functions; see journal.h. */
#ifndef LAY_HARNESS_JOURNAL_LINE_H
#define LAY_HARNESS_JOURNAL_LINE_H

#include "engine/base/str.h"
#include "harness/run/journal.h"

/* Lines with their newline are appended to `line`; count is -1 while unsealed. */
void lay_journal_line_header(struct lay_str *line, const char *manifest_hash, int64_t count);
void lay_journal_line_entry(struct lay_str *line, const struct lay_journal_entry *entry);

/* Whether the line (without newline) ends in the checksum of what stands in front of it. */
bool lay_journal_line_intact(const char *line, size_t length);

/* Parse an intact line. `where` is "FILE:LINE" for messages. */
enum lay_status lay_journal_line_read_header(const char *where, const char *line, size_t length,
                                             char manifest_hash[LAY_HASH_HEX], int64_t *count,
                                             struct lay_err *err);
enum lay_status lay_journal_line_read_entry(const char *where, const char *line, size_t length,
                                            struct lay_journal_entry *entry, struct lay_err *err);
void lay_journal_entry_free(struct lay_journal_entry *entry); /* the strings */

#endif

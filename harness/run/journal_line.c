#include "harness/run/journal_line.h"

#include "engine/base/json.h"
#include "engine/base/json_scan.h"
#include "engine/base/mem.h"
#include "engine/base/utf8.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define JOURNAL_VERSION 1
#define CHECKSUM_KEY ", \"xxh3\": \""

/* `, "xxh3": "` + 32 digits + `"}` */
enum { CHECKSUM_LENGTH = sizeof CHECKSUM_KEY - 1 + LAY_HASH_HEX - 1 + 2 };

static void put_text(struct lay_str *line, const char *key, const char *text)
{
    lay_str_printf(line, ", \"%s\": ", key);
    if (text)
        lay_json_put_string(line, text, strlen(text));
    else
        lay_str_puts(line, "null");
}

static void put_number(struct lay_str *line, const char *key, int64_t number)
{
    lay_str_printf(line, ", \"%s\": %lld", key, (long long)number);
}

/* Closes the object that starts at `start`. */
static void put_checksum(struct lay_str *line, size_t start)
{
    char hex[LAY_HASH_HEX];
    if (line->failed)
        return;
    lay_hash_hex(lay_hash_bytes(line->data + start, line->length - start), hex);
    lay_str_printf(line, CHECKSUM_KEY "%s\"}\n", hex);
}

void lay_journal_line_header(struct lay_str *line, const char *manifest_hash, int64_t count)
{
    const size_t start = line->length;
    lay_str_printf(line, "{\"layeval_journal\": %d, \"manifest\": \"%s\", \"sealed\": %s", JOURNAL_VERSION,
                   manifest_hash, count < 0 ? "false" : "true");
    if (count >= 0)
        put_number(line, "count", count);
    put_checksum(line, start);
}

void lay_journal_line_entry(struct lay_str *line, const struct lay_journal_entry *entry)
{
    const size_t start = line->length;
    lay_str_puts(line, "{\"task\": ");
    lay_json_put_string(line, entry->task, strlen(entry->task));
    put_text(line, "language", entry->language);
    put_number(line, "doc_id", entry->doc_id);
    put_text(line, "source", entry->source);
    put_text(line, "prompt", entry->prompt);
    put_text(line, "target", entry->target);
    put_text(line, "output", entry->output);
    put_text(line, "ended", entry->ended);
    put_text(line, "error", entry->error);
    lay_str_printf(line, ", \"truncated\": %s", entry->truncated ? "true" : "false");
    put_number(line, "source_tokens", entry->source_tokens);
    put_number(line, "prompt_tokens", entry->prompt_tokens);
    put_number(line, "output_tokens", entry->output_tokens);
    lay_str_printf(line, ", \"doc\": %s", entry->doc);
    put_checksum(line, start);
}

bool lay_journal_line_intact(const char *line, size_t length)
{
    char hex[LAY_HASH_HEX];
    if (length < CHECKSUM_LENGTH || line[0] != '{')
        return false;
    const size_t body = length - CHECKSUM_LENGTH;
    const char *digits = line + body + sizeof CHECKSUM_KEY - 1;
    lay_hash_hex(lay_hash_bytes(line, body), hex);
    return memcmp(line + body, CHECKSUM_KEY, sizeof CHECKSUM_KEY - 1) == 0 &&
           memcmp(digits, hex, LAY_HASH_HEX - 1) == 0 && memcmp(line + length - 2, "\"}", 2) == 0;
}

/* --- reading --- */

enum lay_status lay_journal_line_read_header(const char *where, const char *line, size_t length,
                                             char manifest_hash[LAY_HASH_HEX], int64_t *count,
                                             struct lay_err *err)
{
    cJSON *root;
    int64_t version = 0;
    bool sealed = false;
    const char *hash = "";
    LAY_TRY(lay_json_parse(where, line, length, &root, err));
    *count = -1;
    enum lay_status status;
    LAY_TRY_GOTO(status, lay_json_get_int(root, where, "layeval_journal", &version, err), done);
    LAY_TRY_GOTO(status, lay_json_get_bool(root, where, "sealed", &sealed, err), done);
    LAY_TRY_GOTO(status, lay_json_get_string(root, where, "manifest", &hash, err), done);
    if (sealed)
        LAY_TRY_GOTO(status, lay_json_get_int(root, where, "count", count, err), done);
    if (version != JOURNAL_VERSION || strlen(hash) != LAY_HASH_HEX - 1 || (sealed && *count < 0))
        status = lay_fail(err, LAY_ERR_INPUT,
                          "%s: not the first line of a journal of version %d; was another layeval used?",
                          where, JOURNAL_VERSION);
    else
        memcpy(manifest_hash, hash, LAY_HASH_HEX);
done:
    cJSON_Delete(root);
    return status;
}

/* What may stand in a line; everything else is passed over, its checksum included. */
enum member_kind { TEXT, NUMBER, TRUTH, ENDED, DOC };
struct member {
    const char *key;
    enum member_kind kind;
    size_t offset; /* in the entry */
    bool required;
};
#define AT(field) offsetof(struct lay_journal_entry, field)
static const struct member members[] = {
    {"task", TEXT, AT(task), true},
    {"language", TEXT, AT(language), true},
    {"doc_id", NUMBER, AT(doc_id), true},
    {"source", TEXT, AT(source), false},
    {"prompt", TEXT, AT(prompt), false},
    {"target", TEXT, AT(target), true},
    {"output", TEXT, AT(output), true},
    {"ended", ENDED, AT(ended), true},
    {"error", TEXT, AT(error), false},
    {"truncated", TRUTH, AT(truncated), false},
    {"source_tokens", NUMBER, AT(source_tokens), false},
    {"prompt_tokens", NUMBER, AT(prompt_tokens), false},
    {"output_tokens", NUMBER, AT(output_tokens), false},
    {"doc", DOC, AT(doc), true},
};
#undef AT
enum { N_MEMBERS = sizeof members / sizeof *members };

static enum lay_status read_truth(const char *where, const char *key, struct lay_json_slice value,
                                  bool *truth, struct lay_err *err)
{
    *truth = lay_json_slice_is(value, "true");
    return *truth || lay_json_slice_is(value, "false")
               ? LAY_OK
               : lay_fail(err, LAY_ERR_INPUT, "%s: \"%s\" must be true or false", where, key);
}

static enum lay_status read_ended(const char *where, struct lay_json_slice value, char ended[8],
                                  struct lay_err *err)
{
    if (value.length < 3 || value.length - 2 >= sizeof((struct lay_journal_entry *)NULL)->ended ||
        value.text[0] != '"' || memchr(value.text, '\\', value.length))
        return lay_fail(err, LAY_ERR_INPUT, "%s: \"ended\" must be eos, length, stop or error", where);
    snprintf(ended, 8, "%.*s", (int)value.length - 2, value.text + 1);
    return LAY_OK;
}

static enum lay_status read_member(const char *where, const struct member *member,
                                   struct lay_json_slice value, struct lay_journal_entry *entry,
                                   struct lay_err *err)
{
    void *field = (char *)entry + member->offset;
    switch (member->kind) {
    case TEXT:
        return lay_json_slice_string(value, where, member->key, field, err);
    case NUMBER:
        return lay_json_slice_int(value, where, member->key, field, err);
    case TRUTH:
        return read_truth(where, member->key, value, field, err);
    case ENDED:
        return read_ended(where, value, field, err);
    case DOC: /* as it stands; it is parsed where it is needed */
        entry->doc = lay_strndup(value.text, value.length);
        return entry->doc ? LAY_OK : lay_no_memory(err, "a journal entry");
    }
    return LAY_OK;
}

/* Members stand in the order we write them, so the search starts behind the last one found. */
static const struct member *find_member(struct lay_json_slice key, size_t *next)
{
    for (size_t i = 0; i < N_MEMBERS; i++) {
        const size_t at = (*next + i) % N_MEMBERS;
        if (lay_json_slice_is(key, members[at].key)) {
            *next = at + 1;
            return &members[at];
        }
    }
    return NULL;
}

static enum lay_status read_members(const char *where, struct lay_json_scan *scan,
                                    struct lay_journal_entry *entry, struct lay_err *err)
{
    struct lay_json_slice key, value;
    unsigned seen = 0;
    size_t next = 0;
    while (lay_json_scan_member(scan, &key, &value)) {
        const struct member *member = find_member(key, &next);
        if (!member)
            continue;
        const unsigned bit = 1u << (member - members);
        if (seen & bit)
            return lay_fail(err, LAY_ERR_INPUT, "%s: key \"%s\" stands twice", where, member->key);
        if (member->kind != DOC && lay_json_slice_is(value, "null"))
            continue;
        seen |= bit;
        LAY_TRY(read_member(where, member, value, entry, err));
    }
    if (!lay_json_scan_ended(scan))
        return lay_fail(err, LAY_ERR_INPUT, "%s: not valid JSON", where);
    for (size_t i = 0; i < N_MEMBERS; i++)
        if (members[i].required && !(seen & 1u << i))
            return lay_json_missing(where, members[i].key, err);
    return LAY_OK;
}

enum lay_status lay_journal_line_read_entry(const char *where, const char *line, size_t length,
                                            struct lay_journal_entry *entry, struct lay_err *err)
{
    struct lay_json_scan scan;
    size_t bad_at;
    *entry = (struct lay_journal_entry){0};
    if (!lay_utf8_valid(line, length, &bad_at))
        return lay_fail(err, LAY_ERR_INPUT, "%s: invalid UTF-8 at byte %zu", where, bad_at);
    enum lay_status status = lay_json_scan_open(&scan, line, length)
                                 ? read_members(where, &scan, entry, err)
                                 : lay_fail(err, LAY_ERR_INPUT, "%s: not valid JSON", where);
    if (status == LAY_OK && entry->doc_id < 0)
        status = lay_fail(err, LAY_ERR_INPUT, "%s: \"doc_id\" must not be negative", where);
    if (status != LAY_OK)
        lay_journal_entry_free(entry);
    return status;
}

void lay_journal_entry_free(struct lay_journal_entry *entry)
{
    char *const texts[] = {entry->task,   entry->language, entry->source, entry->prompt,
                           entry->target, entry->output,   entry->error,  entry->doc};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        lay_free(texts[i]);
    *entry = (struct lay_journal_entry){0};
}

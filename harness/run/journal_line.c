#include "harness/run/journal_line.h"

#include "engine/base/json.h"
#include "engine/base/mem.h"

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

static enum lay_status copy_text(const cJSON *root, const char *where, const char *key, bool required,
                                 char **copy, struct lay_err *err)
{
    const char *text = NULL;
    LAY_TRY(lay_json_get_string(root, where, key, &text, err));
    if (!text)
        return required ? lay_json_missing(where, key, err) : LAY_OK;
    *copy = lay_strdup(text);
    return *copy ? LAY_OK : lay_no_memory(err, "a journal entry");
}

static enum lay_status read_texts(const cJSON *root, const char *where, struct lay_journal_entry *entry,
                                  struct lay_err *err)
{
    const struct {
        const char *key;
        bool required;
        char **text;
    } texts[] = {
        {"task", true, &entry->task},      {"language", true, &entry->language},
        {"source", false, &entry->source}, {"prompt", false, &entry->prompt},
        {"target", true, &entry->target},  {"output", true, &entry->output},
        {"error", false, &entry->error},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        LAY_TRY(copy_text(root, where, texts[i].key, texts[i].required, texts[i].text, err));
    return LAY_OK;
}

static enum lay_status read_numbers(const cJSON *root, const char *where, struct lay_journal_entry *entry,
                                    struct lay_err *err)
{
    const char *ended = "";
    entry->doc_id = -1;
    LAY_TRY(lay_json_get_int(root, where, "doc_id", &entry->doc_id, err));
    LAY_TRY(lay_json_get_int(root, where, "source_tokens", &entry->source_tokens, err));
    LAY_TRY(lay_json_get_int(root, where, "prompt_tokens", &entry->prompt_tokens, err));
    LAY_TRY(lay_json_get_int(root, where, "output_tokens", &entry->output_tokens, err));
    LAY_TRY(lay_json_get_bool(root, where, "truncated", &entry->truncated, err));
    LAY_TRY(lay_json_get_string(root, where, "ended", &ended, err));
    if (entry->doc_id < 0)
        return lay_json_missing(where, "doc_id", err);
    if (!*ended || strlen(ended) >= sizeof entry->ended)
        return lay_fail(err, LAY_ERR_INPUT, "%s: \"ended\" must be eos, length, stop or error", where);
    snprintf(entry->ended, sizeof entry->ended, "%s", ended);
    return LAY_OK;
}

static enum lay_status read_doc(const cJSON *root, const char *where, struct lay_journal_entry *entry,
                                struct lay_err *err)
{
    struct lay_str text = {0};
    const cJSON *doc = cJSON_GetObjectItemCaseSensitive(root, "doc");
    if (!doc)
        return lay_json_missing(where, "doc", err);
    lay_json_put(&text, doc, -1);
    entry->doc = lay_str_take(&text);
    return entry->doc ? LAY_OK : lay_no_memory(err, "a journal entry");
}

enum lay_status lay_journal_line_read_entry(const char *where, const char *line, size_t length,
                                            struct lay_journal_entry *entry, struct lay_err *err)
{
    cJSON *root;
    *entry = (struct lay_journal_entry){0};
    LAY_TRY(lay_json_parse(where, line, length, &root, err));
    enum lay_status status = read_texts(root, where, entry, err);
    if (status == LAY_OK)
        status = read_numbers(root, where, entry, err);
    if (status == LAY_OK)
        status = read_doc(root, where, entry, err);
    cJSON_Delete(root);
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

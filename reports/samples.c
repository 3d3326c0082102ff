#include "reports/samples.h"

#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "reports/emit.h"

#include <stdio.h>
#include <string.h>

static void hash_text(const char *text, char hex[LAY_HASH_HEX])
{
    lay_hash_hex(lay_hash_bytes(text ? text : "", text ? strlen(text) : 0), hex);
}

/* As json.dumps(doc, indent=2, ensure_ascii=False) lays it out. */
static enum lay_status put_indented(struct lay_str *out, const struct lay_record *record, struct lay_err *err)
{
    char where[64];
    cJSON *doc;
    snprintf(where, sizeof where, "the journal: doc of sample %lld", (long long)record->doc_id);
    LAY_TRY(lay_json_parse(where, record->doc, strlen(record->doc), &doc, err));
    lay_json_put(out, doc, 2);
    cJSON_Delete(doc);
    return LAY_OK;
}

enum lay_status lay_sample_hash(const struct lay_record *record, struct lay_sample_hashes *hashes,
                                struct lay_err *err)
{
    struct lay_str doc = {0};
    enum lay_status status = record->doc ? put_indented(&doc, record, err) : LAY_OK;
    if (status == LAY_OK)
        status = lay_str_check(&doc, err);
    if (status == LAY_OK) {
        hash_text(lay_str_text(&doc), hashes->doc);
        hash_text(record->prompt, hashes->prompt);
        hash_text(record->target, hashes->target);
    }
    lay_str_free(&doc);
    return status;
}

void lay_generation_put(struct lay_emit *emit, const char *key, const cJSON *generation)
{
    if (!generation) {
        lay_emit_tree(emit, key, NULL);
        return;
    }
    lay_emit_open(emit, key, '{');
    lay_emit_tree(emit, "until", cJSON_GetObjectItemCaseSensitive(generation, "stops"));
    lay_emit_tree(emit, "max_gen_toks", cJSON_GetObjectItemCaseSensitive(generation, "max_new_tokens"));
    lay_emit_bool(emit, "do_sample", false); /* we decode greedily only */
    lay_emit_double(emit, "temperature", 0);
    lay_emit_close(emit, '}');
}

static void put_layout(struct lay_emit *emit, const struct lay_record *record, const cJSON *generation,
                       const struct lay_sample_hashes *hashes)
{
    lay_emit_int(emit, "doc_id", record->doc_id);
    lay_emit_json(emit, "doc", record->doc);
    lay_emit_string(emit, "target", record->target);
    lay_emit_open(emit, "arguments", '{');
    lay_emit_open(emit, "gen_args_0", '{');
    lay_emit_string(emit, "arg_0", record->prompt ? record->prompt : "");
    if (generation)
        lay_generation_put(emit, "arg_1", generation);
    lay_emit_close(emit, '}');
    lay_emit_close(emit, '}');
    lay_emit_open(emit, "resps", '[');
    lay_emit_open(emit, NULL, '[');
    lay_emit_string(emit, NULL, record->output ? record->output : "");
    lay_emit_close(emit, ']');
    lay_emit_close(emit, ']');
    lay_emit_open(emit, "filtered_resps", '[');
    lay_emit_string(emit, NULL, record->paper_extracted ? record->paper_extracted : "");
    lay_emit_close(emit, ']');
    lay_emit_string(emit, "filter", "paper");
    lay_emit_open(emit, "metrics", '[');
    lay_emit_string(emit, NULL, "acc");
    lay_emit_close(emit, ']');
    lay_emit_string(emit, "doc_hash", hashes->doc);
    lay_emit_string(emit, "prompt_hash", hashes->prompt);
    lay_emit_string(emit, "target_hash", hashes->target);
    lay_emit_double(emit, "acc", record->paper_correct);
}

static void put_ours(struct lay_emit *emit, const struct lay_record *record)
{
    lay_emit_string(emit, "source", record->source);
    lay_emit_double(emit, "acc_strict", record->strict_correct);
    lay_emit_string(emit, "strict_extracted", record->strict_extracted ? record->strict_extracted : "");
    lay_emit_bool(emit, "unparsed", record->unparsed);
    lay_emit_bool(emit, "disagree", record->paper_correct != record->strict_correct);
    lay_emit_string(emit, "ended", record->ended);
    lay_emit_bool(emit, "truncated", record->truncated);
    lay_emit_int(emit, "source_tokens", record->source_tokens);
    lay_emit_int(emit, "prompt_tokens", record->prompt_tokens);
    lay_emit_int(emit, "output_tokens", record->output_tokens);
    lay_emit_string(emit, "error",
                    record->error ? record->error_message ? record->error_message : "error" : NULL);
}

enum lay_status lay_sample_put(struct lay_str *out, const struct lay_record *record, const cJSON *generation,
                               struct lay_err *err)
{
    struct lay_emit emit = {.out = out, .indent = -1};
    struct lay_sample_hashes hashes;
    LAY_TRY(lay_sample_hash(record, &hashes, err));
    lay_emit_open(&emit, NULL, '{');
    put_layout(&emit, record, generation, &hashes);
    put_ours(&emit, record);
    lay_emit_close(&emit, '}');
    lay_str_putc(out, '\n');
    return lay_str_check(out, err);
}

static enum lay_status write_lines(struct lay_file_writer *writer, const struct lay_cell *cell,
                                   const cJSON *generation, struct lay_err *err)
{
    struct lay_str line = {0};
    enum lay_status status = LAY_OK;
    for (size_t i = 0; i < cell->count && status == LAY_OK; i++) {
        lay_str_clear(&line);
        status = lay_sample_put(&line, &cell->records[i], generation, err);
        if (status == LAY_OK)
            status = lay_file_writer_write(writer, line.data, line.length, err);
    }
    lay_str_free(&line);
    return status;
}

enum lay_status lay_samples_write(const char *dir, const struct lay_system_result *system,
                                  const struct lay_task_result *task, const struct lay_cell *cell,
                                  struct lay_err *err)
{
    struct lay_str path = {0};
    struct lay_file_writer *writer = NULL;
    lay_str_printf(&path, "%s/samples_%s_%s.jsonl", dir, task->task, cell->language);
    enum lay_status status = lay_str_check(&path, err);
    if (status == LAY_OK)
        status = lay_file_writer_open(lay_str_text(&path), &writer, err);
    if (status == LAY_OK)
        status =
            write_lines(writer, cell, cJSON_GetObjectItemCaseSensitive(system->manifest, "generation"), err);
    if (status == LAY_OK)
        status = lay_file_writer_commit(writer, err);
    else
        lay_file_writer_abort(writer);
    lay_str_free(&path);
    return status;
}

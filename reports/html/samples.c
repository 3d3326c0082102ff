#include "reports/html/samples.h"

#include "engine/base/mem.h"
#include "reports/emit.h"
#include "reports/html/pack.h"
#include "reports/markup.h"

#include <assert.h>
#include <string.h>

enum { MAX_TEMPLATES = 64, BLOCK_BYTES = 160 * 1024 };
static const char field_end = '\x1f', row_end = '\x1e', searched_end = '\x1d';

struct around {
    const char *before;
    size_t before_length;
    const char *behind;
};

struct writer {
    const struct lay_merged *merged;
    struct lay_packer *packer;
    struct around templates[MAX_TEMPLATES]; /* borrow from the records' texts */
    size_t n_templates;
    struct lay_str block;
    size_t block_rows;
    size_t *blocks; /* rows of each */
    size_t n_blocks, blocks_capacity;
};

static unsigned char flags_of(const struct lay_record *record)
{
    if (!record)
        return 0;
    return (unsigned char)(1 | (record->paper_correct ? 2 : 0) | (record->strict_correct ? 4 : 0) |
                           (record->unparsed ? 8 : 0) | (record->error ? 16 : 0) |
                           (record->truncated ? 32 : 0) | (strcmp(record->ended, "length") == 0 ? 64 : 0) |
                           (strcmp(record->ended, "stop") == 0 ? 128 : 0));
}

static void open_script(struct lay_str *out)
{
    lay_str_puts(out, "<script class=\"samples\" type=\"text/plain\">");
}

static void close_script(struct lay_str *out)
{
    lay_str_puts(out, "</script>\n");
}

static enum lay_status put_flags(struct lay_str *out, struct writer *writer, struct lay_err *err)
{
    const struct lay_merged *merged = writer->merged;
    struct lay_str flags = {0};
    for (size_t s = 0; s < merged->systems; s++)
        for (size_t r = 0; r < merged->rows; r++)
            lay_str_putc(&flags, (char)flags_of(merged->records[r * merged->systems + s]));
    enum lay_status status = lay_str_check(&flags, err);
    open_script(out);
    if (status == LAY_OK)
        status = lay_packer_put(writer->packer, out, flags.data, flags.length, err);
    close_script(out);
    lay_str_free(&flags);
    return status;
}

static const char *main_text(const struct lay_record *record)
{
    const char *const texts[] = {record->question, record->prompt, record->source, record->doc};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (texts[i] && *texts[i])
            return texts[i];
    return "";
}

static bool fits(const struct around *around, const char *text, const char *main)
{
    const size_t length = strlen(main);
    return strncmp(text, around->before, around->before_length) == 0 &&
           strncmp(text + around->before_length, main, length) == 0 &&
           strcmp(text + around->before_length + length, around->behind) == 0;
}

/* The template that makes `text` of `main`, added if it is new; n_templates if there is none. The search
 * starts where most records of a report find theirs. */
static size_t find_template(struct writer *writer, const char *text, const char *main)
{
    for (size_t i = 0; i < writer->n_templates; i++)
        if (fits(&writer->templates[i], text, main))
            return i;
    const char *inside = *main ? strstr(text, main) : NULL;
    if (!inside || writer->n_templates == MAX_TEMPLATES)
        return writer->n_templates;
    writer->templates[writer->n_templates] = (struct around){
        .before = text, .before_length = (size_t)(inside - text), .behind = inside + strlen(main)};
    return writer->n_templates++;
}

static void put_prompt(struct writer *writer, const char *text, const char *main)
{
    struct lay_str *out = &writer->block;
    lay_str_putc(out, field_end);
    if (!text)
        return;
    const size_t template = find_template(writer, text, main);
    if (template <writer->n_templates) {
        lay_str_printf(out, "=%zu", template);
    } else {
        lay_str_putc(out, '\'');
        lay_markup_plain(out, text);
    }
}

static void put_field(struct lay_str *out, const char *text)
{
    lay_str_putc(out, field_end);
    lay_markup_plain(out, text);
}

static void put_details(struct writer *writer, const struct lay_record *record, const char *main)
{
    static const struct lay_record none = {0};
    const struct lay_record *r = record ? record : &none;
    put_field(&writer->block, r->paper_extracted);
    put_field(&writer->block, r->strict_extracted);
    put_prompt(writer, r->prompt, main);
    put_prompt(writer, r->source, main);
    lay_str_printf(&writer->block, "%c%lld/%lld/%lld", field_end, (long long)r->prompt_tokens,
                   (long long)r->source_tokens, (long long)r->output_tokens);
}

static void put_row(struct writer *writer, size_t row)
{
    const size_t systems = writer->merged->systems;
    const struct lay_record *const *records = &writer->merged->records[row * systems], *any = NULL;
    struct lay_str *out = &writer->block;
    for (size_t s = 0; s < systems && !any; s++)
        any = records[s];
    assert(any); /* a row exists because some system has it */
    const char *main = main_text(any);
    lay_markup_plain(out, main);
    put_field(out, any->target);
    for (size_t s = 0; s < systems; s++)
        put_field(out, !records[s]         ? NULL
                       : records[s]->error ? records[s]->error_message
                                           : records[s]->output);
    lay_str_putc(out, searched_end);
    lay_str_printf(out, "%lld", (long long)any->doc_id);
    put_field(out, any->doc);
    for (size_t s = 0; s < systems; s++)
        put_details(writer, records[s], main);
    lay_str_putc(out, row_end);
    writer->block_rows++;
}

static enum lay_status put_block(struct lay_str *out, struct writer *writer, struct lay_err *err)
{
    if (!lay_grow((void **)&writer->blocks, &writer->blocks_capacity, writer->n_blocks + 1,
                  sizeof *writer->blocks))
        return lay_no_memory(err, "the samples of the report");
    LAY_TRY(lay_str_check(&writer->block, err));
    open_script(out);
    LAY_TRY(lay_packer_put(writer->packer, out, writer->block.data, writer->block.length, err));
    close_script(out);
    writer->blocks[writer->n_blocks++] = writer->block_rows;
    writer->block_rows = 0;
    lay_str_clear(&writer->block);
    return LAY_OK;
}

static enum lay_status put_blocks(struct lay_str *out, struct writer *writer, struct lay_err *err)
{
    for (size_t row = 0; row < writer->merged->rows; row++) {
        put_row(writer, row);
        if (writer->block.length >= BLOCK_BYTES || row + 1 == writer->merged->rows)
            LAY_TRY(put_block(out, writer, err));
    }
    return LAY_OK;
}

static void emit_visible(struct lay_emit *emit, const char *key, const char *text, size_t length)
{
    struct lay_str copy = {0}, visible = {0};
    lay_str_append(&copy, text, length);
    lay_markup_plain(&visible, lay_str_text(&copy));
    lay_emit_string(emit, key, lay_str_text(&visible));
    emit->out->failed |= copy.failed || visible.failed;
    lay_str_free(&copy);
    lay_str_free(&visible);
}

static void emit_cell(struct lay_emit *emit, const struct lay_merged_cell *cell)
{
    lay_emit_open(emit, NULL, '{');
    lay_emit_string(emit, "task", cell->task->task);
    lay_emit_string(emit, "title", cell->task->title);
    lay_emit_string(emit, "language", cell->cell->language);
    lay_emit_string(emit, "name", cell->cell->language_name);
    lay_emit_bool(emit, "rtl", cell->cell->right_to_left);
    lay_emit_int(emit, "rows", (int64_t)cell->rows);
    lay_emit_close(emit, '}');
}

static void emit_index(struct lay_emit *emit, const struct lay_system_result *systems,
                       const struct writer *writer)
{
    lay_emit_open(emit, NULL, '{');
    lay_emit_open(emit, "systems", '[');
    for (size_t s = 0; s < writer->merged->systems; s++)
        emit_visible(emit, NULL, systems[s].name, strlen(systems[s].name));
    lay_emit_close(emit, ']');
    lay_emit_open(emit, "cells", '[');
    for (size_t i = 0; i < writer->merged->n_cells; i++)
        emit_cell(emit, &writer->merged->cells[i]);
    lay_emit_close(emit, ']');
    lay_emit_open(emit, "templates", '[');
    for (size_t i = 0; i < writer->n_templates; i++) {
        const struct around *around = &writer->templates[i];
        lay_emit_open(emit, NULL, '[');
        emit_visible(emit, NULL, around->before, around->before_length);
        emit_visible(emit, NULL, around->behind, strlen(around->behind));
        lay_emit_close(emit, ']');
    }
    lay_emit_close(emit, ']');
    lay_emit_open(emit, "blocks", '[');
    for (size_t i = 0; i < writer->n_blocks; i++)
        lay_emit_int(emit, NULL, (int64_t)writer->blocks[i]);
    lay_emit_close(emit, ']');
    lay_emit_close(emit, '}');
}

static enum lay_status put_index(struct lay_str *out, const struct lay_system_result *systems,
                                 const struct writer *writer, struct lay_err *err)
{
    struct lay_str json = {0};
    struct lay_emit emit = {.out = &json, .indent = -1};
    emit_index(&emit, systems, writer);
    lay_str_puts(out, "<script id=\"sample-index\" type=\"application/json\">");
    lay_markup_json(out, lay_str_text(&json));
    close_script(out);
    out->failed |= json.failed;
    lay_str_free(&json);
    return lay_str_check(out, err);
}

enum lay_status lay_html_samples_put(struct lay_str *out, const struct lay_system_result *systems,
                                     const struct lay_merged *merged, struct lay_err *err)
{
    struct writer writer = {.merged = merged, .templates = {{.before = "", .behind = ""}}, .n_templates = 1};
    enum lay_status status = lay_packer_open(&writer.packer, err);
    if (status == LAY_OK)
        status = put_flags(out, &writer, err);
    if (status == LAY_OK)
        status = put_blocks(out, &writer, err);
    if (status == LAY_OK)
        status = put_index(out, systems, &writer, err);
    lay_packer_close(writer.packer);
    lay_str_free(&writer.block);
    lay_free(writer.blocks);
    return status;
}

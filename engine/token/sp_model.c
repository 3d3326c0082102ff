#include "engine/token/sp_model.h"

#include "engine/base/mem.h"
#include "engine/base/utf8.h"

#include <math.h>
#include <string.h>

/* --- reading protobuf --- */

enum { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

struct reader {
    const unsigned char *at, *end;
};

/* One field: its number and its value, as an integer or as bytes. */
struct field {
    uint64_t number;
    unsigned wire;
    uint64_t value;
    const unsigned char *bytes;
    size_t length;
};

static bool read_varint(struct reader *reader, uint64_t *value)
{
    *value = 0;
    for (unsigned shift = 0; shift < 64 && reader->at < reader->end; shift += 7) {
        const unsigned char byte = *reader->at++;
        *value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return true;
    }
    return false;
}

static bool read_fixed(struct reader *reader, size_t size, uint64_t *value)
{
    *value = 0;
    if ((size_t)(reader->end - reader->at) < size)
        return false;
    for (size_t i = 0; i < size; i++)
        *value |= (uint64_t)*reader->at++ << (8 * i);
    return true;
}

/* False on malformed bytes; the caller has seen that there are bytes left. */
static bool read_field(struct reader *reader, struct field *field)
{
    uint64_t tag;
    *field = (struct field){0};
    if (!read_varint(reader, &tag))
        return false;
    field->number = tag >> 3;
    field->wire = (unsigned)(tag & 7);
    switch (field->wire) {
    case WIRE_VARINT:
        return read_varint(reader, &field->value);
    case WIRE_FIXED64:
        return read_fixed(reader, 8, &field->value);
    case WIRE_FIXED32:
        return read_fixed(reader, 4, &field->value);
    case WIRE_BYTES:
        if (!read_varint(reader, &field->value) || field->value > (uint64_t)(reader->end - reader->at))
            return false;
        field->bytes = reader->at;
        field->length = (size_t)field->value;
        reader->at += field->length;
        return true;
    default:
        return false;
    }
}

static struct reader reader_of(const struct field *field)
{
    return (struct reader){field->bytes, field->bytes + field->length};
}

/* --- the model --- */

static enum lay_status damaged(const char *name, struct lay_err *err)
{
    return lay_fail(err, LAY_ERR_INPUT,
                    "%s: not a SentencePiece model, or a damaged one; download or copy it again", name);
}

static enum lay_status parse_piece(const char *name, const struct field *message, struct lay_sp_model *model,
                                   struct lay_err *err)
{
    struct lay_sp_piece piece = {.text = "", .type = LAY_SP_NORMAL};
    struct reader reader = reader_of(message);
    while (reader.at < reader.end) {
        struct field field;
        if (!read_field(&reader, &field))
            return damaged(name, err);
        if (field.number == 1 && field.wire == WIRE_BYTES) {
            piece.text = (const char *)field.bytes;
            piece.length = field.length > LAY_SP_PIECE_BYTES_MAX ? 0 : (uint32_t)field.length;
        } else if (field.number == 2 && field.wire == WIRE_FIXED32) {
            const uint32_t bits = (uint32_t)field.value;
            memcpy(&piece.score, &bits, sizeof bits);
        } else if (field.number == 3 && field.wire == WIRE_VARINT) {
            piece.type = field.value <= LAY_SP_BYTE ? (enum lay_sp_type)field.value : 0;
        }
    }
    const size_t id = model->count;
    if (piece.length == 0 || memchr(piece.text, 0, piece.length) ||
        !lay_utf8_valid(piece.text, piece.length, NULL))
        return lay_fail(err, LAY_ERR_INPUT, "%s: piece %zu is empty, too long or no valid UTF-8", name, id);
    if (!isfinite(piece.score) || piece.type == 0)
        return lay_fail(err, LAY_ERR_INPUT, "%s: piece %zu has no usable score or type", name, id);
    if (id >= LAY_SP_PIECES_MAX)
        return lay_fail(err, LAY_ERR_INPUT, "%s: more than %d pieces", name, LAY_SP_PIECES_MAX);
    if (!lay_grow((void **)&model->pieces, &model->capacity, id + 1, sizeof piece))
        return lay_no_memory(err, name);
    model->pieces[model->count++] = piece;
    return LAY_OK;
}

static enum lay_status parse_trainer(const char *name, const struct field *message,
                                     struct lay_sp_model *model, struct lay_err *err)
{
    struct reader reader = reader_of(message);
    while (reader.at < reader.end) {
        struct field field;
        if (!read_field(&reader, &field))
            return damaged(name, err);
        if (field.number == 3 && field.wire == WIRE_VARINT) {
            if (field.value < LAY_SP_UNIGRAM || field.value > LAY_SP_CHAR)
                return lay_fail(err, LAY_ERR_INPUT, "%s: unknown SentencePiece model type %llu", name,
                                (unsigned long long)field.value);
            model->algorithm = (enum lay_sp_algorithm)field.value;
        } else if (field.number == 35 && field.wire == WIRE_VARINT) {
            model->byte_fallback = field.value != 0;
        }
    }
    return LAY_OK;
}

static enum lay_status parse_normalizer(const char *name, const struct field *message,
                                        struct lay_sp_model *model, struct lay_err *err)
{
    struct reader reader = reader_of(message);
    while (reader.at < reader.end) {
        struct field field;
        if (!read_field(&reader, &field))
            return damaged(name, err);
        if (field.number == 2 && field.wire == WIRE_BYTES) {
            model->charsmap = field.length ? field.bytes : NULL;
            model->charsmap_size = field.length;
        }
    }
    return LAY_OK;
}

/* "<0x00>" … "<0xFF>", as the library spells them. */
static bool is_byte_name(const struct lay_sp_piece *piece)
{
    static const char digits[] = "0123456789ABCDEF";
    return piece->length == 6 && memcmp(piece->text, "<0x", 3) == 0 && memchr(digits, piece->text[3], 16) &&
           memchr(digits, piece->text[4], 16) && piece->text[5] == '>';
}

/* What the library would stumble over: it wants one unknown piece, and all 256 bytes or none. */
static enum lay_status check(const char *name, struct lay_sp_model *model, struct lay_err *err)
{
    size_t unknowns = 0, bytes = 0;
    for (size_t i = 0; i < model->count; i++) {
        const struct lay_sp_piece *piece = &model->pieces[i];
        if (piece->type == LAY_SP_UNKNOWN) {
            model->unknown = (int32_t)i;
            unknowns++;
        }
        bytes += piece->type == LAY_SP_BYTE;
        if (piece->type == LAY_SP_BYTE && !is_byte_name(piece))
            return lay_fail(err, LAY_ERR_INPUT, "%s: byte piece %zu is not named like <0x0A>", name, i);
    }
    if (model->count == 0)
        return damaged(name, err);
    if (unknowns != 1)
        return lay_fail(err, LAY_ERR_INPUT, "%s: %zu unknown pieces, must be one", name, unknowns);
    if (bytes != (model->byte_fallback ? 256 : 0))
        return lay_fail(err, LAY_ERR_INPUT, "%s: %zu byte pieces with byte fallback %s", name, bytes,
                        model->byte_fallback ? "on" : "off");
    return LAY_OK;
}

enum lay_status lay_sp_model_parse(const char *name, const void *bytes, size_t size,
                                   struct lay_sp_model *model, struct lay_err *err)
{
    static const unsigned char nothing[1];
    struct reader reader = {bytes ? bytes : nothing, bytes ? (const unsigned char *)bytes + size : nothing};
    enum lay_status status = LAY_OK;
    *model = (struct lay_sp_model){.algorithm = LAY_SP_UNIGRAM, .unknown = -1};
    while (status == LAY_OK && reader.at < reader.end) {
        struct field field;
        if (!read_field(&reader, &field))
            status = damaged(name, err);
        else if (field.wire != WIRE_BYTES)
            continue;
        else if (field.number == 1)
            status = parse_piece(name, &field, model, err);
        else if (field.number == 2)
            status = parse_trainer(name, &field, model, err);
        else if (field.number == 3)
            status = parse_normalizer(name, &field, model, err);
    }
    if (status == LAY_OK)
        status = check(name, model, err);
    if (status != LAY_OK)
        lay_sp_model_free(model);
    return status;
}

void lay_sp_model_free(struct lay_sp_model *model)
{
    lay_free(model->pieces);
    *model = (struct lay_sp_model){0};
}

/* --- writing --- */

static void put_varint(struct lay_str *out, uint64_t value)
{
    while (value >= 0x80) {
        lay_str_putc(out, (char)(value | 0x80));
        value >>= 7;
    }
    lay_str_putc(out, (char)value);
}

static void put_number(struct lay_str *out, unsigned field, uint64_t value)
{
    put_varint(out, field << 3 | WIRE_VARINT);
    put_varint(out, value);
}

static void put_bytes(struct lay_str *out, unsigned field, const char *bytes, size_t length)
{
    put_varint(out, field << 3 | WIRE_BYTES);
    put_varint(out, length);
    lay_str_append(out, bytes, length);
}

static void put_message(struct lay_str *out, unsigned field, struct lay_str *message)
{
    put_bytes(out, field, lay_str_text(message), message->length);
    out->failed |= message->failed;
    lay_str_clear(message);
}

static void put_piece(struct lay_str *message, const struct lay_sp_piece *piece, bool plain)
{
    uint32_t bits;
    memcpy(&bits, &piece->score, sizeof bits);
    put_bytes(message, 1, piece->text, piece->length);
    put_varint(message, 2 << 3 | WIRE_FIXED32);
    for (unsigned i = 0; i < 4; i++)
        lay_str_putc(message, (char)(bits >> (8 * i)));
    put_number(message, 3, plain && piece->type != LAY_SP_UNKNOWN ? LAY_SP_NORMAL : piece->type);
}

enum lay_status lay_sp_model_write(const struct lay_sp_model *model, bool plain, struct lay_str *out,
                                   struct lay_err *err)
{
    struct lay_str message = {0};
    for (size_t i = 0; i < model->count; i++) {
        put_piece(&message, &model->pieces[i], plain);
        put_message(out, 1, &message);
    }
    put_number(&message, 3, model->algorithm);
    put_number(&message, 35, model->byte_fallback && !plain);
    put_message(out, 2, &message);
    put_bytes(&message, 1, "identity", 8);
    put_number(&message, 3, 0); /* add_dummy_prefix */
    put_number(&message, 4, 0); /* remove_extra_whitespaces */
    put_number(&message, 5, 1); /* escape_whitespaces */
    put_message(out, 3, &message);
    lay_str_free(&message);
    return lay_str_check(out, err);
}

#include "engine/store/safetensors_write.h"

#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/base/mem.h"
#include "engine/base/str.h"

#include <string.h>

struct lay_safetensors_writer {
    struct lay_file_writer *file;
    char *path;
    size_t expected, written; /* bytes of the data section */
};

static const char *const format_names[LAY_DTYPE_COUNT] = {
    [LAY_F32] = "F32", [LAY_F16] = "F16", [LAY_BF16] = "BF16", [LAY_F64] = "F64", [LAY_I8] = "I8",
    [LAY_U8] = "U8",   [LAY_I16] = "I16", [LAY_I32] = "I32",   [LAY_I64] = "I64", [LAY_BOOL] = "BOOL",
};

static bool spec_bytes(const struct lay_tensor_spec *spec, size_t *bytes)
{
    bool fits = true;
    *bytes = lay_dtype_size(spec->dtype);
    for (int i = 0; i < spec->rank; i++)
        fits = fits && spec->shape[i] >= 0 && lay_mul_size(*bytes, (size_t)spec->shape[i], bytes);
    return fits;
}

/* {"__metadata__":{"format":"pt"},"name":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},…}, padded with
 * blanks to a multiple of eight bytes; transformers refuses a file without the metadata. */
static enum lay_status put_header(struct lay_str *header, const char *path,
                                  const struct lay_tensor_spec *specs, size_t count, size_t *total,
                                  struct lay_err *err)
{
    lay_str_puts(header, "{\"__metadata__\":{\"format\":\"pt\"}");
    *total = 0;
    for (size_t i = 0; i < count; i++) {
        size_t bytes, end;
        if (!spec_bytes(&specs[i], &bytes) || !lay_add_size(*total, bytes, &end))
            return lay_fail(err, LAY_ERR_INPUT, "%s: tensor \"%s\" is too large to write", path,
                            specs[i].name);
        lay_str_putc(header, ',');
        lay_json_put_string(header, specs[i].name, strlen(specs[i].name));
        lay_str_printf(header, ":{\"dtype\":\"%s\",\"shape\":[", format_names[specs[i].dtype]);
        for (int j = 0; j < specs[i].rank; j++)
            lay_str_printf(header, "%s%lld", j ? "," : "", (long long)specs[i].shape[j]);
        lay_str_printf(header, "],\"data_offsets\":[%zu,%zu]}", *total, end);
        *total = end;
    }
    lay_str_putc(header, '}');
    while (header->length % 8 && !header->failed)
        lay_str_putc(header, ' ');
    return lay_str_check(header, err);
}

static enum lay_status write_header(struct lay_safetensors_writer *writer, const struct lay_str *header,
                                    struct lay_err *err)
{
    unsigned char length[8];
    for (int i = 0; i < 8; i++)
        length[i] = (unsigned char)((uint64_t)header->length >> 8 * i);
    LAY_TRY(lay_file_writer_write(writer->file, length, sizeof length, err));
    return lay_file_writer_write(writer->file, lay_str_text(header), header->length, err);
}

enum lay_status lay_safetensors_create(const char *path, const struct lay_tensor_spec *specs, size_t count,
                                       struct lay_safetensors_writer **out, struct lay_err *err)
{
    struct lay_str header = {0};
    *out = NULL;
    struct lay_safetensors_writer *writer = lay_alloc(1, sizeof *writer);
    if (!writer)
        return lay_no_memory(err, "a safetensors writer");
    enum lay_status status = put_header(&header, path, specs, count, &writer->expected, err);
    if (status == LAY_OK && !(writer->path = lay_strdup(path)))
        status = lay_no_memory(err, "a path");
    if (status == LAY_OK)
        status = lay_file_writer_open(path, &writer->file, err);
    if (status == LAY_OK)
        status = write_header(writer, &header, err);
    lay_str_free(&header);
    if (status != LAY_OK)
        lay_safetensors_abort(writer);
    else
        *out = writer;
    return status;
}

enum lay_status lay_safetensors_put(struct lay_safetensors_writer *writer, const void *bytes, size_t length,
                                    struct lay_err *err)
{
    if (length > writer->expected - writer->written)
        return lay_fail(err, LAY_ERR_INTERNAL, "%s: more data than its header promises", writer->path);
    LAY_TRY(lay_file_writer_write(writer->file, bytes, length, err));
    writer->written += length;
    return LAY_OK;
}

enum lay_status lay_safetensors_finish(struct lay_safetensors_writer *writer, struct lay_err *err)
{
    if (writer->written != writer->expected) {
        const enum lay_status status = lay_fail(err, LAY_ERR_INTERNAL, "%s: %zu bytes of data are missing",
                                                writer->path, writer->expected - writer->written);
        lay_safetensors_abort(writer);
        return status;
    }
    const enum lay_status status = lay_file_writer_commit(writer->file, err);
    writer->file = NULL;
    lay_safetensors_abort(writer);
    return status;
}

void lay_safetensors_abort(struct lay_safetensors_writer *writer)
{
    if (!writer)
        return;
    lay_file_writer_abort(writer->file);
    lay_free(writer->path);
    lay_free(writer);
}

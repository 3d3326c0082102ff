#include "engine/store/torch_write.h"

#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "engine/base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <zip.h>

#define TOP "pytorch_model" /* torch names the folder in the zip after the file */

/* --- pickle, protocol 2 --- */

enum opcode {
    OP_PROTO = 0x80,
    OP_EMPTY_DICT = '}',
    OP_MARK = '(',
    OP_UNICODE = 'X',
    OP_GLOBAL = 'c',
    OP_INT1 = 'K',
    OP_INT4 = 'J',
    OP_LONG1 = 0x8a,
    OP_TUPLE = 't',
    OP_EMPTY_TUPLE = ')',
    OP_PERSISTENT = 'Q',
    OP_FALSE = 0x89,
    OP_REDUCE = 'R',
    OP_SETITEMS = 'u',
    OP_STOP = '.'
};

static const char *const storage_names[LAY_DTYPE_COUNT] = {[LAY_F32] = "FloatStorage",
                                                           [LAY_F16] = "HalfStorage",
                                                           [LAY_BF16] = "BFloat16Storage",
                                                           [LAY_F64] = "DoubleStorage"};

static void put_op(struct lay_str *out, enum opcode op)
{
    lay_str_putc(out, (char)op);
}

static void put_bytes(struct lay_str *out, uint64_t number, int bytes)
{
    for (int i = 0; i < bytes; i++)
        lay_str_putc(out, (char)(number >> 8 * i & 0xff));
}

static void put_text(struct lay_str *out, const char *text)
{
    put_op(out, OP_UNICODE);
    put_bytes(out, strlen(text), 4);
    lay_str_puts(out, text);
}

/* Not negative. */
static void put_int(struct lay_str *out, uint64_t number)
{
    if (number < 256) {
        put_op(out, OP_INT1);
        put_bytes(out, number, 1);
    } else if (number <= INT32_MAX) {
        put_op(out, OP_INT4);
        put_bytes(out, number, 4);
    } else {
        put_op(out, OP_LONG1);
        put_bytes(out, 8, 1);
        put_bytes(out, number, 8);
    }
}

static void put_global(struct lay_str *out, const char *module, const char *name)
{
    put_op(out, OP_GLOBAL);
    lay_str_printf(out, "%s\n%s\n", module, name);
}

static uint64_t elements(const struct lay_tensor_spec *spec)
{
    uint64_t count = 1;
    for (int i = 0; i < spec->rank; i++)
        count *= (uint64_t)spec->shape[i];
    return count;
}

static void put_shape(struct lay_str *out, const struct lay_tensor_spec *spec)
{
    put_op(out, OP_MARK);
    for (int i = 0; i < spec->rank; i++)
        put_int(out, (uint64_t)spec->shape[i]);
    put_op(out, OP_TUPLE);
    put_op(out, OP_MARK);
    for (int i = 0; i < spec->rank; i++) {
        uint64_t stride = 1;
        for (int j = i + 1; j < spec->rank; j++)
            stride *= (uint64_t)spec->shape[j];
        put_int(out, stride);
    }
    put_op(out, OP_TUPLE);
}

/* name: _rebuild_tensor_v2(storage, 0, shape, strides, requires_grad = False, hooks = OrderedDict()) */
static void put_tensor(struct lay_str *out, const struct lay_torch_tensor *tensor, size_t storage)
{
    char key[24];
    snprintf(key, sizeof key, "%zu", storage);
    put_text(out, tensor->spec.name);
    put_global(out, "torch._utils", "_rebuild_tensor_v2");
    put_op(out, OP_MARK);
    put_op(out, OP_MARK);
    put_text(out, "storage");
    put_global(out, "torch", storage_names[tensor->spec.dtype]);
    put_text(out, key);
    put_text(out, "cpu");
    put_int(out, elements(&tensor->spec));
    put_op(out, OP_TUPLE);
    put_op(out, OP_PERSISTENT);
    put_int(out, 0);
    put_shape(out, &tensor->spec);
    put_op(out, OP_FALSE);
    put_global(out, "collections", "OrderedDict");
    put_op(out, OP_EMPTY_TUPLE);
    put_op(out, OP_REDUCE);
    put_op(out, OP_TUPLE);
    put_op(out, OP_REDUCE);
}

static void put_pickle(struct lay_str *out, const char *wrapper, const struct lay_torch_tensor *tensors,
                       size_t count)
{
    put_op(out, OP_PROTO);
    put_bytes(out, 2, 1);
    put_op(out, OP_EMPTY_DICT);
    put_op(out, OP_MARK);
    if (wrapper) {
        put_text(out, wrapper);
        put_op(out, OP_EMPTY_DICT);
        put_op(out, OP_MARK);
    }
    for (size_t i = 0; i < count; i++)
        put_tensor(out, &tensors[i], tensors[i].same_as < 0 ? i : (size_t)tensors[i].same_as);
    put_op(out, OP_SETITEMS);
    if (wrapper)
        put_op(out, OP_SETITEMS);
    put_op(out, OP_STOP);
}

/* --- zip --- */

static enum lay_status zip_failed(const char *path, zip_t *archive, struct lay_err *err)
{
    return lay_fail(err, LAY_ERR_IO, "%s: cannot be written: %s", path, zip_strerror(archive));
}

/* The bytes are borrowed until the archive is closed. */
static enum lay_status add_entry(zip_t *archive, const char *path, const char *name, const void *bytes,
                                 size_t length, struct lay_err *err)
{
    zip_source_t *source = zip_source_buffer(archive, bytes, length, 0);
    if (!source)
        return zip_failed(path, archive, err);
    const zip_int64_t index = zip_file_add(archive, name, source, ZIP_FL_ENC_UTF_8);
    if (index < 0) {
        zip_source_free(source);
        return zip_failed(path, archive, err);
    }
    const uint16_t first_day = 1 << 5 | 1; /* 1 January 1980, the earliest a zip can say */
    if (zip_set_file_compression(archive, (zip_uint64_t)index, ZIP_CM_STORE, 0) != 0 ||
        zip_file_set_dostime(archive, (zip_uint64_t)index, 0, first_day, 0) != 0)
        return zip_failed(path, archive, err);
    return LAY_OK;
}

static enum lay_status add_entries(zip_t *archive, const char *path, const struct lay_str *pickle,
                                   const struct lay_torch_tensor *tensors, size_t count, struct lay_err *err)
{
    LAY_TRY(add_entry(archive, path, TOP "/data.pkl", lay_str_text(pickle), pickle->length, err));
    LAY_TRY(add_entry(archive, path, TOP "/byteorder", "little", 6, err));
    for (size_t i = 0; i < count; i++) {
        char name[64];
        snprintf(name, sizeof name, TOP "/data/%zu", i);
        if (tensors[i].same_as < 0)
            LAY_TRY(add_entry(archive, path, name, tensors[i].data,
                              (size_t)elements(&tensors[i].spec) * lay_dtype_size(tensors[i].spec.dtype),
                              err));
    }
    return add_entry(archive, path, TOP "/version", "3\n", 2, err);
}

static enum lay_status write_archive(const char *path, const struct lay_str *pickle,
                                     const struct lay_torch_tensor *tensors, size_t count,
                                     struct lay_err *err)
{
    int code = 0;
    zip_t *archive = zip_open(path, ZIP_CREATE | ZIP_TRUNCATE, &code);
    if (!archive) {
        zip_error_t error;
        zip_error_init_with_code(&error, code);
        const enum lay_status status =
            lay_fail(err, LAY_ERR_IO, "%s: cannot be written: %s", path, zip_error_strerror(&error));
        zip_error_fini(&error);
        return status;
    }
    enum lay_status status = add_entries(archive, path, pickle, tensors, count, err);
    if (status == LAY_OK && zip_close(archive) != 0)
        status = zip_failed(path, archive, err);
    else if (status == LAY_OK)
        return LAY_OK;
    zip_discard(archive);
    return status;
}

/* The finished file's content is on the disk before its name is. */
static enum lay_status publish(const char *temporary, const char *path, struct lay_err *err)
{
    const int fd = open(temporary, O_RDONLY | O_CLOEXEC);
    const bool synced = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0)
        close(fd);
    if (!synced || rename(temporary, path) != 0)
        return lay_fail(err, LAY_ERR_IO, "%s: cannot be written: %s", path, strerror(errno));
    return LAY_OK;
}

enum lay_status lay_torch_write(const char *path, const char *wrapper, const struct lay_torch_tensor *tensors,
                                size_t count, struct lay_err *err)
{
    struct lay_str pickle = {0}, temporary = {0};
    lay_str_printf(&temporary, "%s.tmp-%ld", path, (long)getpid());
    put_pickle(&pickle, wrapper, tensors, count);
    enum lay_status status = lay_str_check(&temporary, err);
    if (status == LAY_OK)
        status = lay_str_check(&pickle, err);
    if (status == LAY_OK)
        status = write_archive(lay_str_text(&temporary), &pickle, tensors, count, err);
    if (status == LAY_OK)
        status = publish(lay_str_text(&temporary), path, err);
    if (status != LAY_OK && temporary.length)
        unlink(lay_str_text(&temporary));
    lay_str_free(&pickle);
    lay_str_free(&temporary);
    return status;
}

#include "engine/base/file.h"

#include "engine/base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static enum lay_status io_error(struct lay_err *err, const char *path, const char *doing)
{
    const int code = errno;
    const enum lay_status status =
        code == ENOENT || code == ENOTDIR || code == EISDIR ? LAY_ERR_INPUT : LAY_ERR_IO;
    return lay_fail(err, status, "%s: cannot %s: %s", path, doing, strerror(code));
}

static enum lay_status open_regular(const char *path, int *fd, size_t *size, struct lay_err *err)
{
    struct stat st;
    *fd = open(path, O_RDONLY | O_CLOEXEC);
    if (*fd < 0)
        return io_error(err, path, "open");
    if (fstat(*fd, &st) != 0) {
        const enum lay_status status = io_error(err, path, "stat");
        close(*fd);
        return status;
    }
    if (!S_ISREG(st.st_mode)) {
        close(*fd);
        return lay_fail(err, LAY_ERR_INPUT, "%s: not a regular file", path);
    }
    *size = (size_t)st.st_size;
    return LAY_OK;
}

enum lay_status lay_file_map(const char *path, struct lay_file_map *map, struct lay_err *err)
{
    int fd;
    *map = (struct lay_file_map){0};
    LAY_TRY(open_regular(path, &fd, &map->size, err));
    enum lay_status status = LAY_OK;
    if (map->size > 0) {
        void *data = mmap(NULL, map->size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (data == MAP_FAILED)
            status = io_error(err, path, "map");
        else
            map->data = data;
    }
    close(fd);
    return status;
}

void lay_file_unmap(struct lay_file_map *map)
{
    if (map->data)
        munmap((void *)(uintptr_t)map->data, map->size);
    *map = (struct lay_file_map){0};
}

enum lay_status lay_file_read(const char *path, size_t max_bytes, struct lay_str *content,
                              struct lay_err *err)
{
    int fd;
    size_t size;
    LAY_TRY(open_regular(path, &fd, &size, err));
    enum lay_status status = LAY_OK;
    char block[65536];
    if (size > max_bytes) {
        status = lay_fail(err, LAY_ERR_INPUT, "%s: %zu bytes, more than the %zu that such a file may have",
                          path, size, max_bytes);
        goto done;
    }
    for (;;) {
        const ssize_t n = read(fd, block, sizeof block);
        if (n == 0)
            break;
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            status = io_error(err, path, "read");
            goto done;
        }
        lay_str_append(content, block, (size_t)n);
    }
    lay_str_append(content, "", 0);
    status = lay_str_check(content, err);
done:
    close(fd);
    return status;
}

struct lay_file_writer {
    FILE *stream;
    char *path;
    char *temporary;
};

static void writer_free(struct lay_file_writer *writer)
{
    lay_free(writer->path);
    lay_free(writer->temporary);
    lay_free(writer);
}

enum lay_status lay_file_writer_open(const char *path, struct lay_file_writer **out, struct lay_err *err)
{
    struct lay_str name = {0};
    struct lay_file_writer *writer = lay_alloc(1, sizeof *writer);
    *out = NULL;
    if (!writer)
        return lay_no_memory(err, "a file writer");
    lay_str_printf(&name, "%s.tmp-%ld", path, (long)getpid());
    writer->temporary = lay_str_take(&name);
    writer->path = lay_strdup(path);
    if (!writer->temporary || !writer->path) {
        writer_free(writer);
        return lay_no_memory(err, "a file writer");
    }
    writer->stream = fopen(writer->temporary, "wbe");
    if (!writer->stream) {
        const enum lay_status status = io_error(err, writer->temporary, "create");
        writer_free(writer);
        return status;
    }
    *out = writer;
    return LAY_OK;
}

enum lay_status lay_file_writer_write(struct lay_file_writer *writer, const void *bytes, size_t length,
                                      struct lay_err *err)
{
    if (length && fwrite(bytes, 1, length, writer->stream) != length)
        return io_error(err, writer->path, "write");
    return LAY_OK;
}

static void sync_directory_of(const char *path)
{
    char *dir = lay_path_dirname(path);
    const int fd = dir ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        fsync(fd); /* some file systems cannot; the rename itself is what counts */
        close(fd);
    }
    lay_free(dir);
}

static enum lay_status commit(struct lay_file_writer *writer, bool durable, struct lay_err *err)
{
    enum lay_status status = LAY_OK;
    if (fflush(writer->stream) != 0 || ferror(writer->stream) ||
        (durable && fsync(fileno(writer->stream)) != 0))
        status = io_error(err, writer->path, "write");
    if (fclose(writer->stream) != 0 && status == LAY_OK)
        status = io_error(err, writer->path, "write");
    if (status == LAY_OK && rename(writer->temporary, writer->path) != 0)
        status = io_error(err, writer->path, "rename a temporary file to it");
    if (status != LAY_OK)
        unlink(writer->temporary);
    else if (durable)
        sync_directory_of(writer->path);
    writer_free(writer);
    return status;
}

enum lay_status lay_file_writer_commit(struct lay_file_writer *writer, struct lay_err *err)
{
    return commit(writer, true, err);
}

enum lay_status lay_file_writer_place(struct lay_file_writer *writer, struct lay_err *err)
{
    return commit(writer, false, err);
}

void lay_file_writer_abort(struct lay_file_writer *writer)
{
    if (!writer)
        return;
    fclose(writer->stream);
    unlink(writer->temporary);
    writer_free(writer);
}

enum lay_status lay_file_write(const char *path, const void *bytes, size_t length, struct lay_err *err)
{
    struct lay_file_writer *writer;
    LAY_TRY(lay_file_writer_open(path, &writer, err));
    const enum lay_status status = lay_file_writer_write(writer, bytes, length, err);
    if (status != LAY_OK) {
        lay_file_writer_abort(writer);
        return status;
    }
    return lay_file_writer_commit(writer, err);
}

enum lay_status lay_file_write_in(const char *dir, const char *name, const struct lay_str *text,
                                  struct lay_err *err)
{
    char *path = lay_path_join(dir, name);
    enum lay_status status = path ? lay_str_check(text, err) : lay_no_memory(err, "a path");
    if (status == LAY_OK)
        status = lay_file_write(path, lay_str_text(text), text->length, err);
    lay_free(path);
    return status;
}

enum lay_status lay_mkdirs(const char *path, struct lay_err *err)
{
    char *partial = lay_strdup(path);
    if (!partial)
        return lay_no_memory(err, "a path");
    enum lay_status status = LAY_OK;
    for (char *at = partial + 1; *partial && status == LAY_OK; at++) {
        if (*at != '/' && *at != 0)
            continue;
        const char end = *at;
        *at = 0;
        if (mkdir(partial, 0777) != 0 && errno != EEXIST)
            status =
                lay_fail(err, LAY_ERR_IO, "%s: cannot create the directory: %s", partial, strerror(errno));
        *at = end;
        if (!end)
            break;
    }
    if (status == LAY_OK && !lay_path_is_dir(path))
        status = lay_fail(err, LAY_ERR_IO, "%s: exists and is not a directory; name another", path);
    lay_free(partial);
    return status;
}

bool lay_path_exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0;
}

bool lay_path_is_dir(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

bool lay_path_same(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

char *lay_path_join(const char *dir, const char *name)
{
    if (name[0] == '/' || !dir || !*dir)
        return lay_strdup(name);
    struct lay_str path = {0};
    lay_str_puts(&path, dir);
    if (dir[strlen(dir) - 1] != '/')
        lay_str_putc(&path, '/');
    lay_str_puts(&path, name);
    return lay_str_take(&path);
}

char *lay_path_dirname(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return lay_strdup(".");
    if (slash == path)
        return lay_strdup("/");
    return lay_strndup(path, (size_t)(slash - path));
}

const char *lay_path_basename(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

enum lay_status lay_dir_list(const char *path, struct lay_dir *dir, struct lay_err *err)
{
    size_t capacity = 0;
    *dir = (struct lay_dir){0};
    DIR *stream = opendir(path);
    if (!stream)
        return io_error(err, path, "list");
    const struct dirent *entry;
    enum lay_status status = LAY_OK;
    while (status == LAY_OK && (entry = readdir(stream)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        char *name = lay_strdup(entry->d_name);
        if (!name || !lay_grow((void **)&dir->names, &capacity, dir->count + 1, sizeof *dir->names)) {
            lay_free(name);
            status = lay_no_memory(err, "a directory listing");
        } else {
            dir->names[dir->count++] = name;
        }
    }
    closedir(stream);
    if (status != LAY_OK)
        lay_dir_free(dir);
    else if (dir->count > 1)
        qsort(dir->names, dir->count, sizeof *dir->names, by_bytes);
    return status;
}

void lay_dir_free(struct lay_dir *dir)
{
    for (size_t i = 0; i < dir->count; i++)
        lay_free(dir->names[i]);
    lay_free(dir->names);
    *dir = (struct lay_dir){0};
}

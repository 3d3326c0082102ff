/* Files: reading whole, mapping, writing so that a crash leaves the old or the new content, paths. */
#ifndef LAY_BASE_FILE_H
#define LAY_BASE_FILE_H

#include "engine/base/err.h"
#include "engine/base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A file mapped read-only. `data` is NULL for an empty file. Unmap with lay_file_unmap, which accepts {0}. */
struct lay_file_map {
    const unsigned char *data;
    size_t size;
};

enum lay_status lay_file_map(const char *path, struct lay_file_map *map, struct lay_err *err);
void lay_file_unmap(struct lay_file_map *map);

/* Reads the whole file into `content` (appended; NUL-terminated). Refuses files above max_bytes. */
enum lay_status lay_file_read(const char *path, size_t max_bytes, struct lay_str *content,
                              struct lay_err *err);

/* Writes `path` atomically: temporary file beside it, fsync, rename, fsync of the directory. */
enum lay_status lay_file_write(const char *path, const void *bytes, size_t length, struct lay_err *err);
/* The same for the file `name` of a directory; refuses a text for which there was not enough memory. */
enum lay_status lay_file_write_in(const char *dir, const char *name, const struct lay_str *text,
                                  struct lay_err *err);

/* The same for content that is produced piece by piece. open → write… → commit; abort forgets it all.
 * The writer buffers; errors surface at the latest in commit. */
struct lay_file_writer;
enum lay_status lay_file_writer_open(const char *path, struct lay_file_writer **writer, struct lay_err *err);
enum lay_status lay_file_writer_write(struct lay_file_writer *writer, const void *bytes, size_t length,
                                      struct lay_err *err);
enum lay_status lay_file_writer_commit(struct lay_file_writer *writer,
                                       struct lay_err *err); /* frees the writer, also on failure */
/* The same without waiting for the disk: for a file whose content is checked whenever it is read. */
enum lay_status lay_file_writer_place(struct lay_file_writer *writer, struct lay_err *err);
void lay_file_writer_abort(struct lay_file_writer *writer); /* accepts NULL */

enum lay_status lay_mkdirs(const char *path, struct lay_err *err);
bool lay_path_exists(const char *path);
bool lay_path_is_dir(const char *path);
/* Whether both exist and are the same place once links are followed. */
bool lay_path_same(const char *a, const char *b);

/* dir + "/" + name, or name alone when it is absolute or dir is NULL or empty. Returns; free with lay_free.
 */
char *lay_path_join(const char *dir, const char *name);
/* What stands before the last slash, "." if there is none. Returns; free with lay_free. */
char *lay_path_dirname(const char *path);
/* Points into path, behind the last slash. */
const char *lay_path_basename(const char *path);

/* Names in a directory that are no dot files, sorted bytewise. Free with lay_dir_free. */
struct lay_dir {
    char **names;
    size_t count;
};
enum lay_status lay_dir_list(const char *path, struct lay_dir *dir, struct lay_err *err);
void lay_dir_free(struct lay_dir *dir);

#endif

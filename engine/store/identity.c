#include "engine/store/identity.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

enum { PAGES = 64, PAGE_BYTES = 4096 };

/* Pages at even distances, the first and the last among them. */
static struct lay_hash sample(const struct lay_file_map *map)
{
    struct lay_hash hashes[PAGES];
    for (size_t i = 0; i < PAGES; i++) {
        const size_t last = map->size > PAGE_BYTES ? map->size - PAGE_BYTES : 0;
        const size_t at = last / (PAGES - 1) * i + last % (PAGES - 1) * i / (PAGES - 1);
        const size_t left = map->size - at;
        hashes[i] = lay_hash_bytes(map->data + at, left < PAGE_BYTES ? left : PAGE_BYTES);
    }
    return lay_hash_bytes(hashes, sizeof hashes);
}

enum lay_status lay_file_identity(const char *path, const struct lay_file_map *map, struct lay_str *text,
                                  struct lay_err *err)
{
    struct stat st;
    char hex[LAY_HASH_HEX];
    if (stat(path, &st) != 0)
        return lay_fail(err, LAY_ERR_IO, "%s: cannot stat: %s", path, strerror(errno));
    if ((size_t)st.st_size != map->size)
        return lay_fail(err, LAY_ERR_INPUT, "%s: changed while it was in use; start again", path);
    lay_hash_hex(sample(map), hex);
    lay_str_printf(text, "file %llu:%llu %zu bytes, content %lld.%09ld, inode %lld.%09ld, sample %s\n",
                   (unsigned long long)st.st_dev, (unsigned long long)st.st_ino, map->size,
                   (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec, (long long)st.st_ctim.tv_sec,
                   st.st_ctim.tv_nsec, hex);
    return lay_str_check(text, err);
}

#include "harness/run/rundir.h"

#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "harness/run/journal.h"
#include "harness/run/manifest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HOST_MAX = 256, OWNER_MAX = HOST_MAX + 32 };

struct lay_rundir {
    char *lock_path;
    int fd;
};

/* Whether the locked file is still the one the path names: its last owner may just have removed it. */
static bool still_there(const struct lay_rundir *dir)
{
    struct stat open_file, named_file;
    return fstat(dir->fd, &open_file) == 0 && stat(dir->lock_path, &named_file) == 0 &&
           open_file.st_ino == named_file.st_ino && open_file.st_dev == named_file.st_dev;
}

static enum lay_status refuse(const struct lay_rundir *dir, const char *path, struct lay_err *err)
{
    char owner[OWNER_MAX] = "";
    char *host = owner;
    const ssize_t n = pread(dir->fd, owner, sizeof owner - 1, 0);
    owner[n > 0 ? n : 0] = 0;
    const long process = strtol(owner, &host, 10);
    host += *host == ' ';
    host[strcspn(host, "\n")] = 0;
    return lay_fail(err, LAY_ERR_INPUT,
                    "%s: another layeval (process %ld%s%s) is working in this directory; wait for it or name "
                    "another --out",
                    path, process, *host ? " on " : "", host);
}

static enum lay_status lock(struct lay_rundir *dir, const char *path, struct lay_err *err)
{
    char owner[OWNER_MAX], host[HOST_MAX] = "";
    for (;;) {
        dir->fd = open(dir->lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        if (dir->fd < 0)
            return lay_fail(err, LAY_ERR_IO, "%s: cannot write into the directory: %s; name another --out",
                            path, strerror(errno));
        if (flock(dir->fd, LOCK_EX | LOCK_NB) != 0)
            return errno == EWOULDBLOCK
                       ? refuse(dir, path, err)
                       : lay_fail(err, LAY_ERR_IO,
                                  "%s: cannot lock: %s; name an --out on a file system that has locks",
                                  dir->lock_path, strerror(errno));
        if (still_there(dir))
            break;
        close(dir->fd);
    }
    if (gethostname(host, sizeof host - 1) != 0)
        host[0] = 0;
    const int n = snprintf(owner, sizeof owner, "%ld %s\n", (long)getpid(), host);
    if (ftruncate(dir->fd, 0) == 0 && pwrite(dir->fd, owner, (size_t)n, 0) == n)
        return LAY_OK;
    const int reason = errno;
    unlink(dir->lock_path); /* locked by us, so ours to remove */
    return lay_fail(err, LAY_ERR_IO, "%s: cannot write: %s; free some space or name another --out",
                    dir->lock_path, strerror(reason));
}

/* NAME.tmp-PID as lay_file_writer_open makes them. */
static bool is_temporary(const char *name)
{
    const char *mark = strstr(name, ".tmp-");
    return mark && mark > name && mark[5] && mark[5 + strspn(mark + 5, "0123456789")] == 0;
}

/* In the directory itself and below paper/, where paper/TASK/ hold files; other systems' directories are not
 * ours.
 */
static enum lay_status remove_temporaries(const char *path, int depth, struct lay_err *err)
{
    struct lay_dir list;
    LAY_TRY(lay_dir_list(path, &list, err));
    enum lay_status status = LAY_OK;
    for (size_t i = 0; i < list.count && status == LAY_OK; i++) {
        char *inside = lay_path_join(path, list.names[i]);
        if (!inside)
            status = lay_no_memory(err, "a path");
        else if (is_temporary(list.names[i]))
            unlink(inside);
        else if ((depth > 0 || strcmp(list.names[i], "paper") == 0) && depth < 2 && lay_path_is_dir(inside))
            status = remove_temporaries(inside, depth + 1, err);
        lay_free(inside);
    }
    lay_dir_free(&list);
    return status;
}

enum lay_status lay_rundir_open(const char *path, struct lay_rundir **out, struct lay_err *err)
{
    enum lay_status status;
    *out = NULL;
    struct lay_rundir *dir = lay_alloc(1, sizeof *dir);
    if (!dir)
        return lay_no_memory(err, "a run directory");
    dir->fd = -1;
    LAY_TRY_GOTO(status, lay_mkdirs(path, err), fail);
    dir->lock_path = lay_path_join(path, ".lock");
    if (!dir->lock_path) {
        status = lay_no_memory(err, "a path");
        goto fail;
    }
    LAY_TRY_GOTO(status, lock(dir, path, err), fail);
    *out = dir;
    status = remove_temporaries(path, 0, err);
    if (status == LAY_OK)
        return LAY_OK;
    *out = NULL;
    lay_rundir_close(dir);
    return status;
fail: /* the file of a lock that is not ours stays */
    if (dir->fd >= 0)
        close(dir->fd);
    lay_free(dir->lock_path);
    lay_free(dir);
    return status;
}

enum lay_status lay_rundir_clear(const char *path, const char *name, struct lay_err *err)
{
    char *inside = lay_path_join(path, name);
    if (!inside)
        return lay_no_memory(err, "a path");
    const enum lay_status status = lay_path_is_dir(inside) ? remove_temporaries(inside, 1, err) : LAY_OK;
    lay_free(inside);
    return status;
}

void lay_rundir_close(struct lay_rundir *dir)
{
    if (!dir)
        return;
    unlink(dir->lock_path); /* before the lock goes: whoever has it open sees that it is no longer there */
    close(dir->fd);
    lay_free(dir->lock_path);
    lay_free(dir);
}

enum lay_status lay_rundir_holds(const char *path, const char *name, bool *there, struct lay_err *err)
{
    struct stat found;
    char *file = lay_path_join(path, name);
    if (!file)
        return lay_no_memory(err, "a path");
    enum lay_status status = LAY_OK;
    *there = stat(file, &found) == 0;
    if (!*there && errno != ENOENT && errno != ENOTDIR)
        status = lay_fail(err, LAY_ERR_IO, "%s: cannot look at it: %s", file, strerror(errno));
    lay_free(file);
    return status;
}

enum lay_status lay_rundir_refuse_other(const char *path, const cJSON *manifest, struct lay_err *err)
{
    char hash[LAY_HASH_HEX];
    cJSON *stored;
    bool there;
    LAY_TRY(lay_rundir_holds(path, LAY_MANIFEST_FILE, &there, err));
    if (!there)
        return LAY_OK;
    LAY_TRY(lay_manifest_read(path, &stored, hash, err));
    const enum lay_status status = lay_manifest_compare(path, stored, manifest, false, err);
    cJSON_Delete(stored);
    return status;
}

enum lay_status lay_rundir_open_above(const char *path, struct lay_rundir **dir, struct lay_err *err)
{
    bool single;
    LAY_TRY(lay_rundir_holds(path, LAY_MANIFEST_FILE, &single, err));
    if (single)
        return lay_fail(err, LAY_ERR_INPUT,
                        "%s: is the directory of a run of one system; name another --out for several", path);
    return lay_rundir_open(path, dir, err);
}

enum lay_status lay_rundir_refuse_stray(const char *path, struct lay_err *err)
{
    static const char *const later[] = {LAY_JOURNAL_FILE, "results.json", "results.csv"};
    bool there;
    LAY_TRY(lay_rundir_holds(path, LAY_MANIFEST_FILE, &there, err));
    if (there)
        return LAY_OK;
    for (size_t i = 0; i < sizeof later / sizeof *later; i++) {
        LAY_TRY(lay_rundir_holds(path, later[i], &there, err));
        if (there)
            return lay_fail(err, LAY_ERR_INPUT,
                            "%s: holds %s but no " LAY_MANIFEST_FILE
                            ", so it is not the directory of one run; name another --out",
                            path, later[i]);
    }
    return LAY_OK;
}

#include "harness/run/journal.h"

#include "engine/base/clock.h"
#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "harness/run/journal_line.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct lay_journal_writer {
    char *path;
    int fd;
    off_t length;  /* of the file, all of it whole lines */
    nlink_t links; /* its names: none once it is removed or replaced */
    struct lay_str line;
    double seconds;

    /* A sample may take minutes, so appending alone cannot keep the promise of a second: a thread syncs. */
    pthread_t thread;
    bool threaded;
    pthread_mutex_t mutex; /* of what follows */
    pthread_cond_t wake;
    bool ending;
    size_t unsaved; /* lines appended since the last sync */
    int sync_error; /* errno of the sync that failed; later ones prove nothing about its lines */
};

static enum lay_status io_error(struct lay_err *err, const char *path, const char *doing, int code)
{
    return lay_fail(err, LAY_ERR_IO, "%s: cannot %s: %s", path, doing, strerror(code));
}

/* --- syncing --- */

/* With the mutex held, which is let go meanwhile. */
static void save(struct lay_journal_writer *writer)
{
    const size_t lines = writer->unsaved;
    pthread_mutex_unlock(&writer->mutex);
    const int code = fdatasync(writer->fd) == 0 ? 0 : errno;
    pthread_mutex_lock(&writer->mutex);
    if (code)
        writer->sync_error = code;
    else
        writer->unsaved -= lines;
}

/* Leaves the lines that follow soon a moment to come along. */
static void linger(struct lay_journal_writer *writer)
{
    struct timespec until;
    int result = 0;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += LAY_JOURNAL_SYNC_SECONDS;
    while (!writer->ending && result == 0)
        result = pthread_cond_timedwait(&writer->wake, &writer->mutex, &until);
}

static void *keep_saving(void *context)
{
    struct lay_journal_writer *writer = context;
    pthread_mutex_lock(&writer->mutex);
    while (!writer->ending) {
        if (writer->unsaved > 0 && !writer->sync_error) {
            linger(writer);
            save(writer);
        } else {
            pthread_cond_wait(&writer->wake, &writer->mutex);
        }
    }
    pthread_mutex_unlock(&writer->mutex);
    return NULL;
}

static enum lay_status start_thread(struct lay_journal_writer *writer, struct lay_err *err)
{
    const int code = pthread_create(&writer->thread, NULL, keep_saving, writer);
    if (code != 0)
        return lay_fail(err, LAY_ERR_MEMORY, "%s: no thread can be started: %s", writer->path,
                        strerror(code));
    writer->threaded = true;
    return LAY_OK;
}

static void end_thread(struct lay_journal_writer *writer)
{
    if (!writer->threaded)
        return;
    pthread_mutex_lock(&writer->mutex);
    writer->ending = true;
    pthread_cond_signal(&writer->wake);
    pthread_mutex_unlock(&writer->mutex);
    pthread_join(writer->thread, NULL);
}

/* --- opening and closing --- */

static struct lay_journal_writer *writer_create(const char *dir)
{
    pthread_condattr_t clock;
    struct lay_journal_writer *writer = lay_alloc(1, sizeof *writer);
    char *path = lay_path_join(dir, LAY_JOURNAL_FILE);
    if (!writer || !path || pthread_condattr_init(&clock) != 0) {
        lay_free(writer);
        lay_free(path);
        return NULL;
    }
    writer->path = path;
    writer->fd = -1;
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&writer->wake, &clock);
    pthread_condattr_destroy(&clock);
    pthread_mutex_init(&writer->mutex, NULL);
    return writer;
}

static void writer_free(struct lay_journal_writer *writer)
{
    end_thread(writer);
    if (writer->fd >= 0)
        close(writer->fd);
    pthread_cond_destroy(&writer->wake);
    pthread_mutex_destroy(&writer->mutex);
    lay_str_free(&writer->line);
    lay_free(writer->path);
    lay_free(writer);
}

enum lay_status lay_journal_open(const char *dir, const char *manifest_hash,
                                 const struct lay_journal *journal, struct lay_journal_writer **out,
                                 struct lay_err *err)
{
    enum lay_status status = LAY_OK;
    const struct lay_journal nothing = {0};
    struct stat file;
    *out = NULL;
    struct lay_journal_writer *writer = writer_create(dir);
    if (!writer)
        return lay_no_memory(err, "a journal");
    /* A new file, or one whose seal no longer holds, is written whole; else what is torn is cut off. */
    const bool fresh = !journal->manifest_hash[0];
    const bool whole = fresh || journal->stale_seal;
    if (whole)
        LAY_TRY_GOTO(status, lay_journal_begin(dir, manifest_hash, fresh ? &nothing : journal, err), fail);
    writer->fd = open(writer->path, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (writer->fd < 0 || (!whole && ftruncate(writer->fd, (off_t)journal->intact_bytes) != 0) ||
        fstat(writer->fd, &file) != 0) {
        status = io_error(err, writer->path, "open for appending", errno);
        goto fail;
    }
    writer->length = file.st_size;
    writer->links = file.st_nlink;
    LAY_TRY_GOTO(status, start_thread(writer, err), fail);
    *out = writer;
    return LAY_OK;
fail:
    writer_free(writer);
    return status;
}

enum lay_status lay_journal_close(struct lay_journal_writer *writer, size_t *unsaved, struct lay_err *err)
{
    enum lay_status status = LAY_OK;
    end_thread(writer);
    writer->threaded = false;
    pthread_mutex_lock(&writer->mutex);
    if (writer->unsaved > 0 && !writer->sync_error)
        save(writer);
    pthread_mutex_unlock(&writer->mutex);
    if (unsaved)
        *unsaved = lay_journal_unsaved(writer);
    if (writer->sync_error)
        status = io_error(err, writer->path, "save the journal", writer->sync_error);
    writer_free(writer);
    return status;
}

/* --- appending --- */

/* Writes all bytes or none: a piece that got through is cut off again. */
static enum lay_status write_all(struct lay_journal_writer *writer, struct lay_err *err)
{
    size_t done = 0;
    while (done < writer->line.length) {
        const ssize_t n = write(writer->fd, writer->line.data + done, writer->line.length - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            const enum lay_status status = io_error(err, writer->path, "append to the journal", errno);
            const int cut = ftruncate(writer->fd, writer->length);
            (void)cut; /* if even this fails the reader drops the torn line */
            return status;
        }
        done += (size_t)n;
    }
    writer->length += (off_t)done;
    return LAY_OK;
}

/* Where locks do not reach (two machines on one network file system) this is what notices a second writer. */
static enum lay_status check_alone(const struct lay_journal_writer *writer, struct lay_err *err)
{
    struct stat file;
    if (fstat(writer->fd, &file) != 0)
        return io_error(err, writer->path, "look at the journal", errno);
    if (file.st_size == writer->length && file.st_nlink == writer->links)
        return LAY_OK;
    return lay_fail(
        err, LAY_ERR_IO,
        "%s: was changed, replaced or removed by another process while this one was writing; is a "
        "second run working in this directory?",
        writer->path);
}

static enum lay_status count_line(struct lay_journal_writer *writer, struct lay_err *err)
{
    pthread_mutex_lock(&writer->mutex);
    const int code = writer->sync_error;
    writer->unsaved += !code;
    pthread_cond_signal(&writer->wake);
    pthread_mutex_unlock(&writer->mutex);
    return code ? io_error(err, writer->path, "save the journal", code) : LAY_OK;
}

static enum lay_status append(struct lay_journal_writer *writer, const struct lay_journal_entry *entry,
                              struct lay_err *err)
{
    lay_str_clear(&writer->line);
    lay_journal_line_entry(&writer->line, entry);
    LAY_TRY(lay_str_check(&writer->line, err));
    LAY_TRY(write_all(writer, err));
    LAY_TRY(check_alone(writer, err));
    return count_line(writer, err);
}

enum lay_status lay_journal_append(struct lay_journal_writer *writer, const struct lay_journal_entry *entry,
                                   struct lay_err *err)
{
    const double start = lay_clock_now();
    const enum lay_status status = append(writer, entry, err);
    writer->seconds += lay_clock_now() - start;
    return status;
}

double lay_journal_seconds(const struct lay_journal_writer *writer)
{
    return writer->seconds;
}

size_t lay_journal_unsaved(struct lay_journal_writer *writer)
{
    pthread_mutex_lock(&writer->mutex);
    const size_t unsaved = writer->unsaved;
    pthread_mutex_unlock(&writer->mutex);
    return unsaved;
}

/* Opening and closing the store: the directory, its lock, the database, recovery. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/files.h"
#include "server/store/internal.h"
#include "server/store_backup.h"

static gr_status not_writable(const char *path, gr_error *error) {
    int reason = errno;
    return gr_fail(error, file_is_full(reason) ? GR_NO_SPACE : GR_IO,
                   "the data directory cannot be used: %.300s: %s; choose one that this user may "
                   "write to (--data-dir)",
                   path, strerror(reason));
}

/* One folder, where it is missing; its name is synced. */
static gr_status make_one(const char *path, gr_error *error) {
    if (mkdir(path, 0700) == 0) return file_sync_folder(path, error);
    return errno == EEXIST ? GR_OK : not_writable(path, error);
}

/* mkdir -p, private to its owner. */
static gr_status make_directory(const char *path, gr_error *error) {
    char part[PATH_MAX];
    if (snprintf(part, sizeof part, "%s", path) >= (int)sizeof part || !*path)
        return gr_fail(error, GR_INVALID, "the data directory's path is %s",
                       *path ? "too long" : "empty");
    for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        GR_TRY(make_one(part, error));
        *slash = '/';
    }
    GR_TRY(make_one(part, error));
    struct stat about;
    if (stat(path, &about)) return not_writable(path, error);
    if (!S_ISDIR(about.st_mode)) {
        errno = ENOTDIR;
        return not_writable(path, error);
    }
    if (access(path, W_OK | X_OK)) return not_writable(path, error);
    return GR_OK;
}

/* flock belongs to the open file: it refuses a second store of this process as well as one of
 * another, and the system drops it however the process ends. */
gr_status store_lock_directory(const char *directory, int *lock, gr_error *error) {
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/lock", directory);
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0) return not_writable(path, error);
    if (flock(file, LOCK_EX | LOCK_NB)) {
        int reason = errno;
        char owner[32] = "";
        ssize_t length = pread(file, owner, sizeof owner - 1, 0);
        owner[length > 0 ? strspn(owner, "0123456789") : 0] = 0;
        close(file);
        if (reason == EWOULDBLOCK)
            return gr_fail(
                error, GR_CONFLICT,
                "the data directory %.300s is in use by another gradreg server%s%s%s; stop "
                "it, or choose another directory (--data-dir)",
                directory, *owner ? " (process " : "", owner, *owner ? ")" : "");
        errno = reason;
        return not_writable(path, error);
    }
    char owner[32];
    int length = snprintf(owner, sizeof owner, "%ld\n", (long)getpid());
    /* For people only: on a full disk the lock holds all the same. */
    if (ftruncate(file, 0) == 0 && pwrite(file, owner, (size_t)length, 0) != length)
        (void)!ftruncate(file, 0);
    *lock = file;
    return GR_OK;
}

typedef struct recovery {
    int64_t expired_before;
} recovery;

static gr_status recover(database *db, void *context, gr_error *error) {
    const recovery *limit = context;
    return leases_recover(db, limit->expired_before, error);
}

static gr_status create_readers(store *self, gr_error *error) {
    GR_TRY(readers_create(self->path, DATABASE_READER, &self->readers, error));
    return readers_create(self->path, DATABASE_SEARCHER, &self->searchers, error);
}

gr_status store_open(const char *directory, store **result, gr_error *error) {
    GR_TRY(make_directory(directory, error));
    store *self = calloc(1, sizeof *self);
    if (!self) return gr_fail(error, GR_OUT_OF_MEMORY, "store: out of memory");
    self->lock = -1;
    gr_status status;
    GR_TRY_OR(failed, store_lock_directory(directory, &self->lock, error));
    if (asprintf(&self->artifacts, "%s/artifacts", directory) < 0) self->artifacts = NULL;
    if (asprintf(&self->path, "%s/gradreg.db", directory) < 0) self->path = NULL;
    if (!self->artifacts || !self->path) {
        status = gr_fail(error, GR_OUT_OF_MEMORY, "store: out of memory");
        goto failed;
    }
    GR_TRY_OR(failed, make_directory(self->artifacts, error));
    GR_TRY_OR(failed, database_open(&self->writing, self->path, DATABASE_WRITER, error));
    GR_TRY_OR(failed, database_migrate(&self->writing, error));
    GR_TRY_OR(failed, facts_complete(&self->writing, error));
    GR_TRY_OR(failed, create_readers(self, error));
    GR_TRY_OR(failed, writer_start(&self->writing, &self->writer, error));
    recovery all = {INT64_MAX};
    GR_TRY_OR(failed, writer_run(self->writer, recover, &all, error));
    GR_TRY_OR(failed, artifacts_sweep(self, error));
    *result = self;
    return GR_OK;

failed:
    store_close(self);
    return status;
}

/* Brings the schema up to date, unless a server is at work: then it must be of this version. */
static gr_status migrate_beside(store *self, const char *directory, gr_error *error) {
    int lock;
    int64_t version;
    if (store_lock_directory(directory, &lock, NULL) == GR_OK) {
        gr_status status = database_migrate(&self->writing, error);
        if (status == GR_OK) status = facts_complete(&self->writing, error);
        close(lock);
        return status;
    }
    GR_TRY(database_integer(&self->writing, &version, 0, error, "SELECT * FROM pragma_user_version",
                            ""));
    if (version == database_newest_version()) return GR_OK;
    return gr_fail(error, GR_CONFLICT,
                   "the server at work on %.300s is of another version than this program; use its "
                   "own, or stop it first",
                   directory);
}

gr_status store_open_beside(const char *directory, store **result, gr_error *error) {
    store *self = calloc(1, sizeof *self);
    if (!self) return gr_fail(error, GR_OUT_OF_MEMORY, "store: out of memory");
    gr_status status;
    self->lock = -1;
    if (asprintf(&self->artifacts, "%s/artifacts", directory) < 0) self->artifacts = NULL;
    if (asprintf(&self->path, "%s/gradreg.db", directory) < 0) self->path = NULL;
    if (!self->artifacts || !self->path) {
        status = gr_fail(error, GR_OUT_OF_MEMORY, "store: out of memory");
        goto failed;
    }
    if (access(self->path, F_OK) != 0) {
        status = gr_fail(error, GR_NOT_FOUND,
                         "%.300s holds no database of gradreg (--data-dir, GRADREG_DATA_DIR)",
                         directory);
        goto failed;
    }
    GR_TRY_OR(failed, database_open(&self->writing, self->path, DATABASE_WRITER, error));
    GR_TRY_OR(failed, migrate_beside(self, directory, error));
    GR_TRY_OR(failed, create_readers(self, error));
    GR_TRY_OR(failed, writer_start(&self->writing, &self->writer, error));
    *result = self;
    return GR_OK;

failed:
    store_close(self);
    return status;
}

void store_close(store *self) {
    if (!self) return;
    writer_stop(self->writer);
    readers_free(self->readers);
    readers_free(self->searchers);
    /* The last connection to close empties the write-ahead log into the database. */
    database_close(&self->writing);
    if (self->lock >= 0) close(self->lock);
    free(self->artifacts);
    free(self->path);
    free(self);
}

const char *store_artifacts(const store *self) {
    return self->artifacts;
}

/* The least that a write can be. No experiment has this revision, which harms nobody. */
static gr_status probe_work(database *db, void *context, gr_error *error) {
    int64_t revision;
    (void)context;
    return next_revision(db, &revision, error);
}

gr_status store_check_space(store *self, gr_error *error) {
    if (!writer_lacks_space(self->writer)) return GR_OK;
    return writer_run(self->writer, probe_work, NULL, error);
}

static int64_t file_bytes(const char *path, const char *suffix) {
    char name[PATH_MAX];
    struct stat about;
    snprintf(name, sizeof name, "%s%s", path, suffix);
    return stat(name, &about) == 0 ? (int64_t)about.st_size : 0;
}

void store_statistics_read(store *self, store_statistics *statistics) {
    *statistics = (store_statistics){.database_bytes = file_bytes(self->path, ""),
                                     .log_bytes = file_bytes(self->path, "-wal")};
    writer_counts(self->writer, &statistics->commits, &statistics->writes);
    writer_durations(self->writer, &statistics->commit_seconds);
}

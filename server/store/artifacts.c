/* Files beside the database: checkpoints and models. A file is written and renamed before its row
 * commits, so a crash leaves at worst a file without a row. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/store/internal.h"

gr_status artifact_name_check(const char *file, gr_error *error) {
    if (!file || !*file || file[0] == '.' || strchr(file, '/') || strlen(file) > 200)
        return gr_fail(error, GR_INVALID, "\"%.100s\" is no name of an artifact", file ? file : "");
    return GR_OK;
}

void artifact_remove(const store *self, const char *file) {
    if (!file) return;
    int folder = open(self->artifacts, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) return;
    unlinkat(folder, file, 0); /* what stays behind is swept at the next start */
    close(folder);
}

/* Experiments in the trash keep their files. */
static gr_status is_referenced(database *db, const char *file, bool *referenced, gr_error *error) {
    int64_t found;
    GR_TRY(database_integer(db, &found, 0, error, "SELECT 1 FROM temp.referenced WHERE file = ?1",
                            "t", file));
    *referenced = found != 0;
    return GR_OK;
}

static gr_status sweep(database *db, DIR *folder, gr_error *error) {
    /* One pass over the table and one lookup per file, whatever their numbers. */
    GR_TRY(database_execute(
        db,
        "PRAGMA temp_store = MEMORY;"
        "CREATE TEMP TABLE referenced (file TEXT PRIMARY KEY) WITHOUT ROWID;"
        "INSERT OR IGNORE INTO temp.referenced SELECT checkpoint_file FROM main.experiments "
        "WHERE checkpoint_file IS NOT NULL UNION SELECT model_file FROM main.experiments "
        "WHERE model_file IS NOT NULL",
        error));
    for (;;) {
        errno = 0;
        struct dirent *entry = readdir(folder);
        if (!entry) {
            if (errno) return gr_fail(error, GR_IO, "the artifacts folder: %s", strerror(errno));
            return GR_OK;
        }
        struct stat about;
        if (fstatat(dirfd(folder), entry->d_name, &about, AT_SYMLINK_NOFOLLOW) ||
            !S_ISREG(about.st_mode))
            continue;
        bool referenced;
        GR_TRY(is_referenced(db, entry->d_name, &referenced, error));
        if (!referenced) unlinkat(dirfd(folder), entry->d_name, 0);
    }
}

gr_status artifacts_sweep(store *self, gr_error *error) {
    DIR *folder = opendir(self->artifacts);
    if (!folder)
        return gr_fail(error, GR_IO, "the artifacts folder %.300s: %s", self->artifacts,
                       strerror(errno));
    /* A connection of its own: query-only ones may not even have temporary tables. */
    database db;
    gr_status status = database_open(&db, self->path, DATABASE_WRITER, error);
    if (status == GR_OK) {
        status = sweep(&db, folder, error);
        database_close(&db);
    }
    closedir(folder);
    return status;
}

/* Copies of the database through SQLite's online backup, and what is asked of a copy. */
#include "server/store_backup.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/store/internal.h"

struct store_copy {
    database database;
};

gr_status store_copy_database(store *self, const char *path, gr_error *error) {
    sqlite3 *target = NULL;
    database source;
    unlink(path);
    GR_TRY(database_open(&source, self->path, DATABASE_READER, error));
    gr_status status = GR_OK;
    int code = sqlite3_open_v2(path, &target, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL);
    sqlite3_backup *backup =
        code == SQLITE_OK ? sqlite3_backup_init(target, "main", source.handle, "main") : NULL;
    if (backup) {
        /* All pages in one step: one read transaction, which in WAL mode keeps nobody waiting. */
        code = sqlite3_backup_step(backup, -1);
        sqlite3_backup_finish(backup);
        if (code == SQLITE_DONE)
            code = sqlite3_exec(target, "PRAGMA journal_mode = DELETE", NULL, NULL, NULL);
    } else if (code == SQLITE_OK) {
        code = sqlite3_errcode(target);
    }
    if (code != SQLITE_OK) {
        database failed = {.handle = target};
        status = database_fail(&failed, code, path, error);
    }
    sqlite3_close(target);
    database_close(&source);
    return status;
}

gr_status store_copy_open(const char *path, bool check, store_copy **result, gr_error *error) {
    *result = NULL;
    store_copy *self = calloc(1, sizeof *self);
    if (!self) return gr_fail(error, GR_OUT_OF_MEMORY, "out of memory");
    gr_status status = GR_OK;
    const int code = sqlite3_open_v2(path, &self->database.handle, SQLITE_OPEN_READWRITE, NULL);
    if (code != SQLITE_OK) status = database_fail(&self->database, code, path, error);
    int64_t good = 1;
    if (status == GR_OK && check)
        status = database_integer(&self->database, &good, 0, error,
                                  "SELECT integrity_check = 'ok' FROM pragma_integrity_check", "");
    if (status == GR_OK && !good)
        status = gr_fail(error, GR_CORRUPT, "%.300s is damaged: PRAGMA integrity_check", path);
    if (status == GR_OK)
        *result = self;
    else
        store_copy_close(self);
    return status;
}

void store_copy_close(store_copy *self) {
    if (!self) return;
    database_close(&self->database);
    free(self);
}

gr_status store_copy_files(store_copy *self, char ***files, size_t *count, gr_error *error) {
    sqlite3_stmt *statement;
    bool row = true;
    size_t capacity = 0;
    *files = NULL;
    *count = 0;
    GR_TRY(database_query(&self->database, &statement, error,
                          "SELECT checkpoint_file FROM experiments WHERE checkpoint_file NOT NULL "
                          "UNION SELECT model_file FROM experiments WHERE model_file NOT NULL",
                          ""));
    gr_status status = GR_OK;
    while (status == GR_OK) {
        status = database_step(&self->database, statement, &row, error);
        if (status != GR_OK || !row) break;
        if (*count == capacity) {
            capacity = capacity ? 2 * capacity : 64;
            char **grown = realloc(*files, capacity * sizeof **files);
            if (!grown) {
                status = gr_fail(error, GR_OUT_OF_MEMORY, "out of memory");
                break;
            }
            *files = grown;
        }
        status = database_text(statement, 0, &(*files)[*count], error);
        if (status == GR_OK) status = artifact_name_check((*files)[(*count)++], error);
    }
    if (status == GR_OK) return GR_OK;
    sqlite3_reset(statement);
    while (*count > 0) free((*files)[--*count]);
    free(*files);
    *files = NULL;
    return status;
}

gr_status store_copy_count(store_copy *self, int64_t *experiments, gr_error *error) {
    return database_integer(&self->database, experiments, 0, error,
                            "SELECT count(*) FROM experiments", "");
}

gr_status store_copy_drop_checkpoint(store_copy *self, const char *file, int64_t *changed,
                                     gr_error *error) {
    return database_run(&self->database, changed, error,
                        "UPDATE experiments SET checkpoint_file = NULL, checkpoint_iteration = 0 "
                        "WHERE checkpoint_file = ?1",
                        "t", file);
}

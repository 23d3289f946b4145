/* The schema's versions: PRAGMA user_version is the number of the last migration that was applied.
 */
#include <stdio.h>
#include <stdlib.h>

#include "server/embedded.h"
#include "server/store/database.h"

static gr_status apply(database *db, long number, const char *path, const char *sql,
                       gr_error *error) {
    char version[64];
    snprintf(version, sizeof version, "PRAGMA user_version = %ld", number);
    GR_TRY(database_execute(db, "BEGIN IMMEDIATE", error));
    gr_status status = database_execute(db, sql, error);
    if (status == GR_OK) status = database_execute(db, version, error);
    if (status == GR_OK) status = database_execute(db, "COMMIT", error);
    if (status != GR_OK) {
        if (!sqlite3_get_autocommit(db->handle))
            sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
        gr_error cause = error ? *error : (gr_error){0};
        return gr_fail(error, status, "migration %.100s: %.380s", path, cause.message);
    }
    return GR_OK;
}

int64_t database_newest_version(void) {
    int64_t number = 0;
    while (embedded_migrations[number].path) number++;
    return number;
}

gr_status database_migrate(database *db, gr_error *error) {
    int64_t version;
    GR_TRY(database_integer(db, &version, 0, error, "SELECT * FROM pragma_user_version", ""));
    long number = 0;
    for (const struct embedded_file *file = embedded_migrations; file->path; file++) {
        number++;
        if (strtol(file->path, NULL, 10) != number)
            return gr_fail(error, GR_INTERNAL, "migration %s should be number %ld", file->path,
                           number);
    }
    if (version > number)
        return gr_fail(
            error, GR_INVALID,
            "the database has version %lld and this program knows versions up to %ld: it "
            "was written by a newer gradreg; use that one, or another data directory",
            (long long)version, number);
    number = 0;
    for (const struct embedded_file *file = embedded_migrations; file->path; file++)
        if (++number > version)
            GR_TRY(apply(db, number, file->path, (const char *)file->begin, error));
    return GR_OK;
}

#include "server/store/database.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "server/files.h"

enum {
    APPLICATION_ID = 0x67726567, /* "greg": PRAGMA application_id, says whose file it is */
    BUSY_MILLISECONDS = 10000    /* only a foreign program on the same file ever makes us wait */
};

gr_status database_fail(database *db, int code, const char *what, gr_error *error) {
    /* A failed commit does not tell the connection why the system refused, but left errno. */
    const int left = errno;
    int system = db->handle ? sqlite3_system_errno(db->handle) : 0;
    if (system == 0 && (code & 0xff) == SQLITE_IOERR) system = left;
    /* Where the log's index cannot grow, SQLite calls a full disk an I/O error. */
    if ((code & 0xff) == SQLITE_IOERR && file_is_full(system)) code = SQLITE_FULL;
    const char *text = db->handle ? sqlite3_errmsg(db->handle) : sqlite3_errstr(code);
    switch (code & 0xff) {
    case SQLITE_NOMEM:
        return gr_fail(error, GR_OUT_OF_MEMORY, "%s: out of memory", what);
    case SQLITE_FULL:
        return gr_fail(error, GR_NO_SPACE,
                       "%s: the disk that holds the data directory is full; free some space", what);
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
        return gr_fail(error, GR_IO, "%s: %s (%s)", what, text,
                       system ? strerror(system) : sqlite3_errstr(code));
    case SQLITE_READONLY:
    case SQLITE_PERM:
        return gr_fail(error, GR_IO, "%s: the database cannot be written (%s)", what, text);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return gr_fail(error, GR_IO, "%s: another program holds the database locked", what);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return gr_fail(error, GR_CORRUPT,
                       "%s: the database file is damaged (%s); restore it from a backup", what,
                       text);
    case SQLITE_TOOBIG:
        return gr_fail(error, GR_TOO_LARGE, "%s: %s", what, text);
    default:
        return gr_fail(error, GR_INTERNAL, "%s: %s", what, text);
    }
}

gr_status database_execute(database *db, const char *sql, gr_error *error) {
    errno = 0;
    int code = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);
    if (code != SQLITE_OK) return database_fail(db, code, "database", error);
    return GR_OK;
}

static gr_status prepare(database *db, const char *sql, sqlite3_stmt **statement, gr_error *error) {
    for (int i = 0; i < db->statement_count; i++)
        if (db->statements[i].sql == sql) {
            *statement = db->statements[i].statement;
            return GR_OK;
        }
    if (db->statement_count == MAXIMUM_STATEMENTS)
        return gr_fail(error, GR_INTERNAL, "database: more than %d statements", MAXIMUM_STATEMENTS);
    int code = sqlite3_prepare_v3(db->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, statement, NULL);
    if (code != SQLITE_OK) return database_fail(db, code, "database", error);
    db->statements[db->statement_count].sql = sql;
    db->statements[db->statement_count++].statement = *statement;
    return GR_OK;
}

static gr_status query(database *db, sqlite3_stmt **result, gr_error *error, const char *sql,
                       const char *types, va_list arguments) {
    sqlite3_stmt *statement = NULL;
    GR_TRY(prepare(db, sql, &statement, error));
    if (sqlite3_bind_parameter_count(statement) != (int)strlen(types))
        return gr_fail(error, GR_INTERNAL, "database: wrong number of parameters: %s", sql);
    for (int i = 0; types[i]; i++) {
        int code = SQLITE_MISUSE;
        const char *text;
        switch (types[i]) {
        case 'i':
            code = sqlite3_bind_int64(statement, i + 1, va_arg(arguments, int64_t));
            break;
        case 'd':
            code = sqlite3_bind_double(statement, i + 1, va_arg(arguments, double));
            break;
        case 't':
            text = va_arg(arguments, const char *);
            code = sqlite3_bind_text(statement, i + 1, text, -1, SQLITE_STATIC);
            break;
        }
        if (code != SQLITE_OK) return database_fail(db, code, "database", error);
    }
    *result = statement;
    return GR_OK;
}

gr_status database_query(database *db, sqlite3_stmt **statement, gr_error *error, const char *sql,
                         const char *types, ...) {
    va_list arguments;
    va_start(arguments, types);
    gr_status status = query(db, statement, error, sql, types, arguments);
    va_end(arguments);
    return status;
}

gr_status database_prepare(database *db, const char *sql, sqlite3_stmt **statement,
                           gr_error *error) {
    *statement = NULL;
    const int code = sqlite3_prepare_v3(db->handle, sql, -1, 0, statement, NULL);
    return code == SQLITE_OK ? GR_OK : database_fail(db, code, "database", error);
}

gr_status database_step(database *db, sqlite3_stmt *statement, bool *row, gr_error *error) {
    errno = 0;
    int code = sqlite3_step(statement);
    *row = code == SQLITE_ROW;
    if (code == SQLITE_ROW) return GR_OK;
    gr_status status = code == SQLITE_DONE ? GR_OK : database_fail(db, code, "database", error);
    sqlite3_reset(statement);
    return status;
}

gr_status database_run(database *db, int64_t *changed, gr_error *error, const char *sql,
                       const char *types, ...) {
    sqlite3_stmt *statement;
    va_list arguments;
    va_start(arguments, types);
    gr_status status = query(db, &statement, error, sql, types, arguments);
    va_end(arguments);
    GR_TRY(status);
    bool row = false;
    GR_TRY(database_step(db, statement, &row, error));
    if (row) sqlite3_reset(statement);
    if (changed) *changed = sqlite3_changes64(db->handle);
    return GR_OK;
}

gr_status database_integer(database *db, int64_t *value, int64_t otherwise, gr_error *error,
                           const char *sql, const char *types, ...) {
    sqlite3_stmt *statement;
    va_list arguments;
    va_start(arguments, types);
    gr_status status = query(db, &statement, error, sql, types, arguments);
    va_end(arguments);
    GR_TRY(status);
    bool row;
    GR_TRY(database_step(db, statement, &row, error));
    *value = row ? sqlite3_column_int64(statement, 0) : otherwise;
    /* With RETURNING, SQLite has made every change before it hands out the first row. */
    if (row) sqlite3_reset(statement);
    return GR_OK;
}

gr_status database_text(sqlite3_stmt *statement, int column, char **text, gr_error *error) {
    *text = NULL;
    if (sqlite3_column_type(statement, column) == SQLITE_NULL) return GR_OK;
    const unsigned char *value = sqlite3_column_text(statement, column);
    if (value) *text = strdup((const char *)value);
    if (!*text) return gr_fail(error, GR_OUT_OF_MEMORY, "database: out of memory");
    return GR_OK;
}

void database_close(database *db) {
    for (int i = 0; i < db->statement_count; i++) sqlite3_finalize(db->statements[i].statement);
    sqlite3_close(db->handle);
    *db = (struct database){0};
}

/* Refuses a file that is not ours, and gives an empty one what can only be set while it is empty.
 */
static gr_status claim(database *db, const char *path, gr_error *error) {
    int64_t application, version, tables;
    GR_TRY(database_integer(db, &application, 0, error, "SELECT * FROM pragma_application_id", ""));
    GR_TRY(database_integer(db, &version, 0, error, "SELECT * FROM pragma_user_version", ""));
    GR_TRY(database_integer(db, &tables, 0, error, "SELECT count(*) FROM sqlite_schema", ""));
    if (application != APPLICATION_ID) {
        if (application != 0 || version != 0 || tables != 0)
            return gr_fail(error, GR_INVALID,
                           "%s is an SQLite database of another program; choose another data "
                           "directory",
                           path);
        GR_TRY(database_execute(db, "PRAGMA auto_vacuum = INCREMENTAL", error));
        char sql[64];
        sqlite3_snprintf(sizeof sql, sql, "PRAGMA application_id = %d", APPLICATION_ID);
        GR_TRY(database_execute(db, sql, error));
    }
    sqlite3_stmt *statement;
    bool row;
    GR_TRY(database_query(db, &statement, error, "PRAGMA journal_mode = WAL", ""));
    GR_TRY(database_step(db, statement, &row, error));
    bool wal = row && strcmp((const char *)sqlite3_column_text(statement, 0), "wal") == 0;
    sqlite3_reset(statement);
    if (!wal)
        return gr_fail(
            error, GR_IO,
            "%s: the file system lacks what SQLite's write-ahead log needs (shared memory, "
            "locks); put the data directory on a local disk",
            path);
    return GR_OK;
}

gr_status database_open(database *db, const char *path, database_use use, gr_error *error) {
    *db = (struct database){0};
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE |
                (use == DATABASE_WRITER ? SQLITE_OPEN_CREATE : 0);
    gr_status status = GR_OK;
    int code = sqlite3_open_v2(path, &db->handle, flags, NULL);
    if (code != SQLITE_OK) {
        status = database_fail(db, code, path, error);
        goto failed;
    }
    sqlite3_busy_timeout(db->handle, BUSY_MILLISECONDS);
    /* SQLite opens a write-protected file for reading without a word. */
    if (sqlite3_db_readonly(db->handle, "main") == 1) {
        status = gr_fail(error, GR_IO,
                         "%s cannot be written: check its owner and permissions, and that the file "
                         "system is not mounted read-only",
                         path);
        goto failed;
    }
    if (use == DATABASE_WRITER) GR_TRY_OR(failed, claim(db, path, error));
    GR_TRY_OR(failed, database_execute(db,
                                       "PRAGMA synchronous = FULL;"
                                       "PRAGMA foreign_keys = ON;"
                                       "PRAGMA trusted_schema = OFF;"
                                       "PRAGMA journal_size_limit = 67108864;",
                                       error));
    if (use != DATABASE_WRITER)
        GR_TRY_OR(failed, database_execute(db, "PRAGMA query_only = ON", error));
    if (use == DATABASE_SEARCHER)
        GR_TRY_OR(failed, database_execute(db, "PRAGMA mmap_size = 1073741824", error));
    return GR_OK;

failed:
    database_close(db);
    return status;
}

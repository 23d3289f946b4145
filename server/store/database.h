/* One SQLite connection with its prepared statements, used by one thread at a time. */
#ifndef SERVER_STORE_DATABASE_H
#define SERVER_STORE_DATABASE_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "gradreg/status.h"

enum { MAXIMUM_STATEMENTS = 256 };

typedef struct database {
    sqlite3 *handle;
    int64_t queue_limit; /* of the writer's: see store_limit_queue */
    int statement_count;
    struct {
        const char *sql; /* a literal: compared by address */
        sqlite3_stmt *statement;
    } statements[MAXIMUM_STATEMENTS];
} database;

/* What a connection is for. Readers and searchers are query-only. A searcher looks at a few places
 * of many rows: it maps the file. A reader, of few rows, does not: SQLite unmaps the whole file
 * after each commit of others, which stops every processor of this process for a moment. */
typedef enum { DATABASE_WRITER, DATABASE_READER, DATABASE_SEARCHER } database_use;

/* Opens `path` (created where it is missing, for a writer) with the pragmas that every connection
 * needs; sets up an empty file. Zeroed on failure. GR_IO, GR_CORRUPT, GR_INVALID (not a gradreg
 * database). */
gr_status database_open(database *db, const char *path, database_use use, gr_error *error);
void database_close(database *db);

/* Brings the schema up to the newest embedded migration, each in one transaction; GR_INVALID where
 * the file is newer than this program. */
gr_status database_migrate(database *db, gr_error *error);
/* The number of the newest embedded migration. */
int64_t database_newest_version(void);

/* Turns the SQLite result `code` into a status with a reason; `what` says what was tried. */
gr_status database_fail(database *db, int code, const char *what, gr_error *error);

/* The prepared statement of a literal `sql`, bound by `types`, one letter for each parameter ?1,
 * ?2, …: i  int64_t     d  double (finite)     t  const char * (NULL: NULL; borrowed until the
 * statement is reset) To be stepped with database_step. */
gr_status database_query(database *db, sqlite3_stmt **statement, gr_error *error, const char *sql,
                         const char *types, ...);
/* *row: whether there is a row to be read. At the end and on failure the statement is reset; a
 * caller that stops before the end calls sqlite3_reset. */
gr_status database_step(database *db, sqlite3_stmt *statement, bool *row, gr_error *error);
/* A statement of text made for this one use: without its parameters, to be ended by
 * sqlite3_finalize. */
gr_status database_prepare(database *db, const char *sql, sqlite3_stmt **statement,
                           gr_error *error);
/* Runs a statement without results; *changed (may be NULL) is the number of rows it changed. */
gr_status database_run(database *db, int64_t *changed, gr_error *error, const char *sql,
                       const char *types, ...);
/* The first column of the first row, or `otherwise` where there is no row. */
gr_status database_integer(database *db, int64_t *value, int64_t otherwise, gr_error *error,
                           const char *sql, const char *types, ...);
/* SQL text without parameters or results, not kept: pragmas, BEGIN, migrations. */
gr_status database_execute(database *db, const char *sql, gr_error *error);

/* A copy of a text column (NULL for NULL), owned by the caller. */
gr_status database_text(sqlite3_stmt *statement, int column, char **text, gr_error *error);

#endif

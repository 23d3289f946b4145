/* The table of analyses: a document for each experiment that has one. */
#include <stdlib.h>

#include "server/store/internal.h"

gr_status analysis_insert(database *db, int64_t id, const char *document, gr_error *error) {
    return database_run(db, NULL, error, "INSERT OR REPLACE INTO analyses VALUES (?1, ?2)", "it",
                        id, document);
}

gr_status store_analysis(store *self, int64_t id, char **text, gr_error *error) {
    *text = NULL;
    database *db;
    sqlite3_stmt *statement;
    bool row;
    GR_TRY(readers_take(self->readers, &db, error));
    gr_status status = experiment_require(db, id, error);
    if (status == GR_OK)
        status = database_query(db, &statement, error,
                                "SELECT document FROM analyses WHERE experiment = ?1", "i", id);
    if (status == GR_OK) {
        status = database_step(db, statement, &row, error);
        if (status == GR_OK && row) status = database_text(statement, 0, text, error);
        sqlite3_reset(statement);
    }
    readers_give(self->readers, db);
    return status;
}

/* Answers to requests with an Idempotency-Key. */
#include <stdlib.h>
#include <string.h>

#include "server/clock.h"
#include "server/store/internal.h"

gr_status idempotency_insert(database *db, const char *key, const char *fingerprint, int status,
                             const char *location, const char *etag, const char *body,
                             gr_error *error) {
    int64_t changed;
    const int64_t now = clock_now();
    GR_TRY(database_run(db, NULL, error,
                        "DELETE FROM idempotency WHERE key = ?1 AND created_at < ?2", "ti", key,
                        now - IDEMPOTENCY_SECONDS * INT64_C(1000)));
    GR_TRY(database_run(db, &changed, error,
                        "INSERT OR IGNORE INTO idempotency VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                        "ttittti", key, fingerprint, (int64_t)status, location, etag, body, now));
    if (changed == 1) return GR_OK;
    return gr_fail(error, GR_CONFLICT,
                   "another request with this Idempotency-Key is being answered: try again");
}

void stored_answer_clear(stored_answer *answer) {
    free(answer->fingerprint);
    free(answer->location);
    free(answer->etag);
    free(answer->body);
    *answer = (stored_answer){0};
}

gr_status store_answer(store *self, const char *key, stored_answer *answer, gr_error *error) {
    *answer = (stored_answer){0};
    database *db;
    sqlite3_stmt *statement;
    bool row = false;
    GR_TRY(readers_take(self->readers, &db, error));
    gr_status status = database_query(
        db, &statement, error,
        "SELECT fingerprint, status, location, etag, body FROM idempotency WHERE key = ?1 "
        "AND created_at >= ?2",
        "ti", key, clock_now() - IDEMPOTENCY_SECONDS * INT64_C(1000));
    if (status == GR_OK) status = database_step(db, statement, &row, error);
    if (status == GR_OK && !row)
        status = gr_fail(error, GR_NOT_FOUND, "there is no answer to this Idempotency-Key");
    if (status == GR_OK) {
        answer->status = sqlite3_column_int(statement, 1);
        status = database_text(statement, 0, &answer->fingerprint, error);
        if (status == GR_OK) status = database_text(statement, 2, &answer->location, error);
        if (status == GR_OK) status = database_text(statement, 3, &answer->etag, error);
        if (status == GR_OK) status = database_text(statement, 4, &answer->body, error);
        sqlite3_reset(statement);
    }
    readers_give(self->readers, db);
    if (status != GR_OK) stored_answer_clear(answer);
    return status;
}

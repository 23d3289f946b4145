/* Who wants to be told of an experiment's end, and whether that was done. */
#include "server/clock.h"
#include "server/store/internal.h"

gr_status store_webhook_due(store *self, webhook *due, int64_t *next_at, gr_error *error) {
    *due = (webhook){0};
    *next_at = INT64_MAX;
    database *db;
    sqlite3_stmt *statement;
    bool row = false;
    GR_TRY(readers_take(self->readers, &db, error));
    gr_status status = database_query(
        db, &statement, error,
        "SELECT experiment, url, attempts, next_attempt_at FROM webhooks "
        "JOIN experiments ON experiments.id = experiment WHERE webhooks.state = 'waiting' "
        "AND experiments.state IN ('succeeded', 'failed', 'diverged', 'cancelled') "
        "AND trashed_at IS NULL ORDER BY next_attempt_at LIMIT 1",
        "");
    if (status == GR_OK) status = database_step(db, statement, &row, error);
    if (status == GR_OK && row) {
        *next_at = sqlite3_column_int64(statement, 3);
        due->id = sqlite3_column_int64(statement, 0);
        due->attempts = sqlite3_column_int64(statement, 2);
        if (*next_at <= clock_now()) status = database_text(statement, 1, &due->url, error);
        sqlite3_reset(statement);
    }
    readers_give(self->readers, db);
    if (status == GR_OK && !due->url) status = gr_fail(error, GR_NOT_FOUND, "no webhook is due");
    return status;
}

typedef struct attempted {
    int64_t id;
    const webhook_outcome *outcome;
} attempted;

static gr_status attempted_work(database *db, void *context, gr_error *error) {
    const attempted *write = context;
    const webhook_outcome *outcome = write->outcome;
    const int64_t now = clock_now();
    const bool again = !outcome->delivered && outcome->pause > 0;
    int64_t changed, revision;
    GR_TRY(database_run(
        db, &changed, error,
        "UPDATE webhooks SET state = ?2, attempts = attempts + 1, next_attempt_at = ?3, "
        "status = nullif(?4, 0), error = ?5, delivered_at = nullif(?6, 0) WHERE experiment = ?1",
        "itiiti", write->id,
        outcome->delivered ? "delivered"
        : again            ? "waiting"
                           : "failed",
        again ? now + outcome->pause : (int64_t)0, outcome->status, outcome->reason,
        outcome->delivered ? now : (int64_t)0));
    if (changed == 0) return GR_OK; /* purged meanwhile */
    GR_TRY(next_revision(db, &revision, error));
    GR_TRY(database_run(db, NULL, error, "UPDATE experiments SET revision = ?2 WHERE id = ?1", "ii",
                        write->id, revision));
    if (outcome->delivered) return log_add(db, write->id, "info", error, "webhook delivered");
    return log_add(db, write->id, again ? "warning" : "error", error, "webhook %s: %s",
                   again ? "not delivered yet" : "given up", outcome->reason);
}

gr_status store_webhook_attempted(store *self, int64_t id, const webhook_outcome *outcome,
                                  gr_error *error) {
    return writer_run(self->writer, attempted_work, &(attempted){id, outcome}, error);
}

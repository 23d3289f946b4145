/* What earlier results say about a new submission: the result itself, or how long it will take. */
#include <math.h>
#include <stdlib.h>

#include "server/store/internal.h"

gr_status store_find_result(store *self, const char *result_key, const char *environment,
                            int64_t *id, gr_error *error) {
    database *db;
    GR_TRY(readers_take(self->readers, &db, error));
    /* An experiment may have been trained in pieces, by programs that differ: each attempt since
     * the last one that began at the start must have been made by this one. */
    gr_status status = database_integer(
        db, id, 0, error,
        "SELECT id FROM experiments AS e WHERE result_key = ?1 AND state = 'succeeded' "
        "AND trashed_at IS NULL AND environment = ?2 AND NOT EXISTS ("
        " SELECT 1 FROM attempts WHERE experiment = e.id AND environment <> ?2 AND attempt >= "
        " (SELECT max(attempt) FROM attempts WHERE experiment = e.id AND environment IS NOT NULL "
        "  AND resumed_from_iteration = 0)) ORDER BY id DESC LIMIT 1",
        "tt", result_key, environment);
    readers_give(self->readers, db);
    if (status == GR_OK && *id == 0)
        status = gr_fail(error, GR_NOT_FOUND, "there is no such result");
    return status;
}

enum { SPEEDS = 50 };

static int ascending(const void *a, const void *b) {
    const double one = *(const double *)a, other = *(const double *)b;
    return (one > other) - (one < other);
}

static double median(double *values, int count) {
    qsort(values, (size_t)count, sizeof *values, ascending);
    return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

gr_status store_speed(store *self, const char *environment, double iteration_operations,
                      speed *result, gr_error *error) {
    double alike[SPEEDS], all[SPEEDS];
    int alike_count = 0, count = 0;
    *result = (speed){0};
    database *db;
    sqlite3_stmt *statement;
    bool row = true;
    GR_TRY(readers_take(self->readers, &db, error));
    gr_status status = database_query(
        db, &statement, error,
        "SELECT operations / iterations, iteration, elapsed_seconds FROM experiments "
        "WHERE state = 'succeeded' AND operations > 0 AND iterations > 0 AND elapsed_seconds >= "
        "0.05 "
        "AND environment = ?1 ORDER BY finished_at DESC LIMIT 50",
        "t", environment);
    while (status == GR_OK && row) {
        status = database_step(db, statement, &row, error);
        if (status != GR_OK || !row) break;
        const double operations = sqlite3_column_double(statement, 0);
        const double per_second =
            operations * sqlite3_column_double(statement, 1) / sqlite3_column_double(statement, 2);
        if (!(per_second > 0) || !isfinite(per_second) || count == SPEEDS) continue;
        all[count++] = per_second;
        if (fabs(operations - iteration_operations) <= 0.01 * iteration_operations)
            alike[alike_count++] = per_second;
    }
    readers_give(self->readers, db);
    GR_TRY(status);
    result->alike = alike_count > 0;
    result->experiments = alike_count ? alike_count : count;
    if (result->experiments)
        result->operations_per_second =
            alike_count ? median(alike, alike_count) : median(all, count);
    return GR_OK;
}

typedef struct replay_write {
    int64_t id, attempt;
    const char *text;
} replay_write;

static gr_status replay_work(database *db, void *context, gr_error *error) {
    const replay_write *write = context;
    int64_t changed, revision;
    GR_TRY(next_revision(db, &revision, error));
    GR_TRY(database_run(db, &changed, error,
                        "UPDATE experiments SET revision = ?3, replay = ?4 "
                        "WHERE id = ?1 AND attempt = ?2 AND state = 'running'",
                        "iiit", write->id, write->attempt, revision, write->text));
    if (changed == 1) return GR_OK;
    return gr_fail(error, GR_CONFLICT, "the lease of experiment %lld (attempt %lld) has been lost",
                   (long long)write->id, (long long)write->attempt);
}

gr_status store_set_replay(store *self, int64_t id, int64_t attempt, const char *report,
                           gr_error *error) {
    return writer_run(self->writer, replay_work, &(replay_write){id, attempt, report}, error);
}

/* The table of experiments: submission and reading. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/clock.h"
#include "server/store/internal.h"

void experiment_clear(experiment *record) {
    free(record->name);
    free(record->tags);
    free(record->notes);
    free(record->spec);
    free(record->data_hash);
    free(record->engine_version);
    free(record->environment);
    free(record->checkpoint_file);
    free(record->model_file);
    free(record->worker);
    free(record->error);
    free(record->warning);
    free(record->latest_metrics);
    free(record->best_metrics);
    free(record->replay);
    free(record->webhook);
    *record = (struct experiment){0};
}

void experiments_free(experiment *items, size_t count) {
    for (size_t i = 0; i < count; i++) experiment_clear(&items[i]);
    free(items);
}

gr_status experiment_read(sqlite3_stmt *statement, experiment *record, gr_error *error) {
    *record = (struct experiment){0};
    int column = 0;
    gr_status status = GR_OK;
#define INTEGER() sqlite3_column_int64(statement, column++)
#define TEXT(member) GR_TRY_OR(failed, database_text(statement, column++, &record->member, error))
    record->id = INTEGER();
    record->revision = INTEGER();
    char *state;
    GR_TRY_OR(failed, database_text(statement, column++, &state, error));
    bool known = state && state_from_name(state, &record->state);
    free(state);
    if (!known) {
        status = gr_fail(error, GR_CORRUPT, "experiment %lld has an unknown state",
                         (long long)record->id);
        goto failed;
    }
    record->cancel_requested = INTEGER() != 0;
    TEXT(name);
    TEXT(tags);
    TEXT(notes);
    TEXT(spec);
    TEXT(data_hash);
    TEXT(engine_version);
    TEXT(environment);
    record->priority = INTEGER();
    record->iteration = INTEGER();
    record->iterations = INTEGER();
    record->iterations_per_second = sqlite3_column_double(statement, column++);
    record->attempt = INTEGER();
    record->resumed_from_iteration = INTEGER();
    record->checkpoint_iteration = INTEGER();
    TEXT(checkpoint_file);
    TEXT(model_file);
    TEXT(worker);
    TEXT(error);
    TEXT(warning);
    TEXT(latest_metrics);
    TEXT(best_metrics);
    record->created_at = INTEGER();
    record->started_at = INTEGER();
    record->finished_at = INTEGER();
    record->lease_expires_at = INTEGER();
    record->elapsed_seconds = sqlite3_column_double(statement, column++);
    record->cpu_seconds = sqlite3_column_double(statement, column++);
    record->pause_requested = INTEGER() != 0;
    record->cloned_from = INTEGER();
    record->replay_of = INTEGER();
    TEXT(replay);
    TEXT(webhook);
    record->memory_bytes = INTEGER();
    record->operations = sqlite3_column_double(statement, column++);
    record->estimated_seconds = sqlite3_column_type(statement, column) == SQLITE_NULL
                                    ? NAN
                                    : sqlite3_column_double(statement, column);
    column++;
    record->sweep = INTEGER();
    record->arm = INTEGER();
    record->seed = INTEGER();
    record->stop_after_iteration = INTEGER();
    record->trashed_at = INTEGER();
    record->has_analysis = INTEGER() != 0;
#undef INTEGER
#undef TEXT
    return GR_OK;

failed:
    experiment_clear(record);
    return status;
}

gr_status experiment_select_any(database *db, int64_t id, experiment *record, gr_error *error) {
    *record = (struct experiment){0};
    sqlite3_stmt *statement;
    GR_TRY(database_query(db, &statement, error,
                          "SELECT " EXPERIMENT_COLUMNS " FROM experiments WHERE id = ?1", "i", id));
    bool row;
    GR_TRY(database_step(db, statement, &row, error));
    if (!row) return gr_fail(error, GR_NOT_FOUND, "there is no experiment %lld", (long long)id);
    gr_status status = experiment_read(statement, record, error);
    sqlite3_reset(statement);
    return status;
}

static gr_status fail_trashed(int64_t id, gr_error *error) {
    return gr_fail(error, GR_NOT_FOUND, "experiment %lld is in the trash: undelete it first",
                   (long long)id);
}

gr_status experiment_require(database *db, int64_t id, gr_error *error) {
    int64_t trashed;
    GR_TRY(database_integer(db, &trashed, -1, error,
                            "SELECT trashed_at IS NOT NULL FROM experiments WHERE id = ?1", "i",
                            id));
    if (trashed < 0)
        return gr_fail(error, GR_NOT_FOUND, "there is no experiment %lld", (long long)id);
    return trashed ? fail_trashed(id, error) : GR_OK;
}

gr_status experiment_select(database *db, int64_t id, experiment *record, gr_error *error) {
    GR_TRY(experiment_select_any(db, id, record, error));
    if (record->trashed_at == 0) return GR_OK;
    experiment_clear(record);
    return fail_trashed(id, error);
}

gr_status next_revision(database *db, int64_t *revision, gr_error *error) {
    return database_integer(db, revision, 0, error,
                            "UPDATE counter SET revision = revision + 1 RETURNING revision", "");
}

/* -- writing
 * -----------------------------------------------------------------------------------------------
 */

typedef struct submit {
    const submission *submission;
    int64_t id;
} submit;

/* The answer to a repeated request, in the transaction that makes the experiment. */
static gr_status keep_answer(database *db, int64_t id, const idempotency *with, gr_error *error) {
    experiment made;
    char etag[32], location[64];
    GR_TRY(experiment_select(db, id, &made, error));
    snprintf(etag, sizeof etag, "\"%lld\"", (long long)made.revision);
    snprintf(location, sizeof location, "/api/v1/experiments/%lld", (long long)id);
    char *body = with->answer(&made, with->context);
    gr_status status = body ? idempotency_insert(db, with->key, with->fingerprint, 201, location,
                                                 etag, body, error)
                            : gr_fail(error, GR_OUT_OF_MEMORY, "store: out of memory");
    free(body);
    experiment_clear(&made);
    return status;
}

static gr_status log_submission(database *db, int64_t id, const submission *form, gr_error *error) {
    if (form->replay_of)
        return log_add(db, id, "info", error, "submitted as a replay of experiment %lld",
                       (long long)form->replay_of);
    if (form->cloned_from)
        return log_add(db, id, "info", error, "submitted as a clone of experiment %lld",
                       (long long)form->cloned_from);
    return log_add(db, id, "info", error, "submitted");
}

static gr_status queue_check(database *db, int64_t owner, gr_error *error) {
    const int64_t limit = db->queue_limit;
    int64_t queued;
    if (limit == 0) return GR_OK;
    GR_TRY(database_integer(db, &queued, 0, error, "SELECT count FROM queued_by WHERE token = ?1",
                            "i", owner));
    if (queued < limit) return GR_OK;
    return gr_fail(error, GR_TOO_MANY,
                   "%lld experiments %sare queued already and at most %lld may be "
                   "(queue_limit); wait until some have run, or cancel some",
                   (long long)queued, owner ? "of this token " : "", (long long)limit);
}

void store_limit_queue(store *self, int64_t limit) {
    self->writing.queue_limit = limit;
}

gr_status experiment_insert(database *db, const submission *form, int64_t *id, gr_error *error) {
    int64_t revision;
    GR_TRY(queue_check(db, form->submitted_by, error));
    GR_TRY(next_revision(db, &revision, error));
    GR_TRY(database_run(
        db, NULL, error,
        "INSERT INTO experiments (revision, state, name, tags, spec, data_hash, engine_version, "
        "iterations, created_at, cloned_from, replay_of, result_key, memory_bytes, operations, "
        "estimated_seconds, sweep, arm, seed, stop_after_iteration, submitted_by) "
        "VALUES (?1, 'queued', ?2, ?3, ?4, ?5, ?6, ?7, ?8, nullif(?9, 0), nullif(?10, 0), ?11, "
        "?12, ?13, nullif(?14, 0.0), nullif(?15, 0), iif(?15, ?16, NULL), iif(?15, ?17, NULL), "
        "?18, ?19)",
        "itttttiiiitiddiiiii", revision, form->name, form->tags, form->spec, form->data_hash,
        form->engine_version, form->iterations, clock_now(), form->cloned_from, form->replay_of,
        form->result_key, form->memory_bytes, form->operations, form->estimated_seconds,
        form->sweep, form->arm, form->seed, form->stop_after_iteration, form->submitted_by));
    *id = sqlite3_last_insert_rowid(db->handle);
    GR_TRY(facts_insert(db, *id, form->spec, form->tags, error));
    GR_TRY(log_submission(db, *id, form, error));
    if (form->webhook)
        GR_TRY(database_run(db, NULL, error,
                            "INSERT INTO webhooks (experiment, url) VALUES (?1, ?2)", "it", *id,
                            form->webhook));
    return GR_OK;
}

static gr_status submit_work(database *db, void *context, gr_error *error) {
    submit *order = context;
    const submission *form = order->submission;
    GR_TRY(experiment_insert(db, form, &order->id, error));
    return form->idempotency ? keep_answer(db, order->id, form->idempotency, error) : GR_OK;
}

gr_status store_submit(store *self, const submission *form, int64_t *id, gr_error *error) {
    submit order = {.submission = form};
    GR_TRY(writer_run(self->writer, submit_work, &order, error));
    *id = order.id;
    return GR_OK;
}

/* -- reading
 * -----------------------------------------------------------------------------------------------
 */

gr_status store_get(store *self, int64_t id, experiment *record, gr_error *error) {
    database *db;
    *record = (struct experiment){0};
    GR_TRY(readers_take(self->readers, &db, error));
    gr_status status = experiment_select(db, id, record, error);
    readers_give(self->readers, db);
    return status;
}

gr_status store_get_trashed(store *self, int64_t id, experiment *record, gr_error *error) {
    database *db;
    *record = (struct experiment){0};
    GR_TRY(readers_take(self->readers, &db, error));
    gr_status status = experiment_select_any(db, id, record, error);
    readers_give(self->readers, db);
    if (status != GR_OK || record->trashed_at) return status;
    experiment_clear(record);
    return gr_fail(error, GR_NOT_FOUND, "experiment %lld is not in the trash", (long long)id);
}

/* All rows of `statement`, whose columns are EXPERIMENT_COLUMNS. */
static gr_status read_all(database *db, sqlite3_stmt *statement, experiment **result,
                          size_t *result_count, gr_error *error) {
    experiment *items = NULL;
    size_t count = 0, capacity = 0;
    gr_status status = GR_OK;
    for (;;) {
        bool row;
        GR_TRY_OR(failed, database_step(db, statement, &row, error));
        if (!row) break;
        if (count == capacity) {
            capacity = capacity ? 2 * capacity : 16;
            experiment *larger = realloc(items, capacity * sizeof *items);
            if (!larger) {
                status = gr_fail(error, GR_OUT_OF_MEMORY, "store: out of memory");
                goto failed;
            }
            items = larger;
        }
        GR_TRY_OR(failed, experiment_read(statement, &items[count], error));
        count++;
    }
    *result = items;
    *result_count = count;
    return GR_OK;

failed:
    sqlite3_reset(statement);
    experiments_free(items, count);
    return status;
}

gr_status store_changed_since(store *self, int64_t revision, int64_t limit, experiment **items,
                              size_t *count, gr_error *error) {
    *items = NULL;
    *count = 0;
    database *db;
    sqlite3_stmt *statement;
    GR_TRY(readers_take(self->readers, &db, error));
    gr_status status =
        database_query(db, &statement, error,
                       "SELECT " EXPERIMENT_COLUMNS " FROM experiments WHERE revision > ?1 "
                       "ORDER BY revision LIMIT ?2",
                       "ii", revision, limit);
    if (status == GR_OK) status = read_all(db, statement, items, count, error);
    readers_give(self->readers, db);
    return status;
}

gr_status store_revision(store *self, int64_t *revision, gr_error *error) {
    database *db;
    GR_TRY(readers_take(self->readers, &db, error));
    gr_status status = database_integer(db, revision, 0, error, "SELECT revision FROM counter", "");
    readers_give(self->readers, db);
    return status;
}

gr_status store_counts(store *self, int64_t counts[STATE_COUNT], gr_error *error) {
    memset(counts, 0, STATE_COUNT * sizeof counts[0]);
    database *db;
    GR_TRY(readers_take(self->readers, &db, error));
    sqlite3_stmt *statement;
    gr_status status = database_query(db, &statement, error,
                                      "SELECT state, count(*) FROM experiments WHERE trashed_at IS "
                                      "NULL GROUP BY state",
                                      "");
    bool row = true;
    while (status == GR_OK && row) {
        status = database_step(db, statement, &row, error);
        experiment_state state;
        if (status == GR_OK && row &&
            state_from_name((const char *)sqlite3_column_text(statement, 0), &state))
            counts[state] = sqlite3_column_int64(statement, 1);
    }
    readers_give(self->readers, db);
    return status;
}

/* The table of experiments: submission, reading, cancelling, deleting. */
#include <stdlib.h>
#include <string.h>

#include "server/store/internal.h"

static const char *const state_names[STATE_COUNT] = {"queued", "running",  "paused",   "succeeded",
                                                     "failed", "diverged", "cancelled"};

const char *state_name(experiment_state state) {
    return state_names[state];
}

bool state_from_name(const char *name, experiment_state *state) {
    for (int i = 0; i < STATE_COUNT; i++)
        if (strcmp(name, state_names[i]) == 0) {
            *state = (experiment_state)i;
            return true;
        }
    return false;
}

bool state_is_final(experiment_state state) {
    return state >= STATE_SUCCEEDED;
}

void experiment_clear(experiment *experiment) {
    free(experiment->name);
    free(experiment->tags);
    free(experiment->notes);
    free(experiment->spec);
    free(experiment->data_hash);
    free(experiment->engine_version);
    free(experiment->environment);
    free(experiment->checkpoint_file);
    free(experiment->model_file);
    free(experiment->worker);
    free(experiment->error);
    free(experiment->warning);
    free(experiment->latest_metrics);
    free(experiment->best_metrics);
    *experiment = (struct experiment){0};
}

void experiments_free(experiment *items, size_t count) {
    for (size_t i = 0; i < count; i++) experiment_clear(&items[i]);
    free(items);
}

gr_status experiment_read(sqlite3_stmt *statement, experiment *experiment, gr_error *error) {
    *experiment = (struct experiment){0};
    int column = 0;
    gr_status status = GR_OK;
#define INTEGER() sqlite3_column_int64(statement, column++)
#define TEXT(member) \
    GR_TRY_OR(failed, database_text(statement, column++, &experiment->member, error))
    experiment->id = INTEGER();
    experiment->revision = INTEGER();
    char *state;
    GR_TRY_OR(failed, database_text(statement, column++, &state, error));
    bool known = state && state_from_name(state, &experiment->state);
    free(state);
    if (!known) {
        status = gr_fail(error, GR_CORRUPT, "experiment %lld has an unknown state",
                         (long long)experiment->id);
        goto failed;
    }
    experiment->cancel_requested = INTEGER() != 0;
    TEXT(name);
    TEXT(tags);
    TEXT(notes);
    TEXT(spec);
    TEXT(data_hash);
    TEXT(engine_version);
    TEXT(environment);
    experiment->priority = INTEGER();
    experiment->iteration = INTEGER();
    experiment->iterations = INTEGER();
    experiment->iterations_per_second = sqlite3_column_double(statement, column++);
    experiment->attempt = INTEGER();
    experiment->resumed_from_iteration = INTEGER();
    experiment->checkpoint_iteration = INTEGER();
    TEXT(checkpoint_file);
    TEXT(model_file);
    TEXT(worker);
    TEXT(error);
    TEXT(warning);
    TEXT(latest_metrics);
    TEXT(best_metrics);
    experiment->created_at = INTEGER();
    experiment->started_at = INTEGER();
    experiment->finished_at = INTEGER();
    experiment->lease_expires_at = INTEGER();
    experiment->elapsed_seconds = sqlite3_column_double(statement, column++);
#undef INTEGER
#undef TEXT
    return GR_OK;

failed:
    experiment_clear(experiment);
    return status;
}

gr_status experiment_select(database *database, int64_t id, experiment *experiment,
                            gr_error *error) {
    *experiment = (struct experiment){0};
    sqlite3_stmt *statement;
    GR_TRY(database_query(database, &statement, error,
                          "SELECT " EXPERIMENT_COLUMNS
                          " FROM experiments WHERE id = ?1 AND trashed_at IS NULL",
                          "i", id));
    bool row;
    GR_TRY(database_step(database, statement, &row, error));
    if (!row) return gr_fail(error, GR_NOT_FOUND, "there is no experiment %lld", (long long)id);
    gr_status status = experiment_read(statement, experiment, error);
    sqlite3_reset(statement);
    return status;
}

gr_status next_revision(database *database, int64_t *revision, gr_error *error) {
    return database_integer(database, revision, 0, error,
                            "UPDATE counter SET revision = revision + 1 RETURNING revision", "");
}

/* -- writing
 * -----------------------------------------------------------------------------------------------
 */

typedef struct submit {
    const submission *submission;
    int64_t id;
} submit;

static gr_status submit_work(database *database, void *context, gr_error *error) {
    submit *submit = context;
    const submission *submission = submit->submission;
    int64_t revision;
    GR_TRY(next_revision(database, &revision, error));
    GR_TRY(database_run(
        database, NULL, error,
        "INSERT INTO experiments (revision, state, name, tags, spec, data_hash, engine_version, "
        "iterations, created_at) VALUES (?1, 'queued', ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        "itttttii", revision, submission->name, submission->tags, submission->spec,
        submission->data_hash, submission->engine_version, submission->iterations,
        clock_milliseconds()));
    submit->id = sqlite3_last_insert_rowid(database->handle);
    return GR_OK;
}

gr_status store_submit(store *store, const submission *submission, int64_t *id, gr_error *error) {
    submit submit = {.submission = submission};
    GR_TRY(writer_run(store->writer, submit_work, &submit, error));
    *id = submit.id;
    return GR_OK;
}

typedef struct change {
    int64_t id;
    experiment after;
} change;

static gr_status cancel_work(database *database, void *context, gr_error *error) {
    change *change = context;
    experiment_clear(&change->after);
    GR_TRY(experiment_select(database, change->id, &change->after, error));
    experiment_state state = change->after.state;
    if (state_is_final(state))
        return gr_fail(error, GR_CONFLICT, "experiment %lld has already %s%s",
                       (long long)change->id, state == STATE_CANCELLED ? "been " : "",
                       state_name(state));
    int64_t revision;
    GR_TRY(next_revision(database, &revision, error));
    if (state == STATE_RUNNING)
        GR_TRY(
            database_run(database, NULL, error,
                         "UPDATE experiments SET revision = ?2, cancel_requested = 1 WHERE id = ?1",
                         "ii", change->id, revision));
    else
        GR_TRY(database_run(database, NULL, error,
                            "UPDATE experiments SET revision = ?2, state = 'cancelled', "
                            "finished_at = ?3, iterations_per_second = 0 WHERE id = ?1",
                            "iii", change->id, revision, clock_milliseconds()));
    experiment_clear(&change->after);
    return experiment_select(database, change->id, &change->after, error);
}

gr_status store_cancel(store *store, int64_t id, experiment *after, gr_error *error) {
    change change = {.id = id};
    gr_status status = writer_run(store->writer, cancel_work, &change, error);
    if (status == GR_OK && after)
        *after = change.after;
    else
        experiment_clear(&change.after);
    return status;
}

static gr_status delete_work(database *database, void *context, gr_error *error) {
    change *change = context;
    experiment_clear(&change->after);
    GR_TRY(experiment_select(database, change->id, &change->after, error));
    if (!state_is_final(change->after.state))
        return gr_fail(error, GR_CONFLICT, "experiment %lld is %s: cancel it before deleting it",
                       (long long)change->id, state_name(change->after.state));
    int64_t revision;
    GR_TRY(next_revision(database, &revision, error));
    return database_run(database, NULL, error,
                        "UPDATE experiments SET revision = ?2, trashed_at = ?3 WHERE id = ?1",
                        "iii", change->id, revision, clock_milliseconds());
}

gr_status store_delete(store *store, int64_t id, gr_error *error) {
    change change = {.id = id};
    gr_status status = writer_run(store->writer, delete_work, &change, error);
    experiment_clear(&change.after);
    return status;
}

/* -- reading
 * -----------------------------------------------------------------------------------------------
 */

gr_status store_get(store *store, int64_t id, experiment *experiment, gr_error *error) {
    database *database;
    *experiment = (struct experiment){0};
    GR_TRY(readers_take(store->readers, &database, error));
    gr_status status = experiment_select(database, id, experiment, error);
    readers_give(store->readers, database);
    return status;
}

/* All rows of `statement`, whose columns are EXPERIMENT_COLUMNS. */
static gr_status read_all(database *database, sqlite3_stmt *statement, experiment **result,
                          size_t *result_count, gr_error *error) {
    experiment *items = NULL;
    size_t count = 0, capacity = 0;
    gr_status status = GR_OK;
    for (;;) {
        bool row;
        GR_TRY_OR(failed, database_step(database, statement, &row, error));
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

gr_status store_list(store *store, const listing *listing, experiment **items, size_t *count,
                     gr_error *error) {
    *items = NULL;
    *count = 0;
    if (listing->limit < 1 || listing->limit > 1000)
        return gr_fail(error, GR_INVALID, "a list's limit is 1 to 1000");
    if (listing->state >= STATE_COUNT)
        return gr_fail(error, GR_INVALID, "there is no state %d", listing->state);
    int64_t before = listing->before_id > 0 ? listing->before_id : INT64_MAX;
    database *database;
    sqlite3_stmt *statement;
    GR_TRY(readers_take(store->readers, &database, error));
    gr_status status;
    if (listing->state < 0)
        status = database_query(database, &statement, error,
                                "SELECT " EXPERIMENT_COLUMNS " FROM experiments WHERE id < ?1 "
                                "AND trashed_at IS NULL ORDER BY id DESC LIMIT ?2",
                                "ii", before, listing->limit);
    else
        status = database_query(
            database, &statement, error,
            "SELECT " EXPERIMENT_COLUMNS " FROM experiments WHERE id < ?1 AND state = ?3 "
            "AND trashed_at IS NULL ORDER BY id DESC LIMIT ?2",
            "iit", before, listing->limit, state_name((experiment_state)listing->state));
    if (status == GR_OK) status = read_all(database, statement, items, count, error);
    readers_give(store->readers, database);
    return status;
}

gr_status store_changed_since(store *store, int64_t revision, int64_t limit, experiment **items,
                              size_t *count, gr_error *error) {
    *items = NULL;
    *count = 0;
    database *database;
    sqlite3_stmt *statement;
    GR_TRY(readers_take(store->readers, &database, error));
    gr_status status = database_query(
        database, &statement, error,
        "SELECT " EXPERIMENT_COLUMNS " FROM experiments WHERE revision > ?1 AND trashed_at IS NULL "
        "ORDER BY revision LIMIT ?2",
        "ii", revision, limit);
    if (status == GR_OK) status = read_all(database, statement, items, count, error);
    readers_give(store->readers, database);
    return status;
}

gr_status store_counts(store *store, int64_t counts[STATE_COUNT], gr_error *error) {
    memset(counts, 0, STATE_COUNT * sizeof counts[0]);
    database *database;
    GR_TRY(readers_take(store->readers, &database, error));
    sqlite3_stmt *statement;
    gr_status status = database_query(database, &statement, error,
                                      "SELECT state, count(*) FROM experiments WHERE trashed_at IS "
                                      "NULL GROUP BY state",
                                      "");
    bool row = true;
    while (status == GR_OK && row) {
        status = database_step(database, statement, &row, error);
        experiment_state state;
        if (status == GR_OK && row &&
            state_from_name((const char *)sqlite3_column_text(statement, 0), &state))
            counts[state] = sqlite3_column_int64(statement, 1);
    }
    readers_give(store->readers, database);
    return status;
}

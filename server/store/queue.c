/* The queue: who works on what. A lease is (experiment, attempt); every write of a worker carries
 * both and changes nothing where the lease has been lost. */
#include <stdio.h>
#include <string.h>

#include "server/clock.h"
#include "server/store/internal.h"

enum { MAXIMUM_FRUITLESS_ATTEMPTS = 3 };

/* What each write of a worker is checked against. */
#define HELD " WHERE id = ?1 AND attempt = ?2 AND state = 'running'"
/* Training time adds up over writes and attempts: ?4 is the monotonic clock. */
#define TRAINED "elapsed_seconds = elapsed_seconds + coalesce(max(?4 - active_at, 0), 0) / 1000.0"

/* One write of a worker. */
typedef struct held {
    int64_t id, attempt;
    int64_t iteration;
    double iterations_per_second, cpu_seconds;
    const char *text, *file; /* environment or reason or warning; checkpoint or model */
    const char *analysis;
    experiment_state state;
    const gr_metric *rows;
    size_t count;
    worker_request request;
    bool at_rung;
    char previous_file[256]; /* out: the file that the write made superfluous; "": none */
} held;

static gr_status require_held(int64_t changed, const held *write, gr_error *error) {
    if (changed == 1) return GR_OK;
    return gr_fail(error, GR_CONFLICT, "the lease of experiment %lld (attempt %lld) has been lost",
                   (long long)write->id, (long long)write->attempt);
}

/* -- leasing
 * --------------------------------------------------------------------------------------------- */

static gr_status end_attempt(database *db, int64_t id, int64_t attempt, const char *outcome,
                             gr_error *error) {
    return database_run(db, NULL, error,
                        "UPDATE attempts SET ended_at = ?3, outcome = ?4 "
                        "WHERE experiment = ?1 AND attempt = ?2",
                        "iiit", id, attempt, clock_now(), outcome);
}

/* "prefix" and the state that the experiment is in now, with its error. */
static gr_status log_state(database *db, int64_t id, const char *prefix, gr_error *error) {
    char state[32] = "", reason[GR_MESSAGE_SIZE] = "";
    sqlite3_stmt *statement;
    bool row;
    int64_t iteration = 0;
    GR_TRY(database_query(db, &statement, error,
                          "SELECT state, error, iteration FROM experiments WHERE id = ?1", "i",
                          id));
    GR_TRY(database_step(db, statement, &row, error));
    if (!row) return GR_OK;
    const char *name = (const char *)sqlite3_column_text(statement, 0);
    const char *text = (const char *)sqlite3_column_text(statement, 1);
    snprintf(state, sizeof state, "%s", name ? name : "");
    if (text) snprintf(reason, sizeof reason, ": %.500s", text);
    iteration = sqlite3_column_int64(statement, 2);
    sqlite3_reset(statement);
    const char *level = *reason ? "error" : "info";
    return log_add(db, id, level, error, "%s%s at iteration %lld%s", prefix, state,
                   (long long)iteration, reason);
}

static gr_status take_back(database *db, int64_t id, gr_error *error) {
    int64_t revision, attempt;
    GR_TRY(next_revision(db, &revision, error));
    GR_TRY(database_run(
        db, NULL, error,
        "UPDATE experiments SET revision = ?2, worker = NULL, active_at = NULL, "
        "iterations_per_second = 0, lease_expires_at = 0, "
        "finished_at = CASE WHEN cancel_requested OR (fruitless_attempts >= ?3 AND NOT "
        "pause_requested) THEN ?4 ELSE 0 END, "
        "error = CASE WHEN NOT cancel_requested AND NOT pause_requested AND "
        "fruitless_attempts >= ?3 THEN "
        "  format('%d attempts in a row ended without a new checkpoint (the process that trained "
        "it "
        "was ended from outside each time, the last time on %s, after iteration %d): it may need "
        "more "
        "memory than there is, or training.checkpoint_every may be too large', "
        "fruitless_attempts, worker, iteration) ELSE error END, "
        "state = CASE WHEN cancel_requested THEN 'cancelled' WHEN pause_requested THEN 'paused' "
        "WHEN fruitless_attempts >= ?3 THEN 'failed' ELSE 'queued' END, "
        "cancel_requested = 0, pause_requested = 0 WHERE id = ?1",
        "iiii", id, revision, (int64_t)MAXIMUM_FRUITLESS_ATTEMPTS, clock_now()));
    GR_TRY(log_state(db, id, "lost its worker: ", error));
    GR_TRY(database_integer(db, &attempt, 0, error, "SELECT attempt FROM experiments WHERE id = ?1",
                            "i", id));
    return end_attempt(db, id, attempt, "lost", error);
}

gr_status leases_recover(database *db, int64_t expired_before, gr_error *error) {
    for (;;) {
        int64_t id;
        GR_TRY(database_integer(db, &id, 0, error,
                                "SELECT id FROM experiments WHERE state = 'running' "
                                "AND lease_expires_at < ?1 ORDER BY lease_expires_at LIMIT 1",
                                "i", expired_before));
        if (id == 0) return GR_OK;
        GR_TRY(take_back(db, id, error));
    }
}

typedef struct lease {
    const char *worker;
    experiment experiment;
} lease;

#define NEXT_QUEUED \
    "SELECT id FROM experiments WHERE state = 'queued' ORDER BY priority DESC, id LIMIT 1"

static gr_status lease_work(database *db, void *context, gr_error *error) {
    lease *given = context;
    experiment_clear(&given->experiment);
    int64_t now = clock_now(), id, revision;
    GR_TRY(leases_recover(db, now, error));
    GR_TRY(database_integer(db, &id, 0, error, NEXT_QUEUED, ""));
    /* Not a failure of the work: what was taken back stays so. */
    if (id == 0) return GR_OK;
    GR_TRY(next_revision(db, &revision, error));
    GR_TRY(database_run(db, NULL, error,
                        "UPDATE experiments SET revision = ?2, state = 'running', worker = ?3, "
                        "lease_expires_at = ?4, attempt = attempt + 1, "
                        "fruitless_attempts = fruitless_attempts + 1, cancel_requested = 0, "
                        "pause_requested = 0, "
                        "active_at = NULL, iterations_per_second = 0 WHERE id = ?1",
                        "iiti", id, revision, given->worker, now + LEASE_SECONDS * 1000));
    GR_TRY(experiment_select(db, id, &given->experiment, error));
    GR_TRY(log_add(db, id, "info", error, "taken by %s, attempt %lld", given->worker,
                   (long long)given->experiment.attempt));
    return database_run(db, NULL, error,
                        "INSERT INTO attempts (experiment, attempt, worker, leased_at) "
                        "VALUES (?1, ?2, ?3, ?4)",
                        "iiti", id, given->experiment.attempt, given->worker, now);
}

gr_status store_lease(store *self, const char *worker, experiment *record, gr_error *error) {
    *record = (struct experiment){0};
    /* Idle workers ask often: a reader can tell that there is nothing without a transaction. */
    database *reader;
    int64_t any;
    GR_TRY(readers_take(self->readers, &reader, error));
    gr_status status =
        database_integer(reader, &any, 0, error,
                         "SELECT EXISTS (SELECT 1 FROM experiments WHERE state = 'queued') OR "
                         "EXISTS (SELECT 1 FROM experiments WHERE state = 'running' "
                         "AND lease_expires_at < ?1)",
                         "i", clock_now());
    readers_give(self->readers, reader);
    GR_TRY(status);
    lease given = {.worker = worker};
    if (any) {
        status = writer_run(self->writer, lease_work, &given, error);
        if (status != GR_OK) {
            experiment_clear(&given.experiment);
            return status;
        }
    }
    if (given.experiment.id == 0) return gr_fail(error, GR_NOT_FOUND, "nothing is queued");
    *record = given.experiment;
    return GR_OK;
}

/* -- the worker's writes
 * --------------------------------------------------------------------------------- */

static gr_status heartbeat_work(database *db, void *context, gr_error *error) {
    held *write = context;
    int64_t revision, changed, request;
    GR_TRY(next_revision(db, &revision, error));
    GR_TRY(database_run(
        db, &changed, error,
        "UPDATE experiments SET revision = ?3, " TRAINED
        ", active_at = CASE WHEN active_at IS NULL THEN NULL ELSE ?4 END, iteration = ?5, "
        "iterations_per_second = ?6, lease_expires_at = ?7, cpu_seconds = cpu_seconds + ?8" HELD,
        "iiiiidid", write->id, write->attempt, revision, clock_milliseconds(), write->iteration,
        write->iterations_per_second, clock_now() + LEASE_SECONDS * 1000, write->cpu_seconds));
    GR_TRY(require_held(changed, write, error));
    GR_TRY(database_integer(db, &request, 0, error,
                            "SELECT CASE WHEN cancel_requested THEN 1 WHEN pause_requested THEN 2 "
                            "ELSE 0 END FROM experiments WHERE id = ?1",
                            "i", write->id));
    write->request = request == 1 ? REQUEST_CANCEL : request == 2 ? REQUEST_PAUSE : REQUEST_NONE;
    return GR_OK;
}

gr_status store_heartbeat(store *self, int64_t id, int64_t attempt, int64_t iteration,
                          double iterations_per_second, double cpu_seconds, worker_request *request,
                          gr_error *error) {
    held write = {.id = id,
                  .attempt = attempt,
                  .iteration = iteration,
                  .cpu_seconds = cpu_seconds,
                  .iterations_per_second = iterations_per_second};
    GR_TRY(writer_run(self->writer, heartbeat_work, &write, error));
    *request = write.request;
    return GR_OK;
}

static gr_status started_work(database *db, void *context, gr_error *error) {
    held *write = context;
    int64_t revision, changed;
    GR_TRY(next_revision(db, &revision, error));
    GR_TRY(database_run(db, &changed, error,
                        "UPDATE experiments SET revision = ?3, active_at = ?4, iteration = ?5, "
                        "resumed_from_iteration = ?5, environment = ?6, "
                        "engine_version = coalesce(?6 ->> 'engine', engine_version), "
                        "started_at = CASE WHEN started_at = 0 THEN ?7 ELSE started_at END" HELD,
                        "iiiiiti", write->id, write->attempt, revision, clock_milliseconds(),
                        write->iteration, write->text, clock_now()));
    GR_TRY(require_held(changed, write, error));
    GR_TRY(write->iteration > 0
               ? log_add(db, write->id, "info", error,
                         "training goes on from the checkpoint of iteration %lld, %s",
                         (long long)write->iteration, write->text ? write->text : "")
               : log_add(db, write->id, "info", error, "training starts, %s",
                         write->text ? write->text : ""));
    return database_run(db, NULL, error,
                        "UPDATE attempts SET resumed_from_iteration = ?3, environment = ?4 "
                        "WHERE experiment = ?1 AND attempt = ?2",
                        "iiit", write->id, write->attempt, write->iteration, write->text);
}

gr_status store_started(store *self, int64_t id, int64_t attempt, int64_t resumed_from_iteration,
                        const char *environment, gr_error *error) {
    held write = {
        .id = id, .attempt = attempt, .iteration = resumed_from_iteration, .text = environment};
    return writer_run(self->writer, started_work, &write, error);
}

static gr_status trained_work(database *db, void *context, gr_error *error) {
    held *write = context;
    int64_t revision, changed;
    GR_TRY(next_revision(db, &revision, error));
    GR_TRY(database_run(db, &changed, error,
                        "UPDATE experiments SET revision = ?3, " TRAINED
                        ", active_at = NULL, cpu_seconds = cpu_seconds + ?5" HELD,
                        "iiiid", write->id, write->attempt, revision, clock_milliseconds(),
                        write->cpu_seconds));
    return require_held(changed, write, error);
}

gr_status store_trained(store *self, int64_t id, int64_t attempt, double cpu_seconds,
                        gr_error *error) {
    held write = {.id = id, .attempt = attempt, .cpu_seconds = cpu_seconds};
    return writer_run(self->writer, trained_work, &write, error);
}

static gr_status metrics_work(database *db, void *context, gr_error *error) {
    held *write = context;
    int64_t revision, changed, iteration = 0;
    for (size_t i = 0; i < write->count; i++)
        if (write->rows[i].iteration > iteration) iteration = write->rows[i].iteration;
    GR_TRY(next_revision(db, &revision, error));
    GR_TRY(database_run(db, &changed, error,
                        "UPDATE experiments SET revision = ?3, iteration = max(iteration, ?4)" HELD,
                        "iiii", write->id, write->attempt, revision, iteration));
    GR_TRY(require_held(changed, write, error));
    GR_TRY(metrics_insert(db, write->id, write->rows, write->count, error));
    return metrics_summarize(db, write->id, write->rows, write->count, error);
}

gr_status store_metrics(store *self, int64_t id, int64_t attempt, const gr_metric *rows,
                        size_t count, gr_error *error) {
    held write = {.id = id, .attempt = attempt, .rows = rows, .count = count};
    return writer_run(self->writer, metrics_work, &write, error);
}

/* Notes the checkpoint that the row names now, unless it is `except`. */
static gr_status previous_checkpoint(database *db, held *write, const char *except,
                                     gr_error *error) {
    write->previous_file[0] = 0;
    sqlite3_stmt *statement;
    GR_TRY(database_query(db, &statement, error,
                          "SELECT checkpoint_file FROM experiments WHERE id = ?1", "i", write->id));
    bool row;
    GR_TRY(database_step(db, statement, &row, error));
    if (!row) return GR_OK;
    const char *file = (const char *)sqlite3_column_text(statement, 0);
    if (file && strlen(file) < sizeof write->previous_file &&
        (!except || strcmp(file, except) != 0))
        memcpy(write->previous_file, file, strlen(file) + 1);
    sqlite3_reset(statement);
    return GR_OK;
}

static gr_status checkpoint_work(database *db, void *context, gr_error *error) {
    held *write = context;
    int64_t revision, changed;
    GR_TRY(previous_checkpoint(db, write, write->file, error));
    GR_TRY(next_revision(db, &revision, error));
    GR_TRY(database_run(db, &changed, error,
                        "UPDATE experiments SET revision = ?3, " TRAINED
                        ", active_at = ?4, iteration = ?5, checkpoint_iteration = ?5, "
                        "checkpoint_file = ?6, lease_expires_at = ?7, fruitless_attempts = 0" HELD,
                        "iiiiiti", write->id, write->attempt, revision, clock_milliseconds(),
                        write->iteration, write->file, clock_now() + LEASE_SECONDS * 1000));
    GR_TRY(require_held(changed, write, error));
    return log_add(db, write->id, "info", error, "checkpoint at iteration %lld",
                   (long long)write->iteration);
}

gr_status store_checkpoint(store *self, int64_t id, int64_t attempt, int64_t iteration,
                           const char *file, gr_error *error) {
    GR_TRY(artifact_name_check(file, error));
    held write = {.id = id, .attempt = attempt, .iteration = iteration, .file = file};
    GR_TRY(writer_run(self->writer, checkpoint_work, &write, error));
    if (write.previous_file[0]) artifact_remove(self, write.previous_file);
    return GR_OK;
}

static gr_status warn_work(database *db, void *context, gr_error *error) {
    held *write = context;
    int64_t revision, changed;
    GR_TRY(next_revision(db, &revision, error));
    GR_TRY(database_run(db, &changed, error,
                        "UPDATE experiments SET revision = ?3, warning = ?4" HELD, "iiit",
                        write->id, write->attempt, revision, write->text));
    GR_TRY(require_held(changed, write, error));
    if (write->text) return log_add(db, write->id, "warning", error, "%s", write->text);
    return log_add(db, write->id, "info", error, "that is over");
}

gr_status store_warn(store *self, int64_t id, int64_t attempt, const char *warning,
                     gr_error *error) {
    held write = {.id = id, .attempt = attempt, .text = warning};
    return writer_run(self->writer, warn_work, &write, error);
}

static gr_status release_work(database *db, void *context, gr_error *error) {
    held *write = context;
    int64_t revision, changed;
    GR_TRY(next_revision(db, &revision, error));
    GR_TRY(database_run(
        db, &changed, error,
        "UPDATE experiments SET revision = ?3, " TRAINED
        ", active_at = NULL, worker = NULL, lease_expires_at = 0, iterations_per_second = 0, "
        "fruitless_attempts = max(fruitless_attempts - 1, 0), "
        "finished_at = CASE WHEN cancel_requested THEN ?5 ELSE 0 END, "
        "state = CASE WHEN cancel_requested THEN 'cancelled' WHEN pause_requested OR ?6 THEN "
        "'paused' ELSE 'queued' END, cancel_requested = 0, pause_requested = 0" HELD,
        "iiiiii", write->id, write->attempt, revision, clock_milliseconds(), clock_now(),
        (int64_t)write->at_rung));
    GR_TRY(require_held(changed, write, error));
    GR_TRY(log_state(db, write->id, "handed back: ", error));
    return end_attempt(db, write->id, write->attempt, "released", error);
}

gr_status store_release(store *self, int64_t id, int64_t attempt, bool at_rung, gr_error *error) {
    held write = {.id = id, .attempt = attempt, .at_rung = at_rung};
    return writer_run(self->writer, release_work, &write, error);
}

static gr_status finish_work(database *db, void *context, gr_error *error) {
    held *write = context;
    int64_t revision, changed;
    /* What did not succeed can be retried from its checkpoint. */
    bool keep = write->state != STATE_SUCCEEDED;
    write->previous_file[0] = 0;
    if (!keep) GR_TRY(previous_checkpoint(db, write, NULL, error));
    GR_TRY(next_revision(db, &revision, error));
    GR_TRY(database_run(
        db, &changed, error,
        "UPDATE experiments SET revision = ?3, " TRAINED
        ", active_at = NULL, worker = NULL, lease_expires_at = 0, cancel_requested = 0, "
        "pause_requested = 0, "
        "iteration = ?5, model_file = ?6, error = ?7, state = ?8, finished_at = ?9, "
        "checkpoint_file = CASE WHEN ?10 THEN checkpoint_file ELSE NULL END, "
        "checkpoint_iteration = CASE WHEN ?10 THEN checkpoint_iteration ELSE 0 END" HELD,
        "iiiiitttii", write->id, write->attempt, revision, clock_milliseconds(), write->iteration,
        write->file, write->text, state_name(write->state), clock_now(), (int64_t)keep));
    GR_TRY(require_held(changed, write, error));
    if (write->analysis) GR_TRY(analysis_insert(db, write->id, write->analysis, error));
    GR_TRY(log_state(db, write->id, "", error));
    return end_attempt(db, write->id, write->attempt, state_name(write->state), error);
}

static gr_status finish(store *self, held *write, gr_error *error) {
    if (!state_is_final(write->state))
        return gr_fail(error, GR_INTERNAL, "%s is no final state", state_name(write->state));
    if (write->file) GR_TRY(artifact_name_check(write->file, error));
    GR_TRY(writer_run(self->writer, finish_work, write, error));
    if (write->previous_file[0]) artifact_remove(self, write->previous_file);
    return GR_OK;
}

gr_status store_finish(store *self, int64_t id, int64_t attempt, experiment_state state,
                       int64_t iteration, const char *model_file, const char *reason,
                       gr_error *error) {
    held write = {.id = id,
                  .attempt = attempt,
                  .state = state,
                  .iteration = iteration,
                  .file = model_file,
                  .text = reason};
    return finish(self, &write, error);
}

gr_status store_succeed(store *self, int64_t id, int64_t attempt, int64_t iteration,
                        const char *model_file, const char *analysis, gr_error *error) {
    held write = {.id = id,
                  .attempt = attempt,
                  .state = STATE_SUCCEEDED,
                  .iteration = iteration,
                  .file = model_file,
                  .analysis = analysis};
    return finish(self, &write, error);
}

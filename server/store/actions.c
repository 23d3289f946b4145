/* What changes an experiment's state: cancel, pause, resume, retry. */
#include <string.h>

#include "server/clock.h"
#include "server/store/changes.h"

/* Why this state does not allow it. */
static gr_status refuse(const experiment *record, const char *remedy, gr_error *error) {
    const bool ended = state_is_final(record->state);
    const char *joint = !ended                             ? " is "
                        : record->state == STATE_CANCELLED ? " has already been "
                                                           : " has already ";
    return gr_fail(error, GR_CONFLICT, "experiment %lld%s%s%s%s", (long long)record->id, joint,
                   state_name(record->state), *remedy ? ": " : "", remedy);
}

gr_status cancel_check(database *db, const experiment *record, gr_error *error) {
    (void)db;
    return state_is_final(record->state) ? refuse(record, "", error) : GR_OK;
}

gr_status cancel_apply(database *db, change *act, gr_error *error) {
    int64_t revision;
    GR_TRY(next_revision(db, &revision, error));
    if (act->record.state == STATE_RUNNING) {
        GR_TRY(database_run(db, NULL, error,
                            "UPDATE experiments SET revision = ?2, cancel_requested = 1, "
                            "pause_requested = 0 WHERE id = ?1",
                            "ii", act->id, revision));
        return log_add(db, act->id, "info", error, "cancellation requested");
    }
    GR_TRY(database_run(db, NULL, error,
                        "UPDATE experiments SET revision = ?2, state = 'cancelled', "
                        "finished_at = ?3, iterations_per_second = 0 WHERE id = ?1",
                        "iii", act->id, revision, clock_now()));
    return log_add(db, act->id, "info", error, "cancelled");
}

gr_status pause_check(database *db, const experiment *record, gr_error *error) {
    (void)db;
    if (record->state == STATE_PAUSED || state_is_final(record->state))
        return refuse(record, "", error);
    if (record->cancel_requested)
        return gr_fail(error, GR_CONFLICT, "experiment %lld is being cancelled",
                       (long long)record->id);
    return GR_OK;
}

gr_status pause_apply(database *db, change *act, gr_error *error) {
    int64_t revision;
    GR_TRY(next_revision(db, &revision, error));
    if (act->record.state == STATE_RUNNING) {
        GR_TRY(
            database_run(db, NULL, error,
                         "UPDATE experiments SET revision = ?2, pause_requested = 1 WHERE id = ?1",
                         "ii", act->id, revision));
        return log_add(db, act->id, "info", error, "pause requested");
    }
    GR_TRY(database_run(db, NULL, error,
                        "UPDATE experiments SET revision = ?2, state = 'paused' WHERE id = ?1",
                        "ii", act->id, revision));
    return log_add(db, act->id, "info", error, "paused");
}

/* Its worker may have seen the wish to pause already: then it hands the experiment back to the
 * queue. */
static bool is_pausing(const experiment *record) {
    return record->state == STATE_RUNNING && record->pause_requested;
}

gr_status resume_check(database *db, const experiment *record, gr_error *error) {
    (void)db;
    if (record->state == STATE_PAUSED || is_pausing(record)) return GR_OK;
    return refuse(record,
                  record->state == STATE_SUCCEEDED ? "clone or replay it to train it again"
                  : state_is_final(record->state)  ? "retry it"
                                                   : "only a paused one can be resumed",
                  error);
}

gr_status resume_apply(database *db, change *act, gr_error *error) {
    int64_t revision;
    GR_TRY(next_revision(db, &revision, error));
    if (is_pausing(&act->record)) {
        GR_TRY(
            database_run(db, NULL, error,
                         "UPDATE experiments SET revision = ?2, pause_requested = 0 WHERE id = ?1",
                         "ii", act->id, revision));
        return log_add(db, act->id, "info", error, "resumed before it was paused");
    }
    GR_TRY(database_run(db, NULL, error,
                        "UPDATE experiments SET revision = ?2, state = 'queued', "
                        "fruitless_attempts = 0 WHERE id = ?1",
                        "ii", act->id, revision));
    return log_add(db, act->id, "info", error, "resumed: queued");
}

gr_status retry_check(database *db, const experiment *record, gr_error *error) {
    (void)db;
    if (record->state == STATE_SUCCEEDED)
        return refuse(record, "clone or replay it to train it again", error);
    if (record->state == STATE_PAUSED) return refuse(record, "resume it", error);
    if (!state_is_final(record->state))
        return refuse(record, "only a failed, diverged or cancelled one can be retried", error);
    return GR_OK;
}

/* As if it had never been trained. */
static gr_status forget(database *db, change *act, gr_error *error) {
    change_drop_file(act, act->record.checkpoint_file);
    GR_TRY(
        database_run(db, NULL, error, "DELETE FROM metrics WHERE experiment = ?1", "i", act->id));
    GR_TRY(facts_forget_metrics(db, act->id, error));
    return database_run(
        db, NULL, error,
        "UPDATE experiments SET checkpoint_file = NULL, checkpoint_iteration = 0, "
        "resumed_from_iteration = 0, started_at = 0, elapsed_seconds = 0, cpu_seconds = 0, "
        "latest_metrics = '{}', best_metrics = '{}', environment = NULL WHERE id = ?1",
        "i", act->id);
}

gr_status retry_apply(database *db, change *act, gr_error *error) {
    int64_t revision;
    const bool from_start = act->options->from_start;
    GR_TRY(next_revision(db, &revision, error));
    if (from_start) GR_TRY(forget(db, act, error));
    GR_TRY(database_run(db, NULL, error,
                        "UPDATE experiments SET revision = ?2, state = 'queued', error = NULL, "
                        "warning = NULL, finished_at = 0, fruitless_attempts = 0, "
                        "cancel_requested = 0, pause_requested = 0, "
                        "iteration = checkpoint_iteration WHERE id = ?1",
                        "ii", act->id, revision));
    GR_TRY(database_run(db, NULL, error,
                        "UPDATE webhooks SET state = 'waiting', attempts = 0, next_attempt_at = 0, "
                        "status = NULL, error = NULL, delivered_at = NULL WHERE experiment = ?1",
                        "i", act->id));
    return log_add(db, act->id, "info", error, "%s",
                   from_start || !act->record.checkpoint_file
                       ? "retried from the start: queued"
                       : "retried from its checkpoint: queued");
}

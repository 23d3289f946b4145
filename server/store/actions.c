/* The actions on an experiment's state: cancel, pause, resume, retry. */
#include <string.h>

#include "server/store/internal.h"

typedef struct action {
    int64_t id;
    bool from_start;
    experiment after;
    char superfluous[256]; /* out: the file that the action made superfluous; "": none */
} action;

/* Why this state does not allow it. */
static gr_status refuse(const experiment *record, const char *remedy, gr_error *error) {
    const bool ended = state_is_final(record->state);
    const char *joint = !ended                             ? " is "
                        : record->state == STATE_CANCELLED ? " has already been "
                                                           : " has already ";
    return gr_fail(error, GR_CONFLICT, "experiment %lld%s%s%s%s", (long long)record->id, joint,
                   state_name(record->state), *remedy ? ": " : "", remedy);
}

static gr_status begin(database *db, action *act, int64_t *revision, gr_error *error) {
    experiment_clear(&act->after);
    act->superfluous[0] = 0;
    GR_TRY(experiment_select(db, act->id, &act->after, error));
    return next_revision(db, revision, error);
}

static gr_status end(database *db, action *act, const char *line, gr_error *error) {
    GR_TRY(log_add(db, act->id, "info", error, "%s", line));
    experiment_clear(&act->after);
    return experiment_select(db, act->id, &act->after, error);
}

static gr_status run(store *self, write_work work, action *act, experiment *after,
                     gr_error *error) {
    gr_status status = writer_run(self->writer, work, act, error);
    if (status == GR_OK && act->superfluous[0]) artifact_remove(self, act->superfluous);
    if (status == GR_OK && after)
        *after = act->after;
    else
        experiment_clear(&act->after);
    return status;
}

static gr_status cancel_work(database *db, void *context, gr_error *error) {
    action *act = context;
    int64_t revision;
    GR_TRY(begin(db, act, &revision, error));
    if (state_is_final(act->after.state)) return refuse(&act->after, "", error);
    if (act->after.state == STATE_RUNNING) {
        GR_TRY(database_run(db, NULL, error,
                            "UPDATE experiments SET revision = ?2, cancel_requested = 1, "
                            "pause_requested = 0 WHERE id = ?1",
                            "ii", act->id, revision));
        return end(db, act, "cancellation requested", error);
    }
    GR_TRY(database_run(db, NULL, error,
                        "UPDATE experiments SET revision = ?2, state = 'cancelled', "
                        "finished_at = ?3, iterations_per_second = 0 WHERE id = ?1",
                        "iii", act->id, revision, clock_milliseconds()));
    return end(db, act, "cancelled", error);
}

gr_status store_cancel(store *self, int64_t id, experiment *after, gr_error *error) {
    return run(self, cancel_work, &(action){.id = id}, after, error);
}

static gr_status pause_work(database *db, void *context, gr_error *error) {
    action *act = context;
    int64_t revision;
    GR_TRY(begin(db, act, &revision, error));
    const experiment *record = &act->after;
    if (record->state == STATE_PAUSED || state_is_final(record->state))
        return refuse(record, "", error);
    if (record->cancel_requested)
        return gr_fail(error, GR_CONFLICT, "experiment %lld is being cancelled",
                       (long long)act->id);
    if (record->state == STATE_RUNNING) {
        GR_TRY(
            database_run(db, NULL, error,
                         "UPDATE experiments SET revision = ?2, pause_requested = 1 WHERE id = ?1",
                         "ii", act->id, revision));
        return end(db, act, "pause requested", error);
    }
    GR_TRY(database_run(db, NULL, error,
                        "UPDATE experiments SET revision = ?2, state = 'paused' WHERE id = ?1",
                        "ii", act->id, revision));
    return end(db, act, "paused", error);
}

gr_status store_pause(store *self, int64_t id, experiment *after, gr_error *error) {
    return run(self, pause_work, &(action){.id = id}, after, error);
}

static gr_status resume_work(database *db, void *context, gr_error *error) {
    action *act = context;
    int64_t revision;
    GR_TRY(begin(db, act, &revision, error));
    const experiment *record = &act->after;
    if (record->state == STATE_RUNNING && record->pause_requested) {
        /* Its worker may have seen the wish already: then it hands the experiment back to the
         * queue. */
        GR_TRY(
            database_run(db, NULL, error,
                         "UPDATE experiments SET revision = ?2, pause_requested = 0 WHERE id = ?1",
                         "ii", act->id, revision));
        return end(db, act, "resumed before it was paused", error);
    }
    if (record->state != STATE_PAUSED)
        return refuse(record,
                      record->state == STATE_SUCCEEDED ? "clone or replay it to train it again"
                      : state_is_final(record->state)  ? "retry it"
                                                       : "only a paused one can be resumed",
                      error);
    GR_TRY(database_run(db, NULL, error,
                        "UPDATE experiments SET revision = ?2, state = 'queued', "
                        "fruitless_attempts = 0 WHERE id = ?1",
                        "ii", act->id, revision));
    return end(db, act, "resumed: queued", error);
}

gr_status store_resume(store *self, int64_t id, experiment *after, gr_error *error) {
    return run(self, resume_work, &(action){.id = id}, after, error);
}

/* As if it had never been trained. */
static gr_status forget(database *db, action *act, gr_error *error) {
    const char *file = act->after.checkpoint_file;
    if (file && strlen(file) < sizeof act->superfluous)
        memcpy(act->superfluous, file, strlen(file) + 1);
    GR_TRY(
        database_run(db, NULL, error, "DELETE FROM metrics WHERE experiment = ?1", "i", act->id));
    return database_run(
        db, NULL, error,
        "UPDATE experiments SET checkpoint_file = NULL, checkpoint_iteration = 0, "
        "resumed_from_iteration = 0, started_at = 0, elapsed_seconds = 0, "
        "latest_metrics = '{}', best_metrics = '{}', environment = NULL WHERE id = ?1",
        "i", act->id);
}

static gr_status retry_work(database *db, void *context, gr_error *error) {
    action *act = context;
    int64_t revision;
    GR_TRY(begin(db, act, &revision, error));
    const experiment *record = &act->after;
    if (record->state == STATE_SUCCEEDED)
        return refuse(record, "clone or replay it to train it again", error);
    if (record->state == STATE_PAUSED) return refuse(record, "resume it", error);
    if (!state_is_final(record->state))
        return refuse(record, "only a failed, diverged or cancelled one can be retried", error);
    if (act->from_start) GR_TRY(forget(db, act, error));
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
    return end(db, act,
               act->from_start || !record->checkpoint_file ? "retried from the start: queued"
                                                           : "retried from its checkpoint: queued",
               error);
}

gr_status store_retry(store *self, int64_t id, bool from_start, experiment *after,
                      gr_error *error) {
    return run(self, retry_work, &(action){.id = id, .from_start = from_start}, after, error);
}

gr_status experiment_change_apply(database *db, experiment_change change, int64_t id,
                                  gr_error *error) {
    static const write_work works[] = {[CHANGE_CANCEL] = cancel_work,
                                       [CHANGE_PAUSE] = pause_work,
                                       [CHANGE_RESUME] = resume_work,
                                       [CHANGE_RETRY] = retry_work};
    action act = {.id = id};
    const gr_status status = works[change](db, &act, error);
    experiment_clear(&act.after);
    return status;
}

/* One experiment from lease to end. */
#include "server/worker_run.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "server/analysis.h"
#include "server/clock.h"
#include "server/environment.h"
#include "server/experiment_setup.h"
#include "server/initial_model.h"
#include "server/replay.h"
#include "server/safetensors.h"

enum {
    /* A checkpoint protects work; one that comes sooner than this many times the duration of the
     * last is left out, so that checkpoints cost at most 2 % however short the iterations are. */
    CHECKPOINT_PAUSE_FACTOR = 50,
    CHECKPOINT_PAUSE_MAXIMUM = 60000, /* ms */
    /* How long a finished training waits for a disk that refuses its result. */
    FINISH_MILLISECONDS = 600000,
    FIRST_PAUSE_MILLISECONDS = 100,
    LONGEST_PAUSE_MILLISECONDS = 5000,
    /* So many rows that cannot be stored stop the training until they can. */
    MAXIMUM_WAITING_ROWS = 100000
};

/* What belongs to the thread that trains. */
typedef struct work {
    run *run;
    experiment_setup setup;
    gr_training *training;
    analysis_result analysis; /* of the finished training; empty where none is asked for */
    bool waited;              /* a disk has refused the result */
    int64_t checkpoint_every;
    char checkpoint_file[128]; /* the one that the store knows */
    int64_t checkpoint_ended_at, checkpoint_milliseconds;
} work;

static char *artifact_path(const run *self, const char *name) {
    char *path;
    return asprintf(&path, "%s/%s", store_artifacts(self->store), name) < 0 ? NULL : path;
}

static bool may_pass(gr_status status) {
    return status == GR_IO || status == GR_NO_SPACE || status == GR_OUT_OF_MEMORY;
}

/* Waits, but not for long once the run is to stop. */
static void wait_milliseconds(const run *self, int64_t milliseconds) {
    int64_t until = clock_milliseconds() + milliseconds;
    while (clock_milliseconds() < until && !atomic_load(self->stopping) &&
           !atomic_load(&self->lost))
        nanosleep(&(struct timespec){0, 20000000}, NULL);
}

/* -- checkpoints
 * ------------------------------------------------------------------------------------------- */

/* The rows up to here first: a run resumed from this checkpoint will not report them again. */
static gr_status checkpoint(work *self, gr_error *error) {
    run *lease = self->run;
    const experiment *record = &lease->record;
    int64_t iteration = gr_training_iteration(self->training);
    GR_TRY(run_flush(lease, error));
    char name[128];
    snprintf(name, sizeof name, "%lld-%lld-%lld.checkpoint.safetensors", (long long)record->id,
             (long long)record->attempt, (long long)iteration);
    char *path = artifact_path(lease, name);
    if (!path) return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for a checkpoint");
    gr_arrays state = {0};
    gr_status status = gr_training_save(self->training, &state, error);
    if (status == GR_OK) status = safetensors_write_file(path, &state, NULL, error);
    gr_arrays_clear(&state);
    if (status == GR_OK) {
        status =
            store_checkpoint(lease->store, record->id, record->attempt, iteration, name, error);
        if (status == GR_OK)
            memcpy(self->checkpoint_file, name, sizeof name);
        else if (strcmp(name, self->checkpoint_file) != 0)
            unlink(path);
    }
    free(path);
    return status;
}

/* A checkpoint that does not work out costs nothing but safety: training goes on and the next one
 * is tried. */
static void periodic_checkpoint(work *self) {
    int64_t now = clock_milliseconds();
    int64_t pause = CHECKPOINT_PAUSE_FACTOR * self->checkpoint_milliseconds;
    if (pause > CHECKPOINT_PAUSE_MAXIMUM) pause = CHECKPOINT_PAUSE_MAXIMUM;
    if (self->checkpoint_ended_at && now - self->checkpoint_ended_at < pause) return;
    gr_error error = {0};
    gr_status status = checkpoint(self, &error);
    self->checkpoint_ended_at = clock_milliseconds();
    self->checkpoint_milliseconds = self->checkpoint_ended_at - now;
    if (status == GR_CONFLICT || status == GR_NOT_FOUND)
        atomic_store(&self->run->lost, true);
    else if (status != GR_OK)
        run_warn(self->run, "the checkpoint at iteration %lld could not be stored: %.400s",
                 (long long)gr_training_iteration(self->training), error.message);
}

/* -- ends
 * ----------------------------------------------------------------------------------------------------
 */

static void release(work *self, bool at_rung) {
    run *lease = self->run;
    gr_error error;
    /* Without a new checkpoint it resumes from the one before, which gives the same bits. */
    if (self->training && gr_training_iteration(self->training) > 0) checkpoint(self, &error);
    run_trained(lease);
    store_release(lease->store, lease->record.id, lease->record.attempt, at_rung, &error);
    run_publish(lease, EVENT_EXPERIMENT, atomic_load(&lease->iteration));
}

/* One attempt to bring a final state, and before it the rows and the model, into the store. */
static gr_status try_finish(work *self, experiment_state state, const char *reason,
                            gr_error *error) {
    run *lease = self->run;
    const experiment *record = &lease->record;
    GR_TRY(run_flush(lease, error));
    int64_t iteration = atomic_load(&lease->iteration);
    if (state != STATE_SUCCEEDED) {
        if (self->waited)
            GR_TRY(store_warn(lease->store, record->id, record->attempt, NULL, error));
        if (state == STATE_DIVERGED)
            GR_TRY(replay_report(lease->store, record, state, iteration, reason, NULL, error));
        return store_finish(lease->store, record->id, record->attempt, state, iteration, NULL,
                            reason, error);
    }
    char name[128];
    snprintf(name, sizeof name, "%lld-%lld.model.safetensors", (long long)record->id,
             (long long)record->attempt);
    char *path = artifact_path(lease, name);
    if (!path) return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for the model");
    gr_status status = experiment_write_model(&self->setup, self->training, path, error);
    if (status == GR_OK && self->waited) /* nothing is left to wait for */
        status = store_warn(lease->store, record->id, record->attempt, NULL, error);
    if (status == GR_OK)
        status = replay_report(lease->store, record, state, iteration, NULL, path, error);
    if (status == GR_OK) {
        status = store_succeed(lease->store, record->id, record->attempt, iteration, name,
                               self->analysis.text, error);
        if (status == GR_CONFLICT || status == GR_NOT_FOUND) unlink(path);
    }
    free(path);
    return status;
}

/* Ends the run. A disk that refuses is waited for; where that takes too long, or the server stops,
 * the experiment goes back to the queue: its result is not lost, it is computed again from the last
 * checkpoint. */
static void finish(work *self, experiment_state state, const char *reason) {
    run *lease = self->run;
    gr_error error = {0};
    int64_t until = clock_milliseconds() + FINISH_MILLISECONDS, pause = FIRST_PAUSE_MILLISECONDS;
    for (;;) {
        gr_status status = try_finish(self, state, reason, &error);
        if (status == GR_OK) break;
        if (status == GR_CONFLICT || status == GR_NOT_FOUND) return;
        if (!may_pass(status)) {
            if (state == STATE_FAILED) break; /* nothing more can be said: the lease will expire */
            char text[GR_MESSAGE_SIZE];
            snprintf(text, sizeof text, "the result could not be stored: %.400s", error.message);
            store_finish(lease->store, lease->record.id, lease->record.attempt, STATE_FAILED,
                         atomic_load(&lease->iteration), NULL, text, &error);
            break;
        }
        if (atomic_load(self->run->stopping) || clock_milliseconds() >= until) {
            release(self, false);
            return;
        }
        if (atomic_exchange(&lease->attention, false)) run_beat(lease);
        if (atomic_load(&lease->cancelled) && state == STATE_SUCCEEDED) state = STATE_CANCELLED;
        self->waited = true;
        run_warn(lease, "the result could not be stored yet: %.400s", error.message);
        wait_milliseconds(lease, pause);
        pause = 2 * pause > LONGEST_PAUSE_MILLISECONDS ? LONGEST_PAUSE_MILLISECONDS : 2 * pause;
    }
    run_publish(lease, EVENT_EXPERIMENT, atomic_load(&lease->iteration));
}

/* "/model/layers/3: message", or the message alone. */
static void finish_failed(work *self, const gr_error *error) {
    char reason[GR_MESSAGE_SIZE + GR_PLACE_SIZE + 4];
    snprintf(reason, sizeof reason, "%s%s%s", error->place, *error->place ? ": " : "",
             error->message);
    finish(self, STATE_FAILED, reason);
}

/* -- the beginning
 * ------------------------------------------------------------------------------------------- */

/* Restores the checkpoint, if there is one that can be used. A training from the beginning gives
 * the same bits: a checkpoint that is damaged or gone costs time, not the experiment. */
static gr_status resume(work *self, gr_error *error) {
    run *lease = self->run;
    const experiment *record = &lease->record;
    if (!record->checkpoint_file)
        return initial_model_apply(&self->setup, lease->store, self->training, error);
    snprintf(self->checkpoint_file, sizeof self->checkpoint_file, "%s", record->checkpoint_file);
    char *path = artifact_path(lease, record->checkpoint_file);
    if (!path) return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for the checkpoint");
    gr_arrays state = {0};
    gr_error cause = {0};
    gr_status status = safetensors_read_file(path, &state, NULL, &cause);
    if (status == GR_OK) status = gr_training_restore(self->training, &state, &cause);
    gr_arrays_clear(&state);
    free(path);
    if (status == GR_OK) return GR_OK;
    run_warn(lease,
             "the checkpoint of iteration %lld could not be used, training started from the "
             "beginning: %.300s",
             (long long)record->checkpoint_iteration, cause.message);
    gr_training_free(self->training);
    self->training = NULL;
    GR_TRY(gr_training_create(&self->setup.plan, self->setup.dataset, &self->training, error));
    return initial_model_apply(&self->setup, lease->store, self->training, error);
}

static gr_status prepare(work *self, gr_error *error) {
    run *lease = self->run;
    const experiment *record = &lease->record;
    GR_TRY(experiment_setup_check(record->spec, strlen(record->spec), lease->data, &self->setup,
                                  NULL, NULL, error));
    if (record->data_hash && *record->data_hash &&
        strcmp(record->data_hash, self->setup.data_hash) != 0)
        return gr_fail_at(error, GR_INVALID, "/dataset",
                          "the data set is not the one that the experiment was submitted with: its "
                          "SHA-256 was %.64s and is %.64s; submit the experiment again",
                          record->data_hash, self->setup.data_hash);
    const gr_settings *training = self->setup.plan.training;
    int option = gr_kind_option(training->kind, "checkpoint_every");
    self->checkpoint_every =
        option < 0 || gr_is_null(training, option) ? 0 : gr_integer(training, option);
    GR_TRY(gr_training_create(&self->setup.plan, self->setup.dataset, &self->training, error));
    GR_TRY(resume(self, error));
    atomic_store(&lease->iteration, gr_training_iteration(self->training));
    atomic_store(&lease->begun_iteration, gr_training_iteration(self->training));
    atomic_store(&lease->iterations, gr_training_iterations(self->training));
    return GR_OK;
}

/* Says in the store that training begins; waits for a disk that refuses. */
static gr_status announce(work *self, gr_error *error) {
    run *lease = self->run;
    char *environment = environment_text();
    if (!environment) return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for the environment");
    int64_t until = clock_milliseconds() + FINISH_MILLISECONDS, pause = FIRST_PAUSE_MILLISECONDS;
    gr_status status;
    for (;;) {
        status = store_started(lease->store, lease->record.id, lease->record.attempt,
                               gr_training_iteration(self->training), environment, error);
        if (!may_pass(status) || atomic_load(lease->stopping) || clock_milliseconds() >= until)
            break;
        wait_milliseconds(lease, pause);
        pause = 2 * pause > LONGEST_PAUSE_MILLISECONDS ? LONGEST_PAUSE_MILLISECONDS : 2 * pause;
    }
    free(environment);
    if (status == GR_OK) run_publish(lease, EVENT_EXPERIMENT, atomic_load(&lease->iteration));
    return status;
}

/* -- training
 * ---------------------------------------------------------------------------------------------- */

/* Takes over the rows of an evaluation. Where they can't be stored and pile up, training waits. */
static gr_status take_rows(work *self, gr_error *error) {
    run *lease = self->run;
    size_t count;
    const gr_metric *rows = gr_training_metrics(self->training, &count);
    GR_TRY(run_add_rows(lease, rows, count, error));
    for (;;) {
        pthread_mutex_lock(&lease->lock);
        size_t waiting = lease->row_count;
        pthread_mutex_unlock(&lease->lock);
        if (waiting < MAXIMUM_WAITING_ROWS || atomic_load(lease->stopping) ||
            atomic_load(&lease->lost) || atomic_load(&lease->cancelled) ||
            atomic_load(&lease->pausing) || atomic_load(&lease->attention))
            return GR_OK;
        if (may_pass(run_flush(lease, error))) wait_milliseconds(lease, 1000);
    }
}

/* Whether the worker is wanted elsewhere; asked often, as an iteration ends. */
static bool is_called_away(void *context) {
    run *lease = context;
    if (atomic_exchange(&lease->attention, false)) run_beat(lease);
    return atomic_load(&lease->lost) || atomic_load(&lease->cancelled) ||
           atomic_load(lease->stopping) || atomic_load(&lease->pausing);
}

/* What the spec asks for beside the accuracy. GR_CONFLICT: called away. Whoever resumes the run
 * from its last iteration does it anew, with the same numbers. */
static gr_status analyse(work *self, gr_error *error) {
    run_trained(self->run);
    if (!analysis_is_wanted(&self->setup)) return GR_OK;
    GR_TRY(analysis_of_training(&self->setup, self->training, is_called_away, self->run,
                                &self->analysis, error));
    return run_add_rows(self->run, self->analysis.rows, self->analysis.count, error);
}

static void train(work *self) {
    run *lease = self->run;
    gr_error error = {0};
    for (;;) {
        if (atomic_exchange(&lease->attention, false)) run_beat(lease);
        if (atomic_load(&lease->lost)) return;
        if (atomic_load(&lease->cancelled)) {
            finish(self, STATE_CANCELLED, NULL);
            return;
        }
        if (atomic_load(lease->stopping) || atomic_load(&lease->pausing)) {
            release(self, false);
            return;
        }
        gr_progress progress;
        gr_status status = gr_training_advance(self->training, &progress, &error);
        int64_t iteration = gr_training_iteration(self->training);
        atomic_store_explicit(&lease->iteration, iteration, memory_order_relaxed);
        if (status == GR_DIVERGED) {
            finish(self, STATE_DIVERGED, error.message);
            return;
        }
        if (status == GR_OK && progress == GR_PROGRESS_METRICS) status = take_rows(self, &error);
        if (status != GR_OK) {
            finish_failed(self, &error);
            return;
        }
        if (progress == GR_PROGRESS_FINISHED) {
            status = analyse(self, &error);
            if (status == GR_CONFLICT) continue;
            if (status == GR_OK)
                finish(self, STATE_SUCCEEDED, NULL);
            else
                finish_failed(self, &error);
            return;
        }
        /* Beyond the rung, not at it: then all that is to be measured there has been measured,
         * however often the run was interrupted just then. */
        if (progress == GR_PROGRESS_ITERATION && lease->record.stop_after_iteration > 0 &&
            iteration > lease->record.stop_after_iteration) {
            release(self, true);
            return;
        }
        if (progress == GR_PROGRESS_ITERATION && self->checkpoint_every > 0 &&
            iteration % self->checkpoint_every == 0 &&
            iteration < gr_training_iterations(self->training))
            periodic_checkpoint(self);
    }
}

void run_execute(run *lease) {
    work self = {.run = lease};
    gr_error error = {0};
    gr_status status = prepare(&self, &error);
    if (status != GR_OK) {
        finish_failed(&self, &error);
    } else {
        status = announce(&self, &error);
        if (status == GR_OK)
            train(&self);
        else if (may_pass(status))
            release(&self, false);
        else if (status != GR_CONFLICT && status != GR_NOT_FOUND)
            finish_failed(&self, &error);
    }
    gr_training_free(self.training);
    analysis_clear(&self.analysis);
    experiment_setup_clear(&self.setup);
}

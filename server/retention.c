#include "server/retention.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "server/clock.h"

enum { PERIOD_SECONDS = 3600, DAY_MILLISECONDS = 86400000 };

struct retention {
    store *store;
    retention_rules rules;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t woken;
    atomic_bool stopping;
};

static int64_t days_ago(int64_t days) {
    return clock_now() - days * DAY_MILLISECONDS;
}

/* Repeats a bounded piece of work until it finds nothing more. */
static gr_status repeat(gr_status (*piece)(store *, int64_t, int64_t *, gr_error *), store *in,
                        int64_t limit, const atomic_bool *stopping, gr_error *error) {
    for (int64_t done = 1; done > 0 && !(stopping && atomic_load(stopping));)
        GR_TRY(piece(in, limit, &done, error));
    return GR_OK;
}

gr_status retention_apply(store *in, const retention_rules *rules, const atomic_bool *stopping,
                          gr_error *error) {
    int64_t dropped;
    GR_TRY(store_drop_answers(in, &dropped, error));
    if (rules->checkpoint_days > 0)
        GR_TRY(
            repeat(store_drop_checkpoints, in, days_ago(rules->checkpoint_days), stopping, error));
    if (rules->kept > 0) GR_TRY(repeat(store_trash_oldest, in, rules->kept, stopping, error));
    if (rules->trash_days > 0)
        GR_TRY(repeat(store_empty_trash, in, days_ago(rules->trash_days), stopping, error));
    return GR_OK;
}

static void *main_of(void *argument) {
    retention *self = argument;
    while (!atomic_load(&self->stopping)) {
        gr_error error; /* what fails now (a full disk) is tried again in an hour */
        retention_apply(self->store, &self->rules, &self->stopping, &error);
        const struct timespec until = clock_after((int64_t)PERIOD_SECONDS * 1000);
        pthread_mutex_lock(&self->lock);
        while (!atomic_load(&self->stopping) &&
               pthread_cond_timedwait(&self->woken, &self->lock, &until) == 0) {
        }
        pthread_mutex_unlock(&self->lock);
    }
    return NULL;
}

gr_status retention_start(store *in, const retention_rules *rules, retention **result,
                          gr_error *error) {
    *result = NULL;
    retention *self = calloc(1, sizeof *self);
    if (!self) return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for the retention rules");
    self->store = in;
    self->rules = *rules;
    pthread_mutex_init(&self->lock, NULL);
    clock_condition_init(&self->woken);
    const int code = pthread_create(&self->thread, NULL, main_of, self);
    if (code) {
        pthread_cond_destroy(&self->woken);
        pthread_mutex_destroy(&self->lock);
        free(self);
        return gr_fail(error, GR_IO, "the thread for the retention rules did not start: %s",
                       strerror(code));
    }
    *result = self;
    return GR_OK;
}

void retention_stop(retention *self) {
    if (!self) return;
    pthread_mutex_lock(&self->lock);
    atomic_store(&self->stopping, true);
    pthread_cond_signal(&self->woken);
    pthread_mutex_unlock(&self->lock);
    pthread_join(self->thread, NULL);
    pthread_cond_destroy(&self->woken);
    pthread_mutex_destroy(&self->lock);
    free(self);
}

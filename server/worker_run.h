/* One lease being worked on. The thread that trains calls run_execute; beside it the pool's keeper
 * calls run_keep, so that training never waits for a heartbeat or for metric rows to reach the
 * disk. */
#ifndef SERVER_WORKER_RUN_H
#define SERVER_WORKER_RUN_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "server/data_cache.h"
#include "server/events.h"
#include "server/store.h"

typedef struct run {
    store *store;
    data_cache *data;
    events *events;
    const atomic_bool *stopping; /* the pool's: checkpoint and release */
    experiment record;           /* as leased; owned */

    /* Between the threads. */
    atomic_bool attention; /* somebody asked for it to be cancelled: look into the store */
    atomic_bool cancelled; /* the store says so */
    atomic_bool pausing;   /* the store says so: checkpoint and release */
    atomic_bool lost;      /* the lease is another's: drop everything */
    _Atomic int64_t iteration, iterations;
    _Atomic int64_t begun_iteration; /* where this attempt began to train; -1: not yet */
    _Atomic double rate;             /* iterations per second, smoothed; 0: not known */

    clockid_t processor; /* the time that the training thread has worked */

    pthread_mutex_t lock; /* guards what follows, up to the next comment */
    metric_row *rows;     /* not yet stored, in the order in which they came */
    size_t row_count, row_capacity;
    char warning[GR_MESSAGE_SIZE]; /* not yet stored; "": none */
    double worked;                 /* what `processor` said when it was last taken to the store */
    bool trained;                  /* what the thread does now is no training any more */

    pthread_mutex_t
        flushing; /* held while rows are on their way to the store: they keep their order */

    /* The keeper's alone. */
    int64_t beat_at, measured_at, measured_iteration, published_iteration;
} run;

/* `record` is taken over. */
void run_initialize(run *run, store *store, data_cache *data, events *events,
                    const atomic_bool *stopping, experiment *record);
void run_destroy(run *run);

/* Trains to an end: succeeded, failed, diverged, cancelled, released or dropped; all of that is in
 * the store. */
void run_execute(run *run);
/* Stores what is pending, extends the lease when it is time to, measures the rate and publishes
 * progress. */
void run_keep(run *run);

/* -- worker_report.c: from the run to the store, for run_execute -- */
/* Adds the rows of an evaluation to those that wait to be stored. */
gr_status run_add_rows(run *run, const gr_metric *rows, size_t count, gr_error *error);
/* Stores all rows (and the warning) that wait. */
gr_status run_flush(run *run, gr_error *error);
void run_warn(run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Asks the store whether the experiment was cancelled, and extends the lease. */
void run_beat(run *run);
/* Says in the store that training is over. A store that refuses only makes times less exact. */
void run_trained(run *run);
void run_publish(const run *run, event_type type, int64_t iteration);

#endif

/* The worker threads: each leases an experiment, trains it with the core, and reports back over the
 * lease. */
#ifndef SERVER_WORKERS_H
#define SERVER_WORKERS_H

#include "server/data_cache.h"
#include "server/events.h"
#include "server/store.h"

typedef struct workers workers;

gr_status workers_start(store *store, data_cache *data, events *events, int count,
                        workers **workers, gr_error *error);
/* Something may be queued: wakes an idle worker. */
void workers_wake(workers *workers);
/* The experiment's worker stops within one batch (cancel). No effect where it does not run here. */
void workers_interrupt(workers *workers, int64_t id);
/* Checkpoints and releases what is running, then joins the threads and frees. */
void workers_stop(workers *workers);

typedef struct worker_status {
    char name[32];
    int64_t experiment; /* 0: idle */
    int64_t iteration, iterations;
    double iterations_per_second;
} worker_status;
/* Writes at most `capacity` rows; returns the number of workers. */
int workers_status(workers *workers, worker_status *rows, int capacity);
/* Training iterations since the start, of all workers. */
int64_t workers_iterations(workers *workers);

#endif

/* The thread that looks after sweeps whose experiments are not all known at the start: it promotes
 * arms (successive halving) and adds seeds ("until"). It keeps nothing in memory: every pass begins
 * with what is stored. */
#ifndef SERVER_SWEEP_KEEPER_H
#define SERVER_SWEEP_KEEPER_H

#include "server/events.h"
#include "server/store.h"
#include "server/workers.h"

typedef struct sweep_keeper sweep_keeper;

gr_status sweep_keeper_start(store *store, events *events, workers *workers, sweep_keeper **result,
                             gr_error *error);
void sweep_keeper_stop(sweep_keeper *self); /* NULL is allowed */

/* One pass over one sweep. *changed: experiments were queued or ended. `events` and `workers` may
 * be NULL. */
gr_status sweep_tend(store *store, events *events, workers *workers, int64_t id, bool *changed,
                     gr_error *error);

#endif

/* What can be done to an experiment's state, as one table: for the routes of one experiment and for
 * those of many. */
#ifndef SERVER_ACTIONS_H
#define SERVER_ACTIONS_H

#include "server/api.h"

typedef struct action_options {
    bool from_start; /* retry: not from the last checkpoint */
} action_options;

typedef struct experiment_action {
    const char *name, *help;
    /* GR_CONFLICT with the reason where the state does not allow it; GR_NOT_FOUND. */
    gr_status (*store)(store *store, int64_t id, const action_options *options, experiment *after,
                       gr_error *error);
    bool interrupts; /* a worker that trains it has to look into the store */
    bool wakes;      /* it may be queued now */
} experiment_action;

/* cancel, pause, resume, retry; ended by a row without a name. */
extern const experiment_action experiment_actions[];
/* NULL where there is none of that name. */
const experiment_action *experiment_action_named(const char *name);

/* Does it, tells the workers and everybody who listens. `after` may be NULL. */
gr_status experiment_action_apply(struct api *api, const experiment_action *action, int64_t id,
                                  const action_options *options, experiment *after,
                                  gr_error *error);

#endif

/* What can be done to an experiment, as one table: for the routes of one experiment and for those
 * of many. */
#ifndef SERVER_ACTIONS_H
#define SERVER_ACTIONS_H

#include "server/api.h"

enum {
    ACTION_INTERRUPTS = 1, /* a worker that trains it has to look into the store */
    ACTION_WAKES = 2,      /* it may be queued now */
    ACTION_HIDES = 4       /* no query finds it afterwards */
};
typedef struct experiment_action {
    const char *name, *help;
    experiment_change change;
    http_scope scope; /* who may do it */
    unsigned traits;  /* ACTION_…, or 0 */
} experiment_action;

/* cancel, pause, resume, retry, delete, undelete, purge; ended by a row without a name. */
extern const experiment_action experiment_actions[];
/* NULL where there is none of that name. */
const experiment_action *experiment_action_named(const char *name);

/* Tells the workers and everybody who listens that it was done to this experiment. */
void experiment_action_done(struct api *api, const experiment_action *action, int64_t id);
/* Does it to the experiment in the path, under the request's If-Match and If-None-Match, and
 * answers: 200 with the experiment, or 204 where it is hidden now. */
gr_status experiment_action_answer(struct api *api, const experiment_action *action,
                                   const change_options *options, const http_request *request,
                                   http_response *response, gr_error *error);

#endif

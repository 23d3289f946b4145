#include "server/actions.h"

#include <string.h>

static gr_status cancel(store *in, int64_t id, const action_options *options, experiment *after,
                        gr_error *error) {
    (void)options;
    return store_cancel(in, id, after, error);
}

static gr_status suspend(store *in, int64_t id, const action_options *options, experiment *after,
                         gr_error *error) {
    (void)options;
    return store_pause(in, id, after, error);
}

static gr_status resume(store *in, int64_t id, const action_options *options, experiment *after,
                        gr_error *error) {
    (void)options;
    return store_resume(in, id, after, error);
}

static gr_status retry(store *in, int64_t id, const action_options *options, experiment *after,
                       gr_error *error) {
    return store_retry(in, id, options->from_start, after, error);
}

const experiment_action experiment_actions[] = {
    {"cancel", "end it early", cancel, true, false},
    {"pause", "checkpoint it and set it aside", suspend, true, false},
    {"resume", "let a paused one go on", resume, true, true},
    {"retry", "queue one again that failed, diverged or was cancelled", retry, false, true},
    {0}};

const experiment_action *experiment_action_named(const char *name) {
    for (const experiment_action *action = experiment_actions; action->name; action++)
        if (strcmp(action->name, name) == 0) return action;
    return NULL;
}

gr_status experiment_action_apply(struct api *api, const experiment_action *action, int64_t id,
                                  const action_options *options, experiment *after,
                                  gr_error *error) {
    GR_TRY(action->store(api->store, id, options, after, error));
    if (action->interrupts) workers_interrupt(api->workers, id);
    if (action->wakes) workers_wake(api->workers);
    api_publish(api, EVENT_EXPERIMENT, id);
    return GR_OK;
}

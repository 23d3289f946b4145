#include "server/actions.h"

#include <string.h>

const experiment_action experiment_actions[] = {
    {"cancel", "end it early", CHANGE_CANCEL, HTTP_SCOPE_SUBMIT, ACTION_INTERRUPTS},
    {"pause", "checkpoint it and set it aside", CHANGE_PAUSE, HTTP_SCOPE_SUBMIT, ACTION_INTERRUPTS},
    {"resume", "let a paused one go on", CHANGE_RESUME, HTTP_SCOPE_SUBMIT,
     ACTION_INTERRUPTS | ACTION_WAKES},
    {"retry", "queue one again that failed, diverged or was cancelled", CHANGE_RETRY,
     HTTP_SCOPE_SUBMIT, ACTION_WAKES},
    {"delete", "move one that has ended to the trash", CHANGE_DELETE, HTTP_SCOPE_SUBMIT,
     ACTION_HIDES},
    {"undelete", "take it out of the trash", CHANGE_UNDELETE, HTTP_SCOPE_SUBMIT, 0},
    {"purge", "remove one in the trash for good, with its metrics and files", CHANGE_PURGE,
     HTTP_SCOPE_ADMIN, ACTION_HIDES},
    {0}};

const experiment_action *experiment_action_named(const char *name) {
    for (const experiment_action *action = experiment_actions; action->name; action++)
        if (strcmp(action->name, name) == 0) return action;
    return NULL;
}

void experiment_action_done(struct api *api, const experiment_action *action, int64_t id) {
    if (action->traits & ACTION_INTERRUPTS) workers_interrupt(api->workers, id);
    if (action->traits & ACTION_WAKES) workers_wake(api->workers);
    api_publish(api, (action->traits & ACTION_HIDES) ? EVENT_DELETED : EVENT_EXPERIMENT, id);
}

static gr_status guard(void *context, const experiment *before, gr_error *error) {
    return api_condition_check(context, before, error);
}

gr_status experiment_action_answer(struct api *api, const experiment_action *action,
                                   const change_options *options, const http_request *request,
                                   http_response *response, gr_error *error) {
    api_condition condition = {.request = request};
    change_options guarded = *options;
    experiment after = {0};
    int64_t id;
    guarded.guard = guard;
    guarded.context = &condition;
    GR_TRY(api_id(request, &id, error));
    const gr_status status = store_change(api->store, action->change, id, &guarded, &after, error);
    if (api_condition_answer(&condition, status, response, error)) return GR_OK;
    GR_TRY(status);
    experiment_action_done(api, action, id);
    if (action->traits & ACTION_HIDES)
        response->status = 204;
    else
        api_answer_experiment(response, 200, &after);
    experiment_clear(&after);
    return GR_OK;
}

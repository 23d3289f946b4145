/* The names of states. */
#include <string.h>

#include "server/store.h"

static const char *const state_names[STATE_COUNT] = {"queued", "running",  "paused",   "succeeded",
                                                     "failed", "diverged", "cancelled"};

const char *state_name(experiment_state state) {
    return state_names[state];
}

bool state_from_name(const char *name, experiment_state *state) {
    for (int i = 0; i < STATE_COUNT; i++)
        if (strcmp(name, state_names[i]) == 0) {
            *state = (experiment_state)i;
            return true;
        }
    return false;
}

bool state_is_final(experiment_state state) {
    return state >= STATE_SUCCEEDED;
}

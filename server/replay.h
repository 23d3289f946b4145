/* Whether an experiment that was run again came out the same. */
#ifndef SERVER_REPLAY_H
#define SERVER_REPLAY_H

#include "server/store.h"

/* Compares the end of a replay (its record as leased; all rows are stored; its model, if it has
 * one, is at model_path) with the experiment that it repeats, and stores the report under its
 * lease. Does nothing for what is no replay. `reason`: why it diverged, or NULL. */
gr_status replay_report(store *store, const experiment *record, experiment_state state,
                        int64_t iteration, const char *reason, const char *model_path,
                        gr_error *error);

#endif

/* Where a training's first parameters come from when its spec says "init_from". */
#ifndef SERVER_INITIAL_MODEL_H
#define SERVER_INITIAL_MODEL_H

#include "server/experiment_setup.h"
#include "server/store.h"

/* Reads the model that the spec's init_from names and checks that it fits the spec's network: on a
 * server (`store`) the id of a succeeded experiment, elsewhere (store NULL) a model.safetensors
 * file. An empty model where init_from is null. GR_INVALID, GR_CORRUPT, GR_IO with the place
 * "/init_from". gr_arrays_clear. */
gr_status initial_model_load(const experiment_setup *setup, store *store, gr_arrays *model,
                             gr_error *error);

/* Loads that model, where there is one, into a training that has not begun. */
gr_status initial_model_apply(const experiment_setup *setup, store *store, gr_training *training,
                              gr_error *error);

#endif

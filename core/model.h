/* Models: explicit layers, or a preset that stands for them (METHODS §4). */
#ifndef CORE_MODEL_H
#define CORE_MODEL_H

#include "core/layer.h"
#include "core/network.h"

struct gr_layer_list;

/* A preset's row: adds its layers for inputs of this shape and this many outputs. */
typedef struct gr_model_kind {
    gr_kind kind;
    gr_status (*expand)(const gr_settings *settings, const gr_shape *input, int64_t outputs,
                        struct gr_layer_list *list, gr_error *error);
} gr_model_kind;

/* Builds the network that `model` describes. `input` and `outputs` come from the data set; NULL and
 * 0 where there is none: then the model must give its input_shape, and its outputs are not checked.
 * error->place is relative to the spec
 * ("/model/layers/3/kernel"). */
gr_status gr_model_build(const gr_settings *model, const gr_shape *input, int64_t outputs,
                         gr_network **network, gr_error *error);

#endif

/* Models: explicit layers, or a preset that stands for them. */
#ifndef CORE_MODEL_H
#define CORE_MODEL_H

#include "core/layer_list.h"
#include "core/network.h"

/* What a preset is: one file in core/models/ and one row of the table in core/model.c. It adds its
 * layers for inputs of this shape and this many outputs; the place of an error is relative to the
 * model ("/widths"). */
typedef struct gr_model_kind {
    gr_kind kind;
    gr_status (*expand)(const gr_settings *settings, const gr_shape *input, int64_t outputs,
                        gr_layer_list *list, gr_error *error);
} gr_model_kind;

extern const gr_model_kind gr_model_lenet, gr_model_lenet_tuned, gr_model_resnet, gr_model_mlp;
extern const gr_kind gr_model_toy; /* an alias */

/* Builds the network that `model` describes. `input` and `outputs` come from the data set; NULL and
 * 0 where there is none: then the model must give its input_shape, and its outputs are not checked.
 * error->place is relative to the spec
 * ("/model/layers/3/kernel"). */
gr_status gr_model_build(const gr_settings *model, const gr_shape *input, int64_t outputs,
                         gr_network **network, gr_error *error);

#endif

/* The table of layer kinds: one row each. */
#include "core/layer.h"

static const gr_kind *const kinds[] = {
    &gr_layer_linear.kind,    &gr_layer_conv2d.kind,  &gr_layer_relu.kind,    &gr_layer_tanh.kind,
    &gr_layer_maxpool2d.kind, &gr_layer_flatten.kind, &gr_layer_dropout.kind, NULL};

const gr_family gr_layer_family = {.name = "layer", .discriminator = "type", .kinds = kinds};

/* The table of regularisers: one row each, aliases included. */
#include "core/regularizer.h"

static const gr_kind *const kinds[] = {&gr_regularizer_gradient_penalty.kind,
                                       &gr_regularizer_datagrad,
                                       &gr_regularizer_double_backprop,
                                       &gr_regularizer_spectreg,
                                       &gr_regularizer_jacreg,
                                       &gr_regularizer_frobreg,
                                       &gr_regularizer_onehot,
                                       &gr_regularizer_random_onehot,
                                       &gr_regularizer_weight_decay.kind,
                                       NULL};

const gr_family gr_regularizer_family = {
    .name = "regularizer", .discriminator = "type", .kinds = kinds};

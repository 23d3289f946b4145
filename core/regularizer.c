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
                                       &gr_regularizer_jacobian_norm,
                                       &gr_regularizer_weight_decay.kind,
                                       &gr_regularizer_l1.kind,
                                       &gr_regularizer_spectral_norm.kind,
                                       &gr_regularizer_confidence_penalty.kind,
                                       &gr_regularizer_contractive.kind,
                                       &gr_regularizer_tangent_prop.kind,
                                       &gr_regularizer_sobolev.kind,
                                       &gr_regularizer_derivative_sparsity.kind,
                                       &gr_regularizer_adversarial.kind,
                                       &gr_regularizer_gradient_difference.kind,
                                       &gr_regularizer_input_noise.kind,
                                       NULL};

const gr_family gr_regularizer_family = {
    .name = "regularizer", .discriminator = "type", .kinds = kinds};

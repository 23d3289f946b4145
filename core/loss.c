/* The table of losses: one row each. */
#include "core/loss.h"

static const gr_kind *const kinds[] = {&gr_loss_cross_entropy.kind, &gr_loss_squared_error.kind,
                                       NULL};

const gr_family gr_loss_family = {.name = "loss", .discriminator = "type", .kinds = kinds};

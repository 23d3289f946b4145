/* The tables of optimisers and schedules: one row each. */
#include "core/optimizer.h"

static const gr_kind *const optimizers[] = {&gr_optimizer_adam.kind, NULL};

const gr_family gr_optimizer_family = {
    .name = "optimizer", .discriminator = "type", .kinds = optimizers};

static const gr_kind *const schedules[] = {&gr_schedule_constant.kind, &gr_schedule_piecewise.kind,
                                           NULL};

const gr_family gr_schedule_family = {
    .name = "schedule", .discriminator = "type", .kinds = schedules};

double gr_learning_rate(const gr_settings *optimizer) {
    return gr_number(optimizer, gr_kind_option(optimizer->kind, "learning_rate"));
}

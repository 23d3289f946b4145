/* rmsprop: Tieleman & Hinton 2012, as PyTorch's RMSprop: epsilon outside the root, and a velocity
 * of the scaled gradients where a momentum is given. */
#include "core/optimizer.h"

enum { LEARNING_RATE, ALPHA, EPSILON, MOMENTUM };
static const gr_option options[] = {
    [LEARNING_RATE] = GR_LEARNING_RATE_OPTION("0.01"),
    [ALPHA] = {.name = "alpha",
               .help = "decay of the mean of squared gradients",
               .accepts = GR_ACCEPT(GR_NUMBER),
               .minimum = 0,
               .maximum = 1,
               .maximum_excluded = true,
               .default_json = "0.99"},
    [EPSILON] = {.name = "epsilon",
                 .help = "added to the root of the mean of squares",
                 .accepts = GR_ACCEPT(GR_NUMBER),
                 .minimum = 0,
                 .maximum = 1,
                 .minimum_excluded = true,
                 .default_json = "1e-8"},
    [MOMENTUM] = {.name = "momentum",
                  .help = "share of the velocity that a step keeps",
                  .accepts = GR_ACCEPT(GR_NUMBER),
                  .minimum = 0,
                  .maximum = 1,
                  .maximum_excluded = true,
                  .default_json = "0"},
};

static double step(const gr_settings *settings, const gr_kernels *kernels, int64_t number,
                   double learning_rate, const gr_step *step) {
    (void)number;
    return kernels->rmsprop(step, (gr_real)learning_rate, (gr_real)gr_number(settings, ALPHA),
                            (gr_real)gr_number(settings, EPSILON),
                            (gr_real)gr_number(settings, MOMENTUM));
}

const gr_optimizer_kind gr_optimizer_rmsprop = {
    .kind = {.name = "rmsprop",
             .help = "gradients over the root of their mean square (Tieleman & Hinton 2012)",
             .options = options,
             .option_count = sizeof options / sizeof *options},
    .moments = 2,
    .step = step,
};

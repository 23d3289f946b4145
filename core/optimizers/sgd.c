/* sgd, momentum and nesterov: stochastic gradient descent, with a velocity v = momentum·v + g where
 * asked for. As PyTorch's SGD (no dampening): the learning rate stands outside the velocity, and
 * Nesterov's step is g + momentum·v. */
#include "core/optimizer.h"

enum { LEARNING_RATE, MOMENTUM, NESTEROV, OPTIONS };

#define OPTIONS_WITH(momentum_json)                                                        \
    {                                                                                      \
        [LEARNING_RATE] = GR_LEARNING_RATE_OPTION("0.01"),                                 \
        [MOMENTUM] = {.name = "momentum",                                                  \
                      .help = "share of the velocity that a step keeps; 0: plain descent", \
                      .accepts = GR_ACCEPT(GR_NUMBER),                                     \
                      .minimum = 0,                                                        \
                      .maximum = 1,                                                        \
                      .maximum_excluded = true,                                            \
                      .default_json = momentum_json},                                      \
        [NESTEROV] = {.name = "nesterov",                                                  \
                      .help = "Nesterov's look-ahead (needs a momentum)",                  \
                      .accepts = GR_ACCEPT(GR_BOOLEAN),                                    \
                      .default_json = "false"},                                            \
    }
static const gr_option sgd_options[OPTIONS] = OPTIONS_WITH("0");
static const gr_option momentum_options[OPTIONS] = OPTIONS_WITH("0.9");

static gr_status check(const gr_settings *settings, gr_error *error) {
    if (gr_boolean(settings, NESTEROV) && gr_number(settings, MOMENTUM) <= 0)
        return gr_fail_at(error, GR_INVALID, "/momentum",
                          "nesterov looks ahead along a velocity: give a momentum, such as 0.9");
    return GR_OK;
}

static double step(const gr_settings *settings, const gr_kernels *kernels, int64_t number,
                   double learning_rate, const gr_step *step) {
    (void)number;
    return kernels->momentum(step, (gr_real)learning_rate, (gr_real)gr_number(settings, MOMENTUM),
                             gr_boolean(settings, NESTEROV));
}

const gr_optimizer_kind gr_optimizer_sgd = {
    .kind = {.name = "sgd",
             .help = "stochastic gradient descent, plain by default",
             .options = sgd_options,
             .option_count = OPTIONS},
    .moments = 1,
    .check = check,
    .step = step,
};

const gr_optimizer_kind gr_optimizer_momentum = {
    .kind = {.name = "momentum",
             .help = "stochastic gradient descent with momentum (Polyak 1964)",
             .options = momentum_options,
             .option_count = OPTIONS},
    .moments = 1,
    .check = check,
    .step = step,
};

static const gr_alias_value nesterov_values[] = {{"nesterov", "true"}};
const gr_kind gr_optimizer_nesterov = {
    .name = "nesterov",
    .help = "stochastic gradient descent with Nesterov's momentum (Sutskever et al. 2013)",
    .alias_of = &gr_optimizer_momentum.kind,
    .alias_values = nesterov_values,
    .alias_value_count = sizeof nesterov_values / sizeof *nesterov_values};

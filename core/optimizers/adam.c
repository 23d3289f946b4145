/* adam: Kingma & Ba 2015, with PyTorch's defaults and its place of epsilon (outside the corrected
 * root). adamw: the same with a decay that no moment sees (Loshchilov & Hutter 2019). */
#include <math.h>

#include "core/optimizer.h"

enum { LEARNING_RATE, BETA1, BETA2, EPSILON, ADAM_OPTIONS, WEIGHT_DECAY = ADAM_OPTIONS };
static const gr_option options[] = {
    [LEARNING_RATE] = GR_LEARNING_RATE_OPTION("0.001"),
    [BETA1] = {.name = "beta1",
               .help = "decay of the mean of gradients",
               .accepts = GR_ACCEPT(GR_NUMBER),
               .minimum = 0,
               .maximum = 1,
               .maximum_excluded = true,
               .default_json = "0.9"},
    [BETA2] = {.name = "beta2",
               .help = "decay of the mean of squared gradients",
               .accepts = GR_ACCEPT(GR_NUMBER),
               .minimum = 0,
               .maximum = 1,
               .maximum_excluded = true,
               .default_json = "0.999"},
    [EPSILON] = {.name = "epsilon",
                 .help = "added to the root of the mean of squares",
                 .accepts = GR_ACCEPT(GR_NUMBER),
                 .minimum = 0,
                 .maximum = 1,
                 .minimum_excluded = true,
                 .default_json = "1e-8"},
    /* adamw alone */
    [WEIGHT_DECAY] = {.name = "weight_decay",
                      .help =
                          "decoupled decay of the weights of rank 2 and more (not of biases and "
                          "normalisations): each step takes learning rate times this share "
                          "of them",
                      .accepts = GR_ACCEPT(GR_NUMBER),
                      .minimum = 0,
                      .maximum = 1e6,
                      .default_json = "0.01"},
};

static double step(const gr_settings *settings, const gr_kernels *kernels, int64_t number,
                   double learning_rate, const gr_step *step) {
    const double beta1 = gr_number(settings, BETA1), beta2 = gr_number(settings, BETA2);
    const double first_correction = 1 - pow(beta1, (double)number);
    const double second_correction = 1 - pow(beta2, (double)number);
    return kernels->adam(
        step, (gr_real)beta1, (gr_real)beta2, (gr_real)(learning_rate / first_correction),
        (gr_real)(1 / sqrt(second_correction)), (gr_real)gr_number(settings, EPSILON));
}

static double decoupled_decay(const gr_settings *settings) {
    return gr_number(settings, WEIGHT_DECAY);
}

const gr_optimizer_kind gr_optimizer_adam = {
    .kind = {.name = "adam",
             .help = "adaptive moments (Kingma & Ba 2015)",
             .options = options,
             .option_count = ADAM_OPTIONS},
    .moments = 2,
    .step = step,
};

const gr_optimizer_kind gr_optimizer_adamw = {
    .kind = {.name = "adamw",
             .help = "adam with decoupled weight decay (Loshchilov & Hutter 2019)",
             .options = options,
             .option_count = sizeof options / sizeof *options},
    .moments = 2,
    .decoupled_decay = decoupled_decay,
    .step = step,
};

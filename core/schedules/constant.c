/* constant: the learning rate as it is. */
#include "core/optimizer.h"

static const gr_option options[] = {GR_WARMUP_OPTION};

static double factor(const gr_settings *settings, int64_t iteration, int64_t iterations) {
    (void)settings, (void)iteration, (void)iterations;
    return 1;
}

const gr_schedule_kind gr_schedule_constant = {
    .kind = {.name = "constant",
             .help = "the learning rate as it is",
             .options = options,
             .option_count = sizeof options / sizeof *options},
    .factor = factor,
};

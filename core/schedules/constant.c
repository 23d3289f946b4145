/* constant: the learning rate as it is. */
#include "core/optimizer.h"

static double factor(const gr_settings *settings, int64_t iteration, int64_t iterations) {
    (void)settings, (void)iteration, (void)iterations;
    return 1;
}

const gr_schedule_kind gr_schedule_constant = {
    .kind = {.name = "constant", .help = "the learning rate as it is"},
    .factor = factor,
};

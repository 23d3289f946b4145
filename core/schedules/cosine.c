/* cosine {minimum}: half a cosine from 1 down to the minimum (Loshchilov & Hutter 2017, without
 * restarts), which is reached where one more iteration would begin, as PyTorch's
 * CosineAnnealingLR. */
#include <math.h>

#include "core/optimizer.h"

enum { MINIMUM, WARMUP };
static const gr_option options[] = {
    [MINIMUM] = {.name = "minimum",
                 .help = "the factor at the end",
                 .accepts = GR_ACCEPT(GR_NUMBER),
                 .minimum = 0,
                 .maximum = 1,
                 .default_json = "0"},
    [WARMUP] = GR_WARMUP_OPTION,
};

static double factor(const gr_settings *settings, int64_t iteration, int64_t iterations) {
    const double minimum = gr_number(settings, MINIMUM);
    const double angle = acos(-1) * (double)iteration / (double)iterations;
    return minimum + (1 - minimum) * (1 + cos(angle)) / 2;
}

const gr_schedule_kind gr_schedule_cosine = {
    .kind = {.name = "cosine",
             .help = "half a cosine from 1 down to a minimum (Loshchilov & Hutter 2017)",
             .options = options,
             .option_count = sizeof options / sizeof *options},
    .factor = factor,
};

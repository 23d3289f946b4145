/* linear {end}: a straight line from 1 to the end factor, which is reached where one more iteration
 * would begin, as PyTorch's LinearLR. */
#include "core/optimizer.h"

enum { END, WARMUP };
static const gr_option options[] = {
    [END] = {.name = "end",
             .help = "the factor at the end",
             .accepts = GR_ACCEPT(GR_NUMBER),
             .minimum = 0,
             .maximum = 1e6,
             .default_json = "0"},
    [WARMUP] = GR_WARMUP_OPTION,
};

static double factor(const gr_settings *settings, int64_t iteration, int64_t iterations) {
    return 1 + (gr_number(settings, END) - 1) * (double)iteration / (double)iterations;
}

const gr_schedule_kind gr_schedule_linear = {
    .kind = {.name = "linear",
             .help = "a straight line from 1 to an end factor",
             .options = options,
             .option_count = sizeof options / sizeof *options},
    .factor = factor,
};

/* exponential {decay, every, staircase}: decay^(t/every), t the share of the iterations that has
 * passed; with `staircase` only whole multiples of `every` count. */
#include <math.h>

#include "core/optimizer.h"

enum { DECAY, EVERY, STAIRCASE, WARMUP };
static const gr_option options[] = {
    [DECAY] = {.name = "decay",
               .help = "what the factor is multiplied by each time `every` has passed",
               .accepts = GR_ACCEPT(GR_NUMBER),
               .minimum = 0,
               .maximum = 1e6,
               .minimum_excluded = true,
               .default_json = "0.01"},
    [EVERY] = {.name = "every",
               .help = "how long that takes, as a share of the iterations; 1: decay is the factor "
                       "at the end",
               .accepts = GR_ACCEPT(GR_NUMBER),
               .minimum = 0,
               .maximum = 1,
               .minimum_excluded = true,
               .default_json = "1"},
    [STAIRCASE] = {.name = "staircase",
                   .help = "in steps instead of smoothly",
                   .accepts = GR_ACCEPT(GR_BOOLEAN),
                   .default_json = "false"},
    [WARMUP] = GR_WARMUP_OPTION,
};

static gr_status check(const gr_settings *settings, gr_error *error) {
    /* A factor of 10^300 multiplies nothing any more. */
    const double decay = gr_number(settings, DECAY), every = gr_number(settings, EVERY);
    if (log10(decay) / every > 6)
        return gr_fail_at(error, GR_INVALID, "/decay",
                          "the factor would rise beyond 1e6: lower decay, or raise every");
    if (gr_boolean(settings, STAIRCASE) && every >= 1)
        return gr_fail_at(error, GR_INVALID, "/every",
                          "a staircase whose one step is as long as the run never falls: lower "
                          "every, for example to 0.25");
    return GR_OK;
}

static double factor(const gr_settings *settings, int64_t iteration, int64_t iterations) {
    double passed = (double)iteration / ((double)iterations * gr_number(settings, EVERY));
    if (gr_boolean(settings, STAIRCASE)) passed = floor(passed * (1 + GR_SHARE_ROUNDING));
    return pow(gr_number(settings, DECAY), passed);
}

const gr_schedule_kind gr_schedule_exponential = {
    .kind = {.name = "exponential",
             .help = "falling by the same share in the same time",
             .options = options,
             .option_count = sizeof options / sizeof *options},
    .check = check,
    .factor = factor,
};

/* piecewise {boundaries, factors}: factors[i] from the i-th boundary on, a share of all iterations.
 */
#include "core/optimizer.h"

enum { BOUNDARIES, FACTORS, WARMUP };
static const gr_option options[] = {
    [BOUNDARIES] = {.name = "boundaries",
                    .help = "where the factor changes, as rising shares of the iterations",
                    .accepts = GR_ACCEPT(GR_NUMBERS),
                    .minimum = 0,
                    .maximum = 1,
                    .default_json = "[0.5, 0.75]"},
    [FACTORS] = {.name = "factors",
                 .help = "factors of the learning rate, one more than boundaries",
                 .accepts = GR_ACCEPT(GR_NUMBERS),
                 .minimum = 0,
                 .maximum = 1e6,
                 .default_json = "[1, 0.1, 0.01]"},
    [WARMUP] = GR_WARMUP_OPTION,
};

static gr_status check(const gr_settings *settings, gr_error *error) {
    size_t boundary_count, factor_count;
    const double *boundaries = gr_numbers(settings, BOUNDARIES, &boundary_count);
    gr_numbers(settings, FACTORS, &factor_count);
    if (factor_count != boundary_count + 1)
        return gr_fail_at(error, GR_INVALID, "/factors",
                          "%zu factors for %zu boundaries: there must be one factor more than "
                          "boundaries",
                          factor_count, boundary_count);
    for (size_t i = 1; i < boundary_count; i++)
        if (boundaries[i] <= boundaries[i - 1])
            return gr_fail_at(error, GR_INVALID, "/boundaries", "boundaries must rise");
    return GR_OK;
}

static double factor(const gr_settings *settings, int64_t iteration, int64_t iterations) {
    size_t count;
    const double *boundaries = gr_numbers(settings, BOUNDARIES, &count);
    size_t piece = 0;
    const double reached = (double)iteration * (1 + GR_SHARE_ROUNDING);
    while (piece < count && reached >= boundaries[piece] * (double)iterations) piece++;
    return gr_numbers(settings, FACTORS, &count)[piece];
}

const gr_schedule_kind gr_schedule_piecewise = {
    .kind = {.name = "piecewise",
             .help = "constant pieces",
             .options = options,
             .option_count = sizeof options / sizeof *options},
    .check = check,
    .factor = factor,
};

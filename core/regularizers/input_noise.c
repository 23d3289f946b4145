/* input_noise {sigma}: trains at x + N(0, σ²) instead of x. */
#include "core/regularizer.h"

enum { SIGMA };
static const gr_option options[] = {
    [SIGMA] = {.name = "sigma",
               .help = "standard deviation of the noise, in standardised units",
               .accepts = GR_ACCEPT(GR_NUMBER),
               .minimum = 0,
               .maximum = 1e6,
               .required = true},
};

static void inputs(const gr_probe_block *b, gr_real *x) {
    gr_add_noise(b, gr_number(b->settings, SIGMA), x, x);
}

const gr_regularizer_kind gr_regularizer_input_noise = {
    .kind = {.name = "input_noise",
             .help = "Gaussian noise on the inputs",
             .options = options,
             .option_count = sizeof options / sizeof *options},
    .inputs = inputs,
};

/* leaky_relu {slope}: x above 0, slope·x below; piecewise linear, so it has no curvature. */
#include "core/layers/elementwise.h"

enum { SLOPE };
static const gr_option options[] = {
    [SLOPE] = {.name = "slope",
               .help = "factor of negative values",
               .accepts = GR_ACCEPT(GR_NUMBER),
               .minimum = -1,
               .maximum = 1,
               .default_json = "0.01"},
};

static gr_status configure(gr_node *node, gr_error *error) {
    (void)error;
    node->out = node->in;
    node->state_bytes = node->in_features * (int64_t)sizeof(gr_real);
    return GR_OK;
}

static void forward(const gr_site *site) {
    const gr_real below = (gr_real)gr_number(site->node->settings, SLOPE);
    gr_real *slope = gr_elementwise_slope(site);
    const int64_t count = site->node->in_features * site->samples;
    for (int64_t i = 0; i < count; i++) {
        slope[i] = site->in[i] > 0 ? 1 : below;
        site->out[i] = slope[i] * site->in[i];
    }
}

static bool rises(const gr_settings *settings) {
    return gr_number(settings, SLOPE) >= 0;
}

const gr_layer_kind gr_layer_leaky_relu = {
    .kind = {.name = "leaky_relu",
             .help = "x above 0, slope times x below",
             .options = options,
             .option_count = sizeof options / sizeof *options},
    .configure = configure,
    .forward = forward,
    .backward = gr_elementwise_apply,
    .tangent = gr_elementwise_apply,
    .stretch = gr_stretch_one,
    .rises = rises,
};

/* dropout {rate}: in training each element is 0 with probability rate, else divided by 1 - rate;
 * the identity in evaluation. The mask is a function of (seed, layer, iteration, sample, element),
 * shared by all probes. */
#include <string.h>

#include "core/layer.h"

enum { RATE };
static const gr_option options[] = {
    [RATE] = {.name = "rate",
              .help = "probability that an element is dropped",
              .accepts = GR_ACCEPT(GR_NUMBER),
              .minimum = 0,
              .maximum = 1,
              .maximum_excluded = true,
              .default_json = "0.5"},
};

static gr_status configure(gr_node *node, gr_error *error) {
    (void)error;
    node->out = node->in;
    node->state_bytes = node->in_features * (int64_t)sizeof(gr_real);
    return GR_OK;
}

static void apply(const gr_site *site, int64_t probes, const gr_real *from, gr_real *to) {
    const int64_t features = site->node->in_features;
    if (site->training)
        site->kernels->scale(features, probes, site->samples, site->state, from, to);
    else if (from != to)
        memcpy(to, from, (size_t)(features * probes * site->samples) * sizeof(gr_real));
}

static void forward(const gr_site *site) {
    if (site->training) {
        const double rate = gr_number(site->node->settings, RATE);
        const gr_random random =
            gr_random_source(site->draw.seed, GR_PURPOSE_DROPOUT,
                             site->draw.stream * GR_MAXIMUM_NODES + (uint32_t)site->node->index,
                             site->draw.iteration);
        site->kernels->dropout_mask(&random, site->draw.first_sample, site->samples,
                                    site->node->in_features, (uint32_t)(rate * 0x1p32),
                                    (gr_real)(1 / (1 - rate)), site->state);
    }
    apply(site, 1, site->in, site->out);
}

const gr_layer_kind gr_layer_dropout = {
    .kind = {.name = "dropout",
             .help = "drops elements at random in training",
             .options = options,
             .option_count = sizeof options / sizeof *options},
    .configure = configure,
    .forward = forward,
    .backward = apply,
    .tangent = apply,
    .stretch = gr_stretch_one,
    .in_place = true,
};

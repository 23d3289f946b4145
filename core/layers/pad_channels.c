/* pad_channels {channels}: appends channels of zeros until there are so many (the parameter-free
 * shortcut of He et al. 2016, option A). With features outermost it is a copy and a fill. */
#include <string.h>

#include "core/layer.h"

enum { CHANNELS };
static const gr_option options[] = {
    [CHANNELS] = {.name = "channels",
                  .help = "number of output channels",
                  .accepts = GR_ACCEPT(GR_INTEGER),
                  .minimum = 1,
                  .maximum = 65536,
                  .required = true},
};

static gr_status configure(gr_node *node, gr_error *error) {
    const int64_t channels = gr_integer(node->settings, CHANNELS);
    if (node->in.rank != 3)
        return gr_fail(error, GR_INVALID, "pad_channels takes an image, not a vector");
    if (channels < node->in.size[0])
        return gr_fail_at(error, GR_INVALID, "/channels",
                          "%lld channels are fewer than the %lld that come in", (long long)channels,
                          (long long)node->in.size[0]);
    node->out = node->in;
    node->out.size[0] = channels;
    return GR_OK;
}

static void extend(const gr_site *site, int64_t lanes, const gr_real *in, gr_real *out) {
    const size_t kept = (size_t)(site->node->in_features * lanes);
    const size_t all = (size_t)(site->node->out_features * lanes);
    memcpy(out, in, kept * sizeof *out);
    memset(out + kept, 0, (all - kept) * sizeof *out);
}

static void forward(const gr_site *site) {
    extend(site, site->samples, site->in, site->out);
}

static void tangent(const gr_site *site, int64_t probes, const gr_real *t_in, gr_real *t_out) {
    extend(site, probes * site->samples, t_in, t_out);
}

static void backward(const gr_site *site, int64_t probes, const gr_real *d_out, gr_real *d_in) {
    memcpy(d_in, d_out, (size_t)(site->node->in_features * probes * site->samples) * sizeof *d_in);
}

const gr_layer_kind gr_layer_pad_channels = {
    .kind = {.name = "pad_channels",
             .help = "appends channels of zeros",
             .options = options,
             .option_count = sizeof options / sizeof *options},
    .configure = configure,
    .forward = forward,
    .backward = backward,
    .tangent = tangent,
};

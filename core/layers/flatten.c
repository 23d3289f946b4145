/* flatten: an image becomes a vector. With features outermost nothing moves. */
#include <string.h>

#include "core/layer.h"

static gr_status configure(gr_node *node, gr_error *error) {
    (void)error;
    node->out = (gr_shape){1, {node->in_features}};
    return GR_OK;
}

static void copy(const gr_site *site, int64_t probes, const gr_real *from, gr_real *to) {
    if (from != to)
        memcpy(to, from,
               (size_t)(site->node->in_features * probes * site->samples) * sizeof(gr_real));
}

static void forward(const gr_site *site) {
    copy(site, 1, site->in, site->out);
}

const gr_layer_kind gr_layer_flatten = {
    .kind = {.name = "flatten", .help = "an image becomes a vector, channel by channel"},
    .configure = configure,
    .forward = forward,
    .backward = copy,
    .tangent = copy,
    .stretch = gr_stretch_one,
    .in_place = true,
    .passes_on = true,
};

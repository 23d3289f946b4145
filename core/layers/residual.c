/* residual {body, shortcut}: body(x) + shortcut(x). Only a name for a part of the graph: the
 * network expands it into the nodes of its body, those of its shortcut (none: the identity) and a
 * sum. */
#include "core/layer.h"

static const gr_option options[] = {
    [GR_RESIDUAL_BODY] = {.name = "body",
                          .help = "the layers of the branch",
                          .accepts = GR_ACCEPT(GR_LIST),
                          .family = &gr_layer_family,
                          .required = true},
    [GR_RESIDUAL_SHORTCUT] = {.name = "shortcut",
                              .help = "the layers beside it; empty: the identity",
                              .accepts = GR_ACCEPT(GR_LIST),
                              .family = &gr_layer_family,
                              .default_json = "[]"},
};

static gr_status sum_configure(gr_node *node, gr_error *error) {
    (void)error;
    node->out = node->in;
    return GR_OK;
}

const gr_layer_kind gr_layer_residual = {
    .kind = {.name = "residual",
             .help = "the sum of a branch and a shortcut (He et al. 2016)",
             .options = options,
             .option_count = sizeof options / sizeof *options},
};

/* The sum at a residual's end: a node that no spec names. The passes add its inputs themselves. */
const gr_layer_kind gr_layer_sum = {.kind = {.name = "sum"}, .configure = sum_configure};

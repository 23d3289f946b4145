/* linear {units}: a_out = W a_in + b, W: [units][in]; one matrix product a function. */
#include <math.h>

#include "core/layer.h"

enum { UNITS };
static const gr_option options[] = {
    [UNITS] = {.name = "units",
               .help = "number of outputs",
               .accepts = GR_ACCEPT(GR_INTEGER),
               .minimum = 1,
               .maximum = 65536,
               .required = true},
};

enum { WEIGHT, BIAS };

static gr_status configure(gr_node *node, gr_error *error) {
    if (node->in.rank != 1)
        return gr_fail(error, GR_INVALID, "linear takes a vector; put a flatten layer before it");
    const int64_t units = gr_integer(node->settings, UNITS), in = node->in_features;
    node->out = (gr_shape){1, {units}};
    node->parameter_count = 2;
    node->parameters[WEIGHT] =
        (gr_parameter){.name = "weight",
                       .shape = {2, {units, in}},
                       .initial_deviation = sqrt(2.0 / (double)(units + in))};
    node->parameters[BIAS] = (gr_parameter){.name = "bias", .shape = {1, {units}}};
    node->operations = (double)units * (double)in;
    return GR_OK;
}

static void forward(const gr_site *site) {
    const gr_node *node = site->node;
    site->kernels->multiply(node->out_features, node->in_features, site->samples,
                            gr_site_parameter(site, WEIGHT), gr_site_parameter(site, BIAS),
                            site->in_turned, site->in, site->out);
}

static void backward(const gr_site *site, int64_t probes, const gr_real *d_out, gr_real *d_in) {
    const gr_node *node = site->node;
    site->kernels->multiply_transposed(node->out_features, node->in_features,
                                       probes * site->samples, gr_site_parameter(site, WEIGHT),
                                       d_out, site->turned, d_in);
}

static void accumulate(const gr_site *site, int64_t probes, const gr_real *d_out, const gr_real *in,
                       bool tangent, gr_real *gradients) {
    const gr_node *node = site->node;
    const int64_t lanes = probes * site->samples;
    site->kernels->multiply_accumulate(node->out_features, node->in_features, lanes, d_out,
                                       tangent ? site->turned : site->in_turned, in,
                                       gradients + node->parameters[WEIGHT].offset);
    if (!tangent)
        site->kernels->row_sums(node->out_features, lanes, d_out,
                                gradients + node->parameters[BIAS].offset);
}

static void tangent(const gr_site *site, int64_t probes, const gr_real *t_in, gr_real *t_out) {
    const gr_node *node = site->node;
    site->kernels->multiply_kept(node->out_features, node->in_features, probes, site->samples,
                                 gr_site_parameter(site, WEIGHT), site->kept, site->turned, t_in,
                                 t_out);
}

static void tangent_and_accumulate(const gr_site *site, int64_t probes, const gr_real *d_out,
                                   const gr_real *t_in, gr_real *bend, bool add, gr_real *t_out,
                                   gr_real *gradients) {
    (void)bend, (void)add; /* linear */
    const gr_node *node = site->node;
    if (t_out)
        site->kernels->multiply_kept_and_accumulate(node->out_features, node->in_features, probes,
                                                    site->samples, gr_site_parameter(site, WEIGHT),
                                                    site->kept, d_out, site->turned, t_in, t_out,
                                                    gradients + node->parameters[WEIGHT].offset);
    else
        accumulate(site, probes, d_out, t_in, true, gradients);
}

const gr_layer_kind gr_layer_linear = {
    .kind = {.name = "linear",
             .help = "a fully connected layer with bias",
             .options = options,
             .option_count = sizeof options / sizeof *options},
    .configure = configure,
    .forward = forward,
    .backward = backward,
    .accumulate = accumulate,
    .tangent = tangent,
    .tangent_and_accumulate = tangent_and_accumulate,
    .knows_turned = true,
};

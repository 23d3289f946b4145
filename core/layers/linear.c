/* linear {units}: a_out = W a_in + b, W: [units][in]; one matrix product a function. */
#include <math.h>

#include "core/blas.h"
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
    const int64_t units = site->node->out_features, in = site->node->in_features;
    const int64_t lanes = site->samples;
    const gr_real *bias = gr_site_parameter(site, BIAS);
    for (int64_t u = 0; u < units; u++)
        for (int64_t s = 0; s < lanes; s++) site->out[u * lanes + s] = bias[u];
    gr_gemm(false, false, units, lanes, in, 1, gr_site_parameter(site, WEIGHT), in, site->in, lanes,
            1, site->out, lanes);
}

static void backward(const gr_site *site, int64_t probes, const gr_real *d_out, gr_real *d_in) {
    const int64_t units = site->node->out_features, in = site->node->in_features;
    const int64_t lanes = probes * site->samples;
    gr_gemm(true, false, in, lanes, units, 1, gr_site_parameter(site, WEIGHT), in, d_out, lanes, 0,
            d_in, lanes);
}

static void accumulate(const gr_site *site, int64_t probes, const gr_real *d_out, const gr_real *in,
                       bool tangent, gr_real *gradients) {
    const gr_node *node = site->node;
    const int64_t lanes = probes * site->samples;
    gr_gemm(false, true, node->out_features, node->in_features, lanes, 1, d_out, lanes, in, lanes,
            1, gradients + node->parameters[WEIGHT].offset, node->in_features);
    if (!tangent)
        site->kernels->row_sums(node->out_features, lanes, d_out,
                                gradients + node->parameters[BIAS].offset);
}

static void tangent(const gr_site *site, int64_t probes, const gr_real *t_in, gr_real *t_out) {
    const int64_t units = site->node->out_features, in = site->node->in_features;
    const int64_t lanes = probes * site->samples;
    gr_gemm(false, false, units, lanes, in, 1, gr_site_parameter(site, WEIGHT), in, t_in, lanes, 0,
            t_out, lanes);
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
};

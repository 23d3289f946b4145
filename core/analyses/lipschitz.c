/* lipschitz {power_iterations}: the layer-wise bound of the network's Lipschitz constant, Π σ₁
 * (Szegedy et al. 2013); where paths meet in a sum, the sum of theirs. σ₁ of an affine layer is its
 * operator's own, convolutions with their stride and padding included: power iteration on JᵀJ by
 * the layer's tangent and adjoint, which comes from below, up to the tolerance. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/analysis.h"

enum { POWER_ITERATIONS };
static const gr_option options[] = {
    [POWER_ITERATIONS] = {.name = "power_iterations",
                          .help = "steps of the power iteration for each layer, at most; it ends "
                                  "when a step changes the singular value by less than 1e-7 of it",
                          .accepts = GR_ACCEPT(GR_INTEGER),
                          .minimum = 1,
                          .maximum = 100000,
                          .default_json = "1000"},
};
static const double tolerance = 1e-7;

static gr_status check(const gr_settings *settings, const gr_fit *fit, const gr_split *split,
                       gr_error *error) {
    (void)settings, (void)split;
    for (int i = 0; i < fit->network->node_count; i++) {
        const gr_node *node = &fit->network->nodes[i];
        const int option = node->settings ? gr_kind_option(node->settings->kind, "evaluate") : -1;
        if (option >= 0 && gr_choice(node->settings, option) != 0)
            return gr_fail(error, GR_INVALID,
                           "layer %s is no function of one sample: let it evaluate by the running "
                           "statistics, or leave lipschitz out",
                           node->name);
    }
    return GR_OK;
}

static double normalize(gr_real *v, int64_t count) {
    double sum = 0;
    for (int64_t e = 0; e < count; e++) sum += (double)v[e] * (double)v[e];
    const double length = sqrt(sum);
    for (int64_t e = 0; length > 0 && e < count; e++) v[e] = (gr_real)((double)v[e] / length);
    return length;
}

/* σ₁ of node i's operator. v: [in_features] */
static gr_status largest_singular_value(gr_trained *t, int i, int64_t steps, double *sigma,
                                        gr_error *error) {
    const gr_node *node = &t->network->nodes[i];
    const gr_pass pass = {.workspace = t->workspace,
                          .parameters = t->parameters,
                          .buffers = t->buffers,
                          .samples = 1};
    gr_lanes lanes = *t->lanes; /* pulled: a value's tangent and adjoint are the same memory */
    lanes.probes = 1;
    gr_real *v = lanes.t[node->inputs[0]], *u = lanes.t[i + 1];
    const gr_random random =
        gr_random_source(t->plan->seed, GR_PURPOSE_ANALYSIS, GR_ANALYSIS_POWER, (uint32_t)i);
    for (int64_t e = 0; e < node->in_features; e++)
        v[e] = (gr_real)gr_random_normal(&random, 0, (uint32_t)e);
    normalize(v, node->in_features);
    *sigma = 0;
    for (int64_t step = 0; step < steps; step++) {
        const double before = *sigma;
        GR_TRY(gr_trained_go_on(t, error));
        gr_pass_tangent(&pass, &lanes, (gr_range){i, i + 1});
        *sigma = normalize(u, node->out_features);
        if (*sigma == 0 || fabs(*sigma - before) <= tolerance * *sigma) break;
        gr_pass_probe_backward(&pass, &lanes, (gr_range){i, i + 1});
        normalize(v, node->in_features);
    }
    return GR_OK;
}

static gr_status run(const gr_settings *settings, gr_trained *t, gr_error *error) {
    const gr_network *network = t->network;
    double *bound = calloc((size_t)network->node_count + 1, sizeof *bound); /* by value */
    if (!bound) return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for a Lipschitz bound");
    gr_status status = GR_OK;
    gr_trained_fill(t, GR_PART_TRAINING, 0, 1); /* some layers' state comes from a forward pass */
    gr_trained_forward(t);
    bound[0] = 1;
    for (int i = 0; i < network->node_count; i++) {
        const gr_node *node = &network->nodes[i];
        double stretch = 1, before = bound[node->inputs[0]];
        char path[GR_NODE_NAME_SIZE + 32];
        if (gr_node_is_sum(node)) {
            before += bound[node->inputs[1]];
        } else if (node->kind->stretch) {
            stretch = node->kind->stretch(node);
        } else {
            GR_TRY_OR(done, largest_singular_value(t, i, gr_integer(settings, POWER_ITERATIONS),
                                                   &stretch, error));
            snprintf(path, sizeof path, "lipschitz/layers/%s", node->name);
            GR_TRY_OR(done, gr_put_number(t, path, stretch, error));
        }
        bound[i + 1] = stretch * before;
    }
    GR_TRY_OR(done, gr_put_number(t, "lipschitz/bound", bound[network->node_count], error));
    GR_TRY_OR(done,
              gr_put_number(t, "lipschitz/log10_bound", log10(bound[network->node_count]), error));
    status = gr_put_metric(t, "lipschitz.bound", bound[network->node_count], error);
done:
    free(bound);
    return status;
}

const gr_analysis_kind gr_analysis_lipschitz = {
    .kind = {.name = "lipschitz",
             .help = "the layer-wise bound of the Lipschitz constant of the logits (Szegedy et al. "
                     "2013)",
             .options = options,
             .option_count = sizeof options / sizeof *options},
    .check = check,
    .run = run,
};

/* contractive: Σ_l weight·mean‖∂h_l/∂h_{l-1}‖_F (Gu & Rigazio 2015), each layer's norm estimated by
 * one random projection v ~ N(0, I): √(1e-16 + ‖Jᵀv‖²), whose square has the expectation ‖J‖²_F. A
 * layer is one with weights and what follows it. */
#include <math.h>
#include <string.h>

#include "core/regularizer.h"

static const gr_option options[] = {GR_WEIGHT_OPTIONS("factor of each layer's norm")};

static gr_status check(const gr_settings *settings, const gr_fit *fit, gr_error *error) {
    (void)settings;
    for (int v = 0; v <= fit->network->node_count; v++)
        if (fit->network->consumers[v] > 1)
            return gr_fail_at(error, GR_INVALID, "/type",
                              "contractive works on chains of layers, and this network has "
                              "residuals: use frobreg or spectreg");
    return GR_OK;
}

static void layer_cotangent(const gr_probe_block *b, gr_real *c) {
    const gr_random random = gr_random_source(b->draw.seed, GR_PURPOSE_PROBE,
                                              b->index + 256 * b->draw.stream, b->draw.iteration);
    b->kernels->add_normals(&random, b->draw.first_sample, b->loss->samples, b->features, 1, NULL,
                            c);
}

static double layer_input(const gr_probe_block *b, gr_real *g) {
    const int64_t n = b->loss->samples;
    gr_real *factor = b->scratch;
    double norm[GR_NORMS], total = 0;
    for (int64_t s = 0; s < n; s++) {
        if (s % GR_NORMS == 0) gr_squared_norms(b, g, s, norm);
        const double length = sqrt(1e-16 + norm[s % GR_NORMS]);
        total += length;
        factor[s] = (gr_real)(b->weight / ((double)b->batch_size * length));
    }
    gr_scale_samples(b, factor, g);
    return total;
}

const gr_regularizer_kind gr_regularizer_contractive = {
    .kind = {.name = "contractive",
             .help = "norms of each layer's own Jacobian (Gu & Rigazio 2015)",
             .options = options,
             .option_count = sizeof options / sizeof *options},
    .check = check,
    .layer_cotangent = layer_cotangent,
    .layer_input = layer_input,
};

/* sobolev: weight·mean‖J - J°‖² (Czarnecki et al. 2017), J° the derivatives of the truth where the
 * data knows them: the penalty of the logits' Jacobian, with the known one subtracted before u. */
#include "core/regularizer.h"

static const gr_option options[] = {
    GR_WEIGHT_OPTIONS("factor of the mean squared error of the derivatives")};

static gr_status check(const gr_settings *settings, const gr_fit *fit, gr_error *error) {
    (void)settings;
    if (!fit->derivatives)
        return gr_fail_at(error, GR_INVALID, "/type",
                          "sobolev needs data that knows its derivatives: toy1 or toy2");
    return GR_OK;
}

static int64_t probes(const gr_settings *settings, int64_t outputs) {
    (void)settings;
    return outputs;
}

static bool separable(const gr_settings *settings) {
    (void)settings;
    return true;
}

static double input(const gr_probe_block *b, gr_real *g) {
    const gr_real factor = (gr_real)(2 * b->weight / (double)b->batch_size);
    const int64_t n = b->loss->samples;
    double total = 0;
    for (int64_t f = 0; f < b->features; f++)
        for (int64_t k = 0; k < b->probes; k++) {
            gr_real *row = g + f * b->stride + k * n;
            const gr_real *truth = b->derivatives + ((b->first_probe + k) * b->features + f) * n;
            for (int64_t s = 0; s < n; s++) {
                const gr_real difference = row[s] - truth[s];
                total += (double)difference * (double)difference;
                row[s] = factor * difference;
            }
        }
    return total;
}

const gr_regularizer_kind gr_regularizer_sobolev = {
    .kind = {.name = "sobolev",
             .help = "error of the derivatives, where the data knows them (Czarnecki et al. 2017)",
             .options = options,
             .option_count = sizeof options / sizeof *options},
    .check = check,
    .probes = probes,
    .cotangent = gr_unit_cotangents,
    .input = input,
    .separable = separable,
};

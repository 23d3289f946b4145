/* adversarial {epsilon, norm, steps}: weight·ℓ at adversarial points, held constant: x + ε·sign(g)
 * (l1: Szegedy et al. 2013, Goodfellow et al. 2015) or x + ε·g (l2: Ororbia et al. 2017), g the
 * gradient of the loss. Several steps are projected gradient ascent (Madry et al. 2018) within |x'
 * - x| ≤ ε, by coordinates or in length. */
#include <math.h>
#include <string.h>

#include "core/regularizer.h"

enum { EPSILON = GR_REGULARIZER_OPTIONS, NORM, STEPS, STEP_SIZE };
enum { NORM_L1, NORM_L2 };
static const char *const norm_choices[] = {"l1", "l2", NULL};
static const gr_option options[] = {
    GR_WEIGHT_OPTIONS("factor of the loss at the adversarial points"),
    [EPSILON] = {.name = "epsilon",
                 .help = "size of the perturbation, in standardised units",
                 .accepts = GR_ACCEPT(GR_NUMBER),
                 .minimum = 0,
                 .maximum = 1e6,
                 .required = true},
    [NORM] = {.name = "norm",
              .help = "l1: along the gradient's sign; l2: along the gradient itself",
              .accepts = GR_ACCEPT(GR_CHOICE),
              .choices = norm_choices,
              .default_json = "\"l1\""},
    [STEPS] = {.name = "steps",
               .help = "1: one step of epsilon; more: projected gradient ascent",
               .accepts = GR_ACCEPT(GR_INTEGER),
               .minimum = 1,
               .maximum = 1000,
               .default_json = "1"},
    [STEP_SIZE] = {.name = "step_size",
                   .help = "length of each of several steps; null: 2.5 epsilon / steps",
                   .accepts = GR_ACCEPT(GR_NUMBER) | GR_ACCEPT(GR_NULL),
                   .minimum = 0,
                   .maximum = 1e6,
                   .default_json = "null"},
};

static int64_t points_probes(const gr_settings *settings, int64_t outputs) {
    (void)settings, (void)outputs;
    return 1;
}

/* One step along the gradient's sign, then back to within ε of each coordinate. */
static void ascend_by_sign(const gr_points_block *b, double step, const gr_real *g, gr_real *x) {
    const double epsilon = gr_number(b->probe.settings, EPSILON);
    const int64_t count = b->probe.features * b->probe.loss->samples;
    for (int64_t i = 0; i < count; i++) {
        const double slope = (double)g[i], start = (double)b->probe.x[i];
        double moved = (double)x[i] + step * ((slope > 0) - (slope < 0)) - start;
        moved = moved > epsilon ? epsilon : moved;
        moved = moved < -epsilon ? -epsilon : moved;
        x[i] = (gr_real)(start + moved);
    }
}

/* One step of a length along each sample's gradient, then back into the ball of ε around the
 * sample. A few samples at a time, so that neighbours in memory are used together. */
static void ascend_by_length(const gr_points_block *b, double step, const gr_real *g, gr_real *x) {
    enum { TOGETHER = 64 };
    const double epsilon = gr_number(b->probe.settings, EPSILON);
    const int64_t n = b->probe.loss->samples, features = b->probe.features;
    for (int64_t first = 0; first < n; first += TOGETHER) {
        const int64_t end = first + TOGETHER < n ? first + TOGETHER : n;
        double length[TOGETHER] = {0}, distance[TOGETHER] = {0};
        for (int64_t f = 0; f < features; f++)
            for (int64_t s = first; s < end; s++)
                length[s - first] += (double)g[f * n + s] * (double)g[f * n + s];
        for (int64_t s = first; s < end; s++) length[s - first] = sqrt(length[s - first]);
        for (int64_t f = 0; f < features; f++)
            for (int64_t s = first; s < end; s++) {
                const int64_t i = f * n + s;
                const double start = (double)b->probe.x[i], norm = length[s - first];
                const double moved =
                    (double)x[i] + step * (norm > 0 ? (double)g[i] / norm : 0) - start;
                distance[s - first] += moved * moved;
                x[i] = (gr_real)(start + moved);
            }
        for (int64_t s = first; s < end; s++) {
            const double reached = sqrt(distance[s - first]);
            for (int64_t f = 0; reached > epsilon && f < features; f++) {
                const double start = (double)b->probe.x[f * n + s];
                x[f * n + s] =
                    (gr_real)(start + ((double)x[f * n + s] - start) * epsilon / reached);
            }
        }
    }
}

static double points(gr_points_block *b) {
    const gr_settings *settings = b->probe.settings;
    const int64_t n = b->probe.loss->samples, count = b->probe.features * n;
    const int64_t steps = gr_integer(settings, STEPS);
    const double epsilon = gr_number(settings, EPSILON);
    const double size = gr_is_null(settings, STEP_SIZE) ? 2.5 * epsilon / (double)steps
                                                        : gr_number(settings, STEP_SIZE);
    gr_real *x = b->pass.workspace->a[0];
    memcpy(x, b->probe.x, (size_t)count * sizeof *x);
    for (int64_t step = 0; step < steps; step++) {
        gr_points_evaluate(b);
        const gr_real *g = gr_points_input_gradient(b);
        if (gr_choice(settings, NORM) == NORM_L1)
            ascend_by_sign(b, steps == 1 ? epsilon : size, g, x);
        else if (steps > 1)
            ascend_by_length(b, size, g, x);
        else
            for (int64_t i = 0; i < count; i++) x[i] += (gr_real)epsilon * g[i];
    }
    gr_points_evaluate(b);
    double total = 0;
    for (int64_t s = 0; s < n; s++) {
        total += (double)b->sample_losses[s];
        b->probe.scratch[s] = (gr_real)(b->probe.weight / (double)b->probe.batch_size);
    }
    gr_points_loss_gradient(b, b->probe.scratch);
    return total;
}

/* Forward and adjoint for each step, and an ordinary iteration at the last point. */
static double points_cost(const gr_settings *settings, const gr_network *network) {
    (void)network;
    return 2 * (double)gr_integer(settings, STEPS) + 3;
}

const gr_regularizer_kind gr_regularizer_adversarial = {
    .kind = {.name = "adversarial",
             .help = "the loss at adversarial points (Szegedy et al. 2013; Ororbia et al. 2017)",
             .options = options,
             .option_count = sizeof options / sizeof *options},
    .points_probes = points_probes,
    .points = points,
    .points_cost = points_cost,
};

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

/* x' += step·direction for one sample, then back into the ball of ε around x. */
static void ascend(const gr_points_block *b, int64_t s, double step, const gr_real *g, gr_real *x) {
    const gr_settings *settings = b->probe.settings;
    const double epsilon = gr_number(settings, EPSILON);
    const int64_t n = b->probe.loss->samples, features = b->probe.features;
    const bool sign = gr_choice(settings, NORM) == NORM_L1;
    double length = 0, distance = 0;
    for (int64_t f = 0; f < features; f++) length += (double)g[f * n + s] * (double)g[f * n + s];
    length = sqrt(length);
    for (int64_t f = 0; f < features; f++) {
        const double slope = (double)g[f * n + s], start = (double)b->probe.x[f * n + s];
        const double move = sign ? (slope > 0) - (slope < 0) : length > 0 ? slope / length : 0;
        double moved = (double)x[f * n + s] + step * move - start;
        if (sign) moved = moved > epsilon ? epsilon : moved < -epsilon ? -epsilon : moved;
        distance += moved * moved;
        x[f * n + s] = (gr_real)(start + moved);
    }
    distance = sqrt(distance);
    for (int64_t f = 0; !sign && distance > epsilon && f < features; f++) {
        const double start = (double)b->probe.x[f * n + s];
        x[f * n + s] = (gr_real)(start + ((double)x[f * n + s] - start) * epsilon / distance);
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
        if (steps == 1 && gr_choice(settings, NORM) == NORM_L2)
            for (int64_t i = 0; i < count; i++) x[i] += (gr_real)epsilon * g[i];
        else
            for (int64_t s = 0; s < n; s++) ascend(b, s, steps == 1 ? epsilon : size, g, x);
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

const gr_regularizer_kind gr_regularizer_adversarial = {
    .kind = {.name = "adversarial",
             .help = "the loss at adversarial points (Szegedy et al. 2013; Ororbia et al. 2017)",
             .options = options,
             .option_count = sizeof options / sizeof *options},
    .points_probes = points_probes,
    .points = points,
};

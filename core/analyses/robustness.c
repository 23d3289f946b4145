/* robustness {attack, epsilons, units, samples, steps, step_size, random_start, clip}: the accuracy
 * on test samples that an attacker moved by at most ε in each coordinate, up the gradient of the
 * loss: FGSM (Goodfellow et al. 2015), one step along its sign; PGD (Madry et al. 2018), several
 * smaller ones, each followed by a projection back. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/analysis.h"

enum { ATTACK, EPSILONS, UNITS, SAMPLES, STEPS, STEP_SIZE, RANDOM_START, CLIP };
enum { ATTACK_FGSM, ATTACK_PGD, ATTACK_BOTH };
static const char *const attacks[] = {"fgsm", "pgd", "both", NULL};
enum { UNITS_STANDARDIZED, UNITS_ORIGINAL };
static const char *const units[] = {"standardized", "original", NULL};
static const gr_option options[] = {
    [ATTACK] = {.name = "attack",
                .help = "fgsm: one step; pgd: projected gradient ascent",
                .accepts = GR_ACCEPT(GR_CHOICE),
                .choices = attacks,
                .default_json = "\"both\""},
    [EPSILONS] = {.name = "epsilons",
                  .help = "the largest changes of a coordinate",
                  .accepts = GR_ACCEPT(GR_NUMBERS),
                  .minimum = 0,
                  .maximum = 1e6,
                  .default_json = "[0.05, 0.1, 0.2, 0.3]"},
    [UNITS] = {.name = "units",
               .help = "of the epsilons: standardized inputs, or the original ones (pixels from 0 "
                       "to 1)",
               .accepts = GR_ACCEPT(GR_CHOICE),
               .choices = units,
               .default_json = "\"standardized\""},
    [SAMPLES] = GR_SAMPLES_OPTION("test samples that are attacked, at most; null: all"),
    [STEPS] = {.name = "steps",
               .help = "steps of pgd",
               .accepts = GR_ACCEPT(GR_INTEGER),
               .minimum = 1,
               .maximum = 1000,
               .default_json = "10"},
    [STEP_SIZE] = {.name = "step_size",
                   .help = "length of a step of pgd, as a share of epsilon; null: 2.5 / steps",
                   .accepts = GR_ACCEPT(GR_NUMBER) | GR_ACCEPT(GR_NULL),
                   .minimum = 0,
                   .maximum = 1e6,
                   .default_json = "null"},
    [RANDOM_START] = {.name = "random_start",
                      .help = "pgd begins at a uniform point of the cube",
                      .accepts = GR_ACCEPT(GR_BOOLEAN),
                      .default_json = "true"},
    [CLIP] = {.name = "clip",
              .help = "keep images within what pixels can be (other inputs have no such range)",
              .accepts = GR_ACCEPT(GR_BOOLEAN),
              .default_json = "true"},
};
enum { ALGORITHMS = 2, MAXIMUM_EPSILONS = 32 }; /* ATTACK_FGSM, ATTACK_PGD */

static gr_status check(const gr_settings *settings, const gr_fit *fit, const gr_split *split,
                       gr_error *error) {
    (void)split;
    size_t count;
    const double *epsilons = gr_numbers(settings, EPSILONS, &count);
    if (!fit->labels)
        return gr_fail(error, GR_INVALID,
                       "a regression has no accuracy that an attack could lower: leave robustness "
                       "out");
    if (count < 1 || count > MAXIMUM_EPSILONS)
        return gr_fail_at(error, GR_INVALID, "/epsilons", "%zu numbers; 1 to %d are needed", count,
                          MAXIMUM_EPSILONS);
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < i; j++)
            if (epsilons[i] == epsilons[j])
                return gr_fail_at(error, GR_INVALID, "/epsilons",
                                  "%.6g is there twice: leave one out", epsilons[i]);
    return GR_OK;
}

/* An attack on one block. */
typedef struct attack {
    const gr_settings *settings;
    gr_real *start;     /* [features][capacity]: the samples themselves */
    gr_real *gradient;  /* [features][capacity]: of the loss there */
    double *unit;       /* [features]: an ε of 1 */
    double *low, *high; /* [features]: the range of pixels, or infinite */
} attack;

/* x[f][s] = `moved`, at most ε from the start and in the range. */
static void place(gr_trained *t, const attack *a, int64_t f, int64_t s, double epsilon,
                  double moved) {
    const int64_t e = f * t->samples + s;
    const double from = (double)a->start[e], most = epsilon * a->unit[f];
    moved = fmin(fmax(moved, from - most), from + most);
    t->x[e] = (gr_real)fmin(fmax(moved, a->low[f]), a->high[f]);
}

/* x moved by step·ε along the sign of g. */
static void ascend(gr_trained *t, const attack *a, double epsilon, double step, const gr_real *g) {
    for (int64_t f = 0; f < t->features; f++)
        for (int64_t s = 0; s < t->samples; s++) {
            const int64_t e = f * t->samples + s;
            const double move = step * epsilon * a->unit[f];
            place(t, a, f, s, epsilon, (double)t->x[e] + (g[e] > 0 ? move : g[e] < 0 ? -move : 0));
        }
}

static void random_start(gr_trained *t, const attack *a, double epsilon, int64_t first,
                         uint32_t index) {
    const gr_random random =
        gr_random_source(t->plan->seed, GR_PURPOSE_ANALYSIS, GR_ANALYSIS_START, index);
    for (int64_t f = 0; f < t->features; f++)
        for (int64_t s = 0; s < t->samples; s++) {
            const double drawn = gr_random_uniform(&random, (uint32_t)(first + s), (uint32_t)f);
            place(t, a, f, s, epsilon,
                  (double)a->start[f * t->samples + s] + (2 * drawn - 1) * epsilon * a->unit[f]);
        }
}

static const gr_real *gradient_here(gr_trained *t) {
    gr_trained_forward(t);
    gr_trained_loss(t);
    return gr_trained_loss_gradient(t);
}

/* Moves x, from the start to where the attack ends. */
static gr_status strike(gr_trained *t, const attack *a, int algorithm, double epsilon,
                        int64_t first, uint32_t index, gr_error *error) {
    const gr_settings *settings = a->settings;
    memcpy(t->x, a->start, (size_t)(t->features * t->samples) * sizeof *t->x);
    if (algorithm == ATTACK_FGSM) {
        ascend(t, a, epsilon, 1, a->gradient);
        return GR_OK;
    }
    const int64_t steps = gr_integer(settings, STEPS);
    const double step =
        gr_is_null(settings, STEP_SIZE) ? 2.5 / (double)steps : gr_number(settings, STEP_SIZE);
    if (gr_boolean(settings, RANDOM_START)) random_start(t, a, epsilon, first, index);
    for (int64_t i = 0; i < steps; i++) {
        GR_TRY(gr_trained_go_on(t, error));
        ascend(t, a, epsilon, step, gradient_here(t));
    }
    return GR_OK;
}

/* Sums over the samples so far, by algorithm and ε. */
typedef struct outcome {
    int64_t right[ALGORITHMS][MAXIMUM_EPSILONS], clean_right;
    double loss[ALGORITHMS][MAXIMUM_EPSILONS], clean_loss;
} outcome;

static bool is_wanted(const gr_settings *settings, int algorithm) {
    const int wanted = gr_choice(settings, ATTACK);
    return wanted == ATTACK_BOTH || wanted == algorithm;
}

static int64_t right_ones(const gr_trained *t) {
    int64_t right = 0;
    for (int64_t s = 0; s < t->samples; s++) right += t->classes[s] == t->labels[s];
    return right;
}

static gr_status attack_block(gr_trained *t, attack *a, int64_t first, int64_t count, outcome *sums,
                              gr_error *error) {
    size_t epsilon_count;
    const double *epsilons = gr_numbers(a->settings, EPSILONS, &epsilon_count);
    gr_trained_fill(t, GR_PART_TEST, first, count);
    const size_t bytes = (size_t)(t->features * t->samples) * sizeof(gr_real);
    memcpy(a->start, t->x, bytes);
    memcpy(a->gradient, gradient_here(t), bytes);
    sums->clean_right += right_ones(t);
    for (int64_t s = 0; s < t->samples; s++) sums->clean_loss += (double)t->losses[s];
    for (int algorithm = 0; algorithm < ALGORITHMS; algorithm++)
        for (size_t i = 0; is_wanted(a->settings, algorithm) && i < epsilon_count; i++) {
            GR_TRY(gr_trained_go_on(t, error));
            GR_TRY(strike(t, a, algorithm, epsilons[i], first, (uint32_t)i, error));
            gr_trained_forward(t);
            sums->loss[algorithm][i] += gr_trained_loss(t);
            sums->right[algorithm][i] += right_ones(t);
        }
    return GR_OK;
}

static gr_status put(gr_trained *t, const gr_settings *settings, int64_t count, const outcome *sums,
                     gr_error *error) {
    size_t epsilon_count;
    double *list;
    const double *epsilons = gr_numbers(settings, EPSILONS, &epsilon_count), n = (double)count;
    GR_TRY(gr_put_count(t, "robustness/n", count, error));
    GR_TRY(gr_put_number(t, "robustness/clean_accuracy", (double)sums->clean_right / n, error));
    GR_TRY(gr_put_number(t, "robustness/clean_loss", sums->clean_loss / n, error));
    GR_TRY(gr_put_list(t, "robustness/epsilons", (int64_t)epsilon_count, &list, error));
    memcpy(list, epsilons, epsilon_count * sizeof *list);
    for (int algorithm = 0; algorithm < ALGORITHMS; algorithm++) {
        if (!is_wanted(settings, algorithm)) continue;
        char path[64];
        double *accuracy, *loss;
        snprintf(path, sizeof path, "robustness/%s/accuracy", attacks[algorithm]);
        GR_TRY(gr_put_list(t, path, (int64_t)epsilon_count, &accuracy, error));
        snprintf(path, sizeof path, "robustness/%s/loss", attacks[algorithm]);
        GR_TRY(gr_put_list(t, path, (int64_t)epsilon_count, &loss, error));
        for (size_t i = 0; i < epsilon_count; i++) {
            accuracy[i] = (double)sums->right[algorithm][i] / n;
            loss[i] = sums->loss[algorithm][i] / n;
            snprintf(path, sizeof path, "robustness.%s.%.10g", attacks[algorithm], epsilons[i]);
            GR_TRY(gr_put_metric(t, path, accuracy[i], error));
        }
    }
    return GR_OK;
}

static gr_status run(const gr_settings *settings, gr_trained *t, gr_error *error) {
    const int64_t count = gr_trained_count(t, GR_PART_TEST, gr_samples_option(settings, SAMPLES));
    const size_t reals = (size_t)(t->features * t->capacity);
    outcome sums = {0};
    attack a = {.settings = settings,
                .start = calloc(2 * reals, sizeof(gr_real)),
                .unit = calloc(3 * (size_t)t->features, sizeof(double))};
    gr_status status =
        a.start && a.unit ? GR_OK : gr_fail(error, GR_OUT_OF_MEMORY, "no memory for an attack");
    if (status == GR_OK) {
        a.gradient = a.start + reals;
        a.low = a.unit + t->features;
        a.high = a.low + t->features;
    }
    for (int64_t f = 0; status == GR_OK && f < t->features; f++) {
        const bool original = gr_choice(settings, UNITS) == UNITS_ORIGINAL;
        a.unit[f] = original ? 1 / gr_trained_deviation(t, f) : 1;
        if (!gr_boolean(settings, CLIP) || !gr_trained_byte_range(t, f, &a.low[f], &a.high[f]))
            a.low[f] = -INFINITY, a.high[f] = INFINITY;
    }
    for (int64_t first = 0; status == GR_OK && first < count; first += t->samples)
        status = attack_block(t, &a, first, count, &sums, error);
    if (status == GR_OK) status = put(t, settings, count, &sums, error);
    free(a.start);
    free(a.unit);
    return status;
}

const gr_analysis_kind gr_analysis_robustness = {
    .kind = {.name = "robustness",
             .help =
                 "the accuracy under attack, in the maximum norm (Goodfellow et al. 2015; Madry "
                 "et al. 2018)",
             .options = options,
             .option_count = sizeof options / sizeof *options},
    .check = check,
    .run = run,
};

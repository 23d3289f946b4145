/* transitions {paths, points}: how often a unit of a piecewise linear network changes its side
 * along the ellipse through three test points (Novak et al. 2018), sampled at `points` angles:
 * Σ_i ‖c(x_i) - c(x_{i+1})‖₁ of the binary codes c of all ReLUs. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/analysis.h"
#include "core/distribution.h"

enum { PATHS, POINTS };
static const gr_option options[] = {
    [PATHS] = {.name = "paths",
               .help = "closed paths, each through three test points drawn at random",
               .accepts = GR_ACCEPT(GR_INTEGER),
               .minimum = 1,
               .maximum = 1e5,
               .default_json = "20"},
    [POINTS] = {.name = "points",
                .help = "points at which each path is sampled, at equal angles",
                .accepts = GR_ACCEPT(GR_INTEGER),
                .minimum = 3,
                .maximum = 1e6,
                .default_json = "500"},
};

static bool has_sides(const gr_node *node) {
    return node->kind == &gr_layer_relu || node->kind == &gr_layer_leaky_relu;
}

static gr_status check(const gr_settings *settings, const gr_fit *fit, const gr_split *split,
                       gr_error *error) {
    (void)settings;
    bool any = false;
    for (int i = 0; i < fit->network->node_count; i++)
        any = any || has_sides(&fit->network->nodes[i]);
    if (!any)
        return gr_fail(error, GR_INVALID,
                       "the network has no relu or leaky_relu layer whose side could change: leave "
                       "transitions out");
    if (gr_split_size(split, GR_PART_TEST) < 3)
        return gr_fail(error, GR_INVALID, "a path needs three test samples, and there are %lld",
                       (long long)gr_split_size(split, GR_PART_TEST));
    return GR_OK;
}

/* A path: x(φ) = center + cosine·cos φ + sine·sin φ, which is at the three points for φ = 0, 2π/3,
 * 4π/3. [features] each. */
typedef struct path {
    double *center, *cosine, *sine;
    uint8_t *first, *last; /* [units]: the codes of the first point, and of the last one seen */
    int64_t units;
} path;

static const double turn = 6.283185307179586476925;

static void draw_path(gr_trained *t, int64_t index, path *p) {
    const gr_random random =
        gr_random_source(t->plan->seed, GR_PURPOSE_ANALYSIS, GR_ANALYSIS_PATHS, 0);
    const int64_t size = gr_split_size(t->split, GR_PART_TEST);
    int64_t at[3]; /* distinct ones: each skips those before it, the smaller one first */
    for (uint32_t i = 0; i < 3; i++)
        at[i] = gr_random_below(&random, (uint32_t)index, i, size - (int64_t)i);
    at[1] += at[1] >= at[0];
    const int64_t smaller = at[0] < at[1] ? at[0] : at[1];
    at[2] += at[2] >= smaller;
    at[2] += at[2] >= at[0] + at[1] - smaller;
    memset(p->center, 0, 3 * (size_t)t->features * sizeof *p->center);
    for (int i = 0; i < 3; i++) {
        const double angle = turn * i / 3;
        gr_split_fill(t->split, GR_PART_TEST, &at[i], 1, false, t->x, t->labels, t->targets);
        for (int64_t f = 0; f < t->features; f++) {
            const double value = (double)t->x[f];
            p->center[f] += value / 3;
            p->cosine[f] += 2 * value * cos(angle) / 3;
            p->sine[f] += 2 * value * sin(angle) / 3;
        }
    }
}

static void fill(gr_trained *t, const path *p, int64_t first, int64_t points) {
    t->samples = points - first < t->capacity ? points - first : t->capacity;
    for (int64_t s = 0; s < t->samples; s++) {
        const double angle = turn * (double)(first + s) / (double)points;
        const double along = cos(angle), across = sin(angle);
        for (int64_t f = 0; f < t->features; f++)
            t->x[f * t->samples + s] =
                (gr_real)(p->center[f] + along * p->cosine[f] + across * p->sine[f]);
    }
}

/* Changes from the last point seen to the block's first, and within the block. */
static int64_t count_changes(const gr_trained *t, path *p, bool begins) {
    int64_t changes = 0, unit = 0;
    for (int i = 0; i < t->network->node_count; i++) {
        const gr_node *node = &t->network->nodes[i];
        const gr_real *out = t->workspace->a[i + 1];
        if (!has_sides(node)) continue;
        for (int64_t f = 0; f < node->out_features; f++, unit++, out += t->samples) {
            if (begins) p->first[unit] = p->last[unit] = out[0] > 0;
            for (int64_t s = 0; s < t->samples; s++) {
                const uint8_t side = out[s] > 0;
                changes += side != p->last[unit];
                p->last[unit] = side;
            }
        }
    }
    return changes;
}

/* The length of the closed polygon through the points. */
static double length_of(const gr_trained *t, const path *p, int64_t points) {
    double length = 0;
    for (int64_t i = 0; i < points; i++) {
        const double here = turn * (double)i / (double)points;
        const double there = turn * (double)(i + 1) / (double)points;
        double squares = 0;
        for (int64_t f = 0; f < t->features; f++) {
            const double step =
                (cos(there) - cos(here)) * p->cosine[f] + (sin(there) - sin(here)) * p->sine[f];
            squares += step * step;
        }
        length += sqrt(squares);
    }
    return length;
}

static gr_status walk(gr_trained *t, int64_t index, int64_t points, path *p, double *count,
                      double *density, gr_error *error) {
    int64_t changes = 0;
    draw_path(t, index, p);
    for (int64_t first = 0; first < points; first += t->samples) {
        GR_TRY(gr_trained_go_on(t, error));
        fill(t, p, first, points);
        gr_trained_forward(t);
        changes += count_changes(t, p, first == 0);
    }
    for (int64_t unit = 0; unit < p->units; unit++) changes += p->first[unit] != p->last[unit];
    const double length = length_of(t, p, points);
    *count = (double)changes;
    *density = length > 0 ? (double)changes / length : 0;
    return GR_OK;
}

static gr_status put(gr_trained *t, const char *name, const char *metric, double *values,
                     int64_t count, gr_error *error) {
    char at[64];
    double *list;
    const double mean = gr_mean(values, count);
    snprintf(at, sizeof at, "transitions/%s/mean", name);
    GR_TRY(gr_put_number(t, at, mean, error));
    snprintf(at, sizeof at, "transitions/%s/sd", name);
    GR_TRY(gr_put_number(t, at, gr_standard_deviation(values, count, mean), error));
    snprintf(at, sizeof at, "transitions/%s/values", name);
    GR_TRY(gr_put_list(t, at, count, &list, error));
    memcpy(list, values, (size_t)count * sizeof *values);
    return metric ? gr_put_metric(t, metric, mean, error) : GR_OK;
}

static gr_status run(const gr_settings *settings, gr_trained *t, gr_error *error) {
    const int64_t paths = gr_integer(settings, PATHS), points = gr_integer(settings, POINTS);
    path p = {0};
    for (int i = 0; i < t->network->node_count; i++)
        if (has_sides(&t->network->nodes[i])) p.units += t->network->nodes[i].out_features;
    double *counts = calloc((size_t)(3 * paths + 3 * t->features), sizeof *counts);
    p.first = calloc(2 * (size_t)p.units, 1);
    gr_status status =
        counts && p.first ? GR_OK : gr_fail(error, GR_OUT_OF_MEMORY, "no memory for transitions");
    if (status == GR_OK) {
        double *densities = counts + paths, *shares = densities + paths;
        p.center = shares + paths;
        p.cosine = p.center + t->features;
        p.sine = p.cosine + t->features;
        p.last = p.first + p.units;
        for (int64_t i = 0; status == GR_OK && i < paths; i++) {
            status = walk(t, i, points, &p, &counts[i], &densities[i], error);
            shares[i] = counts[i] / (double)p.units;
        }
        if (status == GR_OK) status = gr_put_count(t, "transitions/units", p.units, error);
        if (status == GR_OK) status = put(t, "count", "transitions.count", counts, paths, error);
        if (status == GR_OK)
            status = put(t, "per_length", "transitions.per_length", densities, paths, error);
        if (status == GR_OK)
            status = put(t, "per_unit", "transitions.per_unit", shares, paths, error);
    }
    free(counts);
    free(p.first);
    return status;
}

const gr_analysis_kind gr_analysis_transitions = {
    .kind = {.name = "transitions",
             .help = "changes of linear pieces along closed paths through three test points (Novak "
                     "et al. 2018)",
             .options = options,
             .option_count = sizeof options / sizeof *options},
    .check = check,
    .run = run,
};

/* Nadaraya–Watson kernel regression (Györfi et al., A Distribution-Free Theory of Nonparametric
 * Regression, 2002), its bandwidth by leave-one-out cross-validation. */
#include <math.h>
#include <string.h>

#include "core/smoother.h"

/* The weighted mean of all values but that of point `left_out` (-1: none). Distances count from the
 * nearest point's, which changes no quotient and keeps a far point from having no weights at all.
 */
static double weighted_mean(const gr_smoother *of, const double *x, int64_t left_out,
                            double bandwidth) {
    double nearest = INFINITY, sum = 0, values = 0;
    for (int64_t i = 0; i < of->n; i++)
        if (i != left_out)
            nearest = fmin(nearest, gr_smoother_distance(of, x, of->x + i * of->features));
    for (int64_t i = 0; i < of->n; i++) {
        if (i == left_out) continue;
        const double distance = gr_smoother_distance(of, x, of->x + i * of->features) - nearest;
        const double weight = exp(-distance / (2 * bandwidth * bandwidth));
        sum += weight;
        values += weight * of->weights[i];
    }
    return values / sum;
}

static double evaluate(const gr_smoother *of, const double *x) {
    return weighted_mean(of, x, -1, of->parameter);
}

/* The mean squared error at each point of the regression on all others. */
static double left_out_error(const void *context, double bandwidth) {
    const gr_smoother *of = context;
    double sum = 0;
    for (int64_t i = 0; i < of->n; i++) {
        const double error =
            of->weights[i] - weighted_mean(of, of->x + i * of->features, i, bandwidth);
        sum += error * error;
    }
    return sum / (double)of->n;
}

gr_status gr_kernel_regression(const double *x, const double *y, int64_t n, int features,
                               double bandwidth, gr_smoother **result, gr_error *error) {
    gr_smoother *of;
    GR_TRY(gr_smoother_create(x, y, n, features, 2, &of, error));
    of->evaluate = evaluate;
    memcpy(of->weights, y, (size_t)n * sizeof *y);
    double least = INFINITY, greatest = 0;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < i; j++) {
            const double distance =
                gr_smoother_distance(of, of->x + i * features, of->x + j * features);
            if (distance > 0) least = fmin(least, distance);
            greatest = fmax(greatest, distance);
        }
    if (greatest == 0) {
        gr_smoother_free(of);
        return gr_fail(error, GR_INVALID, "all points are at one place: there is no bandwidth");
    }
    of->parameter = bandwidth > 0 ? bandwidth
                                  : gr_smoother_minimize(left_out_error, of, sqrt(least) / 10,
                                                         10 * sqrt(greatest));
    of->score = left_out_error(of, of->parameter);
    *result = of;
    return GR_OK;
}

#include "core/smoother.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

gr_status gr_smoother_create(const double *x, const double *y, int64_t n, int features,
                             int64_t minimum, gr_smoother **result, gr_error *error) {
    *result = NULL;
    if (features < 1 || features > GR_SMOOTHER_MAXIMUM_FEATURES)
        return gr_fail(error, GR_INVALID, "%d features: smoothers know 1 to %d", features,
                       GR_SMOOTHER_MAXIMUM_FEATURES);
    if (n < minimum || n > GR_SMOOTHER_MAXIMUM_POINTS)
        return gr_fail(error, GR_INVALID, "%lld points: this smoother needs %lld to %d",
                       (long long)n, (long long)minimum, GR_SMOOTHER_MAXIMUM_POINTS);
    for (int64_t i = 0; i < n; i++)
        for (int j = 0; j < features; j++)
            if (!isfinite(x[i * features + j]) || !isfinite(y[i]))
                return gr_fail(error, GR_INVALID, "point %lld is not finite", (long long)i);
    gr_smoother *of = calloc(1, sizeof *of);
    if (of) of->x = calloc((size_t)n * (size_t)(features + 1), sizeof *of->x);
    if (!of || !of->x) {
        free(of);
        return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for %lld points", (long long)n);
    }
    of->n = n;
    of->features = features;
    of->weights = of->x + n * features;
    memcpy(of->x, x, (size_t)(n * features) * sizeof *x);
    *result = of;
    return GR_OK;
}

void gr_smoother_free(gr_smoother *of) {
    if (!of) return;
    free(of->x);
    free(of);
}

double gr_smoother_distance(const gr_smoother *of, const double *a, const double *b) {
    double sum = 0;
    for (int j = 0; j < of->features; j++) sum += (a[j] - b[j]) * (a[j] - b[j]);
    return sum;
}

void gr_smoother_evaluate(const gr_smoother *of, const double *x, int64_t count, double *values) {
    for (int64_t i = 0; i < count; i++) values[i] = of->evaluate(of, x + i * of->features);
}

double gr_smoother_parameter(const gr_smoother *of) {
    return of->parameter;
}

double gr_smoother_score(const gr_smoother *of) {
    return of->score;
}

double gr_smoother_minimize(double (*score)(const void *context, double at), const void *context,
                            double low, double high) {
    enum { GRID = 200, REFINEMENTS = 60 };
    const double golden = 0.6180339887498949, step = log(high / low) / (GRID - 1);
    double scores[GRID];
    for (int i = 0; i < GRID; i++) scores[i] = score(context, low * exp(step * i));
    int best = -1;
    for (int i = 1; i < GRID - 1; i++)
        if (scores[i] < scores[i - 1] && scores[i] <= scores[i + 1] &&
            (best < 0 || scores[i] < scores[best]))
            best = i;
    if (best < 0) best = scores[0] <= scores[GRID - 1] ? 0 : GRID - 1;
    const double least = scores[best];
    /* Two inner points of an interval in log x: the worse end is cut off. */
    double a = step * (best > 0 ? best - 1 : 0), b = step * (best < GRID - 1 ? best + 1 : best);
    double c = b - golden * (b - a), d = a + golden * (b - a);
    double at_c = score(context, low * exp(c)), at_d = score(context, low * exp(d));
    for (int i = 0; i < REFINEMENTS && b - a > 1e-9; i++) {
        if (at_c < at_d) {
            b = d;
            d = c;
            at_d = at_c;
            c = b - golden * (b - a);
            at_c = score(context, low * exp(c));
        } else {
            a = c;
            c = d;
            at_c = at_d;
            d = a + golden * (b - a);
            at_d = score(context, low * exp(d));
        }
    }
    const double found = low * exp(0.5 * (a + b));
    return score(context, found) <= least ? found : low * exp(step * best);
}
